"""What an S3 event says, and what the function does about it."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bovespa.errors import ConfigurationError, UnexpectedEvent
from bovespa.layout import Import, Session, TradingDay
from bovespa.log_lines import JsonFormatter
from lambda_handler import lambda_handler as function
from lambda_handler.lambda_handler import Announcement, Origin, announcements, lambda_handler, origin_of
from lambda_handler.lambda_handler import start_runs as start_runs_of

BUCKET = "bovespa-raw-111122223333-sa-east-1"
FIRST = Session("IBOV", dt.date(2025, 2, 3))
SECOND = Session("SMLL", dt.date(2025, 2, 4))
DAY = TradingDay(dt.date(2025, 2, 4))


def record(key: str, /, **changes: Any) -> dict[str, Any]:
    """One record as S3 sends it; *key* is form-encoded here, as S3 does it."""
    stored = {"key": quote_plus(key, safe="/"), "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e"}
    whole = {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "sa-east-1",
        "eventTime": "2025-02-03T09:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "raw",
            "bucket": {
                "name": changes.pop("bucket", BUCKET),
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{BUCKET}",
            },
            "object": stored | {"versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko", "sequencer": "0055AED6DCD90281E5"},
        },
    }
    stored_changes = {name: changes.pop(name) for name in ("size", "key") if name in changes}
    whole["s3"]["object"].update(stored_changes)  # type: ignore[index]
    return whole | changes


def event(*records: Mapping[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def subjects(sent: Mapping[str, Any], bucket: str) -> list[Session | TradingDay | Import]:
    return [announced.subject for announced in announcements(sent, bucket)]


def arrival(subject: Session | TradingDay | Import, version_id: str | None = "v1") -> Announcement:
    return Announcement(subject, subject.key if isinstance(subject, Import) else subject.raw_key, version_id)


INVOCATION = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
FOLLOWED = "desk-7"


@dataclass(frozen=True)
class Context:
    """What Lambda tells of an invocation."""

    function_name: str = "bovespa-start-refine"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:sa-east-1:111122223333:function:bovespa-start-refine"
    aws_request_id: str = INVOCATION


def start_runs(
    announced: list[Announcement], job_name: str, runs: Any, origin: Callable[[Announcement], Origin]
) -> list[dict[str, str]]:
    return start_runs_of(announced, job_name, runs, origin, invocation_id=INVOCATION)


def nobodys(_announced: Announcement) -> Origin:
    """No object came with an import, and all with one request."""
    return Origin(correlation_id=FOLLOWED)


def brought(objects: Mapping[Announcement, str]) -> Callable[[Announcement], Origin]:
    """Some objects came with an import."""
    return lambda announced: Origin(objects[announced], objects[announced]) if announced in objects else Origin()


class Runs:
    """Stands where the Glue client's `start_job_run` is: keeps the requests and answers as Glue does."""

    def __init__(self, **errors: Exception) -> None:
        self.requests: list[dict[str, Any]] = []
        self._errors = errors

    def __call__(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        session = request["Arguments"]["--sessions"]
        if session[:4] in self._errors:
            raise self._errors[session[:4]]
        return {"JobRunId": f"jr_{session}", "ResponseMetadata": {}}


def test_a_raw_object_asks_for_its_session() -> None:
    assert subjects(event(record(FIRST.raw_key)), BUCKET) == [FIRST]


def test_a_raw_trading_day_asks_for_itself() -> None:
    assert subjects(event(record(DAY.raw_key), record(FIRST.raw_key)), BUCKET) == [DAY, FIRST]


def test_a_key_that_looks_like_a_trading_day_and_names_none_is_an_error() -> None:
    with pytest.raises(UnexpectedEvent, match="raw trading day"):
        announcements(event(record("trading/session_date=20250230/trading.parquet")), BUCKET)


def test_a_key_with_every_sign_encoded_is_understood() -> None:
    everything = quote_plus(FIRST.raw_key)
    assert "%3D" in everything
    assert "%2F" in everything
    assert subjects(event(record("", key=everything)), BUCKET) == [FIRST]


def test_a_plain_key_is_not_decoded_into_another_one() -> None:
    assert subjects(event(record("", key=FIRST.raw_key)), BUCKET) == [FIRST]


def test_every_record_counts_in_its_order() -> None:
    assert subjects(event(record(SECOND.raw_key), record(FIRST.raw_key)), BUCKET) == [SECOND, FIRST]


def test_a_session_that_is_announced_twice_runs_once() -> None:
    twice = event(record(FIRST.raw_key), record(SECOND.raw_key), record(FIRST.raw_key))
    assert subjects(twice, BUCKET) == [FIRST, SECOND]


@pytest.mark.parametrize("name", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_every_way_to_create_an_object_counts(name: str) -> None:
    assert subjects(event(record(FIRST.raw_key, eventName=f"ObjectCreated:{name}")), BUCKET) == [FIRST]


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "ObjectRestore:Completed", "LifecycleExpiration:Delete"])
def test_what_creates_nothing_is_ignored(name: str) -> None:
    assert subjects(event(record(FIRST.raw_key, eventName=name)), BUCKET) == []


@pytest.mark.parametrize(
    "key",
    [
        f"source/{FIRST.partition}/0f.csv",
        f"source/{FIRST.partition}/portfolio.parquet",
        f"portfolio/{FIRST.partition}/_SUCCESS",
        "quarantine/2025-02-03T090000Z/çã + é = ü.json",
        "portfolio-2/a.parquet",
    ],
)
def test_foreign_keys_are_ignored(key: str) -> None:
    assert subjects(event(record(key), record(FIRST.raw_key)), BUCKET) == [FIRST]


def test_empty_objects_are_ignored() -> None:
    assert subjects(event(record(FIRST.raw_key, size=0)), BUCKET) == []


def test_the_test_event_of_s3_is_ignored() -> None:
    sent = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2025-02-03T09:00:00.000Z",
        "Bucket": BUCKET,
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
    }
    assert subjects(sent, BUCKET) == []


@pytest.mark.parametrize(
    "key",
    [
        "portfolio/portfolio.parquet",
        "portfolio/index_code=IBOV/session_date=2025-02-30/portfolio.parquet",
        "portfolio/index_code=IBOV/session_date=2025-02-03/other.parquet",
        "portfolio/index_code=ÍBOV/session_date=2025-02-03/portfolio.parquet",
        "portfolio/index_code=IB V/session_date=2025-02-03/portfolio.parquet",
        "portfolio/index_code=IBOV/session_date=2025-02-03/portfolio+1.parquet",
    ],
)
def test_a_key_that_looks_like_ours_and_is_not_is_an_error(key: str) -> None:
    with pytest.raises(UnexpectedEvent):
        subjects(event(record(FIRST.raw_key), record(key)), BUCKET)


def test_the_error_names_the_key_as_people_write_it() -> None:
    with pytest.raises(UnexpectedEvent, match=r"portfolio/a = é\.parquet"):
        subjects(event(record("portfolio/a = é.parquet")), BUCKET)


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.6", "2.99"])
def test_minor_versions_of_the_event_do_not_matter(version: str) -> None:
    assert subjects(event(record(FIRST.raw_key, eventVersion=version)), BUCKET) == [FIRST]


@pytest.mark.parametrize("version", ["1.0", "3.0", "20.1", "", None])
def test_another_major_version_of_the_event_is_an_error(version: str | None) -> None:
    with pytest.raises(UnexpectedEvent, match="version"):
        subjects(event(record(FIRST.raw_key, eventVersion=version)), BUCKET)


def test_the_documented_event_of_version_2_1_is_understood() -> None:
    documented = json.loads("""
        {"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2",
            "eventTime": "1970-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {
                "x-amz-request-id": "C3D13FE58DE4C810",
                "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "testConfigRule",
                "bucket": {
                    "name": "mybucket", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": "arn:aws:s3:::mybucket"},
                "object": {
                    "key": "portfolio/index_code%3DIBOV/session_date%3D2025-02-03/portfolio.parquet", "size": 1024,
                    "eTag": "d41d8cd98f00b204e9800998ecf8427e", "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                    "sequencer": "0055AED6DCD90281E5"}}}]}
    """)
    assert subjects(documented, "mybucket") == [FIRST]


def test_another_bucket_is_an_error() -> None:
    with pytest.raises(UnexpectedEvent, match="somebody-elses"):
        subjects(event(record(FIRST.raw_key, bucket="somebody-elses")), BUCKET)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Records": None},
        {"Records": {}},
        {"Records": [None]},
        {"Records": [{}]},
        {"Records": [record(FIRST.raw_key, s3=None)]},
        {"Records": [record(FIRST.raw_key, key=None)]},
        {"Records": [record(FIRST.raw_key, eventName=None)]},
        {"Records": [record(FIRST.raw_key, eventSource="aws:sqs")]},
    ],
)
def test_what_is_no_notification_of_s3_is_an_error(sent: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedEvent):
        subjects(sent, BUCKET)


def test_each_session_starts_one_run() -> None:
    runs = Runs()
    assert start_runs([arrival(FIRST), arrival(SECOND)], "bovespa-refine", runs, nobodys) == [
        {"sessions": "IBOV/2025-02-03", "job_run_id": "jr_IBOV/2025-02-03"},
        {"sessions": "SMLL/2025-02-04", "job_run_id": "jr_SMLL/2025-02-04"},
    ]
    assert runs.requests == [
        {
            "JobName": "bovespa-refine",
            "Arguments": {"--sessions": sessions, "--correlation_id": FOLLOWED},
            # Glue queues a run only if the run itself asks for it.
            "JobRunQueuingEnabled": True,
        }
        for sessions in ("IBOV/2025-02-03", "SMLL/2025-02-04")
    ]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ConcurrentRunsExceededException", "Message": "full"}}, "StartJobRun"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "StartJobRun"),
        EndpointConnectionError(endpoint_url="https://glue.sa-east-1.amazonaws.com"),
    ],
)
def test_a_run_that_cannot_start_is_raised_after_the_others_started(error: Exception) -> None:
    runs = Runs(IBOV=error)
    with pytest.raises(ExceptionGroup, match="1 of 2 runs") as raised:
        start_runs([arrival(FIRST), arrival(SECOND)], "bovespa-refine", runs, nobodys)
    assert raised.value.exceptions == (error,)
    # The queue of failed events shows the message alone.
    assert str(error) in str(raised.value)
    assert "IBOV/2025-02-03" in error.__notes__[0]
    assert [request["Arguments"]["--sessions"] for request in runs.requests] == ["IBOV/2025-02-03", "SMLL/2025-02-04"]


def test_an_error_of_ours_is_not_taken_for_one_of_glue() -> None:
    with pytest.raises(ZeroDivisionError):
        start_runs([arrival(FIRST)], "bovespa-refine", Runs(IBOV=ZeroDivisionError()), nobodys)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """What the function writes, line by line."""
    written = io.StringIO()
    monkeypatch.setattr(function.log.registered_handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_started_run_is_logged_with_its_session_and_ids(lines: Callable[[], list[dict[str, Any]]]) -> None:
    start_runs([arrival(FIRST)], "bovespa-refine", Runs(), nobodys)
    (line,) = lines()
    assert {name: line[name] for name in ("service", "level", "sessions", "job_run_id", "correlation_id")} == {
        "service": "bovespa-start-refine",
        "level": "INFO",
        "sessions": "IBOV/2025-02-03",
        "job_run_id": "jr_IBOV/2025-02-03",
        "correlation_id": FOLLOWED,
    }


def test_a_run_that_cannot_start_is_logged_under_the_id_of_its_session(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "StartJobRun")
    with pytest.raises(ExceptionGroup):
        start_runs([arrival(FIRST)], "bovespa-refine", Runs(IBOV=throttled), nobodys)
    (line,) = lines()
    assert (line["level"], line["correlation_id"], line["exception_name"]) == ("ERROR", FOLLOWED, "ClientError")


def test_the_names_of_the_fields_are_those_of_the_other_programs(lines: Callable[[], list[dict[str, Any]]]) -> None:
    start_runs([arrival(FIRST)], "bovespa-refine", Runs(), nobodys)
    (line,) = lines()
    ours = JsonFormatter("x", {"correlation_id": "y"}).format(logging.makeLogRecord({"msg": "z"}))
    assert set(json.loads(ours)) - {"logger"} <= set(line)


def test_every_missing_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLUE_JOB_NAME", "RAW_BUCKET_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="GLUE_JOB_NAME, RAW_BUCKET_NAME"):
        lambda_handler(event(record(FIRST.raw_key)), Context())


def test_a_manifest_asks_for_one_run_over_its_import() -> None:
    made_by = Import("20250203T120000-000001-0f")
    assert announcements(event(record(made_by.key)), BUCKET) == [
        Announcement(made_by, made_by.key, "096fKKXTRTtl3on89fVO.nfljtsv6qko")
    ]
    runs = Runs()
    # A manifest is never asked who brought it: the import's own id is what follows it.
    arguments = {"--sessions": f"import:{made_by.import_id}", "--correlation_id": made_by.import_id}
    start_runs([arrival(made_by)], "bovespa-refine", runs, {}.__getitem__)
    assert runs.requests == [{"JobName": "bovespa-refine", "Arguments": arguments, "JobRunQueuingEnabled": True}]


@pytest.mark.parametrize("key", ["imports/.json", "imports/a/b.json", "imports/ç.json"])
def test_a_key_that_looks_like_a_manifest_and_is_not_is_an_error(key: str) -> None:
    with pytest.raises(UnexpectedEvent):
        announcements(event(record(key)), BUCKET)


def test_a_trading_day_starts_its_run_unless_an_import_brought_it() -> None:
    runs = Runs()
    origin = brought({arrival(DAY, "v1"): "0f"})
    start_runs([arrival(DAY, "v1"), arrival(DAY, "v2")], "bovespa-refine", runs, origin)
    assert [request["Arguments"]["--sessions"] for request in runs.requests] == ["trading/2025-02-04"]


def test_an_object_that_an_import_brought_starts_nothing_and_says_so(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    runs = Runs()
    started = start_runs([arrival(FIRST), arrival(SECOND)], "bovespa-refine", runs, brought({arrival(FIRST): "0f"}))
    assert [one["sessions"] for one in started] == [str(SECOND)]
    (line,) = [line for line in lines() if "ignored" in line["message"]]
    assert (line["sessions"], line["import_id"], line["correlation_id"]) == (str(FIRST), "0f", "0f")


def test_of_two_versions_in_one_event_only_the_one_that_no_import_brought_counts() -> None:
    runs = Runs()
    both = [arrival(FIRST, "imported"), arrival(FIRST, "collected"), arrival(FIRST, "again")]
    asked: list[str | None] = []

    def brought_by(announced: Announcement) -> Origin:
        asked.append(announced.version_id)
        return Origin("0f") if announced.version_id == "imported" else Origin()

    start_runs(both, "bovespa-refine", runs, brought_by)
    assert [request["Arguments"]["--sessions"] for request in runs.requests] == [str(FIRST)]
    assert asked == ["imported", "collected"]


def test_an_object_that_s3_does_not_show_keeps_no_other_run_from_starting() -> None:
    refused = ClientError(
        {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
        "HeadObject",
    )

    def brought_by(announced: Announcement) -> Origin:
        if announced.subject == FIRST:
            raise refused
        return Origin()

    runs = Runs()
    with pytest.raises(ExceptionGroup, match="1 of 2 runs") as raised:
        start_runs([arrival(FIRST), arrival(SECOND)], "bovespa-refine", runs, brought_by)
    assert raised.value.exceptions == (refused,)
    assert [request["Arguments"]["--sessions"] for request in runs.requests] == [str(SECOND)]


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """A server that speaks StartJobRun: it refuses the first request and takes the following ones."""
    received: list[dict[str, Any]] = []
    refusal = getattr(request, "param", "ThrottlingException")

    class Glue(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append({"operation": self.headers["X-Amz-Target"], **body})
            throttled = len(received) == 1
            answer = {"__type": refusal} if throttled else {"JobRunId": f"jr_{len(received)}"}
            self.send_response(400 if throttled else 200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def do_HEAD(self) -> None:
            """S3's answer: an object that no import brought."""
            self.send_response(404 if "gone" in self.path else 403 if "secret" in self.path else 200)
            for name in ("import-id", "correlation-id", "way"):
                if name in self.path:
                    self.send_header(f"x-amz-meta-{name}", "0f")
            if "malformed" in self.path:
                self.send_header("x-amz-meta-correlation-id", "--sessions all")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Glue) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GLUE_JOB_NAME", "bovespa-refine")
        monkeypatch.setenv("RAW_BUCKET_NAME", BUCKET)
        function._client.cache_clear()
        yield received
        function._client.cache_clear()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("version_id", "found"),
    [
        ("v-import-id", Origin(import_id="0f")),
        ("v-correlation-id", Origin(correlation_id="0f")),
        ("v-import-id-correlation-id", Origin("0f", "0f")),
        ("v-way", Origin()),
        ("v-gone", Origin()),
        # It would become an argument of the job.
        ("v-malformed", Origin()),
    ],
)
def test_the_announced_version_tells_how_it_came(glue: list[dict[str, Any]], version_id: str, found: Origin) -> None:
    assert glue == []
    assert origin_of(function._client("s3"), BUCKET, arrival(FIRST, version_id)) == found
    assert origin_of(function._client("s3"), BUCKET, arrival(FIRST, None)) == Origin()


def test_a_version_that_may_not_be_seen_is_an_error(glue: list[dict[str, Any]]) -> None:
    assert glue == []
    with pytest.raises(ClientError, match="403"):
        origin_of(function._client("s3"), BUCKET, arrival(FIRST, "secret"))


@pytest.mark.parametrize("glue", ["ThrottlingException", "ConcurrentRunsExceededException"], indirect=True)
def test_the_function_asks_glue_again_when_it_is_throttled_or_full(glue: list[dict[str, Any]]) -> None:
    answer = lambda_handler(event(record(FIRST.raw_key)), Context())
    assert answer == [{"sessions": "IBOV/2025-02-03", "job_run_id": "jr_2"}]
    wanted = {
        "operation": "AWSGlue.StartJobRun",
        "JobName": "bovespa-refine",
        # The object says nothing of who stored it.
        "Arguments": {"--sessions": "IBOV/2025-02-03", "--correlation_id": INVOCATION},
        "JobRunQueuingEnabled": True,
    }
    assert glue == [wanted, wanted]


def test_an_event_in_which_one_record_is_wrong_starts_nothing(glue: list[dict[str, Any]]) -> None:
    with pytest.raises(UnexpectedEvent):
        lambda_handler(event(record(FIRST.raw_key), record("portfolio/x.parquet")), Context())
    assert glue == []
