"""Objects of the raw bucket, and the rules by which they change; the store of every dataset stands on them."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

from botocore.exceptions import ClientError

from bovespa.errors import InvalidFile, StorageUnavailable
from bovespa.imports import ImportManifest
from bovespa.layout import CORRELATION_ID_METADATA, IMPORT_ID_METADATA, quarantine_key
from bovespa.records import Provenance, StoreStatus
from s3_bucket_manager.aws import is_conflict, is_missing, is_under_way, storage_errors

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_UNDER_WAY_S = 1.0
"""Until an object that another writer is putting is tried again."""
_TICK_S = 1.0
"""S3 tells when an object came in whole seconds."""
_PARQUET_TYPE = "application/vnd.apache.parquet"
MEDIA_TYPES = {
    ".csv": "text/csv; charset=iso-8859-1",
    ".txt": "text/plain; charset=iso-8859-1",
    ".zip": "application/zip",
}
"""Of B3's files, by suffix."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an object without its body."""

    etag: str
    metadata: Mapping[str, str]
    modified_at: dt.datetime
    """By S3's clock, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Publication:
    """An object to publish, made only if it turns out to be needed.

    Each function may be called again when another writer was faster.
    """

    key: str
    source_key: str
    """Where the bytes are kept that it is made from."""
    sha256: str
    """Digest of those bytes."""
    keep_source: Callable[[], bool]
    """Puts those bytes, unless they are there; returns whether it did."""
    is_news: Callable[[bytes], bool]
    """Whether it must replace the object whose body is given."""
    body: Callable[[], bytes]
    facts: Mapping[str, str]
    """What becomes the object's metadata; `source_sha256` is among them."""
    correlation_id: str | None = None
    """Becomes metadata as well. It is not among the facts, because those are in the body, too."""
    trusts_metadata: bool = True
    """Whether an object whose metadata names the same bytes is taken for what these bytes give, unread."""
    renew_source: Callable[[], None] | None = None
    """Puts the bytes once more, where they become what is published and are not the last to have arrived."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did."""

    status: StoreStatus
    replaced: bool = False
    """Whether an object that says something else stood there before."""


_MAKER = ThreadPoolExecutor(1, thread_name_prefix="parquet")
"""The one thread that makes Parquet files: Arrow keeps megabytes for each that ever did, and a server has many."""


class RawObjects:
    """Reads and writes objects of the raw bucket.

    Two writers of one object cannot undo each other's decision: a write holds only if the object is still the one the
    decision was based on. Encryption and versions are the bucket's own doing.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def publish(self, wanted: Publication) -> Published:
        """Keep the source and put the object, unless one that was made of the same bytes or says the same is there.

        Raises:
            StorageUnavailable: The bucket did not answer or refused. The call may be repeated.
        """
        for _ in range(_ATTEMPTS):
            stored = self.head(wanted.key)
            is_same = stored is not None and stored.metadata.get("source-sha256") == wanted.sha256
            if is_same and wanted.trusts_metadata:
                return Published(StoreStatus.UNCHANGED)
            # Before the Parquet, so that no Parquet ever stands without the bytes it was made from.
            is_new = wanted.keep_source()
            body = None if stored is None else self._body_if_still(wanted.key, stored)
            if body is not None and not wanted.is_news(body):
                return Published(StoreStatus.UNCHANGED)
            if wanted.renew_source is not None:
                self._let_arrive_last(wanted.source_key, wanted.renew_source, stored, is_new=is_new)
            # Where the body was gone since, this does not hold either.
            made = _MAKER.submit(wanted.body).result()
            if self.put_if_still(wanted.key, made, wanted.facts, stored, wanted.correlation_id):
                return Published(StoreStatus.STORED, replaced=stored is not None)
            log.warning("another writer stored this meanwhile", extra={"key": wanted.key})
        raise StorageUnavailable(f"Other writers changed {self.uri(wanted.key)} {_ATTEMPTS} times. Try again later.")

    def quarantine(
        self,
        body: bytes | BinaryIO,
        error: InvalidFile,
        provenance: Provenance,
        *,
        sha256: str,
        size_bytes: int,
        suffix: str,
    ) -> str:
        """Keep a file that must not be published, beside the reason why.

        Returns:
            The URI of the kept bytes.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
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
            "correlation_id": followed_by(provenance),
            "sha256": sha256,
            "size_bytes": size_bytes,
        }
        key = quarantine_key(provenance.received_at, sha256, suffix)
        self.put(key, body, MEDIA_TYPES[suffix].partition(";")[0])
        self.put(
            quarantine_key(provenance.received_at, sha256, ".json"),
            json.dumps(reason, ensure_ascii=False, indent=2).encode(),
            "application/json",
        )
        log.warning("quarantined a file", extra={"key": key, "reason": str(error)})
        return self.uri(key)

    def announce(self, manifest: ImportManifest) -> str:
        """Put the manifest of an import, whose arrival starts the import's one Glue run; return its URI.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        key = manifest.made_by.key
        self.put(key, manifest.to_json(), "application/json")
        brought = {"sessions": len(manifest.sessions), "trading_days": len(manifest.trading_days)}
        log.info("announced an import", extra={"key": key, **brought})
        return self.uri(key)

    def head(self, key: str) -> Head | None:
        """Return what is known of an object, None if there is none.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        with storage_errors(f"reading {self.uri(key)}"):
            try:
                found = self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return Head(found["ETag"], found["Metadata"], found["LastModified"])

    def put_once(self, key: str, body: bytes | BinaryIO, suffix: str) -> bool:
        """Put a file of B3 whose key has its digest: what stands there already is the same.

        Returns:
            Whether it had to be put.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        pause = threading.Event()
        for attempt in range(_ATTEMPTS):
            if attempt:
                # The other writer may have failed since.
                pause.wait(_UNDER_WAY_S)
                if not isinstance(body, bytes):
                    body.seek(0)
            with storage_errors(f"writing {self.uri(key)}"):
                try:
                    self._s3.put_object(
                        Bucket=self._bucket, Key=key, Body=body, ContentType=MEDIA_TYPES[suffix], IfNoneMatch="*"
                    )
                except ClientError as error:
                    if is_under_way(error):
                        continue
                    if not is_conflict(error):
                        raise
                    return False
            return True
        raise StorageUnavailable(f"Another writer was putting {self.uri(key)} {_ATTEMPTS} times. Try again later.")

    def put_if_still(
        self, key: str, body: bytes, facts: Mapping[str, str], stored: Head | None, correlation_id: str | None
    ) -> bool:
        """Put a Parquet object if what is there is still *stored*; return whether it was.

        Where the answer of S3 is lost, the client asks again, and is refused because of the object that it has put.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        condition = {"IfNoneMatch": "*"} if stored is None else {"IfMatch": stored.etag}
        metadata = {name.replace("_", "-"): value for name, value in facts.items()}
        if correlation_id is not None:
            metadata[CORRELATION_ID_METADATA] = correlation_id
        with storage_errors(f"writing {self.uri(key)}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=_PARQUET_TYPE,
                    Metadata=metadata,
                    **condition,
                )
            except ClientError as error:
                # With If-Match, S3 answers NoSuchKey when the object is gone altogether.
                if not is_conflict(error) and (stored is None or not is_missing(error)):
                    raise
            else:
                return True
        found = self.head(key)
        return found is not None and found.metadata == metadata and (stored is None or found.etag != stored.etag)

    def put(self, key: str, body: bytes | BinaryIO, media_type: str) -> None:
        """Put an object, whatever is there.

        Raises:
            StorageUnavailable: The bucket did not answer or refused.
        """
        with storage_errors(f"writing {self.uri(key)}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=media_type)

    def uri(self, key: str) -> str:
        """Return the address of an object."""
        return f"s3://{self._bucket}/{key}"

    def _let_arrive_last(
        self, source_key: str, renew: Callable[[], None], stored: Head | None, *, is_new: bool
    ) -> None:
        """Put a source once more unless it came after the object that is to be replaced: the later one holds for ever.

        Of two that came in one second nobody can tell which was the later one.
        """
        if not is_new:
            renew()
        if stored is None:
            return
        pause = threading.Event()
        for _ in range(_ATTEMPTS):
            source = self.head(source_key)
            if source is not None and source.modified_at > stored.modified_at:
                return
            pause.wait(_TICK_S)
            renew()

    def _body_if_still(self, key: str, stored: Head) -> bytes | None:
        """The content of an object that is still *stored*, None if another writer was there since."""
        with storage_errors(f"reading {self.uri(key)}"):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=key, IfMatch=stored.etag)
            except ClientError as error:
                if is_conflict(error) or is_missing(error):
                    return None
                raise
            content: bytes = answer["Body"].read()
        return content


def followed_by(provenance: Provenance) -> str | None:
    """Return the correlation id of what *provenance* is of: an import's is its own id."""
    return provenance.correlation_id or provenance.import_id


def provenance_facts(sha256: str, source_key: str, provenance: Provenance) -> dict[str, str]:
    """What stands in the Parquet's metadata and in the object's, which S3 limits to ASCII."""
    facts = {
        "source_sha256": sha256,
        "source_key": source_key,
        "source_url": quote(provenance.url, safe=":/?#[]@!$&'()*+,;=%~"),
        "received_at": provenance.received_at.isoformat(),
        "way": quote(provenance.way, safe=" /:,;=()+"),
        "code_version": provenance.code_version,
    }
    if provenance.import_id is not None:
        facts[IMPORT_ID_METADATA.replace("-", "_")] = provenance.import_id
    return facts
