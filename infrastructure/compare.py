"""Two tables of the same columns held against each other in Athena: every row, every column, duplicates counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bovespa.layout import PORTFOLIO_TABLE
from infrastructure.athena import Answer

_HOLDING = ("index_code", "session_date", "ticker")
KEYS: Mapping[str, tuple[str, ...]] = {
    PORTFOLIO_TABLE: _HOLDING,
    "holdings": _HOLDING,
    "sessions": ("index_code", "session_date"),
    "sectors": ("index_code", "session_date", "sector", "subsector"),
    "trading": ("session_date", "ticker"),
}
"""The tables that a run writes, and the columns that tell their rows apart."""

EXAMPLES = 5
"""Differing keys of a table that are shown."""

Ask = Callable[[str], Answer]


@dataclass(frozen=True, slots=True)
class Difference:
    """One key whose rows are not the same in both."""

    key: Mapping[str, str | None]
    live: int
    """Rows with this key that only the live table has."""
    rebuilt: int
    """Rows with this key that only the rebuilt table has."""
    columns: tuple[str, ...]
    """What differs, where each of the two has one row."""

    def __str__(self) -> str:
        key = "/".join("null" if value is None else str(value) for value in self.key.values())
        if self.columns:
            return f"{key}: {', '.join(self.columns)}"
        if self.live and self.rebuilt:
            return f"{key}: {self.live} rows live, {self.rebuilt} rebuilt"
        return f"{key}: only {'live' if self.live else 'rebuilt'}"

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {"key": dict(self.key), "live": self.live, "rebuilt": self.rebuilt, "columns": list(self.columns)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one table is in two databases."""

    table: str
    rows_live: int
    rows_rebuilt: int
    only_live: int
    """Rows that the rebuilt table does not have."""
    only_rebuilt: int
    """Rows that the live table does not have."""
    examples: tuple[Difference, ...] = ()
    """The first keys that differ, in order."""

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same rows."""
        return not self.only_live and not self.only_rebuilt

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {
            "table": self.table,
            "rows_live": self.rows_live,
            "rows_rebuilt": self.rows_rebuilt,
            "only_live": self.only_live,
            "only_rebuilt": self.only_rebuilt,
            "equal": self.is_equal,
            "examples": [one.as_json() for one in self.examples],
        }


def compare(ask: Ask, table: str, columns: Sequence[str], *, live: str, rebuilt: str) -> Comparison:
    """Compare *table* of the databases *live* and *rebuilt*.

    Args:
        ask: Answers a statement.
        table: One of `KEYS`.
        columns: Every column of the table.
        live: Name of a database.
        rebuilt: Name of another.

    Raises:
        QueryFailed: Athena refused or failed; a partition without its file, for one, fails a query.
    """
    ((rows_live, rows_rebuilt, only_live, only_rebuilt),) = ask(counting(table, columns, live, rebuilt)).rows
    found = Comparison(table, rows_live, rows_rebuilt, only_live, only_rebuilt)
    if found.is_equal:
        return found
    rows = ask(differing(table, columns, live, rebuilt)).as_dicts()
    return Comparison(table, rows_live, rows_rebuilt, only_live, only_rebuilt, _differences(rows, KEYS[table]))


def counting(table: str, columns: Sequence[str], live: str, rebuilt: str) -> str:
    """Return the statement that counts: rows of both, and those that only one of them has.

    Not EXCEPT both ways, which needs two readings of each table more and takes two equal rows for one.
    """
    return f"""SELECT
    COALESCE(SUM(live), 0) AS rows_live,
    COALESCE(SUM(rebuilt), 0) AS rows_rebuilt,
    COALESCE(SUM(GREATEST(live - rebuilt, 0)), 0) AS only_live,
    COALESCE(SUM(GREATEST(rebuilt - live, 0)), 0) AS only_rebuilt
FROM ({_counted(table, columns, live, rebuilt)}) AS counted"""  # noqa: S608 - names of our catalog


def differing(table: str, columns: Sequence[str], live: str, rebuilt: str) -> str:
    """Return the statement that gives the rows that only one has, the first ones by key."""
    # At most two rows a key, but for duplicates.
    return f"""SELECT * FROM ({_counted(table, columns, live, rebuilt)}) AS counted
WHERE live <> rebuilt
ORDER BY {", ".join(map(_quoted, KEYS[table]))}, rebuilt
LIMIT {2 * EXAMPLES}"""  # noqa: S608


def _counted(table: str, columns: Sequence[str], live: str, rebuilt: str) -> str:
    """Every different row, with how often each of the two has it."""
    names = ", ".join(map(_quoted, columns))
    return f"""
    SELECT {names}, SUM(is_live) AS live, SUM(1 - is_live) AS rebuilt
    FROM (
        SELECT {names}, 1 AS is_live FROM {_quoted(live)}.{_quoted(table)}
        UNION ALL
        SELECT {names}, 0 AS is_live FROM {_quoted(rebuilt)}.{_quoted(table)}
    ) AS sides
    GROUP BY {names}
"""  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _differences(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> tuple[Difference, ...]:
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = []
    for values, group in list(groups.items())[:EXAMPLES]:
        live = sum(max(row["live"] - row["rebuilt"], 0) for row in group)
        rebuilt = sum(max(row["rebuilt"] - row["live"], 0) for row in group)
        columns: tuple[str, ...] = ()
        if live == rebuilt == 1 and len(group) == 2:
            one, other = group
            columns = tuple(name for name in one if name not in ("live", "rebuilt") and one[name] != other[name])
        found.append(Difference(dict(zip(keys, values, strict=True)), live, rebuilt, columns))
    return tuple(found)
