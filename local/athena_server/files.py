"""Parquet files of a table as one Arrow table; files that were read before are kept decoded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from local.athena_server.catalog import GlueTable, Partition
from local.athena_server.errors import StatementFailed
from local.athena_server.sql_types import SqlType

_CACHE_BYTES = 256 * 1024 * 1024

# What Trino's Parquet reader widens.
_WIDENED = {
    pa.int64(): (pa.int8(), pa.int16(), pa.int32()),
    pa.int32(): (pa.int8(), pa.int16()),
    pa.float64(): (pa.float32(),),
    pa.string(): (pa.large_string(),),
    pa.binary(): (pa.large_binary(),),
}


class Store(Protocol):
    """Where the objects are."""

    def etags(self, bucket: str, prefix: str) -> Mapping[str, str]:
        """Return the ETag of each object under *prefix*, by their keys in order."""

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object's bytes, or None if it has gone."""


@dataclass(frozen=True)
class Scan:
    """What was read of a table."""

    rows: pa.Table
    files: int
    size_bytes: int


@dataclass(frozen=True)
class _Place:
    """Where a file's rows stand among those of its table."""

    etag: str
    first: int
    count: int
    size_bytes: int
    """Of the file, which is what Athena counts as scanned."""


@dataclass
class _Rows:
    """The decoded files of one table, end to end: thousands of tiny tables would cost far more than their values."""

    table: pa.Table
    places: dict[tuple[str, str], _Place] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class FileCache:
    """Decoded files of tables, by bucket, key and ETag; the tables least used go first."""

    def __init__(self, limit_bytes: int = _CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._tables: OrderedDict[tuple[str, tuple[tuple[str, SqlType], ...]], _Rows] = OrderedDict()
        self._lock = threading.Lock()

    def rows_of(
        self, table: GlueTable, wanted: list[tuple[str, str, str]], store: Store
    ) -> tuple[pa.Table, list[_Place]]:
        """Return the rows of the files *wanted* (bucket, key, ETag), one after the other, and how many each has."""
        name = (table.full_name, table.file_columns)
        with self._lock:
            held = self._tables.setdefault(name, _Rows(_schema(table).empty_table()))
            self._tables.move_to_end(name)
        with held.lock:
            missing = [
                (bucket, key, etag)
                for bucket, key, etag in wanted
                if (bucket, key) not in held.places or held.places[bucket, key].etag != etag
            ]
            if missing:
                _append(held, table, missing, store)
            places = [held.places[bucket, key] for bucket, key, _ in wanted]
            rows = _picked(held.table, places)
            if held.table.num_rows > 2 * sum(place.count for place in held.places.values()):
                # Most of it are files that were replaced since.
                self._drop(name)
        with self._lock:
            held_bytes = sum(each.table.nbytes for each in self._tables.values())
            while held_bytes > self._limit_bytes:
                _, least_used = self._tables.popitem(last=False)
                held_bytes -= least_used.table.nbytes
        return rows, places

    def _drop(self, name: tuple[str, tuple[tuple[str, SqlType], ...]]) -> None:
        with self._lock:
            self._tables.pop(name, None)


def _append(held: _Rows, table: GlueTable, missing: list[tuple[str, str, str]], store: Store) -> None:
    pieces, first = [held.table], held.table.num_rows
    places = {}
    for bucket, key, etag in missing:
        rows, size_bytes = _decode(table, held.table.schema, store, bucket, key)
        pieces.append(rows)
        places[bucket, key] = _Place(etag, first, rows.num_rows, size_bytes)
        first += rows.num_rows
    # Only when all of them could be read.
    held.table = pa.concat_tables(pieces).combine_chunks()
    held.places |= places


def _picked(rows: pa.Table, places: list[_Place]) -> pa.Table:
    """Return the rows of *places*, in their order; neighbours are taken together."""
    ranges: list[tuple[int, int]] = []
    for place in places:
        if ranges and sum(ranges[-1]) == place.first:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + place.count)
        else:
            ranges.append((place.first, place.count))
    if not ranges:
        return rows.slice(0, 0)
    if len(ranges) == 1:
        return rows.slice(*ranges[0])
    return pa.concat_tables([rows.slice(*each) for each in ranges]).combine_chunks()


def scan(table: GlueTable, partitions: list[Partition], store: Store, cache: FileCache) -> Scan:
    """Return the rows of *partitions*, columns named `c0`, `c1`, ... in the table's order.

    Raises:
        StatementFailed: A file is not what the table declares.
    """
    wanted: list[tuple[str, str, str]] = []
    owners: list[Partition] = []
    for partition in partitions:
        for key, etag in store.etags(partition.bucket, partition.prefix).items():
            if _is_data(key[len(partition.prefix) :]):
                wanted.append((partition.bucket, key, etag))
                owners.append(partition)
    rows, places = cache.rows_of(table, wanted, store)
    columns = [rows.column(number) for number in range(len(table.file_columns))]
    lengths = [place.count for place in places]
    for position, (_, kind) in enumerate(table.columns[len(table.file_columns) :]):
        columns.append(_repeated([owner.values[position] for owner in owners], lengths, kind))
    names = [f"c{number}" for number in range(len(columns))]
    return Scan(pa.table(columns, names=names), len(wanted), sum(place.size_bytes for place in places))


def _is_data(name: str) -> bool:
    """Tell whether *name*, a key without its partition's prefix, is neither hidden nor a folder's marker."""
    parts = name.split("/")
    return bool(parts[-1]) and not any(part.startswith(("_", ".")) for part in parts)


def _repeated(values: list[Any], lengths: list[int], kind: SqlType) -> pa.Array:
    """Return each value as often as its file has rows."""
    if all(length == 1 for length in lengths):
        return pa.array(values, type=kind.arrow)
    return pa.array(
        [value for value, length in zip(values, lengths, strict=True) for _ in range(length)], type=kind.arrow
    )


def _schema(table: GlueTable) -> pa.Schema:
    # A table of partition keys alone still has its files' rows.
    fields = [(f"c{number}", kind.arrow) for number, (_, kind) in enumerate(table.file_columns)]
    return pa.schema(fields or [("rows", pa.null())])


def _decode(table: GlueTable, schema: pa.Schema, store: Store, bucket: str, key: str) -> tuple[pa.Table, int]:
    content = store.read(bucket, key)
    uri = f"s3://{bucket}/{key}"
    if content is None:
        raise StatementFailed("HIVE_CANNOT_OPEN_SPLIT", f"Error opening Hive split {uri}: the object does not exist")
    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        present = {name.lower(): name for name in file.schema_arrow.names}
        wanted = [present[name] for name, _ in table.file_columns if name in present]
        rows = file.read(columns=wanted, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StatementFailed("HIVE_CANNOT_OPEN_SPLIT", f"Error opening Hive split {uri}: {error}") from None
    columns = []
    for (name, kind), declared in zip(table.file_columns, schema.types, strict=False):
        if name not in present:
            columns.append(pa.nulls(file.metadata.num_rows, declared))
            continue
        column = rows.column(present[name])
        columns.append(column if column.type == declared else _as_declared(column.combine_chunks(), name, kind, uri))
    return pa.table(columns or [pa.nulls(file.metadata.num_rows)], schema=schema), len(content)


def _as_declared(column: pa.Array, name: str, kind: SqlType, uri: str) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    found, declared = column.type, kind.arrow
    if found == declared:
        return column
    plain_timestamp = kind.name == "timestamp" and pa.types.is_timestamp(found) and found.unit in ("ms", "us", "s")
    if pa.types.is_null(found) or found in _WIDENED.get(declared, ()) or (plain_timestamp and found.tz is None):
        return column.cast(declared)
    if kind.items and _same_shape(found, declared):
        return column.cast(declared)
    raise StatementFailed(
        "HIVE_BAD_DATA",
        f"Field {name}'s type {str(found).upper()} in parquet file {uri} is incompatible with type {kind} "
        "defined in table schema",
    )


def _same_shape(found: pa.DataType, declared: pa.DataType) -> bool:
    """Tell whether nested types differ only in the names of their fields."""
    if found.num_fields != declared.num_fields or found.id != declared.id:
        return False
    if not found.num_fields:
        return bool(found == declared)
    return all(_same_shape(found.field(number).type, declared.field(number).type) for number in range(found.num_fields))
