"""`flask import-cotahist` as its own process against a real object store: days, years, recordings, broken files."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from api.trading_importing import TradingImporter
from benchmarks.cotahist import PEAK_BOUND_MB, RECORDS_A_DAY, import_files, write_year
from bovespa.calendar import trading_days
from bovespa.cotahist import RECORD_BYTES
from bovespa.imports import ImportManifest
from bovespa.layout import Import, TradingDay
from bovespa.records import StoredTradingDay
from local.cloud import PROJECT
from local.synthetic_trading import synthetic_cotahist, synthetic_quotes, zipped
from s3_bucket_manager.trading_parquet import read_trading_day, read_trading_facts
from s3_bucket_manager.trading_store import TradingStore

DAYS = list(trading_days(dt.date(2025, 6, 2), dt.date(2025, 6, 6)))


@pytest.fixture
def environment(object_store: str, raw_bucket: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": object_store,
        "BOVESPA_RAW_BUCKET": raw_bucket,
        "BOVESPA_REFINED_BUCKET": "not-used",
        "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
        "BOVESPA_USERS": json.dumps({"ana": "scrypt:32768:8:1$a$b"}),
    }


def imported(environment: dict[str, str], *arguments: object) -> tuple[int, dict[str, Any]]:
    answer = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "import-cotahist", "--json", *map(str, arguments)],
        cwd=PROJECT,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def keys(s3: Any, bucket: str, prefix: str = "") -> list[str]:
    """Keys of all versions ever written, so that a superfluous write shows."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return sorted(version["Key"] for page in pages for version in page.get("Versions", ()))


def body(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key.removeprefix(f"s3://{bucket}/"))["Body"].read()
    return content


def test_the_recorded_days_are_stored_and_the_recorded_truncated_one_is_refused(
    s3: Any, raw_bucket: str, environment: dict[str, str], recordings: Path
) -> None:
    status, report = imported(environment, recordings / "cotahist")
    assert (status, report["files"], report["stored"], report["unchanged"], report["trading_days"]) == (1, 3, 2, 0, 2)
    (refused,) = report["refused"]
    assert Path(refused["file"]).name == "COTAHIST_D04012016.truncated.TXT"
    assert refused["code"] == "trading_day_does_not_add_up"
    assert "the trailer counts 1745 records" in refused["reason"]
    assert body(s3, raw_bucket, refused["quarantine_uri"]) == Path(refused["file"]).read_bytes()
    reason = json.loads(body(s3, raw_bucket, refused["quarantine_uri"].replace(".txt", ".json")))
    assert reason["line"] is not None
    assert reason["file_name"] == "COTAHIST_D04012016.truncated.TXT"
    day = TradingDay(dt.date(2021, 3, 26))
    quotes = {quote.ticker: quote for quote in read_trading_day(body(s3, raw_bucket, day.raw_key), day)}
    assert (quotes["PETR4"].trades, str(quotes["PETR4"].close_price_brl)) == (64_400, "23.46000000")
    assert len(quotes) == 1056
    facts = read_trading_facts(body(s3, raw_bucket, day.raw_key))
    assert body(s3, raw_bucket, facts["source_key"]) == (recordings / "cotahist/COTAHIST_D26032021.TXT").read_bytes()
    assert facts["source_key"] == day.source_key(facts["source_sha256"], ".txt")
    manifest = ImportManifest.from_json(body(s3, raw_bucket, report["manifest_uri"]))
    assert manifest.trading_days == (TradingDay(dt.date(2021, 3, 25)), day)
    assert manifest.sessions == ()
    metadata = s3.head_object(Bucket=raw_bucket, Key=day.raw_key)["Metadata"]
    assert (metadata["import-id"], metadata["way"], metadata["rows"]) == (report["import_id"], "import", "1056")


def test_a_year_is_split_by_day_and_kept_once(
    s3: Any, raw_bucket: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Its records are sorted by paper; a daily file of one of its days says nothing new, and another does."""
    year = tmp_path / "COTAHIST_A2021.ZIP"
    days = list(trading_days(dt.date(2021, 3, 22), dt.date(2021, 4, 5)))
    write_year(year, 700 * len(days), days=days)
    status, report = imported(environment, year)
    assert (status, report["stored"], report["replaced"], report["refused"]) == (0, len(days), [], [])
    (source,) = keys(s3, raw_bucket, "source/")
    assert source.startswith("source/trading/year=2021/")
    assert body(s3, raw_bucket, source) == year.read_bytes()
    assert keys(s3, raw_bucket, "trading/") == [TradingDay(day).raw_key for day in days]
    before = keys(s3, raw_bucket)

    status, again = imported(environment, year)

    assert (status, again["stored"], again["unchanged"], again["manifest_uri"]) == (0, 0, len(days), None)
    assert keys(s3, raw_bucket) == before
    # The market of another day is news on all but the day that the year was made from.
    daily = tmp_path / "COTAHIST_D29032021.ZIP"
    daily.write_bytes(zipped(synthetic_cotahist(dt.date(2021, 3, 29)), daily.name))
    status, other = imported(environment, daily)
    assert (status, other["stored"], other["replaced"]) == (0, 1, ["trading/2021-03-29"])
    day = TradingDay(dt.date(2021, 3, 29))
    stored = read_trading_day(body(s3, raw_bucket, day.raw_key), day)
    assert list(stored) == sorted(synthetic_quotes(day.session_date), key=lambda quote: quote.ticker)
    assert keys(s3, raw_bucket, "trading/").count(day.raw_key) == 2


def test_what_was_stored_before_it_was_stopped_is_announced(s3: Any, raw_bucket: str, tmp_path: Path) -> None:
    last_is_stored = threading.Event()

    class StoppedByItsOperator(TradingStore):
        """Ctrl-C comes when the last of three days is stored, and the one before it is not yet."""

        def store(self, day: TradingDay, *arguments: Any, **named: Any) -> StoredTradingDay:
            if day == TradingDay(DAYS[1]):
                assert last_is_stored.wait(30)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            stored = super().store(day, *arguments, **named)
            if day == TradingDay(DAYS[2]):
                last_is_stored.set()
            return stored

    path = tmp_path / "COTAHIST_A2025.ZIP"
    write_year(path, 300, days=DAYS[:3])
    importer = TradingImporter(StoppedByItsOperator(s3, raw_bucket), clock=lambda: dt.datetime.now(dt.UTC))
    made_by = Import("stopped")
    # A process that was started in the background ignores it, and so do its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            importer.run([path], made_by)
    finally:
        signal.signal(signal.SIGINT, before)
    manifest = ImportManifest.from_json(body(s3, raw_bucket, made_by.key))
    stored = map(TradingDay.from_raw_key, keys(s3, raw_bucket, "trading/"))
    assert set(manifest.trading_days) == set(stored) == set(map(TradingDay, DAYS[:3]))


def test_days_in_any_order_twice_and_broken_ones_among_them(
    s3: Any, raw_bucket: str, environment: dict[str, str], tmp_path: Path
) -> None:
    for day in DAYS:
        name = f"COTAHIST_D{day:%d%m%Y}.ZIP"
        (tmp_path / name).write_bytes(zipped(synthetic_cotahist(day), name))
    first = tmp_path / f"COTAHIST_D{DAYS[0]:%d%m%Y}.ZIP"
    (tmp_path / "copy.zip").write_bytes(first.read_bytes())
    (tmp_path / "unpacked.TXT").write_bytes(synthetic_cotahist(DAYS[0]))
    (tmp_path / "COTAHIST_D07062025.ZIP").write_bytes(first.read_bytes())
    (tmp_path / "COTAHIST_D32132025.ZIP").write_bytes(first.read_bytes())
    (tmp_path / "half.zip").write_bytes(first.read_bytes()[:3000])
    (tmp_path / "page.zip").write_bytes(b"<html>")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "notes.csv").write_bytes(b"nothing of ours")
    status, report = imported(environment, tmp_path)
    assert (status, report["files"]) == (1, len(DAYS) + 7)
    assert (report["stored"], report["unchanged"], report["trading_days"]) == (len(DAYS), 2, len(DAYS))
    refused = {Path(one["file"]).name: one["code"] for one in report["refused"]}
    assert refused == {
        "COTAHIST_D07062025.ZIP": "trading_day_does_not_add_up",
        "COTAHIST_D32132025.ZIP": "trading_day_unreadable",
        "half.zip": "trading_day_unreadable",
        "page.zip": "trading_day_unreadable",
        "empty.txt": "trading_day_unreadable",
    }
    # The same bytes under another name are quarantined once a second at most; each reason says its own file.
    assert len({one["quarantine_uri"] for one in report["refused"]}) >= 4
    assert sorted(set(keys(s3, raw_bucket, "trading/"))) == [TradingDay(day).raw_key for day in DAYS]


def test_a_year_that_is_refused_at_its_very_end_leaves_nothing(
    s3: Any, raw_bucket: str, environment: dict[str, str], tmp_path: Path
) -> None:
    year = tmp_path / "COTAHIST_A2021.TXT"
    write_year(year, 20_000, days=list(trading_days(dt.date(2021, 3, 1), dt.date(2021, 4, 9))))
    content = year.read_bytes()
    year.write_bytes(content[: -(RECORD_BYTES + 2)])
    status, report = imported(environment, year)
    assert (status, report["stored"], report["trading_days"], report["manifest_uri"]) == (1, 0, 0, None)
    assert "cut off" in report["refused"][0]["reason"]
    assert {key.partition("/")[0] for key in keys(s3, raw_bucket)} == {"quarantine"}
    other = tmp_path / "COTAHIST_A2020.TXT"
    other.write_bytes(content)
    status, report = imported(environment, other)
    assert (status, report["refused"][0]["code"]) == (1, "trading_day_does_not_add_up")
    assert {key.partition("/")[0] for key in keys(s3, raw_bucket)} == {"quarantine"}


def test_two_hundred_thousand_records_stay_within_the_bound_of_a_year(
    s3: Any, raw_bucket: str, environment: dict[str, str], tmp_path: Path
) -> None:
    year = tmp_path / "COTAHIST_A2021.TXT"
    write_year(year, 200_000)
    done = import_files(environment, year)
    assert len(keys(s3, raw_bucket, "trading/")) == 200_000 // RECORDS_A_DAY
    assert done.peak_mb < PEAK_BOUND_MB
