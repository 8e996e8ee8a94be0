"""Waiting for a condition that another thread or process brings about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_POLL_S = 0.005


def until(condition: Callable[[], object], *, timeout_s: float = 10, every_s: float = _POLL_S) -> None:
    """Return as soon as *condition* holds; fail when it does not within *timeout_s*."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        pause.wait(every_s)
