"""An archive brought in: one import, one run, and how much memory that takes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.memory import descendants, peak_memory_mb, peak_memory_until_end_mb
from benchmarks.runs import wait_for_every_run
from benchmarks.targets import Target
from bovespa.calendar import trading_days_before
from bovespa.layout import Import
from bovespa.portfolio_csv import file_name
from bovespa.session_state import SESSIONS_ARGUMENT
from local.cloud import PROJECT
from local.console import Progress, print_table
from local.pipeline import Pipeline, running_pipeline
from local.synthetic import synthetic_csv

INDEX_CODE = "IBBC"
"""Ninety tickers."""
FEW = 25
YEAR = 2024
BEFORE = dt.date(YEAR + 1, 1, 4)
"""The archive ends before it: with a session of the next year, so that a rebuild takes its year for a past one."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import came to."""

    sessions: int
    import_s: float
    """From the command's start to its end."""
    run_s: float
    """From the command's end until every session was visible."""
    runs: int
    import_peak_mb: float
    """Of the importing process."""
    job_peak_mb: float
    """Of Spark's processes, added up; they share pages, so it is more than the job really holds."""

    @property
    def sessions_a_second(self) -> float:
        """Sessions that became visible, import and run together."""
        return self.sessions / (self.import_s + self.run_s)


@contextlib.contextmanager
def imported(sessions: int, progress: Progress) -> Iterator[tuple[Pipeline, Imported]]:
    """Import the last *sessions* before `BEFORE` into a new pipeline, which runs for the body of the `with`."""
    with tempfile.TemporaryDirectory(prefix="bovespa-bench-") as folder, running_pipeline() as running:
        for day in trading_days_before(BEFORE, sessions):
            (Path(folder) / file_name(INDEX_CODE, day)).write_bytes(synthetic_csv(INDEX_CODE, day))
        started = time.perf_counter()
        report, peak_mb = _import(running, Path(folder))
        import_s = time.perf_counter() - started
        runs = wait_for_every_run(running.cloud)
        run_s = time.perf_counter() - started - import_s
        if report["stored"] != sessions:
            raise RuntimeError(f"{sessions} sessions were to be stored: {report}")
        asked = [run["Arguments"].get(SESSIONS_ARGUMENT) for run in runs]
        if str(Import(report["import_id"])) not in asked:
            raise RuntimeError(f"no run was for import {report['import_id']}: {asked}")
        job_mb = sum(map(peak_memory_mb, descendants(running.cloud.process.pid, "local.spark_worker")))
        progress.say(f"{sessions} sessions imported in {import_s:.1f} s and refined in {run_s:.1f} s")
        yield running, Imported(sessions, import_s, run_s, len(runs), peak_mb, job_mb)


def measure_few(progress: Progress) -> dict[str, Any]:
    """Return the figures of a short import, in a pipeline of its own."""
    with imported(FEW, progress) as (_, few):
        return asdict(few)


def targets(figures: dict[str, Any]) -> list[Target]:
    """Return what an import may take at most."""
    few, many = Imported(**figures["few"]), Imported(**figures["many"])
    return [
        Target(f"runs of an import of {many.sessions} sessions", many.runs, "runs", 1),
        Target(
            f"import of {many.sessions} sessions, beside one of {few.sessions}: peak memory",
            many.import_peak_mb / few.import_peak_mb,
            "times",
            1.5,
        ),
    ]


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    few, many = Imported(**figures["few"]), Imported(**figures["many"])
    rows = [
        (name, f"{few_value:.2f}", f"{many_value:.2f}", f"{many_value / few_value:.2f}")
        for name, few_value, many_value in (
            ("import_s", few.import_s, many.import_s),
            ("run_s", few.run_s, many.run_s),
            ("sessions_a_second", few.sessions_a_second, many.sessions_a_second),
            ("runs", few.runs, many.runs),
            ("import_peak_mb", few.import_peak_mb, many.import_peak_mb),
            ("job_peak_mb", few.job_peak_mb, many.job_peak_mb),
        )
    ]
    print_table(("what", f"{few.sessions}_sessions", f"{many.sessions}_sessions", "ratio"), rows, title="Import")


def _import(running: Pipeline, folder: Path) -> tuple[dict[str, Any], float]:
    """Run the operator's command; return its report and its peak memory."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "flask", "--app", "app", "import-csv", str(folder), "--json"],
            cwd=PROJECT,
            env=environ | running.environment,
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=words,
        )
        peak_mb = peak_memory_until_end_mb(process)
        answer.seek(0)
        words.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"import-csv ended with {process.returncode}: {words.read().decode()[-2000:]}")
        report: dict[str, Any] = json.loads(answer.read())
    return report, peak_mb
