"""The work behind `GET /bovespaDay` and `flask ingest`: fetch, parse, try again, store. Knows no HTTP."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from api.attempts import Attempt, Course, Patience
from api.single_flight import SingleFlight
from bovespa.clock import require_plausible_session
from bovespa.correlation import correlation_id
from bovespa.errors import BovespaError, BrowserNotFound, InvalidPortfolio, SourceError
from bovespa.fetched import FetchedFile
from bovespa.portfolio import Portfolio
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance, StoredSession

log = logging.getLogger(__name__)

_FETCHES_AT_ONCE = 2
"""Each fetch is a browser of some hundred megabytes."""


Fetch = Callable[[str, float], FetchedFile]
"""One attempt to get the file of an index: its code, and the seconds within which it must be here."""


class Store(Protocol):
    """Where sessions are kept."""

    def store(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> StoredSession:
        """Keep the bytes and publish the portfolio, unless nothing in it is new."""

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        """Keep bytes that must not be published, and say where."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """One session that was fetched, proven and stored."""

    portfolio: Portfolio
    stored: StoredSession
    way: str
    """How the file was obtained."""
    attempts: int
    """How many it took."""

    def as_json(self) -> dict[str, str | int]:
        """What a caller is told, in terms of JSON."""
        return {
            "index": self.portfolio.index_code,
            "session_date": self.portfolio.session_date.isoformat(),
            "rows": len(self.portfolio.holdings),
            "status": self.stored.status.value,
            "raw_uri": self.stored.raw_uri,
            "source_uri": self.stored.source_uri,
            "source_sha256": self.stored.source_sha256,
            "total_theoretical_quantity": self.portfolio.total_theoretical_quantity,
            # Text: a JSON number would pass through binary floating point and lose digits.
            "reductor": str(self.portfolio.reductor),
            "way": self.way,
            "attempts": self.attempts,
        }


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


class Ingestion:
    """Brings the session that B3 offers now into the raw bucket."""

    def __init__(
        self,
        ways: Mapping[str, Fetch],
        store: Store,
        *,
        patience: Patience,
        clock_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = _wait,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Take what fetches and what stores.

        Args:
            ways: What gets a file, by its name; the preferred way first.
            store: Where sessions are kept.
            patience: How long and how often B3 is asked.
            clock_s: Seconds on a clock that nobody sets.
            pause: Waits for so many seconds.
            jitter: Draws a number between two.
        """
        self._ways = ways
        self._store = store
        self._patience = patience
        self._clock_s = clock_s
        self._pause = pause
        self._jitter = jitter
        self._flights: SingleFlight[str, Ingested] = SingleFlight()
        self._fetching = threading.BoundedSemaphore(_FETCHES_AT_ONCE)

    def run(self, index_code: str) -> Ingested:
        """Fetch the portfolio of an index and store it; simultaneous calls for one index share one fetch.

        What may pass is tried again, by every way there is (`api.attempts`).

        Raises:
            SourceError: B3 gave no usable file.
            InvalidPortfolio: B3 gave a file that must not be published. It is kept in quarantine.
            StorageUnavailable: The bucket did not answer or refused.
            BrowserNotFound: There is no browser to fetch with, and no other way led to the file.
        """
        return self._flights.run(index_code, lambda: self._ingest(index_code))

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the fetches under way, so that none leaves its browser behind."""
        return self._flights.wait_until_idle(timeout_s)

    def _ingest(self, index_code: str) -> Ingested:
        # Held through the pauses, too: when B3 is in trouble, the next index would only add to it.
        with self._fetching:
            proven = self._prove(index_code)
        stored = self._store.store(proven.portfolio, proven.content, proven.provenance)
        way, attempts = proven.provenance.way, proven.attempts
        facts = {"session": str(stored.session), "status": stored.status.value, "way": way, "attempts": attempts}
        log.info("ingested", extra=facts)
        return Ingested(proven.portfolio, stored, way, attempts)

    def _prove(self, index_code: str) -> _Proven:
        """Fetch until a file is proven or patience is at its end."""
        course = Course(tuple(self._ways), self._patience, jitter=self._jitter)
        quarantined: set[str] = set()
        started_s = self._clock_s()
        while (attempt := course.next(self._clock_s() - started_s)) is not None:
            if attempt.pause_s:
                self._pause(attempt.pause_s)
            try:
                return self._attempt(index_code, attempt, quarantined)
            except (SourceError, InvalidPortfolio, BrowserNotFound) as error:
                _log_failure(index_code, attempt, error)
                course.failed(error)
        raise course.error

    def _attempt(self, index_code: str, attempt: Attempt, quarantined: set[str]) -> _Proven:
        fetched = self._ways[attempt.way](index_code, attempt.timeout_s)
        provenance = Provenance(
            index_code,
            fetched.file_name,
            fetched.url,
            fetched.received_at,
            attempt.way,
            correlation_id=correlation_id(),
        )
        try:
            portfolio = parse_csv(
                fetched.content,
                index_code=index_code,
                session_date=fetched.session_date,
                file_name=fetched.file_name,
            )
            require_plausible_session(portfolio.session_date, fetched.b3_time or fetched.received_at)
        except InvalidPortfolio as error:
            digest = hashlib.sha256(fetched.content).hexdigest()
            if digest not in quarantined:
                self._store.quarantine(fetched.content, error, provenance)
                quarantined.add(digest)
            raise
        log.info("proven", extra={"index": index_code, "rows": len(portfolio.holdings), "way": attempt.way})
        return _Proven(portfolio, fetched.content, provenance, attempt.number)


@dataclass(frozen=True, slots=True)
class _Proven:
    """A file that may be published."""

    portfolio: Portfolio
    content: bytes
    provenance: Provenance
    attempts: int


def _log_failure(index_code: str, attempt: Attempt, error: BovespaError) -> None:
    facts = {"index": index_code, "attempt": attempt.number, "way": attempt.way, "code": error.code}
    log.warning("an attempt failed", extra={**facts, "reason": str(error)})
