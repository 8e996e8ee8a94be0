"""Reads what the refined bucket and the catalog hold of the years of the compact tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bovespa.errors import UnexpectedEvent
from bovespa.layout import CompactYear, compact_prefix
from maintenance.years import YearFacts, subject
from s3_bucket_manager.aws import storage_errors
from s3_bucket_manager.listing import list_all


class YearReader:
    """Reads years; writes nothing.

    Args:
        s3: A client.
        glue: A client.
        refined_bucket: Where the rows are.
        database: The Glue database of the tables.
    """

    def __init__(self, s3: Any, glue: Any, *, refined_bucket: str, database: str) -> None:
        self._s3 = s3
        self._glue = glue
        self._refined_bucket = refined_bucket
        self._database = database

    def read(self, table: str, index_code: str | None, within: range, foreign: list[str]) -> Iterator[YearFacts]:
        """Yield the years of *table* of which anything exists; whole years, for a merged object is one year's.

        Args:
            table: A compact table.
            index_code: The index; None for a table of the whole market.
            within: The calendar years.
            foreign: Receives the URIs of objects that are in no place of the table.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        locations = self._locations(table, index_code)
        objects: defaultdict[int, dict[str, str]] = defaultdict(dict)
        merged: defaultdict[int, set[str]] = defaultdict(set)
        for entry in list_all(self._s3, self._refined_bucket, compact_prefix(table, index_code)):
            try:
                year = CompactYear.of_key(table, index_code, entry.key)
                if entry.key.startswith(year.merged_prefix):
                    merged[year.session_year].add(entry.key)
                    continue
                subject(year, entry.key)
            except UnexpectedEvent:
                foreign.append(f"s3://{self._refined_bucket}/{entry.key}")
            else:
                objects[year.session_year][entry.key] = entry.etag
        for number in sorted(objects.keys() | merged.keys() | locations.keys()):
            if number in within:
                yield YearFacts(
                    CompactYear(table, index_code, number),
                    objects.get(number, {}),
                    frozenset(merged.get(number, ())),
                    locations.get(number),
                )

    def registered(self, table: str, expression: str | None = None) -> Iterator[tuple[list[str], str]]:
        """Yield values and location of the partitions of *table*, those for which *expression* holds.

        Raises:
            StorageUnavailable: Glue did not answer or refused.
        """
        narrowed = {} if expression is None else {"Expression": expression}
        with storage_errors(f"asking for the partitions of {self._database}.{table}"):
            pages = self._glue.get_paginator("get_partitions").paginate(
                DatabaseName=self._database, TableName=table, ExcludeColumnSchema=True, **narrowed
            )
            for page in pages:
                for partition in page["Partitions"]:
                    yield partition["Values"], partition["StorageDescriptor"].get("Location", "")

    def _locations(self, table: str, index_code: str | None) -> dict[int, str]:
        of_index = None if index_code is None else f"index_code = '{index_code}'"
        own = [] if index_code is None else [index_code]
        # What a repair rests on is checked again here.
        return {int(found[-1]): place for found, place in self.registered(table, of_index) if found[:-1] == own}
