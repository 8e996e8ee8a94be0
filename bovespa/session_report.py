"""What is known of one stored session, as a report: what arrived, whether it holds, what is new, how long it took.

Nothing in it is stored anywhere: it is made from what the lake holds when somebody asks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from bovespa.calendar import is_trading_day, trading_days
from bovespa.errors import InvalidPortfolio
from bovespa.portfolio import TOTAL_PARTICIPATION_PCT, Holding, Portfolio
from bovespa.portfolio_csv import parse_csv
from bovespa.session_state import JobRun, SessionState

MAX_MOVES = 10
"""Of the biggest moves of participation."""

_PCT = Decimal("0.001")
_PPM = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the lake holds of one stored session."""

    state: SessionState
    """Has a raw object."""
    portfolio: Portfolio
    """What the raw object says."""
    facts: Mapping[str, str]
    """What the raw object says of its origin, and the session's correlation id."""
    source_uri: str | None
    """Where B3's bytes should be; None for an object that does not say."""
    source: bytes | None
    """Those bytes; None if they are gone."""
    previous: Portfolio | None
    """The stored session before it; None for the first."""
    receipt: Mapping[str, Any] | None
    """The job's word that the session is visible; None if it is not."""
    refined_at: dt.datetime | None
    """When the receipt was written, aware."""
    run: JobRun | None
    """The run that wrote the receipt, or that the state speaks of; None if Glue has forgotten it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One figure that must be another."""

    name: str
    expected: str
    found: str | None
    """None: it is not known yet, or what it is taken from is gone."""
    is_pending: bool = False

    @property
    def result(self) -> str:
        """`passed`, `failed` or `pending`."""
        if self.is_pending:
            return "pending"
        return "passed" if self.found == self.expected else "failed"

    def as_json(self) -> dict[str, str | None]:
        """In terms of JSON."""
        return {"name": self.name, "result": self.result, "expected": self.expected, "found": self.found}


def session_report(evidence: Evidence) -> dict[str, Any]:
    """Return the report in terms of JSON; decimals are text, because a JSON number would lose digits."""
    portfolio = evidence.portfolio
    day = portfolio.session_date
    return {
        "index": portfolio.index_code,
        "session_date": day.isoformat(),
        "state": evidence.state.state.value,
        "trading_day": is_trading_day(day),
        "correlation_id": evidence.facts.get("correlation_id"),
        "arrival": _arrival(evidence),
        "checks": [check.as_json() for check in checks(evidence)],
        "changes": None if evidence.previous is None else changes(evidence.previous, portfolio),
        "timings": _timings(evidence),
        "run": _run(evidence),
    }


def checks(evidence: Evidence) -> Iterator[Check]:
    """Yield what must hold of the session, each with its two figures."""
    portfolio = evidence.portfolio
    quantity = sum(row.theoretical_quantity for row in portfolio.holdings)
    participation = sum((row.participation_pct for row in portfolio.holdings), Decimal("0.000"))
    yield Check("theoretical_quantity", str(portfolio.total_theoretical_quantity), str(quantity))
    yield Check("participation_pct", str(TOTAL_PARTICIPATION_PCT), str(participation))
    digest = None if evidence.source is None else hashlib.sha256(evidence.source).hexdigest()
    yield Check("source_sha256", evidence.facts.get("source_sha256", ""), digest)
    yield Check("source_values", _size(portfolio), _read_again(evidence.source, portfolio))
    receipt = evidence.receipt
    refined = None if receipt is None else _refined(receipt)
    wanted = f"{len(portfolio.holdings)} rows, {quantity} shares, {participation} %"
    yield Check("refined_rows", wanted, refined, is_pending=receipt is None)


def changes(previous: Portfolio, portfolio: Portfolio) -> dict[str, Any]:
    """Return what *portfolio* has that the stored session before it had not, in terms of JSON."""
    before = {row.ticker: row for row in previous.holdings}
    after = {row.ticker: row for row in portfolio.holdings}
    both = [(before[ticker], after[ticker]) for ticker in sorted(before.keys() & after.keys())]
    first = previous.session_date + dt.timedelta(days=1)
    last = portfolio.session_date - dt.timedelta(days=1)
    moves = [(old, new) for old, new in both if new.participation_pct != old.participation_pct]
    moves.sort(key=lambda pair: (-abs(pair[1].participation_pct - pair[0].participation_pct), pair[1].ticker))
    return {
        "previous_session_date": previous.session_date.isoformat(),
        # Those in between were never stored, so what follows may be the change of several days.
        "sessions_missing_between": len(list(trading_days(first, last))) if first <= last else 0,
        "entries": [_member(after[ticker]) for ticker in sorted(after.keys() - before.keys())],
        "exits": [_member(before[ticker]) for ticker in sorted(before.keys() - after.keys())],
        "quantity_changes": [
            {
                "ticker": new.ticker,
                "before": old.theoretical_quantity,
                "after": new.theoretical_quantity,
                "change_pct": _change_pct(Decimal(old.theoretical_quantity), Decimal(new.theoretical_quantity), _PCT),
            }
            for old, new in both
            if old.theoretical_quantity != new.theoretical_quantity
        ],
        "corporate_events": [
            {"ticker": new.ticker, "before": old.corporate_event, "after": new.corporate_event}
            for old, new in both
            if old.corporate_event != new.corporate_event
        ],
        "reductor": {
            "before": str(previous.reductor),
            "after": str(portfolio.reductor),
            "change_pct": _change_pct(previous.reductor, portfolio.reductor, _PPM),
        },
        "participation_moves": [
            {
                "ticker": new.ticker,
                "before_pct": str(old.participation_pct),
                "after_pct": str(new.participation_pct),
                "change_pp": f"{new.participation_pct - old.participation_pct:+}",
            }
            for old, new in moves[:MAX_MOVES]
        ],
    }


def _arrival(evidence: Evidence) -> dict[str, Any]:
    portfolio, facts, raw = evidence.portfolio, evidence.facts, evidence.state.raw
    return {
        "source_uri": evidence.source_uri,
        "source_sha256": facts.get("source_sha256"),
        "source_bytes": None if evidence.source is None else len(evidence.source),
        "source_url": facts.get("source_url"),
        "raw_uri": None if raw is None else raw.uri,
        "way": facts.get("way"),
        "view": portfolio.view.value,
        "code_version": facts.get("code_version"),
        "rows": len(portfolio.holdings),
        "total_theoretical_quantity": portfolio.total_theoretical_quantity,
        "total_participation_pct": str(sum((row.participation_pct for row in portfolio.holdings), Decimal("0.000"))),
        "reductor": str(portfolio.reductor),
    }


def _timings(evidence: Evidence) -> dict[str, Any]:
    stored_at = None if evidence.state.raw is None else evidence.state.raw.stored_at
    received_at = _moment(evidence.facts.get("received_at"))
    run_started_at = None if evidence.run is None else evidence.run.started_at
    return {
        "received_at": _text(received_at),
        "stored_at": _text(stored_at),
        "run_started_at": _text(run_started_at),
        "refined_at": _text(evidence.refined_at),
        "storing_s": _seconds(received_at, stored_at),
        "waiting_s": _seconds(stored_at, run_started_at),
        "refining_s": _seconds(run_started_at, evidence.refined_at),
        "total_s": _seconds(received_at, evidence.refined_at),
    }


def _run(evidence: Evidence) -> dict[str, Any] | None:
    run = evidence.run
    if run is None:
        return None
    receipt = evidence.receipt or {}
    # The id is not the session's own where a later run refined it anew: one over everything, or over a neighbour.
    return {**run.as_json(), "correlation_id": receipt.get("correlation_id")}


def _member(row: Holding) -> dict[str, Any]:
    return {
        "ticker": row.ticker,
        "company": row.company,
        "share_class": row.share_class,
        "theoretical_quantity": row.theoretical_quantity,
        "participation_pct": str(row.participation_pct),
    }


def _size(portfolio: Portfolio) -> str:
    return f"the {len(portfolio.holdings)} rows of the raw object"


def _read_again(source: bytes | None, portfolio: Portfolio) -> str | None:
    """What the kept bytes give now: a raw object that nobody altered says just that."""
    if source is None:
        return None
    try:
        read = parse_csv(source, index_code=portfolio.index_code, session_date=portfolio.session_date)
    except InvalidPortfolio as error:
        return f"no portfolio: {error}"
    return _size(portfolio) if read.same_values_as(portfolio) else f"{len(read.holdings)} rows with other values"


def _refined(receipt: Mapping[str, Any]) -> str:
    names = ("holdings", "theoretical_quantity", "participation_pct")
    holdings, quantity, participation = (receipt.get(name) for name in names)
    return f"{holdings} rows, {quantity} shares, {participation} %"


def _change_pct(before: Decimal, after: Decimal, unit: Decimal) -> str | None:
    if before == 0:
        return None
    change = (100 * (after - before) / before).quantize(unit, ROUND_HALF_EVEN)
    return f"{change:+f}" if change else str(change.copy_abs())


def _moment(text: str | None) -> dt.datetime | None:
    try:
        found = None if text is None else dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else None


def _text(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _seconds(first: dt.datetime | None, last: dt.datetime | None) -> float | None:
    if first is None or last is None:
        return None
    # S3 and Glue may tell whole seconds, so that what came later can seem to have come before.
    return max(0.0, round((last - first).total_seconds(), 3))
