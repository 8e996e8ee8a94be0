"""Parquet files of the raw bucket, whatever is in them: rows in, the same bytes for the same rows out. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

_METADATA_PREFIX = "bovespa."
_NULL = "\x01"
"""Stands for nothing at all; no text of B3 holds a control character."""


def table_of(schema: pa.Schema, names: Sequence[str], rows: Iterable[Iterable[object]]) -> pa.Table:
    """Return *rows* as a table, by way of text: exact for whole numbers and decimals, and read with the schema's types.

    Arrow's converter of Python objects would do it directly, but it imports pandas wherever that is installed: 30 MB
    and half a second that the API has no use for.

    Args:
        schema: What the table is to have.
        names: What the cells of each row are, in their order: the schema's names.
        rows: Cells; None where there is nothing.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_NULL if cell is None else cell for cell in row] for row in rows)
    table = arrow_csv.read_csv(
        pa.BufferReader(text.getvalue().encode()),
        read_options=arrow_csv.ReadOptions(column_names=list(names), use_threads=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types={field.name: field.type for field in schema},
            strings_can_be_null=True,
            null_values=[_NULL],
        ),
    )
    return table.select(schema.names).cast(schema).combine_chunks()


def with_facts(table: pa.Table, facts: Mapping[str, str]) -> pa.Table:
    """Return *table* with what is known of its origin in the key-value metadata, each name after `bovespa.`."""
    return table.replace_schema_metadata({f"{_METADATA_PREFIX}{name}": value for name, value in facts.items()})


def facts_of(table: pa.Table) -> dict[str, str]:
    """Inverse of `with_facts`."""
    metadata = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
    return {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in metadata.items()
        if name.startswith(_METADATA_PREFIX)
    }


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


def read_table(content: bytes) -> pa.Table:
    """Inverse of `to_parquet_bytes`.

    Raises:
        pyarrow.ArrowInvalid: *content* is no Parquet file.
    """
    # Not pq.read_table: it imports datasets and pandas, and reads in threads of Arrow's own that outlive the read. A
    # process that ends before they do aborts (https://github.com/apache/arrow/issues/34314).
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
