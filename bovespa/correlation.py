"""The id that follows one session from the request that fetched it to the receipt that says that SQL has it.

It is put into effect where work begins (a request, a command, an import) and read where a line is logged or an object
is written, within one thread. A pool's threads begin without one: `follow` is what their initializer is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WELL_FORMED = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,62}[0-9A-Za-z])?", re.ASCII)

_CURRENT: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def is_correlation_id(text: str | None) -> bool:
    """Whether *text* is 1 to 64 letters, digits, dots, underscores and hyphens, with a letter or digit at both ends.

    Such a text is safe in a log line, a header, an object's metadata and a run's argument.
    """
    return text is not None and _WELL_FORMED.fullmatch(text) is not None


def new_correlation_id() -> str:
    """Return an id that nothing else has."""
    return uuid.uuid4().hex


def correlation_id() -> str | None:
    """Return the id of what this thread works on, None if nobody said."""
    return _CURRENT.get()


def follow(followed: str | None) -> None:
    """Let this thread work on what has the id *followed* from now on; None for nothing."""
    _CURRENT.set(followed)


@contextmanager
def correlated(followed: str) -> Iterator[None]:
    """Let this thread work on what has the id *followed* within the block."""
    token = _CURRENT.set(followed)
    try:
        yield
    finally:
        _CURRENT.reset(token)
