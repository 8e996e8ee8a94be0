"""The local Glue really runs what it is given: the emulator alone would say SUCCEEDED and run nothing."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from local.glue_runs import GlueSparkRunner
from local.spark_process import WorkerLost, start_worker
from tests.lake import FINISHED, Lake
from tests.processes import descendants
from tests.until import until

pytestmark = pytest.mark.ends_spark


def new_role(lake: Lake, *actions: str) -> str:
    """Make a role that may do *actions* on what the jobs of this module have, and return its ARN."""
    iam, name = lake.cloud.client("iam"), f"contract-{uuid.uuid4().hex[:8]}"
    trusted = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trusted))
    allowed = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{lake.refined}/contract/*"}
    iam.put_role_policy(RoleName=name, PolicyName="contract", PolicyDocument=_policy(allowed))
    return str(made["Role"]["Arn"])


@pytest.fixture(scope="module")
def role(lake: Lake) -> str:
    """The ARN of a role that may read and write."""
    return new_role(lake, "s3:GetObject", "s3:PutObject")


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_job(lake: Lake, role: str, script: str) -> str:
    """Make a Glue Spark job of *script* and return its name."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    s3, glue = lake.cloud.client("s3"), lake.cloud.client("glue")
    s3.put_object(Bucket=lake.refined, Key=f"contract/{name}.py", Body=textwrap.dedent(script).encode())
    glue.create_job(
        Name=name,
        Role=role,
        GlueVersion="5.1",
        Timeout=5,
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{lake.refined}/contract/{name}.py", "PythonVersion": "3"},
        DefaultArguments={"--bucket": lake.refined, "--key": f"contract/{name}.out"},
    )
    return name


def finished_run(lake: Lake, name: str, **arguments: str) -> dict[str, Any]:
    """Run the job *name* and return the finished run."""
    glue = lake.cloud.client("glue")
    run_id = glue.start_job_run(JobName=name, Arguments={f"--{key}": value for key, value in arguments.items()})
    finished: dict[str, Any] = {}

    def is_finished() -> bool:
        finished.update(glue.get_job_run(JobName=name, RunId=run_id["JobRunId"])["JobRun"])
        return finished["JobRunState"] in FINISHED

    until(is_finished, timeout_s=120, every_s=0.1)
    return finished


def written(lake: Lake, name: str) -> str:
    """What the last run of the job *name* wrote."""
    body: bytes = lake.cloud.client("s3").get_object(Bucket=lake.refined, Key=f"contract/{name}.out")["Body"].read()
    return body.decode()


SCRIPT = """
    import os
    import sys
    import boto3
    from pyspark.sql import SparkSession

    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    if options["--end"] == "die":
        os._exit(9)
    spark = SparkSession.builder.getOrCreate()
    if options["--end"] == "raise":
        views = [table.name for table in spark.catalog.listTables()]
        answer = f"{os.getpid()} {spark.conf.get('spark.sql.shuffle.partitions')} {views}"
    else:
        answer = f"{spark.version} {spark.range(7).selectExpr('sum(id * id)').first()[0]} {options['--word']}"
    boto3.client("s3").put_object(Bucket=options["--bucket"], Key=options["--key"], Body=answer.encode())
    if options["--end"] == "raise":
        spark.conf.set("spark.sql.shuffle.partitions", "7")
        spark.range(3).cache().createOrReplaceTempView("left_over")
        raise ValueError("in the middle")
"""
"""What one run of it leaves must not meet the next."""


@pytest.fixture(scope="module")
def job(lake: Lake, role: str) -> str:
    """The name of a job of `SCRIPT`."""
    return new_job(lake, role, SCRIPT)


def test_a_script_that_raises_fails_its_run_with_the_reason_and_nothing_of_it_meets_the_next(
    lake: Lake, job: str
) -> None:
    seen = set()
    for _ in range(20):
        run = finished_run(lake, job, end="raise")
        assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "ValueError: in the middle")
        process, partitions, views = written(lake, job).split(maxsplit=2)
        assert (partitions, views) == ("200", "[]")
        if process in seen:
            return
        seen.add(process)
    pytest.fail("each run had another process, but a failure is no reason to start Spark again")


def test_after_a_process_that_died_the_next_run_executes_its_script_in_spark_with_its_arguments(
    lake: Lake, job: str
) -> None:
    run = finished_run(lake, job, end="die")
    assert run["JobRunState"] == "FAILED"
    assert "exit status 9" in run["ErrorMessage"]
    run = finished_run(lake, job, end="well", word="aposentadoria")
    assert run["JobRunState"] == "SUCCEEDED", run["ErrorMessage"]
    assert written(lake, job) == "3.5.6 91 aposentadoria"


def test_a_run_reads_its_own_code_as_the_role_of_its_own_job(lake: Lake, job: str) -> None:
    # The job of another role has run before, and runs again afterwards.
    assert finished_run(lake, job, end="well", word="before")["JobRunState"] == "SUCCEEDED"
    blind = new_job(lake, new_role(lake, "s3:PutObject"), SCRIPT)
    run = finished_run(lake, blind, end="well", word="unread")
    assert run["JobRunState"] == "FAILED"
    assert f"{blind}.py" in run["ErrorMessage"]
    assert "AccessDenied" in run["ErrorMessage"]
    assert finished_run(lake, job, end="well", word="after")["JobRunState"] == "SUCCEEDED"


def test_a_missing_script_fails_its_run(lake: Lake, role: str) -> None:
    glue = lake.cloud.client("glue")
    name = f"contract-{uuid.uuid4().hex[:8]}"
    glue.create_job(
        Name=name,
        Role=role,
        Timeout=5,
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{lake.refined}/contract/nowhere.py"},
    )
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    run: dict[str, Any] = {}

    def is_finished() -> bool:
        run.update(glue.get_job_run(JobName=name, RunId=run_id)["JobRun"])
        return run["JobRunState"] in FINISHED

    until(is_finished, timeout_s=60, every_s=0.1)
    assert run["JobRunState"] == "FAILED"
    assert "nowhere.py" in run["ErrorMessage"]


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_told_and_leaves_nothing(tmp_path: Path):
    def workers() -> set[int]:
        return {pid for pid, command in descendants(os.getpid()).items() if "local.spark_worker" in command}

    before = workers()
    worker = start_worker("http://127.0.0.1:9", tmp_path)
    until(lambda: workers() - before)
    (pid,) = workers() - before
    os.kill(pid, signal.SIGKILL)
    until(lambda: worker.has_ended)
    with pytest.raises(WorkerLost, match="exit status -9"):
        worker.run({"py_files": []}, deadline=time.monotonic() + 10, stopped=threading.Event())
    worker.close()


def test_a_run_whose_job_cannot_be_understood_fails_instead_of_running_for_ever(tmp_path: Path):
    runner = GlueSparkRunner(endpoint_url="http://127.0.0.1:9", work_dir=tmp_path)
    run = {"Id": "jr_1", "JobName": "any", "JobRunState": "STARTING", "Timeout": 1}
    runner.execute(run, {}, {})
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "KeyError: 'Role'")
    runner.close()


def test_a_run_that_is_stopped_before_its_turn_has_come_never_begins(tmp_path: Path):
    runner = GlueSparkRunner(endpoint_url="http://127.0.0.1:9", work_dir=tmp_path)
    run = {"Id": "jr_1", "JobName": "any", "JobRunState": "STARTING", "Timeout": 1}
    runner.tell_to_stop(["jr_1"])
    runner.execute(run, {}, {})
    assert (run["JobRunState"], run["ErrorMessage"]) == ("STOPPED", "The run was stopped.")
    runner.close()
