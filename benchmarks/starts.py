"""What is started again and again: the local cloud, and the function that Lambda calls for each arrival."""

from __future__ import annotations

import datetime as dt
import json
import statistics
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from benchmarks.runs import no_events
from benchmarks.targets import Target
from bovespa.layout import IMPORT_ID_METADATA, Session
from infrastructure.package import build
from local.cloud import Cloud, running_cloud
from local.console import Progress, print_table

SESSION = Session("IBOV", dt.date(2025, 2, 3))
_CALLS = 20
"""Of the warm function behind each of its figures."""
READY_BOUND_S, WARM_BOUND_MS, ZIP_BOUND_MB = 5.0, 20.0, 3.0


def measure(times: int, progress: Progress) -> dict[str, Any]:
    """Start the cloud *times* times, and in each call the function once cold and then warm."""
    ready_s, cold_ms, warm_ms = [], [], []
    for number in range(1, times + 1):
        started_s = time.perf_counter()
        with running_cloud() as cloud:
            ready_s.append(time.perf_counter() - started_s)
            calls = _calls(cloud)
        cold_ms.append(calls[0])
        warm_ms.append(statistics.median(calls[1:]))
        progress.say(f"start {number} of {times}: ready after {ready_s[-1]:.1f} s")
    zip_mb = len(build().lambda_package.content) / 1e6
    return {"ready_s": ready_s, "cold_ms": cold_ms, "warm_ms": warm_ms, "zip_mb": zip_mb}


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    names = {
        "ready_s": "local cloud, from nothing to a deployed stack, s",
        "cold_ms": "Lambda called for the first time, ms",
        "warm_ms": f"... again, median of {_CALLS}, ms",
    }
    rows = [
        (name, len(figures[key]), *(f"{fold(figures[key]):.1f}" for fold in (statistics.median, min, max)))
        for key, name in names.items()
    ]
    print_table(("what", "n", "median", "min", "max"), rows, title="Starts")


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    return [
        Target("local cloud ready", statistics.median(figures["ready_s"]), "s", READY_BOUND_S),
        Target("warm call of the function", statistics.median(figures["warm_ms"]), "ms", WARM_BOUND_MS),
        Target("zip of the function", figures["zip_mb"], "MB", ZIP_BOUND_MB),
    ]


def _calls(cloud: Cloud) -> list[float]:
    """Milliseconds of each call: the function looks at the object, finds that an import brought it, and starts no run.

    The emulator's share is in them, so the function itself takes less.
    """
    raw, function = cloud.outputs["RawBucketName"], cloud.client("lambda")
    brought = {IMPORT_ID_METADATA: "bench"}
    with no_events(cloud):
        cloud.client("s3").put_object(Bucket=raw, Key=SESSION.raw_key, Body=b".", Metadata=brought)
    stored = {"bucket": {"name": raw}, "object": {"key": quote_plus(SESSION.raw_key), "size": 1}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": stored}
    payload = json.dumps({"Records": [record]})
    found = []
    for _ in range(1 + _CALLS):
        started_s = time.perf_counter()
        answer = function.invoke(FunctionName=cloud.outputs["FunctionName"], Payload=payload)
        words = answer["Payload"].read().decode()
        found.append(1000 * (time.perf_counter() - started_s))
        if "FunctionError" in answer or json.loads(words) != []:
            raise RuntimeError(f"the function was to start nothing, and answered {words[:300]}")
    return found
