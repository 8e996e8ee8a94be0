"""A trading day as a Parquet file and back: one explicit schema, the same bytes for the same quotes, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from bovespa.errors import UnreadableTradingDay
from bovespa.layout import TradingDay
from bovespa.trading_day import Market, Quote
from s3_bucket_manager.parquet_files import facts_of, read_table, table_of, to_parquet_bytes, with_facts

PRICE = pa.decimal128(19, 8)
"""Two published decimals, and six more for papers whose price is that of up to a million."""

# The date is not a column: the folder of the key carries it, and a column that is both in the file and in the path is
# a duplicate to Hive-style readers. The market is always the cash market.
TRADING_SCHEMA = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("company", pa.string(), nullable=False),
        pa.field("share_class", pa.string(), nullable=False),
        pa.field("corporate_event", pa.string()),
        pa.field("listing_segment", pa.string()),
        pa.field("bdi_code", pa.string(), nullable=False),
        pa.field("isin", pa.string(), nullable=False),
        pa.field("open_price_brl", PRICE, nullable=False),
        pa.field("high_price_brl", PRICE, nullable=False),
        pa.field("low_price_brl", PRICE, nullable=False),
        pa.field("average_price_brl", PRICE, nullable=False),
        pa.field("close_price_brl", PRICE, nullable=False),
        pa.field("trades", pa.int64(), nullable=False),
        pa.field("traded_quantity", pa.int64(), nullable=False),
        pa.field("volume_brl", pa.decimal128(18, 2), nullable=False),
        pa.field("quotation_factor", pa.int32(), nullable=False),
    ]
)
"""Columns of a raw trading day, in order; the rows are sorted by ticker. The Glue job reads exactly these."""


def trading_table(quotes: Iterable[Quote], facts: Mapping[str, str]) -> pa.Table:
    """Return the quotes of one day as an Arrow table, sorted by ticker, whatever their order.

    Args:
        quotes: Of one day and of the cash market, each ticker once.
        facts: Where they came from; goes into the key-value metadata, each name after `bovespa.`.
    """
    names = TRADING_SCHEMA.names
    rows = ([getattr(quote, name) for name in names] for quote in sorted(quotes, key=lambda quote: quote.ticker))
    return with_facts(table_of(TRADING_SCHEMA, names, rows), facts)


def trading_bytes(quotes: Iterable[Quote], facts: Mapping[str, str]) -> bytes:
    """Return `trading_table` as a Parquet file."""
    return to_parquet_bytes(trading_table(quotes, facts))


def read_trading_facts(content: bytes) -> dict[str, str]:
    """Return what `trading_bytes` was told of the file's origin.

    Raises:
        UnreadableTradingDay: *content* is no raw trading day.
    """
    return facts_of(_read(content))


def read_trading_day(content: bytes, day: TradingDay) -> tuple[Quote, ...]:
    """Inverse of `trading_bytes`: the quotes in the order of their tickers.

    Args:
        content: A raw trading day.
        day: The day that its key names.

    Raises:
        UnreadableTradingDay: *content* is not one of our raw trading days.
    """
    rows = _read(content).to_pylist()
    return tuple(Quote(session_date=day.session_date, market=Market.CASH, **row) for row in rows)


def _read(content: bytes) -> pa.Table:
    try:
        table = read_table(content)
    except pa.ArrowInvalid as error:
        raise UnreadableTradingDay(f"it is no Parquet file: {error}") from error
    if not table.schema.equals(TRADING_SCHEMA):
        raise UnreadableTradingDay(f"the columns are not those of a raw trading day: {table.schema.names}")
    return table
