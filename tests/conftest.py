"""What every test may rely on: no real account, no machine settings, and the recordings where they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from local.pipeline import Pipeline, running_pipeline
from tests.lake import Lake

PROJECT = Path(__file__).resolve().parent.parent
RECORDINGS = PROJECT.parent / "shared" / "b3"


SHARED = ("pipeline", "stored_history")
"""Fixtures that take longest to make. Modules that share one stay in one process when tests run in several."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Keep together what `pytest -n 2 --dist loadgroup` must not part: modules, and those that share something."""
    modules: defaultdict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        modules[item.path].append(item)
    for path, tests in modules.items():
        wanted = {name for test in tests for name in getattr(test, "fixturenames", ())}
        group = next((name for name in SHARED if name in wanted), path.name)
        for test in tests:
            # A module may say better than its fixtures do.
            if test.get_closest_marker("xdist_group") is None:
                test.add_marker(pytest.mark.xdist_group(group))
    # Around the others, because xdist reads the groups as early as it can.
    yield


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


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded B3 files, which stay out of the repository (B3's terms)."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"recorded B3 files are not at {RECORDINGS}")
    return RECORDINGS


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The whole pipeline over synthetic sessions, one for the test run. Each test has an index of its own in it."""
    with running_pipeline(faults=True) as running:
        yield running


@pytest.fixture(scope="session")
def lake(pipeline: Pipeline) -> Lake:
    """The lake of `pipeline`."""
    return Lake(pipeline.cloud)
