"""Objects of a bucket as the doctor reads them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from s3_bucket_manager.aws import is_missing, storage_errors

_READERS = 10
"""As many as the client has connections."""

PORTFOLIO_SUFFIXES = (".csv",)
TRADING_SUFFIXES = (".zip", ".txt")
"""What a refused file of each dataset ends with."""


def read_bodies(s3: Any, bucket: str, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and contents of objects, in the order of *keys*; those that are gone by now are left out.

    Raises:
        StorageUnavailable: S3 did not answer or refused.
    """

    def body(key: str) -> tuple[str, bytes | None]:
        with storage_errors(f"reading s3://{bucket}/{key}"):
            try:
                return key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError as error:
                if is_missing(error):
                    return key, None
                raise

    rest = iter(keys)
    with ThreadPoolExecutor(_READERS) as readers:
        # A part at a time: whoever takes them one by one never holds more.
        while part := list(itertools.islice(rest, 8 * _READERS)):
            yield from ((key, content) for key, content in readers.map(body, part) if content is not None)


def refused_files(keys: Collection[str], suffixes: Collection[str]) -> dict[str, str]:
    """Return the key of the reason why, and that of the file itself, of each refused file of one dataset.

    Args:
        keys: Everything in quarantine.
        suffixes: What the files of the dataset end with. A reason whose file is gone counts as a portfolio's.
    """
    known = {*keys}
    found = {}
    for key in known:
        stem, dot, kind = key.rpartition(".")
        if dot + kind == ".json":
            files = [stem + suffix for suffix in (*PORTFOLIO_SUFFIXES, *TRADING_SUFFIXES) if stem + suffix in known]
            file = files[0] if files else stem + PORTFOLIO_SUFFIXES[0]
            if file.endswith(tuple(suffixes)):
                found[key] = file
    return dict(sorted(found.items()))


def unexplained_files(keys: Collection[str], suffixes: Collection[str]) -> list[str]:
    """Return the refused files of one dataset that have no reason beside them: it comes second, and may not have come.

    Args:
        keys: Everything in quarantine.
        suffixes: What the files of the dataset end with.
    """
    known = {*keys}
    stems = ((key, key.removesuffix(suffix)) for key in known for suffix in suffixes if key.endswith(suffix))
    return sorted(key for key, stem in stems if f"{stem}.json" not in known)
