"""The doctor on trading days of a running lake: every fault that is planted is found, and mended where it can be."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bovespa.calendar import trading_days
from bovespa.cotahist_writer import whole_file
from bovespa.imports import ImportManifest
from bovespa.layout import CompactYear, Import, TradingDay, TradingReceipt
from bovespa.records import Provenance
from bovespa.source_files import SourceFile
from local.cloud import PROJECT
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv
from s3_bucket_manager.trading_parquet import read_trading_day, read_trading_facts, trading_bytes
from s3_bucket_manager.trading_store import TradingStore
from tests.few_trades import FewTradingDays, few_cotahist, few_quotes, few_records
from tests.lake import Lake
from tests.operator_commands import flask_command
from tests.until import until

DAYS = [TradingDay(day) for day in trading_days(dt.date(2024, 12, 16), dt.date(2025, 1, 10))]
NEVER_REFINED = TradingDay(dt.date(2025, 1, 13))
SATURDAY = TradingDay(dt.date(2025, 1, 4))
PERIOD = ("--from", str(DAYS[0].session_date), "--to", str(NEVER_REFINED.session_date))
NOBODY = "IGNM"
"""An index of which the lake has nothing, so that only trading days are examined."""
TRADED = "UTIL"
"""The index whose papers trade on these days."""


def doctor(pipeline: Pipeline, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = flask_command(pipeline.environment, "doctor", "--index", NOBODY, "--json", *PERIOD, *arguments)
    assert answer.stdout, answer.stderr
    return answer.exit_code, json.loads(answer.stdout)


def by_kind(report: dict[str, Any]) -> dict[str, set[str | None]]:
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    for one in report["findings"]:
        assert one["index"] is None
        found[one["kind"]].add(one["session_date"])
    return dict(found)


def dates(*days: TradingDay) -> set[str | None]:
    return {str(day.session_date) for day in days}


class Saboteur:
    """Plants faults in the lake as accidents would."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.s3, self.glue = lake.cloud.client("s3"), lake.cloud.client("glue")

    def body(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=self.lake.raw, Key=key)["Body"].read()
        return content

    def source_key(self, day: TradingDay) -> str:
        return read_trading_facts(self.body(day.raw_key))["source_key"]

    def delete_raw(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.lake.raw, Key=key)

    def put_raw(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        """Marked so that its arrival starts no run."""
        marked = (metadata or {}) | {"import-id": "planted"}
        self.s3.put_object(Bucket=self.lake.raw, Key=key, Body=body, Metadata=marked)

    def forge(self, day: TradingDay) -> None:
        """Other values under the digest of the true bytes, in the Parquet and beside it."""
        found = self.s3.get_object(Bucket=self.lake.raw, Key=day.raw_key)
        content = found["Body"].read()
        changed, *others = read_trading_day(content, day)
        forged = trading_bytes([replace(changed, trades=changed.trades + 1), *others], read_trading_facts(content))
        self.put_raw(day.raw_key, forged, found["Metadata"])

    def delete_refined(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.lake.refined, Key=key)

    def put_refined(self, key: str) -> None:
        self.s3.put_object(Bucket=self.lake.refined, Key=key, Body=b"planted")

    def point(self, year: CompactYear, location: str) -> None:
        table = {"DatabaseName": "bovespa", "TableName": year.table}
        found = self.glue.get_partition(**table, PartitionValues=list(year.values))["Partition"]
        given = {"Values": found["Values"], "StorageDescriptor": {**found["StorageDescriptor"], "Location": location}}
        self.glue.update_partition(**table, PartitionValueList=list(year.values), PartitionInput=given)

    def drop(self, year: CompactYear) -> None:
        self.glue.delete_partition(DatabaseName="bovespa", TableName=year.table, PartitionValues=list(year.values))

    def fail_a_run(self, day: TradingDay) -> None:
        run_id = self.glue.start_job_run(JobName="bovespa-refine", Arguments={"--sessions": str(day)})["JobRunId"]

        def has_failed() -> bool:
            run = self.glue.get_job_run(JobName="bovespa-refine", RunId=run_id)["JobRun"]
            assert run["JobRunState"] != "SUCCEEDED"
            return bool(run["JobRunState"] == "FAILED")

        until(has_failed, timeout_s=120, every_s=0.1)


@pytest.fixture(scope="module")
def few_published(pipeline: Pipeline) -> Iterator[None]:
    """B3 publishes what is stored here, and after these tests a whole market again."""
    pipeline.stand_in.set(today=None, faults=[])  # whatever the tests before had it show
    published, pipeline.stand_in.trading_days = pipeline.stand_in.trading_days, FewTradingDays(TRADED)
    yield
    pipeline.stand_in.trading_days = published


@pytest.fixture(scope="module")
def healthy(lake: Lake, few_published: None) -> TradingStore:  # noqa: ARG001 - a fixture cannot be asked for by a mark
    """Trading days since the first portfolio, refined by one run: of 2024 from one file, of 2025 each from its own."""
    lake.wait_until_refined(lake.store(synthetic_csv("ICON", DAYS[0].session_date)))
    store = TradingStore(lake.cloud.client("s3"), lake.raw)
    now = dt.datetime.now(dt.UTC)
    made_by = Import("healthy-trading")
    provenance = Provenance("", "x.txt", "file:x.txt", now, "import", import_id=made_by.import_id)
    old = [day.session_date for day in DAYS if day.session_date.year == 2024]
    whole = whole_file(max(old), (record for day in old for record in few_records(day, TRADED)))
    for day in DAYS:
        quotes, year = few_quotes(day.session_date, TRADED), 2024 if day.session_date in old else None
        text = few_cotahist(day.session_date, TRADED) if year is None else whole
        store.store(day, quotes, SourceFile.of_bytes(text), provenance, year=year)
    store.announce(ImportManifest(made_by, (), now, trading_days=tuple(DAYS)))
    lake.wait_until_refined(*DAYS)
    return store


def test_healthy_trading_days_have_no_findings_planted_faults_are_found_and_mended(
    lake: Lake, pipeline: Pipeline, healthy: TradingStore
) -> None:
    last = ("--to", str(DAYS[-1].session_date))
    assert doctor(pipeline, "--trading-days", *last)[1]["findings"] == []
    rows = lake.table("trading", "session_date", "ticker")

    hand = Saboteur(lake)
    year_2024, year_2025 = CompactYear("trading", None, 2024), CompactYear("trading", None, 2025)
    (damaged, forged, without_file, outdated, raw_gone), new = DAYS[:5], DAYS[9:]
    receiptless, source_gone, source_damaged = new[1:4]
    assert receiptless.session_date.year == 2025
    hand.put_raw(damaged.raw_key, b"PAR1")
    hand.fail_a_run(damaged)
    hand.forge(forged)
    hand.delete_refined(year_2024.key(without_file.session_date))
    hand.put_refined(TradingReceipt(outdated, "0f0f").key)
    hand.delete_raw(raw_gone.raw_key)
    hand.delete_refined(*lake.keys(receiptless.receipts_prefix))
    hand.delete_raw(hand.source_key(source_gone))
    kept = hand.body(hand.source_key(source_damaged))
    hand.put_raw(hand.source_key(source_damaged), kept[:-1])
    hand.put_refined(TradingReceipt(SATURDAY, "0f").key)
    hand.put_refined(year_2025.key(SATURDAY.session_date))
    hand.point(year_2024, f"s3://{lake.refined}/{year_2024.merged_location('0f')}")
    hand.drop(year_2025)
    foreign_key = "trading/session_date=2024-12-20/notes.txt"
    hand.put_raw(foreign_key, b"x")
    provenance = Provenance("", "x.txt", "file:x.txt", dt.datetime.now(dt.UTC), "import", import_id="died")
    text = few_cotahist(NEVER_REFINED.session_date, TRADED)
    quotes = few_quotes(NEVER_REFINED.session_date, TRADED)
    healthy.store(NEVER_REFINED, quotes, SourceFile.of_bytes(text), provenance)

    newest = [TradingDay(year.session_date(max(lake.keys(year.sessions_prefix)))) for year in (year_2024, year_2025)]
    expected = {
        "raw_damaged": dates(damaged, forged),
        "run_failed": dates(damaged),
        "failed_run": {None},
        "not_refined": dates(forged, NEVER_REFINED),
        "outdated_receipt": dates(damaged, forged, outdated),
        "missing_file": dates(without_file),
        "missing_trading_day": dates(raw_gone),
        "refined_without_raw": dates(raw_gone, SATURDAY),
        "receipt_missing": dates(receiptless),
        "source_missing": dates(source_gone),
        "source_damaged": {None},
        "stale_merge": dates(newest[0]),
        "missing_partition": dates(newest[1]),
        "foreign_object": {None},
    }
    code, report = doctor(pipeline, "--trading-days")
    assert (code, by_kind(report)) == (1, expected)
    cures = {one["kind"]: one["cure"] for one in report["findings"]}
    assert (cures["raw_damaged"], cures["source_missing"], cures["stale_merge"]) == ("fetch", "by hand", "refine")
    details = " ".join(one["detail"] for one in report["findings"])
    for named in ("no Parquet", "rows are not those", "0f0f", "trading 2024", "trading 2025", "notes.txt"):
        assert named in details

    runs_before = {run["Id"] for run in lake.runs()}
    _, report = doctor(pipeline, "--trading-days", "--repair")
    assert report["problems"] == []
    lake.wait_until_refined(damaged, forged, raw_gone)
    started = {run["Arguments"]["--sessions"] for run in lake.runs() if run["Id"] not in runs_before}
    of_import, of_days = sorted(started)
    assert of_import.startswith("import:repair-trading-"), "what B3 gave again has a run of its own"
    refined = {without_file, outdated, raw_gone, receiptless, SATURDAY, NEVER_REFINED, *newest}
    assert {TradingDay.parse(name) for name in of_days.split(",")} == refined

    # What is left is for a person, who does what the findings say.
    code, report = doctor(pipeline, "--trading-days")
    assert by_kind(report).keys() == {"source_missing", "source_damaged", "foreign_object"}
    hand.delete_raw(foreign_key)
    hand.put_raw(hand.source_key(source_damaged), kept)
    lake.store_trading_day(few_cotahist(source_gone.session_date, TRADED))
    code, report = doctor(pipeline, "--trading-days")
    assert (code, report["findings"]) == (0, [])
    repaired = lake.table("trading", "session_date", "ticker")
    assert {key: row for key, row in repaired.items() if key[0] != str(NEVER_REFINED.session_date)} == rows


@pytest.mark.usefixtures("healthy")
def test_rows_are_compared_with_their_files_only_when_asked(lake: Lake, pipeline: Pipeline) -> None:
    """A forgery that is refined as it is: only the file of B3 tells."""
    day = DAYS[-1]
    hand = Saboteur(lake)
    hand.forge(day)
    hand.glue.start_job_run(JobName="bovespa-refine", Arguments={"--sessions": str(day)})
    lake.wait_until_refined(day)
    arguments = [sys.executable, "-m", "flask", "--app", "app", "doctor", "--json", "--from", str(day.session_date)]
    answer = subprocess.run(
        [*arguments, "--to", str(day.session_date)],
        cwd=PROJECT,
        env=dict(os.environ) | pipeline.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(answer.stdout)["findings"]
    assert [one for one in found if one["index"] is None] == []
    last = ("--from", str(day.session_date), "--to", str(day.session_date))
    assert by_kind(doctor(pipeline, "--trading-days", *last)[1]) == {"raw_damaged": dates(day)}
    # The same file once more mends it, although the forgery bears its digest.
    lake.store_trading_day(few_cotahist(day.session_date, TRADED))
    lake.wait_until_refined(day)
    assert doctor(pipeline, "--trading-days", *last) == (0, {"findings": [], "summary": {}, "problems": []})
