"""Trino's SQL types: their names, what they widen to, and how DuckDB, Arrow and Athena's answers write them."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa

from local.athena_server.errors import StatementFailed, not_supported

_INTEGERS = ("tinyint", "smallint", "integer", "bigint")
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
_MAX_DIGITS = 38


@dataclass(frozen=True)
class SqlType:
    """A type of Trino's SQL, or `unknown`, the type of NULL."""

    name: str
    precision: int = 0
    """Digits of a decimal or of a timestamp's fraction; the length of a varchar that is known, else 0."""
    scale: int = 0
    items: tuple[SqlType, ...] = ()
    labels: tuple[str, ...] = ()
    """Field names of a row, empty where a field has none."""

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "varchar" and self.precision:
            return f"varchar({self.precision})"
        if self.name == "timestamp":
            return f"timestamp({self.precision})"
        if self.name == "row":
            fields = (f"{label} {item}".strip() for label, item in zip(self.labels, self.items, strict=True))
            return f"row({', '.join(fields)})"
        if self.items:
            return f"{self.name}({', '.join(map(str, self.items))})"
        return self.name

    @property
    def is_integer(self) -> bool:
        """A whole number of fixed size."""
        return self.name in _INTEGERS

    @property
    def is_exact(self) -> bool:
        """A whole number or a decimal."""
        return self.is_integer or self.name == "decimal"

    @property
    def is_numeric(self) -> bool:
        """Any number."""
        return self.is_exact or self.name in ("real", "double")

    @property
    def as_decimal(self) -> SqlType:
        """The decimal that holds every value of this exact type."""
        return self if self.name == "decimal" else SqlType("decimal", _INTEGER_DIGITS[self.name], 0)

    @property
    def duckdb(self) -> str:
        """The type of DuckDB that holds this one's values exactly."""
        if self.name == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        if self.name == "array":
            return f"{self.items[0].duckdb}[]"
        if self.name == "map":
            return f"MAP({self.items[0].duckdb}, {self.items[1].duckdb})"
        if self.name == "row":
            fields = (f'"f{number}" {item.duckdb}' for number, item in enumerate(self.items))
            return f"STRUCT({', '.join(fields)})"
        return _DUCKDB[self.name]

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type in which a table's column of this type is kept."""
        if self.name == "decimal":
            return pa.decimal128(self.precision, self.scale)
        if self.name == "array":
            return pa.list_(self.items[0].arrow)
        if self.name == "map":
            return pa.map_(self.items[0].arrow, self.items[1].arrow)
        if self.name == "row":
            return pa.struct([(f"f{number}", item.arrow) for number, item in enumerate(self.items)])
        return _ARROW[self.name]()


UNKNOWN = SqlType("unknown")
BOOLEAN = SqlType("boolean")
INTEGER = SqlType("integer")
BIGINT = SqlType("bigint")
DOUBLE = SqlType("double")
REAL = SqlType("real")
VARCHAR = SqlType("varchar")
DATE = SqlType("date")
TIMESTAMP = SqlType("timestamp", 3)
DAYS = SqlType("interval day to second")
MONTHS = SqlType("interval year to month")

_DUCKDB = {
    "unknown": "INTEGER",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "varchar": "VARCHAR",
    "varbinary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "interval day to second": "INTERVAL",
    "interval year to month": "INTERVAL",
}
_ARROW = {
    "boolean": pa.bool_,
    "tinyint": pa.int8,
    "smallint": pa.int16,
    "integer": pa.int32,
    "bigint": pa.int64,
    "real": pa.float32,
    "double": pa.float64,
    "varchar": pa.string,
    "varbinary": pa.binary,
    "date": pa.date32,
    "timestamp": lambda: pa.timestamp("us"),
}
_HIVE_NAMES = {"string": "varchar", "int": "integer", "float": "real", "binary": "varbinary"}
_PRECISIONS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "timestamp": 3}
_LONGEST_VARCHAR = 2**31 - 1


def decimal(precision: int, scale: int) -> SqlType:
    """A decimal of at most 38 digits."""
    if scale > _MAX_DIGITS:
        raise StatementFailed("NUMERIC_VALUE_OUT_OF_RANGE", f"DECIMAL scale {scale} is more than 38")
    return SqlType("decimal", min(_MAX_DIGITS, precision), scale)


def array(item: SqlType) -> SqlType:
    """An array of *item*."""
    return SqlType("array", items=(item,))


def common_type(  # noqa: PLR0911 - one for each rule
    left: SqlType, right: SqlType
) -> SqlType | None:
    """Return the type to which Trino widens both without being asked, or None."""
    if left == right or right.name == "unknown":
        return left
    if left.name == "unknown":
        return right
    if left.name == right.name == "varchar":
        return VARCHAR
    if left.is_integer and right.is_integer:
        return max(left, right, key=lambda kind: _INTEGERS.index(kind.name))
    if left.is_exact and right.is_exact:
        one, other = left.as_decimal, right.as_decimal
        scale = max(one.scale, other.scale)
        return decimal(scale + max(one.precision - one.scale, other.precision - other.scale), scale)
    if left.is_numeric and right.is_numeric:
        return DOUBLE if "double" in (left.name, right.name) else REAL
    if {left.name, right.name} <= {"date", "timestamp"}:
        return SqlType("timestamp", max(left.precision, right.precision))
    if left.name == right.name and left.items and len(left.items) == len(right.items):
        items = [common_type(one, other) for one, other in zip(left.items, right.items, strict=True)]
        if all(items):
            labels = left.labels if left.labels == right.labels else ("",) * len(left.labels)
            return SqlType(left.name, items=tuple(item for item in items if item), labels=labels)
    return None


def hive_type(text: str) -> SqlType:
    """Return the type that a Glue table declares as *text*, like `decimal(6,3)` or `array<string>`."""
    kind, rest = _hive_type(text.strip().lower().replace(" ", ""))
    if rest:
        raise not_supported(f"the column type {text}")
    return kind


def _hive_type(text: str) -> tuple[SqlType, str]:
    match = re.match(r"[a-z_]+", text)
    if match is None:
        raise not_supported(f"the column type {text}")
    name, rest = match.group(), text[match.end() :]
    name = _HIVE_NAMES.get(name, name)
    if name == "decimal":
        sizes = re.match(r"\((\d+)(?:,(\d+))?\)", rest)
        if sizes is None:
            return decimal(10, 0), rest
        return decimal(int(sizes[1]), int(sizes[2] or 0)), rest[sizes.end() :]
    if name == "varchar":
        return VARCHAR, re.sub(r"^\(\d+\)", "", rest)
    if name in ("array", "map", "struct") and rest.startswith("<"):
        return _hive_nested(name, rest[1:])
    if name == "timestamp":
        return TIMESTAMP, rest
    if name not in _ARROW:
        raise not_supported(f"the column type {name}")
    return SqlType(name), rest


def _hive_nested(name: str, rest: str) -> tuple[SqlType, str]:
    items: list[SqlType] = []
    labels: list[str] = []
    while True:
        if name == "struct":
            label, _, rest = rest.partition(":")
            labels.append(label)
        item, rest = _hive_type(rest)
        items.append(item)
        if rest.startswith(">"):
            break
        if not rest.startswith(","):
            raise not_supported(f"the column type {name}<{rest}")
        rest = rest[1:]
    return SqlType("row" if name == "struct" else name, items=tuple(items), labels=tuple(labels)), rest[1:]


def hive_name(kind: SqlType) -> str:
    """Return how a Glue table declares *kind*."""
    if kind.name in ("array", "map"):
        return f"{kind.name}<{','.join(map(hive_name, kind.items))}>"
    if kind.name == "row":
        fields = (f"{label}:{hive_name(item)}" for label, item in zip(kind.labels, kind.items, strict=True))
        return f"struct<{','.join(fields)}>"
    names = {"varchar": "string", "integer": "int", "real": "float", "timestamp": "timestamp", "varbinary": "binary"}
    return names.get(kind.name, str(kind))


def column_info(name: str, kind: SqlType) -> dict[str, Any]:
    """Return the `ColumnInfo` with which Athena describes a column of an answer."""
    precision, scale = _PRECISIONS.get(kind.name, 0), 0
    if kind.name == "decimal":
        precision, scale = kind.precision, kind.scale
    elif kind.name == "varchar":
        precision = kind.precision or _LONGEST_VARCHAR
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": "float" if kind.name == "real" else kind.name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind.name == "varchar",
    }


def text_of(value: Any, kind: SqlType) -> str | None:
    """Return *value* as Athena's answers write it; None for NULL."""
    if value is None:
        return None
    if kind.name == "array":
        return f"[{', '.join(_inner(item, kind.items[0]) for item in value)}]"
    if kind.name == "map":
        key_type, value_type = kind.items
        pairs = (f"{text_of(key, key_type)}={_inner(item, value_type)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if kind.name == "row":
        labels = (label or f"field{number}" for number, label in enumerate(kind.labels))
        fields = zip(labels, value.values(), kind.items, strict=True)
        return f"{{{', '.join(f'{label}={_inner(item, item_type)}' for label, item, item_type in fields)}}}"
    return _scalar_text(value, kind)


def _inner(value: Any, kind: SqlType) -> str:
    text = text_of(value, kind)
    return "null" if text is None else text


def _scalar_text(value: Any, kind: SqlType) -> str:  # noqa: PLR0911 - one for each type
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind.name == "double":
        return java_double(value)
    if kind.name == "real":
        return _java_text(value, _shortest_float(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return timestamp_text(value, 3)
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex(" ")
    return str(value)


def timestamp_text(value: dt.datetime, precision: int) -> str:
    """Return `2025-02-03 10:00:00.000`, with *precision* digits after the point."""
    text = value.strftime("%H:%M:%S")
    fraction = f".{value.microsecond:06d}"[: precision + 1] if precision else ""
    return f"{value.date().isoformat()} {text}{fraction}"


def java_double(value: float) -> str:
    """Return *value* as Java's `Double.toString` writes it: `1.0`, `1.0E10`, `1.0E-4`."""
    return _java_text(value, repr(value))


def _java_text(value: float, shortest: str) -> str:
    if math.isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = Decimal(shortest).as_tuple()
    exponent = cast("int", exponent)
    text = "".join(map(str, digits)).rstrip("0") or "0"
    magnitude = len(digits) + exponent - 1
    minus = "-" if sign else ""
    if value == 0:
        return f"{minus}0.0"
    if not 1e-3 <= abs(value) < 1e7:
        return f"{minus}{text[0]}.{text[1:] or '0'}E{magnitude}"
    if magnitude < 0:
        return f"{minus}0.{'0' * (-magnitude - 1)}{text}"
    return f"{minus}{text[: magnitude + 1].ljust(magnitude + 1, '0')}.{text[magnitude + 1 :] or '0'}"


def _shortest_float(value: float) -> str:
    """Return the fewest digits that name this 32-bit float."""
    if not math.isfinite(value):
        return repr(value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return repr(value)
