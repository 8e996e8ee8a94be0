"""Runs a translated query in a DuckDB that reaches neither files nor the network."""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling

from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.queries import Catalog, translate
from local.athena_server.scope import PythonFunction, TableUse
from local.athena_server.sql_types import SqlType, text_of
from local.athena_server.values import failure_in

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # DuckDB would look for Python variables with the name of an unknown table.
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "2",
}
_LOCKS = ("SET enable_external_access = false", "SET lock_configuration = true")

# What Trino calls the failures that DuckDB itself notices.
_FAILURES = (
    (duckdb.OutOfRangeException, "NUMERIC_VALUE_OUT_OF_RANGE"),
    (duckdb.ConversionException, "INVALID_CAST_ARGUMENT"),
    (duckdb.InvalidInputException, "INVALID_FUNCTION_ARGUMENT"),
)

Loader = Callable[[TableUse], pa.Table]
"""Returns a table's rows, whose columns are `c0`, `c1`, ... in the table's order."""


class _Database:
    """The DuckDB of this process: to start one takes longer than most queries.

    Each query has a connection of its own to it, and the tables registered there are nobody else's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: duckdb.DuckDBPyConnection | None = None
        self._functions: set[str] = set()

    def connect(self, functions: Mapping[PythonFunction, str]) -> duckdb.DuckDBPyConnection:
        """Return a new connection that has *functions*."""
        with self._lock:
            if self._first is None:
                self._first = duckdb.connect(":memory:", config=_CONFIG)
                # What is still there when Python ends is told on stderr as leaked.
                atexit.register(self._first.close)
                for lock in _LOCKS:
                    self._first.execute(lock)
            for (function, arguments, result), name in functions.items():
                if name not in self._functions:
                    self._first.create_function(
                        name,
                        _of_arity(function, len(arguments)),
                        list(arguments),
                        result,
                        null_handling=FunctionNullHandling.SPECIAL,
                    )
                    self._functions.add(name)
            return self._first.cursor()


_DATABASE = _Database()


@dataclass(frozen=True)
class Answer:
    """What a statement answers: texts as Athena writes them, None for NULL."""

    columns: tuple[tuple[str, SqlType], ...]
    rows: list[list[str | None]]


def run_query(
    text: str,
    database: str,
    catalog: Catalog,
    load: Loader,
    *,
    started: Callable[[duckdb.DuckDBPyConnection], None] = lambda _connection: None,
) -> Answer:
    """Answer one query.

    Args:
        text: A SELECT, WITH or VALUES statement.
        database: Where unqualified tables are looked up.
        catalog: Finds tables and views.
        load: Reads a table.
        started: Is given the connection before the query runs, to interrupt it.

    Raises:
        StatementFailed: Athena would refuse or fail it, or the local Athena cannot answer it truthfully.
    """
    query, translation = translate(text, database, catalog)
    connection = _DATABASE.connect(translation.functions)
    try:
        for use in translation.tables:
            connection.register(use.name, load(use))
        started(connection)
        try:
            result = connection.execute(query.text)
            kinds = [field.sql.type for field in query.fields]
            _check_types([str(column[1]) for column in result.description or ()], kinds)
            rows = result.fetchall()
        except duckdb.Error as error:
            raise _failure(error) from None
    finally:
        connection.close()
    columns = tuple(zip(query.names, kinds, strict=True))
    return Answer(columns, [[text_of(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows])


def _of_arity(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return *function* with exactly *count* parameters, which DuckDB counts."""

    def called(*arguments: Any) -> Any:
        return function(*arguments)

    names = (f"p{number}" for number in range(count))
    called.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])  # type: ignore[attr-defined]
    return called


def _check_types(found: list[str], kinds: list[SqlType]) -> None:
    """Refuse an answer whose type is not Trino's: its value would not be, either."""
    for duckdb_type, kind in zip(found, kinds, strict=True):
        if kind.name not in ("unknown", "row") and duckdb_type != kind.duckdb:
            raise not_supported(f"an expression that came out as {duckdb_type} and not as {kind}")


def _failure(error: duckdb.Error) -> StatementFailed:
    text = str(error)
    found = failure_in(text)
    if found is not None:
        return StatementFailed(*found)
    first = re.sub(r"^[A-Za-z ]+ Error: ", "", text.partition("\n")[0])
    if isinstance(error, duckdb.InterruptException):
        return StatementFailed("USER_CANCELED", "Query was canceled")
    if "More than one row returned by a subquery" in text:
        return StatementFailed("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
    if "verflow" in first:
        return StatementFailed("NUMERIC_VALUE_OUT_OF_RANGE", first)
    for kind, name in _FAILURES:
        if isinstance(error, kind):
            return StatementFailed(name, first)
    return not_supported(first)
