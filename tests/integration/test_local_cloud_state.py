"""A local cloud that is killed is there again when it is started on its data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from local.cloud import CloudDidNotStart, running_cloud
from tests.until import until

PARTITION = ["IBOV", "2024-01-02", "ABEV3"]
TABLE = {"DatabaseName": "bovespa", "TableName": "portfolio"}


def test_stack_catalog_and_objects_survive_a_kill_and_no_run_goes_on(tmp_path: Path) -> None:
    with running_cloud(data=tmp_path, warm=False) as cloud:
        outputs = dict(cloud.outputs)
        s3, glue = cloud.client("s3"), cloud.client("glue")
        s3.put_object(Bucket=outputs["RawBucketName"], Key="source/kept", Body=b"B3's bytes")
        descriptor = glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]["StorageDescriptor"]
        glue.create_partition(**TABLE, PartitionInput={"Values": PARTITION, "StorageDescriptor": descriptor})
        run = glue.start_job_run(JobName=outputs["GlueJobName"], Arguments={"--sessions": "all"})["JobRunId"]
        state = tmp_path / "state" / "glue.json"
        until(lambda: state.exists() and run in state.read_text(encoding="utf-8"), timeout_s=30)
        os.killpg(cloud.process.pid, signal.SIGKILL)
        cloud.process.wait()

    with running_cloud(data=tmp_path, warm=False) as cloud:
        s3, glue = cloud.client("s3"), cloud.client("glue")
        assert cloud.outputs == outputs
        assert s3.get_object(Bucket=outputs["RawBucketName"], Key="source/kept")["Body"].read() == b"B3's bytes"
        assert [one["Values"] for one in glue.get_partitions(**TABLE)["Partitions"]] == [PARTITION]
        found = glue.get_job_run(JobName=outputs["GlueJobName"], RunId=run)["JobRun"]
        assert (found["JobRunState"], found["ErrorMessage"]) == (
            "STOPPED",
            "The local cloud was killed during the run.",
        )


def test_buckets_without_a_state_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s3" / "000000000000" / "bovespa-raw").mkdir(parents=True)
    with (
        pytest.raises(CloudDidNotStart, match="killed before its first deployment was over"),
        running_cloud(data=tmp_path),
    ):
        pass
