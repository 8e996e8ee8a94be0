"""What a lake of given CSV files holds, in Python's types, for the reckonings of queries and views."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.trading_reckoning import refined_rows, session_rows, trading_rows

Row = dict[str, Any]
Values = dict[str, Any]
"""The value of each parameter: str, int, date, or None."""

_TEXTS = frozenset(
    """
    index_code ticker company share_class corporate_event listing_segment sector_as_published sector subsector
    quantity_change_cause membership participation_level bdi_code isin
    """.split()
)
_DECIMALS = (
    *("_pct", "_pp", "_brl", "_points", "index_level", "reductor", "concentration_hhi", "effective_holdings"),
    *("average_trades", "transaction_frequency"),
)


class History:
    """The rows of the lake, each a dict of column to value.

    Args:
        contents: Files of sessions.
        trading_days: Records of one trading day each.
    """

    def __init__(self, contents: Iterable[bytes], trading_days: Iterable[bytes]) -> None:
        contents, trading_days = list(contents), list(trading_days)
        self.sessions: dict[str, dict[dt.date, Row]] = {}
        """By index and date, in order of date."""
        self.holdings: dict[str, dict[dt.date, dict[str, Row]]] = {}
        """By index, date and ticker, in order of date and rank."""
        for (index_code, date), texts in sorted(session_rows(contents, trading_days).items()):
            row = _typed({"index_code": index_code, "session_date": date} | texts)
            self.sessions.setdefault(index_code, {})[row["session_date"]] = row
            self.holdings.setdefault(index_code, {})[row["session_date"]] = {}
        rows = [
            _typed(dict(zip(("index_code", "session_date", "ticker"), key, strict=True)) | texts)
            | {"session_year": int(key[1][:4])}
            for key, texts in refined_rows(contents, trading_days).items()
        ]
        for row in sorted(rows, key=lambda row: row["participation_rank"]):
            self.holdings[row["index_code"]][row["session_date"]][row["ticker"]] = row
        self.trading: dict[dt.date, dict[str, Row]] = {}
        """By trading day and ticker, in order of both."""
        for (date, ticker), texts in sorted(trading_rows(trading_days).items()):
            row = _typed({"session_date": date, "ticker": ticker} | texts)
            self.trading.setdefault(row["session_date"], {})[ticker] = row

    def dates(self, index_code: str) -> list[dt.date]:
        """The stored sessions of an index."""
        return list(self.sessions.get(index_code, ()))

    def day(self, values: Values, bound: str = "session_date") -> dt.date | None:
        """The last stored session of the index up to the day that a parameter says."""
        return max((date for date in self.dates(values["index_code"]) if _up_to(date, values[bound])), default=None)

    def portfolio(self, values: Values) -> list[Row]:
        """The holdings of the chosen day, by rank."""
        day = self.day(values)
        return [] if day is None else list(self.holdings[values["index_code"]][day].values())

    def traded_portfolio(self, values: Values) -> list[Row]:
        """The holdings, by rank, of the last session up to the chosen day whose trading day is stored."""
        traded = [date for date in self.dates(values["index_code"]) if date in self.trading]
        day = max((date for date in traded if _up_to(date, values["session_date"])), default=None)
        return [] if day is None else list(self.holdings[values["index_code"]][day].values())

    def market(self, values: Values) -> list[Row]:
        """What the market did on the last stored trading day up to the chosen day, by ticker."""
        day = max((date for date in self.trading if _up_to(date, values["session_date"])), default=None)
        return [] if day is None else list(self.trading[day].values())

    def pair(self, values: Values) -> tuple[dt.date, dt.date] | None:
        """The two sessions between which a query compares."""
        last = self.day(values, "to_date")
        earlier = [date for date in self.dates(values["index_code"]) if last and date < last]
        first = max((date for date in earlier if _up_to(date, values["from_date"])), default=None)
        return None if last is None or first is None else (first, last)

    def span(self, values: Values, index_code: str | None = None) -> list[Row]:
        """The sessions of an index within the days that the parameters say."""
        code = values["index_code"] if index_code is None else index_code
        return [row for row in self.sessions.get(code, {}).values() if within(row["session_date"], values)]

    def held(self, values: Values, index_code: str | None = None) -> list[Row]:
        """The holdings of those sessions, by date and rank."""
        days = self.span(values, index_code)
        return [row for day in days for row in self.holdings[day["index_code"]][day["session_date"]].values()]

    def everything(self, values: Values) -> list[Row]:
        """The holdings of all indexes within the days that the parameters say."""
        return [row for index_code in list(self.sessions) for row in self.held(values, index_code)]

    def before(self, index_code: str, date: dt.date) -> dt.date | None:
        """The stored session before this one."""
        return max((other for other in self.dates(index_code) if other < date), default=None)

    def after(self, index_code: str, date: dt.date) -> dt.date | None:
        """The stored session after this one."""
        return min((other for other in self.dates(index_code) if other > date), default=None)


def within(date: dt.date, values: Values) -> bool:
    """Whether a day lies within the days that the parameters say."""
    return (values["from_date"] is None or values["from_date"] <= date) and _up_to(date, values["to_date"])


def _up_to(date: dt.date, bound: dt.date | None) -> bool:
    return bound is None or date <= bound


def total(rows: Iterable[Row], column: str = "participation_pct") -> Any:
    """The sum of a column."""
    return sum((row[column] for row in rows), 0)


def rounded(value: Decimal, places: int) -> Decimal:
    """Half away from zero; what comes to nothing has no sign."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP) + 0


def pick(row: Row, columns: str) -> Row:
    """Some columns of a row."""
    return {column: row[column] for column in columns.split()}


def grouped(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """The rows by the values of columns."""
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    return dict(groups)


def nulls_last(value: Any) -> tuple[bool, Any]:
    """A key that sorts as SQL does."""
    return value is None, "" if value is None else value


def _typed(texts: dict[str, str | None]) -> Row:
    return {column: None if text is None else _value(column, text) for column, text in texts.items()}


def _value(column: str, text: str) -> Any:
    if column in _TEXTS:
        return text
    if column.endswith("_date"):
        return dt.date.fromisoformat(text)
    if column.startswith("is_"):
        return text == "True"
    return Decimal(text) if column.endswith(_DECIMALS) else int(text)
