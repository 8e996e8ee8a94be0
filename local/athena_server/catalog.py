"""Tables, partitions and views as the Glue catalog has them: what a query sees is what is registered, and no more."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.queries import View
from local.athena_server.sql_types import SqlType, hive_type
from local.athena_server.values import ValueFailed, failure_in, text_to_date, text_to_integer

_HIVE_DEFAULT = "__HIVE_DEFAULT_PARTITION__"
VIEW_PREFIX, VIEW_SUFFIX = "/* Presto View: ", " */"


@dataclass(frozen=True)
class Partition:
    """A registered partition: the values of the keys, and where its files are."""

    values: tuple[Any, ...]
    texts: tuple[str, ...]
    bucket: str
    prefix: str


@dataclass(frozen=True)
class GlueTable:
    """A table of the Glue catalog."""

    database: str
    name: str
    columns: tuple[tuple[str, SqlType], ...]
    """Names and types, partition keys last."""
    keys: tuple[str, ...]
    definition: Mapping[str, Any]

    @property
    def file_columns(self) -> tuple[tuple[str, SqlType], ...]:
        """The columns that are in the files."""
        return self.columns[: len(self.columns) - len(self.keys)]

    @property
    def full_name(self) -> str:
        """`database.table`."""
        return f"{self.database}.{self.name}"


def read_table(database: str, name: str, definition: Mapping[str, Any]) -> GlueTable | View:
    """Return the table or view that *definition*, the Glue table, describes.

    Raises:
        StatementFailed: It is of a kind that the local Athena does not read.
    """
    if definition.get("TableType") == "VIRTUAL_VIEW":
        return _read_view(database, name, definition)
    storage = definition.get("StorageDescriptor") or {}
    keys = definition.get("PartitionKeys") or []
    declared = [*(storage.get("Columns") or []), *keys]
    columns = tuple((column["Name"].lower(), hive_type(column.get("Type", "string"))) for column in declared)
    if len({column for column, _ in columns}) != len(columns):
        raise StatementFailed("HIVE_INVALID_METADATA", f"Hive metadata for table {name} is invalid: duplicate columns")
    serde = str((storage.get("SerdeInfo") or {}).get("SerializationLibrary", "")).lower()
    parameters = definition.get("Parameters") or {}
    if "parquet" not in serde and "parquet" not in str(storage.get("InputFormat", "")).lower():
        raise not_supported(f"the table {database}.{name}, whose files are not Parquet")
    if str(parameters.get("projection.enabled", "")).lower() == "true":
        raise not_supported(f"the partition projection of {database}.{name}")
    return GlueTable(database, name, columns, tuple(key["Name"].lower() for key in keys), definition)


def _read_view(database: str, name: str, definition: Mapping[str, Any]) -> View:
    text = str(definition.get("ViewOriginalText", ""))
    try:
        if not (text.startswith(VIEW_PREFIX) and text.endswith(VIEW_SUFFIX)):
            raise ValueError(text)  # noqa: TRY301
        content = json.loads(base64.b64decode(text[len(VIEW_PREFIX) : -len(VIEW_SUFFIX)], validate=True))
        columns = tuple((column["name"], _view_type(column["type"])) for column in content["columns"])
        return View(content.get("schema") or database, content["originalSql"], columns)
    except (ValueError, KeyError, binascii.Error):
        raise StatementFailed("INVALID_VIEW", f"Invalid view text of {database}.{name}") from None


def _view_type(text: str) -> SqlType:
    """Return the type that Trino writes as *text*, like `map(varchar, bigint)`."""
    plain = text.lower()
    if plain.startswith(("array(", "map(")):
        plain = plain.replace("(", "<", 1)[:-1] + ">"
    return hive_type(plain)


def view_text(view: View) -> str:
    """Return what the Glue catalog keeps of *view*."""
    content = {
        "originalSql": view.query,
        "catalog": "awsdatacatalog",
        "schema": view.database,
        "columns": [{"name": name, "type": _presto_name(kind)} for name, kind in view.columns],
    }
    return f"{VIEW_PREFIX}{base64.b64encode(json.dumps(content).encode()).decode()}{VIEW_SUFFIX}"


def _presto_name(kind: SqlType) -> str:
    return kind.name if kind.name in ("varchar", "timestamp") else str(kind)


def partitions_of(table: GlueTable, registered: list[Mapping[str, Any]]) -> list[Partition]:
    """Return the partitions of *table*: those registered, or for a table without keys its whole location.

    Raises:
        StatementFailed: A partition's values or columns are not the table's.
    """
    if not table.keys:
        bucket, prefix = location(table.definition["StorageDescriptor"].get("Location", ""))
        return [Partition((), (), bucket, prefix)]
    kinds = dict(table.columns)
    readers = [_READERS.get(kinds[key].name) for key in table.keys]
    if None in readers:
        raise not_supported(f"a partition key of {table.full_name} of type {kinds[table.keys[readers.index(None)]]}")
    checked: Any = None
    partitions = []
    for entry in registered:
        texts = tuple(entry.get("Values") or ())
        if len(texts) != len(table.keys):
            raise StatementFailed("HIVE_INVALID_METADATA", f"A partition of {table.full_name} has values {texts}")
        values = tuple(_value(read, text, table) for read, text in zip(readers, texts, strict=True) if read)
        storage = entry.get("StorageDescriptor") or {}
        declared = storage.get("Columns") or ()
        # Thousands of partitions declare the very same columns.
        if declared != checked:
            _check_columns(table, declared, texts)
            checked = declared
        bucket, prefix = location(storage.get("Location", ""))
        partitions.append(Partition(values, texts, bucket, prefix))
    return partitions


def location(uri: str) -> tuple[str, str]:
    """Return bucket and key prefix of a location."""
    parts = urlsplit(uri)
    prefix = parts.path.lstrip("/")
    if parts.scheme not in ("s3", "s3a", "s3n") or not parts.netloc:
        raise StatementFailed("HIVE_INVALID_METADATA", f"The location {uri!r} is not in S3")
    return parts.netloc, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _check_columns(table: GlueTable, declared: list[Mapping[str, Any]] | tuple[()], texts: tuple[str, ...]) -> None:
    kinds = dict(table.file_columns)
    for column in declared:
        name = column["Name"].lower()
        kind = hive_type(column.get("Type", "string"))
        if name in kinds and kinds[name].duckdb != kind.duckdb:
            partition = "/".join(f"{key}={text}" for key, text in zip(table.keys, texts, strict=True))
            raise StatementFailed(
                "HIVE_PARTITION_SCHEMA_MISMATCH",
                "There is a mismatch between the table and partition schemas. The types are incompatible and cannot be "
                f"coerced. The column '{name}' in table '{table.full_name}' is declared as type '{kinds[name]}', but "
                f"partition '{partition}' declared column '{name}' as type '{kind}'.",
            )


def _value(read: Callable[[str], Any], text: str, table: GlueTable) -> Any:
    if text == _HIVE_DEFAULT:
        return None
    try:
        return read(text)
    except ValueFailed as error:
        _, message = failure_in(str(error)) or ("", text)
        raise StatementFailed(
            "HIVE_INVALID_PARTITION_VALUE", f"Invalid partition value '{text}' of {table.full_name}: {message}"
        ) from None


def _read_day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        day = text_to_date(text)
        if day is None:
            raise AssertionError("a text is a date or it is refused") from None
        return day


_READERS: dict[str, Callable[[str], Any]] = {
    "varchar": str,
    "date": _read_day,
    "integer": lambda text: text_to_integer(text, "integer"),
    "bigint": lambda text: text_to_integer(text, "bigint"),
}
