"""Trading days in a real object store: what is written, what is not, who wins; the commands and the doctor on it."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from api.tokens import Tokens
from api.trading_ingestion import TradingDayIngestion
from app import connect, create_app
from bovespa import __version__
from bovespa.calendar import trading_days
from bovespa.errors import StorageUnavailable, UnreadableTradingDay
from bovespa.imports import ImportManifest
from bovespa.layout import Import, Session, TradingDay
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance, StoreStatus
from bovespa.settings import Settings
from bovespa.source_files import SourceFile
from local.b3_stand_in import StandIn, running_stand_in
from local.cloud import PROJECT
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_cotahist, synthetic_quotes, zipped
from maintenance.doctor import Doctor
from maintenance.findings import Kind
from maintenance.inventory import InventoryReader
from maintenance.trading import TradingInventory, check_trading_days
from maintenance.trading_reader import TradingReader
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.session_states import SessionStates
from s3_bucket_manager.trading_parquet import read_trading_day, read_trading_facts, trading_bytes
from s3_bucket_manager.trading_store import TradingStore
from scrap.trading_day import fetch_trading_day
from tests.documented_client import DocumentedClient
from tests.operator_commands import flask_command

NOW = dt.datetime(2025, 2, 21, 15, tzinfo=dt.UTC)
THURSDAY = dt.date(2025, 2, 20)
DAY = TradingDay(THURSDAY)
QUOTES = synthetic_quotes(THURSDAY)
SOURCE = SourceFile.of_bytes(zipped(synthetic_cotahist(THURSDAY), "COTAHIST_D20022025.ZIP"))
TEXT = SourceFile.of_bytes(synthetic_cotahist(THURSDAY))
PROVENANCE = Provenance("", "COTAHIST_D20022025.ZIP", "https://b3.test/COTAHIST_D20022025.ZIP", NOW, "https")


def versions(s3: Any, bucket: str) -> list[str]:
    """Keys of all versions ever written, so that a superfluous write shows."""
    return sorted(version["Key"] for version in s3.list_object_versions(Bucket=bucket).get("Versions", []))


def body(s3: Any, bucket: str, uri: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))["Body"].read()
    return content


def test_a_day_is_stored_as_bytes_and_as_parquet_with_its_origin(s3: Any, raw_bucket: str) -> None:
    stored = TradingStore(s3, raw_bucket).store(DAY, QUOTES, SOURCE, PROVENANCE)
    assert (stored.session, stored.status) == (DAY, StoreStatus.STORED)
    assert stored.raw_uri == f"s3://{raw_bucket}/trading/session_date=2025-02-20/trading.parquet"
    assert stored.source_uri == f"s3://{raw_bucket}/source/trading/session_date=2025-02-20/{SOURCE.sha256}.zip"
    with SOURCE.open() as file:
        assert body(s3, raw_bucket, stored.source_uri) == file.read()
    content = body(s3, raw_bucket, stored.raw_uri)
    assert list(read_trading_day(content, DAY)) == sorted(QUOTES, key=lambda quote: quote.ticker)
    facts = {
        "source_sha256": SOURCE.sha256,
        "source_key": DAY.source_key(SOURCE.sha256, ".zip"),
        "source_url": PROVENANCE.url,
        "received_at": "2025-02-21T15:00:00+00:00",
        "way": "https",
        "code_version": __version__,
        "rows": str(len(QUOTES)),
    }
    assert read_trading_facts(content) == facts
    metadata = s3.head_object(Bucket=raw_bucket, Key=DAY.raw_key)["Metadata"]
    assert {name.replace("-", "_"): value for name, value in metadata.items()} == facts


def test_the_same_bytes_again_write_nothing_and_other_bytes_of_the_same_values_only_themselves(
    s3: Any, raw_bucket: str
) -> None:
    store = TradingStore(s3, raw_bucket)
    first = store.store(DAY, QUOTES, SOURCE, PROVENANCE)
    before = versions(s3, raw_bucket)
    again = store.store(DAY, QUOTES[::-1], SOURCE, replace(PROVENANCE, received_at=NOW + dt.timedelta(days=2)))
    assert again.status is StoreStatus.UNCHANGED
    assert again.source_uri == first.source_uri
    assert versions(s3, raw_bucket) == before
    assert store.store(DAY, QUOTES, TEXT, PROVENANCE).status is StoreStatus.UNCHANGED
    assert versions(s3, raw_bucket) == sorted([*before, DAY.source_key(TEXT.sha256, ".txt")])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([replace(QUOTES[0], trades=QUOTES[0].trades + 1), *QUOTES[1:]], id="another number"),
        pytest.param([replace(QUOTES[0], corporate_event="ZZZ"), *QUOTES[1:]], id="another event"),
        pytest.param(QUOTES[1:], id="a ticker less"),
    ],
)
def test_other_values_replace_the_day_and_the_old_one_stays_as_a_version(
    changed: list[Any], s3: Any, raw_bucket: str
) -> None:
    store = TradingStore(s3, raw_bucket)
    store.store(DAY, QUOTES, SOURCE, PROVENANCE)
    answer = store.store(DAY, changed, TEXT, PROVENANCE)
    assert answer.status is StoreStatus.STORED
    assert set(read_trading_day(body(s3, raw_bucket, answer.raw_uri), DAY)) == set(changed)
    assert versions(s3, raw_bucket).count(DAY.raw_key) == 2


@pytest.mark.parametrize(("year", "is_renewed"), [(None, True), (2025, False)])
def test_bytes_to_which_b3_goes_back_arrive_once_more_unless_they_are_a_years(
    year: int | None, is_renewed: bool, s3: Any, raw_bucket: str
) -> None:
    store = TradingStore(s3, raw_bucket)
    for quotes, source in ((QUOTES, SOURCE), (QUOTES[1:], TEXT), (QUOTES, SOURCE)):
        stored = store.store(DAY, quotes, source, PROVENANCE, year=year)
    assert (stored.status, stored.replaced) == (StoreStatus.STORED, True)
    assert (versions(s3, raw_bucket).count(stored.source_uri.removeprefix(f"s3://{raw_bucket}/")) > 1) is is_renewed
    with SOURCE.open() as file:
        assert body(s3, raw_bucket, stored.source_uri) == file.read()


def test_an_object_that_is_no_trading_day_is_replaced(s3: Any, raw_bucket: str) -> None:
    s3.put_object(Bucket=raw_bucket, Key=DAY.raw_key, Body=b"not Parquet")
    assert TradingStore(s3, raw_bucket).store(DAY, QUOTES, SOURCE, PROVENANCE).status is StoreStatus.STORED


def test_the_bytes_are_there_before_the_parquet_is(s3: Any, raw_bucket: str) -> None:
    class Order:
        """Notes the keys that are put."""

        def __init__(self) -> None:
            self.keys: list[str] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **arguments: Any) -> Any:
            self.keys.append(arguments["Key"])
            return s3.put_object(**arguments)

    order = Order()
    TradingStore(order, raw_bucket).store(DAY, QUOTES, SOURCE, PROVENANCE, year=2025)
    assert order.keys == [f"source/trading/year=2025/{SOURCE.sha256}.zip", DAY.raw_key]


def test_a_writer_who_was_overtaken_decides_again(s3: Any, raw_bucket: str) -> None:
    class Overtaken:
        """A client before whose first Parquet another writer's stands."""

        def __init__(self) -> None:
            self.is_first = True

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **arguments: Any) -> Any:
            if arguments["Key"] == DAY.raw_key and self.is_first:
                self.is_first = False
                TradingStore(s3, raw_bucket).store(DAY, QUOTES, SOURCE, PROVENANCE)
            return s3.put_object(**arguments)

    # By the time of its write, what it says is stored already.
    answer = TradingStore(Overtaken(), raw_bucket).store(DAY, QUOTES, TEXT, PROVENANCE)
    assert answer.status is StoreStatus.UNCHANGED
    assert versions(s3, raw_bucket).count(DAY.raw_key) == 1


def test_a_refused_file_is_kept_beside_the_reason(s3: Any, raw_bucket: str) -> None:
    error = UnreadableTradingDay("it is broken", line=7)
    uri = TradingStore(s3, raw_bucket).quarantine(SOURCE, error, PROVENANCE)
    assert uri == f"s3://{raw_bucket}/quarantine/2025-02-21T150000Z/{SOURCE.sha256}.zip"
    with SOURCE.open() as file:
        assert body(s3, raw_bucket, uri) == file.read()
    reason = json.loads(body(s3, raw_bucket, uri.replace(".zip", ".json")))
    assert (reason["code"], reason["reason"], reason["line"]) == ("trading_day_unreadable", "it is broken", 7)
    assert (reason["index_code"], reason["sha256"], reason["size_bytes"]) == ("", SOURCE.sha256, SOURCE.size_bytes)


def test_a_bucket_that_is_not_there_is_a_storage_problem(s3: Any) -> None:
    with pytest.raises(StorageUnavailable, match="BOVESPA_RAW_BUCKET"):
        TradingStore(s3, "no-such-bucket").store(DAY, QUOTES, SOURCE, PROVENANCE)


# --- what an operator runs


@pytest.fixture
def stand_in() -> Any:
    with running_stand_in(today=dt.date(2025, 3, 10)) as running:
        yield running


def environment(object_store: str, raw_bucket: str, stand_in: StandIn) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": object_store,
        "BOVESPA_RAW_BUCKET": raw_bucket,
        "BOVESPA_REFINED_BUCKET": "not-used",
        "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
        "BOVESPA_USERS": json.dumps({"ana": "scrypt:32768:8:1$a$b"}),
        "BOVESPA_COTAHIST_URL": stand_in.cotahist_url,
        "BOVESPA_DOWNLOAD_TIMEOUT_S": "20",
    }


def flask(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", *arguments],
        cwd=PROJECT,
        env=dict(os.environ) | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_period_is_fetched_by_the_command_and_announced_once(
    s3: Any, object_store: str, raw_bucket: str, stand_in: StandIn
) -> None:
    stand_in.set(faults=[{"fault": "truncated_record", "times": 1}])
    environ = environment(object_store, raw_bucket, stand_in)
    answer = flask(environ, "ingest-trading-day", "--from", "2025-02-26", "--to", "2025-03-06")
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    # Carnival lies within.
    days = ["2025-02-26", "2025-02-27", "2025-02-28", "2025-03-05", "2025-03-06"]
    assert [line["session_date"] for line in lines] == days
    assert [line["status"] for line in lines] == ["failed", *["stored"] * 4]
    assert (answer.returncode, lines[0]["code"]) == (1, "trading_day_unreadable")
    (key,) = (key for key in versions(s3, raw_bucket) if key.startswith("imports/"))
    manifest = ImportManifest.from_json(body(s3, raw_bucket, key))
    assert [str(day.session_date) for day in manifest.trading_days] == days[1:]
    again = flask(environ, "ingest-trading-day", "--date", "2025-02-26")
    (line,) = map(json.loads, again.stdout.splitlines())
    assert (again.returncode, line["status"]) == (0, "stored")
    day = TradingDay(dt.date(2025, 2, 26))
    assert "import-id" not in s3.head_object(Bucket=raw_bucket, Key=day.raw_key)["Metadata"]


def test_the_route_brings_a_day_from_b3_to_the_bucket(
    s3: Any, object_store: str, raw_bucket: str, stand_in: StandIn
) -> None:
    settings = Settings.from_environ(environment(object_store, raw_bucket, stand_in))
    app = create_app(settings, connect(settings))
    app.test_client_class = DocumentedClient
    tokens = Tokens(settings.users, secret=settings.jwt_secret, audience=settings.raw_bucket, lifetime_s=900)
    token = tokens.issue("ana", now=dt.datetime.now(dt.UTC))

    def get(date: str) -> Any:
        return app.test_client().get(f"/tradingDay?date={date}", headers={"Authorization": f"Bearer {token}"})

    first, again = (get("2025-02-20").get_json() for _ in range(2))
    assert (first["status"], again["status"]) == ("stored", "unchanged")
    assert first["source_sha256"] == again["source_sha256"]
    assert list(read_trading_day(body(s3, raw_bucket, first["raw_uri"]), DAY)) == sorted(
        QUOTES, key=lambda quote: quote.ticker
    )
    # After the stand-in's day, which the API's clock does not know.
    late = get("2025-03-11")
    assert (late.status_code, late.get_json()["code"]) == (404, "trading_day_not_published")
    stand_in.set(faults=["wrong_totals"])
    spoilt = get("2025-02-19")
    assert (spoilt.status_code, spoilt.get_json()["code"]) == (502, "trading_day_does_not_add_up")
    kept = [key.rpartition(".")[2] for key in versions(s3, raw_bucket) if key.startswith("quarantine/")]
    assert kept == ["json", "zip"]


@pytest.mark.parametrize(
    "arguments",
    [("ingest-trading-day",), ("import-cotahist", "README.md"), ("ingest-trading-day", "--to", "2025-01-06")],
)
def test_without_settings_or_with_wrong_usage_the_commands_end_with_two(arguments: tuple[str, ...]) -> None:
    answer = flask_command({}, *arguments)
    assert answer.exit_code == 2
    assert "Traceback" not in answer.stderr


def test_the_doctor_misses_days_since_the_first_portfolio_and_fetches_them(
    s3: Any, glue: Any, raw_bucket: str, refined_bucket: str, stand_in: StandIn
) -> None:
    database = f"d{raw_bucket[-8:]}"
    glue.create_database(DatabaseInput={"Name": database})
    for name in ("portfolio", "holdings", "sessions", "sectors", "trading"):
        glue.create_table(DatabaseName=database, TableInput={"Name": name, "StorageDescriptor": {"Columns": []}})
    glue.create_job(Name=database, Role="arn:aws:iam::000000000000:role/x", Command={"Name": "glueetl"})
    now = dt.datetime(2025, 3, 6, 15, tzinfo=dt.UTC)
    buckets = {"raw_bucket": raw_bucket, "refined_bucket": refined_bucket}
    states = SessionStates(s3, glue, **buckets, glue_job=database)
    store = TradingStore(s3, raw_bucket)
    ingestion = TradingDayIngestion(
        lambda day: fetch_trading_day(day, cotahist_url=stand_in.cotahist_url, timeout_s=20), store, clock=lambda: now
    )
    told: list[str] = []
    doctor = Doctor(
        InventoryReader(s3, glue, states, **buckets, database=database),
        RawStore(s3, raw_bucket),
        glue,
        trading=TradingReader(s3, glue, states, **buckets, database=database),
        fetch_trading_days=lambda days, report: ingestion.bring(days, Import("repair-trading"), report),
        glue_job=database,
        clock=lambda: now,
    )
    csv = synthetic_csv("IBOV", dt.date(2025, 2, 24))
    RawStore(s3, raw_bucket).store(parse_csv(csv), csv, replace(PROVENANCE, index_code="IBOV"))

    def missed(**more: Any) -> list[Any]:
        found = doctor.examine((), dt.date(1998, 1, 1), dt.date(2199, 12, 30), **more)
        return [one for one in found if one.kind is Kind.MISSING_TRADING_DAY]

    # No trading day was ever stored: only who asks for them misses them, from the first portfolio on.
    expected = list(trading_days(dt.date(2025, 2, 24), dt.date(2025, 3, 5)))
    assert missed() == []
    assert [one.session.session_date for one in missed(trading_days_wanted=True)] == expected
    ingestion.run(dt.date(2025, 2, 25))
    expected.remove(dt.date(2025, 2, 25))
    assert [one.session.session_date for one in missed()] == expected
    quarantined = store.quarantine(SOURCE, UnreadableTradingDay("it is broken"), PROVENANCE)
    found = doctor.examine((), dt.date(2025, 2, 1), dt.date(2025, 3, 5))
    (refused,) = (one for one in found if one.kind is Kind.QUARANTINED)
    assert quarantined.removeprefix(f"s3://{raw_bucket}/") in refused.detail
    assert doctor.examine(("IFIX",), dt.date(2025, 2, 1), dt.date(2025, 3, 5)) == []

    stand_in.set(faults=[{"fault": "not_published", "times": 1}])
    problems = doctor.repair(missed(), report=told.append)

    assert len(problems) == 1
    assert problems[0].startswith("trading/2025-02-24: B3 has no ")
    assert [line.partition(":")[0] for line in told] == [str(TradingDay(day)) for day in expected[1:]]
    (left,) = missed()
    assert left.session == TradingDay(dt.date(2025, 2, 24))
    assert doctor.repair([left]) == []
    assert missed() == []
    manifest = ImportManifest.from_json(body(s3, raw_bucket, Import("repair-trading").key))
    assert manifest.trading_days == (TradingDay(dt.date(2025, 2, 24)),)
    assert s3.head_object(Bucket=raw_bucket, Key=Session("IBOV", dt.date(2025, 2, 24)).raw_key)


def test_the_same_file_mends_a_forged_day_and_brings_a_lost_file_back(s3: Any, raw_bucket: str) -> None:
    store = TradingStore(s3, raw_bucket)
    stored = store.store(DAY, QUOTES, SOURCE, PROVENANCE)
    true = s3.get_object(Bucket=raw_bucket, Key=DAY.raw_key)
    content = true["Body"].read()
    facts = read_trading_facts(content)
    nameless = {name: value for name, value in facts.items() if name != "source_sha256"}
    forged = [replace(QUOTES[0], trades=QUOTES[0].trades + 1), *QUOTES[1:]]
    for planted in (trading_bytes(forged, facts), trading_bytes(QUOTES, nameless), b"PAR1"):
        s3.put_object(Bucket=raw_bucket, Key=DAY.raw_key, Body=planted, Metadata=true["Metadata"])
        assert store.store(DAY, QUOTES, SOURCE, PROVENANCE).status is StoreStatus.STORED
        assert body(s3, raw_bucket, stored.raw_uri) == content
    s3.delete_object(Bucket=raw_bucket, Key=stored.source_uri.removeprefix(f"s3://{raw_bucket}/"))
    assert store.store(DAY, QUOTES, SOURCE, PROVENANCE).status is StoreStatus.UNCHANGED
    with SOURCE.open() as file:
        assert body(s3, raw_bucket, stored.source_uri) == file.read()


def test_where_trading_days_were_never_collected_the_doctor_is_silent_after_two_listings(
    s3: Any, glue: Any, raw_bucket: str, refined_bucket: str
) -> None:
    csv = synthetic_csv("IBOV", THURSDAY)
    RawStore(s3, raw_bucket).store(parse_csv(csv), csv, replace(PROVENANCE, index_code="IBOV"))
    listed: list[Any] = []
    s3.meta.events.register("before-call.s3", lambda model, **_: listed.append(model.name))
    buckets = {"raw_bucket": raw_bucket, "refined_bucket": refined_bucket}
    # The catalog has not even got the table.
    states = SessionStates(s3, glue, **buckets, glue_job="no-such-job")
    reader = TradingReader(s3, glue, states, **buckets, database="no_such_database")
    found = reader.read(dt.date(1998, 1, 1), dt.date(2199, 12, 30), compare_rows=True)
    assert listed == ["ListObjectsV2"] * 2
    assert check_trading_days(found, first=THURSDAY, last=THURSDAY) == []


def test_one_repair_asks_for_no_more_than_sixty_days(s3: Any, glue: Any, raw_bucket: str, refined_bucket: str) -> None:
    buckets = {"raw_bucket": raw_bucket, "refined_bucket": refined_bucket}
    asked: list[dt.date] = []
    told: list[str] = []

    def fetch(days: Any, _report: Any) -> list[str]:
        asked.extend(days)
        return []

    states = SessionStates(s3, glue, **buckets, glue_job="x")
    doctor = Doctor(
        InventoryReader(s3, glue, states, **buckets, database="x"),
        RawStore(s3, raw_bucket),
        glue,
        trading=TradingReader(s3, glue, states, **buckets, database="x"),
        fetch_trading_days=fetch,
        glue_job="x",
        clock=lambda: NOW,
    )
    missing = check_trading_days(
        TradingInventory(any_stored=True),
        first=dt.date(2024, 1, 2),
        last=dt.date(2024, 12, 30),
    )
    assert doctor.repair(missing, report=told.append) == []
    assert asked == list(trading_days(dt.date(2024, 1, 2), dt.date(2024, 12, 30)))[:60]
    assert told == ["60 of 251 trading days are fetched now; the next repair goes on"]
