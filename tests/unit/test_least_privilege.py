"""Each principal may do what its code does, and nothing else: the actions granted against the calls made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infrastructure.template import TEMPLATE, read
from tests.conftest import PROJECT

RESOURCES: dict[str, Any] = read(TEMPLATE.read_text(encoding="utf-8"))["Resources"]

CODE = {
    "StartRefineRole": ["lambda_handler/lambda_handler.py"],
    "WatchRole": ["lambda_handler/watch.py"],
    "RefineRole": ["glue/*.py"],
    "ApiAccess": ["app.py", "api/*.py", "maintenance/*.py", "s3_bucket_manager/*.py"],
}
"""Who runs which sources."""

BY_THE_SERVICE = {
    "StartRefineRole": {
        *("logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage", "s3:GetObjectVersion", "s3:ListBucket"),
    },
    "WatchRole": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "RefineRole": {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
    "ApiAccess": set[str](),
}
"""What no line of ours calls: Lambda and Glue write the logs and keep the failed event, a HEAD of one version is
another action than one of the newest, and that it is gone S3 tells only those who may list."""

ACTIONS = {
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "DeleteObjects"): "s3:DeleteObject",
}
"""Calls whose action has another name."""


def operations(sources: list[ast.Module]) -> dict[str, tuple[str, str]]:
    """Each method of the clients that the sources make, and the call that it is."""
    services = {
        str(node.args[0].value)
        for source in sources
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in ("client", "_client")
    }
    session = botocore.session.get_session()
    return {
        xform_name(operation): (service, operation)
        for service in services
        for operation in session.get_service_model(service).operation_names
    }


def called(paths: list[str]) -> set[str]:
    """The IAM actions of every call in the sources, whether it is called, handed on or paginated."""
    found = set()
    files = [path for pattern in paths for path in PROJECT.glob(pattern)]
    assert files
    sources = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    known = operations(sources)
    assert known, "no client is made"
    for source in sources:
        for node in ast.walk(source):
            match node:
                case ast.Attribute(attr=name):
                    pass
                case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(name))]):
                    pass
                case _:
                    continue
            if name in known:
                service, operation = known[name]
                found.add(ACTIONS.get((service, operation), f"{service}:{operation}"))
    return found


def statements(name: str) -> Iterator[dict[str, Any]]:
    properties = RESOURCES[name]["Properties"]
    documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    for document in [*documents, *(policy["PolicyDocument"] for policy in properties.get("Policies", ()))]:
        yield from document["Statement"]


def granted(name: str) -> set[str]:
    actions = [statement["Action"] for statement in statements(name)]
    return {action for one in actions for action in (one if isinstance(one, list) else [one])}


@pytest.mark.parametrize("name", CODE)
def test_the_actions_granted_are_those_that_the_code_calls(name: str) -> None:
    assert granted(name) == called(CODE[name]) | BY_THE_SERVICE[name]


def test_everybody_who_is_granted_something_is_looked_at() -> None:
    kinds = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
    known = {name for name, resource in RESOURCES.items() if resource["Type"] in kinds}
    # The analysts' calls are those of Athena's console, and the schedule's is the scheduler's own.
    assert known == {*CODE, "AnalystAccess", "WatchScheduleRole"}
    assert granted("WatchScheduleRole") == {"lambda:InvokeFunction"}


def test_the_version_is_asked_for_only_by_the_function() -> None:
    """It is why `s3:GetObjectVersion` is granted, so it goes when this goes."""
    (source,) = PROJECT.glob(CODE["StartRefineRole"][0])
    assert '"VersionId"' in source.read_text(encoding="utf-8")


def test_nobody_but_the_operator_may_change_who_may_do_what() -> None:
    everybody = {action for name in (*CODE, "AnalystAccess") for action in granted(name)}
    assert {action for action in everybody if re.match(r"(iam|sts|kms|organizations|cloudformation):", action)} == set()
    assert {
        action for action in everybody if re.search(r":(Put|Delete)Bucket|:DeleteTable|:DeleteDatabase", action)
    } == set()


def test_the_analysts_only_read_but_for_their_answers() -> None:
    reading = re.compile(r"(athena|glue|s3):(BatchGet|Get|List)\w+")
    writing = {action for action in granted("AnalystAccess") if not reading.fullmatch(action)}
    assert writing == {
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
        "s3:AbortMultipartUpload",
        "s3:PutObject",
    }
    (kept,) = [one for one in statements("AnalystAccess") if "s3:PutObject" in one["Action"]]
    assert kept["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${ResultsBucket}/answers/*"}


def test_sources_that_are_looked_at_exist() -> None:
    assert all(list(Path(PROJECT).glob(pattern)) for patterns in CODE.values() for pattern in patterns)
