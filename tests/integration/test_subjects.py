"""What a run over everything finds to do, from real listings of the two buckets."""

from __future__ import annotations

import datetime as dt
from typing import Any

from bovespa.layout import CompactYear, Receipt, RefinedPartition, Session, TradingDay, TradingReceipt
from glue.subjects import subjects_of

STORED, RECEIPTED, REFINED = (Session("IBOV", dt.date(2025, 2, day)) for day in (3, 4, 5))
ELSEWHERE = Session("SMLL", dt.date(2024, 12, 30))
DAY_STORED, DAY_RECEIPTED, DAY_REFINED = (TradingDay(dt.date(2025, 2, day)) for day in (3, 4, 5))


def test_everything_is_what_is_stored_receipted_or_has_rows(s3: Any, raw_bucket: str, refined_bucket: str) -> None:
    """A run that withdraws a session takes the receipts first; where it fails then, the next one must see the rows."""
    in_raw = [STORED.raw_key, DAY_STORED.raw_key, "portfolio/notes.txt"]
    year = CompactYear.of("trading", DAY_REFINED)
    in_refined = [
        Receipt(RECEIPTED, "0f").key,
        TradingReceipt(DAY_RECEIPTED, "0f").key,
        RefinedPartition(STORED, "PETR4").key,
        RefinedPartition(REFINED, "PETR4").key,
        RefinedPartition(REFINED, "VALE3").key,
        RefinedPartition(ELSEWHERE, "VALE3").key,
        year.key(DAY_REFINED.session_date),
        year.merged_key("0f"),
        "portfolio/index_code=IBOV/notes.txt",
        "trading/notes.txt",
    ]
    for bucket, keys in ((raw_bucket, in_raw), (refined_bucket, in_refined)):
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=b".")
    found = subjects_of(None, s3, raw_bucket=raw_bucket, refined_bucket=refined_bucket)
    assert found.sessions == {STORED, RECEIPTED, REFINED, ELSEWHERE}
    assert found.trading_days == {DAY_STORED, DAY_RECEIPTED, DAY_REFINED}
