"""The files of athena/ keep their format, are Athena's SQL, and stand in the documents as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from glue.schema import HOLDINGS, SESSIONS, CompactTable
from infrastructure.athena_queries import QUERIES, VIEWS, NamedQuery, View, named_queries, views
from tests import markdown
from tests.conftest import PROJECT
from tests.query_reckoning.comparison import choices_of
from tests.query_reckoning.query_rows import QUERY_ROWS
from tests.query_reckoning.synthetic_history import RECORDED_CHOICES, SYNTHETIC_CHOICES
from tests.query_reckoning.view_rows import VIEW_ROWS

QUERY = pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
VIEW = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
FILE = pytest.mark.parametrize(
    "path", sorted([*QUERIES.glob("*.sql"), *VIEWS.glob("*.sql")]), ids=lambda path: path.stem
)
TABLES = {"portfolio", "holdings", "sessions", "sectors", "trading"}
DICTIONARY = (PROJECT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
DOCUMENT = (PROJECT / "docs" / "queries.md").read_text(encoding="utf-8")
MEANINGS = {"text": "text", "date": "date", "whole": "whole number"}


def test_every_query_and_every_view_has_a_reckoning() -> None:
    assert {query.name for query in named_queries()} == QUERY_ROWS.keys()
    assert {view.name for view in views()} == VIEW_ROWS.keys()
    assert len(QUERY_ROWS) >= 22


@QUERY
def test_a_query_with_parameters_is_asked_in_two_ways_at_least(query: NamedQuery) -> None:
    for choices in (SYNTHETIC_CHOICES, RECORDED_CHOICES):
        assert len(choices_of(query, choices)) >= (2 if query.parameters else 1)


@FILE
def test_a_file_is_one_statement_of_athenas_sql(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (tree,) = sqlglot.parse(text, read="athena")
    assert isinstance(tree, exp.Query)
    assert ";" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert max(map(len, text.splitlines())) <= 120
    assert all(tree.named_selects), "every column has a name"
    ours = TABLES | {view.name for view in views()}
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} - defined <= ours
    assert not defined & ours, "a WITH query would hide a table"


@QUERY
def test_a_query_is_a_question_with_an_order_and_its_parameters_first(query: NamedQuery) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{10,150}\?", query.question)
    (tree,) = sqlglot.parse(query.sql, read="athena")
    assert tree is not None
    assert tree.args.get("order") is not None, "the rows come in an order"
    first, *rest = [cte.alias for cte in tree.ctes] or [""]
    assert (first == "parameters") == bool(query.parameters)
    assert "parameters" not in rest
    # A comment says what each does, but for the index and the ticker, which speak for themselves.
    comments = "\n".join(line for line in query.sql.splitlines() if line.startswith("--"))
    for parameter in query.parameters:
        assert parameter.name in ("index_code", "ticker") or re.search(rf"\b{parameter.name}\b", comments)


@QUERY
def test_other_values_stand_where_the_defaults_stood(query: NamedQuery) -> None:
    others = {"text": "XXXX", "date": "2025-02-03", "whole": "7"}
    values = {parameter.name: others[parameter.kind] for parameter in query.parameters}
    text = query.with_values(values)
    literals = {"text": "'XXXX'", "date": "DATE '2025-02-03'", "whole": "7"}
    for parameter in query.parameters:
        assert len(re.findall(rf"^        {literals[parameter.kind]} AS {parameter.name},?$", text, re.MULTILINE)) == 1
    assert len(text.splitlines()) == len(query.sql.splitlines())
    assert query.with_values({}) == query.sql


@VIEW
def test_a_view_says_what_a_row_is(view: View) -> None:
    assert re.fullmatch(r"One row per [^\n]+\.", view.description)
    assert "parameters" not in view.select


@pytest.mark.parametrize(("name", "table"), [("holdings_with_sectors", HOLDINGS), ("latest_sessions", SESSIONS)])
def test_a_view_of_a_whole_table_has_all_its_columns(name: str, table: CompactTable) -> None:
    (view,) = [view for view in views() if view.name == name]
    columns = [column for column, _ in (*table.columns, *table.partition_keys)]
    assert [column for column in _columns(view) if column in columns] == columns


# ---------------------------------------------------------------------------------------------------- the documents


def test_the_document_lists_every_query_with_its_question_and_parameters() -> None:
    (table,) = markdown.tables(DOCUMENT)
    assert table[0] == ["Query", "Question", "Parameters"]
    assert table[1:] == [
        [
            f"[`{query.name}`](../athena/{query.name}.sql)",
            query.question,
            ", ".join(f"`{parameter.name}`" for parameter in query.parameters) or "-",
        ]
        for query in named_queries()
    ]


def test_the_document_says_every_default() -> None:
    said = dict(re.findall(r"^- `(\w+)` \((.*?)\)", DOCUMENT, re.MULTILINE))
    found: dict[str, set[str]] = {}
    for query in named_queries():
        for parameter in query.parameters:
            default = "null" if parameter.default is None else parameter.default or "empty"
            found.setdefault(parameter.name, set()).add(f"{MEANINGS[parameter.kind]}; `{default}`")
    # How many rows are the most is each query's own.
    tops = found.pop("top")
    assert {text.partition(";")[0] for text in tops} == {"whole number"}
    assert said.pop("top") == "whole number"
    assert {name: {text} for name, text in said.items()} == found


def test_the_dictionary_lists_every_view_with_its_rows_and_its_own_columns() -> None:
    section = DICTIONARY.partition("\n## Views\n")[2].partition("\n## ")[0]
    (table,) = markdown.tables(section)
    assert table[0] == ["View", "One row", "Columns that no table has"]
    tables = DICTIONARY.partition("<!-- table: ")[2]
    known = {row[0].strip("`") for rows in markdown.tables(tables.partition("<!-- glossary")[0]) for row in rows}
    listed = {}
    for name, row, columns in table[1:]:
        listed[name.strip("`")] = (row, re.findall(r"`(\w+)`", columns))
    assert listed == {
        view.name: (
            view.description.removeprefix("One row per ").partition(":")[0].rstrip("."),
            [name for name in _columns(view) if name not in known],
        )
        for view in views()
    }


def _columns(view: View) -> list[str]:
    (tree,) = sqlglot.parse(view.select, read="athena")
    assert isinstance(tree, exp.Query)
    return list(tree.named_selects)
