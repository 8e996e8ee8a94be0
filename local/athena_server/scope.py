"""What names mean while a query is translated: its columns, its tables, and the expression made so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.sql_types import SqlType

Node = Any
"""A node of sqlglot's syntax tree."""


@dataclass(frozen=True)
class Sql:
    """An expression in DuckDB's SQL and the Trino type of its value."""

    text: str
    type: SqlType
    literal: Any = None
    """The value, when it is a literal."""


@dataclass(frozen=True)
class Condition:
    """A comparison of a partition key with literals, which every row of an answer fulfils."""

    column: str
    operator: str
    """One of `=`, `<`, `<=`, `>`, `>=` and `in`."""
    values: tuple[Any, ...]


@dataclass
class TableUse:
    """One mention of a table in a query."""

    name: str
    """What DuckDB calls its data."""
    table: Any
    conditions: list[Condition] = field(default_factory=list)


Origin = tuple[TableUse, str]

PythonFunction = tuple[Callable[..., Any], tuple[str, ...], str]
"""A function of `local.athena_server.values`, the types of its arguments and of its result."""


@dataclass(frozen=True)
class Field:
    """A column that can be named."""

    qualifier: tuple[str, ...]
    name: str | None
    sql: Sql
    origins: tuple[Origin, ...] = ()
    """The table columns that this is unchanged, so that a condition on it may be applied to them already."""
    constant: Any = None
    """The literal that it is in every row, as in a WITH query that only names values."""


@dataclass
class Grouping:
    """The first half of a grouped query: its keys and aggregates, to which the second half refers."""

    source: Scope
    keys: dict[str, Sql] = field(default_factory=dict)
    aggregates: dict[str, Sql] = field(default_factory=dict)
    key_order: list[str] = field(default_factory=list)
    sets: list[tuple[str, ...]] | None = None
    """The sets of keys by which rows are grouped, one after the other; None without GROUP BY."""

    @property
    def has_sets(self) -> bool:
        """Whether a row counts in more than one group."""
        return self.sets is not None and len(self.sets) > 1

    def aggregate(self, sql: Sql) -> Sql:
        """Return a reference to the aggregate *sql*."""
        if sql.text not in self.aggregates:
            self.aggregates[sql.text] = Sql(f'"g"."a{len(self.aggregates)}"', sql.type)
        return self.aggregates[sql.text]


@dataclass
class Scope:
    """The columns that expressions of one query can name."""

    fields: list[Field]
    parent: Scope | None = None
    grouping: Grouping | None = None
    aliases: dict[str, Sql | None] = field(default_factory=dict)
    """Output names, which ORDER BY sees before the columns; None where two columns share one."""
    windows_allowed: bool = False
    aggregates_refused: str = ""
    """The clause in which no aggregate may stand."""

    def find(self, qualifier: tuple[str, ...], name: str) -> Field | None:
        """Return the column, or None if this query has none of that name.

        Raises:
            StatementFailed: Two have it.
        """
        size = len(qualifier)
        found = [
            column
            for column in self.fields
            if column.name == name and (not size or column.qualifier[-size:] == qualifier)
        ]
        if len(found) > 1:
            raise StatementFailed("AMBIGUOUS_NAME", f"Column '{name}' is ambiguous")
        return found[0] if found else None


def only(node: Node, *allowed: str) -> None:
    """Refuse a node that carries anything but the parts *allowed*.

    sqlglot reads many dialects at once; a part that nobody looked at would be a clause silently dropped.
    """
    for name, value in node.args.items():
        if value and name not in allowed:
            raise not_supported(f"{name.rstrip('_').replace('_', ' ').upper()} in {node.sql(dialect='trino')[:200]}")


@dataclass
class Translation:
    """What one statement needs beside its SQL."""

    text: str
    """The statement, for the places in messages."""
    tables: list[TableUse] = field(default_factory=list)
    functions: dict[PythonFunction, str] = field(default_factory=dict)
    """Python functions that DuckDB calls, and their names in SQL: the same in every statement."""
    numbers: int = 0

    def unique(self, prefix: str) -> str:
        """Return a name that nothing else in the statement has."""
        self.numbers += 1
        return f"{prefix}{self.numbers}"

    def call(self, function: Callable[..., Any], kind: SqlType, *arguments: Sql | str | int) -> Sql:
        """Return a call of a Python function. It is given Python values and returns one, or raises `ValueFailed`."""
        types, texts = [], []
        for argument in arguments:
            if isinstance(argument, Sql):
                types.append(argument.type.duckdb)
                texts.append(f"CAST({argument.text} AS {argument.type.duckdb})")
            elif isinstance(argument, str):
                types.append("VARCHAR")
                texts.append(quoted(argument))
            else:
                types.append("INTEGER")
                texts.append(f"CAST({argument} AS INTEGER)")
        key = (function, tuple(types), kind.duckdb)
        name = self.functions.setdefault(key, f"{function.__name__}({', '.join(types)}) {kind.duckdb}")
        return Sql(f'"{name}"({", ".join(texts)})', kind)

    def place(self, node: Node) -> str:
        """Return `line 1:8`, where *node* stands."""
        starts = [
            inner.meta["start"] for inner in node.walk() if inner.meta.get("start", len(self.text)) < len(self.text)
        ]
        start = min(starts, default=0)
        return f"line {self.text.count(chr(10), 0, start) + 1}:{start - self.text.rfind(chr(10), 0, start)}"

    def failed(self, node: Node, kind: str, message: str) -> StatementFailed:
        """Return a failure that names the place of *node*."""
        return StatementFailed(kind, f"{self.place(node)}: {message}")


def quoted(text: str) -> str:
    """Return *text* as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def converted(sql: Sql, kind: SqlType) -> str:
    """Return *sql* as DuckDB's form of *kind*, where DuckDB's own cast has Trino's result."""
    return f"CAST({sql.text} AS {kind.duckdb})"
