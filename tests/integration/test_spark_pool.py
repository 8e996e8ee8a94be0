"""The Sparks that the clouds of a test run share: each run is in its own cloud, as its own principal."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.spark_pool import POOL_VARIABLE, PooledSpark, SparkPool
from local.spark_process import RunStopped, start_worker
from tests.processes import descendants
from tests.until import until

SCRIPT = """
import json
import os
import sys

import boto3
import pyarrow
from pyspark.sql import SparkSession

sys.path.insert(0, os.path.dirname(sys.argv[0]))
import of_the_job
sys.path.pop(0)

def seen_by(_batches):
    yield os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_ACCESS_KEY_ID"]

def daemon_of(_batches):
    yield pyarrow.RecordBatch.from_pydict({"process": pyarrow.array([os.getppid()], pyarrow.int32())})

spark = SparkSession.builder.getOrCreate()
configuration = spark._jsparkSession.sessionState().newHadoopConf()
hadoop = spark._jvm.org.apache.hadoop.fs.Path("s3://any/").getFileSystem(configuration)
seen = {
    "process": os.getpid(),
    "twice": sorted({path for path in sys.path if sys.path.count(path) > 1}),
    "script": [boto3.client("s3").meta.endpoint_url, boto3.DEFAULT_SESSION.get_credentials().access_key],
    "module": of_the_job.client().meta.endpoint_url,
    "daemons": [
        spark.sparkContext.parallelize([0], 1).mapPartitions(lambda _rows: [os.getppid()]).first(),
        spark.range(1).mapInArrow(daemon_of, "process int").first()["process"],
    ],
    "python": spark.sparkContext.parallelize([0], 1).mapPartitions(seen_by).first(),
    "jvm": [hadoop.getConf().get("fs.s3a.endpoint"), hadoop.getConf().get("fs.s3a.access.key")],
}
open(sys.argv[1], "w").write(json.dumps(seen))
"""

MODULE = """
import functools

import boto3

@functools.cache
def client():
    return boto3.client("s3")
"""


def request(folder: Path, script: str, cloud: str) -> dict[str, Any]:
    """A run in *cloud*, a word, whose answer goes to a file in *folder*."""
    (folder / "script.py").write_text(script)
    (folder / "of_the_job.py").write_text(MODULE)
    environ = {
        "AWS_ENDPOINT_URL": f"http://{cloud}.test:9",
        "AWS_ACCESS_KEY_ID": f"key of {cloud}",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_SESSION_TOKEN": "any",
    }
    answer, log = str(folder / "answer"), str(folder / "log")
    return {"script": str(folder / "script.py"), "argv": [answer], "py_files": [], "environ": environ, "log": log}


@pytest.fixture
def pool() -> Path:
    return Path(os.environ[POOL_VARIABLE])


@contextlib.contextmanager
def connected(pool: Path) -> Iterator[PooledSpark]:
    with contextlib.closing(PooledSpark(pool)) as spark:
        yield spark


def test_a_run_sees_the_cloud_and_the_principal_that_it_names_and_nothing_of_the_one_before(
    pool: Path, tmp_path: Path
) -> None:
    processes: list[int] = []
    with connected(pool) as spark:
        for cloud in ("north", "south", "east", "west"):
            asked = request(tmp_path, SCRIPT, cloud)
            assert spark.run(asked, deadline=time.monotonic() + 120, stopped=threading.Event()) is None
            seen = json.loads((tmp_path / "answer").read_text())
            processes.append(seen.pop("process"))
            assert seen.pop("twice") == [], "a process that ran the job often has its modules on its path as often"
            assert len(set(seen.pop("daemons"))) == 1, "what SQL and RDDs run in Python has a daemon each"
            endpoint, key = f"http://{cloud}.test:9", f"key of {cloud}"
            assert seen == {
                "script": [endpoint, key],
                "module": endpoint,
                "python": [endpoint, key],
                "jvm": [endpoint, key],
            }
    assert len(set(processes)) < len(processes), "no process was shared"


def test_who_hangs_up_ends_its_run_with_its_process_and_a_closed_pool_leaves_none(tmp_path: Path) -> None:
    """Otherwise a stopped run would go on writing, and hold a Spark for as long as it likes."""

    def sparks() -> set[int]:
        return {pid for pid, command in descendants(os.getpid()).items() if "local.spark_worker" in command}

    before = sparks()
    told = threading.Event()
    told.set()
    with contextlib.closing(SparkPool(1)) as own:
        with connected(own.path) as spark:
            until(lambda: sparks() - before)
            (first,) = sparks() - before
            with pytest.raises(RunStopped):
                spark.run(request(tmp_path, SCRIPT, "north"), deadline=time.monotonic() + 60, stopped=told)
        until(lambda: first not in sparks())

        # The next run gets another.
        told.clear()

        def ask() -> None:
            with connected(own.path) as spark, pytest.raises(RunStopped):
                spark.run(request(tmp_path, SCRIPT, "north"), deadline=time.monotonic() + 60, stopped=told)

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: sparks() - before)
        told.set()
        asking.join()
    assert sparks() == before
    assert not own.path.exists()


def test_a_process_that_has_loaded_modules_runs_no_others(tmp_path: Path) -> None:
    """Python would go on with the first ones, whatever code a run asks for."""
    told = threading.Event()
    told.set()
    asked = request(tmp_path, SCRIPT, "north")
    old, new = (asked | {"py_files": [f"/code/{digest}/glue.zip"]} for digest in ("0f", "1e"))
    with contextlib.closing(start_worker("http://127.0.0.1:9", tmp_path)) as worker:
        assert worker.fits(new)
        with pytest.raises(RunStopped):
            worker.run(old, deadline=time.monotonic() + 60, stopped=told)
        assert worker.fits(old)
        assert worker.fits(asked), "a script without modules runs in any"
        assert not worker.fits(new)
