"""A portfolio as a Parquet file and back: one explicit schema, the same bytes for the same input, no I/O."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from bovespa.errors import UnreadablePortfolio
from bovespa.layout import Session
from bovespa.portfolio import Holding, Portfolio, View
from s3_bucket_manager.parquet_files import facts_of, read_table, table_of, with_facts

PERCENT = pa.decimal128(6, 3)
REDUCTOR = pa.decimal128(24, 8)

# The index and the session are not columns: the folders of the key carry them, and a column that is both in the file
# and in the path is a duplicate to Hive-style readers. The file's two totals stand on every row for the same readers.
RAW_SCHEMA = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("company", pa.string(), nullable=False),
        pa.field("share_class", pa.string(), nullable=False),
        pa.field("corporate_event", pa.string()),
        pa.field("listing_segment", pa.string()),
        pa.field("theoretical_quantity", pa.int64(), nullable=False),
        pa.field("participation_pct", PERCENT, nullable=False),
        pa.field("sector_label", pa.string()),
        pa.field("sector_participation_pct", PERCENT),
        pa.field("total_theoretical_quantity", pa.int64(), nullable=False),
        pa.field("reductor", REDUCTOR, nullable=False),
    ]
)
"""Columns of a raw Parquet object, in order. The Glue job reads exactly these."""

_TOTALS = ("total_theoretical_quantity", "reductor")


def portfolio_table(portfolio: Portfolio, facts: Mapping[str, str]) -> pa.Table:
    """Return *portfolio* as an Arrow table, its rows in the file's order.

    Args:
        portfolio: What to write.
        facts: Where it came from; goes into the key-value metadata, each name after `bovespa.`, beside the view.
    """
    return with_facts(_table(portfolio), {**facts, "view": portfolio.view.value})


def _table(portfolio: Portfolio) -> pa.Table:
    totals = (portfolio.total_theoretical_quantity, portfolio.reductor)
    names = [name for name in RAW_SCHEMA.names if name not in _TOTALS]
    rows = ([*(getattr(holding, name) for name in names), *totals] for holding in portfolio.holdings)
    return table_of(RAW_SCHEMA, [*names, *_TOTALS], rows)


def read_facts(content: bytes) -> dict[str, str]:
    """Return what `portfolio_table` was told of the file's origin, and its view.

    Raises:
        UnreadablePortfolio: *content* is no Parquet file.
    """
    return facts_of(_read(content))


def read_portfolio(content: bytes, session: Session) -> Portfolio:
    """Inverse of `portfolio_table` and `to_parquet_bytes`.

    Args:
        content: A raw Parquet object.
        session: The session that its key names.

    Raises:
        UnreadablePortfolio: *content* is not one of our raw Parquet files.
    """
    table = _read(content)
    if not table.schema.equals(RAW_SCHEMA):
        raise UnreadablePortfolio(f"the columns are not those of a raw portfolio: {table.schema.names}")
    view = facts_of(table).get("view")
    rows = table.to_pylist()
    totals = {tuple(row.pop(name) for name in _TOTALS) for row in rows}
    if view not in list(View) or len(totals) != 1:
        raise UnreadablePortfolio(f"a raw portfolio has one view and one pair of totals, not {view} and {len(totals)}")
    ((total_theoretical_quantity, reductor),) = totals
    return Portfolio(
        session.index_code,
        session.session_date,
        View(view),
        tuple(Holding(**row) for row in rows),
        total_theoretical_quantity,
        reductor,
    )


def _read(content: bytes) -> pa.Table:
    try:
        return read_table(content)
    except pa.ArrowInvalid as error:
        raise UnreadablePortfolio(f"it is no Parquet file: {error}") from error
