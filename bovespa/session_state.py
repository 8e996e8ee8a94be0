"""How far a session or a trading day has come on its way from B3 to SQL, decided from what S3 and Glue say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

from bovespa.layout import Import, Session
from bovespa.records import UnitT

SESSIONS_ARGUMENT = "--sessions"
"""Argument of a Glue run that says what it refines: `IBOV/2025-02-03,trading/2025-02-03`, `import:<id>` or `all`."""

CORRELATION_ID_ARGUMENT = "--correlation_id"
"""Argument of a Glue run that says which request, command or import it belongs to."""

REFINED_BUCKET_ARGUMENT = "--refined_bucket"
"""Argument of a Glue run that says where it writes; without it, the job's own bucket."""

QUEUED = {"JobRunQueuingEnabled": True}
"""What a run is started with, so that one beyond the job's limit waits for its turn instead of being refused. The job
allows it, and each run has to ask: https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html."""

ALL_SESSIONS = "all"
"""What `--sessions` names for everything that is stored."""

UNFINISHED_RUN_STATES = frozenset({"STARTING", "RUNNING", "WAITING", "STOPPING"})
"""Glue's words for a run that is at work, or waits for its turn."""

_ERROR_LENGTH = 1000
"""As much as is told of one; a Glue error can be a whole traceback of the JVM."""

_FAILED_RUN_STATES = frozenset({"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"})


class State(StrEnum):
    """The stations of a session or trading day."""

    MISSING = "missing"
    """Not in the raw bucket. If its day is over, B3 will never offer it again."""
    STORED = "stored"
    """In the raw bucket; no Glue run has taken it up yet."""
    REFINING = "refining"
    """A Glue run has it in hand, or waits for its turn."""
    REFINED = "refined"
    """Its rows answer SQL."""
    FAILED = "failed"
    """The newest Glue run of the stored version failed."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """A session's or trading day's Parquet in the raw bucket."""

    uri: str
    version: str
    """The object's ETag, without quotes."""
    stored_at: dt.datetime
    """When this version arrived, aware."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of the Glue job."""

    run_id: str
    state: str
    """Glue's own word: `RUNNING`, `SUCCEEDED`, `FAILED`, ..."""
    started_at: dt.datetime
    completed_at: dt.datetime | None
    sessions: frozenset[str]
    """What it was started for: sessions and trading days as `str` writes them, `import:<id>`, or `all`."""
    error: str | None = None

    @property
    def may_cover_any_session(self) -> bool:
        """Whether the arguments alone do not tell which sessions it refines."""
        return any(name == ALL_SESSIONS or name.startswith(Import.NAME_PREFIX) for name in self.sessions)

    @property
    def is_unfinished(self) -> bool:
        """Whether it is at work, or waits for its turn."""
        return self.state in UNFINISHED_RUN_STATES

    @property
    def has_failed(self) -> bool:
        """Whether it ended without having done everything."""
        return self.state in _FAILED_RUN_STATES

    def as_json(self) -> dict[str, str | None]:
        """Return what the API and the report tell of it."""
        return {
            "id": self.run_id,
            "state": self.state,
            "started_at": self.started_at.isoformat(),
            "error": None if self.error is None else self.error[:_ERROR_LENGTH],
        }

    @property
    def age(self) -> tuple[dt.datetime, dt.datetime]:
        """What runs are ordered by, oldest first."""
        # Starts may be told in whole seconds: of two runs of one second, the one that ends later is the newer.
        return self.started_at, self.completed_at or dt.datetime.max.replace(tzinfo=dt.UTC)


# Without slots, as `bovespa.records.Stored`.
@dataclass(frozen=True)
class Progress(Generic[UnitT]):
    """One session or trading day and how far it has come."""

    session: UnitT
    state: State
    raw: RawObject | None = None
    run: JobRun | None = None
    """The Glue run that `refining` or `failed` speaks of."""


SessionState = Progress[Session]


def state_of(session: UnitT, raw: RawObject | None, *, has_receipt: bool, runs: Iterable[JobRun]) -> Progress[UnitT]:
    """Decide the state of *session*.

    Args:
        session: The session or trading day.
        raw: Its object in the raw bucket, None when there is none.
        has_receipt: Whether the job left a receipt for exactly this version of the object.
        runs: Runs of the Glue job, in any order; those of others and of earlier versions do not count.
    """
    if raw is None:
        return Progress(session, State.MISSING)
    if has_receipt:
        return Progress(session, State.REFINED, raw)
    # S3 and Glue may tell whole seconds, so the start of a run counts from the second in which the object arrived.
    since = raw.stored_at.replace(microsecond=0)
    recent = [run for run in runs if run.started_at >= since]
    own = [run for run in recent if str(session) in run.sessions]
    # A run over an import, or over everything, may have been for this session. One that succeeded was not: it would
    # have left the receipt.
    others = [run for run in recent if run.may_cover_any_session and run.state != "SUCCEEDED"]
    for candidates in (own, own + others):
        newest = max(candidates, key=lambda run: run.age, default=None)
        if newest is not None and newest.is_unfinished:
            return Progress(session, State.REFINING, raw, newest)
    if newest is not None and newest.has_failed:
        return Progress(session, State.FAILED, raw, newest)
    return Progress(session, State.STORED, raw)
