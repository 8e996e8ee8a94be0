"""The local Athena's engine over reckoned tables in memory: the same SQL without cloud and Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from glue.schema import COMPACT_TABLES, TRADING
from infrastructure.athena_queries import views
from local.athena_server.queries import View, translate
from local.athena_server.run import Answer, run_query
from local.athena_server.sql_types import SqlType, hive_type
from tests.compact_reckoning import sector_rows
from tests.trading_reckoning import refined_rows, session_rows, trading_rows

_DATABASE = "bovespa"
_KEYS: dict[str, tuple[str, ...]] = {
    "holdings": ("index_code", "session_date", "ticker"),
    "sessions": ("index_code", "session_date"),
    "sectors": ("index_code", "session_date", "sector", "subsector"),
    "trading": ("session_date", "ticker"),
}
_READERS: dict[str, Callable[[str], Any]] = {
    "varchar": str,
    "date": dt.date.fromisoformat,
    "decimal": Decimal,
    "boolean": lambda text: text == "True",
    "integer": int,
    "bigint": int,
}


@dataclass(frozen=True)
class _Table:
    columns: tuple[tuple[str, SqlType], ...]
    keys: tuple[str, ...]
    rows: pa.Table


class Tables:
    """The tables and views of a lake that holds given files."""

    def __init__(self, contents: Iterable[bytes], trading_days: Iterable[bytes]) -> None:
        contents, trading_days = list(contents), list(trading_days)
        holdings = refined_rows(contents, trading_days)
        reckoned: dict[str, Any] = {
            "holdings": {key: row | {"session_year": key[1][:4]} for key, row in holdings.items()},
            "sessions": session_rows(contents, trading_days),
            "sectors": sector_rows(contents),
            "trading": trading_rows(trading_days),
        }
        self._tables: dict[str, _Table | View] = {}
        for table in (*COMPACT_TABLES, TRADING):
            columns = tuple((name, hive_type(kind)) for name, kind in (*table.columns, *table.partition_keys))
            rows = [dict(zip(_KEYS[table.name], key, strict=True)) | row for key, row in reckoned[table.name].items()]
            arrays = [pa.array([_read(row[name], kind) for row in rows], kind.arrow) for name, kind in columns]
            names = [f"c{number}" for number in range(len(arrays))]
            keys = tuple(name for name, _ in table.partition_keys)
            self._tables[table.name] = _Table(columns, keys, pa.table(arrays, names=names))
        for view in views():
            query, _ = translate(view.select, _DATABASE, self._find)
            kinds = [field.sql.type for field in query.fields]
            self._tables[view.name] = View(_DATABASE, view.select, tuple(zip(query.names, kinds, strict=True)))

    def ask(self, sql: str) -> Answer:
        """Answer a query."""
        return run_query(sql, _DATABASE, self._find, lambda use: use.table.rows)

    def _find(self, _database: str, name: str) -> _Table | View | None:
        return self._tables.get(name)


def _read(text: str | None, kind: SqlType) -> Any:
    return None if text is None else _READERS[kind.name](text)
