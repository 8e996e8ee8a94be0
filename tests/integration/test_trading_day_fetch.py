"""The download of a trading day against the stand-in: what passes is tried again, what does not has its own error."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.trading_files import read_day
from bovespa.errors import (
    InvalidTradingDay,
    SourceError,
    SourceTimeout,
    SourceUnavailable,
    TradingDayNotPublished,
    UnreadableTradingDay,
    UnreconciledTradingDay,
)
from bovespa.fetched import FetchedTradingDay
from bovespa.source_files import SourceFile
from local.b3_stand_in import StandIn, running_stand_in
from local.synthetic_trading import synthetic_quotes
from scrap.trading_day import fetch_trading_day

DAY = dt.date(2025, 2, 20)
PATH = "GET /InstDados/SerHist/COTAHIST_D20022025.ZIP"
NOW = dt.datetime(2025, 2, 21, 15, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with running_stand_in(today=dt.date(2025, 2, 21)) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(running: StandIn) -> StandIn:
    running.set(faults=[])
    running.requests.clear()
    return running


def fetch(stand_in: StandIn, day: dt.date = DAY, *, timeout_s: float = 20.0) -> FetchedTradingDay:
    return fetch_trading_day(day, cotahist_url=stand_in.cotahist_url, timeout_s=timeout_s, now=lambda: NOW)


def quotes_of(fetched: FetchedTradingDay) -> object:
    return read_day(SourceFile.of_bytes(fetched.content), fetched.session_date)[0]


def test_a_day_is_downloaded_as_b3_has_it(stand_in: StandIn) -> None:
    fetched = fetch(stand_in)
    assert fetched.file_name == "COTAHIST_D20022025.ZIP"
    assert fetched.url == f"{stand_in.url}/InstDados/SerHist/COTAHIST_D20022025.ZIP"
    assert (fetched.session_date, fetched.received_at) == (DAY, NOW)
    assert quotes_of(fetched) == synthetic_quotes(DAY)
    assert stand_in.requests == [PATH]


@pytest.mark.parametrize("fault", ["http_520", "redirect_to_error_page", "html_instead_of_data", "download_breaks_off"])
def test_what_may_pass_is_tried_again(stand_in: StandIn, fault: str) -> None:
    stand_in.set(faults=[{"fault": fault, "times": 2, "on": ["trading_day"]}])
    assert quotes_of(fetch(stand_in)) == synthetic_quotes(DAY)
    assert stand_in.requests == [PATH] * 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("http_520", "HTTP 520"),
        ("redirect_to_error_page", "to '/erro'"),
        ("html_instead_of_data", "a page instead of the file"),
        ("download_breaks_off", "broke off"),
    ],
)
def test_what_does_not_pass_is_said_after_four_attempts(stand_in: StandIn, fault: str, reason: str) -> None:
    stand_in.set(faults=[fault])
    with pytest.raises(SourceUnavailable, match=reason) as caught:
        fetch(stand_in)
    assert "attempt 4" in str(caught.value)
    assert stand_in.requests == [PATH] * 4


def test_a_download_that_stops_is_tried_again_and_ends_in_time(stand_in: StandIn) -> None:
    stand_in.set(faults=[{"fault": "download_never_ends", "times": 1}])
    assert quotes_of(fetch(stand_in, timeout_s=8)) == synthetic_quotes(DAY)
    assert stand_in.requests == [PATH] * 2
    stand_in.set(faults=["download_never_ends"])
    started_s = time.monotonic()
    with pytest.raises(SourceTimeout, match="longer than 2 s"):
        fetch(stand_in, timeout_s=2)
    assert time.monotonic() - started_s < 4


@pytest.mark.parametrize(
    ("day", "now", "reason"),
    [
        (dt.date(2025, 2, 22), NOW, "B3 does not trade on 2025-02-22"),
        (dt.date(2025, 3, 4), NOW, "B3 does not trade on 2025-03-04"),
        (dt.date(2025, 2, 24), NOW, "not published .* yet. Try again later"),
        (DAY, NOW, "not published .* yet. Try again later"),
        (DAY, NOW + dt.timedelta(days=3), "lacks a holiday, or .* import-cotahist"),
    ],
)
def test_a_day_that_is_not_there_is_asked_for_once_and_explained(
    stand_in: StandIn, day: dt.date, now: dt.datetime, reason: str
) -> None:
    stand_in.set(faults=["not_published"])
    with pytest.raises(TradingDayNotPublished, match=reason):
        fetch_trading_day(day, cotahist_url=stand_in.cotahist_url, timeout_s=20, now=lambda: now)
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize(
    ("fault", "error"), [("truncated_record", UnreadableTradingDay), ("wrong_totals", UnreconciledTradingDay)]
)
def test_a_spoilt_file_is_brought_as_it_is_for_the_reader_to_refuse(
    stand_in: StandIn, fault: str, error: type[InvalidTradingDay]
) -> None:
    stand_in.set(faults=[fault])
    fetched = fetch(stand_in)
    with pytest.raises(error):
        quotes_of(fetched)


def test_where_nobody_listens_b3_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        fetch_trading_day(DAY, cotahist_url="http://127.0.0.1:9/SerHist", timeout_s=10)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """The client hangs up in the middle of the handshake, as it shall."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with pytest.raises(SourceError, match=r"certificate .* cannot be trusted"):
                fetch_trading_day(DAY, cotahist_url=f"https://127.0.0.1:{server.server_port}", timeout_s=10)
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


def test_the_recorded_days_are_served_from_their_folder(recordings: Path) -> None:
    with running_stand_in(recordings / "sessions", cotahist=recordings / "cotahist") as stand_in:
        friday = dt.date(2021, 3, 26)
        fetched = fetch(stand_in, friday)
        (petr4,) = (one for one in quotes_of(fetched) if one.ticker == "PETR4")  # type: ignore[attr-defined]
        assert petr4.trades == 64_400
        assert hashlib.sha256(fetch(stand_in, friday).content).digest() == hashlib.sha256(fetched.content).digest()
        with pytest.raises(UnreconciledTradingDay, match="1745"):
            quotes_of(fetch(stand_in, dt.date(2016, 1, 4)))
        with pytest.raises(TradingDayNotPublished):
            fetch(stand_in, DAY)


def test_recorded_portfolios_have_no_invented_prices_beside_them(recordings: Path) -> None:
    with running_stand_in(recordings / "sessions") as stand_in, pytest.raises(TradingDayNotPublished):
        fetch(stand_in)


def test_no_day_after_the_stand_ins_own_is_published(stand_in: StandIn) -> None:
    assert fetch(stand_in, dt.date(2025, 2, 21)).content
    with pytest.raises(TradingDayNotPublished):
        fetch(stand_in, dt.date(2025, 2, 24))
