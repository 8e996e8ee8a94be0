"""Writes the tables of docs/data-dictionary.md from the template, so that they are those of what is deployed.

A definition is the comment that the template gives the column. What a comment has no room for (unit, B3's term, edge
cases) is in data_dictionary.toml. In the document, only what stands between a marker and its end is written:

    <!-- table: portfolio -->
    <!-- end -->

`python -m infrastructure.data_dictionary` writes the document, and with `--check` says what it would change.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infrastructure.template import TEMPLATE, read

NOTES = Path(__file__).with_name("data_dictionary.toml")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"

_MARKED = re.compile(
    r"^<!-- (?:table: (?P<table>\w+)|glossary) -->\n.*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
_MARKER = re.compile(r"^<!--.*$", re.MULTILINE)
_HEADINGS = ("Type", "Unit", "B3's term", "Definition", "Edge cases")
_NOTHING = "-"
_FIELDS = {"unit", "edge_cases", "b3_term"}


class DictionaryError(Exception):
    """Template, notes and document do not fit together; the message names every reason, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Column:
    """A column or partition key, as the template declares it."""

    name: str
    kind: str
    definition: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the catalog, as the template declares it."""

    name: str
    description: str
    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    repeats: str | None = None
    """The table all of whose columns follow, which are then left out of `columns`."""

    def __iter__(self) -> Iterator[Column]:
        """Partition keys, then columns."""
        return iter((*self.keys, *self.columns))


@dataclass(frozen=True, slots=True)
class Note:
    """What data_dictionary.toml says about a column."""

    unit: str
    edge_cases: str
    b3_term: str = _NOTHING


@dataclass(frozen=True, slots=True)
class Dictionary:
    """All that the document's tables are made of."""

    tables: Mapping[str, Table]
    notes: Mapping[tuple[str, str], Note]
    """By table and column."""
    terms: Mapping[str, str]
    """B3's terms, and what they mean in English."""


def catalog(template: str) -> dict[str, Table]:
    """Return every table of the catalog that the text of the CloudFormation *template* declares, by its name."""
    resources = read(template)["Resources"].values()
    inputs = [one["Properties"]["TableInput"] for one in resources if one["Type"] == "AWS::Glue::Table"]
    return {
        one["Name"]: Table(
            one["Name"],
            one["Description"],
            _columns(one.get("PartitionKeys", [])),
            _columns(one["StorageDescriptor"]["Columns"]),
        )
        for one in inputs
    }


def _columns(declared: Sequence[Mapping[str, str]]) -> tuple[Column, ...]:
    return tuple(Column(one["Name"], one["Type"], one.get("Comment", "")) for one in declared)


def combine(declared: Mapping[str, Table], notes: str) -> Dictionary:
    """Give every column of the tables its note from *notes*, the text of data_dictionary.toml.

    Raises:
        DictionaryError: A column has no entry, an entry has no column, or an entry is not complete.
    """
    written = tomllib.loads(notes)
    shared, terms = written.get("columns", {}), written.get("terms", {})
    of_tables: dict[str, dict[str, Any]] = written.get("tables", {})
    problems: list[str] = []
    tables = {name: _without_repeated(table, declared, of_tables, problems) for name, table in declared.items()}
    found: dict[tuple[str, str], Note] = {}
    for table in tables.values():
        own = of_tables.get(table.name, {}).get("columns", {})
        for column in table:
            entry = {**shared.get(column.name, {}), **own.get(column.name, {})}
            wrong = list(_what_is_wrong(column, entry, terms))
            problems += [f"{table.name}.{column.name}: {one}" for one in wrong]
            if not wrong:
                found[table.name, column.name] = Note(**entry)
    problems += _useless_entries(tables, shared, of_tables)
    unused = set(terms) - {note.b3_term for note in found.values()}
    problems += [f"[terms] {term!r}: no column has this b3_term" for term in sorted(unused)]
    if problems:
        raise DictionaryError(problems)
    return Dictionary(tables, found, terms)


def _without_repeated(
    table: Table, tables: Mapping[str, Table], of_tables: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> Table:
    base = of_tables.get(table.name, {}).get("repeats")
    if base is None:
        return table
    repeated = tables[base].columns if base in tables else ()
    if not repeated or table.columns[-len(repeated) :] != repeated:
        problems.append(f"[tables.{table.name}] repeats {base!r}, but the table does not end with that one's columns")
        return table
    return replace(table, columns=table.columns[: -len(repeated)], repeats=base)


def _what_is_wrong(column: Column, entry: Mapping[str, Any], terms: Mapping[str, str]) -> Iterator[str]:
    if not column.definition:
        yield "the template gives it no comment"
    if not entry:
        yield "data_dictionary.toml has no entry for it"
        return
    yield from (f"its entry has no {field!r}" for field in ("unit", "edge_cases") if not entry.get(field))
    yield from (f"its entry has {field!r}, which means nothing" for field in sorted(set(entry) - _FIELDS))
    term = entry.get("b3_term", _NOTHING)
    if term != _NOTHING and term not in terms:
        yield f"its b3_term {term!r} is not in [terms]"


def _useless_entries(
    tables: Mapping[str, Table], shared: Mapping[str, Any], of_tables: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    known = {column.name for table in tables.values() for column in table}
    yield from (f"[columns.{name}]: no table has this column" for name in sorted(set(shared) - known))
    for name, one in of_tables.items():
        if name not in tables:
            yield f"[tables.{name}]: the template has no such table"
            continue
        useless = set(one.get("columns", {})) - {column.name for column in tables[name]}
        yield from (f"[tables.{name}.columns.{column}]: the table has no such column" for column in sorted(useless))


def table_section(dictionary: Dictionary, table: Table) -> str:
    """Return what the document says about *table*: description, partition keys, columns."""
    parts = [f"{table.description}\n"]
    for heading, columns in (("Partition key", table.keys), ("Column", table.columns)):
        rows = [_column_row(column, dictionary.notes[table.name, column.name]) for column in columns]
        parts.append(_markdown_table((heading, *_HEADINGS), rows))
    if table.repeats is not None:
        base = dictionary.tables[table.repeats]
        parts.append(
            f"Then come the columns of [`{base.name}`](#{base.name}), `{base.columns[0].name}` to "
            f"`{base.columns[-1].name}`, with the same types and definitions.\n"
        )
    return "\n".join(parts)


def _column_row(column: Column, note: Note) -> tuple[str, ...]:
    return (f"`{column.name}`", f"`{column.kind}`", note.unit, note.b3_term, column.definition, note.edge_cases)


def glossary_section(dictionary: Dictionary) -> str:
    """Return B3's terms, what they mean, and the columns that hold them."""
    rows = [(term, meaning, ", ".join(_columns_of(term, dictionary))) for term, meaning in dictionary.terms.items()]
    return _markdown_table(("B3's term", "In English", "Columns"), rows)


def _columns_of(term: str, dictionary: Dictionary) -> Iterator[str]:
    """The columns that hold *term*, with their table's name where other tables' columns of that name do not."""
    holders = [place for place, note in dictionary.notes.items() if note.b3_term == term]
    for name in dict.fromkeys(column for _, column in holders):
        tables = [table for table, column in holders if column == name]
        if len(tables) == sum(column == name for _, column in dictionary.notes):
            yield f"`{name}`"
        else:
            yield from (f"`{table}.{name}`" for table in tables)


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if broken := [cell for row in rows for cell in row if re.search(r"[|\n]", cell)]:
        raise DictionaryError([f"a cell of a table cannot hold '|' or a line break: {cell!r}" for cell in broken])
    head, *body = [f"| {' | '.join(cells)} |\n" for cells in (headings, *rows)]
    return "".join([head, "|---" * len(headings), "|\n", *body])


def filled(document: str, dictionary: Dictionary) -> str:
    """Return *document* with the text between its markers replaced by what *dictionary* says.

    Raises:
        DictionaryError: A table of the catalog has no marker, or a marker has no table, no end or a second of its kind.
    """
    found = [match["table"] for match in _MARKED.finditer(document)]
    expected: list[str | None] = [*dictionary.tables, None]
    problems = [
        f"the document needs {_marker(name)} once, before an <!-- end -->"
        for name in expected
        if found.count(name) != 1
    ]
    problems += [f"{_marker(name)}: the template has no such table" for name in found if name not in expected]
    if len(_MARKER.findall(document)) != 2 * len(found):
        problems.append("the document has a comment that neither begins nor ends what is written here")
    if problems:
        raise DictionaryError(problems)

    def replacement(match: re.Match[str]) -> str:
        name = match["table"]
        text = glossary_section(dictionary) if name is None else table_section(dictionary, dictionary.tables[name])
        return f"{_marker(name)}\n\n{text}\n<!-- end -->"

    return _MARKED.sub(replacement, document)


def _marker(name: str | None) -> str:
    return "<!-- glossary -->" if name is None else f"<!-- table: {name} -->"


def updated(document: str, template: str, notes: str) -> str:
    """Return the text of the document as template and notes want it.

    Raises:
        DictionaryError: The three do not fit together.
    """
    return filled(document, combine(catalog(template), notes))


def main(argv: Sequence[str] | None = None, document: Path = DOCUMENT) -> int:
    """Write *document*; with `--check` write nothing, and return 1 if that would change it."""
    parser = argparse.ArgumentParser(
        prog="python -m infrastructure.data_dictionary",
        description="Write the tables of docs/data-dictionary.md from template and notes.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 and name what would change")
    arguments = parser.parse_args(argv)
    before = document.read_text(encoding="utf-8")
    try:
        after = updated(before, TEMPLATE.read_text(encoding="utf-8"), NOTES.read_text(encoding="utf-8"))
    except DictionaryError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not arguments.check:
        document.write_text(after, encoding="utf-8")
        return 0
    change = difflib.unified_diff(before.splitlines(), after.splitlines(), "is", "should be", n=0, lineterm="")
    if lines := [f"{line}\n" for line in change]:
        sys.stderr.write(f"{document.name} is not what the template says; run `make dictionary`\n{''.join(lines)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
