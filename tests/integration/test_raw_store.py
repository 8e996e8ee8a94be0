"""The raw store against a real object store: what is written, what is not, and what failures become."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from bovespa import __version__
from bovespa.errors import StorageUnavailable, UnreadablePortfolio, UnreconciledPortfolio
from bovespa.layout import Session
from bovespa.portfolio import Portfolio, View
from bovespa.portfolio_csv import parse_csv, serialise_csv
from bovespa.records import Provenance, StoreStatus
from local.synthetic import synthetic_csv, synthetic_portfolio
from maintenance.checks import Source, best_source
from s3_bucket_manager.aws import client
from s3_bucket_manager.manager import RawStore, is_news
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.raw_parquet import RAW_SCHEMA, portfolio_table, read_facts, read_portfolio

DAY = dt.date(2025, 2, 24)
SESSION = Session("IBOV", DAY)
PROVENANCE = Provenance(
    index_code="IBOV",
    file_name="IBOVDia_24-02-25.csv",
    url="https://b3.test/indexPage/day/IBOV?language=pt-br&título=Ação",
    received_at=dt.datetime(2025, 2, 22, 12, 0, 0, tzinfo=dt.UTC),
    way="page",
)
SECTOR_CSV = synthetic_csv("IBOV", DAY, View.SECTOR)
CODE_CSV = synthetic_csv("IBOV", DAY, View.CODE)


def versions(s3: Any, bucket: str) -> list[str]:
    """Keys of all versions ever written, so that a superfluous write shows."""
    return sorted(version["Key"] for version in s3.list_object_versions(Bucket=bucket).get("Versions", []))


def body(s3: Any, bucket: str, uri: str) -> bytes:
    assert uri.startswith(f"s3://{bucket}/")
    return stored_body(s3, bucket, uri.removeprefix(f"s3://{bucket}/"))


def stored_body(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def source_key(content: bytes) -> str:
    return SESSION.source_key(hashlib.sha256(content).hexdigest())


def kept_sources(s3: Any, bucket: str) -> list[Source]:
    """B3's files as the doctor reads them, with times as S3 tells them, which is in whole seconds."""
    return [
        Source(
            Session.from_source_key(item["Key"])[1],
            item["LastModified"].replace(microsecond=0),
            stored_body(s3, bucket, item["Key"]),
        )
        for item in s3.list_objects_v2(Bucket=bucket, Prefix="source/")["Contents"]
    ]


def without_last_share(portfolio: Portfolio) -> Portfolio:
    """The same session, corrected: one ticker is gone, its participation is another's, the totals fit."""
    *others, last = portfolio.holdings
    heir = replace(others[0], participation_pct=others[0].participation_pct + last.participation_pct)
    corrected = replace(
        portfolio,
        view=View.CODE,
        holdings=tuple(replace(one, sector_label=None, sector_participation_pct=None) for one in (heir, *others[1:])),
        total_theoretical_quantity=portfolio.total_theoretical_quantity - last.theoretical_quantity,
    )
    return parse_csv(serialise_csv(corrected))


# --- the Parquet file


@pytest.mark.parametrize("view", list(View))
def test_a_portfolio_survives_its_parquet_file(view: View):
    portfolio = synthetic_portfolio("IBOV", DAY, view)
    content = to_parquet_bytes(portfolio_table(portfolio, {"source_sha256": "ab"}))
    assert read_portfolio(content, SESSION) == portfolio
    assert read_facts(content) == {"source_sha256": "ab", "view": view.value}


def test_the_recorded_portfolios_survive_their_parquet_files(recordings: Path):
    files = sorted((recordings / "sessions").glob("*.csv"))
    assert len(files) == 54
    for path in files:
        portfolio = parse_csv(path.read_bytes())
        session = Session(portfolio.index_code, portfolio.session_date)
        assert read_portfolio(to_parquet_bytes(portfolio_table(portfolio, {})), session) == portfolio, path.name


def test_the_same_portfolio_gives_the_same_bytes():
    first, second = (
        to_parquet_bytes(portfolio_table(synthetic_portfolio("IBOV", DAY), {"way": "page"})) for _ in range(2)
    )
    assert first == second


def test_the_file_says_what_it_holds_in_plain_parquet_types():
    content = to_parquet_bytes(portfolio_table(synthetic_portfolio("IBOV", DAY), {}))
    file = pq.ParquetFile(pa.BufferReader(content))
    assert file.schema_arrow.equals(RAW_SCHEMA)
    assert set(file.metadata.metadata) == {b"bovespa.view"}
    types = {column.name: str(column.logical_type) for column in file.schema}
    assert types["participation_pct"] == "Decimal(precision=6, scale=3)"
    assert types["reductor"] == "Decimal(precision=24, scale=8)"
    assert not {"index_code", "session_date"} & set(types)


def test_another_engine_reads_exact_sums(tmp_path: Path):
    portfolio = synthetic_portfolio("IBOV", DAY)
    path = tmp_path / "portfolio.parquet"
    path.write_bytes(to_parquet_bytes(portfolio_table(portfolio, {})))
    (row,) = (
        duckdb.read_parquet(str(path))
        .aggregate(
            "count(*), sum(theoretical_quantity), sum(participation_pct), "
            "any_value(total_theoretical_quantity), any_value(reductor)"
        )
        .fetchall()
    )
    total = portfolio.total_theoretical_quantity
    assert row == (len(portfolio.holdings), total, Decimal("100.000"), total, portfolio.reductor)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"ticker;company", id="a CSV"),
        pytest.param(to_parquet_bytes(pa.table({"ticker": ["PETR4"]})), id="another table"),
        pytest.param(
            to_parquet_bytes(portfolio_table(synthetic_portfolio("IBOV", DAY), {}).replace_schema_metadata({})),
            id="no view",
        ),
    ],
)
def test_what_is_no_raw_portfolio_is_refused(content: bytes):
    with pytest.raises(UnreadablePortfolio):
        read_portfolio(content, SESSION)


# --- what is news


def test_other_numbers_are_news_in_any_view():
    sector, code = synthetic_portfolio("IBOV", DAY), synthetic_portfolio("IBOV", DAY, View.CODE)
    assert is_news(without_last_share(sector), sector)
    assert is_news(sector, without_last_share(sector))
    assert not is_news(code, sector)
    assert is_news(sector, code)
    assert not is_news(code, code)
    assert not is_news(sector, sector)


def test_another_sector_is_news_and_another_order_is_not():
    sector = synthetic_portfolio("IBOV", DAY)
    first, *others = sector.holdings
    assert is_news(replace(sector, holdings=(replace(first, sector_label="Outros"), *others)), sector)
    assert not is_news(replace(sector, holdings=(*others, first)), sector)


# --- storing


def test_a_session_is_stored_as_bytes_and_as_parquet_with_its_origin(s3: Any, raw_bucket: str):
    portfolio = parse_csv(SECTOR_CSV)
    stored = RawStore(client("s3"), raw_bucket).store(portfolio, SECTOR_CSV, PROVENANCE)
    digest = hashlib.sha256(SECTOR_CSV).hexdigest()
    assert (stored.session, stored.status, stored.source_sha256) == (SESSION, StoreStatus.STORED, digest)
    assert stored.raw_uri == f"s3://{raw_bucket}/portfolio/index_code=IBOV/session_date=2025-02-24/portfolio.parquet"
    assert stored.source_uri == f"s3://{raw_bucket}/source/index_code=IBOV/session_date=2025-02-24/{digest}.csv"
    assert body(s3, raw_bucket, stored.source_uri) == SECTOR_CSV
    content = body(s3, raw_bucket, stored.raw_uri)
    assert read_portfolio(content, SESSION) == portfolio
    facts = {
        "source_sha256": digest,
        "source_key": SESSION.source_key(digest),
        "source_url": "https://b3.test/indexPage/day/IBOV?language=pt-br&t%C3%ADtulo=A%C3%A7%C3%A3o",
        "view": "sector",
        "received_at": "2025-02-22T12:00:00+00:00",
        "way": "page",
        "code_version": __version__,
        "rows": str(len(portfolio.holdings)),
    }
    assert read_facts(content) == facts
    metadata = s3.head_object(Bucket=raw_bucket, Key=SESSION.raw_key)["Metadata"]
    assert {name.replace("-", "_"): value for name, value in metadata.items()} == facts


def test_the_same_bytes_again_write_nothing(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    first = store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    before = versions(s3, raw_bucket)
    later = replace(PROVENANCE, received_at=PROVENANCE.received_at + dt.timedelta(days=2))
    again = store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, later)
    assert again == replace(first, status=StoreStatus.UNCHANGED)
    assert versions(s3, raw_bucket) == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (replace(PROVENANCE, correlation_id="desk-7"), "desk-7"),
        (replace(PROVENANCE, import_id="20250203T120000-0f"), "20250203T120000-0f"),
        (PROVENANCE, None),
    ],
)
def test_the_id_of_what_stored_a_session_is_metadata_and_no_part_of_the_file(
    given: Provenance, kept: str | None, s3: Any, raw_bucket: str
):
    store = RawStore(s3, raw_bucket)
    store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, given)
    found = s3.get_object(Bucket=raw_bucket, Key=SESSION.raw_key)
    assert found["Metadata"].get("correlation-id") == kept
    content = found["Body"].read()
    assert "correlation_id" not in read_facts(content)
    # The next caller's id is told in the logs only: what is stored stays as it is, and stays the first one's.
    again = store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, replace(given, correlation_id="desk-8"))
    assert again.status is StoreStatus.UNCHANGED
    found = s3.get_object(Bucket=raw_bucket, Key=SESSION.raw_key)
    assert (found["Metadata"].get("correlation-id"), found["Body"].read()) == (kept, content)


def test_the_code_view_never_replaces_the_sector_view_but_its_bytes_are_kept(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    answer = store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE)
    assert answer.status is StoreStatus.UNCHANGED
    assert body(s3, raw_bucket, answer.source_uri) == CODE_CSV
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION).view is View.SECTOR
    before = versions(s3, raw_bucket)
    assert len(before) == 3
    # The kept bytes are not written once more, either.
    assert store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE).status is StoreStatus.UNCHANGED
    assert versions(s3, raw_bucket) == before


def test_the_sector_view_replaces_the_code_view(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE)
    answer = store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert answer.status is StoreStatus.STORED
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION).view is View.SECTOR


def test_a_corrected_session_replaces_the_old_one_which_stays_as_a_version(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    corrected = without_last_share(parse_csv(SECTOR_CSV))
    answer = store.store(corrected, serialise_csv(corrected), PROVENANCE)
    assert answer.status is StoreStatus.STORED
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION) == corrected
    assert versions(s3, raw_bucket).count(SESSION.raw_key) == 2


def test_bytes_to_which_b3_goes_back_are_the_last_to_have_arrived(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    first, corrected = parse_csv(SECTOR_CSV), without_last_share(parse_csv(SECTOR_CSV))
    store.store(first, SECTOR_CSV, PROVENANCE)
    store.store(corrected, serialise_csv(corrected), PROVENANCE)
    assert store.store(first, SECTOR_CSV, PROVENANCE).status is StoreStatus.STORED
    for _ in range(2):
        assert store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE).status is StoreStatus.UNCHANGED
    kept = Counter(key for key in versions(s3, raw_bucket) if key != SESSION.raw_key)
    assert kept.keys() == {source_key(SECTOR_CSV), source_key(serialise_csv(corrected)), source_key(CODE_CSV)}
    # Once more for each second in which something else came.
    assert kept[source_key(SECTOR_CSV)] > 1
    assert kept[source_key(CODE_CSV)] == 1
    best = best_source(SESSION, kept_sources(s3, raw_bucket))
    assert best is not None
    assert best[1] == first


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_correction_in_the_same_second_is_the_last_to_have_arrived(s3: Any, raw_bucket: str, is_swapped: bool):
    """S3's times are whole seconds. Of two files of one second their digests would decide, so both orders are tried."""
    store = RawStore(s3, raw_bucket)
    portfolios = [parse_csv(SECTOR_CSV), without_last_share(parse_csv(SECTOR_CSV))]
    if is_swapped:
        portfolios.reverse()
    for portfolio in portfolios:
        store.store(portfolio, serialise_csv(portfolio), PROVENANCE)
    best = best_source(SESSION, kept_sources(s3, raw_bucket))
    assert best is not None
    assert best[1] == portfolios[-1]


def test_an_object_that_is_no_raw_portfolio_is_replaced(s3: Any, raw_bucket: str):
    s3.put_object(Bucket=raw_bucket, Key=SESSION.raw_key, Body=b"not Parquet")
    answer = RawStore(s3, raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert answer.status is StoreStatus.STORED
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION) == parse_csv(SECTOR_CSV)


class Interrupted:
    """An S3 client before whose first Parquet write another writer comes first."""

    def __init__(self, s3: Any, meanwhile: Any) -> None:
        self._s3 = s3
        self._meanwhile = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        if arguments["Key"] == SESSION.raw_key and self._meanwhile:
            self._meanwhile.pop()()
        return self._s3.put_object(**arguments)


@pytest.mark.parametrize("before", [None, serialise_csv(without_last_share(parse_csv(SECTOR_CSV)))])
def test_a_writer_who_was_overtaken_decides_again(before: bytes | None, s3: Any, raw_bucket: str):
    if before is not None:
        RawStore(s3, raw_bucket).store(parse_csv(before), before, PROVENANCE)

    def other_writer() -> None:
        RawStore(s3, raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)

    # Decided when nothing was stored, or other numbers; by the time of its write a better view is, and must stay.
    answer = RawStore(Interrupted(s3, other_writer), raw_bucket).store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE)
    assert answer.status is StoreStatus.UNCHANGED
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION).view is View.SECTOR
    assert versions(s3, raw_bucket).count(SESSION.raw_key) == (1 if before is None else 2)


def test_a_writer_whose_predecessor_was_deleted_writes_all_the_same(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE)

    def deletion() -> None:
        s3.delete_object(Bucket=raw_bucket, Key=SESSION.raw_key)

    answer = RawStore(Interrupted(s3, deletion), raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert answer.status is StoreStatus.STORED
    assert read_portfolio(body(s3, raw_bucket, answer.raw_uri), SESSION).view is View.SECTOR


@pytest.mark.parametrize("before", [None, CODE_CSV])
def test_what_was_put_and_whose_answer_was_lost_is_stored(before: bytes | None, s3: Any, raw_bucket: str):
    if before is not None:
        RawStore(s3, raw_bucket).store(parse_csv(before), before, PROVENANCE)
    provenance = replace(PROVENANCE, received_at=PROVENANCE.received_at + dt.timedelta(microseconds=1))

    class AskedTwice(Interrupted):
        """As botocore does when the answer to the first request does not come."""

        def put_object(self, **arguments: Any) -> Any:
            answer = self._s3.put_object(**arguments)
            return self._s3.put_object(**arguments) if arguments["Key"] == SESSION.raw_key else answer

    answer = RawStore(AskedTwice(s3, None), raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, provenance)
    assert answer.status is StoreStatus.STORED
    assert versions(s3, raw_bucket).count(SESSION.raw_key) == (1 if before is None else 2)


class UnderWay(Interrupted):
    """Another writer is putting B3's bytes, the first *times* that they are put, and does not succeed."""

    def __init__(self, s3: Any, times: int) -> None:
        super().__init__(s3, None)
        self._times = times

    def put_object(self, **arguments: Any) -> Any:
        if arguments["Key"] != SESSION.raw_key and self._times:
            self._times -= 1
            words = {"Error": {"Code": "ConditionalRequestConflict"}, "ResponseMetadata": {"HTTPStatusCode": 409}}
            raise ClientError(words, "PutObject")
        return self._s3.put_object(**arguments)


def test_bytes_that_another_writer_fails_to_put_are_put(s3: Any, raw_bucket: str):
    answer = RawStore(UnderWay(s3, 1), raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert body(s3, raw_bucket, answer.source_uri) == SECTOR_CSV


def test_while_another_writer_is_putting_the_bytes_no_parquet_is_put(s3: Any, raw_bucket: str):
    with pytest.raises(StorageUnavailable, match="Another writer was putting"):
        RawStore(UnderWay(s3, 1000), raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert versions(s3, raw_bucket) == []


def test_simultaneous_writers_leave_one_whole_session(s3: Any, raw_bucket: str):
    store = RawStore(s3, raw_bucket)
    start = threading.Barrier(4)
    answers = []

    def write(content: bytes, second: int) -> None:
        start.wait(10)
        received_at = PROVENANCE.received_at + dt.timedelta(seconds=second)
        answers.append(store.store(parse_csv(content), content, replace(PROVENANCE, received_at=received_at)).status)

    contents = enumerate((SECTOR_CSV, CODE_CSV) * 2)
    threads = [threading.Thread(target=write, args=(content, number)) for number, content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 4
    assert read_portfolio(body(s3, raw_bucket, f"s3://{raw_bucket}/{SESSION.raw_key}"), SESSION).view is View.SECTOR
    assert versions(s3, raw_bucket).count(SESSION.raw_key) == answers.count(StoreStatus.STORED)


@pytest.mark.parametrize("is_gone", [False, True], ids=["changed", "gone"])
def test_what_changes_between_the_look_and_the_reading_is_looked_at_again(s3: Any, raw_bucket: str, is_gone: bool):
    store = RawStore(s3, raw_bucket)
    first = store.store(parse_csv(CODE_CSV), CODE_CSV, PROVENANCE)
    client = boto3.client("s3")
    meanwhile = []

    def another_writer(**_: Any) -> None:
        if meanwhile:
            return
        meanwhile.append(first.raw_uri)
        if is_gone:
            s3.delete_object(Bucket=raw_bucket, Key=SESSION.raw_key)
        else:
            store.store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)

    client.meta.events.register("before-call.s3.GetObject", another_writer)
    other = CODE_CSV.replace(b"\r\n", b"\n")

    answer = RawStore(client, raw_bucket).store(parse_csv(other), other, PROVENANCE)

    assert meanwhile
    assert answer.status is (StoreStatus.STORED if is_gone else StoreStatus.UNCHANGED)
    view = View.CODE if is_gone else View.SECTOR
    assert read_portfolio(body(s3, raw_bucket, first.raw_uri), SESSION).view is view


# --- quarantine


def test_a_refused_file_is_kept_beside_the_reason(s3: Any, raw_bucket: str):
    content = b"IBOV - Carteira do Dia 24/02/25\r\n\xc7\r\n"
    error = UnreconciledPortfolio("the 2 quantities sum to 3, not to 4", line=7)
    uri = RawStore(s3, raw_bucket).quarantine(content, error, PROVENANCE)
    digest = hashlib.sha256(content).hexdigest()
    assert uri == f"s3://{raw_bucket}/quarantine/2025-02-22T120000Z/{digest}.csv"
    assert body(s3, raw_bucket, uri) == content
    assert json.loads(body(s3, raw_bucket, uri.removesuffix(".csv") + ".json")) == {
        "code": "portfolio_does_not_add_up",
        "reason": "the 2 quantities sum to 3, not to 4",
        "line": 7,
        "index_code": "IBOV",
        "file_name": "IBOVDia_24-02-25.csv",
        "url": PROVENANCE.url,
        "way": "page",
        "received_at": "2025-02-22T12:00:00+00:00",
        "code_version": __version__,
        "correlation_id": None,
        "sha256": digest,
        "size_bytes": len(content),
    }
    assert not [key for key in versions(s3, raw_bucket) if not key.startswith("quarantine/")]


# --- failures


def store_somewhere_else(bucket: str = "bovespa-raw-that-nobody-made") -> None:
    RawStore(client("s3"), bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)


@pytest.mark.usefixtures("_in_the_object_store")
def test_a_bucket_that_does_not_exist_says_which_setting_to_check():
    with pytest.raises(StorageUnavailable, match="BOVESPA_RAW_BUCKET"):
        store_somewhere_else()


def test_a_store_that_does_not_answer_says_so():
    # tests/conftest.py points AWS_ENDPOINT_URL where nothing listens.
    with pytest.raises(StorageUnavailable, match="AWS_ENDPOINT_URL"):
        store_somewhere_else()


def test_missing_credentials_say_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageUnavailable, match="credentials"):
        store_somewhere_else()


def test_a_missing_region_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(StorageUnavailable, match="AWS_DEFAULT_REGION"):
        client("glue")


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "permissions"), (500, "Try again later"), (503, "Try again later")]
)
def test_a_refusal_becomes_advice(status: int, advice: str, monkeypatch: pytest.MonkeyPatch):
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
            with pytest.raises(StorageUnavailable, match=advice):
                store_somewhere_else()
        finally:
            server.shutdown()
            thread.join()


def test_the_parquet_is_not_written_when_the_bytes_could_not_be(s3: Any, raw_bucket: str):
    class ReadOnlySource(Interrupted):
        def put_object(self, **arguments: Any) -> Any:
            if arguments["Key"].startswith("source/"):
                raise StorageUnavailable("full")
            return super().put_object(**arguments)

    with pytest.raises(StorageUnavailable):
        RawStore(ReadOnlySource(s3, lambda: None), raw_bucket).store(parse_csv(SECTOR_CSV), SECTOR_CSV, PROVENANCE)
    assert versions(s3, raw_bucket) == []
