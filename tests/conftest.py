"""What every test may rely on: no real account, no machine settings, and the recordings where they are."""

from __future__ import annotations

import atexit
import functools
import gc
import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import boto3
import botocore.loaders
import pytest

from benchmarks.runs import no_events
from local.pipeline import Pipeline, running_pipeline
from local.spark_pool import POOL_VARIABLE, SparkPool
from tests.lake import Lake

PROJECT = Path(__file__).resolve().parent.parent
RECORDINGS = PROJECT.parent / "shared" / "b3"

_SPARKS = 2
"""As many as `make test` has cores: a third would only be one more to warm up."""


def pytest_configure(config: pytest.Config) -> None:
    """Give all clouds of a test run, in whichever of its processes, the same few Sparks: each start costs ten runs."""
    if not hasattr(config, "workerinput"):
        pool = SparkPool(_SPARKS)
        os.environ[POOL_VARIABLE] = str(pool.path)
        config.add_cleanup(pool.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it at the end, when the others have nothing to do.

    What waits longest comes first of all, beside what starts clouds and Sparks, not beside others that wait. What ends
    Sparks comes when hardly anybody needs them any more; of that, what has most tests first, for a process with two
    tests left, however long, is given the next file.
    """
    folders = [PROJECT / "tests" / name for name in ("e2e", "integration", "unit")]
    tests = Counter(item.path for item in items)

    def turn(item: pytest.Item) -> tuple[int, int]:
        if item.get_closest_marker("waits") is not None:
            return -1, 0
        later = 1000 - tests[item.path] if item.get_closest_marker("ends_spark") is not None else 0
        return folders.index(item.path.parent), later

    items.sort(key=turn)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep modules and tests, which live as long as the process, out of every search for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # What is not freed when Python ends, DuckDB tells on stderr as leaked.
        atexit.register(gc.unfreeze)


@pytest.fixture(autouse=True)
def _no_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach a real account, nor read an operator's settings, even by mistake."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BOVESPA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Nothing listens there: a client that forgot its endpoint fails at once instead of leaving the machine.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    # boto3 remembers the first credentials that it found, for as long as the process lives.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    # The AWS models, megabytes of JSON, are the same for all of its sessions, and reading them is most of what a new
    # client costs.
    monkeypatch.setattr("botocore.session.create_loader", _one_loader)


_loader = functools.cache(botocore.loaders.create_loader)


def _one_loader(search_path: str | None = None) -> botocore.loaders.Loader:
    loader = _loader(search_path)
    # Each session of boto3 adds its own folder.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    return loader


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded B3 files, which stay out of the repository (B3's terms)."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"recorded B3 files are not at {RECORDINGS}")
    return RECORDINGS


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The whole pipeline over synthetic sessions, one for the test run. Each test has an index of its own in it."""
    with running_pipeline(faults=True, seeding=True) as running:
        yield running


@pytest.fixture(scope="session")
def lake(pipeline: Pipeline) -> Lake:
    """The lake of `pipeline`."""
    return Lake(pipeline.cloud)


@pytest.fixture(scope="module")
def empty_lake(lake: Lake) -> Iterator[Lake]:
    """The same lake, empty for the module.

    Not a lake of its own: its Spark alone would cost as much as six runs.
    """
    lake.empty()
    yield lake
    lake.empty()


@pytest.fixture(scope="module")
def quiet_lake(empty_lake: Lake) -> Iterator[Lake]:
    """The same, with a raw bucket that tells nobody what arrives: tests start the runs."""
    with no_events(empty_lake.cloud):
        yield empty_lake
