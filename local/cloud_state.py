"""The local cloud's state is saved whenever something changed, so that one that is killed can be started again.

The emulator writes each object of S3 at once, and everything else (stack, catalog, runs, users) only as it stops. A
cloud that was killed had buckets and nothing that knew them: no stack could be deployed over them again. What the
catalog was told in the moments before a kill is in its journal (`local.catalog_journal`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bovespa.session_state import UNFINISHED_RUN_STATES
from local.catalog_journal import CatalogJournal

log = logging.getLogger(__name__)

_PAUSE_S = 0.5
"""Between a change and its saving: a deployment or a run is hundreds of changes."""
_SHARE = 0.1
"""The most of its time that the cloud saves: a large catalog is saved less often."""


class StateNotSaved(RuntimeError):
    """The state is not on the disk."""


class StateKeeper:
    """Saves the emulator's state some time after it changed, within the emulator's process.

    Args:
        folder: Where the emulator has its state.
    """

    def __init__(self, folder: Path) -> None:
        from ministack.services import glue  # noqa: PLC0415 - the emulator reads its environment when it is imported

        self._folder = folder
        self._changed = asyncio.Event()
        self._journal = CatalogJournal(folder / "catalog-changes.jsonl")
        self._handle_glue = glue._handle_request_sync  # noqa: SLF001 - where every call of the service comes through
        glue._handle_request_sync = self._journal.keeping(self._handle_glue)  # noqa: SLF001

    def watching(self, app: Any) -> Any:
        """Return *app*, an ASGI application, noticing the requests that may change something."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, self._minding(send) if scope["type"] == "lifespan" else send)
            finally:
                if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
                    self._changed.set()

        return watched

    async def keep(self) -> None:
        """Save after changes, until cancelled; what changes in the last moments is saved by the emulator's own stop."""
        pause_s = _PAUSE_S
        while True:
            await self._changed.wait()
            await asyncio.sleep(pause_s)
            if _is_deploying():
                # A stack in the middle of its deployment could never be deployed again.
                continue
            self._changed.clear()
            started = time.monotonic()
            try:
                with self._journal.saved():
                    _save(self._folder)
            except (StateNotSaved, OSError) as error:
                log.warning("%s; it is tried again", error)
                self._changed.set()
            pause_s = max(_PAUSE_S, (time.monotonic() - started) / _SHARE)

    def _minding(self, send: Any) -> Any:
        """Return *send* of the application's life: what was saved has been loaded as it says that it has started."""

        async def told(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete" and self._journal.replay(self._handle_glue):
                self._changed.set()
            await send(message)

        return told


@contextlib.asynccontextmanager
async def saving(keeper: StateKeeper) -> AsyncIterator[None]:
    """Save in the background for the body of the `async with`."""
    task = asyncio.create_task(keeper.keep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _is_deploying() -> bool:
    from ministack.services import cloudformation  # noqa: PLC0415 - after its environment is set

    stacks = cloudformation._stacks._data.values()  # noqa: SLF001 - the pinned emulator has no other way to all
    return any(stack["StackStatus"].endswith("_IN_PROGRESS") for stack in stacks)


def _save(folder: Path) -> None:
    """Save everything.

    Raises:
        StateNotSaved: The catalog was not written; the emulator itself only logs that.
    """
    from ministack import app  # noqa: PLC0415
    from ministack.core.persistence import save_all  # noqa: PLC0415

    states = app._build_persistence_save_dict()  # noqa: SLF001 - what the emulator itself saves as it stops
    states["glue"] = _glue_if_killed
    catalog = folder / "glue.json"
    before = catalog.stat().st_ino if catalog.exists() else None
    save_all(states)
    # It is written beside and then put in place, so what was written is another file.
    if not catalog.exists() or catalog.stat().st_ino == before:
        raise StateNotSaved(f"the local cloud could not save its catalog in {folder}")


def _glue_if_killed() -> Any:
    """Glue's state as it will be after a kill: no run is under way any more."""
    from ministack.services import glue  # noqa: PLC0415

    state = glue.get_state()
    for runs in state["job_runs"]._data.values():  # noqa: SLF001
        for run in runs:
            if run["JobRunState"] in UNFINISHED_RUN_STATES:
                run["JobRunState"], run["ErrorMessage"] = "STOPPED", "The local cloud was killed during the run."
    return state
