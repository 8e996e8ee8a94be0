"""What the doctor found wrong with one session, trading day, object or run, and what mends it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bovespa.layout import Session, TradingDay

RUN_IT = "`doctor --repair` starts a run over it."
_SHOWN = 5
"""How many names of one kind a finding shows."""


class Kind(StrEnum):
    """Everything that the doctor can find."""

    MISSING_SESSION = "missing_session"
    MISSING_TRADING_DAY = "missing_trading_day"
    RAW_MISSING = "raw_missing"
    RAW_DAMAGED = "raw_damaged"
    RAW_OUTDATED = "raw_outdated"
    SOURCE_MISSING = "source_missing"
    SOURCE_DAMAGED = "source_damaged"
    QUARANTINED = "quarantined"
    NOT_REFINED = "not_refined"
    REFINING = "refining"
    RUN_FAILED = "run_failed"
    RECEIPT_MISSING = "receipt_missing"
    OUTDATED_RECEIPT = "outdated_receipt"
    STALE_TICKER = "stale_ticker"
    MISSING_FILE = "missing_file"
    MISSING_PARTITION = "missing_partition"
    PARTITION_WITHOUT_FILE = "partition_without_file"
    WRONG_LOCATION = "wrong_location"
    STALE_MERGE = "stale_merge"
    REFINED_WITHOUT_RAW = "refined_without_raw"
    FOREIGN_OBJECT = "foreign_object"
    FAILED_RUN = "failed_run"


class Cure(StrEnum):
    """What can be done about a finding."""

    REBUILD = "rebuild"
    """`--repair` makes the raw object anew from B3's bytes, then refines the session."""
    FETCH = "fetch"
    """`--repair` asks B3 for it again."""
    REFINE = "refine"
    """`--repair` starts a run over the session or trading day."""
    WAIT = "wait"
    """It mends itself."""
    BY_HAND = "by hand"
    """A person must look."""
    NONE = "irrecoverable"
    """B3 offers it no more, and we have not got it."""

    @property
    def is_repairable(self) -> bool:
        """Whether `--repair` mends it."""
        return self in (Cure.REBUILD, Cure.FETCH, Cure.REFINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    index_code: str | None
    """None for what concerns trading days, which are of no index."""
    session: Session | TradingDay | None
    """None for what belongs to no session."""
    detail: str
    """What is wrong, with the keys or tickers in question."""
    remedy: str
    """What to do."""
    cure: Cure

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {
            "kind": self.kind.value,
            "index": self.index_code,
            "session_date": None if self.session is None else self.session.session_date.isoformat(),
            "detail": self.detail,
            "remedy": self.remedy,
            "cure": self.cure.value,
            "repairable": self.cure.is_repairable,
        }


def refused_file(index_code: str | None, key: str, file_name: str, reason: str) -> Finding:
    """Return that B3's file at *key*, which came as *file_name*, is in quarantine."""
    return Finding(
        Kind.QUARANTINED,
        index_code,
        None,
        f"{key} ({file_name or 'no name'}): {reason}",
        "See the runbook, *A file was refused*: import it, or delete it and its .json.",
        Cure.BY_HAND,
    )


def foreign_object(index_code: str | None, uri: str) -> Finding:
    """Return that the object at *uri* is in nobody's place."""
    return Finding(Kind.FOREIGN_OBJECT, index_code, None, f"{uri} is none of ours.", "Move or delete it.", Cure.BY_HAND)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings* by session or trading day, those of none last."""
    return sorted(findings, key=lambda one: (one.session.session_date if one.session else dt.date.max, one.kind))


def shown(names: Sequence[str]) -> str:
    """The first of *names*, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
