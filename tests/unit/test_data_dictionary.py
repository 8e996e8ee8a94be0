"""The data dictionary's generator: nothing left out, nothing left over, and the words around its tables untouched."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from glue.schema import RAW_COLUMNS, TRADING
from infrastructure.data_dictionary import (
    DOCUMENT,
    NOTES,
    Dictionary,
    DictionaryError,
    catalog,
    combine,
    main,
    updated,
)
from infrastructure.template import TEMPLATE
from tests import markdown
from tests.conftest import PROJECT

SMALL_TEMPLATE = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
  DaysTable:
    Type: AWS::Glue::Table
    Properties:
      TableInput:
        Name: days
        Description: One row a day.
        PartitionKeys:
          - {Name: code, Type: string, Comment: Code of the index.}
        StorageDescriptor:
          Location: !Sub "s3://${Bucket}/days/"
          Columns:
            - {Name: quantity, Type: bigint, Comment: How many (Qtde.).}
            - {Name: weight_pct, Type: "decimal(6,3)", Comment: How much.}
  YearsTable:
    Type: AWS::Glue::Table
    Properties:
      TableInput:
        Name: years
        Description: The days again.
        PartitionKeys:
          - {Name: year, Type: int, Comment: Calendar year.}
        StorageDescriptor:
          Columns:
            - {Name: code, Type: string, Comment: Code of the index.}
            - {Name: quantity, Type: bigint, Comment: How many (Qtde.).}
            - {Name: weight_pct, Type: "decimal(6,3)", Comment: How much.}
"""

SMALL_NOTES = """
[terms]
"Qtde." = "quantity"

[columns]
code = {unit = "-", edge_cases = "Never null."}
quantity = {unit = "shares", b3_term = "Qtde.", edge_cases = "Can be large."}
weight_pct = {unit = "percent", edge_cases = "Can be 0."}
year = {unit = "year", edge_cases = "Four digits."}

[tables.years]
repeats = "days"
columns.code.edge_cases = "A column here."
"""

SMALL_DOCUMENT = """# Words before

<!-- table: years -->
what stood here
<!-- end -->
Words between, with a | and <!-- no marker -->.
<!-- table: days -->
<!-- end -->

<!-- glossary -->
<!-- end -->
Words after, and no line break"""


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def problems(document: str = SMALL_DOCUMENT, template: str = SMALL_TEMPLATE, notes: str = SMALL_NOTES) -> list[str]:
    with pytest.raises(DictionaryError) as error:
        updated(document, template, notes)
    return str(error.value).splitlines()


# ------------------------------------------------------------------------------------------------------ what is written


def test_tables_and_glossary_are_written_between_their_markers() -> None:
    assert (
        updated(SMALL_DOCUMENT, SMALL_TEMPLATE, SMALL_NOTES)
        == """# Words before

<!-- table: years -->

The days again.

| Partition key | Type | Unit | B3's term | Definition | Edge cases |
|---|---|---|---|---|---|
| `year` | `int` | year | - | Calendar year. | Four digits. |

| Column | Type | Unit | B3's term | Definition | Edge cases |
|---|---|---|---|---|---|
| `code` | `string` | - | - | Code of the index. | A column here. |

Then come the columns of [`days`](#days), `quantity` to `weight_pct`, with the same types and definitions.

<!-- end -->
Words between, with a | and <!-- no marker -->.
<!-- table: days -->

One row a day.

| Partition key | Type | Unit | B3's term | Definition | Edge cases |
|---|---|---|---|---|---|
| `code` | `string` | - | - | Code of the index. | Never null. |

| Column | Type | Unit | B3's term | Definition | Edge cases |
|---|---|---|---|---|---|
| `quantity` | `bigint` | shares | Qtde. | How many (Qtde.). | Can be large. |
| `weight_pct` | `decimal(6,3)` | percent | - | How much. | Can be 0. |

<!-- end -->

<!-- glossary -->

| B3's term | In English | Columns |
|---|---|---|
| Qtde. | quantity | `quantity` |

<!-- end -->
Words after, and no line break"""
    )


def test_writing_again_changes_nothing() -> None:
    once = updated(SMALL_DOCUMENT, SMALL_TEMPLATE, SMALL_NOTES)
    assert updated(once, SMALL_TEMPLATE, SMALL_NOTES) == once


def test_a_term_of_some_tables_only_is_listed_with_their_names() -> None:
    notes = replaced(SMALL_NOTES, 'repeats = "days"\n', 'columns.quantity.b3_term = "-"\n')
    assert "| Qtde. | quantity | `days.quantity` |" in updated(SMALL_DOCUMENT, SMALL_TEMPLATE, notes)


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'year = {unit = "year", edge_cases = "Four digits."}',
            "",
            "years.year: data_dictionary.toml has no entry for it",
        ),
        ("[tables.years]", "other.unit = '-'\n[tables.years]", "[columns.other]: no table has this column"),
        ("[tables.years]", "[tables.weeks]\n[tables.years]", "[tables.weeks]: the template has no such table"),
        ("columns.code.edge", "columns.name.edge", "[tables.years.columns.name]: the table has no such column"),
        ("columns.code.edge", "columns.quantity.edge", "[tables.years.columns.quantity]: the table has no such column"),
        ('unit = "percent", ', "", "days.weight_pct: its entry has no 'unit'"),
        ('edge_cases = "Can be 0."', 'edge_cases = ""', "days.weight_pct: its entry has no 'edge_cases'"),
        ('unit = "percent"', 'unit = "percent", x = 1', "days.weight_pct: its entry has 'x', which means nothing"),
        ('"Qtde." =', '"Quantidade" =', "days.quantity: its b3_term 'Qtde.' is not in [terms]"),
        ("[terms]", '[terms]\n"Setor" = "sector"', "[terms] 'Setor': no column has this b3_term"),
        (
            'edge_cases = "Can be 0."',
            'edge_cases = "0 | 1"',
            "a cell of a table cannot hold '|' or a line break: '0 | 1'",
        ),
        ('repeats = "days"', 'repeats = "weeks"', "[tables.years] repeats 'weeks', but"),
    ],
)
def test_notes_that_do_not_fit_are_named(old: str, new: str, problem: str) -> None:
    found = problems(notes=replaced(SMALL_NOTES, old, new))
    assert [line for line in found if line.startswith(problem)], found


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (", Comment: Calendar year.}", "}", "years.year: the template gives it no comment"),
        ("Name: years", "Name: decades", "[tables.years]: the template has no such table"),
        (
            "Columns:\n            - {Name: quantity, Type: bigint",
            "Columns:\n            - {Name: quantity, Type: int",
            "[tables.years] repeats 'days', but the table does not end with that one's columns",
        ),
        (
            "Columns:\n            - {Name: quantity",
            "Columns:\n            - {Name: company, Type: string, Comment: Who.}\n            - {Name: quantity",
            "days.company: data_dictionary.toml has no entry for it",
        ),
    ],
)
def test_a_template_that_does_not_fit_is_named(old: str, new: str, problem: str) -> None:
    assert problem in problems(template=replaced(SMALL_TEMPLATE, old, new))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<!-- table: days -->\n<!-- end -->\n", "", "the document needs <!-- table: days --> once"),
        ("<!-- glossary -->\n<!-- end -->\n", "", "the document needs <!-- glossary --> once"),
        ("table: days", "table: years", "the document needs <!-- table: years --> once"),
        ("table: days", "table: weeks", "<!-- table: weeks -->: the template has no such table"),
        ("what stood here\n<!-- end -->\n", "", "the document has a comment that neither begins nor ends"),
    ],
)
def test_markers_that_do_not_fit_are_named(old: str, new: str, problem: str) -> None:
    found = problems(document=replaced(SMALL_DOCUMENT, old, new))
    assert [line for line in found if line.startswith(problem)], found


def test_every_problem_is_named_at_once() -> None:
    notes = replaced(replaced(SMALL_NOTES, 'unit = "year", ', ""), 'unit = "percent", ', "")
    assert problems(notes=notes) == [
        "days.weight_pct: its entry has no 'unit'",
        "years.year: its entry has no 'unit'",
    ]


# ---------------------------------------------------------------------------------------------------------- the command


def test_the_check_names_what_differs_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drifted = replaced(DOCUMENT.read_text("utf-8"), "| `is_rebalance` | `boolean` |", "| `is_rebalance` | `int` |")
    document = tmp_path / "data-dictionary.md"
    document.write_text(drifted, encoding="utf-8")

    assert main(["--check"], document) == 1
    said = capsys.readouterr().err.splitlines()
    assert "make dictionary" in said[0]
    assert [line.split("|")[:3] for line in said if line.startswith(("-|", "+|"))] == [
        ["-", " `is_rebalance` ", " `int` "],
        ["+", " `is_rebalance` ", " `boolean` "],
    ]
    assert document.read_text("utf-8") == drifted

    assert main([], document) == 0
    assert main(["--check"], document) == 0
    assert document.read_text("utf-8") == DOCUMENT.read_text("utf-8")
    assert capsys.readouterr().err == ""


def test_a_document_without_a_table_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = replaced(DOCUMENT.read_text("utf-8"), "<!-- table: sectors -->", "")
    document = tmp_path / "data-dictionary.md"
    document.write_text(without, encoding="utf-8")

    assert main([], document) == 2
    assert "the document needs <!-- table: sectors --> once" in capsys.readouterr().err
    assert document.read_text("utf-8") == without


# ------------------------------------------------------------------------------------------ what is said of our columns


@pytest.fixture(scope="module")
def ours() -> Dictionary:
    return combine(catalog(TEMPLATE.read_text("utf-8")), NOTES.read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        (r".*_pct", "percent"),
        (r".*_pp", "percentage points"),
        (r".*_date", "date"),
        (r"days_.*", "calendar days"),
        (r"sessions_.*", "sessions"),
        (r".*theoretical_quantity(_change)?", "shares"),
    ],
)
def test_a_name_says_its_unit(ours: Dictionary, name: str, unit: str) -> None:
    units = {column: note.unit for (_, column), note in ours.notes.items() if re.fullmatch(name, column)}
    assert units
    assert set(units.values()) == {unit}, units


def test_the_definitions_and_the_notes_name_the_same_terms_of_b3(ours: Dictionary) -> None:
    """The catalog's comments hold them in parentheses, for the analyst who never reads the dictionary."""
    said = {}
    for table in ours.tables.values():
        for column in table:
            terms = [term for term in ours.terms if f"({term}" in column.definition]
            said[table.name, column.name] = max(terms, key=len, default="-")
    # The whole file of a portfolio is the *Carteira do Dia*; the comment names the line of it that has the date.
    noted = {place: note.b3_term for place, note in ours.notes.items()}
    assert {place for place, term in noted.items() if term != said[place]} == {
        (table, "session_date") for table in ours.tables if table != TRADING.name
    }


def test_every_name_in_the_words_around_the_tables_exists(ours: Dictionary) -> None:
    """Edge cases and prose speak of columns, values and views that there are."""
    named = {
        word
        for line in markdown.code(DOCUMENT.read_text("utf-8"))
        for word in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b(?!\.|\*)", line)
    }
    columns = {name for _, name in ours.notes} | {name for name, _ in RAW_COLUMNS}
    sql = [files("glue").joinpath(name).read_text(encoding="utf-8") for name in ("compared.sql", "transformations.sql")]
    values = set(re.findall(r"'(\w+)'", "".join(sql)))
    assert {"sessions_observed", "re_entered", "sector_participation_pct"} <= named
    views = {path.stem: path.read_text("utf-8") for path in (PROJECT / "athena" / "views").glob("*.sql")}
    columns |= {name for view in views.values() for name in re.findall(r"\bAS ([a-z_]+)", view)}
    assert named - columns - values - views.keys() - {"data_dictionary"} == set()


def test_no_override_repeats_what_is_said_for_every_table() -> None:
    notes: dict[str, Any] = tomllib.loads(NOTES.read_text("utf-8"))
    same = [
        f"{table}.{column}.{field}"
        for table, one in notes["tables"].items()
        for column, fields in one.get("columns", {}).items()
        for field, text in fields.items()
        if notes["columns"].get(column, {}).get(field) == text
    ]
    assert same == []
