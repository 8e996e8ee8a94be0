"""What the lake holds of one index, and how two such images differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from infrastructure.compare import KEYS
from local.athena import ask
from local.cloud import Cloud

TABLES = tuple(table for table in KEYS if "index_code" in KEYS[table])
"""The tables that are by index."""

Row = tuple[tuple[str, str | None], ...]
"""Names and values of all columns, by name."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Image:
    """Every row of every table of one index, and its keys in the raw bucket."""

    rows: Mapping[str, Counter[Row]]
    raw_keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Differences:
    """What an image lacks, and what it has that it should not, each in words."""

    lost: tuple[str, ...]
    wrong: tuple[str, ...]


def image_of(cloud: Cloud, index_code: str) -> Image:
    """Read the image of *index_code*, its tables through SQL.

    Raises:
        QueryFailed: Athena failed, as over a partition without its file.
    """
    athena, s3 = cloud.client("athena"), cloud.client("s3")
    rows = {
        table: Counter(
            row_of(found)
            for found in ask(athena, f"SELECT * FROM {table} WHERE index_code = '{index_code}'").as_dicts()  # noqa: S608
        )
        for table in TABLES
    }
    keys: set[str] = set()
    for folder in ("portfolio", "source"):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=cloud.outputs["RawBucketName"], Prefix=f"{folder}/index_code={index_code}/"
        )
        keys |= {item["Key"] for page in pages for item in page.get("Contents", ())}
    return Image(rows, frozenset(keys))


def row_of(values: Mapping[str, object]) -> Row:
    """Return a row of SQL in a form that can be counted."""
    return tuple(sorted((name, None if value is None else str(value)) for name, value in values.items()))


def differences(seen: Image, untroubled: Image) -> Differences:
    """Say what *seen* lacks and what it has beside what a lake without faults has, rows counted."""
    lost = _shown("raw object", untroubled.raw_keys - seen.raw_keys)
    wrong = _shown("raw object", seen.raw_keys - untroubled.raw_keys)
    for table, rows in untroubled.rows.items():
        found = seen.rows.get(table, Counter())
        lost += _shown(f"row of {table}", {_name(table, row) for row in rows - found})
        wrong += _shown(f"row of {table}", {_name(table, row) for row in found - rows})
    return Differences(tuple(lost), tuple(wrong))


def _name(table: str, row: Row) -> str:
    values = dict(row)
    return "/".join(str(values.get(key)) for key in KEYS[table])


def _shown(what: str, names: set[str] | frozenset[str]) -> list[str]:
    ordered = sorted(names)
    more = [f"{len(ordered) - _SHOWN} more of {what}"] if len(ordered) > _SHOWN else []
    return [f"{what} {name}" for name in ordered[:_SHOWN]] + more
