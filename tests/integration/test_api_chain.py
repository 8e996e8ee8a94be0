"""From login to the raw bucket: the API with a real browser, B3's stand-in and a real object store."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from api.application import Collaborators
from app import connect, create_app
from bovespa.settings import Settings
from local.b3_stand_in import StandIn, running_stand_in
from local.synthetic import synthetic_csv, synthetic_portfolio
from tests.documented_client import DocumentedClient
from tests.until import until

PASSWORD = "correct horse battery staple"
SATURDAY = dt.date(2025, 2, 22)
MONDAY = dt.date(2025, 2, 24)


@pytest.fixture(scope="module")
def b3() -> Iterator[StandIn]:
    with running_stand_in(today=SATURDAY) as stand_in:
        yield stand_in


@pytest.fixture
def settings(b3: StandIn, raw_bucket: str, refined_bucket: str) -> Settings:
    b3.set(today=SATURDAY, faults=[])
    b3.requests.clear()
    return Settings(
        raw_bucket=raw_bucket,
        refined_bucket=refined_bucket,
        jwt_secret="a-secret-of-more-than-32-characters",
        users={"ana": generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")},
        b3_url=b3.url,
        download_timeout_s=30,
        download_attempts=2,
    )


@pytest.fixture
def collaborators(settings: Settings) -> Collaborators:
    return connect(settings)


def logged_in(settings: Settings, collaborators: Collaborators) -> DocumentedClient:
    app = create_app(settings, collaborators)
    app.test_client_class = DocumentedClient
    client = app.test_client()
    assert isinstance(client, DocumentedClient)
    answer = client.post("/login", json={"username": "ana", "password": PASSWORD})
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {answer.get_json()['access_token']}"
    return client


@pytest.fixture
def api(settings: Settings, collaborators: Collaborators) -> DocumentedClient:
    return logged_in(settings, collaborators)


def keys(s3: Any, bucket: str) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def downloads(b3: StandIn) -> int:
    return sum("GetDownloadPortfolioDay" in request for request in b3.requests)


def test_a_weekend_run_stores_monday_and_the_next_days_run_changes_nothing(
    api: DocumentedClient, b3: StandIn, s3: Any, raw_bucket: str
):
    content, portfolio = synthetic_csv("IBOV", MONDAY), synthetic_portfolio("IBOV", MONDAY)
    digest = hashlib.sha256(content).hexdigest()
    first = api.get("/bovespaDay").get_json()
    assert first.pop("elapsed_ms") > 0
    assert first == {
        "index": "IBOV",
        "session_date": "2025-02-24",
        "rows": len(portfolio.holdings),
        "status": "stored",
        "raw_uri": f"s3://{raw_bucket}/portfolio/index_code=IBOV/session_date=2025-02-24/portfolio.parquet",
        "source_uri": f"s3://{raw_bucket}/source/index_code=IBOV/session_date=2025-02-24/{digest}.csv",
        "source_sha256": digest,
        "total_theoretical_quantity": portfolio.total_theoretical_quantity,
        "reductor": str(portfolio.reductor),
        "way": "browser",
        "attempts": 1,
    }
    before = s3.list_object_versions(Bucket=raw_bucket)["Versions"]
    b3.set(today=SATURDAY + dt.timedelta(days=1))
    again = api.get("/bovespaDay?index=IBOV").get_json()
    assert again.pop("elapsed_ms") > 0
    assert again == first | {"status": "unchanged"}
    assert s3.list_object_versions(Bucket=raw_bucket)["Versions"] == before

    one = api.get("/sessions/IBOV/2025-02-24").get_json()
    assert (one["state"], one["rows"], one["source_sha256"]) == ("stored", len(portfolio.holdings), digest)
    assert one["source_uri"] == first["source_uri"]
    period = api.get("/sessions?from=2025-02-21&to=2025-02-25").get_json()
    assert period["counts"] == {"missing": 2, "stored": 1, "refining": 0, "refined": 0, "failed": 0}


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("http_520", 503, "b3_unavailable"),
        ("no_download_link", 502, "b3_changed"),
        ("renamed_columns", 502, "b3_changed"),
        ("truncated_csv", 502, "portfolio_unreadable"),
        ("wrong_totals", 502, "portfolio_does_not_add_up"),
        ("date_far_off", 502, "session_implausible"),
    ],
)
def test_each_fault_of_b3_has_its_own_code_and_publishes_nothing(
    *, fault: str, status: int, code: str, settings: Settings, b3: StandIn, s3: Any, raw_bucket: str
):
    once = replace(settings, download_attempts=1)
    b3.set(faults=[fault])
    answer = logged_in(once, connect(once)).get("/bovespaDay")
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    found = keys(s3, raw_bucket)
    assert not [key for key in found if not key.startswith("quarantine/")]
    downloaded = fault in ("renamed_columns", "truncated_csv", "wrong_totals", "date_far_off")
    assert [key.rpartition(".")[2] for key in found] == (["csv", "json"] if downloaded else [])


def test_a_page_that_fails_costs_no_session(api: DocumentedClient, b3: StandIn, s3: Any, raw_bucket: str):
    b3.set(faults=[{"fault": "http_520", "on": ["page"]}])
    answer = api.get("/bovespaDay?index=ICON").get_json()
    assert (answer["status"], answer["way"], answer["attempts"]) == ("stored", "https", 2)
    assert answer["source_sha256"] == hashlib.sha256(synthetic_csv("ICON", MONDAY)).hexdigest()
    key = answer["raw_uri"].removeprefix(f"s3://{raw_bucket}/")
    metadata = s3.head_object(Bucket=raw_bucket, Key=key)["Metadata"]
    assert (metadata["way"], metadata["view"]) == ("https", "sector")
    assert "/GetDownloadPortfolioDay/" in metadata["source-url"]

    b3.set(faults=[])
    again = api.get("/bovespaDay?index=ICON").get_json()
    assert (again["status"], again["way"], again["attempts"]) == ("unchanged", "browser", 1)
    assert again["source_uri"] == answer["source_uri"]


def test_what_passes_is_outlasted(settings: Settings, b3: StandIn, s3: Any, raw_bucket: str):
    patient = replace(settings, download_attempts=3)
    b3.set(
        faults=[{"fault": "truncated_csv", "times": 1}, {"fault": "http_520", "times": 1, "on": ["data"]}]
    )  # the browser's data call fails; the file over HTTPS is cut off; the browser comes again
    answer = logged_in(patient, connect(patient)).get("/bovespaDay?index=IMAT").get_json()
    assert (answer["status"], answer["way"], answer["attempts"]) == ("stored", "browser", 3)
    kept = [key.rpartition(".")[2] for key in keys(s3, raw_bucket) if key.startswith("quarantine/")]
    assert kept == ["csv", "json"]


def test_a_download_that_never_ends_is_a_timeout(settings: Settings, b3: StandIn):
    impatient = replace(settings, download_timeout_s=3)
    b3.set(faults=["download_never_ends"])
    answer = logged_in(impatient, connect(impatient)).get("/bovespaDay")
    assert (answer.status_code, answer.get_json()["code"]) == (504, "b3_timeout")
    assert int(answer.headers["Retry-After"]) > 0


def test_the_code_view_is_taken_when_b3_gives_no_other(api: DocumentedClient, b3: StandIn):
    b3.set(faults=["code_view_only"])
    assert api.get("/bovespaDay?index=IBXX").status_code == 200
    assert api.get("/sessions/IBXX/2025-02-24").get_json()["view"] == "code"
    b3.set(faults=[])
    assert api.get("/bovespaDay?index=IBXX").get_json()["status"] == "stored"
    assert api.get("/sessions/IBXX/2025-02-24").get_json()["view"] == "sector"


def test_two_simultaneous_calls_for_one_index_ask_b3_once(
    api: DocumentedClient, collaborators: Collaborators, b3: StandIn
):
    answers: list[TestResponse] = []
    authorization = {"Authorization": api.environ_base["HTTP_AUTHORIZATION"]}

    def call() -> None:
        answers.append(api.application.test_client().get("/bovespaDay", headers=authorization))

    b3.set(faults=[{"fault": "slow_page", "seconds": 1}])  # long enough for the second call to come in
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: collaborators.ingestion._flights.callers("IBOV") == 2)
    for thread in threads:
        thread.join(60)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.get_json()["status"] for answer in answers} == {"stored"}
    assert downloads(b3) == 1


def test_a_bucket_that_is_gone_is_a_storage_problem(settings: Settings):
    lost = replace(settings, raw_bucket="nobody-made-this")
    api = logged_in(lost, connect(lost))
    for path in ("/bovespaDay", "/sessions", "/sessions/IBOV/2025-02-24"):
        answer = api.get(path)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "storage_unavailable"), path
    health = api.get("/health")
    assert health.status_code == 503
    assert health.get_json()["checks"] == {"raw_bucket": "unavailable", "refined_bucket": "ok", "browser": "ok"}


def test_health_is_good_when_buckets_and_browser_are_there(api: DocumentedClient):
    answer = api.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ok")
