"""Where a fault of the chain is tried: the running pipeline, and one index of its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from bovespa.errors import BovespaError
from bovespa.layout import Session
from bovespa.portfolio import Portfolio
from bovespa.records import Provenance
from faults.files import Files, bytes_of, session_of
from faults.reader import Watch
from local.cloud import PROJECT, Cloud
from local.cloud_faults import CloudFault, CloudFaults
from s3_bucket_manager.manager import RawStore

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"})
_TIMEOUT_S = 180.0
_POLL_S = 0.02
_ASK_S = 0.2
"""How often the cloud is asked for what takes a run's seconds: it has better things to do."""


class NotAsExpected(BovespaError):
    """The chain did not do what the fault's entry says that it does."""

    code = "not_as_expected"


def until(
    condition: Callable[[], object], what: str, *, timeout_s: float = _TIMEOUT_S, every_s: float = _POLL_S
) -> None:
    """Wait for *condition*.

    Raises:
        NotAsExpected: It did not hold within *timeout_s*; the message says *what* did not happen.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise NotAsExpected(f"not within {timeout_s:g} s: {what}")
        pause.wait(every_s)


def require(condition: object, what: str) -> None:
    """Raise `NotAsExpected` with *what* unless *condition* holds."""
    if not condition:
        raise NotAsExpected(what)


@dataclass
class Scene:
    """What a fault's act works with."""

    cloud: Cloud
    environment: Mapping[str, str] = field(repr=False)
    """With which `flask --app app` reaches the pipeline."""
    index_code: str
    watches: Collection[Watch] = ()
    """Who must know what is stored."""
    notes: list[str] = field(default_factory=list)
    """What was seen, for the table."""

    @property
    def files(self) -> Files:
        """The index's files."""
        return Files.of(self.index_code)

    @property
    def faults(self) -> CloudFaults:
        """The cloud's faults."""
        return CloudFaults(self.cloud.endpoint_url)

    def see(self, note: str) -> None:
        """Keep *note* for the table."""
        self.notes.append(note)

    def spoil(self, call: str, *, status: int, code: str, times: int | None = None, after: int = 0) -> None:
        """Refuse calls (`local.cloud_faults`) until `mend`."""
        body = {"call": call, "after": after, "times": times, "answer": {"status": status, "code": code}}
        self.faults.set(CloudFault.parse(body))

    def hold(self, call: str, *, after: int = 0) -> None:
        """Hold calls until `mend`."""
        self.faults.set(CloudFault.parse({"call": call, "after": after, "hold": True}))

    def mend(self) -> None:
        """No fault any more; what was held goes on."""
        self.faults.set()

    def store(self, portfolio: Portfolio) -> Session:
        """Store *portfolio* with the API's own store; S3, Lambda and Glue do the rest."""
        content = bytes_of(portfolio)
        provenance = Provenance(
            index_code=portfolio.index_code,
            url="http://127.0.0.1/faults",
            file_name="",
            received_at=dt.datetime.now(dt.UTC),
            way="faults",
        )
        for watch in self.watches:
            watch.allow(portfolio)
        RawStore(self.cloud.client("s3"), self.cloud.outputs["RawBucketName"]).store(portfolio, content, provenance)
        return session_of(portfolio)

    def event(self, session: Session, *, name: str = "ObjectCreated:Put") -> dict[str, Any]:
        """The event that S3 sends for *session*."""
        return {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "eventName": name,
                    "s3": {
                        "bucket": {"name": self.cloud.outputs["RawBucketName"]},
                        "object": {"key": quote_plus(session.raw_key), "size": 1},
                    },
                }
            ]
        }

    def deliver(self, session: Session) -> None:
        """Let S3's event of *session* reach the Lambda function, once more or late.

        Raises:
            NotAsExpected: The function failed.
        """
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.cloud.outputs["FunctionName"], Payload=json.dumps(self.event(session)).encode()
        )
        words = answer["Payload"].read().decode()
        require("FunctionError" not in answer, f"the function failed: {words[:300]}")

    def runs(self, session: Session) -> list[dict[str, Any]]:
        """The runs that name *session*."""
        job = self.cloud.outputs["GlueJobName"]
        pages = self.cloud.client("glue").get_paginator("get_job_runs").paginate(JobName=job)
        return [
            run
            for page in pages
            for run in page["JobRuns"]
            if str(session) in run["Arguments"].get("--sessions", "").split(",")
        ]

    def run(self, session: Session) -> str:
        """Start a run; return its id."""
        job = self.cloud.outputs["GlueJobName"]
        answer = self.cloud.client("glue").start_job_run(JobName=job, Arguments={"--sessions": str(session)})
        return str(answer["JobRunId"])

    def is_refined(self, session: Session) -> bool:
        """Whether the stored version has its receipt, alone."""
        s3 = self.cloud.client("s3")
        raw, refined = self.cloud.outputs["RawBucketName"], self.cloud.outputs["RefinedBucketName"]
        etag = s3.head_object(Bucket=raw, Key=session.raw_key)["ETag"].strip('"')
        found = s3.list_objects_v2(Bucket=refined, Prefix=session.receipts_prefix).get("Contents", ())
        return [item["Key"].rpartition("/")[2] for item in found] == [f"{etag}.json"]

    def wait_until_refined(self, *sessions: Session) -> None:
        """Wait until the stored versions are visible and no run of them is under way."""
        names = ", ".join(map(str, sessions))
        until(lambda: all(map(self.is_refined, sessions)), f"{names} refined", every_s=_ASK_S)
        until(lambda: all(map(self._is_quiet, sessions)), f"runs of {names} at their end", every_s=_ASK_S)

    def wait_until_failed(self, session: Session, *, but: Collection[str] = ()) -> str:
        """Wait until a run of *session* has failed, and no other is under way; return its error.

        Args:
            session: Which the run names.
            but: Ids of runs that were there before.
        """

        def new() -> list[dict[str, Any]]:
            return [run for run in self.runs(session) if run["Id"] not in but]

        until(lambda: new() and self._is_quiet(session), f"the run of {session} at its end", every_s=_ASK_S)
        run = new()[0]
        require(run["JobRunState"] == "FAILED", f"the run of {session} is {run['JobRunState']}")
        return str(run.get("ErrorMessage", ""))

    def _is_quiet(self, session: Session) -> bool:
        return all(run["JobRunState"] in ENDED for run in self.runs(session))

    def kill_spark(self) -> None:
        """Kill (-9) the Spark process that is at work for this cloud, its JVM and its Python workers."""
        found = writing_below(self.cloud.work_dir, "local.spark_worker")
        require(found, "no Spark process to kill")
        for group in {os.getpgid(pid) for pid in found} - {os.getpgid(self.cloud.process.pid)}:
            os.killpg(group, signal.SIGKILL)

    def repair(self, *sessions: Session) -> None:
        """`flask --app app doctor --repair` over *sessions*.

        Raises:
            NotAsExpected: Something is still wrong afterwards.
        """
        days = sorted(str(session.session_date) for session in sessions)
        command = [
            "--app",
            "app",
            "doctor",
            "--repair",
            "--index",
            self.index_code,
            "--from",
            days[0],
            "--to",
            days[-1],
        ]
        done = self.flask(*command)
        require(done.returncode == 0, f"doctor --repair ended with {done.returncode}: {done.stdout[-400:]}")
        self.see(done.stdout.splitlines()[0].rstrip("."))

    def redrive(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m infrastructure.redrive`, which replays what waits in the dead-letter queue."""
        return self._operate("infrastructure.redrive", *arguments)

    def flask(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `flask` as an operator does."""
        return self._operate("flask", *arguments, **environment)

    def _operate(self, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, *arguments],
            cwd=PROJECT,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )


def refined_puts(scene: Scene) -> str:
    """The objects that a run writes of the scene's index, as a call to hold or to refuse."""
    return f"PUT /{scene.cloud.outputs['RefinedBucketName']}/portfolio/index_code={scene.index_code}/.*"


def writing_below(folder: Path, command: str) -> list[int]:
    """The processes with *command* in their command line whose output goes to a file in *folder*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            output = (entry / "fd" / "1").readlink()
            if command in (entry / "cmdline").read_text(encoding="utf-8") and output.is_relative_to(folder):
                found.append(int(entry.name))
    return found
