"""The evening's look for gaps, at a real object store."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bovespa.calendar import REVIEW_BY
from bovespa.layout import Receipt, Session, TradingDay, TradingReceipt, quarantine_key
from lambda_handler.watch import Watched, watch

DAY = dt.date(2025, 2, 28)
AFTER_CARNIVAL = dt.date(2025, 3, 5)
EVENING = dt.datetime(2025, 2, 28, 23, tzinfo=dt.UTC)
"""Eight in the evening in São Paulo."""
DAYS_LEFT = (REVIEW_BY - DAY).days


@pytest.fixture
def refined_bucket(s3: Any, raw_bucket: str) -> str:
    name = f"{raw_bucket}-refined"
    s3.create_bucket(Bucket=name)
    return name


def put(s3: Any, bucket: str, *keys: str) -> str:
    """Put objects of one content; return its version."""
    version = ""
    for key in keys:
        version = s3.put_object(Bucket=bucket, Key=key, Body=b"x")["ETag"].strip('"')
    return version


def test_indexes_without_their_session_are_named(s3: Any, raw_bucket: str, refined_bucket: str) -> None:
    put(s3, raw_bucket, Session("IBOV", DAY).raw_key, Session("IBBC", dt.date(2025, 2, 27)).raw_key)
    put(s3, raw_bucket, TradingDay(DAY).raw_key, f"{Session('UTIL', DAY).raw_key}.part")
    found = watch(s3, raw_bucket, refined_bucket, ["IBOV", "IBBC", "UTIL"], EVENING)
    assert found == Watched(DAY, ("IBBC", "UTIL"), (), (), 0, DAYS_LEFT)
    assert found.as_fields()["missing_sessions"] == 2


@pytest.mark.parametrize(
    ("moment", "session_date"),
    [
        (EVENING - dt.timedelta(minutes=1), dt.date(2025, 2, 27)),  # the day is not over
        (dt.datetime(2025, 3, 1, 23, tzinfo=dt.UTC), DAY),  # Saturday
        (dt.datetime(2025, 3, 4, 23, tzinfo=dt.UTC), DAY),  # Carnival Tuesday
        (dt.datetime(2025, 3, 5, 23, tzinfo=dt.UTC), AFTER_CARNIVAL),
        (dt.datetime(2025, 3, 6, 2, 59, tzinfo=dt.UTC), AFTER_CARNIVAL),  # still that evening in São Paulo
    ],
)
def test_on_days_without_trading_the_last_session_is_looked_for(
    s3: Any, raw_bucket: str, refined_bucket: str, moment: dt.datetime, session_date: dt.date
) -> None:
    put(s3, raw_bucket, Session("IBOV", session_date).raw_key)
    found = watch(s3, raw_bucket, refined_bucket, ["IBOV"], moment)
    assert (found.session_date, found.missing) == (session_date, ())


def test_trading_days_that_lack_between_those_that_are_there_are_named_an_evening_later(
    s3: Any, raw_bucket: str, refined_bucket: str
) -> None:
    assert watch(s3, raw_bucket, refined_bucket, [], EVENING).missing_trading_days == (), "nobody collects any"
    # Without the 25th, nor the 27th, nor the session's own day, nor any before the first.
    put(s3, raw_bucket, *(TradingDay(dt.date(2025, 2, day)).raw_key for day in (24, 26)))
    found = watch(s3, raw_bucket, refined_bucket, [], EVENING)
    assert found.missing_trading_days == (dt.date(2025, 2, 25), dt.date(2025, 2, 27))
    assert (found.as_fields()["missing_trading_days"], found.as_fields()["missing_days"][0]) == (2, "2025-02-25")
    # Carnival lies between; of days more than a week ago the doctor tells.
    after_carnival = dt.datetime(2025, 3, 6, 23, tzinfo=dt.UTC)
    found = watch(s3, raw_bucket, refined_bucket, [], after_carnival)
    assert found.missing_trading_days == (dt.date(2025, 2, 27), DAY, AFTER_CARNIVAL)


def test_what_is_stored_for_an_hour_without_a_receipt_of_its_version_is_named(
    s3: Any, raw_bucket: str, refined_bucket: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    today = now.date()
    days = [today - dt.timedelta(days=days) for days in range(10)]
    refined, corrected, forgotten = (Session("IBOV", day) for day in days[1:4])
    put(s3, raw_bucket, forgotten.raw_key, Session("IBOV", days[9]).raw_key, Session("IBBC", days[1]).raw_key)
    put(s3, raw_bucket, f"{forgotten.raw_key}.part")
    version = put(s3, raw_bucket, refined.raw_key, corrected.raw_key, TradingDay(days[1]).raw_key)
    put(s3, raw_bucket, TradingDay(days[2]).raw_key)
    receipts = (Receipt(refined, version), Receipt(corrected, "0ld"), TradingReceipt(TradingDay(days[2]), version))
    put(s3, refined_bucket, *(receipt.key for receipt in receipts))
    in_an_hour = watch(s3, raw_bucket, refined_bucket, ["IBOV"], now + dt.timedelta(minutes=61))
    # One of nine days ago, and one of an index that is not collected, are nobody's.
    assert set(in_an_hour.unrefined) == {str(corrected), str(forgotten), str(TradingDay(days[1]))}
    assert in_an_hour.as_fields()["unrefined_sessions"] == 3
    assert watch(s3, raw_bucket, refined_bucket, ["IBOV"], now + dt.timedelta(minutes=59)).unrefined == ()


def test_files_refused_within_seven_days_count_once_each(s3: Any, raw_bucket: str, refined_bucket: str) -> None:
    for days in (0, 6, 8, 400):
        received = EVENING - dt.timedelta(days=days)
        put(s3, raw_bucket, *(quarantine_key(received, f"{days}", suffix) for suffix in (".csv", ".json")))
    assert watch(s3, raw_bucket, refined_bucket, [], EVENING).quarantined_files == 2


def test_a_bucket_that_is_not_there_is_an_error_and_not_a_silence(
    s3: Any, raw_bucket: str, refined_bucket: str
) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        watch(s3, f"{raw_bucket}-not", refined_bucket, ["IBOV"], EVENING)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        watch(s3, raw_bucket, f"{refined_bucket}-not", ["IBOV"], EVENING)


def test_the_numbers_can_be_logged(s3: Any, raw_bucket: str, refined_bucket: str) -> None:
    assert json.loads(json.dumps(watch(s3, raw_bucket, refined_bucket, ["IBOV"], EVENING).as_fields()))["missing"] == [
        "IBOV"
    ]
