"""Years of the compact tables on a real object store: whatever happens at once, readers end with what is newest."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bovespa.layout import CompactYear
from glue.catalog import PartitionCatalog
from glue.compact_years import CompactYears, year_merger
from glue.lake import list_objects, s3_client
from glue.parquet import parquet_bytes, with_columns
from glue.schema import SESSIONS, TRADING, Columns, arrow_schema
from tests.until import until

DAYS = [dt.date(2024, 12, day) for day in (19, 20, 23)]


@dataclass(frozen=True, kw_only=True)
class OneYear(CompactYears):
    """A year of one table, and the column of its rows that the tests tell apart."""

    year: CompactYear
    told: str

    @property
    def columns(self) -> Columns:
        return {table.name: table.columns for table in (SESSIONS, TRADING)}[self.year.table]


@pytest.fixture(params=["of an index", "of the market"])
def years(s3: Any, glue: Any, refined_bucket: str, request: pytest.FixtureRequest) -> Iterator[OneYear]:
    table, told = (SESSIONS, "holdings") if request.param == "of an index" else (TRADING, "trades")
    year = CompactYear(table.name, "IBOV" if table.is_by_index else None, 2024)
    database = f"d{uuid.uuid4().hex}"
    glue.create_database(DatabaseInput={"Name": database})
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": table.name,
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": kind} for name, kind in table.columns],
                "Location": f"s3://{refined_bucket}/{table.name}/",
            },
            "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in table.partition_keys],
        },
    )
    # The workers' client is made once a process; this test's store is another than the last one's.
    s3_client.cache_clear()
    catalog = PartitionCatalog(glue, database=database, table=table.name, bucket=refined_bucket)
    yield OneYear(s3, refined_bucket, {table.name: catalog}, year=year, told=told)
    s3_client.cache_clear()


def write(years: OneYear, day: dt.date, holdings: int) -> None:
    """Put the object of a session whose only telling value is *holdings*."""
    row = dict.fromkeys(name for name, _ in years.columns) | {"session_date": day, years.told: holdings}
    rows = pa.Table.from_pylist([row], schema=arrow_schema(years.columns))
    body = parquet_bytes(with_columns(years.columns, rows))
    years.client.put_object(Bucket=years.bucket, Key=years.year.key(day), Body=body)


def merge(years: OneYear) -> str | None:
    """Write the merged object as the job's workers do; return its version, None if the year kept changing."""
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "table": years.year.table,
                "index_code": years.year.index_code,
                "session_year": years.year.session_year,
            }
        ]
    )
    rows = [row for answer in year_merger(years.bucket)([batch]) for row in answer.to_pylist()]
    return str(rows[0]["version"]) if rows else None


def merged(years: OneYear) -> str:
    version = merge(years)
    assert version is not None
    return version


def location(years: OneYear) -> str | None:
    return years.catalogs[years.year.table].location(years.year)


def seen(years: OneYear) -> dict[dt.date, int]:
    """The holdings of each session, as a reader finds them through the catalog; a session seen twice fails."""
    found: dict[dt.date, int] = {}
    for item in list_objects(years.client, years.bucket, location(years) or "nowhere/"):
        body = years.client.get_object(Bucket=years.bucket, Key=item.key)["Body"].read()
        for row in pq.read_table(pa.BufferReader(body)).to_pylist():
            assert row["session_date"] not in found
            found[row["session_date"]] = row[years.told]
    return found


def test_a_merged_year_is_read_from_one_object_and_stays_so_while_nothing_changes(years: OneYear) -> None:
    for day in DAYS:
        write(years, day, 80)
    years.show(years.year)
    assert location(years) == years.year.sessions_prefix

    version = merged(years)
    years.show_merged(years.year, version)
    years.show(years.year)

    assert location(years) == years.year.merged_location(version)
    assert seen(years) == dict.fromkeys(DAYS, 80)
    assert merge(years) == version


def test_a_session_that_changes_while_a_year_is_merged_is_seen(years: OneYear) -> None:
    for day in DAYS:
        write(years, day, 80)
    version = merged(years)
    write(years, DAYS[1], 81)
    years.show(years.year)

    years.show_merged(years.year, version)

    assert location(years) == years.year.sessions_prefix
    assert seen(years) == {DAYS[0]: 80, DAYS[1]: 81, DAYS[2]: 80}


def test_old_merged_objects_go_and_the_one_that_is_shown_stays(years: OneYear) -> None:
    impatient = replace(years, kept=dt.timedelta(seconds=-1))
    for holdings in (80, 81):
        write(years, DAYS[0], holdings)
        version = merged(years)
        years.show_merged(years.year, version)
    kept = [item.key for item in list_objects(years.client, years.bucket, years.year.merged_prefix)]
    assert len(kept) == 2, "a query that began before may still read the other one"

    impatient.show_merged(years.year, version)

    left = [item.key for item in list_objects(years.client, years.bucket, years.year.merged_prefix)]
    assert left == [years.year.merged_key(version)]
    assert seen(years) == {DAYS[0]: 81}


def test_a_merged_object_stays_for_a_while_after_it_was_replaced_however_old_it_is(years: OneYear) -> None:
    patient = replace(years, kept=dt.timedelta(seconds=1))
    write(years, DAYS[0], 80)
    patient.show_merged(years.year, merged(years))
    made_s = time.monotonic()
    # The store's clock tells whole seconds.
    until(lambda: time.monotonic() > made_s + 2.1, every_s=0.1)
    write(years, DAYS[0], 81)
    patient.show_merged(years.year, merged(years))
    assert len(list(list_objects(years.client, years.bucket, years.year.merged_prefix))) == 2


def test_readers_go_back_to_the_sessions_objects_where_the_merged_one_is_lost(years: OneYear) -> None:
    write(years, DAYS[0], 80)
    version = merged(years)
    years.show_merged(years.year, version)
    years.client.delete_object(Bucket=years.bucket, Key=years.year.merged_key(version))

    years.show(years.year)

    assert location(years) == years.year.sessions_prefix
    assert seen(years) == {DAYS[0]: 80}


def test_a_year_without_sessions_leaves_the_catalog(years: OneYear) -> None:
    write(years, DAYS[0], 80)
    years.show(years.year)
    years.client.delete_object(Bucket=years.bucket, Key=years.year.key(DAYS[0]))

    years.show(years.year)
    years.show(years.year)

    assert location(years) is None


def test_a_session_written_at_the_same_moment_as_a_merge_is_never_lost(years: OneYear) -> None:
    for day in DAYS:
        write(years, day, 0)
    years.show(years.year)

    def rewrite(day: dt.date, holdings: int) -> None:
        write(years, day, holdings)
        years.show(years.year)

    def rebuild() -> None:
        if (version := merge(years)) is not None:
            years.show_merged(years.year, version)

    with ThreadPoolExecutor(3) as pool:
        for holdings in range(1, 61):
            running = [pool.submit(rebuild), pool.submit(rewrite, DAYS[0], holdings), pool.submit(rebuild)]
            for one in running:
                one.result()
            assert seen(years) == dict.fromkeys(DAYS, 0) | {DAYS[0]: holdings}
