"""Alarms: each watches a number that somebody really sends, tells somebody, and has its paragraph in the runbook."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest

from bovespa.calendar import REVIEW_BY
from bovespa.clock import PUBLISHED_FROM
from bovespa.errors import ConfigurationError, UnexpectedEvent
from infrastructure.template import TEMPLATE, read
from lambda_handler import watch
from lambda_handler.watch import Watched
from tests import markdown
from tests.conftest import PROJECT

SOURCE = read(TEMPLATE.read_text(encoding="utf-8"))
RESOURCES: dict[str, Any] = SOURCE["Resources"]
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
FIELDS = Watched(dt.date(2025, 2, 3), ("IBOV",), (dt.date(2025, 1, 31),), ("IBOV/2025-01-31",), 2, 30).as_fields()


def of_type(kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == kind}


ALARMS = of_type("AWS::CloudWatch::Alarm")
RULES = of_type("AWS::Events::Rule")
TOPIC = {"Ref": "AlarmTopic"}


def test_every_alarm_has_its_paragraph_in_the_runbook_and_none_is_left_over() -> None:
    names = [one["AlarmName"] for one in ALARMS.values()] + [one["Name"] for one in RULES.values()]
    deployed = {name["Fn::Sub"].replace("${Name}", SOURCE["Parameters"]["Name"]["Default"]) for name in names}
    headings = markdown.headings(RUNBOOK)
    start = next(at for at, (_, text) in enumerate(headings) if text == "An alarm rang")
    paragraphs = []
    for level, text in headings[start + 1 :]:
        if level < 3:
            break
        paragraphs.append(text.strip("`"))
    assert sorted(paragraphs) == sorted(deployed)
    assert len(deployed) == 10


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_tells_somebody(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == [TOPIC]
    assert ALARMS[name].get("ActionsEnabled", True) is True
    # CloudWatch evaluates at most a day.
    assert ALARMS[name]["Period"] * ALARMS[name]["EvaluationPeriods"] <= 86400


def test_each_evening_without_its_session_is_told_anew() -> None:
    """An alarm acts when its state changes, and between two looks there is no number."""
    alarm = ALARMS["SessionMissing"]
    assert (alarm["TreatMissingData"], alarm["Period"] * alarm["EvaluationPeriods"]) == ("notBreaching", 300)
    # That minutes later there is no number says nothing good.
    assert "OKActions" not in alarm


def test_a_silent_watch_is_told_within_hours_of_a_day() -> None:
    """Where data are missing, CloudWatch takes up points from some periods before those that it evaluates."""
    alarm = ALARMS["WatchSilent"]
    assert (alarm["TreatMissingData"], alarm["Threshold"], alarm["DatapointsToAlarm"]) == ("breaching", 1, 24)
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, 24)


def test_the_address_is_told_if_there_is_one() -> None:
    (subscription,) = of_type("AWS::SNS::Subscription").values()
    assert subscription == {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}
    assert RESOURCES["AlarmSubscription"]["Condition"] == "SomebodyIsTold"
    pattern = SOURCE["Parameters"]["AlarmEmail"]["AllowedPattern"]
    assert [bool(re.fullmatch(pattern, text)) for text in ("", "a@b.br", "ab.br", "a b@c.br")] == [
        True,
        True,
        False,
        False,
    ]


def test_only_alarms_of_this_account_and_the_rule_of_this_stack_may_tell() -> None:
    (policy,) = of_type("AWS::SNS::TopicPolicy").values()
    allowed = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert [(one["Principal"], one["Action"], one["Condition"]) for one in allowed] == [
        (
            {"Service": "cloudwatch.amazonaws.com"},
            "sns:Publish",
            {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        ),
        (
            {"Service": "events.amazonaws.com"},
            "sns:Publish",
            {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "RefineRunFailed.Arn"}}},
        ),
    ]


def test_each_number_of_the_watch_is_a_metric_that_an_alarm_watches() -> None:
    made = {}
    for found in of_type("AWS::Logs::MetricFilter").values():
        assert found["LogGroupName"] == {"Ref": "WatchLogs"}
        (transformation,) = found["MetricTransformations"]
        field = transformation["MetricValue"].removeprefix("$.")
        assert found["FilterPattern"] == f"{{ $.{field} = * }}"
        assert isinstance(FIELDS[field], int)
        made[transformation["MetricName"]] = transformation["MetricNamespace"]
    assert all(namespace == {"Ref": "Name"} for namespace in made.values())
    assert len(made) == sum(isinstance(value, int) for value in FIELDS.values())
    watched = {one["MetricName"] for one in ALARMS.values() if one["Namespace"] == {"Ref": "Name"}}
    assert watched == set(made)


@pytest.mark.parametrize("name", [name for name, one in ALARMS.items() if one["Namespace"] == "AWS/Lambda"])
def test_the_alarms_of_functions_name_functions(name: str) -> None:
    (dimension,) = ALARMS[name]["Dimensions"]
    assert dimension["Name"] == "FunctionName"
    assert RESOURCES[dimension["Value"]["Ref"]]["Type"] == "AWS::Lambda::Function"


def test_every_function_has_an_alarm_of_its_errors() -> None:
    watched = {one["Dimensions"][0]["Value"]["Ref"] for one in ALARMS.values() if one["MetricName"] == "Errors"}
    assert watched == set(of_type("AWS::Lambda::Function"))


def test_the_queue_of_the_alarm_is_where_failed_events_go() -> None:
    destination = RESOURCES["StartRefineRetries"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    (dimension,) = ALARMS["EventsWaiting"]["Dimensions"]
    assert dimension == {"Name": "QueueName", "Value": {"Fn::GetAtt": "StartRefineFailures.QueueName"}}
    assert destination == {"Fn::GetAtt": "StartRefineFailures.Arn"}


def test_a_run_that_did_not_succeed_is_told() -> None:
    (rule,) = RULES.values()
    assert rule["EventPattern"] == {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {
            "jobName": [RESOURCES["RefineJob"]["Properties"]["Name"]],
            "state": ["FAILED", "TIMEOUT", "STOPPED"],
        },
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == TOPIC
    shown = target["InputTransformer"]
    assert set(re.findall(r"<(\w+)>", shown["InputTemplate"])) == set(shown["InputPathsMap"])


def test_the_watch_is_called_when_the_session_of_the_day_must_be_there() -> None:
    (schedule,) = of_type("AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpressionTimezone"] == "America/Sao_Paulo"
    assert schedule["ScheduleExpression"] == f"cron({PUBLISHED_FROM.minute} {PUBLISHED_FROM.hour} * * ? *)"
    given = json.loads(schedule["Target"]["Input"])
    assert given == {"scheduled_at": "<aws.scheduler.scheduled-time>"}
    # As the scheduler writes it: eight in the evening in São Paulo.
    moment = watch._moment({"scheduled_at": "2025-02-03T23:00:00Z"})
    assert moment == dt.datetime(2025, 2, 3, 23, tzinfo=dt.UTC)


def test_the_dashboard_is_json_and_shows_every_alarm_and_only_what_there_is() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = json.loads(text)
    (alarms,) = [one["properties"]["alarms"] for one in body["widgets"] if one["type"] == "alarm"]
    assert alarms == [f"${{{name}.Arn}}" for name in ALARMS]
    named = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
    assert named - {"AWS::Region", "Name"} <= set(RESOURCES)
    ours = {metric[1] for one in body["widgets"] for metric in one["properties"].get("metrics", ()) if metric}
    assert ours <= {one["MetricName"] for one in ALARMS.values()} | {"Invocations"}


def test_every_log_ends_some_day_and_every_function_writes_to_its_own() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert {one["RetentionInDays"] for one in groups.values()} == {90}
    for function in of_type("AWS::Lambda::Function").values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in groups
    prefix = RESOURCES["RefineJob"]["Properties"]["DefaultArguments"]["--custom-logGroup-prefix"]["Fn::Sub"]
    names = {one["LogGroupName"]["Fn::Sub"] for one in groups.values()}
    assert {f"{prefix}/output", f"{prefix}/error"} <= names


@pytest.mark.parametrize("event", [{}, {"scheduled_at": "soon"}, {"scheduled_at": 7}, {"Records": []}])
def test_a_call_that_does_not_say_when_is_an_error(event: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedEvent, match="scheduled_at"):
        watch._moment(event)


@pytest.mark.parametrize("codes", ["", "ibov", "IBOV,XXXX"])
def test_indexes_that_b3_does_not_have_are_an_error(codes: str) -> None:
    with pytest.raises(ConfigurationError, match="INDEX_CODES"):
        watch._settings({"RAW_BUCKET_NAME": "raw", "REFINED_BUCKET_NAME": "refined", "INDEX_CODES": codes})


def test_the_calendar_is_reviewed_within_what_it_is_compared_with() -> None:
    """test_calendar.py compares the rules until 2040; a review after that would rely on nothing."""
    assert dt.date(2026, 12, 1) <= REVIEW_BY < dt.date(2040, 12, 31)
    assert REVIEW_BY.month == 12, "B3 publishes the next year's calendar late in the year"
