"""A rebuild that does not come to its end: what it leaves, who clears it, and that its run is stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from infrastructure.rebuild import Rebuild
from local.cloud_faults import CloudFault, CloudFaults
from local.synthetic import synthetic_csv
from tests.lake import Lake
from tests.rebuild_command import SCRATCH, rebuild, scratch, start
from tests.until import until

pytestmark = pytest.mark.ends_spark


@pytest.fixture(scope="module", name="lake")
def _lake(quiet_lake: Lake) -> Lake:
    """A lake with a session."""
    quiet_lake.store(synthetic_csv("IBLV", dt.date(2025, 1, 8)))
    return quiet_lake


def test_a_rebuild_that_is_killed_leaves_what_the_next_one_knows(lake: Lake) -> None:
    with writes_held(lake):
        with start(lake, "--yes") as process:
            until(lambda: run_under_way(lake), timeout_s=60, every_s=0.05)
            process.kill()
            process.communicate()
        assert scratch(lake) == [SCRATCH.bucket, SCRATCH.database]

        code, out, err = rebuild(lake, "--yes")

        assert (code, out) == (1, "")
        assert f"is rebuilding into {SCRATCH.bucket} already" in err
        lake.cloud.client("glue").batch_stop_job_run(JobName="bovespa-refine", JobRunIds=[run_under_way(lake)])
        lake.wait_until_idle()

    s3 = lake.cloud.client("s3")
    s3.put_object(Bucket=SCRATCH.bucket, Key="portfolio/left-over", Body=b"of no worth")
    with writes_held(lake), start(lake, "--yes") as process:
        until(lambda: run_under_way(lake), timeout_s=60, every_s=0.05)
        assert "Contents" not in s3.list_objects_v2(Bucket=SCRATCH.bucket, Prefix="portfolio/left-over")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "clearing what an earlier rebuild left" in err
    assert "stopping run" in err
    assert err.endswith("stopped\n")
    assert (scratch(lake), run_under_way(lake)) == ([], "")


def test_a_run_whose_id_was_never_heard_is_stopped_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes when Glue has started the run, and before its answer is read."""

    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    for name, value in lake.cloud.aws_environment.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    session.events.register("after-call.glue.StartJobRun", interrupt)
    with writes_held(lake), pytest.raises(KeyboardInterrupt):
        Rebuild(session, stack="bovespa").aside()
    assert (scratch(lake), run_under_way(lake)) == ([], "")


@contextlib.contextmanager
def writes_held(lake: Lake) -> Iterator[None]:
    """Within the `with` no run can end by itself: nothing that it writes to the scratch arrives."""
    faults = CloudFaults(lake.cloud.endpoint_url)
    faults.set(CloudFault(f"PUT /{SCRATCH.bucket}/.*"))
    try:
        yield
    finally:
        faults.set()


def run_under_way(lake: Lake) -> str:
    """The id of the run that is at work, or nothing."""
    return next((run["Id"] for run in lake.runs() if run["JobRunState"] == "RUNNING"), "")
