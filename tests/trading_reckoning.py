"""An independent reckoning of all that trading days say: plain Python over B3's CSV and COTAHIST texts.

Like `tests.reckoning`, it shares no code with the product: columns are cut out of the text by B3's own table, windows
are lists of dates, sums are loops.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache, reduce

from tests import compact_reckoning, reckoning
from tests.reckoning import Key, text

Row = dict[str, str | None]

EXACT = Context(prec=80, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Trades:
    """What one ticker did on one day, as B3 wrote it."""

    fields: dict[str, str]

    @property
    def factor(self) -> int:
        return int(self.fields["FATCOT"])

    def price(self, name: str) -> Decimal:
        return EXACT.divide(Decimal(int(self.fields[name])), Decimal(100 * self.factor))

    @property
    def close(self) -> Decimal:
        return self.price("PREULT")

    @property
    def trades(self) -> int:
        return int(self.fields["TOTNEG"])

    @property
    def volume(self) -> Decimal:
        return Decimal(int(self.fields["VOLTOT"])) / 100


Days = dict[dt.date, dict[str, Trades]]
"""The cash market of each day, by ticker."""

Actions = dict[tuple[str, str], list[tuple[dt.date, dt.date]]]
"""The corporate actions of each index and ticker: the session of each, and the one before it."""

COLUMNS = {
    "CODBDI": (11, 12),
    "CODNEG": (13, 24),
    "TPMERC": (25, 27),
    "NOMRES": (28, 39),
    "ESPECI": (40, 49),
    "PREABE": (57, 69),
    "PREMAX": (70, 82),
    "PREMIN": (83, 95),
    "PREMED": (96, 108),
    "PREULT": (109, 121),
    "TOTNEG": (148, 152),
    "QUATOT": (153, 170),
    "VOLTOT": (171, 188),
    "FATCOT": (211, 217),
    "CODISI": (231, 242),
}
"""B3's table of the record: first and last column of each field, counted from 1."""


def days_of(contents: Iterable[bytes]) -> Days:
    """Read COTAHIST files of one day each that are known to be sound."""
    return dict(map(_day_of, contents))


# A test asks for the rows of the same few days again and again, of each table one after the other.
@lru_cache(maxsize=32)
def _day_of(content: bytes) -> tuple[dt.date, dict[str, Trades]]:
    lines = content.decode("iso-8859-1").splitlines()
    day = dt.datetime.strptime(lines[0][23:31], "%Y%m%d").date()  # noqa: DTZ007 - a date without a time
    trades: dict[str, Trades] = {}
    for line in lines[1:-1]:
        fields = {name: line[first - 1 : last] for name, (first, last) in COLUMNS.items()}
        if fields["TPMERC"] == "010":
            trades[fields["CODNEG"].strip()] = Trades(fields)
    return day, trades


def trading_rows(texts: Iterable[bytes]) -> dict[tuple[str, str], Row]:
    """Return every column of every row of `trading`, as the text that Athena gives, by date and ticker."""
    days = days_of(texts)
    rows: dict[tuple[str, str], Row] = {}
    for day, market in days.items():
        window = _window(day, days)
        market_trades = sum(one.trades for one in market.values())
        market_volume = sum((one.volume for one in market.values()), Decimal(0))
        for ticker, one in market.items():
            traded = [other for other in window if ticker in days[other]]
            trades = [days[other][ticker].trades for other in traded]
            before = [other for other in traded if other != day]
            previous = days[before[-1]][ticker].close if before else None
            fields = one.fields
            rows[str(day), ticker] = {
                "session_year": str(day.year),
                "company": fields["NOMRES"].rstrip(),
                "share_class": fields["ESPECI"][:4].rstrip(),
                "corporate_event": fields["ESPECI"][4:8].strip() or None,
                "listing_segment": fields["ESPECI"][8:10].strip() or None,
                "bdi_code": fields["CODBDI"],
                "isin": fields["CODISI"],
                "open_price_brl": _rounded(one.price("PREABE"), 8),
                "high_price_brl": _rounded(one.price("PREMAX"), 8),
                "low_price_brl": _rounded(one.price("PREMIN"), 8),
                "average_price_brl": _rounded(one.price("PREMED"), 8),
                "close_price_brl": _rounded(one.close, 8),
                "trades": str(one.trades),
                "traded_quantity": str(int(fields["QUATOT"])),
                "volume_brl": _rounded(one.volume, 2),
                "quotation_factor": str(one.factor),
                "market_trades_pct": _quotient(100 * one.trades, market_trades, 6),
                "market_volume_pct": _quotient(100 * one.volume, market_volume, 6),
                "trading_days_observed": str(len(window)),
                "traded_days": str(len(traded)),
                "average_trades": _quotient(sum(trades), len(trades), 6),
                "transaction_frequency": _quotient(one.trades * len(trades), sum(trades), 6),
                "previous_close_price_brl": None if previous is None else _rounded(previous, 8),
                "previous_close_price_date": str(before[-1]) if before else None,
                "price_change_pct": None if previous is None else _quotient(100 * (one.close - previous), previous, 6),
            }
    return rows


def refined_rows(contents: Iterable[bytes], texts: Iterable[bytes]) -> dict[Key, Row]:
    """Return every column of every row of `portfolio` when the lake holds *contents* and the days of *texts*."""
    contents, days = list(contents), days_of(texts)
    rows = reckoning.refined_rows(contents)
    members: defaultdict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for (index_code, session_date, ticker), row in rows.items():
        members[index_code, session_date][ticker] = row
    actions = _corporate_actions(rows)
    traded = {
        (*key, ticker): found
        for key, of_session in members.items()
        for ticker, found in _traded(of_session, days, key, actions)
    }
    return {key: row | traded.get(key, {}) for key, row in rows.items()}


def session_rows(contents: Iterable[bytes], texts: Iterable[bytes]) -> dict[tuple[str, str], Row]:
    """Return every column of every row of `sessions` when the lake holds *contents* and the days of *texts*."""
    contents, days = list(contents), days_of(texts)
    refined = reckoning.refined_rows(contents)
    rows = compact_reckoning.session_rows(contents)
    actions = _corporate_actions(refined)
    levels = {key: _level(refined, days, key, _date(key[1]), actions) for key in rows}
    return {key: row | _session(refined, levels[key], days, key, actions) for key, row in rows.items()}


def _traded(members: dict[str, Row], days: Days, key: tuple[str, str], actions: Actions) -> Iterator[tuple[str, Row]]:
    """What the trading day of a session says of each of its holdings."""
    day = _date(key[1])
    if day not in days:
        return
    quotes = days[day]
    trades = {name: quotes[name].trades if name in quotes else 0 for name in members}
    volumes = {name: quotes[name].volume if name in quotes else Decimal(0) for name in members}
    values = {
        name: _value(row, _last_close(name, day, day, days), _since(actions.get((key[0], name), ()), day, day))
        for name, row in members.items()
    }
    total = None if None in values.values() else sum(filter(None, values.values()), Decimal(0))
    all_trades, all_volumes = sum(trades.values()), sum(volumes.values(), Decimal(0))
    for ticker, row in members.items():
        traded = [days[other][ticker].trades for other in _window(day, days) if ticker in days[other]]
        close = _last_close(ticker, day, day, days)
        opening = _opening_value(row, ticker, day, days, actions.get((key[0], ticker), ()))
        value = values[ticker]
        closing = None if total is None else Decimal(_quotient(100 * (value or 0), total, 6))
        published, reductor = Decimal(row["participation_pct"] or ""), Decimal(row["reductor"] or "")
        change = None if value is None or opening is None else value - opening
        yield (
            ticker,
            {
                "trades": str(trades[ticker]),
                "transaction_frequency": _quotient(trades[ticker] * len(traded), sum(traded), 6) if traded else None,
                "index_trades_pct": _quotient(100 * trades[ticker], all_trades, 6) if all_trades else None,
                "volume_brl": _rounded(volumes[ticker], 2),
                "index_volume_pct": _quotient(100 * volumes[ticker], all_volumes, 6) if all_volumes else None,
                "close_price_brl": None if close is None else _rounded(close[1], 8),
                "close_price_date": None if close is None else str(close[0]),
                "market_value_brl": None if value is None else _rounded(value, 8),
                "closing_participation_pct": None if closing is None else _rounded(closing, 6),
                "participation_drift_pp": None if closing is None else _rounded(closing - published, 6),
                "index_contribution_points": None if change is None else _quotient(change, reductor, 4),
            },
        )


def _session(refined: dict[Key, Row], level: Decimal | None, days: Days, key: tuple[str, str], actions: Actions) -> Row:
    index_code, session_date = key
    members = {ticker: row for (code, date, ticker), row in refined.items() if (code, date) == key}
    day = _date(session_date)
    previous_date = next(iter(members.values()))["previous_session_date"]
    previous = _level(refined, days, (index_code, previous_date), day, actions) if previous_date else None
    found: Row = {
        "index_level": text(level),
        "previous_index_level": text(previous),
        "index_change_points": None,
        "index_change_pct": None,
        **dict.fromkeys(("trades", "volume_brl", "holdings_traded")),
        **dict.fromkeys(("participations_compared", "participations_reproduced", "participation_max_difference_pp")),
    }
    if level is not None and previous is not None:
        found["index_change_points"] = _rounded(level - previous, 4)
        found["index_change_pct"] = _quotient(100 * (level - previous), previous, 6)
    if day in days:
        traded = [days[day][ticker] for ticker in members if ticker in days[day]]
        found["trades"] = str(sum(one.trades for one in traded))
        found["volume_brl"] = _rounded(sum((one.volume for one in traded), Decimal(0)), 2)
        found["holdings_traded"] = str(len(traded))
    openings = {
        ticker: _opening_value(row, ticker, day, days, actions.get((index_code, ticker), ()))
        for ticker, row in members.items()
    }
    if _before(day, days) in days and None not in openings.values():
        total = sum(filter(None, openings.values()), Decimal(0))
        differences = [
            abs(Decimal(row["participation_pct"] or "") - Decimal(_quotient(100 * (openings[ticker] or 0), total, 3)))
            for ticker, row in members.items()
        ]
        found["participations_compared"] = str(len(differences))
        found["participations_reproduced"] = str(differences.count(Decimal(0)))
        found["participation_max_difference_pp"] = _rounded(max(differences), 3)
    return found


def _level(
    refined: dict[Key, Row], days: Days, session: tuple[str, str], seen_from: dt.date, actions: Actions
) -> Decimal | None:
    """The index at the close of a session, by its own holdings, with what is in the window of the day *seen_from*."""
    day = _date(session[1])
    if day not in days:
        return None
    members = {ticker: row for (code, date, ticker), row in refined.items() if (code, date) == session}
    values = [
        _value(
            row,
            _last_close(ticker, day, seen_from, days),
            _since(actions.get((session[0], ticker), ()), day, seen_from),
        )
        for ticker, row in members.items()
    ]
    if None in values:
        return None
    total = reduce(EXACT.add, filter(None, values), Decimal(0))
    return Decimal(_quotient(total, Decimal(next(iter(members.values()))["reductor"] or ""), 4))


def _value(row: Row, close: tuple[dt.date, Decimal] | None, last_action: dt.date) -> Decimal | None:
    """At the last close, which says nothing of the shares that there are since a later corporate action."""
    if close is None or close[0] < last_action:
        return None
    return EXACT.multiply(close[1], Decimal(row["theoretical_quantity"] or ""))


def _opening_value(
    row: Row, ticker: str, day: dt.date, days: Days, actions: Iterable[tuple[dt.date, dt.date]]
) -> Decimal | None:
    """At the last close before the session, with the shares that it was the close of."""
    before = [other for other in _window(day, days) if other < day and ticker in days[other]]
    if not before or before[-1] < _since((one for one in actions if one[0] < day), day, day):
        return None
    quantity = int(row["theoretical_quantity"] or "")
    if row["quantity_change_cause"] == "corporate_action":
        if str(before[-1]) > (row["previous_session_date"] or ""):
            return None
        quantity -= int(row["theoretical_quantity_change"] or "")
    return EXACT.multiply(days[before[-1]][ticker].close, Decimal(quantity))


def _corporate_actions(refined: dict[Key, Row]) -> Actions:
    found: Actions = defaultdict(list)
    for (index_code, session_date, ticker), row in refined.items():
        if row["quantity_change_cause"] == "corporate_action":
            found[index_code, ticker].append((_date(session_date), _date(row["previous_session_date"] or "")))
    return found


def _since(actions: Iterable[tuple[dt.date, dt.date]], day: dt.date, seen_from: dt.date) -> dt.date:
    """The last of a ticker's corporate actions up to *day* that shows in the window of the day *seen_from*."""
    first = _first_session(seen_from)
    return max((action for action, previous in actions if action <= day and previous >= first), default=dt.date.min)


@cache
def _first_session(day: dt.date) -> dt.date:
    """The first of the last 21 trading sessions, *day* included."""
    calendar = sorted({*reckoning.trading_sessions(), day})
    return calendar[max(0, calendar.index(day) - 20)]


def _last_close(ticker: str, day: dt.date, seen_from: dt.date, days: Days) -> tuple[dt.date, Decimal] | None:
    """The last close up to *day* in the window of the day *seen_from*, and its date."""
    traded = [other for other in _window(seen_from, days) if other <= day and ticker in days[other]]
    return (traded[-1], days[traded[-1]][ticker].close) if traded else None


def _window(day: dt.date, days: Days) -> tuple[dt.date, ...]:
    """The stored days among the last 21 trading days, this one included."""
    return _stored_window(day, frozenset(days))


@cache
def _stored_window(day: dt.date, stored: frozenset[dt.date]) -> tuple[dt.date, ...]:
    calendar = _calendar(stored)
    position = calendar.index(day)
    return tuple(other for other in calendar[max(0, position - 20) : position + 1] if other in stored)


def _before(day: dt.date, days: Days) -> dt.date:
    calendar = _calendar(frozenset(days))
    return calendar[calendar.index(day) - 1]


@cache
def _calendar(stored: frozenset[dt.date]) -> list[dt.date]:
    return sorted({*reckoning.trading_sessions(), *stored})


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _quotient(numerator: Decimal | int, denominator: Decimal | int, places: int) -> str:
    return _rounded(EXACT.divide(Decimal(numerator), Decimal(denominator)), places)


def _rounded(value: Decimal, places: int) -> str:
    # SQL's decimals have no -0.
    return f"{EXACT.add(EXACT.quantize(value, Decimal(1).scaleb(-places)), Decimal(0)):f}"
