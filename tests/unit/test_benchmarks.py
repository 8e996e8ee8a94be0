"""What a measurement counts, and when a target is reached."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.memory import peak_memory_until_end_mb
from benchmarks.request_counts import counted, requests_of_the_job, total
from benchmarks.targets import Target
from local.request_log import logged

LINES = """\
POST\t/\t-\tAWSGlue.StartJobRun
GET\t/artifacts/job.py\t-\t-
GET\t/raw\tlist-type=2&prefix=portfolio%2F\t-
GET\t/raw/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/b.parquet\t-\t-
POST\t/refined\tdelete\t-
POST\t/\t-\tAWSGlue.GetPartitions
POST\t/\t-\tAWSGlue.GetJobRun
POST\t/\t-\tAmazonAthena.StartQueryExecution
"""


def test_the_jobs_requests_are_counted_and_nobody_elses() -> None:
    assert requests_of_the_job(LINES.splitlines(keepends=True), "raw", "refined") == {
        "S3 LIST": 1,
        "S3 GET": 1,
        "S3 PUT": 2,
        "S3 DELETE": 1,
        "Glue GetPartitions": 1,
    }


def test_every_request_is_written_down_before_it_is_answered() -> None:
    log = io.StringIO()
    found: list[str] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        found.append(log.getvalue())

    async def ask() -> None:
        target = [(b"x-amz-target", b"AWSGlue.GetTable")]
        scope = {"type": "http", "method": "GET", "path": "/raw/a", "query_string": b"", "headers": []}
        app_with_log = logged(app, log)
        await app_with_log({"type": "lifespan"}, None, None)
        await app_with_log(scope | {"query_string": b"list-type=2"}, None, None)
        await app_with_log(scope | {"method": "POST", "path": "/", "headers": target}, None, None)

    asyncio.run(ask())
    first, second = "GET\t/raw/a\tlist-type=2\t-\n", "POST\t/\t-\tAWSGlue.GetTable\n"
    assert found == ["", first, first + second]


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [(1.2, False, "reached"), (1.21, False, "MISSED"), (1.2, True, "reached"), (1.19, True, "MISSED")],
)
def test_a_bound_itself_is_still_reached(value: float, at_least: bool, verdict: str) -> None:
    target = Target("a ratio", value, "times", 1.2, at_least)
    assert target.is_reached == (verdict == "reached")
    assert target.row() == ("a ratio", f"{value:.2f} times", f"at {'least' if at_least else 'most'} 1.2 times", verdict)


def test_the_peak_of_a_process_is_its_own_and_not_that_of_its_end() -> None:
    # 200 MB, held for ten looks, then given back.
    script = "import threading; held = bytearray(200_000_000); threading.Event().wait(0.2); del held"
    process = subprocess.Popen([sys.executable, "-c", script])
    assert 200 < peak_memory_until_end_mb(process) < 300
    assert process.returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--only", "weather"], ["--stored", "25"], ["--stored", "35", "--new", "10"], ["--times", "0"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
