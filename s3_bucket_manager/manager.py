"""The raw store: B3's bytes first, then the Parquet made from them; the same bytes again change nothing."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from bovespa.errors import InvalidPortfolio, StorageUnavailable
from bovespa.imports import ImportManifest
from bovespa.layout import IMPORT_ID_METADATA, Session, quarantine_key
from bovespa.portfolio import Portfolio, View
from bovespa.records import Provenance, StoredSession, StoreStatus
from s3_bucket_manager.aws import is_conflict, is_missing, storage_errors
from s3_bucket_manager.raw_parquet import portfolio_table, read_portfolio, to_parquet_bytes

log = logging.getLogger(__name__)

_ATTEMPTS = 3


class RawStore:
    """Writes sessions to the raw bucket.

    Two writers of one session cannot undo each other's decision: a write holds only if the object is still the one the
    decision was based on. Encryption and versions are the bucket's own doing.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

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

        def answer(status: StoreStatus) -> StoredSession:
            return StoredSession(session, status, self._uri(session.raw_key), self._uri(source_key), digest)

        for _ in range(_ATTEMPTS):
            stored = self._head(session.raw_key)
            if stored is not None and stored.metadata.get("source-sha256") == digest:
                return answer(StoreStatus.UNCHANGED)
            # Before the Parquet, so that no Parquet ever stands without the bytes it was made from.
            self._put_once(source_key, content)
            if stored is not None and not self._is_news(portfolio, session, stored):
                return answer(StoreStatus.UNCHANGED)
            facts = _facts(portfolio, digest, source_key, provenance)
            body = to_parquet_bytes(portfolio_table(portfolio, facts))
            if self._put_if_still(session.raw_key, body, facts, stored):
                log.info("stored session", extra={"key": session.raw_key, "rows": len(portfolio.holdings)})
                return answer(StoreStatus.STORED)
            log.warning("another writer stored this session meanwhile", extra={"key": session.raw_key})
        raise StorageUnavailable(
            f"Other writers changed {self._uri(session.raw_key)} {_ATTEMPTS} times. Try again later."
        )

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        """Keep *content*, which must not be published, beside the reason why.

        Returns:
            The URI of the kept bytes.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        digest = hashlib.sha256(content).hexdigest()
        reason = {
            "code": error.code,
            "reason": error.reason,
            "line": error.line,
            "index_code": provenance.index_code,
            "file_name": provenance.file_name,
            "url": provenance.url,
            "way": provenance.way,
            "received_at": provenance.received_at.isoformat(),
            "code_version": provenance.code_version,
            "sha256": digest,
            "size_bytes": len(content),
        }
        key = quarantine_key(provenance.received_at, digest, ".csv")
        self._put(key, content, ContentType="text/csv")
        self._put(
            quarantine_key(provenance.received_at, digest, ".json"),
            json.dumps(reason, ensure_ascii=False, indent=2).encode(),
            ContentType="application/json",
        )
        log.warning("quarantined a file", extra={"key": key, "reason": str(error)})
        return self._uri(key)

    def rebuild(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> None:
        """Make the session's Parquet anew from *content*, whose bytes are kept already, whatever stands there now.

        Raises:
            StorageUnavailable: The bucket did not answer or refused, or another writer was there meanwhile.
        """
        session = Session(portfolio.index_code, portfolio.session_date)
        stored = self._head(session.raw_key)
        digest = hashlib.sha256(content).hexdigest()
        facts = _facts(portfolio, digest, session.source_key(digest), provenance)
        if not self._put_if_still(session.raw_key, to_parquet_bytes(portfolio_table(portfolio, facts)), facts, stored):
            raise StorageUnavailable(f"Another writer changed {self._uri(session.raw_key)} meanwhile. Look again.")
        log.info("rebuilt session", extra={"key": session.raw_key, "rows": len(portfolio.holdings)})

    def announce(self, manifest: ImportManifest) -> str:
        """Put the manifest of an import, whose arrival starts the import's one Glue run; return its URI.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        key = manifest.made_by.key
        self._put(key, manifest.to_json(), ContentType="application/json")
        log.info("announced an import", extra={"key": key, "sessions": len(manifest.sessions)})
        return self._uri(key)

    def _is_news(self, portfolio: Portfolio, session: Session, stored: _Head) -> bool:
        with storage_errors(f"reading {self._uri(session.raw_key)}"):
            content = self._s3.get_object(Bucket=self._bucket, Key=session.raw_key, IfMatch=stored.etag)["Body"].read()
        try:
            return is_news(portfolio, read_portfolio(content, session))
        except InvalidPortfolio as error:
            log.warning(
                "replacing an object that is no raw portfolio", extra={"key": session.raw_key, "why": str(error)}
            )
            return True

    def _head(self, key: str) -> _Head | None:
        with storage_errors(f"reading {self._uri(key)}"):
            try:
                found = self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return _Head(found["ETag"], found["Metadata"])

    def _put_once(self, key: str, body: bytes) -> None:
        """The key is the digest of the body: what stands there already is the same."""
        with storage_errors(f"writing {self._uri(key)}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=body, ContentType="text/csv; charset=iso-8859-1", IfNoneMatch="*"
                )
            except ClientError as error:
                if not is_conflict(error):
                    raise

    def _put_if_still(self, key: str, body: bytes, facts: Mapping[str, str], stored: _Head | None) -> bool:
        condition = {"IfNoneMatch": "*"} if stored is None else {"IfMatch": stored.etag}
        with storage_errors(f"writing {self._uri(key)}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/vnd.apache.parquet",
                    Metadata={name.replace("_", "-"): value for name, value in facts.items()},
                    **condition,
                )
            except ClientError as error:
                # With If-Match, S3 answers NoSuchKey when the object is gone altogether.
                if is_conflict(error) or (stored is not None and is_missing(error)):
                    return False
                raise
        return True

    def _put(self, key: str, body: bytes, **arguments: str) -> None:
        with storage_errors(f"writing {self._uri(key)}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, **arguments)

    def _uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


@dataclass(frozen=True, slots=True)
class _Head:
    etag: str
    metadata: Mapping[str, str]


def is_news(portfolio: Portfolio, stored: Portfolio) -> bool:
    """Whether *portfolio* must replace the *stored* one of the same session.

    Other numbers always do. With the same numbers only sectors can be news, and a code view, which has none, never is.
    """
    if not portfolio.same_values_as(stored):
        return True
    return portfolio.view is View.SECTOR and _sectors(portfolio) != _sectors(stored)


def _sectors(portfolio: Portfolio) -> dict[str, str | None]:
    return {holding.ticker: holding.sector_label for holding in portfolio.holdings}


def _facts(portfolio: Portfolio, digest: str, source_key: str, provenance: Provenance) -> dict[str, str]:
    """What stands in the Parquet's metadata and in the object's, which S3 limits to ASCII."""
    facts = {
        "source_sha256": digest,
        "source_key": source_key,
        "source_url": quote(provenance.url, safe=":/?#[]@!$&'()*+,;=%~"),
        "view": portfolio.view.value,
        "received_at": provenance.received_at.isoformat(),
        "way": quote(provenance.way, safe=" /:,;=()+"),
        "code_version": provenance.code_version,
        "rows": str(len(portfolio.holdings)),
    }
    if provenance.import_id is not None:
        facts[IMPORT_ID_METADATA.replace("-", "_")] = provenance.import_id
    return facts
