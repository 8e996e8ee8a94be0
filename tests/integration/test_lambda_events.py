"""Many events at once in the local cloud: all are handled, by few processes."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bovespa.layout import IMPORT_ID_METADATA, Session
from local.lambda_events import AT_ONCE
from tests.lake import Lake
from tests.processes import descendants
from tests.until import until

OBJECTS = 24
OF_AN_IMPORT = {IMPORT_ID_METADATA: "burst"}


def test_a_burst_of_events_is_handled_whole_by_few_processes(quiet_lake: Lake) -> None:
    """What came with an import starts no run: only the function's log tells of the objects, which are no portfolios."""
    s3, logs = quiet_lake.cloud.client("s3"), quiet_lake.cloud.client("logs")
    function = quiet_lake.cloud.outputs["FunctionName"]
    arn = quiet_lake.cloud.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    s3.put_bucket_notification_configuration(
        Bucket=quiet_lake.raw,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    before = calls(logs, function)
    sessions = [Session("UTIL", dt.date(2024, 1, day)) for day in range(1, OBJECTS + 1)]
    with ThreadPoolExecutor(OBJECTS) as pool:
        put = [
            pool.submit(s3.put_object, Bucket=quiet_lake.raw, Key=one.raw_key, Body=b"put", Metadata=OF_AN_IMPORT)
            for one in sessions
        ]
    assert all(one.result() for one in put)
    until(lambda: calls(logs, function) - before == OBJECTS, timeout_s=60, every_s=0.1)
    processes = [one for one in descendants(quiet_lake.cloud.process.pid).values() if f"lambda-{function}" in one]
    assert 1 <= len(processes) <= AT_ONCE


def calls(logs: Any, function: str) -> int:
    """How many calls of the function have ended."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    return sum(event["message"].startswith("END ") for page in pages for event in page["events"])
