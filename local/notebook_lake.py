"""The lake that local notebooks read: files of sessions, real or invented, brought in and refined in one run."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from api.importing import Importer, find_files, new_import
from bovespa.calendar import trading_days
from bovespa.errors import BovespaError
from bovespa.layout import Import
from bovespa.portfolio import View
from bovespa.portfolio_csv import file_name
from local.cloud import Cloud
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore

SYNTHETIC_INDEX_CODE = "IBOV"
_SYNTHETIC_FIRST, _SYNTHETIC_LAST = dt.date(2020, 12, 1), dt.date(2021, 3, 9)
"""A turn of the year, a rebalance with entries and exits, and two corporate actions lie between them."""
_NOT_COLLECTED = frozenset(trading_days(dt.date(2021, 2, 1), dt.date(2021, 2, 4)))
_WITHOUT_SECTORS = dt.date(2021, 2, 22)
"""A session that B3 gave in the code view."""

_TIMEOUT_S = 900.0
_POLL_S = 0.2


class LakeNotFilled(BovespaError):
    """Files could not be imported, or the run that refines them failed."""

    code = "lake_not_filled"


def synthetic_days() -> list[dt.date]:
    """Return the days of the invented history: some sixty, a few of them missing as if nobody had collected them."""
    return [day for day in trading_days(_SYNTHETIC_FIRST, _SYNTHETIC_LAST) if day not in _NOT_COLLECTED]


def write_synthetic_sessions(folder: Path, days: Sequence[dt.date]) -> None:
    """Write the files that B3 would have given for the sessions of *days*."""
    for day in days:
        view = View.CODE if day == _WITHOUT_SECTORS else View.SECTOR
        content = synthetic_csv(SYNTHETIC_INDEX_CODE, day, view)
        (folder / file_name(SYNTHETIC_INDEX_CODE, day)).write_bytes(content)


def fill(cloud: Cloud, folder: Path, report: Callable[[str], None]) -> int:
    """Import every file below *folder* and wait for the one run that refines them.

    Files that are refused are reported and left out.

    Args:
        cloud: A cloud with the stack deployed.
        folder: B3's CSV files.
        report: Receives a line for each step.

    Returns:
        How many sessions were refined.

    Raises:
        LakeNotFilled: There was nothing to import, the import ended early, or its run failed.
    """
    files = find_files([folder])
    # What was refused is reported below, once.
    logging.getLogger("s3_bucket_manager").setLevel(logging.ERROR)
    importer = Importer(RawStore(cloud.client("s3"), cloud.outputs["RawBucketName"]), clock=_now)
    result = importer.run(files, new_import(_now(), files))
    for refused in result.refused:
        report(f"refused {refused.path.name}: {refused.reason}")
    if result.interrupted_by is not None:
        raise LakeNotFilled(f"The import ended early: {result.interrupted_by}")
    if result.manifest_uri is None:
        raise LakeNotFilled(f"No file below {folder} is a daily portfolio of B3: give a folder of its CSV files.")
    report(f"{len(result.sessions)} sessions in the raw bucket")
    _wait_for_the_run(cloud, result.made_by)
    return len(result.sessions)


def _wait_for_the_run(cloud: Cloud, made_by: Import) -> None:
    glue, job = cloud.client("glue"), cloud.outputs["GlueJobName"]
    for _ in _polls():
        for run in glue.get_job_runs(JobName=job)["JobRuns"]:
            if run.get("Arguments", {}).get("--sessions") != str(made_by):
                continue
            state = run["JobRunState"]
            if state == "SUCCEEDED":
                return
            if state in ("FAILED", "ERROR", "STOPPED", "TIMEOUT"):
                raise LakeNotFilled(f"The Glue run ended as {state}: {run.get('ErrorMessage') or 'no reason given'}")
    raise LakeNotFilled(f"The import's Glue run did not end within {_TIMEOUT_S:g} s.")


def _polls() -> Iterator[None]:
    deadline = time.monotonic() + _TIMEOUT_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        yield
        pause.wait(_POLL_S)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
