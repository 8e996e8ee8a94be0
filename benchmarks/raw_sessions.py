"""Raw sessions where the API would put them, of the index with ninety tickers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance
from local.cloud import Cloud
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore

INDEX_CODE = "IBBC"
"""Ninety tickers."""

_WRITERS = 8


def store_raw(cloud: Cloud, days: Iterable[dt.date]) -> None:
    """Put the synthetic session of each of *days*."""
    store = RawStore(cloud.client("s3"), cloud.outputs["RawBucketName"])
    moment = dt.datetime(2025, 1, 2, 12, tzinfo=dt.UTC)

    def put(day: dt.date) -> None:
        content = synthetic_csv(INDEX_CODE, day)
        provenance = Provenance(
            index_code=INDEX_CODE, file_name="", url="file:synthetic", received_at=moment, way="benchmark"
        )
        store.store(parse_csv(content), content, provenance)

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(put, days))
