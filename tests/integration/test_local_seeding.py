"""A local cloud with a long history: put there in one call, listed at the cost of a page, and as the job leaves it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from benchmarks.raw_sessions import INDEX_CODE, store_raw
from benchmarks.runs import run
from benchmarks.seeded_history import seed_history
from bovespa.calendar import trading_days_before
from bovespa.layout import Session
from glue.lake import list_objects
from local.athena import ask
from local.cloud import Cloud, running_cloud
from local.seeding import NotSeeded, seed_objects, seed_partitions
from tests.lake import Lake

LIKE, NEXT = dt.date(2024, 1, 3), dt.date(2024, 1, 4)
MANY = 100_000


@pytest.fixture(scope="module")
def cloud(quiet_lake: Lake) -> Cloud:
    return quiet_lake.cloud


def keys(s3: Any, bucket: str, prefix: str = "", **arguments: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **arguments)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def test_a_page_of_many_keys_costs_what_one_of_few_costs(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    for bucket in ("few", "many"):
        s3.create_bucket(Bucket=bucket)
        for key in ("m/3", "m/1", "z"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"put")
    seed_objects(cloud.endpoint_url, "many", [f"k/{number:06}" for number in range(MANY)], b"seeded")

    def seconds(bucket: str) -> float:
        started = time.perf_counter()
        for _ in range(20):
            assert keys(s3, bucket, "m/") == ["m/1", "m/3"]
        return time.perf_counter() - started

    # In turns, so that a busy moment meets both. To look at every key took the emulator five times as long.
    few, many = zip(*((seconds("few"), seconds("many")) for _ in range(3)), strict=True)
    assert min(many) < 2.5 * min(few)
    assert keys(s3, "many", "k/", StartAfter=f"k/{MANY - 3:06}") == [f"k/{MANY - 2:06}", f"k/{MANY - 1:06}"]
    folders = s3.list_objects_v2(Bucket="many", Delimiter="/")
    assert [one["Prefix"] for one in folders["CommonPrefixes"]] == ["k/", "m/"]
    assert [one["Key"] for one in folders["Contents"]] == ["z"]
    assert s3.get_object(Bucket="many", Key="k/000007")["Body"].read() == b"seeded"
    s3.delete_object(Bucket="many", Key="m/1")
    assert keys(s3, "many", "m/") == ["m/3"]


def test_a_seeded_session_is_like_one_that_was_refined(cloud: Cloud) -> None:
    s3, raw, refined = cloud.client("s3"), cloud.outputs["RawBucketName"], cloud.outputs["RefinedBucketName"]
    store_raw(cloud, [LIKE])
    run(cloud, [Session(INDEX_CODE, LIKE)])
    days = trading_days_before(LIKE, 3)
    seed_history(cloud, days, like=LIKE)

    for bucket in (raw, refined):
        found = {item.key: item.etag for item in list_objects(s3, bucket, "")}
        of_like = {key: etag for key, etag in found.items() if str(LIKE) in key}
        for day in days:
            mine = {key: etag for key, etag in found.items() if str(day) in key}
            year = (f"session_year={LIKE.year}", f"session_year={day.year}")
            assert mine == {key.replace(str(LIKE), str(day)).replace(*year): etag for key, etag in of_like.items()}
    sql = "SELECT session_date, COUNT(*), SUM(participation_pct) FROM portfolio GROUP BY 1 ORDER BY 1"
    rows = ask(cloud.client("athena"), sql).rows
    assert [row[0] for row in rows] == [*map(str, days), str(LIKE)]
    assert len({row[1:] for row in rows}) == 1
    assert ask(cloud.client("athena"), "SELECT COUNT(*) FROM sessions WHERE session_year = 2023").rows == ((2,),)

    store_raw(cloud, [NEXT])
    run(cloud, [Session(INDEX_CODE, NEXT)])
    sql = f"SELECT sessions_observed, previous_session_date FROM sessions WHERE session_date = DATE '{NEXT}'"  # noqa: S608
    assert ask(cloud.client("athena"), sql).rows == ((5, str(LIKE)),)


def test_what_the_cloud_does_not_take_is_told(cloud: Cloud) -> None:
    with pytest.raises(NotSeeded, match="NoSuchBucket"):
        seed_objects(cloud.endpoint_url, "nowhere", ["a"], b"")
    with pytest.raises(NotSeeded, match="does not match"):
        seed_partitions(cloud.endpoint_url, "bovespa", "portfolio", [(["IBOV"], "s3://x/")])
    with running_cloud(warm=False, deployed=False) as other:
        other.client("s3").create_bucket(Bucket="a-bucket")
        with pytest.raises(NotSeeded):
            seed_objects(other.endpoint_url, "a-bucket", ["a"], b"")
