"""The work behind `flask import-cotahist`: daily and yearly files to the raw bucket, and one Glue run for all."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from api.importing import WAY, ImportLog, ImportReport, Refused, batches
from api.trading_files import DaySpool, parse_file_name
from api.trading_ingestion import TradingDayStore
from bovespa.correlation import follow
from bovespa.errors import InvalidTradingDay, StorageUnavailable, UnreadableTradingDay
from bovespa.layout import Import, TradingDay
from bovespa.records import Provenance
from bovespa.source_files import SourceFile

SUFFIXES = (".txt", ".zip")
MAX_BYTES = 4 << 30
"""Of one file; the bucket takes 5 GiB in one piece, and a year of B3's is a fraction of it."""
_DAYS_AT_ONCE = 4
"""Days in memory; what bounds the import of a year. Their requests are waited for together."""


class TradingImporter:
    """Brings records of trading days into the raw bucket."""

    def __init__(self, store: TradingDayStore, *, clock: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._clock = clock

    def run(
        self, files: Sequence[Path], made_by: Import, *, advance: Callable[[int], None] = lambda _bytes: None
    ) -> ImportReport:
        """Import *files*, then announce what they brought, so that one Glue run refines it.

        A file is published whole or not at all; of two that differ on a day, the later one holds. A file that is
        refused does not keep the others from being stored. When the bucket fails, the import ends; what was stored
        until then is announced.

        Args:
            files: What to import: one day or many in each, as a text or a ZIP.
            made_by: The import's id, as no other import has it.
            advance: Told how many bytes more are done.
        """
        imported = ImportLog(made_by, len(files))

        def work() -> None:
            with ThreadPoolExecutor(_DAYS_AT_ONCE, initializer=follow, initargs=(made_by.import_id,)) as writers:
                for path in files:
                    self._import(path, imported, writers, advance)

        return imported.run(work, self._store.announce, self._clock)

    def _import(
        self, path: Path, imported: ImportLog, writers: ThreadPoolExecutor, advance: Callable[[int], None]
    ) -> None:
        try:
            if path.stat().st_size > MAX_BYTES:
                reason = f"the file is larger than {MAX_BYTES >> 30} GiB, which no year of B3 is"
                imported.refused.append(Refused(path, UnreadableTradingDay.code, reason, None))
                return
            source = SourceFile.of_path(path)
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror}"
            imported.refused.append(Refused(path, UnreadableTradingDay.code, reason, None))
            return
        provenance = Provenance(
            index_code="",
            file_name=path.name,
            # The folder is the operator's own business.
            url=f"file:{quote(path.name)}",
            received_at=self._clock(),
            way=WAY,
            import_id=imported.made_by.import_id,
        )
        with tempfile.TemporaryDirectory(prefix="cotahist-") as folder:
            spool = DaySpool(Path(folder))
            told: list[int] = []

            def tell(more: int) -> None:
                told.append(more)
                advance(more)

            try:
                spool.fill(source, parse_file_name(path.name), tell)
            except InvalidTradingDay as error:
                kept = self._store.quarantine(source, error, provenance)
                imported.refused.append(Refused(path, error.code, str(error), kept))
                advance(source.size_bytes - sum(told))
                return
            self._store_days(spool, source, provenance, imported, writers)

    def _store_days(
        self,
        spool: DaySpool,
        source: SourceFile,
        provenance: Provenance,
        imported: ImportLog,
        writers: ThreadPoolExecutor,
    ) -> None:
        def store(day: dt.date) -> None:
            quotes = list(spool.quotes(day))
            # Noted by who stores it: whoever waits for that may be told to stop, and what was stored is announced.
            try:
                imported.trading_days.append(
                    self._store.store(TradingDay(day), quotes, source, provenance, year=spool.year)
                )
            except StorageUnavailable:
                imported.in_doubt.append(TradingDay(day))
                raise

        first, *others = spool.days
        # Alone, because it is the one that keeps the file.
        store(first)
        for batch in batches(others, _DAYS_AT_ONCE):
            futures = [writers.submit(store, day) for day in batch]
            failures = [error for future in futures if (error := future.exception()) is not None]
            if failures:
                raise failures[0]
