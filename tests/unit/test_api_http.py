"""The shape of the API over HTTP, in one process; what fetches and stores is handed in."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.application import MAX_BODY_BYTES, Collaborators
from api.openapi import DOCUMENT
from app import create_app
from bovespa.errors import (
    BrowserNotFound,
    ColumnsChanged,
    ConfigurationError,
    PageChanged,
    SourceTimeout,
    SourceUnavailable,
    StorageUnavailable,
)
from bovespa.indexes import INDEX_CODES
from bovespa.layout import Session
from bovespa.records import Provenance, StoreStatus
from bovespa.session_state import JobRun, RawObject, SessionState, State
from bovespa.settings import Settings
from local.synthetic import synthetic_csv
from tests.api_in_process import (
    MONDAY,
    NOW,
    PASSWORD,
    SETTINGS,
    File,
    Known,
    Seen,
    Shelf,
    bearer,
    client,
    client_of,
    ingesting,
    published,
    trading_days,
)
from tests.until import until


def failing(error: Exception) -> Callable[[str], File]:
    def fetch(_index_code: str) -> File:
        raise error

    return fetch


def code(response: TestResponse) -> tuple[int, str]:
    problem: dict[str, Any] = response.get_json()
    assert problem["status"] == response.status_code
    return response.status_code, problem["code"]


# --- login


def test_the_right_password_gives_a_token_that_opens_the_other_routes():
    api = client()
    answer = api.post("/login", json={"username": "ana", "password": PASSWORD})
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert api.get("/sessions", headers=headers).status_code == 200


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer():
    api = client()
    wrong = api.post("/login", json={"username": "ana", "password": "guess"})
    unknown = api.post("/login", json={"username": "eve", "password": PASSWORD})
    assert code(wrong) == (401, "invalid_credentials")
    assert wrong.data == unknown.data
    assert wrong.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "bad_json")),
        (b"{", (400, "bad_json")),
        (b"\xff", (400, "bad_json")),
        (b"[]", (400, "bad_json")),
        (b'"ana"', (400, "bad_json")),
        pytest.param(b"[" * 10_000, (400, "bad_json"), id="brackets all the way down"),
        (b"{}", (400, "missing_field")),
        (b'{"username":"ana"}', (400, "missing_field")),
        (b'{"username":"ana","password":7}', (400, "invalid_field")),
        (b'{"username":["ana"],"password":"x"}', (400, "invalid_field")),
        (b'{"username":null,"password":"x"}', (400, "invalid_field")),
        (b'{"username":"","password":"x"}', (400, "invalid_field")),
        pytest.param(b'{"username":"ana","password":"\\ud800"}', (400, "invalid_field"), id="half a character"),
        pytest.param(
            b'{"username":"ana","password":"%s"}' % (b"x" * 20_000), (413, "payload_too_large"), id="too large"
        ),
    ],
)
def test_a_body_that_is_no_login_is_refused(body: bytes, expected: tuple[int, str]):
    assert code(client().post("/login", data=body, content_type="application/json")) == expected


def test_every_missing_field_is_named():
    detail = client().post("/login", json={}).get_json()["detail"]
    assert "username" in detail
    assert "password" in detail


def test_a_form_is_not_json():
    answer = client().post("/login", data={"username": "ana", "password": PASSWORD})
    assert code(answer) == (415, "unsupported_media_type")


def test_a_body_of_the_largest_size_is_read():
    body = json.dumps({"username": "ana", "password": "x"}).encode()
    answer = client().post("/login", data=body.ljust(MAX_BODY_BYTES), content_type="application/json")
    assert code(answer) == (401, "invalid_credentials")


def test_a_password_in_the_clear_among_the_hashes_stops_the_start():
    settings = Settings("raw", "refined", "x" * 32, {"ana": PASSWORD})
    with pytest.raises(ConfigurationError, match="ana") as caught:
        create_app(settings, Collaborators(ingesting(published), trading_days(), Known(), {}, Seen()))
    assert PASSWORD not in str(caught.value)


# --- tokens

PROTECTED = ["/bovespaDay", "/sessions", "/sessions/IBOV/2025-02-24"]


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, "token_missing", id="none"),
        pytest.param({"Authorization": "Basic YW5hOng="}, "token_missing", id="basic"),
        pytest.param({"Authorization": "Bearer"}, "token_missing", id="empty"),
        pytest.param({"Authorization": "Bearer x.y.z"}, "token_invalid", id="noise"),
        pytest.param(bearer("eve"), "token_invalid", id="user removed"),
        pytest.param(bearer(issued=NOW - dt.timedelta(seconds=901)), "token_expired", id="expired"),
    ],
)
def test_without_a_good_token_nothing_is_done(path: str, headers: dict[str, str], expected: str):
    shelf, known = Shelf(), Known()
    answer = client(shelf=shelf, known=known).get(path, headers=headers)
    assert code(answer) == (401, expected)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (shelf.stored, known.asked) == ([], [])


def test_every_route_but_the_public_ones_wants_a_token():
    app = client().application
    public = {"/login", "/health", "/openapi.json", "/docs"}
    routes = {rule.rule.replace("<", "{").replace(">", "}") for rule in app.url_map.iter_rules()}
    session = "/sessions/{index}/{date}"
    assert routes - public == {"/bovespaDay", "/tradingDay", "/sessions", session, f"{session}/report"}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<index>", "IBOV").replace("<date>", "2025-02-24")
        answer = client().open(path, method=min((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        assert (answer.status_code == 401) == (rule.rule not in public), path


# --- /bovespaDay


def test_the_answer_has_exactly_the_fields_of_the_contract():
    shelf = Shelf()
    answer = client(shelf=shelf).get("/bovespaDay", headers={**bearer(), "X-Request-ID": "desk-7"})
    assert answer.status_code == 200
    file = published("IBOV")
    provenance = Provenance("IBOV", file.file_name, file.url, file.received_at, file.way, correlation_id="desk-7")
    assert shelf.stored == [(Session("IBOV", MONDAY), provenance)]
    body = answer.get_json()
    assert list(body) == [
        *("index", "session_date", "rows", "status", "raw_uri", "source_uri", "source_sha256"),
        *("total_theoretical_quantity", "reductor", "way", "attempts", "elapsed_ms"),
    ]
    lines = synthetic_csv("IBOV", MONDAY).decode("iso-8859-1").splitlines()
    total, reductor = lines[-2].split(";"), lines[-1].split(";")
    assert body["session_date"] == "2025-02-24"
    assert body["rows"] == len(lines) - 4
    assert body["total_theoretical_quantity"] == int(total[4].replace(".", ""))
    assert body["reductor"] == reductor[-1].replace(".", "").replace(",", ".")


@pytest.mark.parametrize("index_code", INDEX_CODES)
def test_every_index_of_b3_can_be_asked_for(index_code: str):
    answer = client().get(f"/bovespaDay?index={index_code}", headers=bearer())
    assert (answer.status_code, answer.get_json()["index"]) == (200, index_code)


def test_a_session_that_is_stored_already_is_unchanged():
    answer = client(shelf=Shelf(StoreStatus.UNCHANGED)).get("/bovespaDay", headers=bearer())
    assert answer.get_json()["status"] == "unchanged"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("index=ABCD", "unknown_index"),
        ("index=ibov", "unknown_index"),
        ("index=", "unknown_index"),
        ("date=2025-02-24", "unknown_parameter"),
        ("index=IBOV&index=SMLL", "unknown_parameter"),
    ],
)
def test_a_query_that_is_not_understood_fetches_nothing(query: str, expected: str):
    answer = client(failing(AssertionError("fetched"))).get(f"/bovespaDay?{query}", headers=bearer())
    assert code(answer) == (400, expected)


@pytest.mark.parametrize(
    ("error", "expected", "retries"),
    [
        (SourceUnavailable("520"), (503, "b3_unavailable"), True),
        (SourceTimeout("slow"), (504, "b3_timeout"), True),
        (PageChanged("no link"), (502, "b3_changed"), False),
        (BrowserNotFound("none"), (503, "browser_not_found"), True),
        (StorageUnavailable("down"), (503, "storage_unavailable"), True),
    ],
)
def test_each_error_has_its_own_status_and_code(error: Exception, expected: tuple[int, str], retries: bool):
    answer = client(failing(error)).get("/bovespaDay", headers=bearer())
    assert code(answer) == expected
    assert answer.get_json()["detail"] == str(error)
    assert ("Retry-After" in answer.headers) is retries


CSV = synthetic_csv("IBOV", MONDAY)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CSV[:-400], "portfolio_unreadable"),
        (b"<html></html>", "portfolio_unreadable"),
        (CSV.replace("Qtde. Teórica".encode("iso-8859-1"), b"Quantidade", 1), "b3_changed"),
        (b"\r\n".join(CSV.split(b"\r\n")[:2] + CSV.split(b"\r\n")[3:]), "portfolio_does_not_add_up"),
    ],
)
def test_a_file_that_must_not_be_published_goes_to_quarantine(content: bytes, expected: str):
    shelf = Shelf()
    answer = client(lambda _index_code: File(content), shelf=shelf).get("/bovespaDay", headers=bearer())
    assert code(answer) == (502, expected)
    assert shelf.stored == []
    ((kept, error, provenance),) = shelf.refused
    assert kept == content
    assert answer.get_json().get("line") == error.line
    assert isinstance(error, ColumnsChanged) == (expected == "b3_changed")
    assert (provenance.index_code, provenance.received_at) == ("IBOV", NOW)


def test_a_file_of_another_session_than_the_page_showed_goes_to_quarantine():
    shelf = Shelf()
    other = File(synthetic_csv("IBOV", dt.date(2025, 2, 25)), file_name="IBOVDia_25-02-25.csv")
    answer = client(lambda _index_code: other, shelf=shelf).get("/bovespaDay", headers=bearer())
    assert code(answer) == (502, "portfolio_unreadable")
    assert len(shelf.refused) == 1


def test_a_refused_file_that_cannot_be_kept_is_a_storage_problem():
    shelf = Shelf(failure=StorageUnavailable("down"))
    answer = client(lambda _index_code: File(b"<html>"), shelf=shelf).get("/bovespaDay", headers=bearer())
    assert code(answer) == (503, "storage_unavailable")


def test_what_nobody_foresaw_is_logged_and_not_told(caplog: pytest.LogCaptureFixture):
    answer = client(failing(KeyError("/home/ana/secret"))).get("/bovespaDay", headers=bearer())
    assert code(answer) == (500, "internal")
    assert set(answer.get_json()) == {"type", "title", "status", "code"}
    assert "secret" not in answer.get_data(as_text=True)
    assert "Traceback" in caplog.text
    assert "/home/ana/secret" in caplog.text


def test_a_wrong_setting_found_late_is_not_told_either():
    answer = client(failing(ConfigurationError("BOVESPA_X is wrong"))).get("/bovespaDay", headers=bearer())
    assert code(answer) == (500, "internal")
    assert "BOVESPA_X" not in answer.get_data(as_text=True)


def test_neither_token_nor_password_reaches_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    api = client()
    token = api.post("/login", json={"username": "ana", "password": PASSWORD}).get_json()["access_token"]
    api.get("/bovespaDay", headers={"Authorization": f"Bearer {token}"})
    api.get("/bovespaDay", headers={"Authorization": f"Bearer {token}x"})
    records = [str(vars(record)) for record in caplog.records]
    assert len(records) >= 3
    assert not [record for record in records if token in record or PASSWORD in record or SETTINGS.jwt_secret in record]


def test_simultaneous_calls_for_one_index_share_one_fetch_and_its_answer():
    calls: list[str] = []
    go_on = threading.Event()

    def fetch(index_code: str) -> File:
        calls.append(index_code)
        assert go_on.wait(10)
        return published(index_code)

    ingestion = ingesting(fetch)
    app = client_of(ingestion).application
    answers: list[TestResponse] = []
    threads = [
        threading.Thread(target=lambda: answers.append(app.test_client().get("/bovespaDay", headers=bearer())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    until(lambda: ingestion._flights.callers("IBOV") == 4)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert calls == ["IBOV"]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.get_json()["source_sha256"] for answer in answers}) == 1


# --- sessions


def raw(session_date: dt.date) -> RawObject:
    session = Session("IBOV", session_date)
    return RawObject(f"s3://raw/{session.raw_key}", "0af1", NOW)


def in_state(day: int, state: State, run: JobRun | None = None) -> SessionState:
    date = dt.date(2025, 2, day)
    return SessionState(Session("IBOV", date), state, raw(date), run)


def test_the_sessions_of_a_period_show_its_gaps():
    known = Known([in_state(17, State.REFINED), in_state(19, State.STORED)])
    answer = client(known=known).get("/sessions?index=IBOV&from=2025-02-15&to=2025-02-20", headers=bearer())
    assert known.asked == [("IBOV", dt.date(2025, 2, 15), dt.date(2025, 2, 20))]
    assert answer.get_json() == {
        "index": "IBOV",
        "from": "2025-02-15",
        "to": "2025-02-20",
        "counts": {"missing": 2, "stored": 1, "refining": 0, "refined": 1, "failed": 0},
        "sessions": [
            {"session_date": "2025-02-17", "state": "refined", "trading_day": True},
            {"session_date": "2025-02-18", "state": "missing", "trading_day": True},
            {"session_date": "2025-02-19", "state": "stored", "trading_day": True},
            {"session_date": "2025-02-20", "state": "missing", "trading_day": True},
        ],
    }


def test_a_stored_session_on_a_day_without_trade_is_listed_as_such():
    known = Known([in_state(15, State.STORED)])
    answer = client(known=known).get("/sessions?from=2025-02-15&to=2025-02-16", headers=bearer())
    assert answer.get_json()["sessions"] == [{"session_date": "2025-02-15", "state": "stored", "trading_day": False}]


@pytest.mark.parametrize(
    ("now", "last"),
    [
        pytest.param(NOW, dt.date(2025, 2, 21), id="on a Friday, Friday"),
        pytest.param(NOW + dt.timedelta(days=1), MONDAY, id="on a Saturday, the Monday that B3 shows"),
        pytest.param(dt.datetime(2025, 2, 22, 1, tzinfo=dt.UTC), dt.date(2025, 2, 21), id="by the clock of São Paulo"),
    ],
)
def test_without_a_period_the_last_thirty_days_are_told(now: dt.datetime, last: dt.date):
    known = Known()
    token = bearer(issued=now)
    answer = client(known=known, now=now).get("/sessions", headers=token).get_json()
    assert known.asked == [("IBOV", last - dt.timedelta(days=30), last)]
    # Monday is no gap before it has come.
    assert answer["sessions"][-1]["session_date"] == "2025-02-21"


def test_a_future_session_that_is_stored_is_told():
    known = Known([in_state(24, State.STORED)])
    answer = client(known=known).get("/sessions?from=2025-02-21&to=2025-02-28", headers=bearer()).get_json()
    assert [session["session_date"] for session in answer["sessions"]] == ["2025-02-21", "2025-02-24"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2025-02-20&to=2025-02-19", "invalid_period"),
        ("from=2024-01-01&to=2025-02-04", "invalid_period"),
        ("from=2025-02-30", "invalid_date"),
        ("to=tomorrow", "invalid_date"),
        ("to=20250203", "invalid_date"),
        ("to=1997-12-31", "invalid_date"),
        ("index=NOPE", "unknown_index"),
        ("until=2025-02-03", "unknown_parameter"),
    ],
)
def test_a_period_that_is_none_is_refused(query: str, expected: str):
    known = Known()
    assert code(client(known=known).get(f"/sessions?{query}", headers=bearer())) == (400, expected)
    assert known.asked == []


def test_the_longest_period_and_the_first_days_of_the_calendar_are_answered():
    assert client().get("/sessions?from=2024-01-01&to=2025-02-03", headers=bearer()).status_code == 200
    answer = client().get("/sessions?to=1998-01-05", headers=bearer())
    assert answer.get_json()["from"] == "1998-01-01"


def test_one_session_tells_all_that_is_known_of_it():
    run = JobRun("jr_1", "FAILED", NOW, NOW, frozenset({"IBOV/2025-02-19"}), "Out of memory" * 200)
    facts = {
        "source_sha256": "ab" * 32,
        "source_key": "source/x.csv",
        "rows": "87",
        "view": "sector",
        "received_at": NOW.isoformat(),
        "code_version": "0.1.0",
        "way": "page",
    }
    known = Known([in_state(19, State.FAILED, run)], facts)
    body = client(known=known).get("/sessions/IBOV/2025-02-19", headers=bearer()).get_json()
    assert (body["index"], body["session_date"], body["state"], body["rows"]) == ("IBOV", "2025-02-19", "failed", 87)
    assert body["source_uri"] == "s3://raw/source/x.csv"
    assert body["run"]["id"] == "jr_1"
    assert body["run"]["error"].startswith("Out of memory")
    assert len(body["run"]["error"]) == 1000


def test_a_day_without_trade_is_missing_and_says_so():
    body = client().get("/sessions/IBOV/2025-03-04", headers=bearer()).get_json()
    assert body == {"index": "IBOV", "session_date": "2025-03-04", "state": "missing", "trading_day": False}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/sessions/IBOV/2025-02-31", "invalid_date"),
        ("/sessions/IBOV/2025-W06-1", "invalid_date"),
        ("/sessions/IBOV/0001-01-01", "invalid_date"),
        ("/sessions/IBOV/\u0662\u0660\u0662\u0665-02-03", "invalid_date"),
        ("/sessions/XXXX/2025-02-03", "unknown_index"),
        ("/sessions/IBOV/2025-02-03?deep=1", "unknown_parameter"),
    ],
)
def test_a_session_that_cannot_be_is_refused(path: str, expected: str):
    assert code(client().get(path, headers=bearer())) == (400, expected)


# --- health, documents, and what is not there


def test_health_tells_which_part_is_not_there_and_not_why():
    def broken() -> None:
        raise StorageUnavailable("s3://raw-1234 was refused")

    well = client(checks={"browser": lambda: None}).get("/health")
    assert (well.status_code, well.get_json()["checks"]) == (200, {"browser": "ok"})
    ill = client(checks={"browser": lambda: None, "raw_bucket": broken}).get("/health")
    assert ill.status_code == 503
    assert ill.get_json()["checks"] == {"browser": "ok", "raw_bucket": "unavailable"}
    assert "1234" not in ill.get_data(as_text=True)


def test_a_route_or_method_that_does_not_exist_is_a_problem_too():
    api = client()
    assert code(api.get("/nowhere")) == (404, "not_found")
    answer = api.post("/bovespaDay", headers=bearer())
    assert code(answer) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/bovespaDay", "/tradingDay?date=2025-02-20"])
def test_a_request_that_only_looks_fetches_nothing(path: str):
    answer = client(failing(AssertionError("fetched"))).head(path, headers=bearer())
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_the_docs_page_loads_nothing_and_explains_every_code_that_a_problem_points_to():
    api = client()
    page = api.get("/docs")
    assert "style-src 'sha256-" in page.headers["Content-Security-Policy"]
    text = page.get_data(as_text=True)
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    problem = api.get("/nowhere").get_json()
    path, _, anchor = problem["type"].partition("#")
    assert path == "/docs"
    assert f'id="{anchor}"' in text


def test_the_docs_page_leads_to_every_route_and_names_no_place_twice():
    text = client().get("/docs").get_data(as_text=True)
    contents = re.search(r"<ul>.*?</ul>", text)
    assert contents is not None
    places = re.findall(r' id="([^"]+)"', text)
    assert len(places) == len(set(places))
    led_to = re.findall(r'href="#([^"]+)"', contents[0])
    assert set(led_to) <= set(places)
    assert contents[0].count('<li><a href="#') == sum(map(len, DOCUMENT["paths"].values())) + 2
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(places)
