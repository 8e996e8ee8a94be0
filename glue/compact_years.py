"""Years of the compact tables: which objects a reader takes, and one object for a whole past year.

A session's own object is always there. Merging adds one object for all sessions of the year and lets the catalog point
at it, in one step that no reader can see half of; nothing is taken away from the sessions' objects, so whoever changes
one of them has only to point the catalog back. Whoever points it at a merged object looks again afterwards: a session
that was written in between sends the readers back to the sessions' objects. So simultaneous runs lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from bovespa.layout import CompactYear
from glue.catalog import PartitionCatalog
from glue.lake import StoredObject, delete_objects, list_objects, s3_client
from glue.parquet import parquet_bytes
from glue.schema import COMPACT_TABLES

PARALLEL_REQUESTS = 16
"""Requests one worker keeps in flight."""

ROW_GROUP_ROWS = 4096
"""Rows are in order of session, so a question about some weeks reads few groups of a year's 22,500 rows."""

YEAR_DDL = "table string, index_code string, session_year int"
"""Spark's schema of what `year_merger` takes: one row a year."""

MERGED_DDL = f"{YEAR_DDL}, version string"
"""Spark's schema of what `year_merger` returns: one row a year that has objects."""

_MERGED_SCHEMA = pa.schema(
    [("table", pa.string()), ("index_code", pa.string()), ("session_year", pa.int32()), ("version", pa.string())]
)

_MAX_ATTEMPTS = 5
_CHANGED = ("PreconditionFailed", "NoSuchKey")
"""What S3 says of an object that was replaced or deleted since it was listed."""

_COLUMNS = {table.name: table.columns for table in COMPACT_TABLES}


class YearKeepsChanging(RuntimeError):
    """Sessions of a year were written during every attempt to merge it."""


def year_merger(bucket: str) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return the function for `DataFrame.mapInArrow` that writes the merged object of each year it is given.

    The function raises `YearKeepsChanging` if runs change the year all the time.
    """

    def merge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = s3_client()
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for batch in batches:
                for row in batch.to_pylist():
                    version = _merge(client, bucket, CompactYear(**row), pool)
                    if version is not None:
                        yield pa.RecordBatch.from_pylist([{**row, "version": version}], schema=_MERGED_SCHEMA)

    return merge


def _merge(client: Any, bucket: str, year: CompactYear, pool: ThreadPoolExecutor) -> str | None:
    for _attempt in range(_MAX_ATTEMPTS):
        objects = list(list_objects(client, bucket, year.sessions_prefix))
        if not objects:
            return None
        version = _version(year, objects)
        if any(True for _ in list_objects(client, bucket, year.merged_location(version))):
            return version
        try:
            # Keys are dates, so the listing is in the order of the sessions.
            rows = pa.concat_tables(pool.map(lambda item: _read(client, bucket, item), objects))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CHANGED:
                raise
            continue
        body = parquet_bytes(_COLUMNS[year.table], rows, row_group_rows=ROW_GROUP_ROWS)
        client.put_object(Bucket=bucket, Key=year.merged_key(version), Body=body)
        return version
    raise YearKeepsChanging(f"{year.prefix} changed during each of {_MAX_ATTEMPTS} attempts to merge it; try again.")


def _version(year: CompactYear, objects: Iterable[StoredObject]) -> str:
    return year.merged_version((item.key, item.etag) for item in objects)


def _read(client: Any, bucket: str, item: StoredObject) -> pa.Table:
    body = client.get_object(Bucket=bucket, Key=item.key, IfMatch=item.etag)["Body"].read()
    return pq.read_table(pa.BufferReader(body))


@dataclass(frozen=True, slots=True)
class CompactYears:
    """The years of the compact tables, as readers find them through the catalog."""

    client: Any
    bucket: str
    catalogs: Mapping[str, PartitionCatalog]
    """One a compact table, by its name."""

    def show_sessions(self, year: CompactYear) -> None:
        """Let readers take the sessions' objects of *year*; a year without any leaves the catalog.

        Raises:
            CatalogRefused: Glue did not take it.
        """
        catalog = self.catalogs[year.table]
        if self._has_sessions(year):
            catalog.point(year, year.sessions_prefix)
            return
        catalog.forget(year)
        # Another run may have written and registered the year's first session in between.
        if self._has_sessions(year):
            catalog.point(year, year.sessions_prefix)

    def show_merged(self, year: CompactYear, version: str) -> None:
        """Let readers take the merged object of *year*, unless a session has changed since it was made.

        Raises:
            CatalogRefused: Glue did not take it.
        """
        catalog = self.catalogs[year.table]
        before = catalog.location(year)
        catalog.point(year, year.merged_location(version))
        if _version(year, list_objects(self.client, self.bucket, year.sessions_prefix)) != version:
            catalog.point(year, year.sessions_prefix)
        # A query that began before may still read what the catalog named then.
        kept = {before, year.merged_location(version)}
        merged = list_objects(self.client, self.bucket, year.merged_prefix)
        old = [item.key for item in merged if f"{item.key.rpartition('/')[0]}/" not in kept]
        delete_objects(self.client, self.bucket, old)

    def _has_sessions(self, year: CompactYear) -> bool:
        return any(True for _ in list_objects(self.client, self.bucket, year.sessions_prefix))
