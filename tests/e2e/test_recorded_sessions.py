"""Every column of every row of the 54 recorded sessions, refined by one run over all, against the reckoning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud import running_cloud
from tests import reckoning
from tests.lake import Lake


@pytest.fixture(scope="module")
def quiet_lake() -> Iterator[Lake]:
    """A lake whose raw bucket tells nobody what arrives, so that one run can take it all."""
    with running_cloud() as cloud:
        lake = Lake(cloud)
        cloud.client("s3").put_bucket_notification_configuration(Bucket=lake.raw, NotificationConfiguration={})
        yield lake


def test_one_run_over_all_recorded_sessions_gives_every_value(quiet_lake: Lake, recordings: Path) -> None:
    contents = [path.read_bytes() for path in sorted((recordings / "sessions").glob("*.csv"))]
    for content in contents:
        quiet_lake.store(content)
    glue = quiet_lake.cloud.client("glue")
    glue.start_job_run(JobName="bovespa-refine", Arguments={"--sessions": "all"})
    quiet_lake.wait_until_idle()
    (run,) = quiet_lake.runs()
    assert run["JobRunState"] == "SUCCEEDED", run["ErrorMessage"]
    rows = quiet_lake.rows("TRUE")
    assert rows == reckoning.refined_rows(contents)
    assert len(rows) == sum(len(reckoning.read(content).rows) for content in contents) == 4678
    itausa = rows["IBOV", "2025-02-18", "ITSA4"]
    assert itausa["theoretical_quantity"] == "5857796242", "FACTS: ITSA4 on 18/02/2025"
