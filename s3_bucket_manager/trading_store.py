"""The raw store of trading days: B3's bytes first, then the Parquet made from them; the same values change nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from bovespa.errors import InvalidTradingDay
from bovespa.imports import ImportManifest
from bovespa.layout import TradingDay, trading_year_source_key
from bovespa.records import Provenance, StoredTradingDay, StoreStatus
from bovespa.source_files import SourceFile
from bovespa.trading_day import Quote
from s3_bucket_manager.raw_objects import MEDIA_TYPES, Publication, RawObjects, followed_by, provenance_facts
from s3_bucket_manager.trading_parquet import read_trading_day, read_trading_facts, trading_bytes

log = logging.getLogger(__name__)


class TradingStore:
    """Writes trading days to the raw bucket, by the rules of `RawObjects`."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._objects = RawObjects(s3, bucket)

    def store(
        self,
        day: TradingDay,
        quotes: Sequence[Quote],
        source: SourceFile,
        provenance: Provenance,
        *,
        year: int | None = None,
    ) -> StoredTradingDay:
        """Keep the file and publish the day, unless it is stored with the same values already.

        Other values always replace what is stored; the bucket keeps the version before. What is stored is read, so that
        a damaged object, or a lost file, is mended by giving the same file again.

        Args:
            day: Which.
            quotes: What the file says of it; one cash-market quote a ticker.
            source: The file.
            provenance: Where it came from.
            year: For a file of many days: their year, under which it is kept once.

        Raises:
            StorageUnavailable: The bucket did not answer or refused. The call may be repeated.
        """
        key = day.source_key(source.sha256, source.suffix)
        if year is not None:
            key = trading_year_source_key(year, source.sha256, source.suffix)
        facts = {**provenance_facts(source.sha256, key, provenance), "rows": str(len(quotes))}
        published = self._objects.publish(
            Publication(
                day.raw_key,
                key,
                source.sha256,
                keep_source=lambda: self._keep(key, source),
                is_news=lambda stored: _replaces(quotes, day, stored),
                body=lambda: trading_bytes(quotes, facts),
                facts=facts,
                correlation_id=followed_by(provenance),
                trusts_metadata=False,
                # Not the file of a year, which is large and which B3 gives at any time.
                renew_source=(lambda: self._put(key, source)) if year is None else None,
            )
        )
        if published.status is StoreStatus.STORED:
            log.info("stored trading day", extra={"key": day.raw_key, "rows": len(quotes)})
        return StoredTradingDay(
            day,
            published.status,
            self._objects.uri(day.raw_key),
            self._objects.uri(key),
            source.sha256,
            replaced=published.replaced,
        )

    def quarantine(self, source: SourceFile, error: InvalidTradingDay, provenance: Provenance) -> str:
        """Keep a file that must not be published, beside the reason why.

        Returns:
            The URI of the kept bytes.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        with source.open() as body:
            return self._objects.quarantine(
                body, error, provenance, sha256=source.sha256, size_bytes=source.size_bytes, suffix=source.suffix
            )

    def announce(self, manifest: ImportManifest) -> str:
        """Put the manifest of an import, whose arrival starts the import's one Glue run; return its URI.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        return self._objects.announce(manifest)

    def _keep(self, key: str, source: SourceFile) -> bool:
        # Looked for first: a year of records is not sent only to be told that it is there.
        if self._objects.head(key) is not None:
            return False
        with source.open() as body:
            return self._objects.put_once(key, body, source.suffix)

    def _put(self, key: str, source: SourceFile) -> None:
        with source.open() as body:
            self._objects.put(key, body, MEDIA_TYPES[source.suffix])


def _replaces(quotes: Sequence[Quote], day: TradingDay, stored: bytes) -> bool:
    try:
        is_known = "source_sha256" in read_trading_facts(stored)
        return not is_known or sorted(quotes, key=lambda quote: quote.ticker) != list(read_trading_day(stored, day))
    except InvalidTradingDay as error:
        log.warning("replacing an object that is no raw trading day", extra={"key": day.raw_key, "why": str(error)})
        return True
