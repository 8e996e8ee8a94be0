"""What a measurement counts, and when a target is reached."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth, merging, refining
from benchmarks.__main__ import main
from benchmarks.memory import peak_memory_until_end_mb
from benchmarks.request_counts import counted, requests_of_the_job, total
from benchmarks.targets import Target
from benchmarks.way_loop import PARTITION_KEYS
from glue.schema import PARTITION_COLUMNS
from local.request_log import logged

LINES = """\
POST\t/\t-\tAWSGlue.StartJobRun
GET\t/artifacts/job.py\t-\t-
GET\t/raw\tlist-type=2&prefix=portfolio%2F\t-
GET\t/raw/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/b.parquet\t-\t-
POST\t/refined/portfolio/c.parquet\tuploads\t-
PUT\t/refined/portfolio/c.parquet\tpartNumber=1&uploadId=x\t-
GET\t/refined\tprefix=portfolio%2F\t-
HEAD\t/refined/portfolio/c.parquet\t-\t-
POST\t/refined\tdelete\t-
POST\t/\t-\tAWSGlue.GetPartitions
POST\t/\t-\tAWSGlue.GetJobRun
POST\t/\t-\tAmazonAthena.StartQueryExecution
"""


def test_the_jobs_requests_are_counted_and_nobody_elses() -> None:
    assert requests_of_the_job(LINES.splitlines(keepends=True), "raw", "refined") == {
        "S3 LIST": 2,
        "S3 GET": 1,
        "S3 HEAD": 1,
        "S3 PUT": 2,
        "S3 MULTIPART": 2,
        "S3 DELETE": 1,
        "Glue GetPartitions": 1,
    }


def test_only_the_requests_of_the_body_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "requests"
    log.write_text(LINES, encoding="utf-8")
    with counted(log, "refined") as requests, log.open("a", encoding="utf-8") as lines:
        lines.write("PUT\t/refined/a\t-\t-\nPUT\t/raw/a\t-\t-\nPOST\t/\t-\tAWSGlue.GetTable\n")
    assert requests == {"S3 PUT": 1, "Glue GetTable": 1}
    assert total(requests, "S3") == 1


def test_the_ways_that_are_compared_write_the_partitions_of_portfolio() -> None:
    assert tuple(PARTITION_KEYS) == tuple(name for name, _ in PARTITION_COLUMNS)


def _cost(seconds: float, puts: int) -> dict[str, Any]:
    return {"seconds": seconds, "requests": {"S3 PUT": puts, "Glue GetTable": 900}, "partitions": 90}


def test_a_rebuild_that_takes_longer_or_asks_too_often_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    rebuild = {refining.OURS: [_cost(10, 270)], "awswrangler": [_cost(8, 180)]}
    session = {refining.OURS: [_cost(4, 271), _cost(3, 280), _cost(2, 90)], "awswrangler": [_cost(1, 180)] * 3}
    figures = {"sessions": 1, "rebuild": rebuild, "session": session}
    found = refining.targets(figures)
    assert [(one.value, one.is_reached) for one in found] == [(1.25, False), (3.0, True), (271 / 90, False)]
    refining.show(figures)
    assert "900" in capsys.readouterr().out


def test_the_longest_history_is_held_against_the_shortest(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        {"stored": stored, "seconds": seconds, "requests": [{"S3 PUT": puts}], "seed_s": 1.0, "cloud_mb": 200.0}
        for stored, seconds, puts in ((25, [2.0, 4.0, 4.0], 10), (250, [9.0], 90), (5000, [1.0, 4.4, 9.0], 12))
    ]
    assert [(round(one.value, 3), one.is_reached) for one in growth.targets(figures)] == [(1.1, True), (1.2, False)]
    growth.show(figures)
    assert "after_250" in capsys.readouterr().out


def test_a_merge_reads_each_object_once(capsys: pytest.CaptureFixture[str]) -> None:
    once = {"seconds": 30.0, "requests": {"S3 GET": 300, "S3 LIST": 31}}
    figures = {
        "sessions": 100,
        "years": 1,
        "rows": {"holdings": 9000, "sessions": 100, "sectors": 2500},
        "first": once,
        "again": {"seconds": 31.0, "requests": {"S3 LIST": 31}},
    }
    assert [one.is_reached for one in merging.targets(figures)] == [False, False]
    assert merging.targets(figures | {"again": once | {"seconds": 30.0}})[1].is_reached
    merging.show(figures)
    assert "2,500 sectors" in capsys.readouterr().out


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
    "arguments", [["--only", "weather"], ["--stored", "250", "--stored", "25"], ["--merged", "4"], ["--times", "0"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
