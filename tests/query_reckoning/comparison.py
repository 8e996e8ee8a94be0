"""What SQL answers beside what the reckonings say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from infrastructure.athena_queries import NamedQuery
from tests.query_reckoning.history import Row, Values

Texts = list[tuple[str | None, ...]]

_TYPES: dict[str, Any] = {"text": str, "date": dt.date.fromisoformat, "whole": int}


def choices_of(query: NamedQuery, choices: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the different choices that there are for the parameters of *query*."""
    names = {parameter.name for parameter in query.parameters}
    found: list[dict[str, str]] = []
    for choice in choices:
        fitting = {name: value for name, value in choice.items() if name in names}
        if fitting not in found:
            found.append(fitting)
    return found


def values_of(query: NamedQuery, choice: dict[str, str]) -> Values:
    """Return the value of every parameter."""
    texts = {parameter.name: choice.get(parameter.name, parameter.default) for parameter in query.parameters}
    kinds = {parameter.name: parameter.kind for parameter in query.parameters}
    return {name: None if text is None else _TYPES[kinds[name]](text) for name, text in texts.items()}


def answered(rows: Iterable[Iterable[Any]]) -> Texts:
    """Return an answer's rows as texts."""
    return [_texts(row) for row in rows]


def expected(rows: list[Row], columns: Sequence[str]) -> Texts:
    """Return reckoned rows as texts, in the order of *columns*, which must be theirs."""
    for row in rows:
        assert row.keys() == set(columns)
    return answered([row[column] for column in columns] for row in rows)


def in_any_order(rows: Texts) -> Texts:
    """Return rows in an order of their own."""
    return sorted(rows, key=lambda row: [(value is None, value or "") for value in row])


def _texts(row: Iterable[Any]) -> tuple[str | None, ...]:
    return tuple(
        None if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in row
    )
