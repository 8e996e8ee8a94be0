"""Events that really failed, played once more: the queue, the function and the run are those of the local cloud."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from bovespa.layout import Session
from infrastructure import redrive
from local.pipeline import Pipeline
from tests.lake import Lake
from tests.until import until

SESSION = "index_code=BDRX/session_date=1999-01-05"
KEY = f"portfolio/{SESSION}/portfolio.parquet"


def event(key: str) -> dict[str, Any]:
    """A notification like S3's, of an object without content that is none of an import's."""
    stored = {"key": key.replace("=", "%3D"), "size": 1, "eTag": "0f", "sequencer": "00"}
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": "bovespa-raw-000000000000-us-east-1"}, "object": stored}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}
    return {"Records": [record]}


@pytest.fixture
def _operator(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pipeline.cloud.aws_environment.items():
        monkeypatch.setenv(name, value)


def redriven(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = redrive.main([*arguments, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def waiting(pipeline: Pipeline) -> int:
    queue = pipeline.cloud.outputs["FailedEventsQueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = pipeline.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


@pytest.mark.usefixtures("_operator")
def test_an_event_waits_until_its_cause_is_gone_and_is_then_played_and_deleted(
    pipeline: Pipeline, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    function, name = pipeline.cloud.client("lambda"), pipeline.cloud.outputs["FunctionName"]
    found = function.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert redriven(capsys) == (0, [])

    # The function looks for a job that is not there, until somebody sets it right.
    function.update_function_configuration(
        FunctionName=name, Environment={"Variables": found | {"GLUE_JOB_NAME": "bovespa-absent"}}
    )
    try:
        function.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event(KEY)))
        until(lambda: waiting(pipeline) == 1, timeout_s=60, every_s=0.1)

        status, (listed,) = redriven(capsys, "--list")
        assert (status, listed["status"], listed["keys"]) == (0, "waiting", [KEY])
        status, (failed,) = redriven(capsys)
        assert (status, failed["status"], failed["message_id"]) == (1, "failed", listed["message_id"])
        assert "could not be started: An error occurred (" in failed["detail"]
    finally:
        function.update_function_configuration(FunctionName=name, Environment={"Variables": found})

    lake.wait_until_idle()
    before = len(lake.runs())
    assert lake.runs_of(Session("BDRX", dt.date(1999, 1, 5))) == []
    status, (done,) = redriven(capsys)
    assert (status, done["status"], done["keys"]) == (0, "redriven", [KEY])
    assert waiting(pipeline) == 0
    assert len(lake.runs()) == before + 1
    assert len(lake.runs_of(Session("BDRX", dt.date(1999, 1, 5)))) == 1
    lake.wait_until_idle()


@pytest.mark.usefixtures("_operator")
@pytest.mark.parametrize("body", ["no JSON", "[]", "{}", json.dumps({"responsePayload": {}})])
def test_a_message_of_somebody_else_is_shown_and_stays(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    sqs, queue = pipeline.cloud.client("sqs"), pipeline.cloud.outputs["FailedEventsQueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    try:
        status, (one,) = redriven(capsys)
        assert (status, one["status"]) == (1, "unreadable")
        assert "by hand" in one["detail"]
        assert waiting(pipeline) == 1
    finally:
        sqs.purge_queue(QueueUrl=queue)


@pytest.mark.usefixtures("_operator")
def test_a_stack_that_is_not_there_is_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert redrive.main(["--stack", "absent"]) == 1
    assert "No stack absent" in capsys.readouterr().err
