"""The files of `athena/`: what they say is read strictly, and values get into a query only as the literals they are."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from bovespa.layout import COMPACT_TABLE_NAMES
from infrastructure.athena_queries import (
    KINDS,
    QUERIES,
    InvalidParameter,
    InvalidQueryFile,
    NamedQuery,
    Parameter,
    View,
    named_queries,
    parse_query,
    views,
    words,
)
from infrastructure.template import TEMPLATE, read
from local.athena_server.catalog import read_table
from local.athena_server.queries import Catalog, translate
from local.athena_server.queries import View as StoredView

TITLE = "-- Which shares are there?\n"
BLOCK = """\
WITH parameters AS (
    SELECT
        'IBOV' AS index_code, -- it's a code; (not a name)
        DATE '2025-02-03' AS from_date,
        -- null means the latest, as 'IBOV' AS index_code
        CAST(NULL AS DATE) AS session_date,
        21 AS sessions
),
"""
REST = "chosen AS (SELECT 'IBOV' AS index_code)\nSELECT 'a;b' AS x FROM chosen, parameters -- one; two\n"
SQL = TITLE + BLOCK + REST


def parse(text: str, name: str = "some_query") -> NamedQuery:
    return parse_query(name, text, f"{name}.sql")


# ------------------------------------------------------------------------------------------------- the files we have


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The tables of the template, and our views over them."""
    resources = read(TEMPLATE.read_text(encoding="utf-8"))["Resources"].values()
    inputs = [one["Properties"]["TableInput"] for one in resources if one["Type"] == "AWS::Glue::Table"]
    known: dict[str, Any] = {one["Name"]: read_table("bovespa", one["Name"], one) for one in inputs}

    def find(database: str, name: str) -> Any:
        return known.get(name) if database == "bovespa" else None

    for view in views():
        query, _ = translate(view.select, "bovespa", find)
        columns = tuple(zip(query.names, (field.sql.type for field in query.fields), strict=True))
        known[view.name] = StoredView("bovespa", view.select, columns)
    return find


@pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
def test_every_query_is_one_statement_of_athena_and_fits_the_tables(query: NamedQuery, catalog: Catalog) -> None:
    (statement,) = sqlglot.parse(query.sql, read="athena")
    assert isinstance(statement, exp.Query)
    translated, _ = translate(query.sql, "bovespa", catalog)
    assert None not in [field.name for field in translated.fields], "a column without a name"


@pytest.mark.parametrize(
    "query", [query for query in named_queries() if query.parameters], ids=lambda query: query.name
)
def test_every_parameter_of_every_query_is_used(query: NamedQuery) -> None:
    statement = sqlglot.parse_one(query.sql, read="athena")
    first, *others = statement.find_all(exp.CTE)
    assert first.alias == "parameters"
    rest = " ".join([*(other.sql("athena") for other in others), query.sql.partition("\n)")[2]])
    assert {parameter.name for parameter in query.parameters} <= words(rest)


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_every_view_is_one_statement_of_athena(view: View) -> None:
    (statement,) = sqlglot.parse(view.statement, read="athena")
    assert isinstance(statement, exp.Create)
    assert statement.args["replace"]


def test_no_view_has_the_name_of_a_table() -> None:
    assert not {view.name for view in views()} & {"portfolio", *COMPACT_TABLE_NAMES}


def test_every_file_is_read() -> None:
    assert [query.name for query in named_queries()] == sorted(path.stem for path in QUERIES.glob("*.sql"))
    assert {view.name for view in views()} == {path.stem for path in (QUERIES / "views").glob("*.sql")}
    assert len(list(QUERIES.rglob("*"))) == 1 + len(named_queries()) + len(views()), "something else lies there"


# ------------------------------------------------------------------------------------------------------- what is read


def test_a_query_is_its_question_its_text_and_its_parameters() -> None:
    assert parse(SQL) == NamedQuery(
        "some_query",
        "Which shares are there?",
        SQL,
        (
            Parameter("index_code", "text", "IBOV"),
            Parameter("from_date", "date", "2025-02-03"),
            Parameter("session_date", "date", None),
            Parameter("sessions", "whole", "21"),
        ),
    )


def test_a_query_without_parameters_has_none() -> None:
    assert parse(TITLE + "SELECT 1 AS one\n").parameters == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1 AS one\n", "title line"),
        ("--Which?\nSELECT 1 AS one\n", "title line"),
        ("-- The shares.\nSELECT 1 AS one\n", "question"),
        (TITLE + "SELECT 1 AS one;\n", "semicolon"),
        (TITLE + "SELECT 1 AS one;\nSELECT 2 AS two\n", "semicolon"),
        (TITLE + "SELECT 1 AS one", "LF"),
        (TITLE + "SELECT 1 AS one\r\n", "LF"),
        (TITLE + "SELECT\t1 AS one\n", "tabs"),
        (TITLE + "SELECT 'IBOV AS one\n", "not closed"),
        (TITLE + "SELECT 1 /* AS one\n", "not closed"),
        (TITLE + "DROP TABLE portfolio\n", "SELECT or WITH"),
        (TITLE + "-- only comments\n", "SELECT or WITH"),
        (SQL.replace("21 AS sessions", "20 + 1 AS sessions"), "20 + 1 AS sessions is not like"),
        (SQL.replace("21 AS sessions", "21 AS weeks"), "weeks is none of the known parameters"),
        (SQL.replace("21 AS sessions", "'21' AS sessions"), "sessions must be a whole number"),
        (SQL.replace("21 AS sessions", "9999999999 AS sessions"), "whole number from 0"),
        (SQL.replace("'IBOV' AS index_code,", "21 AS index_code,"), "index_code must be a text"),
        (SQL.replace("'IBOV' AS index_code,", "CAST(NULL AS DATE) AS index_code,"), "index_code must be a text"),
        (SQL.replace("2025-02-03", "2025-02-30"), "from_date must be a date"),
        (SQL.replace("DATE '2025-02-03'", "'2025-02-03'"), "from_date must be a date"),
        (SQL.replace("21 AS sessions", "21 AS sessions,"), "comma"),
        (SQL.replace("'2025-02-03' AS from_date,", "'2025-02-03' AS from_date"), "comma"),
        (SQL.replace("AS from_date", "AS session_date"), "none of them two"),
        (TITLE + "WITH parameters AS (\n    SELECT\n        -- none\n)\nSELECT 1 AS one\n", "at least one"),
        (SQL.replace("WITH parameters AS (\n    SELECT\n", "WITH parameters AS (SELECT\n"), "first CTE"),
        (TITLE + "WITH a AS (SELECT 1 AS x),\nparameters AS (SELECT 2 AS y)\nSELECT 1 AS one\n", "first CTE"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    assert text != SQL
    path = tmp_path / "some_query.sql"
    path.write_bytes(text.encode())
    with pytest.raises(InvalidQueryFile, match=re.escape(said)) as refusal:
        named_queries(tmp_path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("name", ["Some_query", "1st", "some-query", "some query", "maçã"])
def test_a_name_that_sql_would_have_to_quote_is_refused(name: str) -> None:
    with pytest.raises(InvalidQueryFile, match="small letters"):
        parse(SQL, name)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some_query.sql").write_bytes(SQL.replace("shares", "ações").encode("latin-1"))
    with pytest.raises(InvalidQueryFile, match="UTF-8"):
        named_queries(tmp_path)


def test_words_of_comments_and_texts_are_no_words() -> None:
    assert words("SELECT a -- b\nFROM \"c\" /* d\ne */ WHERE f = 'it''s g' AND H") == set("a f h".split()) | {
        *("select", "from", "where", "and"),
    }


# ------------------------------------------------------------------------------------------------------------ views

ROWS = "-- One row per share.\n"


def write_views(folder: Path, **selects: str) -> None:
    for name, select in selects.items():
        (folder / f"{name}.sql").write_text(f"{ROWS}-- More.\n{select}\n", encoding="utf-8")


def test_a_view_is_its_title_and_its_select(tmp_path: Path) -> None:
    write_views(tmp_path, shares="SELECT 1 AS one -- really")
    (view,) = views(tmp_path)
    assert view == View("shares", "One row per share.", "SELECT 1 AS one -- really")
    assert view.statement == "CREATE OR REPLACE VIEW shares AS\nSELECT 1 AS one -- really"


def test_a_view_comes_after_those_that_it_names(tmp_path: Path) -> None:
    write_views(
        tmp_path,
        a="SELECT 1 AS x FROM c JOIN B ON TRUE",
        b="SELECT 1 AS x FROM d",
        c="SELECT 'a' AS x FROM portfolio -- not of b",
        d="SELECT 1 AS d FROM d.d",
    )
    assert [view.name for view in views(tmp_path)] == ["c", "d", "b", "a"]


def test_views_that_name_each_other_are_refused(tmp_path: Path) -> None:
    write_views(
        tmp_path, a="SELECT 1 AS x FROM b", b="SELECT 1 AS x FROM c", c="SELECT 1 AS x FROM a", d="SELECT 1 AS y"
    )
    with pytest.raises(InvalidQueryFile, match=r"first: a, b, c$"):
        views(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- Which shares are there?\nSELECT 1 AS one\n", "what a row is"),
        ("-- One row per share\nSELECT 1 AS one\n", "what a row is"),
        (ROWS + BLOCK + REST, "no parameters"),
        (ROWS + "CREATE VIEW x AS SELECT 1 AS one\n", "SELECT or WITH"),
    ],
)
def test_a_view_file_that_breaks_the_format_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "shares.sql").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidQueryFile, match=said):
        views(tmp_path)


# ----------------------------------------------------------------------------------------------------------- values

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")))
DATES = st.one_of(st.none(), st.dates())
WHOLES = st.integers(0, 2**31 - 1)


@given(TEXTS, DATES, WHOLES)
def test_whatever_the_values_the_query_gets_them_and_nothing_else_changes(
    index_code: str, session_date: dt.date | None, sessions: int
) -> None:
    values = {
        "sessions": str(sessions),
        "index_code": index_code,
        "session_date": "null" if session_date is None else session_date.isoformat(),
    }
    query = parse(SQL)
    sql = query.with_values(values)
    assert sql.startswith(TITLE + "WITH parameters AS (\n    SELECT\n        '")
    assert sql.endswith("AS sessions\n),\n" + REST)
    # An SQL parser of its own reads the very values back.
    parameters = sqlglot.parse_one(sql, read="athena").find(exp.CTE)
    assert parameters is not None
    found = {item.alias: item.this for item in parameters.this.expressions}
    assert list(found) == [parameter.name for parameter in query.parameters]
    assert (found["index_code"].is_string, found["index_code"].this) == (True, index_code)
    assert found["sessions"].this == str(sessions)
    assert isinstance(found["session_date"].this, exp.Null) == (session_date is None)
    # And so does ours: what comes out is in the format.
    assert {one.name: one.default for one in parse(sql).parameters} == {
        "index_code": index_code,
        "from_date": "2025-02-03",
        "session_date": None if session_date is None else session_date.isoformat(),
        "sessions": str(sessions),
    }


@given(st.fixed_dictionaries({}, optional={"index_code": TEXTS, "sessions": WHOLES.map(str)}))
def test_values_given_twice_are_the_same(values: dict[str, str]) -> None:
    query = parse(SQL)
    once = query.with_values(values)
    assert parse(once).with_values(values) == once
    assert parse(once).with_values({"index_code": "IBOV", "sessions": "21"}) == SQL


@pytest.mark.parametrize("value", ["'; DROP TABLE portfolio; --", "O'Neill", "''", "' AS index_code, 'x", "\\'", "--"])
def test_a_text_stays_within_its_quotes(value: str) -> None:
    sql = parse(SQL).with_values({"index_code": value})
    doubled = value.replace("'", "''")
    assert f"        '{doubled}' AS index_code, -- it's" in sql
    with duckdb.connect() as database:
        select = sql.partition("\n")[2].replace(REST, "rest AS (SELECT 1) SELECT index_code FROM parameters")
        assert database.execute(select).fetchall() == [(value,)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"index": "IBOV"}, "no parameter 'index'. It has index_code, from_date, session_date, sessions."),
        ({"session_date": "2025-02-30"}, "session_date must be a date like 2025-02-03, or null"),
        ({"session_date": "20250203"}, "must be a date"),
        ({"session_date": "2025-02-03' OR TRUE --"}, "must be a date"),
        ({"session_date": ""}, "must be a date"),
        ({"session_date": "\uff12025-02-03"}, "must be a date"),
        ({"sessions": "-1"}, "whole number"),
        ({"sessions": "1e3"}, "whole number"),
        ({"sessions": "\u0663"}, "whole number"),
        ({"sessions": "2147483648"}, "whole number"),
        ({"sessions": "21 OR 1"}, "whole number"),
        ({"index_code": "IBOV\n"}, "on one line"),
        ({"index_code": "IB\0OV"}, "control"),
    ],
)
def test_a_value_of_another_kind_is_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(said)):
        parse(SQL).with_values(values)


def test_a_query_without_parameters_says_so() -> None:
    with pytest.raises(InvalidParameter, match="It has none"):
        parse(TITLE + "SELECT 1 AS one\n").with_values({"top": "3"})


def test_each_known_parameter_is_of_a_kind_with_a_literal() -> None:
    literals = {"text": ("'x'", "y'z"), "date": ("CAST(NULL AS DATE)", "2025-02-03"), "whole": ("1", "2")}
    for name, kind in KINDS.items():
        literal, value = literals[kind]
        query = parse(f"{TITLE}WITH parameters AS (\n    SELECT\n        {literal} AS {name}\n)\nSELECT 1 AS one\n")
        assert parse(query.with_values({name: value})).parameters == (Parameter(name, kind, value),)
