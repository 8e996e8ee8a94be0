"""A stand-in for B3's site on this machine: index pages, records of trading days, its habits and its failures.

    python -m local.b3_stand_in --sessions DIR --port 8201

It serves `GET /indexPage/day/<INDEX>` and, below `/indexProxy/indexCall/`, `GetPortfolioDay/<Base64 JSON>` and
`GetDownloadPortfolioDay/<Base64 JSON>`. Sessions are the files `<INDEX>Dia_DD-MM-YY*.csv` of DIR, byte for byte, looked
up at each request; without DIR they are invented. Like B3 it shows the first session on or after its day, so a weekend
shows Monday's. When B3 would have none, the page shows an empty table. `GET /InstDados/SerHist/COTAHIST_DDDMMYYYY.ZIP`
is the record of a trading day up to its day: one of the files `COTAHIST_DDDMMYYYY*.TXT` or `.ZIP` of `--cotahist`, or
of DIR, or an invented one where both are not given. The day is set with

    PUT /_stand_in {"today":"2025-02-22","faults":["http_520"]}

(each key optional; `"today":null` is the real day again, on which ended recordings show their last session). The header
`Date` of every answer is that day's, or the session's where recordings have a gap. Faults are names, or objects like
`{"fault":"http_520","times":1,"on":["download"],"seconds":2}`. `GET /_stand_in` shows the state, every fault that there
is with its meaning, and how often each path was asked for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bovespa.calendar import trading_day_on_or_after
from bovespa.errors import UnknownIndex
from bovespa.indexes import INDEX_CODES, require_index_code
from local.b3_answers import BadQuestion, Question, data_answer, download_answer
from local.b3_faults import FAULT_TYPES, Fault, FaultBook, Kind
from local.b3_sessions import PublishedSession, RecordedSessions, Sessions, SyntheticSessions, today_in_sao_paulo
from local.b3_trading_days import RecordedTradingDays, SyntheticTradingDays, TradingDays, answer_of, day_of

_PAGE = Path(__file__).with_name("b3_page.html")
_SCRIPT = Path(__file__).with_name("b3_page.js")
_PATH = re.compile(r"/indexPage/day/(?P<page>[^/]+)|/indexProxy/indexCall/(?P<call>\w+)/(?P<question>[^/]+={0,2})")
_CALLS = {"GetPortfolioDay": Kind.DATA, "GetDownloadPortfolioDay": Kind.DOWNLOAD}
_CONTROL = "/_stand_in"
COTAHIST_PATH = "/InstDados/SerHist"
"""Folder of the records of trading days."""
_ERROR_PAGE = "/erro"
_HTML = "text/html; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_ZIP = "application/x-zip-compressed"
_CLOUDFLARE_UNKNOWN_ERROR = 520
_UNSET: Any = object()


@dataclass(slots=True)
class StandIn:
    """A running stand-in: where it is, what it was asked, and the controls of its day and its faults."""

    sessions: Sessions
    trading_days: TradingDays
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """Every request but those to `/_stand_in`, as `GET /path` or `HEAD /path`, oldest first."""
    today: dt.date | None = None
    """The day that B3 would have; None for the real one."""
    fault_book: FaultBook = field(default_factory=FaultBook)
    stopping: threading.Event = field(default_factory=threading.Event)

    def set(self, *, today: dt.date | None = _UNSET, faults: Sequence[object] = _UNSET) -> None:
        """Set the day, the faults or both; what is not given stays.

        Raises:
            BadFault: A fault is unknown; nothing was changed.
        """
        if faults is not _UNSET:
            self.fault_book.replace([Fault.parse(fault) for fault in faults])
        if today is not _UNSET:
            self.today = today

    def shown(self, index_code: str) -> PublishedSession | None:
        """Return the session that the pages of one index show now."""
        return self.sessions.shown_on(index_code, self.today)

    def clock(self, index_code: str | None = None) -> dt.datetime:
        """Return what B3's clock says: noon of the day that was set, or the real time.

        Recordings have gaps and an end, and B3 has neither: where the session that an index shows is not the next one,
        it is that session's noon.
        """
        day = self.today or today_in_sao_paulo()
        shown = self.shown(index_code) if index_code else None
        if shown is not None and shown.session_date != trading_day_on_or_after(day):
            day = shown.session_date
        elif self.today is None:
            return dt.datetime.now(dt.UTC)
        return dt.datetime.combine(day, dt.time(12), dt.UTC)

    @property
    def cotahist_url(self) -> str:
        """Where the records of trading days are, as `BOVESPA_COTAHIST_URL` says it."""
        return f"{self.url}{COTAHIST_PATH}"

    def trading_day(self, day: dt.date) -> bytes | None:
        """Return the text of one trading day, None if it is not published or never was."""
        return self.trading_days.text(day) if day <= (self.today or today_in_sao_paulo()) else None

    def as_json(self) -> dict[str, object]:
        """Return what `GET /_stand_in` answers."""
        return {
            "today": self.today.isoformat() if self.today else None,
            "faults": self.fault_book.as_json(),
            "known_faults": {name: fault_type.meaning for name, fault_type in FAULT_TYPES.items()},
            "requests": dict(Counter(self.requests)),
        }


@contextmanager
def running_stand_in(
    sessions: Path | None = None, port: int = 0, today: dt.date | None = None, *, cotahist: Path | None = None
) -> Iterator[StandIn]:
    """Run a stand-in on 127.0.0.1 until the block ends.

    Args:
        sessions: Folder of recorded sessions; None for invented ones.
        port: 0 takes a free one.
        today: The day that it has; None for the real one.
        cotahist: Folder of recorded trading days; None looks in *sessions*, and without that invents them.
    """
    days = cotahist or sessions
    stand_in = StandIn(
        RecordedSessions(sessions) if sessions else SyntheticSessions(),
        RecordedTradingDays(days) if days else SyntheticTradingDays(),
        today=today,
    )
    with _Server(("127.0.0.1", port), stand_in) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="b3-stand-in")
        thread.start()
        try:
            yield stand_in
        finally:
            stand_in.stopping.set()
            server.shutdown()
            thread.join()
            server.hang_up()


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that it can end without waiting for browsers to close theirs."""

    # Threads are waited for when the server closes; none outlives it.
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self._open: set[socket.socket] = set()
        self._turn = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._turn:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._turn:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Wake every thread that waits for a request which will not come."""
        with self._turn:
            for connection in self._open:
                # Shut down and not closed: its own thread closes it.
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that quits in the middle of an answer is no error of ours.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # Answers are small and written in two parts; without this each would wait for the client's delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == _CONTROL:
            self._answer_json(self.server.stand_in.as_json())
            return
        self.server.stand_in.requests.append(f"GET {path}")
        match = _PATH.fullmatch(path)
        if path == "/indexPage/b3_page.js":
            self._answer(_SCRIPT.read_bytes(), "text/javascript; charset=utf-8")
        elif path == _ERROR_PAGE:
            self._answer(_error_page("Página temporariamente indisponível"), _HTML)
        elif (day := day_of(path.removeprefix(f"{COTAHIST_PATH}/"))) is not None:
            self._trading_day(day, path.rpartition("/")[2])
        elif match and match["page"] in INDEX_CODES:
            self._page()
        elif match and match["call"] in _CALLS:
            self._endpoint(_CALLS[match["call"]], match["question"])
        else:
            self._answer(_error_page("Not found"), _HTML, HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        path = urlsplit(self.path).path
        self.server.stand_in.requests.append(f"HEAD {path}")
        match = _PATH.fullmatch(path)
        there = match is not None and match["page"] in INDEX_CODES
        self._answer(b"", _HTML, HTTPStatus.OK if there else HTTPStatus.NOT_FOUND)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the header `Date`, by the stand-in's clock."""
        if timestamp is not None:
            return super().date_time_string(timestamp)
        # A request that is not understood is refused before it has a path.
        index_code = _index_of(urlsplit(getattr(self, "path", "")).path)
        return format_datetime(self.server.stand_in.clock(index_code), usegmt=True)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != _CONTROL:
            self._answer(_error_page("Not found"), _HTML, HTTPStatus.NOT_FOUND)
            return
        try:
            self.server.stand_in.set(**_read_control(body))
        except ValueError as error:
            self._answer_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
            return
        self._answer_json(self.server.stand_in.as_json())

    def _page(self) -> None:
        faults = self.server.stand_in.fault_book.take(Kind.PAGE)
        if self._site_is_down(faults):
            return
        told = {name: {} if fault.seconds is None else {"seconds": fault.seconds} for name, fault in faults.items()}
        html = _PAGE.read_text("utf-8").replace("@@FAULTS@@", json.dumps(told))
        self._answer(html.encode(), _HTML)

    def _endpoint(self, kind: Kind, encoded: str) -> None:
        stand_in = self.server.stand_in
        faults = stand_in.fault_book.take(kind)
        if self._site_is_down(faults):
            return
        if "html_instead_of_data" in faults:
            self._answer(_error_page("Sistema em manutenção"), _HTML)
            return
        if "endpoint_gone" in faults:
            self._answer(_error_page("404 - File or directory not found."), _HTML, HTTPStatus.NOT_FOUND)
            return
        if "slow_page" in faults:
            stand_in.stopping.wait(faults["slow_page"].seconds)
        try:
            question = Question.parse(encoded)
        except BadQuestion as error:
            self._answer_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
            return
        session = stand_in.shown(question.index_code)
        if kind is Kind.DATA:
            self._answer_json(data_answer(session, question, faults))
            return
        body = download_answer(session, question, faults) if session else b'""'
        if self.path.endswith("?as=attachment"):
            self._half(body, {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"})
        elif "download_never_ends" in faults:
            self._half(body, {"Content-Type": _JSON})
        elif "download_breaks_off" in faults:
            self._half(body, {"Content-Type": _JSON}, waits=False)
        else:
            self._answer(body, _JSON)

    def _trading_day(self, day: dt.date, file_name: str) -> None:
        stand_in = self.server.stand_in
        faults = stand_in.fault_book.take(Kind.TRADING_DAY)
        if self._site_is_down(faults):
            return
        if "html_instead_of_data" in faults:
            self._answer(_error_page("Sistema em manutenção"), _HTML)
            return
        text = None if "not_published" in faults else stand_in.trading_day(day)
        if text is None:
            self._answer(_error_page("404 - File or directory not found."), _HTML, HTTPStatus.NOT_FOUND)
            return
        body = answer_of(text, file_name, faults)
        if "download_never_ends" in faults:
            self._half(body, {"Content-Type": _ZIP})
        elif "download_breaks_off" in faults:
            self._half(body, {"Content-Type": _ZIP}, waits=False)
        else:
            self._answer(body, _ZIP)

    def _site_is_down(self, faults: Mapping[str, Fault]) -> bool:
        if "http_520" in faults:
            self._answer(
                _error_page("Web server is returning an unknown error | cloudflare"), _HTML, _CLOUDFLARE_UNKNOWN_ERROR
            )
        elif "redirect_to_error_page" in faults:
            self._answer(b"", _HTML, HTTPStatus.FOUND, {"Location": _ERROR_PAGE})
        else:
            return False
        return True

    def _half(self, body: bytes, headers: Mapping[str, str], *, waits: bool = True) -> None:
        """Send half of *body*, then nothing until the client gives up or the server stops, or hang up at once."""
        self.send_response(HTTPStatus.OK)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True
        # Returns without a byte when the client closes, or when `hang_up` shuts the connection.
        if waits:
            self.connection.recv(1)

    def _answer_json(self, value: object, status: int = HTTPStatus.OK) -> None:
        self._answer(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), _JSON, status)

    def _answer(
        self, body: bytes, content_type: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status, "Unknown Error" if status == _CLOUDFLARE_UNKNOWN_ERROR else None)
        sent = {"Content-Type": content_type, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        for name, value in {**sent, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Requests are kept in `StandIn.requests`, not printed."""


def _index_of(path: str) -> str | None:
    """Return the index that a request is about, None if it is about none."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    try:
        return require_index_code(match["page"]) if match["page"] else Question.parse(match["question"]).index_code
    except (UnknownIndex, BadQuestion):
        return None


def _error_page(text: str) -> bytes:
    return f"<!doctype html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>".encode()


def _read_control(body: bytes) -> dict[str, Any]:
    """Read the body of `PUT /_stand_in` into arguments of `StandIn.set`.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    given = json.loads(body)
    if not isinstance(given, dict) or set(given) - {"today", "faults"}:
        raise ValueError('the body is an object like {"today":"2025-02-22","faults":[]}')
    if "faults" in given and not isinstance(given["faults"], list):
        raise ValueError("`faults` is a list")
    if given.get("today") is not None:
        given["today"] = dt.date.fromisoformat(str(given["today"]))
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stand-in until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m local.b3_stand_in",
        description="A stand-in for B3's index pages and its records of trading days on 127.0.0.1.",
        epilog="Faults: " + "; ".join(f"{name}: {fault.meaning}" for name, fault in FAULT_TYPES.items()) + ".",
    )
    parser.add_argument("--sessions", type=Path, metavar="DIR", help="folder of <INDEX>Dia_DD-MM-YY*.csv files")
    parser.add_argument("--cotahist", type=Path, metavar="DIR", help="folder of COTAHIST_DDDMMYYYY*.TXT or .ZIP files")
    parser.add_argument("--port", type=int, default=8201, metavar="N", help="default 8201; 0 takes a free one")
    parser.add_argument("--today", type=dt.date.fromisoformat, metavar="DATE", help="its day; default the real one")
    options = parser.parse_args(arguments)
    for name in ("sessions", "cotahist"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{name}: {folder} is not a folder")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with running_stand_in(options.sessions, options.port, options.today, cotahist=options.cotahist) as stand_in:
            sys.stdout.write(f"{stand_in.url}\n")
            sys.stdout.flush()
            stopped.wait()
    except OSError as error:
        parser.error(f"cannot listen on port {options.port}: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
