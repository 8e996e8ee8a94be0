"""What is started again and again: the local cloud, and the function that Lambda calls for each arrival."""

from __future__ import annotations

import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
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
_CALLER = """
import json, sys, time, types
sys.path.insert(0, sys.argv[1])
from lambda_handler.lambda_handler import lambda_handler
context = types.SimpleNamespace(
    function_name="bench", memory_limit_in_mb=128, invoked_function_arn="arn", aws_request_id="bench"
)
for _ in range(int(sys.argv[3])):
    assert lambda_handler(json.loads(sys.argv[2]), context) == []
    sys.stderr.write(f"{time.time()}\\n")
"""
READY_BOUND_S, WARM_BOUND_MS, ZIP_BOUND_MB = 5.0, 20.0, 3.0


def measure(times: int, progress: Progress) -> dict[str, Any]:
    """Start the cloud *times* times, and in each call the function once cold and then warm."""
    ready_s, cold_ms, warm_ms = [], [], []
    content = build().lambda_package.content
    with tempfile.TemporaryDirectory(prefix="starts-bench-") as folder:
        package = Path(folder) / "lambda.zip"
        package.write_bytes(content)
        for number in range(1, times + 1):
            started_s = time.perf_counter()
            # Without Spark, whose start beside it would be measured too.
            with running_cloud(warm=False) as cloud:
                ready_s.append(time.perf_counter() - started_s)
                calls = _calls(cloud, package)
            cold_ms.append(calls[0])
            warm_ms.append(statistics.median(calls[1:]))
            progress.say(f"start {number} of {times}: ready after {ready_s[-1]:.1f} s")
    return {"ready_s": ready_s, "cold_ms": cold_ms, "warm_ms": warm_ms, "zip_mb": len(content) / 1e6}


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    names = {
        "ready_s": "local cloud, from nothing to a deployed stack, s",
        "cold_ms": "function in a new process, to its first answer, ms",
        "warm_ms": f"... called again, median of {_CALLS}, ms",
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


def _calls(cloud: Cloud, package: Path) -> list[float]:
    """Milliseconds of each call, the first with the start of its process and all imports.

    The function looks at the object, finds that an import brought it, and starts no run. It runs as it does in Lambda,
    out of its zip and with its own variables, but is called directly: the emulator polls for an answer.
    """
    raw = cloud.outputs["RawBucketName"]
    brought = {IMPORT_ID_METADATA: "bench"}
    with no_events(cloud):
        cloud.client("s3").put_object(Bucket=raw, Key=SESSION.raw_key, Body=b".", Metadata=brought)
    stored = {"bucket": {"name": raw}, "object": {"key": quote_plus(SESSION.raw_key), "size": 1}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": stored}
    configured = cloud.client("lambda").get_function_configuration(FunctionName=cloud.outputs["FunctionName"])
    variables = configured["Environment"]["Variables"]
    started_s = time.time()
    answer = subprocess.run(  # noqa: S603 - our own function
        [sys.executable, "-c", _CALLER, str(package), json.dumps({"Records": [record]}), str(1 + _CALLS)],
        env={**os.environ, **cloud.aws_environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    ended_s = [started_s, *map(float, answer.stderr.split())]
    return [1000 * (end - start) for start, end in pairwise(ended_s)]
