"""Rows of refined sessions to one object a ticker, and to one compact object.

Spark's own committer writes each file under a temporary name, then copies and deletes it: some 25 requests for each of
the 90 tiny partitions of a session. Here each partition is one object under a name that never varies, put once and
atomically, so a reader sees a ticker's old row or its new one, never none, two, or half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from bovespa.layout import RefinedPartition, Session
from glue.compact_writer import CompactObjects
from glue.lake import PARALLEL_REQUESTS, list_objects, put_unless_same, s3_client
from glue.parquet import by_session, parquet_bytes, with_columns
from glue.schema import HOLDINGS, REFINED_COLUMNS, Columns, arrow_schema
from glue.transport import Step

if TYPE_CHECKING:
    from decimal import Decimal

WRITTEN_COLUMNS: Columns = (
    ("index_code", "string"),
    ("session_date", "date"),
    ("holdings", "int"),
    ("theoretical_quantity", "bigint"),
    ("participation_pct", "decimal(9,3)"),
    ("tickers", "array<string>"),
    ("unknown_sector_labels", "array<string>"),
    ("stale_keys", "array<string>"),
    ("objects_put", "int"),
    ("objects_unchanged", "int"),
)
"""What `partition_writer` returns: one row a session."""


@dataclass(frozen=True, slots=True)
class WrittenSession:
    """What one session's objects are after the run, and what it took."""

    session: Session
    holdings: int
    theoretical_quantity: int
    participation_pct: Decimal
    tickers: tuple[str, ...]
    unknown_sector_labels: tuple[str, ...]
    """B3's spellings that `bovespa.sectors` does not know; their rows have no sector."""
    stale_keys: tuple[str, ...]
    """Objects under the session's prefix that do not belong to it (any more)."""
    objects_put: int
    objects_unchanged: int
    """Objects that already had these very bytes."""


def partition_writer(bucket: str) -> Step:
    """Return the function that writes whole sessions to *bucket*, to `portfolio` and to `holdings`.

    It must be given every row of a session at once. It yields one row of `WRITTEN_COLUMNS` a session.
    """

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        arrived = [batch for batch in batches if batch.num_rows]
        if not arrived:
            return
        client = s3_client()
        compact = CompactObjects(client, bucket, HOLDINGS)
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for session, rows in by_session(pa.Table.from_batches(arrived), order="ticker"):
                compact.look_up([session])
                compact.put(session, rows)
                yield _as_batch(_write_session(client, bucket, session, rows, pool))

    return write


def _write_session(
    client: Any, bucket: str, session: Session, rows: pa.Table, pool: ThreadPoolExecutor
) -> WrittenSession:
    existing = {item.key: item.etag for item in list_objects(client, bucket, session.refined_prefix)}
    tickers = rows["ticker"].to_pylist()

    # All of them are made before the first is put: what takes time in between, readers see as a mix of old and new.
    stored = with_columns(REFINED_COLUMNS, rows)
    bodies = {
        RefinedPartition(session, ticker).key: parquet_bytes(stored.slice(position, 1))
        for position, ticker in enumerate(tickers)
    }
    changed = list(pool.map(lambda key: put_unless_same(client, bucket, key, bodies[key], existing.get(key)), bodies))
    return WrittenSession(
        session=session,
        holdings=len(tickers),
        theoretical_quantity=pc.sum(rows["theoretical_quantity"]).as_py(),
        participation_pct=sum(rows["participation_pct"].to_pylist()),
        tickers=tuple(tickers),
        unknown_sector_labels=_unknown_sector_labels(rows),
        stale_keys=tuple(sorted(existing.keys() - bodies.keys())),
        objects_put=sum(changed),
        objects_unchanged=len(changed) - sum(changed),
    )


def _unknown_sector_labels(rows: pa.Table) -> tuple[str, ...]:
    labels = rows.filter(pc.is_null(rows["sector"]))["sector_as_published"].to_pylist()
    return tuple(sorted({label for label in labels if label is not None}))


def _as_batch(written: WrittenSession) -> pa.RecordBatch:
    row = {
        "index_code": written.session.index_code,
        "session_date": written.session.session_date,
        "holdings": written.holdings,
        "theoretical_quantity": written.theoretical_quantity,
        "participation_pct": written.participation_pct,
        "tickers": list(written.tickers),
        "unknown_sector_labels": list(written.unknown_sector_labels),
        "stale_keys": list(written.stale_keys),
        "objects_put": written.objects_put,
        "objects_unchanged": written.objects_unchanged,
    }
    return pa.RecordBatch.from_pylist([row], schema=arrow_schema(WRITTEN_COLUMNS))


def from_row(row: Mapping[str, Any]) -> WrittenSession:
    """Read back, on the driver, a row that `partition_writer` yielded."""
    return WrittenSession(
        session=Session(row["index_code"], row["session_date"]),
        holdings=row["holdings"],
        theoretical_quantity=row["theoretical_quantity"],
        participation_pct=row["participation_pct"],
        tickers=tuple(row["tickers"]),
        unknown_sector_labels=tuple(row["unknown_sector_labels"]),
        stale_keys=tuple(row["stale_keys"]),
        objects_put=row["objects_put"],
        objects_unchanged=row["objects_unchanged"],
    )
