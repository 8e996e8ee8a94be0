"""A portfolio as a Parquet file and back: one explicit schema, the same bytes for the same input, no I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from bovespa.errors import UnreadablePortfolio
from bovespa.layout import Session
from bovespa.portfolio import Holding, Portfolio, View

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
_METADATA_PREFIX = "bovespa."


def portfolio_table(portfolio: Portfolio, facts: Mapping[str, str]) -> pa.Table:
    """Return *portfolio* as an Arrow table, its rows in the file's order.

    Args:
        portfolio: What to write.
        facts: Where it came from; goes into the key-value metadata, each name after `bovespa.`, beside the view.
    """
    metadata = {f"{_METADATA_PREFIX}{name}": value for name, value in {**facts, "view": portfolio.view.value}.items()}
    return _table(portfolio).replace_schema_metadata(metadata)


def _table(portfolio: Portfolio) -> pa.Table:
    """The rows, by way of text: exact for whole numbers and decimals, and read by Arrow with the schema's types.

    Arrow's converter of Python objects would do it directly, but it imports pandas wherever that is installed: 30 MB
    and half a second that the API has no use for.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    totals = (portfolio.total_theoretical_quantity, portfolio.reductor)
    names = [name for name in RAW_SCHEMA.names if name not in _TOTALS]
    for holding in portfolio.holdings:
        writer.writerow([*(getattr(holding, name) for name in names), *totals])
    table = arrow_csv.read_csv(
        pa.BufferReader(text.getvalue().encode()),
        read_options=arrow_csv.ReadOptions(column_names=[*names, *_TOTALS], use_threads=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types={field.name: field.type for field in RAW_SCHEMA},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return table.select(RAW_SCHEMA.names).cast(RAW_SCHEMA).combine_chunks()


def to_parquet_bytes(table: pa.Table) -> bytes:
    """Return *table* as a Parquet file that Spark, Athena and DuckDB read alike.

    The bytes depend on the table and on the version of pyarrow only.
    """
    sink = pa.BufferOutputStream()
    # No serialised Arrow schema: the Parquet types say it all, and no reader may depend on more. The metadata would go
    # with it, so it is handed over by itself.
    with pq.ParquetWriter(
        sink, table.schema, compression="snappy", version="2.6", data_page_version="1.0", store_schema=False
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(table.schema.metadata or {})
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_facts(content: bytes) -> dict[str, str]:
    """Return what `portfolio_table` was told of the file's origin, and its view.

    Raises:
        UnreadablePortfolio: *content* is no Parquet file.
    """
    return _facts(_read(content))


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
    view = _facts(table).get("view")
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
        return pq.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise UnreadablePortfolio(f"it is no Parquet file: {error}") from error


def _facts(table: pa.Table) -> dict[str, str]:
    metadata = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
    return {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in metadata.items()
        if name.startswith(_METADATA_PREFIX)
    }
