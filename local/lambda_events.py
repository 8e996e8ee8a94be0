"""Events that the local Lambda handles at once: a few, where the emulator would start a process for each.

An import of a year puts 250 objects in seconds. On AWS as many execution environments cost nothing; here each is a
process that takes half a CPU second to start, on a machine with a handful of cores, and then stays for five minutes.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Any

AT_ONCE = 4
"""Calls take milliseconds, so that one process would do; more, because one may have to wait for Glue."""

_is_event: ContextVar[bool] = ContextVar("is_event", default=False)


def install() -> None:
    """Let the emulator's events wait for their turn, within this process; whoever calls a function himself does not."""
    from ministack.services import lambda_svc  # noqa: PLC0415 - the emulator reads its environment when it is imported

    deliver, execute = lambda_svc.invoke_async_with_retry, lambda_svc._execute_function  # noqa: SLF001
    turns = threading.BoundedSemaphore(AT_ONCE)

    def deliver_in_turn(function: dict[str, Any], event: dict[str, Any]) -> None:
        # The emulator hands the event to a thread, with a copy of this context.
        before = _is_event.set(True)
        try:
            deliver(function, event)
        finally:
            _is_event.reset(before)

    def execute_in_turn(function: dict[str, Any], event: dict[str, Any]) -> Any:
        if not _is_event.get():
            return execute(function, event)
        with turns:
            # It may call itself again, in the region of the function.
            before = _is_event.set(False)
            try:
                return execute(function, event)
            finally:
                _is_event.reset(before)

    lambda_svc.invoke_async_with_retry = deliver_in_turn
    lambda_svc._execute_function = execute_in_turn  # noqa: SLF001
