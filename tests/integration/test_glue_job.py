"""What the Glue job does when the raw bucket changes under it, or holds what it should not."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bovespa.calendar import trading_days_before
from bovespa.imports import ImportManifest
from bovespa.layout import Import, Session
from bovespa.portfolio import View
from bovespa.portfolio_csv import serialise_csv
from local.cloud_faults import CloudFault, CloudFaults, Refusal
from local.synthetic import synthetic_csv, synthetic_portfolio
from tests import reckoning
from tests.lake import Lake
from tests.until import until


def test_a_raw_object_with_other_types_fails_the_run_and_publishes_nothing(quiet_lake: Lake) -> None:
    session = quiet_lake.store(synthetic_csv("UTIL", dt.date(2025, 2, 3)))
    s3 = quiet_lake.cloud.client("s3")
    table = pq.read_table(io.BytesIO(s3.get_object(Bucket=quiet_lake.raw, Key=session.raw_key)["Body"].read()))
    position = table.schema.get_field_index("participation_pct")
    drifted = table.set_column(position, "participation_pct", table["participation_pct"].cast(pa.float64()))
    sink = io.BytesIO()
    pq.write_table(drifted, sink)
    s3.put_object(Bucket=quiet_lake.raw, Key=session.raw_key, Body=sink.getvalue())
    state, message = quiet_lake.outcome(quiet_lake.start(session))
    assert state == "FAILED"
    assert "UnexpectedRawSchema" in message
    assert "participation_pct: double" in message
    assert quiet_lake.keys(session.refined_prefix) == []


def test_foreign_objects_under_a_sessions_prefix_are_removed(quiet_lake: Lake) -> None:
    content = synthetic_csv("IMAT", dt.date(2025, 2, 3))
    session = quiet_lake.store(content)
    s3 = quiet_lake.cloud.client("s3")
    leftover = f"{session.refined_prefix}ticker=ZZZZ3/part-00000.snappy.parquet"
    s3.put_object(Bucket=quiet_lake.refined, Key=leftover, Body=b"left behind by another writer")
    quiet_lake.refine(session)
    assert leftover not in quiet_lake.keys(session.refined_prefix)
    assert quiet_lake.rows("index_code = 'IMAT'") == reckoning.refined_rows([content])


def test_partitions_that_disagree_with_the_session_or_the_table_are_mended(quiet_lake: Lake) -> None:
    content = synthetic_csv("IGCX", dt.date(2025, 2, 3))
    session = quiet_lake.store(content)
    quiet_lake.refine(session)
    glue = quiet_lake.cloud.client("glue")
    names = {"DatabaseName": "bovespa", "TableName": "portfolio"}
    first, second, third, *_ = sorted(quiet_lake.tickers_in_catalog(session))
    values = [session.index_code, str(session.session_date)]

    def described(ticker: str) -> dict[str, Any]:
        partition = glue.get_partition(**names, PartitionValues=[*values, ticker])["Partition"]
        return {"Values": partition["Values"], "StorageDescriptor": partition["StorageDescriptor"]}

    sound = [described(first), described(second)]
    moved, narrow, stray = described(first), described(second), described(first)
    moved["StorageDescriptor"]["Location"] += "elsewhere/"
    narrow["StorageDescriptor"]["Columns"] = narrow["StorageDescriptor"]["Columns"][:3]
    stray["Values"] = [*values, "ZZZZ3"]
    glue.batch_update_partition(
        **names, Entries=[{"PartitionValueList": item["Values"], "PartitionInput": item} for item in (moved, narrow)]
    )
    glue.delete_partition(**names, PartitionValues=[*values, third])
    glue.batch_create_partition(**names, PartitionInputList=[stray])

    quiet_lake.refine(session)
    assert quiet_lake.tickers_in_catalog(session) == quiet_lake.tickers_in_files(session)
    assert [described(first), described(second)] == sound


def test_a_run_over_an_import_refines_the_sessions_of_its_manifest(quiet_lake: Lake) -> None:
    contents = [synthetic_csv("IBSD", day) for day in trading_days_before(dt.date(2025, 2, 5), 2)]
    sessions = tuple(quiet_lake.store(content) for content in contents)
    manifest = ImportManifest(Import("20250205T120000Z-0f"), sessions, dt.datetime(2025, 2, 5, 12, tzinfo=dt.UTC))
    quiet_lake.cloud.client("s3").put_object(Bucket=quiet_lake.raw, Key=manifest.made_by.key, Body=manifest.to_json())
    quiet_lake.refine(manifest.made_by)
    assert quiet_lake.rows("index_code = 'IBSD'") == reckoning.refined_rows(contents)


def test_a_second_run_writes_no_object_again(quiet_lake: Lake) -> None:
    session = quiet_lake.store(synthetic_csv("IEEX", dt.date(2025, 2, 3)))
    quiet_lake.refine(session, correlation_id="desk-7")
    data = ("portfolio/", "holdings/", "sessions/", "sectors/")
    before, registered = [quiet_lake.versions(prefix) for prefix in data], parameters(quiet_lake, session)
    assert [one["correlation_id"] for one in registered] == ["desk-7"] * len(registered)
    # Who asks does not matter: the receipt names the newest run, and nothing else is touched.
    quiet_lake.refine(session, correlation_id="desk-8")
    assert [quiet_lake.versions(prefix) for prefix in data] == before
    assert parameters(quiet_lake, session) == registered
    (receipt,) = quiet_lake.keys(session.receipts_prefix)
    told = json.loads(quiet_lake.cloud.client("s3").get_object(Bucket=quiet_lake.refined, Key=receipt)["Body"].read())
    assert told["correlation_id"] == "desk-8"


def parameters(lake: Lake, session: Session) -> list[dict[str, str]]:
    """What the partitions of a session say of who registered them."""
    pages = (
        lake.cloud.client("glue")
        .get_paginator("get_partitions")
        .paginate(DatabaseName="bovespa", TableName="portfolio", Expression=f"index_code = '{session.index_code}'")
    )
    return [partition["Parameters"] for page in pages for partition in page["Partitions"]]


def test_an_object_that_changes_during_a_run_makes_the_run_start_over(quiet_lake: Lake) -> None:
    """No later run mends what this one would have left behind: the newest rows must come from the run itself."""
    first, second = (Session("IMOB", day) for day in trading_days_before(dt.date(2025, 3, 1), 2))
    old = serialise_csv(synthetic_portfolio("IMOB", second.session_date, View.CODE))
    late = synthetic_csv("IMOB", first.session_date)
    quiet_lake.store(old)
    run_id = quiet_lake.start(second)
    log = quiet_lake.cloud.work_dir / f"run-{run_id}.log"
    # The job says so when it has listed the raw objects and is about to read them.
    until(lambda: log.exists() and "refining" in log.read_text(encoding="utf-8"), timeout_s=60)
    quiet_lake.store(late)
    assert quiet_lake.outcome(run_id) == ("SUCCEEDED", "")
    assert "starting over" in log.read_text(encoding="utf-8")
    expected = reckoning.refined_rows([late, old])
    assert quiet_lake.rows("index_code = 'IMOB'") == {
        key: row for key, row in expected.items() if key[1] == str(second.session_date)
    }


@pytest.mark.parametrize("is_deleted", [False, True], ids=["replaced", "deleted"])
def test_an_object_that_moves_before_it_is_read_is_not_read_and_the_run_starts_over(
    quiet_lake: Lake, is_deleted: bool
) -> None:
    """Otherwise a run could rest on two versions of what it has listed once."""
    index_code = "IBHB" if is_deleted else "IBEE"
    first, second = (Session(index_code, day) for day in trading_days_before(dt.date(2025, 2, 5), 2))
    old, new = (synthetic_csv(index_code, first.session_date, view) for view in (View.CODE, View.SECTOR))
    asked = synthetic_csv(index_code, second.session_date)
    quiet_lake.store(old)
    quiet_lake.store(asked)
    faults = CloudFaults(quiet_lake.cloud.endpoint_url)
    try:
        faults.set(CloudFault(f"GET /{quiet_lake.raw}/.*{first.session_date}/portfolio.parquet", times=1))
        run_id = quiet_lake.start(second)
        until(faults.hits, timeout_s=60, every_s=0.05)
        if is_deleted:
            quiet_lake.cloud.client("s3").delete_object(Bucket=quiet_lake.raw, Key=first.raw_key)
        else:
            quiet_lake.store(new)
        faults.set()
        assert quiet_lake.outcome(run_id) == ("SUCCEEDED", "")
    finally:
        faults.set()
    lines = (quiet_lake.cloud.work_dir / f"run-{run_id}.log").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line)["message"] for line in lines if line.startswith("{")]
    assert [word for word in told if word in ("refining", "written")] == ["refining", "refining", "written"]
    expected = reckoning.refined_rows([asked] if is_deleted else [new, asked])
    assert quiet_lake.rows(f"index_code = '{index_code}'") == {
        key: row for key, row in expected.items() if key[1] == str(second.session_date)
    }


def test_a_run_for_something_that_is_no_session_fails_with_the_reason(quiet_lake: Lake) -> None:
    outcome = quiet_lake.outcome(quiet_lake.start("IBOV/2025-02-30"))
    assert outcome == ("FAILED", "InvalidRequest: '2025-02-30' is not a date.")


def test_a_run_that_gives_up_after_its_second_look_acknowledges_nothing(quiet_lake: Lake) -> None:
    """Its rows rest on what was there before, and a receipt would keep the doctor from looking at them."""
    first, second = (Session("IFNC", day) for day in trading_days_before(dt.date(2025, 3, 1), 2))
    quiet_lake.store(synthetic_csv("IFNC", second.session_date))
    faults = CloudFaults(quiet_lake.cloud.endpoint_url)
    try:
        faults.set(CloudFault("AWSGlue.BatchCreatePartition"))
        run_id = quiet_lake.start(second)
        until(faults.hits, timeout_s=60, every_s=0.05)
        quiet_lake.store(synthetic_csv("IFNC", first.session_date))
        faults.set(CloudFault(f"PUT /{quiet_lake.refined}/portfolio/.*", answer=Refusal(403, "AccessDenied")))
        state, _ = quiet_lake.outcome(run_id)
    finally:
        faults.set()
    assert state == "FAILED"
    assert quiet_lake.tickers_in_catalog(second) == quiet_lake.tickers_in_files(second) != set()
    assert quiet_lake.keys(second.receipts_prefix) == []
    quiet_lake.refine(second)
    assert len(quiet_lake.keys(second.receipts_prefix)) == 1
