"""Rows of a compact table to one object a session, of one index or of the whole market.

No object holds rows of two sessions, so runs of different sessions never write the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from bovespa.layout import CompactYear, Session, TradingDay
from glue.lake import PARALLEL_REQUESTS, list_objects, put_unless_same, s3_client
from glue.parquet import by_session, by_trading_day, parquet_bytes, with_columns
from glue.schema import Columns, CompactTable, arrow_schema
from glue.transport import Step

STORED_COLUMNS: Columns = (
    ("index_code", "string"),
    ("session_date", "date"),
    ("rows", "int"),
    ("objects_put", "int"),
)
"""What `compact_writer` returns: one row a session; no index code where the table is of none."""


def compact_writer(bucket: str, table: CompactTable) -> Step:
    """Return the function that writes whole sessions of *table* to *bucket*.

    It must be given every row of a session at once. It yields one row of `STORED_COLUMNS` a session.
    """

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        arrived = [batch for batch in batches if batch.num_rows]
        if not arrived:
            return
        rows_of = by_session if table.is_by_index else by_trading_day
        sessions: list[tuple[Session | TradingDay, pa.Table]] = list(
            rows_of(pa.Table.from_batches(arrived), order=table.order)
        )
        objects = CompactObjects(s3_client(), bucket, table)
        objects.look_up(session for session, _ in sessions)
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            put = list(pool.map(lambda one: objects.put(*one), sessions))
        stored = [
            {
                "index_code": session.index_code if isinstance(session, Session) else None,
                "session_date": session.session_date,
                "rows": rows.num_rows,
                "objects_put": int(was_put),
            }
            for (session, rows), was_put in zip(sessions, put, strict=True)
        ]
        yield pa.RecordBatch.from_pylist(stored, schema=arrow_schema(STORED_COLUMNS))

    return write


class CompactObjects:
    """The objects of one compact table, a session each."""

    def __init__(self, client: Any, bucket: str, table: CompactTable) -> None:
        self._client = client
        self._bucket = bucket
        self._table = table
        self._etags: dict[CompactYear, dict[str, str]] = {}

    def look_up(self, sessions: Iterable[Session | TradingDay]) -> None:
        """Learn what is stored: one listing a year, from the first of *sessions* on, not a question for each session.

        The session of today is the last of its year, so that this does not grow with the year.

        Args:
            sessions: In the order of their dates, as those of a later call.
        """
        for session in sessions:
            year = CompactYear.of(self._table.name, session)
            if year not in self._etags:
                listed = list_objects(
                    self._client,
                    self._bucket,
                    year.sessions_prefix,
                    start_after=f"{year.sessions_prefix}{session.session_date}",
                )
                self._etags[year] = {item.key: item.etag for item in listed}

    def put(self, session: Session | TradingDay, rows: pa.Table) -> bool:
        """Make the object of *session*, which was looked up, hold *rows*; return whether it had to be written.

        Args:
            session: Whose rows they are.
            rows: All of them, in the table's order.
        """
        year = CompactYear.of(self._table.name, session)
        body = parquet_bytes(with_columns(self._table.columns, rows))
        key = year.key(session.session_date)
        return put_unless_same(self._client, self._bucket, key, body, self._etags[year].get(key))
