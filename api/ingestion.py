"""The work behind `GET /bovespaDay` and `flask ingest`: fetch, parse, store. Knows no HTTP."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from api.single_flight import SingleFlight
from bovespa.correlation import correlation_id
from bovespa.errors import InvalidPortfolio
from bovespa.portfolio import Portfolio
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance, StoredSession

log = logging.getLogger(__name__)

_FETCHES_AT_ONCE = 2
"""Each fetch is a browser of some hundred megabytes."""


class FetchedFile(Protocol):
    """What the scraper brings: the file, and what the page said of it."""

    @property
    def content(self) -> bytes:
        """The bytes as downloaded."""

    @property
    def file_name(self) -> str:
        """The name that B3 gave the file."""

    @property
    def url(self) -> str:
        """Where it was downloaded from."""

    @property
    def session_date(self) -> dt.date:
        """The session that the page showed."""

    @property
    def received_at(self) -> dt.datetime:
        """When the download had finished, aware."""

    @property
    def way(self) -> str:
        """How the scraper obtained it."""


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
        }


class Ingestion:
    """Brings the session that B3 offers now into the raw bucket."""

    def __init__(self, fetch: Callable[[str], FetchedFile], store: Store) -> None:
        self._fetch = fetch
        self._store = store
        self._flights: SingleFlight[str, Ingested] = SingleFlight()
        self._fetching = threading.BoundedSemaphore(_FETCHES_AT_ONCE)

    def run(self, index_code: str) -> Ingested:
        """Fetch the portfolio of an index and store it; simultaneous calls for one index share one fetch.

        Raises:
            SourceError: B3 gave no usable file.
            InvalidPortfolio: B3 gave a file that must not be published. It is kept in quarantine.
            StorageUnavailable: The bucket did not answer or refused.
            BrowserNotFound: There is no browser to fetch with.
        """
        return self._flights.run(index_code, lambda: self._ingest(index_code))

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the fetches under way, so that none leaves its browser behind."""
        return self._flights.wait_until_idle(timeout_s)

    def _ingest(self, index_code: str) -> Ingested:
        with self._fetching:
            fetched = self._fetch(index_code)
        provenance = Provenance(
            index_code,
            fetched.file_name,
            fetched.url,
            fetched.received_at,
            fetched.way,
            correlation_id=correlation_id(),
        )
        try:
            portfolio = parse_csv(
                fetched.content,
                index_code=index_code,
                session_date=fetched.session_date,
                file_name=fetched.file_name,
            )
        except InvalidPortfolio as error:
            self._store.quarantine(fetched.content, error, provenance)
            raise
        stored = self._store.store(portfolio, fetched.content, provenance)
        log.info("ingested", extra={"session": str(stored.session), "status": stored.status.value, "way": fetched.way})
        return Ingested(portfolio, stored)
