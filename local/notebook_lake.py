"""The lake that local notebooks read: files of sessions and trading days, real or invented, refined in one run."""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.importing import Importer, ImportReport, find_files, new_import
from api.trading_importing import SUFFIXES, TradingImporter
from bovespa.calendar import trading_days
from bovespa.errors import BovespaError
from bovespa.imports import ImportManifest
from bovespa.layout import Import, TradingDay
from bovespa.portfolio import View
from bovespa.portfolio_csv import file_name
from local.cloud import Cloud
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_cotahist
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.trading_store import TradingStore

SYNTHETIC_INDEX_CODE = "IBOV"
_SYNTHETIC_FIRST, _SYNTHETIC_LAST = dt.date(2020, 12, 1), dt.date(2021, 3, 9)
"""A turn of the year, a rebalance with entries and exits, and two corporate actions lie between them."""
_NOT_COLLECTED = frozenset(trading_days(dt.date(2021, 2, 1), dt.date(2021, 2, 4)))
_WITHOUT_SECTORS = dt.date(2021, 2, 22)
"""A session that B3 gave in the code view."""
_FIRST_TRADING_DAY = dt.date(2021, 2, 5)
"""The last session's window of 21 trading days begins with it."""
_TRADING_DAY_FILE = re.compile(r"COTAHIST_[DA]\d.*", re.ASCII | re.IGNORECASE)

_NO_SESSIONS = "No file below {folder} is a daily portfolio of B3: give a folder of its CSV files."

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


def synthetic_trading_days() -> list[dt.date]:
    """Return the days of the invented history whose trades are known: as far back as its last session looks."""
    return list(trading_days(_FIRST_TRADING_DAY, _SYNTHETIC_LAST))


def write_synthetic_trading_days(folder: Path, days: Sequence[dt.date]) -> None:
    """Write the records that B3 would have given for the trading days *days*."""
    for day in days:
        (folder / f"COTAHIST_D{day:%d%m%Y}.TXT").write_bytes(synthetic_cotahist(day))


def require_sessions(folder: Path) -> None:
    """Refuse a folder that has nothing to fill a lake with, before anybody waits for a cloud.

    Raises:
        LakeNotFilled: There is no CSV file below *folder*.
    """
    if not find_files([folder]):
        raise LakeNotFilled(_NO_SESSIONS.format(folder=folder))


def fill(cloud: Cloud, folder: Path, report: Callable[[str], None]) -> int:
    """Import every session and trading day below *folder* and wait for the one run that refines them.

    Files that are refused are reported and left out.

    Args:
        cloud: A cloud with the stack deployed.
        folder: B3's CSV files, and if there are any its records of trading days, under B3's names.
        report: Receives a line for each step.

    Returns:
        How many sessions were refined.

    Raises:
        LakeNotFilled: There was no session to import, the import ended early, or its run failed.
    """
    files = find_files([folder])
    records = [path for path in find_files([folder], SUFFIXES) if _TRADING_DAY_FILE.fullmatch(path.name)]
    # What was refused is reported below, once.
    logging.getLogger("s3_bucket_manager").setLevel(logging.ERROR)
    made_by = new_import(_now(), [*files, *records])
    s3, bucket = cloud.client("s3"), cloud.outputs["RawBucketName"]
    traded = TradingImporter(_UnannouncedDays(s3, bucket), clock=_now).run(records, made_by)
    _check(traded, report)
    result = Importer(_SessionsAndDays(s3, bucket, traded.trading_days), clock=_now).run(files, made_by)
    _check(result, report)
    if result.manifest_uri is None:
        raise LakeNotFilled(_NO_SESSIONS.format(folder=folder))
    report(f"{len(result.sessions)} sessions and {len(traded.trading_days)} trading days in the raw bucket")
    _wait_for_the_run(cloud, made_by)
    return len(result.sessions)


class _UnannouncedDays(TradingStore):
    """Keeps trading days, and leaves it to the sessions' manifest to start the run."""

    def announce(self, manifest: ImportManifest) -> str:
        return f"announced with the sessions of {manifest.made_by}"


class _SessionsAndDays(RawStore):
    """Keeps sessions, and announces trading days with them, so that one run refines both."""

    def __init__(self, s3: Any, bucket: str, trading_days: tuple[TradingDay, ...]) -> None:
        super().__init__(s3, bucket)
        self._trading_days = trading_days

    def announce(self, manifest: ImportManifest) -> str:
        return super().announce(replace(manifest, trading_days=self._trading_days))


def _check(result: ImportReport, report: Callable[[str], None]) -> None:
    for refused in result.refused:
        report(f"refused {refused.path.name}: {refused.reason}")
    if result.interrupted_by is not None:
        raise LakeNotFilled(f"The import ended early: {result.interrupted_by}")


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
