"""`GET /tradingDay`, `ingest-trading-day` and `import-cotahist` with what fetches and stores handed in."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from werkzeug.test import TestResponse

from api.import_commands import import_cotahist_command
from api.trading_commands import ingest_trading_day_command
from api.trading_importing import TradingImporter
from api.trading_ingestion import TradingDayIngestion
from bovespa.calendar import trading_days as calendar_days
from bovespa.errors import (
    BovespaError,
    SourceTimeout,
    SourceUnavailable,
    StorageUnavailable,
    TradingDayNotPublished,
)
from bovespa.imports import ImportManifest
from bovespa.layout import Import, TradingDay
from bovespa.records import StoreStatus
from local.synthetic_trading import synthetic_cotahist, synthetic_quotes, zipped
from tests.api_in_process import NOW, TradingFile, TradingShelf, bearer, client, published_day, trading_days
from tests.until import until

# NOW is Friday, 21 February 2025, at noon in São Paulo.
FRIDAY, THURSDAY = dt.date(2025, 2, 21), dt.date(2025, 2, 20)
EVENING = NOW + dt.timedelta(hours=9)


def get(query: str = "", *, trading: TradingDayIngestion | None = None, now: dt.datetime = NOW) -> TestResponse:
    return client(trading=trading or trading_days(now=now), now=now).get(
        f"/tradingDay{query}", headers=bearer(issued=now)
    )


def failing(error: Exception) -> Callable[[dt.date], TradingFile]:
    def fetch(_day: dt.date) -> TradingFile:
        raise error

    return fetch


# --- the route


def test_the_answer_has_exactly_the_fields_of_the_contract() -> None:
    shelf = TradingShelf()
    answer = get("?date=2025-02-20", trading=trading_days(shelf=shelf)).get_json()
    quotes = synthetic_quotes(THURSDAY)
    assert isinstance(answer.pop("elapsed_ms"), int)
    sha256 = answer.pop("source_sha256")
    assert answer == {
        "session_date": "2025-02-20",
        "records": synthetic_cotahist(THURSDAY).count(b"\n"),
        "rows": len(quotes),
        "status": "stored",
        "raw_uri": "s3://raw/trading/session_date=2025-02-20/trading.parquet",
        "source_uri": f"s3://raw/source/trading/session_date=2025-02-20/{sha256}.zip",
        "trades": sum(quote.trades for quote in quotes),
        "volume_brl": str(sum(quote.volume_brl for quote in quotes)),
    }
    assert shelf.stored == {THURSDAY: quotes}
    (provenance,) = shelf.provenances
    assert (provenance.index_code, provenance.way, provenance.import_id) == ("", "https", None)


def test_a_day_that_is_stored_already_is_unchanged() -> None:
    shelf = TradingShelf(status=StoreStatus.UNCHANGED)
    assert get("?date=2025-02-20", trading=trading_days(shelf=shelf)).get_json()["status"] == "unchanged"


@pytest.mark.parametrize(("now", "expected"), [(NOW, "2025-02-20"), (EVENING, "2025-02-21")])
def test_without_a_date_the_last_finished_session_is_fetched(now: dt.datetime, expected: str) -> None:
    assert get(now=now).get_json()["session_date"] == expected


def test_the_session_of_today_may_be_asked_for_before_the_evening() -> None:
    assert get("?date=2025-02-21").get_json()["session_date"] == "2025-02-21"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?date=2025-02-22", 400, "not_a_trading_day"),
        ("?date=2025-03-04", 400, "not_a_trading_day"),
        ("?date=2025-02-24", 400, "day_not_over"),
        ("?date=2024-12-25", 400, "not_a_trading_day"),
        ("?date=1997-12-30", 400, "invalid_date"),
        ("?date=20250220", 400, "invalid_date"),
        ("?date=", 400, "invalid_date"),
        ("?day=2025-02-20", 400, "unknown_parameter"),
        ("?date=2025-02-20&date=2025-02-20", 400, "unknown_parameter"),
    ],
)
def test_a_day_that_cannot_be_is_refused_before_b3_is_asked(query: str, status: int, code: str) -> None:
    answer = get(query, trading=trading_days(failing(AssertionError("B3 was asked"))))
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_without_a_token_nothing_is_fetched() -> None:
    answer = client(trading=trading_days(failing(AssertionError("B3 was asked")))).get("/tradingDay")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (TradingDayNotPublished("not yet"), 404, "trading_day_not_published", "1800"),
        (SourceUnavailable("HTTP 520"), 503, "b3_unavailable", "60"),
        (SourceTimeout("late"), 504, "b3_timeout", "60"),
        (StorageUnavailable("away"), 503, "storage_unavailable", "30"),
    ],
)
def test_each_error_has_its_own_status_and_code(error: BovespaError, status: int, code: str, retry_after: str) -> None:
    answer = get(trading=trading_days(failing(error)))
    assert (answer.status_code, answer.get_json()["code"], answer.headers["Retry-After"]) == (status, code, retry_after)
    assert answer.get_json()["detail"] == str(error)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda text: text[:-300], "trading_day_unreadable"),
        (lambda text: text.replace(b"20250220", b"20250219", 1), "trading_day_does_not_add_up"),
    ],
)
def test_a_file_that_must_not_be_published_goes_to_quarantine(spoil: Callable[[bytes], bytes], code: str) -> None:
    shelf = TradingShelf()
    content = zipped(spoil(synthetic_cotahist(THURSDAY)), "COTAHIST_D20022025.ZIP")
    answer = get(trading=trading_days(lambda _day: TradingFile(content, "x"), shelf))
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (502, code)
    assert problem["line"] >= 1
    ((kept, error, provenance),) = shelf.refused
    assert (kept, error.code, provenance.file_name) == (content, code, "x")
    assert shelf.stored == {}


def test_simultaneous_calls_for_one_day_share_one_fetch() -> None:
    asked: list[dt.date] = []
    go = threading.Event()

    def fetch(day: dt.date) -> TradingFile:
        asked.append(day)
        assert go.wait(20)
        return published_day(day)

    trading = trading_days(fetch)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(trading.run, THURSDAY) for _ in range(3)]
        other = pool.submit(trading.run, dt.date(2025, 2, 19))
        try:
            until(lambda: trading._flights.callers(THURSDAY) == 3 and len(asked) == 2, timeout_s=20)
        finally:
            go.set()
        assert len({id(call.result(20)) for call in calls}) == 1
        assert other.result(20).stored.session.session_date == dt.date(2025, 2, 19)
    assert sorted(asked) == [dt.date(2025, 2, 19), THURSDAY]


# --- the command


def ingest(trading: TradingDayIngestion, *arguments: str, now: dt.datetime = NOW) -> tuple[Result, list[Any]]:
    command: click.Command = ingest_trading_day_command(lambda: trading, clock=lambda: now)
    answer = CliRunner().invoke(command, arguments)
    return answer, [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def test_without_a_date_the_command_fetches_the_last_finished_session() -> None:
    shelf = TradingShelf()
    answer, lines = ingest(trading_days(shelf=shelf))
    assert (answer.exit_code, [line["session_date"] for line in lines]) == (0, ["2025-02-20"])
    assert shelf.manifests == []


def test_a_period_is_fetched_day_by_day_and_causes_one_run() -> None:
    shelf = TradingShelf()
    answer, lines = ingest(trading_days(shelf=shelf), "--from", "2025-02-14")
    days = list(calendar_days(dt.date(2025, 2, 14), THURSDAY))
    assert answer.exit_code == 0
    assert [line["session_date"] for line in lines] == [str(day) for day in days]
    (manifest,) = shelf.manifests
    assert manifest.trading_days == tuple(map(TradingDay, days))
    assert {one.import_id for one in shelf.provenances} == {manifest.made_by.import_id}


def test_a_day_that_fails_keeps_no_other_from_being_stored() -> None:
    def fetch(day: dt.date) -> TradingFile:
        if day == dt.date(2025, 2, 18):
            raise TradingDayNotPublished("B3 has none")
        return published_day(day)

    shelf = TradingShelf()
    answer, lines = ingest(trading_days(fetch, shelf), "--from", "2025-02-17", "--to", "2025-02-19")
    assert answer.exit_code == 1
    assert lines[1] == {
        "session_date": "2025-02-18",
        "status": "failed",
        "code": "trading_day_not_published",
        "detail": "B3 has none",
    }
    assert [line["status"] for line in lines] == ["stored", "failed", "stored"]
    assert [len(manifest.trading_days) for manifest in shelf.manifests] == [2]


def test_a_b3_that_is_silent_for_three_days_in_a_row_is_left_alone() -> None:
    answer, lines = ingest(trading_days(failing(SourceTimeout("late"))), "--from", "2025-01-06", "--to", "2025-02-20")
    assert (answer.exit_code, len(lines)) == (1, 3)
    assert "days were not asked for" in answer.stderr


def test_days_that_are_stored_are_announced_when_the_caller_stops() -> None:
    shelf = TradingShelf()
    days = [dt.date(2025, 2, 18), dt.date(2025, 2, 19), THURSDAY]
    outcomes = trading_days(shelf=shelf).run_many(days, Import("0f"))
    next(outcomes)
    outcomes.close()
    assert shelf.manifests == [ImportManifest(Import("0f"), (), NOW, trading_days=(TradingDay(days[0]),))]


def test_a_day_of_which_the_bucket_did_not_say_whether_it_has_it_is_announced_and_ends_the_period() -> None:
    shelf = Failing(1)
    days = [dt.date(2025, 2, 18), dt.date(2025, 2, 19), THURSDAY]
    outcomes = list(trading_days(shelf=shelf).run_many(days, Import("0f")))
    assert [(day, isinstance(outcome, StorageUnavailable)) for day, outcome in outcomes] == [
        (days[0], False),
        (days[1], True),
    ]
    assert [manifest.trading_days for manifest in shelf.manifests] == [tuple(map(TradingDay, days[:2]))]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--date", "2025-02-20", "--from", "2025-02-20"),
        ("--to", "2025-02-20"),
        ("--from", "2025-02-22", "--to", "2025-02-23"),
        ("--from", "2025-03-10"),
        ("--from", "1997-01-01", "--to", "1998-01-10"),
        ("--date", "yesterday"),
    ],
)
def test_a_period_that_is_none_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    answer, lines = ingest(trading_days(failing(AssertionError("B3 was asked"))), *arguments)
    assert (answer.exit_code, lines) == (2, [])


@pytest.mark.parametrize("day", ["2025-02-22", "1990-01-02"])
def test_a_day_without_trade_fails_with_its_code(day: str) -> None:
    answer, (line,) = ingest(trading_days(failing(AssertionError("B3 was asked"))), "--date", day)
    assert (answer.exit_code, line["code"]) == (1, "not_a_trading_day")


# --- the import


def daily(folder: Path, day: dt.date, content: bytes | None = None) -> Path:
    path = folder / f"COTAHIST_D{day:%d%m%Y}.TXT"
    path.write_bytes(synthetic_cotahist(day) if content is None else content)
    return path


class Failing(TradingShelf):
    """A shelf that takes so many days."""

    def __init__(self, days: int) -> None:
        super().__init__()
        self._days = days

    def store(self, *arguments: Any, **more: Any) -> Any:
        if len(self.stored) >= self._days:
            raise StorageUnavailable("the bucket is away")
        return super().store(*arguments, **more)


def test_when_the_bucket_fails_what_was_stored_or_may_have_been_is_announced(tmp_path: Path) -> None:
    files = [daily(tmp_path, day) for day in calendar_days(dt.date(2025, 2, 17), THURSDAY)]
    shelf = Failing(2)
    report = TradingImporter(shelf, clock=lambda: NOW).run(files, Import("0f"))
    assert (report.files, report.stored, report.interrupted_by) == (4, 2, "the bucket is away")
    (manifest,) = shelf.manifests
    # The third one is in doubt, and the fourth was not reached.
    in_doubt = dt.date(2025, 2, 19)
    assert manifest.trading_days == report.trading_days == tuple(map(TradingDay, [*sorted(shelf.stored), in_doubt]))


def test_progress_adds_up_to_the_bytes_of_all_files(tmp_path: Path) -> None:
    good = daily(tmp_path, THURSDAY)
    broken = daily(tmp_path, dt.date(2025, 2, 19), synthetic_cotahist(THURSDAY))
    told: list[int] = []
    report = TradingImporter(TradingShelf(), clock=lambda: NOW).run([broken, good], Import("0f"), advance=told.append)
    assert sum(told) == good.stat().st_size + broken.stat().st_size
    assert [one.path for one in report.refused] == [broken]


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_stored(tmp_path: Path) -> None:
    report = TradingImporter(TradingShelf(), clock=lambda: NOW).run(
        [tmp_path / "gone.zip", daily(tmp_path, THURSDAY)], Import("0f")
    )
    assert report.stored == 1
    (refused,) = report.refused
    assert (refused.code, refused.quarantine_uri) == ("trading_day_unreadable", None)


def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "spool"))
    monkeypatch.setattr("tempfile.tempdir", None)
    files = [daily(tmp_path, THURSDAY), daily(tmp_path, FRIDAY, b"broken")]
    TradingImporter(TradingShelf(), clock=lambda: NOW).run(files, Import("0f"))
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_report_is_told_in_words_and_names_the_run(tmp_path: Path) -> None:
    daily(tmp_path, THURSDAY)
    daily(tmp_path, FRIDAY, b"broken")
    (tmp_path / "portfolio.csv").touch()
    shelf = TradingShelf()
    command = import_cotahist_command(lambda: TradingImporter(shelf, clock=lambda: NOW), clock=lambda: NOW)
    answer = CliRunner().invoke(command, [str(tmp_path)])
    assert answer.exit_code == 1
    refused, counts, run = answer.stdout.splitlines()
    assert refused.startswith(f"refused  {tmp_path}/COTAHIST_D21022025.TXT: line 1: it has 6 bytes, not 245")
    assert counts == "2 files: 1 trading days stored, 0 unchanged, 1 files refused"
    assert run == f"One Glue run refines 1 trading days: --sessions {shelf.manifests[0].made_by}"
