"""How the operator's commands wait for AWS: ask at once, then ever more seldom, until the time is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator


def polls(timeout_s: float, *, first_s: float, slowest_s: float) -> Iterator[None]:
    """Yield at once, after *first_s* seconds, and at intervals that grow to *slowest_s*; end after *timeout_s*."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    interval_s = first_s
    while time.monotonic() < deadline:
        yield
        pause.wait(interval_s)
        interval_s = min(1.5 * interval_s, slowest_s)
