"""A question to Athena, and its answer as rows, through the same API on AWS and on the local cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bovespa.errors import BovespaError
from infrastructure.waiting import polls

_TIMEOUT_S = 600.0

_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "float": float,
    "double": float,
    "boolean": lambda text: text == "true",
}
"""Types that have an exact counterpart in Python and JSON; the others, decimals and dates among them, stay text."""


class QueryFailed(BovespaError):
    """Athena refused the query or could not finish it; the message is Athena's own."""

    code = "query_failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Athena answered."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Whole numbers as int, decimals and dates as the text Athena gives, NULL as None."""
    elapsed_s: float
    query_id: str
    scanned_bytes: int
    """What Athena bills; the local Athena counts whole files, Athena only the columns that it reads of them."""

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as one dict each."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def ask(client: Any, sql: str, *, database: str, workgroup: str) -> Answer:
    """Run *sql* and wait for its answer.

    Args:
        client: A boto3 Athena client.
        sql: One statement of Athena's SQL.
        database: Where unqualified tables are looked up.
        workgroup: Says where the answer is kept.

    Raises:
        QueryFailed: Athena refused it, failed, or needed more than ten minutes.
    """
    started = time.monotonic()
    query_id = client.start_query_execution(
        QueryString=sql, QueryExecutionContext={"Database": database}, WorkGroup=workgroup
    )["QueryExecutionId"]
    statistics = _wait(client, query_id).get("Statistics", {})
    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = []
    for page in client.get_paginator("get_query_results").paginate(QueryExecutionId=query_id):
        described = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        converters = [_CONVERTERS.get(column["Type"].lower(), str) for column in described]
        data = page["ResultSet"]["Rows"]
        if not columns:
            columns = tuple(column["Name"] for column in described)
            # The first row of the first page of a SELECT repeats the names.
            if data and [value.get("VarCharValue") for value in data[0]["Data"]] == list(columns):
                data = data[1:]
        rows.extend(
            tuple(
                convert(value["VarCharValue"]) if "VarCharValue" in value else None
                for convert, value in zip(converters, row["Data"], strict=True)
            )
            for row in data
        )
    return Answer(
        columns,
        tuple(rows),
        time.monotonic() - started,
        query_id=query_id,
        scanned_bytes=int(statistics.get("DataScannedInBytes", 0)),
    )


def _wait(client: Any, query_id: str) -> dict[str, Any]:
    for _ in polls(_TIMEOUT_S, first_s=0.01, slowest_s=1.0):
        execution: dict[str, Any] = client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        status = execution["Status"]
        if status["State"] == "SUCCEEDED":
            return execution
        if status["State"] in ("FAILED", "CANCELLED"):
            raise QueryFailed(f"Athena: {status.get('StateChangeReason') or status['State']}")
    client.stop_query_execution(QueryExecutionId=query_id)
    raise QueryFailed(f"Athena did not answer within {_TIMEOUT_S:g} s; the query was cancelled.")
