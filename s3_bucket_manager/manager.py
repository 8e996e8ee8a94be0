"""The raw store of portfolios: B3's bytes first, then the Parquet made from them; the same bytes change nothing."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from bovespa.errors import InvalidPortfolio, StorageUnavailable
from bovespa.imports import ImportManifest
from bovespa.layout import Session
from bovespa.portfolio import Portfolio, View
from bovespa.records import Provenance, StoredSession, StoreStatus
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.raw_objects import MEDIA_TYPES, Publication, RawObjects, followed_by, provenance_facts
from s3_bucket_manager.raw_parquet import portfolio_table, read_portfolio

log = logging.getLogger(__name__)

_SUFFIX = ".csv"


class RawStore:
    """Writes sessions to the raw bucket, by the rules of `RawObjects`."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._objects = RawObjects(s3, bucket)

    def store(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> StoredSession:
        """Keep *content* and publish *portfolio*, unless the session is stored with the same values already.

        Args:
            portfolio: What *content* says.
            content: The bytes that B3 sent.
            provenance: Where they came from.

        Raises:
            StorageUnavailable: The bucket did not answer or refused. The call may be repeated.
        """
        session = Session(portfolio.index_code, portfolio.session_date)
        digest = hashlib.sha256(content).hexdigest()
        source_key = session.source_key(digest)
        facts = _facts(portfolio, digest, source_key, provenance)
        published = self._objects.publish(
            Publication(
                session.raw_key,
                source_key,
                digest,
                keep_source=lambda: self._objects.put_once(source_key, content, _SUFFIX),
                is_news=lambda stored: _replaces(portfolio, session, stored),
                body=lambda: to_parquet_bytes(portfolio_table(portfolio, facts)),
                facts=facts,
                correlation_id=followed_by(provenance),
                # Where B3 goes back to what it said before, whoever sorts its files by arrival shall see that.
                renew_source=lambda: self._objects.put(source_key, content, MEDIA_TYPES[_SUFFIX]),
            )
        )
        if published.status is StoreStatus.STORED:
            log.info("stored session", extra={"key": session.raw_key, "rows": len(portfolio.holdings)})
        return StoredSession(
            session,
            published.status,
            self._objects.uri(session.raw_key),
            self._objects.uri(source_key),
            digest,
            replaced=published.replaced,
        )

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        """Keep *content*, which must not be published, beside the reason why.

        Returns:
            The URI of the kept bytes.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        digest = hashlib.sha256(content).hexdigest()
        return self._objects.quarantine(
            content, error, provenance, sha256=digest, size_bytes=len(content), suffix=_SUFFIX
        )

    def rebuild(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> None:
        """Make the session's Parquet anew from *content*, whose bytes are kept already, whatever stands there now.

        Raises:
            StorageUnavailable: The bucket did not answer or refused, or another writer was there meanwhile.
        """
        session = Session(portfolio.index_code, portfolio.session_date)
        stored = self._objects.head(session.raw_key)
        digest = hashlib.sha256(content).hexdigest()
        facts = _facts(portfolio, digest, session.source_key(digest), provenance)
        body = to_parquet_bytes(portfolio_table(portfolio, facts))
        if not self._objects.put_if_still(session.raw_key, body, facts, stored, followed_by(provenance)):
            raise StorageUnavailable(
                f"Another writer changed {self._objects.uri(session.raw_key)} meanwhile. Run the doctor again."
            )
        log.info("rebuilt session", extra={"key": session.raw_key, "rows": len(portfolio.holdings)})

    def announce(self, manifest: ImportManifest) -> str:
        """Put the manifest of an import, whose arrival starts the import's one Glue run; return its URI.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        return self._objects.announce(manifest)


def is_news(portfolio: Portfolio, stored: Portfolio) -> bool:
    """Whether *portfolio* must replace the *stored* one of the same session.

    Other numbers always do. With the same numbers only sectors can be news, and a code view, which has none, never is.
    """
    if not portfolio.same_values_as(stored):
        return True
    return portfolio.view is View.SECTOR and _sectors(portfolio) != _sectors(stored)


def _replaces(portfolio: Portfolio, session: Session, stored: bytes) -> bool:
    try:
        return is_news(portfolio, read_portfolio(stored, session))
    except InvalidPortfolio as error:
        log.warning("replacing an object that is no raw portfolio", extra={"key": session.raw_key, "why": str(error)})
        return True


def _sectors(portfolio: Portfolio) -> dict[str, str | None]:
    return {holding.ticker: holding.sector_label for holding in portfolio.holdings}


def _facts(portfolio: Portfolio, digest: str, source_key: str, provenance: Provenance) -> dict[str, str]:
    facts = provenance_facts(digest, source_key, provenance)
    return {**facts, "view": portfolio.view.value, "rows": str(len(portfolio.holdings))}
