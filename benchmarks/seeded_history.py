"""What many refined sessions leave in both buckets and in the catalog, put there without refining them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from benchmarks.raw_sessions import INDEX_CODE
from bovespa.layout import COMPACT_TABLE_NAMES, CompactYear, Receipt, RefinedPartition, Session
from glue.lake import list_objects
from local.cloud import Cloud
from local.seeding import seed_objects, seed_partitions


def seed_history(cloud: Cloud, days: Sequence[dt.date], like: dt.date) -> None:
    """Put, for each of *days*, everything that there is of the session of *like*, which the job has refined.

    That is B3's bytes and the raw Parquet, an object and a partition for each ticker, an object in each compact table,
    the years of those tables, and the receipt: under the keys of the day, with the bytes of *like*. A raw Parquet names
    no date, so the raw sessions are as good as any: those of an index that did not change. Rows of the compact tables
    have the date of *like*, which nobody reads here.
    """
    s3, model = cloud.client("s3"), Session(INDEX_CODE, like)
    sessions = [Session(INDEX_CODE, day) for day in days]
    raw, refined = cloud.outputs["RawBucketName"], cloud.outputs["RefinedBucketName"]

    def put(bucket: str, found: str, keys: Sequence[str]) -> None:
        seed_objects(cloud.endpoint_url, bucket, keys, s3.get_object(Bucket=bucket, Key=found)["Body"].read())

    (source,) = (item.key for item in list_objects(s3, raw, model.source_key("").removesuffix(".csv")))
    digest = source.rpartition("/")[2].removesuffix(".csv")
    put(raw, source, [session.source_key(digest) for session in sessions])
    put(raw, model.raw_key, [session.raw_key for session in sessions])
    tickers = [RefinedPartition.from_key(item.key).ticker for item in list_objects(s3, refined, model.refined_prefix)]
    for ticker in tickers:
        own = [RefinedPartition(session, ticker) for session in sessions]
        put(refined, RefinedPartition(model, ticker).key, [one.key for one in own])
    (receipt,) = (Receipt.from_key(item.key) for item in list_objects(s3, refined, model.receipts_prefix))
    put(refined, receipt.key, [Receipt(session, receipt.raw_version).key for session in sessions])
    database = cloud.outputs["DatabaseName"]
    portfolio = [RefinedPartition(session, ticker) for session in sessions for ticker in tickers]
    seed_partitions(
        cloud.endpoint_url,
        database,
        "portfolio",
        [
            ([INDEX_CODE, str(one.session.session_date), one.ticker], f"s3://{refined}/{one.prefix}")
            for one in portfolio
        ],
    )
    for table in COMPACT_TABLE_NAMES:
        years = {session: CompactYear.of(table, session) for session in sessions}
        put(
            refined,
            CompactYear.of(table, model).key(like),
            [year.key(session.session_date) for session, year in years.items()],
        )
        locations = [
            (list(year.values), f"s3://{refined}/{year.sessions_prefix}") for year in sorted(set(years.values()))
        ]
        seed_partitions(cloud.endpoint_url, database, table, locations)
