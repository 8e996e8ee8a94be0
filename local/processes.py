"""Ending what was started: a process and all that it started itself."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess

log = logging.getLogger(__name__)


def stop_group(process: subprocess.Popen[bytes], *, timeout_s: float) -> None:
    """Ask *process*, the leader of its own group, to end; then end whatever of its group is left.

    Args:
        process: Started with `start_new_session`.
        timeout_s: Seconds that it has to end by itself.
    """
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        log.warning("process %d did not stop in %g s; killing it", process.pid, timeout_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
