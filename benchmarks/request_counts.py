"""Which requests a piece of work sent to S3 and to the catalog, from the local cloud's request log."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_CALLS = {"GET": "GET", "HEAD": "HEAD", "PUT": "PUT", "POST": "DELETE"}
"""What a request to an object store is; POST is DeleteObjects."""


def requests_of_the_job(lines: Iterable[str], *buckets: str) -> dict[str, int]:
    """Count the requests to *buckets* and to the catalog; who starts and watches a run is no part of it.

    Args:
        lines: Of `local.request_log`.
        *buckets: Those that the job reads and writes.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        method, path, query, target = line.rstrip("\n").split("\t")
        if target.startswith("AWSGlue."):
            if "JobRun" not in target:
                counts[f"Glue {target.removeprefix('AWSGlue.')}"] += 1
        elif path.split("/")[1] in buckets:
            counts[f"S3 {_call(method, query)}"] += 1
    return dict(counts)


def _call(method: str, query: str) -> str:
    if method == "GET" and ("list-type=" in query or "prefix=" in query):
        return "LIST"
    if "uploads" in query or "uploadId=" in query:
        return "MULTIPART"
    return _CALLS.get(method, method)


@contextlib.contextmanager
def counted(log: Path, *buckets: str) -> Iterator[dict[str, int]]:
    """Fill what is yielded, when the body of the `with` is over, with the requests that it sent."""
    counts: dict[str, int] = {}
    start = log.stat().st_size
    yield counts
    with log.open(encoding="utf-8") as lines:
        lines.seek(start)
        counts |= requests_of_the_job(lines, *buckets)


def total(counts: Mapping[str, int], service: str) -> int:
    """Return how many of *counts* went to *service*, `S3` or `Glue`."""
    return sum(count for kind, count in counts.items() if kind.startswith(f"{service} "))
