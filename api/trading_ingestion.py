"""The work behind `GET /tradingDay` and `flask ingest-trading-day`: fetch, parse, store. Knows no HTTP."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from api.single_flight import SingleFlight
from api.trading_files import read_day
from bovespa.calendar import FIRST_YEAR, is_trading_day
from bovespa.clock import date_in_sao_paulo, last_finished_session
from bovespa.correlation import correlation_id
from bovespa.errors import (
    BovespaError,
    DayNotOver,
    InvalidTradingDay,
    NotATradingDay,
    SourceTimeout,
    SourceUnavailable,
    StorageUnavailable,
)
from bovespa.fetched import FetchedTradingDay
from bovespa.imports import ImportManifest
from bovespa.layout import Import, TradingDay
from bovespa.records import Provenance, StoredTradingDay, StoreStatus
from bovespa.source_files import SourceFile
from bovespa.trading_day import Quote

log = logging.getLogger(__name__)

_WAY = "https"
_FETCHES_AT_ONCE = 4
"""Each holds a ZIP and the quotes of a day, some megabytes."""
_FAILURES_IN_A_ROW = 3
"""After so many days that B3 did not answer for, the others are not asked for."""


class TradingDayStore(Protocol):
    """Where trading days are kept."""

    def store(
        self,
        day: TradingDay,
        quotes: list[Quote],
        source: SourceFile,
        provenance: Provenance,
        *,
        year: int | None = None,
    ) -> StoredTradingDay:
        """Keep the file and publish the day, unless nothing in it is new."""

    def quarantine(self, source: SourceFile, error: InvalidTradingDay, provenance: Provenance) -> str:
        """Keep a file that must not be published, and say where."""

    def announce(self, manifest: ImportManifest) -> str:
        """Start one Glue run for many days, and say where its manifest is."""


@dataclass(frozen=True, slots=True)
class IngestedTradingDay:
    """One trading day that was fetched, proven and stored."""

    stored: StoredTradingDay
    records: int
    """Of B3's file, header and trailer included."""
    rows: int
    """Tickers of the cash market."""
    trades: int
    volume_brl: Decimal

    def as_json(self) -> dict[str, str | int]:
        """What a caller is told, in terms of JSON."""
        return {
            "session_date": self.stored.session.session_date.isoformat(),
            "records": self.records,
            "rows": self.rows,
            "status": self.stored.status.value,
            "raw_uri": self.stored.raw_uri,
            "source_uri": self.stored.source_uri,
            "source_sha256": self.stored.source_sha256,
            "trades": self.trades,
            # Text: a JSON number would pass through binary floating point and lose digits.
            "volume_brl": str(self.volume_brl),
        }


class TradingDayIngestion:
    """Brings trading days from B3 into the raw bucket.

    Args:
        fetch: Downloads the record of one day.
        store: Where days are kept.
        clock: Tells the present, aware.
    """

    def __init__(
        self,
        fetch: Callable[[dt.date], FetchedTradingDay],
        store: TradingDayStore,
        *,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._clock = clock
        self._flights: SingleFlight[dt.date, IngestedTradingDay] = SingleFlight()
        self._fetching = threading.BoundedSemaphore(_FETCHES_AT_ONCE)

    def run(self, session_date: dt.date | None = None, *, import_id: str | None = None) -> IngestedTradingDay:
        """Fetch one trading day and store it; simultaneous calls for one day share one fetch.

        Args:
            session_date: The day; None for the last finished session.
            import_id: The import that it belongs to, whose manifest will start the Glue run; None for a run of its own.

        Raises:
            NotATradingDay: B3's calendar has no session on the day.
            DayNotOver: The day lies ahead.
            SourceError: B3 gave no usable file.
            InvalidTradingDay: B3 gave a file that must not be published. It is kept in quarantine.
            StorageUnavailable: The bucket did not answer or refused.
        """
        day = session_date or last_finished_session(self._clock())
        self._refuse(day)
        return self._flights.run(day, lambda: self._ingest(TradingDay(day), import_id))

    def run_many(
        self, days: Iterable[dt.date], made_by: Import
    ) -> Iterator[tuple[dt.date, IngestedTradingDay | BovespaError]]:
        """Fetch days one after the other and yield what became of each; one Glue run refines all that were stored.

        A day that fails does not keep the others from being stored. When the bucket fails, or B3 does not answer for
        three days in a row, the rest is not tried.

        Raises:
            StorageUnavailable: The days are stored, but the run could not be asked for.
        """
        put: list[TradingDay] = []
        silent = 0
        try:
            for day in days:
                try:
                    ingested = self.run(day, import_id=made_by.import_id)
                except BovespaError as error:
                    yield day, error
                    silent = silent + 1 if isinstance(error, SourceUnavailable | SourceTimeout) else 0
                    if isinstance(error, StorageUnavailable):
                        # It may be stored all the same, and then nobody else starts a run over it.
                        put.append(TradingDay(day))
                        return
                    if silent == _FAILURES_IN_A_ROW:
                        return
                    continue
                silent = 0
                if ingested.stored.status is StoreStatus.STORED:
                    put.append(ingested.stored.session)
                yield day, ingested
        finally:
            # Also when the caller stops in between: what is stored shall not wait for somebody to notice.
            if put:
                self._store.announce(ImportManifest(made_by, (), self._clock(), trading_days=tuple(sorted(put))))

    def bring(self, days: Iterable[dt.date], made_by: Import, report: Callable[[str], None]) -> list[str]:
        """Do what `run_many` does, tell of each day in words, and return what went wrong."""
        problems = []
        try:
            for day, outcome in self.run_many(days, made_by):
                if isinstance(outcome, BovespaError):
                    problems.append(f"{TradingDay(day)}: {outcome}")
                else:
                    report(f"{TradingDay(day)}: {outcome.stored.status}, {outcome.rows} tickers")
        except StorageUnavailable as error:
            problems.append(str(error))
        return problems

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the fetches under way."""
        return self._flights.wait_until_idle(timeout_s)

    def _refuse(self, day: dt.date) -> None:
        today = date_in_sao_paulo(self._clock())
        if day.year < FIRST_YEAR:
            raise NotATradingDay(f"B3's calendar is known from {FIRST_YEAR} on, and {day} is before that.")
        if not is_trading_day(day):
            raise NotATradingDay(f"B3 does not trade on {day}, a {day:%A}. Ask for a day on which it does.")
        if day > today:
            raise DayNotOver(
                f"{day} lies ahead: in São Paulo it is {today}, and B3 writes the record of a day in its evening."
            )

    def _ingest(self, day: TradingDay, import_id: str | None) -> IngestedTradingDay:
        with self._fetching:
            fetched = self._fetch(day.session_date)
            source = SourceFile.of_bytes(fetched.content)
            provenance = Provenance(
                "",
                fetched.file_name,
                fetched.url,
                fetched.received_at,
                _WAY,
                import_id=import_id,
                # An import's own id, so that the days of one have one.
                correlation_id=import_id or correlation_id(),
            )
            try:
                quotes, records = read_day(source, day.session_date)
            except InvalidTradingDay as error:
                self._store.quarantine(source, error, provenance)
                raise
            stored = self._store.store(day, quotes, source, provenance)
        log.info("ingested", extra={"session": str(day), "status": stored.status.value, "way": _WAY})
        return IngestedTradingDay(
            stored,
            records,
            len(quotes),
            sum(quote.trades for quote in quotes),
            sum((quote.volume_brl for quote in quotes), Decimal(0)),
        )
