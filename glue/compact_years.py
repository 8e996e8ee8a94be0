"""Years of the compact tables: which objects a reader takes, and one object for a whole past year.

A session's own object is always there. Merging adds one object for all sessions of the year and lets the catalog point
at it, in one step that no reader can see half of; nothing is taken away from the sessions' objects, so whoever changes
one of them has only to point the catalog back. Whoever points it at a merged object looks again afterwards: a session
that was written in between sends the readers back to the sessions' objects. So simultaneous runs lose nothing.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bovespa.layout import CompactYear
from glue.catalog import PartitionCatalog
from glue.lake import (
    PARALLEL_REQUESTS,
    ObjectMoved,
    StoredObject,
    delete_objects,
    holds_any,
    list_objects,
    read_version,
    s3_client,
)
from glue.parquet import parquet_bytes, read_parquet, with_columns
from glue.schema import COMPACT_TABLES, TRADING, Columns, arrow_schema
from glue.transport import Step

ROW_GROUP_ROWS = 4096
"""Rows are in order of session, so a question about some weeks reads few groups of a year's 22,500 rows."""

COMPACT_YEAR_COLUMNS: Columns = (("table", "string"), ("index_code", "string"), ("session_year", "int"))
"""What `year_merger` takes: one row a year; no index code where the table is of none."""

MERGED_COLUMNS: Columns = (*COMPACT_YEAR_COLUMNS, ("version", "string"))
"""What `year_merger` returns: one row a year that it merged."""

_MAX_ATTEMPTS = 5

_COLUMNS = {table.name: table.columns for table in (*COMPACT_TABLES, TRADING)}


def year_merger(bucket: str) -> Step:
    """Return the function that writes the merged object of each year it is given.

    A year without sessions is left out, and so is one that other runs change all the time: it is read as it is, from
    its sessions' objects.
    """

    def merge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = s3_client()
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for batch in batches:
                for row in batch.to_pylist():
                    version = _merge(client, bucket, CompactYear(**row), pool)
                    if version is not None:
                        yield pa.RecordBatch.from_pylist(
                            [{**row, "version": version}], schema=arrow_schema(MERGED_COLUMNS)
                        )

    return merge


def _merge(client: Any, bucket: str, year: CompactYear, pool: ThreadPoolExecutor) -> str | None:
    for _attempt in range(_MAX_ATTEMPTS):
        objects = list(list_objects(client, bucket, year.sessions_prefix))
        if not objects:
            return None
        version = _version(year, objects)
        if holds_any(client, bucket, year.merged_location(version)):
            return version
        try:
            # Keys are dates, so the listing is in the order of the sessions.
            rows = pa.concat_tables(pool.map(lambda item: _read(client, bucket, item), objects))
        except ObjectMoved:
            continue
        body = parquet_bytes(with_columns(_COLUMNS[year.table], rows), row_group_rows=ROW_GROUP_ROWS)
        client.put_object(Bucket=bucket, Key=year.merged_key(version), Body=body)
        return version
    return None


def _version(year: CompactYear, objects: Iterable[StoredObject]) -> str:
    return year.merged_version((item.key, item.etag) for item in objects)


def _read(client: Any, bucket: str, item: StoredObject) -> pa.Table:
    return read_parquet(read_version(client, bucket, item.key, item.etag))


@dataclass(frozen=True, slots=True)
class CompactYears:
    """The years of the compact tables, as readers find them through the catalog."""

    client: Any
    bucket: str
    catalogs: Mapping[str, PartitionCatalog]
    """One a compact table, by its name."""
    kept: dt.timedelta = dt.timedelta(days=1)
    """How long a merged object is kept once another was made: a query may still read it, another run may be about to
    show it."""

    def show(self, year: CompactYear) -> None:
        """Let readers take what *year* holds now; a year without sessions leaves the catalog.

        They are sent to the sessions' objects, unless they take a merged object already that holds just these.

        Raises:
            CatalogRefused: Glue did not take it.
        """
        catalog = self.catalogs[year.table]
        if not self._has_sessions(year):
            catalog.forget(year)
            # Another run may have written and registered the year's first session in between.
            if self._has_sessions(year):
                catalog.point(year, year.sessions_prefix)
            return
        location = catalog.location(year)
        # Of a year that is not merged, the rest need not be known, and a full one takes long to list.
        if location is not None and location.startswith(year.merged_prefix):
            version = _version(year, self._sessions(year))
            # Never pointed at the merged object from here: a session may have been written since the listing.
            if location == year.merged_location(version) and self._has_merged(year, version):
                return
        catalog.point(year, year.sessions_prefix)

    def show_merged(self, year: CompactYear, version: str) -> None:
        """Let readers take the merged object of *year*, unless a session has changed since it was made.

        Raises:
            CatalogRefused: Glue did not take it.
        """
        catalog = self.catalogs[year.table]
        catalog.point(year, year.merged_location(version))
        if _version(year, self._sessions(year)) != version:
            catalog.point(year, year.sessions_prefix)
        merged = sorted(
            list_objects(self.client, self.bucket, year.merged_prefix), key=lambda item: (item.modified_at, item.key)
        )
        newest, own = merged[-1].modified_at, year.merged_key(version)
        # One is out of use since the next was made, by the store's clock.
        replaced = [(item.key, after.modified_at) for item, after in itertools.pairwise(merged)]
        old = [key for key, since in replaced if key != own and newest - since > self.kept]
        delete_objects(self.client, self.bucket, old)

    def _has_merged(self, year: CompactYear, version: str) -> bool:
        return holds_any(self.client, self.bucket, year.merged_location(version))

    def _has_sessions(self, year: CompactYear) -> bool:
        return holds_any(self.client, self.bucket, year.sessions_prefix)

    def _sessions(self, year: CompactYear) -> list[StoredObject]:
        return list(list_objects(self.client, self.bucket, year.sessions_prefix))
