"""A local cloud that is killed is there again when it is started on its data."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from local.cloud import CloudDidNotStart, running_cloud
from local.spark_pool import POOL_VARIABLE
from tests.until import until

PARTITION = ["IBOV", "2024-01-02", "ABEV3"]
TABLE = {"DatabaseName": "bovespa", "TableName": "portfolio"}


def test_stack_catalog_and_objects_survive_a_kill_and_no_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Spark that has to start first, so that the run is not over before the kill.
    monkeypatch.delenv(POOL_VARIABLE)
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


def test_what_the_catalog_was_told_in_the_moment_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    saved, journal = tmp_path / "state" / "glue.json", tmp_path / "state" / "catalog-changes.jsonl"
    with running_cloud(data=tmp_path, warm=False) as cloud:
        glue = cloud.client("glue")
        table = glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]
        described = {"StorageDescriptor": table["StorageDescriptor"]}
        for ticker in ("ABEV3", "ITUB4"):
            glue.create_partition(**TABLE, PartitionInput={"Values": [*PARTITION[:2], ticker], **described})
        until(lambda: saved.exists() and "ITUB4" in saved.read_text(encoding="utf-8"), timeout_s=30)
        # The next saving is half a second away.
        tickers = [f"AAAA{number}" for number in range(30)]
        inputs = [{"Values": [*PARTITION[:2], ticker], **described} for ticker in tickers]
        glue.batch_create_partition(**TABLE, PartitionInputList=inputs)
        glue.delete_partition(**TABLE, PartitionValues=PARTITION)
        glue.update_table(
            DatabaseName="bovespa", TableInput={"Name": "portfolio", "Description": "changed", **described}
        )
        os.killpg(cloud.process.pid, signal.SIGKILL)
        cloud.process.wait()
    assert "AAAA0" not in saved.read_text(encoding="utf-8")
    with journal.open("ab") as file:
        file.write(b'["000000000000", "us-east-1", "AWSGlue.DeleteTa')

    with running_cloud(data=tmp_path, warm=False) as cloud:
        glue = cloud.client("glue")
        found = [one["Values"][2] for one in glue.get_partitions(**TABLE)["Partitions"]]
        assert found == sorted([*tickers, "ITUB4"])
        assert glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]["Description"] == "changed"
        # The half of a line was given up, and what is told now follows whole ones.
        glue.delete_partition(**TABLE, PartitionValues=[*PARTITION[:2], "ITUB4"])
        assert all(map(json.loads, journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ()))
        until(lambda: not journal.exists(), timeout_s=30)
        assert "AAAA0" in saved.read_text(encoding="utf-8")


def test_a_catalog_that_cannot_be_saved_loses_nothing_and_is_saved_later(tmp_path: Path) -> None:
    saved, journal = tmp_path / "state" / "glue.json", tmp_path / "state" / "catalog-changes.jsonl"
    with running_cloud(data=tmp_path, warm=False) as cloud:
        glue = cloud.client("glue")
        until(lambda: saved.exists() and not journal.exists(), timeout_s=30)
        # Where the emulator writes a new catalog before it puts it in the old one's place.
        hindrance = tmp_path / "state" / "glue.json.tmp"
        hindrance.mkdir()
        table = glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]
        described = {"StorageDescriptor": table["StorageDescriptor"]}
        glue.create_partition(**TABLE, PartitionInput={"Values": PARTITION, **described})
        others = tmp_path / "state" / "iam.json"
        changed_ns = journal.stat().st_mtime_ns
        # When this has come twice, a whole saving lies between.
        for _ in range(2):
            until(lambda since_ns=changed_ns: others.stat().st_mtime_ns > since_ns, timeout_s=30)
            changed_ns = others.stat().st_mtime_ns
        assert journal.exists()
        hindrance.rmdir()
        until(lambda: not journal.exists(), timeout_s=30)
        assert "ABEV3" in saved.read_text(encoding="utf-8")


@pytest.mark.parametrize("saved", ["nothing", "its journal", "no stack"])
def test_buckets_without_a_stack_are_refused(tmp_path: Path, saved: str) -> None:
    (tmp_path / "s3" / "000000000000" / "bovespa-raw").mkdir(parents=True)
    state = tmp_path / "state"
    state.mkdir()
    if saved == "its journal":
        (state / "catalog-changes.jsonl").write_bytes(b"")
    elif saved == "no stack":
        (state / "cloudformation.json").write_text('{"payload": {"stacks": {"data": {}}}}', encoding="utf-8")
    with (
        pytest.raises(CloudDidNotStart, match="killed before its first deployment was over"),
        running_cloud(data=tmp_path),
    ):
        pass
