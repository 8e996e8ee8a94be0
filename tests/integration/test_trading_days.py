"""Trading days and sessions in one lake: whatever comes first, late or again, the tables are those of the reckoning.

Trading days are of no index, so every test has months of its own. What refines all of the lake comes first, while there
is little in it.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bovespa.calendar import trading_days_after, trading_days_before
from bovespa.cotahist_writer import whole_file
from bovespa.imports import ImportManifest
from bovespa.layout import CompactYear, Import, Session, TradingDay
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_cotahist
from tests import reckoning
from tests.few_trades import few_cotahist
from tests.lake import Lake
from tests.trading_reckoning import refined_rows, session_rows, trading_rows
from tests.until import until

SPLIT = dt.date(2024, 2, 29)
"""On this day one share of UTIL is split into three."""


def test_a_trading_day_is_corrected_and_withdrawn(quiet_lake: Lake) -> None:
    index_code, days = "IMOB", [dt.date(2023, 3, day) for day in (1, 2, 3)]
    contents = [synthetic_csv(index_code, day) for day in days]
    texts = [few_cotahist(day, index_code) for day in days]
    for content in contents:
        quiet_lake.store(content)
    stored = [quiet_lake.store_trading_day(text) for text in texts]
    quiet_lake.refine(*stored)
    _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)

    # A member that B3 recorded by mistake on the last day keeps the close of the day before; one of all days has none.
    silent, unknown, *_ = sorted(row["Código"] for row in reckoning.read(contents[0]).rows)
    texts[2] = _without(texts[2], silent)
    quiet_lake.refine(quiet_lake.store_trading_day(texts[2]))
    rows = _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)
    assert [row["close_price_date"] for row in rows if row["trades"] == "0"] == [str(days[1])]
    for position, text in enumerate(texts):
        texts[position] = _without(text, unknown)
        quiet_lake.store_trading_day(texts[position])
    quiet_lake.refine(*stored)
    rows = _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)
    assert {row["closing_participation_pct"] for row in rows} == {None}

    for day in stored:
        quiet_lake.cloud.client("s3").delete_object(Bucket=quiet_lake.raw, Key=day.raw_key)
    quiet_lake.refine("all")
    _assert_tables_are_those_of(quiet_lake, index_code, contents, ())
    assert [key for day in stored for key in quiet_lake.keys(day.receipts_prefix)] == []
    assert quiet_lake.keys(CompactYear.of("trading", stored[0]).sessions_prefix) == []
    assert quiet_lake.ask("SELECT COUNT(*) FROM trading WHERE session_year = 2023").rows == ((0,),)


def test_an_import_brings_sessions_and_trading_days_in_one_run_and_a_rebuild_merges_past_years(
    quiet_lake: Lake,
) -> None:
    index_code, days = "IEEX", [dt.date(2021, 12, 29), dt.date(2021, 12, 30), dt.date(2022, 1, 3)]
    contents = [synthetic_csv(index_code, day) for day in days]
    texts = [few_cotahist(day, index_code) for day in days]
    manifest = ImportManifest(
        Import("20220103T200000Z-0f"),
        tuple(quiet_lake.store(content) for content in contents),
        dt.datetime(2022, 1, 3, 20, tzinfo=dt.UTC),
        trading_days=tuple(quiet_lake.store_trading_day(text) for text in texts),
    )
    quiet_lake.cloud.client("s3").put_object(Bucket=quiet_lake.raw, Key=manifest.made_by.key, Body=manifest.to_json())
    quiet_lake.refine(manifest.made_by)
    _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)
    assert all(len(quiet_lake.keys(day.receipts_prefix)) == 1 for day in manifest.trading_days)

    quiet_lake.refine("all")
    year = CompactYear("trading", None, 2021)
    partition = quiet_lake.cloud.client("glue").get_partition(
        DatabaseName="bovespa", TableName="trading", PartitionValues=["2021"]
    )["Partition"]
    assert partition["StorageDescriptor"]["Location"].startswith(f"s3://{quiet_lake.refined}/{year.merged_prefix}")
    _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)


@pytest.mark.parametrize(
    ("index_code", "split", "order"),
    [
        # Each session before its trading day, and a trading day before its session; the oldest day of a window last, in
        # one run with the day just before it.
        ("UTIL", SPLIT, ("S-5 T+0", "S-1 S+0", "T-1 S+2 T+2", "T-5 T-26")),
        # All trading days first, one from the very beginning of a window; then the sessions, backwards, and one between
        # two that are stored.
        ("IFNC", dt.date(2024, 8, 13), ("T+2 T-5 T-1 T+0 T-25", "S+2", "S-5 S+0", "S-1")),
    ],
)
def test_any_order_of_arrival_gives_the_tables_of_the_reckoning(
    quiet_lake: Lake, index_code: str, split: dt.date, order: Sequence[str]
) -> None:
    contents, texts = {}, {}
    for together in order:
        subjects: list[Session | TradingDay] = []
        for name in together.split():
            day = _away(split, int(name[1:]))
            if name[0] == "S":
                contents[day] = synthetic_csv(index_code, day)
                subjects.append(quiet_lake.store(contents[day]))
            else:
                texts[day] = few_cotahist(day, index_code)
                subjects.append(quiet_lake.store_trading_day(texts[day]))
        quiet_lake.refine(*subjects)
    rows = _assert_tables_are_those_of(quiet_lake, index_code, contents.values(), texts.values())
    # The split is not taken for a loss: what is left of it is the day's own movement.
    (of_split,) = [row for row in rows if row["quantity_change_cause"] == "corporate_action"]
    assert of_split["index_contribution_points"] is not None
    changed = float(of_split["index_contribution_points"]) * float(of_split["reductor"] or 0)
    assert abs(changed) < 0.2 * float(of_split["market_value_brl"] or 0)


def test_a_close_from_before_a_corporate_action_is_no_price_of_the_shares_from_after_it(quiet_lake: Lake) -> None:
    index_code, split, ticker = "UTIL", dt.date(2020, 4, 16), "PITN3"
    days = [_away(split, sessions) for sessions in range(-2, 4)]
    contents = [synthetic_csv(index_code, day) for day in days]
    # It is split before the opening, and trades again on the third day.
    silent = (split, _away(split, 1))
    texts = [few_cotahist(day, index_code) for day in days]
    texts = [_without(text, ticker) if day in silent else text for day, text in zip(days, texts, strict=True)]
    stored = [quiet_lake.store_trading_day(text) for text in texts]
    sessions = [quiet_lake.store(content) for content in contents]
    quiet_lake.refine(*sessions, *stored)
    rows = _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)
    of_ticker = [row for row in rows if row["company"] == _company(contents[0], ticker)]
    assert [row["market_value_brl"] is None for row in of_ticker] == [False, False, True, True, False, False]
    # Its last close is still told; unlike at the opening of the first day, its value at that of the third is unknown.
    assert [row["close_price_date"] for row in of_ticker[2:4]] == [str(days[1])] * 2
    assert of_ticker[4]["index_contribution_points"] is None
    levels = session_rows(contents, texts)
    told = [levels[index_code, str(day)] for day in days]
    assert [row["index_level"] is None for row in told] == [False, False, True, True, False, False]
    assert [row["participations_compared"] is None for row in told] == [True, False, False, True, True, False]
    assert told[4]["previous_index_level"] is None

    # A run over later ones alone sees it, too.
    quiet_lake.refine(*sessions[3:])
    _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)


def test_a_corporate_action_beyond_the_window_counts_in_no_run(quiet_lake: Lake) -> None:
    """The session before it is 21 before the last: a run over that one alone does not read it."""
    index_code, split, ticker = "ICON", dt.date(2019, 8, 2), "NASC3"
    days = [_away(split, sessions) for sessions in (-18, 0, 3)]
    contents = [synthetic_csv(index_code, day) for day in days]
    texts = [few_cotahist(_away(split, -8), index_code)]
    texts += [_without(few_cotahist(day, index_code), ticker) for day in days[1:]]
    stored = [quiet_lake.store_trading_day(text) for text in texts]
    sessions = [quiet_lake.store(content) for content in contents]
    for asked in ([*sessions, *stored], sessions[2:]):
        quiet_lake.refine(*asked)
        rows = _assert_tables_are_those_of(quiet_lake, index_code, contents, texts)
    (last,) = [row for row in rows if row["previous_session_date"] == str(split) and row["trades"] == "0"]
    assert last["market_value_brl"] is not None


def test_a_trading_day_that_comes_during_a_sessions_run_is_in_what_the_run_leaves_behind(quiet_lake: Lake) -> None:
    """No later run mends it here: the notification is off."""
    day = dt.date(2022, 6, 1)
    content, text = synthetic_csv("IBEE", day), few_cotahist(day, "IBEE")
    session = quiet_lake.store(content)
    run_id = quiet_lake.start(session)
    log = quiet_lake.cloud.work_dir / f"run-{run_id}.log"
    # The job says so when it has listed the raw objects and is about to read them.
    until(lambda: log.exists() and "refining" in log.read_text(encoding="utf-8"), timeout_s=60)
    quiet_lake.store_trading_day(text)
    quiet_lake.wait_until_idle()
    assert "starting over" in log.read_text(encoding="utf-8")
    assert quiet_lake.rows("index_code = 'IBEE'") == refined_rows([content], [text])
    assert quiet_lake.keys(TradingDay(day).receipts_prefix) == [], "its own run has not said that it is everywhere"


def test_a_raw_trading_day_with_other_types_fails_the_run_and_publishes_nothing(quiet_lake: Lake) -> None:
    day = quiet_lake.store_trading_day(synthetic_cotahist(dt.date(2022, 9, 1)))
    s3 = quiet_lake.cloud.client("s3")
    table = pq.read_table(io.BytesIO(s3.get_object(Bucket=quiet_lake.raw, Key=day.raw_key)["Body"].read()))
    position = table.schema.get_field_index("close_price_brl")
    drifted = table.set_column(position, "close_price_brl", table["close_price_brl"].cast(pa.float64()))
    sink = io.BytesIO()
    pq.write_table(drifted, sink)
    s3.put_object(Bucket=quiet_lake.raw, Key=day.raw_key, Body=sink.getvalue())
    state, message = quiet_lake.outcome(quiet_lake.start(day))
    assert state == "FAILED"
    assert "UnexpectedRawSchema" in message
    assert "close_price_brl: double" in message
    assert quiet_lake.keys(CompactYear.of("trading", day).key(day.session_date)) == []


def _away(day: dt.date, sessions: int) -> dt.date:
    if sessions < 0:
        return trading_days_before(day, -sessions)[0]
    return trading_days_after(day, sessions)[-1] if sessions else day


def _company(content: bytes, ticker: str) -> str:
    (company,) = [row["Ação"] for row in reckoning.read(content).rows if row["Código"] == ticker]
    return company


def _without(text: bytes, ticker: str) -> bytes:
    """The same file without the cash-market record of *ticker*."""
    header, *records, _ = text.splitlines()
    kept = [line for line in records if (line[12:24].decode().strip(), line[24:27]) != (ticker, b"010")]
    assert len(kept) == len(records) - 1
    return whole_file(dt.date.fromisoformat(header[23:31].decode()), kept)


def _assert_tables_are_those_of(
    lake: Lake, index_code: str, contents: Iterable[bytes], texts: Iterable[bytes]
) -> list[dict[str, str | None]]:
    """Hold every table against the reckoning; return the rows of the holdings."""
    contents, texts = list(contents), list(texts)
    rows = refined_rows(contents, texts)
    dates = sorted({date for _, date, _ in rows})
    where = f"index_code = '{index_code}' AND session_date BETWEEN DATE '{dates[0]}' AND DATE '{dates[-1]}'"
    assert lake.rows(where) == rows
    assert lake.table("holdings", "index_code", "session_date", "ticker", where=where) == {
        key: row | {"session_year": key[1][:4]} for key, row in rows.items()
    }
    assert lake.table("sessions", "index_code", "session_date", where=where) == session_rows(contents, texts)
    market = trading_rows(texts)
    if market:
        dates = sorted({date for date, _ in market})
        within = f"session_date BETWEEN DATE '{dates[0]}' AND DATE '{dates[-1]}'"
        assert lake.table("trading", "session_date", "ticker", where=within) == market
    return list(rows.values())
