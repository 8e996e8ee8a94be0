"""Compact tables: past years are merged by a rebuild, and a late session is seen at once all the same."""

from __future__ import annotations

import datetime as dt

from bovespa.layout import COMPACT_TABLE_NAMES, CompactYear, Session
from local.synthetic import synthetic_csv
from tests.compact_reckoning import sector_rows, session_rows
from tests.lake import Lake
from tests.reckoning import refined_rows

INDEX = "UTIL"
"""Two of its companies have two share classes."""
PAST = [dt.date(2024, 12, day) for day in (19, 20, 23)]
LATE = dt.date(2024, 12, 26)
PRESENT = [dt.date(2025, 1, day) for day in (2, 3)]


def test_a_rebuild_merges_past_years_and_a_late_session_parts_them_again(quiet_lake: Lake) -> None:
    contents = [synthetic_csv(INDEX, day) for day in (*PAST, *PRESENT)]
    for content in contents:
        quiet_lake.store(content)
    quiet_lake.refine("all")

    past = [CompactYear(table, INDEX, 2024) for table in COMPACT_TABLE_NAMES]
    present = [CompactYear(table, INDEX, 2025) for table in COMPACT_TABLE_NAMES]
    for year in past:
        objects = quiet_lake.versions(year.sessions_prefix)
        version = year.merged_version((key, etag.strip('"')) for key, (etag, _) in objects.items())
        assert _location(quiet_lake, year) == year.merged_location(version)
        assert quiet_lake.keys(year.merged_prefix) == [year.merged_key(version)]
    assert {_location(quiet_lake, year) == year.sessions_prefix for year in present} == {True}
    _assert_tables_are_those_of(quiet_lake, contents)

    late = synthetic_csv(INDEX, LATE)
    quiet_lake.store(late)
    quiet_lake.refine(Session(INDEX, LATE))

    assert {_location(quiet_lake, year) == year.sessions_prefix for year in past} == {True}
    _assert_tables_are_those_of(quiet_lake, [*contents, late])

    quiet_lake.refine("all")

    assert all(_location(quiet_lake, year).startswith(year.merged_prefix) for year in past)
    _assert_tables_are_those_of(quiet_lake, [*contents, late])


def test_a_rebuild_withdraws_what_has_no_raw_object_any_more(quiet_lake: Lake) -> None:
    index_code, days = "IMAT", [dt.date(2025, 2, day) for day in (3, 4)]
    contents = [synthetic_csv(index_code, day) for day in days]
    for content in contents:
        quiet_lake.store(content)
    quiet_lake.refine("all")
    gone = Session(index_code, days[1])
    quiet_lake.cloud.client("s3").delete_object(Bucket=quiet_lake.raw, Key=gone.raw_key)

    quiet_lake.refine("all")

    where = f"index_code = '{index_code}'"
    assert quiet_lake.rows(where) == refined_rows(contents[:1])
    assert quiet_lake.table("sessions", "index_code", "session_date", where=where) == session_rows(contents[:1])
    assert quiet_lake.keys(gone.receipts_prefix) == []


def _location(lake: Lake, year: CompactYear) -> str:
    partition = lake.cloud.client("glue").get_partition(
        DatabaseName="bovespa", TableName=year.table, PartitionValues=[year.index_code, str(year.session_year)]
    )["Partition"]
    return str(partition["StorageDescriptor"]["Location"]).removeprefix(f"s3://{lake.refined}/")


def _assert_tables_are_those_of(lake: Lake, contents: list[bytes]) -> None:
    where = f"index_code = '{INDEX}'"
    expected = {key: row | {"session_year": key[1][:4]} for key, row in refined_rows(contents).items()}
    assert lake.table("holdings", "index_code", "session_date", "ticker", where=where) == expected
    assert lake.table("sessions", "index_code", "session_date", where=where) == session_rows(contents)
    keys = ("index_code", "session_date", "sector", "subsector")
    sectors = sector_rows(contents)
    assert any(row["companies"] != row["holdings"] for row in sectors.values())
    assert lake.table("sectors", *keys, where=where) == sectors
