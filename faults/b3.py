"""The faults between B3 and the raw bucket, browser included."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.memory import descendants
from bovespa.errors import BovespaError
from bovespa.layout import Session
from faults.matrix import Outcome
from faults.scene import require, until
from local.cloud import PROJECT
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv

DAY = dt.date(2016, 3, 30)
_BUDGET_S = 20
"""Of a session, for faults that last: enough for one attempt of each way on a busy machine."""
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class B3Fault:
    """Something that fails at B3, or in the browser."""

    name: str
    index_code: str
    injected: str
    faults: Sequence[Mapping[str, object]]
    """What the stand-in is told (`local.b3_faults`)."""
    code: str | None = None
    """Of the error that is expected; None where a later attempt brings the session."""
    is_quarantined: bool = False
    """Whether a refused file is kept."""
    signal: signal.Signals | None = None
    """Sent to the browser while it downloads."""

    @property
    def expected(self) -> str:
        """What must be true, in words."""
        what = "stored on a later attempt" if self.code is None else f"{self.code}, nothing published"
        return what + (", the file in quarantine" if self.is_quarantined else "")


def attempt_b3(fault: B3Fault, running: Pipeline) -> Outcome:
    """Try *fault*: ask with it, then without; the session must be there in the end, byte for byte."""
    started = time.monotonic()
    lost: list[str] = []
    wrong: list[str] = []
    notes: list[str] = []
    try:
        running.stand_in.set(today=DAY, faults=list(fault.faults))
        before = _keys(running, "quarantine/")
        asked = time.monotonic()
        answer = _ingest(running, fault)
        notes.append(f"{answer.get('code') or answer['status']} in {time.monotonic() - asked:.0f} s")
        refused = {key for key in _keys(running, "quarantine/") - before if key.endswith(".csv")}
        if fault.code is None:
            require(answer["status"] == "stored", f"not stored: {answer}")
            notes.append(f"by {answer['way']}, attempt {answer['attempts']}")
        else:
            require(answer.get("code") == fault.code, f"another answer: {answer}")
            published = _keys(running, f"portfolio/index_code={fault.index_code}/")
            require(not published, f"published: {sorted(published)}")
        require(bool(refused) == fault.is_quarantined, f"{len(refused)} files in quarantine")
    except (BovespaError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    finally:
        running.stand_in.set(faults=[])
    try:
        if fault.code is not None:
            _ingest(running, fault, without=True)
        session = Session(fault.index_code, DAY)
        digest = hashlib.sha256(synthetic_csv(fault.index_code, DAY)).hexdigest()
        wanted = (session.raw_key, session.source_key(digest))
        lost += [f"raw object {key}" for key in wanted if key not in _keys(running, key)]
    except (BovespaError, subprocess.TimeoutExpired, ValueError) as error:
        lost.append(f"{type(error).__name__}: {error}")
    elapsed_s = round(time.monotonic() - started, 1)
    seen = "; ".join(notes)
    return Outcome(fault.name, fault.injected, fault.expected, seen, tuple(lost), tuple(wrong), elapsed_s)


def _keys(running: Pipeline, prefix: str) -> set[str]:
    pages = running.cloud.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=running.cloud.outputs["RawBucketName"], Prefix=prefix)
    return {item["Key"] for page in found for item in page.get("Contents", ())}


def _ingest(running: Pipeline, fault: B3Fault, *, without: bool = False) -> dict[str, Any]:
    """`flask ingest`; what it started must be gone afterwards, and so must its files."""
    with TemporaryDirectory(prefix="bovespa-faults-") as folder:
        environ = os.environ | running.environment | {"TMPDIR": folder}
        if not without:
            environ["BOVESPA_DOWNLOAD_TIMEOUT_S"] = str(_BUDGET_S)
            environ["BOVESPA_DOWNLOAD_ATTEMPTS"] = "2"
        command = [sys.executable, "-m", "flask", "--app", "app", "ingest", "--index", fault.index_code]
        with subprocess.Popen(  # noqa: S603
            command, cwd=PROJECT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                if fault.signal is not None and not without:
                    _hit_browser(process.pid, Path(folder), fault.signal)
                said, errors = process.communicate(timeout=_TIMEOUT_S)
            except BaseException:
                process.kill()
                raise
        until(lambda: not _processes_of(folder), f"no process left in {folder}", timeout_s=10)
        left = [path.name for path in Path(folder).iterdir()]
        require(not left, f"left behind: {left}")
        try:
            answer: dict[str, Any] = json.loads(said)
        except ValueError:
            raise ValueError(f"no answer: {errors.decode()[-300:]}") from None
        return answer


def _hit_browser(pid: int, folder: Path, number: signal.Signals) -> None:
    """Send *number* to every process of the browser as soon as it has a part of a file."""
    until(lambda: any(folder.rglob("*.crdownload")), "a download under way", timeout_s=60)
    browser = [one for one in descendants(pid, "--user-data-dir") if "chromedriver" not in _command_line(one)]
    require(browser, "no browser to hit")
    for one in browser:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


def _processes_of(folder: str) -> list[int]:
    found = (path.name for path in Path("/proc").glob("[0-9]*"))
    return [int(pid) for pid in found if folder in _command_line(int(pid))]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it ended since the listing
        return ""


def _once(name: str) -> Sequence[Mapping[str, object]]:
    return ({"fault": name, "times": 1},)


def _always(name: str, **more: object) -> Sequence[Mapping[str, object]]:
    return ({"fault": name, **more},)


B3_FAULTS = (
    B3Fault("b3-520", "BDRX", "B3 answers 520", _always("http_520"), "b3_unavailable"),
    B3Fault("b3-520-once", "IBBE", "B3 answers 520 once", _once("http_520")),
    B3Fault("b3-redirect", "IBBR", "302 to an error page", _always("redirect_to_error_page"), "b3_unavailable"),
    B3Fault("b3-html", "IBEE", "200 with HTML for data", _always("html_instead_of_data"), "b3_unavailable"),
    B3Fault("b3-empty", "IBEP", "an empty table", _always("empty_table"), "b3_unavailable"),
    B3Fault("b3-slow", "IBEW", "the page's data takes 3 s", _always("slow_page", seconds=3)),
    B3Fault("b3-overlay", "IBLV", "the overlay never goes", _always("overlay_stays")),
    B3Fault("b3-endless", "IBOV", "a download that never ends", _always("download_never_ends"), "b3_timeout"),
    B3Fault(
        "b3-truncated",
        "IBRA",
        "the file is cut off",
        _always("truncated_csv"),
        "portfolio_unreadable",
        is_quarantined=True,
    ),
    B3Fault("b3-truncated-once", "IBXX", "the file is cut off once", _once("truncated_csv"), is_quarantined=True),
    B3Fault(
        "b3-totals", "ICON", "wrong totals", _always("wrong_totals"), "portfolio_does_not_add_up", is_quarantined=True
    ),
    B3Fault("b3-columns", "IDIV", "a renamed column", _always("renamed_columns"), "b3_changed", is_quarantined=True),
    B3Fault(
        "b3-date",
        "IEEX",
        "a session three years off",
        _always("date_far_off"),
        "session_implausible",
        is_quarantined=True,
    ),
    B3Fault(
        "browser-killed",
        "IFIX",
        "the browser killed (-9) as it downloads",
        _always("download_stalls"),
        signal=signal.SIGKILL,
    ),
    B3Fault(
        "browser-stopped",
        "IFNC",
        "the browser stopped (-STOP) as it downloads",
        _always("download_stalls"),
        signal=signal.SIGSTOP,
    ),
)
