"""Alarms of the deployed stack: what they hear, and whom they tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.pipeline import Pipeline
from tests.until import until

NUMBERS = {
    "MissingSessions": ("bovespa-session-missing", 1, 0),
    "MissingTradingDays": ("bovespa-trading-day-missing", 1, 0),
    "UnrefinedSessions": ("bovespa-session-unrefined", 1, 0),
    "QuarantinedFiles": ("bovespa-file-refused", 2, 0),
    "CalendarDaysLeft": ("bovespa-calendar-outdated", 29, 30),
}
"""Of each metric: its alarm, a number that rings, and one that does not."""


@pytest.fixture(scope="module")
def told(pipeline: Pipeline) -> Iterator[list[dict[str, Any]]]:
    """What a subscriber of the topic was told so far; `hear` fetches more."""
    sqs = pipeline.cloud.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    topic = pipeline.cloud.outputs["AlarmTopicArn"]
    subscription = pipeline.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    heard: list[dict[str, Any]] = []
    try:
        yield heard
    finally:
        pipeline.cloud.client("sns").unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


def hear(pipeline: Pipeline, heard: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Name and state of every alarm that was told."""
    sqs = pipeline.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="told")["QueueUrl"]
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        heard.append(json.loads(json.loads(message["Body"])["Message"]))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [(one["AlarmName"], one["NewStateValue"]) for one in heard]


def state(pipeline: Pipeline, alarm: str) -> str:
    (found,) = pipeline.cloud.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return str(found["StateValue"])


@pytest.mark.parametrize("metric", NUMBERS)
def test_a_number_of_the_watch_rings_its_alarm_and_is_told(
    pipeline: Pipeline, told: list[dict[str, Any]], metric: str
) -> None:
    alarm, ringing, quiet = NUMBERS[metric]
    cloudwatch = pipeline.cloud.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="bovespa", MetricData=[{"MetricName": metric, "Value": quiet}])
    until(lambda: state(pipeline, alarm) == "OK", timeout_s=30, every_s=0.1)
    cloudwatch.put_metric_data(Namespace="bovespa", MetricData=[{"MetricName": metric, "Value": ringing}])
    until(lambda: state(pipeline, alarm) == "ALARM", timeout_s=30, every_s=0.1)
    until(lambda: (alarm, "ALARM") in hear(pipeline, told), timeout_s=30, every_s=0.1)


def test_every_alarm_tells_the_topic(pipeline: Pipeline, told: list[dict[str, Any]]) -> None:
    cloudwatch = pipeline.cloud.client("cloudwatch")
    names = [one["AlarmName"] for one in cloudwatch.describe_alarms()["MetricAlarms"]]
    assert len(names) == 9
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test begins")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    until(lambda: {(name, "ALARM") for name in names} <= set(hear(pipeline, told)), timeout_s=30, every_s=0.1)
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test is over")


@pytest.mark.parametrize(
    ("job", "run_state", "is_told"),
    [
        ("bovespa-refine", "FAILED", True),
        ("bovespa-refine", "TIMEOUT", True),
        ("bovespa-refine", "STOPPED", True),
        ("bovespa-refine", "SUCCEEDED", False),
        ("somebody-elses", "FAILED", False),
    ],
)
def test_a_run_that_did_not_succeed_is_told(pipeline: Pipeline, job: str, run_state: str, is_told: bool) -> None:
    events = pipeline.cloud.client("events")
    event = {
        "id": "1",
        "account": "000000000000",
        "source": "aws.glue",
        "time": "2025-02-03T23:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "Glue Job State Change",
        "detail": {"jobName": job, "jobRunId": "jr_1", "state": run_state, "message": "why"},
    }
    pattern = events.describe_rule(Name="bovespa-run-failed")["EventPattern"]
    assert events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"] is is_told
    (target,) = events.list_targets_by_rule(Rule="bovespa-run-failed")["Targets"]
    assert target["Arn"] == pipeline.cloud.outputs["AlarmTopicArn"]
