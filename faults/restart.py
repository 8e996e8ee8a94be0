"""The fault that takes everything with it: the local cloud is killed in the middle of a run and started on its data."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.memory import descendants
from faults.files import Files, session_of
from faults.image import Image
from faults.matrix import Entry, Outcome, Trial
from faults.scene import refined_puts, until
from local.cloud import Cloud
from local.pipeline import running_pipeline

CLOUD_KILLED = Entry(
    "killed-cloud",
    "UTIL",
    "the local cloud, Lambda and Spark killed (-9) in the middle of a run, then started on their data",
    "what was refined is there, the run is no more, doctor --repair finishes",
    lambda files: (files.first, files.second),
)
"""It has buckets of its own, for the other faults go on in theirs."""


def attempt_restart(untroubled: Image) -> Outcome:
    """Kill the cloud, start it again and repair; a reader looks on before and afterwards."""
    trial, files = Trial(CLOUD_KILLED), Files.of(CLOUD_KILLED.index_code)
    second = session_of(files.second)
    with TemporaryDirectory(prefix="bovespa-faults-") as folder:
        with running_pipeline(data=Path(folder), faults=True) as running:
            with trial.watched(running) as scene:
                scene.wait_until_refined(scene.store(files.first))
            # Nobody reads while nothing is there to be asked.
            with trial.catching():
                scene.hold(refined_puts(scene), after=10)
                scene.store(files.second)
                until(lambda: scene.faults.hits() > 0, "the job at its eleventh object")
            _kill(running.cloud)
        started = time.monotonic()
        with running_pipeline(data=Path(folder), faults=True) as running:
            trial.notes.append(f"all ready again after {time.monotonic() - started:.1f} s")
            with trial.watched(running) as scene:
                scene.see(f"the run is {', '.join(run['JobRunState'] for run in scene.runs(second))}")
                scene.repair(second)
            return trial.outcome(running.cloud, untroubled)


def _kill(cloud: Cloud) -> None:
    """Kill (-9) the cloud and whatever it started."""
    for pid in [*descendants(cloud.process.pid, ""), cloud.process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cloud.process.wait()
