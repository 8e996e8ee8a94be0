"""The id of a request: taken from the caller or made, told in every answer, in force while it is served."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from api.commands import ingest_command
from api.trading_commands import ingest_trading_day_command
from bovespa.correlation import correlation_id, is_correlation_id
from bovespa.errors import StorageUnavailable
from bovespa.log_lines import log_handler
from tests.api_in_process import (
    NOW,
    PASSWORD,
    SETTINGS,
    Shelf,
    TradingShelf,
    bearer,
    client,
    ingesting,
    published,
    trading_days,
)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What an API that is not at a terminal writes."""
    written = io.StringIO()
    handler = log_handler("auto", service="bovespa-api", stream=written)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("given", ["7", "desk-7", "a.b_C-9", "0" * 64])
def test_a_well_formed_id_of_the_caller_is_the_answer_s(given: str) -> None:
    assert client().get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["", "-", "-a", "a-", "a b", "a\tb", '"a"', "--sessions", "0" * 65, "é", "a,b", "a/b"]
)
def test_a_malformed_id_is_replaced(given: str) -> None:
    told = client().get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert is_correlation_id(told)
    assert told != given


def test_requests_without_an_id_get_one_each() -> None:
    caller = client()
    assert len({caller.get("/health").headers["X-Request-ID"] for _ in range(3)}) == 3


@pytest.mark.parametrize("path", ["/nowhere", "/bovespaDay", "/bovespaDay?index=NOPE"])
def test_refusals_tell_the_id_too(path: str) -> None:
    assert client().get(path, headers={"X-Request-ID": "desk-7"}).headers["X-Request-ID"] == "desk-7"


def test_a_bug_tells_the_id_too() -> None:
    caller = client(shelf=Shelf(failure=ZeroDivisionError()))
    caller.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = caller.get("/bovespaDay", headers={**bearer(), "X-Request-ID": "desk-7"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "desk-7")


def test_the_id_is_in_force_while_a_session_is_fetched_and_not_afterwards() -> None:
    seen: list[str | None] = []

    def fetch(index_code: str) -> Any:
        seen.append(correlation_id())
        return published(index_code)

    client(fetch).get("/bovespaDay", headers={**bearer(), "X-Request-ID": "desk-7"})
    assert seen == ["desk-7"]
    assert correlation_id() is None


def test_a_trading_day_is_stored_under_the_id() -> None:
    days = trading_days()
    client(trading=days).get("/tradingDay?date=2025-02-20", headers={**bearer(), "X-Request-ID": "desk-7"})
    (provenance,) = days._store.provenances  # type: ignore[attr-defined]
    assert provenance.correlation_id == "desk-7"


def test_each_index_of_a_command_has_an_id_of_its_own() -> None:
    shelf = Shelf()
    command = ingest_command(lambda: ingesting(published, shelf))
    assert CliRunner().invoke(command, ["--index", "IBOV", "--index", "SMLL"]).exit_code == 0
    ids = [provenance.correlation_id for _, provenance in shelf.stored]
    assert len(set(ids)) == 2
    assert all(map(is_correlation_id, ids))


def test_a_period_of_trading_days_has_one_id_and_a_single_day_its_own(lines: Lines) -> None:
    shelf = TradingShelf()
    command = ingest_trading_day_command(lambda: trading_days(shelf=shelf), clock=lambda: NOW)
    assert CliRunner().invoke(command, ["--from", "2025-02-18", "--to", "2025-02-20"]).exit_code == 0
    (manifest,) = shelf.manifests
    assert [one.correlation_id for one in shelf.provenances] == [manifest.made_by.import_id] * 3
    assert {line["correlation_id"] for line in lines()} == {manifest.made_by.import_id}
    assert CliRunner().invoke(command, ["--date", "2025-02-20"]).exit_code == 0
    assert is_correlation_id(shelf.provenances[-1].correlation_id)
    assert shelf.provenances[-1].correlation_id != manifest.made_by.import_id


def test_every_line_of_a_request_is_one_object_with_its_id(lines: Lines) -> None:
    failing = Shelf(failure=StorageUnavailable("Down.\nTry again later."))
    client(shelf=failing).get("/bovespaDay", headers={**bearer(), "X-Request-ID": "desk-7"})
    assert [line["message"] for line in lines()] == ["proven", "refused a request", "answered"]
    proven, refused, answered = lines()
    assert {line["correlation_id"] for line in lines()} == {"desk-7"}
    assert {line["service"] for line in lines()} == {"bovespa-api"}
    assert proven["rows"] == 86
    assert (refused["code"], refused["why"]) == ("storage_unavailable", "Down.\nTry again later.")
    assert (answered["path"], answered["status"], answered["user"]) == ("/bovespaDay", 503, "ana")


def test_neither_passwords_nor_tokens_nor_the_secret_are_logged(lines: Lines) -> None:
    caller = client()
    answer = caller.post("/login", json={"username": "ana", "password": PASSWORD})
    token = answer.get_json()["access_token"]
    caller.get(f"/bovespaDay?token={token}", headers={"Authorization": f"Bearer {token}"})
    caller.get("/bovespaDay", headers={"Authorization": f"Bearer {token}x", "X-Request-ID": token})
    caller.post("/login", json={"username": "ana", "password": PASSWORD + "x"})
    text = json.dumps(lines())
    assert len(lines()) >= 4
    for secret in (PASSWORD, token, token.rpartition(".")[2], SETTINGS.jwt_secret, SETTINGS.users["ana"]):
        assert secret not in text
