"""Who gets in and how often they may knock: limits, lockout, key rotation, proxies, headers, and what the log holds."""

from __future__ import annotations

import datetime as dt
import functools
import io
import logging
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from api.application import Collaborators
from api.client_address import client_address
from api.errors import LoginLocked
from api.lockout import FIRST_LOCK_S, FREE_FAILURES, MAX_LOCK_S, Lockout
from api.passwords import Passwords, hash_password
from app import create_app
from bovespa.errors import ConfigurationError
from bovespa.log_lines import log_handler
from bovespa.settings import Settings
from tests.api_in_process import NOW, PASSWORD, SETTINGS, Known, Seen, bearer, ingesting, published, trading_days
from tests.documented_client import DocumentedClient

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@dataclass
class Clock:
    """The present, as a test has it."""

    now: dt.datetime = NOW
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> dt.datetime:
        with self.lock:
            return self.now

    def later(self, seconds: float) -> None:
        with self.lock:
            self.now += dt.timedelta(seconds=seconds)


def api(clock: Clock | None = None, **settings: Any) -> DocumentedClient:
    collaborators = Collaborators(ingesting(published), trading_days(), Known(), {}, Seen())
    app = create_app(replace(SETTINGS, **settings), collaborators, clock=clock or Clock())
    app.test_client_class = DocumentedClient
    made = app.test_client()
    assert isinstance(made, DocumentedClient)
    return made


def log_in(
    client: DocumentedClient, password: str = PASSWORD, *, user: str = "ana", address: str = HOME, **headers: str
) -> TestResponse:
    return client.post(
        "/login",
        json={"username": user, "password": password},
        environ_overrides={"REMOTE_ADDR": address},
        # Told back in the answer, and another each time unless it is given.
        headers={"X-Request-ID": "door"} | headers,
    )


def codes(answers: list[TestResponse]) -> list[str]:
    return [answer.get_json().get("code", "ok") for answer in answers]


def in_one_minute(test: Callable[..., None]) -> Callable[..., None]:
    """Do *test* once more if it failed while a minute of the clock turned, where the limiter lets one more through."""

    @functools.wraps(test)
    def done() -> None:
        minute = time.time() // 60
        try:
            test()
        except AssertionError:
            if time.time() // 60 == minute:
                raise
            test()

    return done


# --- how often


@in_one_minute
def test_logins_of_one_address_are_limited_and_those_of_another_are_not():
    client = api(logins_per_minute=3)
    answers = [log_in(client) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].get_json()["code"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert log_in(client, address=ELSEWHERE).status_code == 200


@in_one_minute
def test_both_fetches_share_one_limit_and_other_routes_are_not_held_to_it():
    client = api(fetches_per_minute=2)
    paths = ("/bovespaDay", "/tradingDay?date=2025-02-20", "/bovespaDay", "/tradingDay?date=2025-02-20")
    assert [client.get(path, headers=bearer()).status_code for path in paths] == [200, 200, 429, 429]
    assert client.get("/sessions", headers=bearer()).status_code == 200


@in_one_minute
def test_every_route_counts_for_the_general_limit_and_bad_tokens_too():
    client = api(requests_per_minute=4)
    answers = [
        client.get("/health"),
        client.get("/docs"),
        client.get("/sessions", headers={"Authorization": "Bearer x"}),
        client.get("/openapi.json"),
        client.get("/sessions", headers={"Authorization": "Bearer x"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 429]


@in_one_minute
def test_what_no_route_takes_is_limited_too_and_takes_nothing_from_the_routes():
    client = api(requests_per_minute=3)
    answers = [client.open(path, method=method) for path, method in [("/x", "GET"), ("/health", "PUT")] * 2]
    assert [answer.status_code for answer in answers] == [404, 405, 404, 429]
    assert (codes(answers)[-1], answers[-1].headers["Retry-After"]) == ("too_many_requests", "60")
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_subscribers_network(text: str | None, expected: str):
    assert client_address(text) == expected


# --- who is believed about the address


@in_one_minute
def test_without_a_trusted_proxy_nobody_can_pretend_to_be_elsewhere():
    client = api(logins_per_minute=1)
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.1"}).status_code == 200
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.2"}).status_code == 429


@in_one_minute
def test_behind_one_proxy_the_address_that_it_saw_counts_and_not_what_the_client_wrote():
    client = api(logins_per_minute=1, trusted_proxies=1)
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.1"}).status_code == 200
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.2"}).status_code == 200
    assert log_in(client, **{"X-Forwarded-For": "203.0.113.9, 203.0.113.2"}).status_code == 429


# --- guessing a password


@pytest.mark.parametrize("user", ["ana", "eve"])
def test_a_name_is_locked_after_some_failures_whether_it_exists_or_not(user: str):
    client = api()
    answers = [log_in(client, "guess", user=user) for _ in range(FREE_FAILURES + 1)]
    assert codes(answers) == ["invalid_credentials"] * FREE_FAILURES + ["login_locked"]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) == FIRST_LOCK_S + 1


def test_known_and_unknown_names_get_the_same_answers_byte_for_byte():
    client = api()
    for _ in range(FREE_FAILURES + 2):
        known, unknown = (log_in(client, "guess", user=user) for user in ("ana", "eve"))
        assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
        assert list(known.headers) == list(unknown.headers)


def test_the_right_password_does_not_show_while_the_name_is_locked():
    clock = Clock()
    client = api(clock)
    wrong = [log_in(client, "guess") for _ in range(FREE_FAILURES + 1)][-1]
    right = log_in(client)
    assert (right.status_code, right.data, list(right.headers)) == (429, wrong.data, list(wrong.headers))
    clock.later(FIRST_LOCK_S)
    assert log_in(client).status_code == 200


def test_each_lock_is_longer_than_the_one_before_up_to_five_minutes():
    clock = Clock()
    lockout = Lockout(Passwords(SETTINGS.users), clock=clock)
    locks = []
    for _ in range(FREE_FAILURES - 1):
        assert lockout.match("ana", "guess", HOME) is False
    for _ in range(8):
        assert lockout.match("ana", "guess", HOME) is False
        with pytest.raises(LoginLocked) as caught:
            lockout.match("ana", PASSWORD, HOME)
        locks.append(caught.value.retry_after_s)
        # What is tried during the lock does not make it longer.
        clock.later(min(caught.value.retry_after_s, MAX_LOCK_S))
    assert locks == [11, 21, 41, 81, 161, 300, 300, 300]
    assert lockout.match("ana", PASSWORD, HOME) is True


def test_a_success_or_an_hour_forgives():
    clock = Clock()
    lockout = Lockout(Passwords(SETTINGS.users), clock=clock)
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            assert lockout.match("ana", "guess", HOME) is False
        assert lockout.match("ana", PASSWORD, HOME) is True
    for _ in range(FREE_FAILURES - 1):
        assert lockout.match("ana", "guess", ELSEWHERE) is False
    clock.later(3601)
    assert lockout.match("ana", "guess", ELSEWHERE) is False
    assert lockout.match("ana", PASSWORD, ELSEWHERE) is True


def test_a_stranger_cannot_lock_the_owner_out_of_the_usual_place():
    client = api()
    assert log_in(client).status_code == 200
    assert codes([log_in(client, "guess", address=ELSEWHERE) for _ in range(FREE_FAILURES + 1)])[-1] == "login_locked"
    assert log_in(client).status_code == 200
    assert codes([log_in(client, "guess") for _ in range(FREE_FAILURES + 1)])[-1] == "login_locked"


def test_guesses_at_the_same_moment_are_counted_one_by_one():
    lockout = Lockout(Passwords(SETTINGS.users), clock=Clock())
    seen: list[str] = []

    def guess() -> None:
        try:
            seen.append(str(lockout.match("ana", "guess", HOME)))
        except LoginLocked:
            seen.append("locked")

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(seen) == ["False"] * FREE_FAILURES + ["locked"] * (20 - FREE_FAILURES)


def test_a_flood_of_names_fills_no_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.lockout._REMEMBERED", 50)
    lockout = Lockout(Passwords(SETTINGS.users), clock=Clock())
    for number in range(200):
        lockout.match(f"name {number}" * 100, "guess", HOME)
    assert len(lockout._failures) == 50


def test_unknown_wrong_and_locked_cost_the_same_work():
    passwords = Passwords({"ana": hash_password(PASSWORD)})
    lockout = Lockout(passwords, clock=Clock())

    def seconds(user: str) -> float:
        # This thread's own: what else the machine does meanwhile is not part of it.
        started_s = time.thread_time()
        try:
            assert lockout.match(user, "guess", HOME) is False
        except LoginLocked:
            assert user == "locked"
        return time.thread_time() - started_s

    for _ in range(FREE_FAILURES):
        seconds("locked")
    tries: dict[str, list[float]] = {"ana": [], "locked": [], "unknown": []}
    for number in range(4):
        for kind, found in tries.items():
            found.append(seconds(f"unknown {number}" if kind == "unknown" else kind))
    medians = {kind: statistics.median(found) for kind, found in tries.items()}
    # Without the work, one of them would take microseconds instead of some 50 ms.
    assert max(medians.values()) / min(medians.values()) < 2, medians


@pytest.mark.parametrize(
    "method", ["pbkdf2:foo:1", "pbkdf2:sha256:0", "scrypt:1000:8:1", "scrypt:1:8:1", "scrypt:16384:0:1", "plain:1:1:1"]
)
def test_a_hash_by_which_no_password_can_be_checked_is_refused_at_the_start(method: str):
    with pytest.raises(ConfigurationError, match="no password hash for eve"):
        Passwords({"ana": hash_password(PASSWORD), "eve": f"{method}$salt$abcd"})
    assert Passwords({"ana": "pbkdf2:sha256:1$salt$abcd"}).match("ana", "guess") is False


# --- keys and users


def restarted(token: str, **settings: Any) -> str:
    """What an API with other settings says to a token that was issued before."""
    answer = api(**settings).get("/sessions", headers={"Authorization": f"Bearer {token}"})
    return "in" if answer.status_code == 200 else str(answer.get_json()["code"])


def test_a_key_is_rotated_without_anybody_noticing_until_the_old_one_is_taken_away():
    token = log_in(api()).get_json()["access_token"]
    new = {"jwt_secret": "another-secret-of-more-than-32-characters"}
    assert restarted(token, **new, jwt_secret_previous=SETTINGS.jwt_secret) == "in"
    assert restarted(token, **new) == "token_invalid"


def test_a_new_password_a_removed_user_and_another_deployment_end_a_token():
    token = log_in(api()).get_json()["access_token"]
    other = generate_password_hash("new", method="pbkdf2:sha256:1")
    assert restarted(token) == "in"
    assert restarted(token, users={"ana": other}) == "token_invalid"
    assert restarted(token, users={"bia": SETTINGS.users["ana"]}) == "token_invalid"
    assert restarted(token, raw_bucket="another-raw") == "token_invalid"


COMPLETE = {
    "BOVESPA_RAW_BUCKET": "raw",
    "BOVESPA_REFINED_BUCKET": "refined",
    "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
    "BOVESPA_USERS": '{"ana": "scrypt:32768:8:1$salt$00"}',
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BOVESPA_JWT_SECRET_PREVIOUS", "short", "has 5 characters"),
        ("BOVESPA_JWT_SECRET_PREVIOUS", COMPLETE["BOVESPA_JWT_SECRET"], "the same"),
        ("BOVESPA_LOGINS_PER_MINUTE", "0", "from 1"),
        ("BOVESPA_FETCHES_PER_MINUTE", "-1", "from 1"),
        ("BOVESPA_REQUESTS_PER_MINUTE", "many", "from 1"),
        ("BOVESPA_TRUSTED_PROXIES", "1.5", "from 0"),
    ],
)
def test_a_setting_of_the_door_that_is_wrong_is_named(name: str, value: str, said: str):
    with pytest.raises(ConfigurationError, match=f"{name}.*{said}") as caught:
        Settings.from_environ(COMPLETE | {name: value})
    assert COMPLETE["BOVESPA_JWT_SECRET"] not in str(caught.value)


def test_the_previous_key_does_not_show():
    settings = Settings.from_environ(COMPLETE | {"BOVESPA_JWT_SECRET_PREVIOUS": "p" * 32})
    assert settings.jwt_secret_previous == "p" * 32
    assert "p" * 32 not in repr(settings)


# --- what every answer carries, and what the log does not


@pytest.mark.parametrize(
    "path", ["/health", "/docs", "/sessions", "/nowhere", "//health", "/sessions//IBOV/2025-02-24"]
)
def test_no_answer_goes_without_its_headers(path: str):
    headers = api().get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers
    assert "Location" not in headers
    assert "Strict-Transport-Security" not in headers


def test_browsers_are_told_to_keep_to_tls_only_when_a_trusted_proxy_says_it_is_tls():
    forwarded = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in api().get("/health", headers=forwarded).headers
    behind = api(trusted_proxies=1)
    assert "Strict-Transport-Security" in behind.get("/health", headers=forwarded).headers
    assert "Strict-Transport-Security" not in behind.get("/health").headers


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT"])
@pytest.mark.parametrize("path", ["/health", "/bovespaDay", "/login"])
def test_methods_that_no_route_has_are_refused_before_anything_else(method: str, path: str):
    answer = api().open(path, method=method)
    assert (answer.status_code, answer.get_json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        b'{"username":"ana","username":"eve","password":"x"}',
        b'{"username":"ana","password":"x","more":{"a":1,"a":2}}',
        b'{"username":"ana","password":"x","more":' + b"9" * 5000 + b"}",
    ],
    ids=["name twice", "name twice below", "number of 5000 digits"],
)
def test_a_body_that_readers_disagree_on_is_refused(body: bytes):
    answer = api().post("/login", data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_json")


def test_a_whole_day_at_the_door_leaves_no_secret_in_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    client = api(logins_per_minute=12, jwt_secret_previous="the-secret-of-last-month-is-known-too")
    token = log_in(client).get_json()["access_token"]
    answers = [client.get("/sessions", headers={"Authorization": f"Bearer {token}{more}"}) for more in ("", "x", ".y")]
    # A guess at a password, a password in the field of the name, and both until the limit ends it.
    for _ in range(8):
        answers += [log_in(client, f"{PASSWORD}!"), log_in(client, "x", user=PASSWORD)]
    answers.append(client.get(f"/sessions?access_token={token}", headers=bearer()))
    answers.append(client.get("/sessions", headers={"Cookie": f"token={token}"}))
    assert {"ok", "token_invalid", "token_missing", "invalid_credentials", "login_locked", "too_many_requests"} <= set(
        codes(answers)
    )
    records = [str(vars(record)) for record in caplog.records]
    assert len(records) > 20
    assert any("locked a login" in record and "'ana'" in record for record in records)
    for secret in (PASSWORD, token, SETTINGS.jwt_secret, "last-month", *SETTINGS.users.values()):
        assert not [record for record in records if secret in record], secret


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_a_caller_writes_cannot_forge_a_line_of_the_log(log_format: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    api().get("/sessions/IBOV%0d%0aforged/2025-02-24", headers=bearer())
    handler = log_handler(log_format, service="api", stream=io.StringIO())
    lines = [handler.format(record) for record in caplog.records if record.name.startswith("api")]
    assert lines
    assert not [line for line in lines if "\n" in line or "\r" in line]
    assert any("forged" in line for line in lines)
