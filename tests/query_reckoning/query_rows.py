"""An independent reckoning of each named query: plain Python over a `History`."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Callable
from decimal import Decimal

from tests.query_reckoning.history import (
    History,
    Row,
    Values,
    grouped,
    nulls_last,
    pick,
    rounded,
    total,
    within,
)
from tests.query_reckoning.view_rows import (
    holdings_with_sectors,
    latest_sessions,
    membership_stays,
    sectors_filled,
    ticker_history,
)

Reckoning = Callable[[History, Values], list[Row]]

QUERY_ROWS: dict[str, Reckoning] = {}

_ZERO = Decimal("0.000")


def _query(function: Reckoning) -> Reckoning:
    QUERY_ROWS[function.__name__] = function
    return function


# ------------------------------------------------------------------------------------------------------- of one day


@_query
def todays_portfolio(history: History, values: Values) -> list[Row]:
    columns = (
        "session_date participation_rank ticker company share_class theoretical_quantity participation_pct "
        "cumulative_participation_pct participation_level"
    )
    return [pick(row, columns) for row in history.portfolio(values)]


@_query
def company_participation(history: History, values: Values) -> list[Row]:
    groups = grouped(history.portfolio(values), "session_date", "company")
    found = [
        {
            "session_date": date,
            "company": company,
            "share_classes": len(rows),
            "tickers": ", ".join(sorted(row["ticker"] for row in rows)),
            "theoretical_quantity": total(rows, "theoretical_quantity"),
            "participation_pct": total(rows),
        }
        for (date, company), rows in groups.items()
    ]
    return sorted(found, key=lambda row: (-row["participation_pct"], row["company"]))


@_query
def company_over_share_classes(history: History, values: Values) -> list[Row]:
    found = []
    for rows in grouped(history.portfolio(values), "company").values():
        whole = total(rows)
        for row in rows if len(rows) > 1 else []:
            part = row["participation_pct"]
            found.append(
                pick(row, "session_date company ticker share_class theoretical_quantity participation_pct")
                | {
                    "company_share_classes": len(rows),
                    "company_participation_pct": whole,
                    "share_of_company_pct": rounded(100 * part / whole, 3) if whole else None,
                }
            )
    return sorted(
        found,
        key=lambda row: (
            -row["company_participation_pct"],
            row["company"],
            -row["participation_pct"],
            row["ticker"],
        ),
    )


def _divided(history: History, values: Values, column: str, more: Callable[[list[Row]], Row]) -> list[Row]:
    rows = history.portfolio(values)
    found = [
        {"session_date": members[0]["session_date"], column: key, "holdings": len(members)}
        | more(members)
        | {"participation_pct": total(members)}
        for (key,), members in grouped(rows, column).items()
    ]
    return sorted(found, key=lambda row: (-row["participation_pct"], nulls_last(row[column])))


@_query
def listing_segments(history: History, values: Values) -> list[Row]:
    return _divided(
        history, values, "listing_segment", lambda rows: {"companies": len({row["company"] for row in rows})}
    )


@_query
def share_classes(history: History, values: Values) -> list[Row]:
    return _divided(
        history, values, "share_class", lambda rows: {"theoretical_quantity": total(rows, "theoretical_quantity")}
    )


@_query
def levels_abc(history: History, values: Values) -> list[Row]:
    found = []
    for level in "ABC":
        rows = [row for row in history.portfolio(values) if row["participation_level"] == level]
        if rows:
            found.append(
                {
                    "session_date": rows[0]["session_date"],
                    "participation_level": level,
                    "holdings": len(rows),
                    "participation_pct": total(rows),
                    "largest_participation_pct": rows[0]["participation_pct"],
                    "smallest_participation_pct": rows[-1]["participation_pct"],
                    "first_ticker": rows[0]["ticker"],
                    "last_ticker": rows[-1]["ticker"],
                }
            )
    return found


@_query
def concentration_curve(history: History, values: Values) -> list[Row]:
    found = []
    for wanted in range(10, 101, 10):
        reached, count = _ZERO, 0
        for row in history.portfolio(values):
            if reached < wanted:
                reached, count = reached + row["participation_pct"], count + 1
        if count:
            day = history.day(values)
            found.append({"session_date": day, "at_least_pct": wanted, "holdings": count, "participation_pct": reached})
    return found


@_query
def concentration_by_sector(history: History, values: Values) -> list[Row]:
    day = history.day(values)
    rows = [
        row
        for row in holdings_with_sectors(history)
        if (row["index_code"], row["session_date"]) == (values["index_code"], day)
    ]
    found = []
    for (sector,), members in grouped(rows, "sector").items():
        largest = min(members, key=lambda row: row["participation_rank"])
        whole = total(members)
        squares = sum((row["participation_pct"] ** 2 for row in members), Decimal(0))
        found.append(
            {
                "session_date": day,
                "sector": sector,
                "holdings": len(members),
                "companies": len({row["company"] for row in members}),
                "filled_holdings": sum(row["is_sector_filled"] for row in members),
                "participation_pct": whole,
                "largest_ticker": largest["ticker"],
                "largest_participation_pct": largest["participation_pct"],
                "sector_hhi": rounded(10000 * squares / whole**2, 6) if whole else None,
            }
        )
    return sorted(found, key=lambda row: (-row["participation_pct"], nulls_last(row["sector"])))


@_query
def corporate_events_in_effect(history: History, values: Values) -> list[Row]:
    found = []
    for row in sorted(history.portfolio(values), key=lambda row: row["ticker"]):
        event, ticker, index_code = row["corporate_event"], row["ticker"], row["index_code"]
        if event is None:
            continue
        since, count = row["session_date"], 0
        day: dt.date | None = since
        while day is not None and history.holdings[index_code][day].get(ticker, {}).get("corporate_event") == event:
            since, count = day, count + 1
            day = history.before(index_code, day)
        found.append(
            pick(row, "session_date ticker company corporate_event")
            | {"in_effect_since": since, "sessions_in_effect": count}
            | pick(row, "participation_pct")
        )
    return found


@_query
def indexes_compared(history: History, values: Values) -> list[Row]:
    own = values["index_code"]
    others = [code for code in history.sessions if code != own]
    days = [day for day in history.dates(own) if any(day in history.sessions[code] for code in others)]
    if values["session_date"] is not None:
        days = [day for day in days if day <= values["session_date"]]
    if not days:
        return []
    day = max(days)
    mine = {ticker: row["participation_pct"] for ticker, row in history.holdings[own][day].items()}
    found = []
    for code in others:
        if day not in history.sessions[code]:
            continue
        theirs = {ticker: row["participation_pct"] for ticker, row in history.holdings[code][day].items()}
        common = mine.keys() & theirs.keys()
        overlap = sum((min(mine[ticker], theirs[ticker]) for ticker in common), _ZERO)
        found.append(
            {
                "session_date": day,
                "other_index_code": code,
                "other_holdings": len(theirs),
                "common_holdings": len(common),
                "overlap_pct": overlap,
                # Half of all differences, as active share is usually written.
                "active_share_pct": rounded(
                    sum(
                        (abs(mine.get(ticker, _ZERO) - theirs.get(ticker, _ZERO)) for ticker in mine | theirs),
                        _ZERO,
                    )
                    / 2,
                    3,
                ),
                "common_participation_pct": sum((mine[ticker] for ticker in common), _ZERO),
                "other_common_participation_pct": sum((theirs[ticker] for ticker in common), _ZERO),
            }
        )
    return sorted(found, key=lambda row: (-row["overlap_pct"], row["other_index_code"]))


@_query
def ticker_in_which_indexes(history: History, values: Values) -> list[Row]:
    rows = []
    for code in history.sessions:
        day = history.day(values | {"index_code": code})
        if day is not None:
            rows += list(history.holdings[code][day].values())
    by_ticker = grouped(rows, "ticker")
    most = min(by_ticker, key=lambda key: (-len(by_ticker[key]), key), default=("",))
    ticker = values["ticker"] or most[0]
    columns = "ticker company index_code session_date participation_pct participation_rank theoretical_quantity"
    found = [pick(row, columns) for row in by_ticker.get((ticker,), [])]
    return sorted(found, key=lambda row: (-row["participation_pct"], row["index_code"]))


@_query
def indexes_today(history: History, _values: Values) -> list[Row]:
    columns = (
        "index_code session_date holdings companies top_1_participation_pct top_10_participation_pct "
        "effective_holdings turnover_pct reductor last_rebalance_date next_rebalance_date"
    )
    return [pick(row, columns) for row in sorted(latest_sessions(history), key=lambda row: str(row["index_code"]))]


# --------------------------------------------------------------------------------------------- between two sessions


@_query
def top_movers(history: History, values: Values) -> list[Row]:
    pair = history.pair(values)
    if pair is None:
        return []
    before, after = (history.holdings[values["index_code"]][day] for day in pair)
    found = []
    for ticker in before | after:
        old, new = before.get(ticker), after.get(ticker)
        found.append(
            {
                "from_session_date": pair[0],
                "to_session_date": pair[1],
                "ticker": ticker,
                "company": (new or old or {})["company"],
                "movement": "entered" if old is None else "left" if new is None else "stayed",
                "participation_before_pct": old and old["participation_pct"],
                "participation_after_pct": new and new["participation_pct"],
                "participation_change_pp": _share(new) - _share(old),
            }
        )
    return sorted(found, key=lambda row: (-abs(row["participation_change_pp"]), row["ticker"]))[: values["top"]]


def _share(row: Row | None) -> Decimal:
    return _ZERO if row is None else row["participation_pct"]


@_query
def sector_rotation(history: History, values: Values) -> list[Row]:
    pair = history.pair(values)
    if pair is None:
        return []
    rows = [row for row in sectors_filled(history) if row["index_code"] == values["index_code"]]
    found = []
    for (sector,), both in grouped((row for row in rows if row["session_date"] in pair), "sector").items():
        old, new = ([row for row in both if row["session_date"] == day] for day in pair)
        found.append(
            {
                "from_session_date": pair[0],
                "to_session_date": pair[1],
                "sector": sector,
                "participation_before_pct": _ZERO + total(old),
                "participation_after_pct": _ZERO + total(new),
                "participation_change_pp": _ZERO + total(new) - total(old),
                "filled_before_pct": _ZERO + total(old, "filled_participation_pct"),
                "filled_after_pct": _ZERO + total(new, "filled_participation_pct"),
            }
        )
    return sorted(found, key=lambda row: (-row["participation_change_pp"], nulls_last(row["sector"])))


@_query
def rebalance_effect(history: History, values: Values) -> list[Row]:
    code = values["index_code"]
    crossings = [row for row in _crossings(history, code) if _not_after(row["session_date"], values["session_date"])]
    if not crossings:
        return []
    session = crossings[-1]
    days = history.before(code, session["session_date"]), session["session_date"]
    before, after = (history.holdings[code][day] for day in days if day is not None)
    found = []
    for ticker in before | after:
        old, new = before.get(ticker), after.get(ticker)
        quantities = [row and row["theoretical_quantity"] for row in (old, new)]
        if quantities[0] == quantities[1]:
            continue
        ratio = Decimal(quantities[1]) / quantities[0] if quantities[0] and quantities[1] else None
        found.append(
            {
                "rebalance_date": session["last_rebalance_date"],
                "from_session_date": days[0],
                "to_session_date": days[1],
                "ticker": ticker,
                "company": (new or old or {})["company"],
                "effect": "entered" if old is None else "left" if new is None else "quantity_changed",
                "quantity_before": quantities[0],
                "quantity_after": quantities[1],
                "quantity_change_pct": None if ratio is None else rounded(100 * (ratio - 1), 3),
                "participation_before_pct": old and old["participation_pct"],
                "participation_after_pct": new and new["participation_pct"],
                "participation_change_pp": _share(new) - _share(old),
            }
        )
    return sorted(found, key=lambda row: (-abs(row["participation_change_pp"]), row["ticker"]))


def _crossings(history: History, index_code: str) -> list[Row]:
    """The sessions between which and the stored one before a rebalance came into force."""
    dates = history.dates(index_code)
    return [
        history.sessions[index_code][date]
        for before, date in itertools.pairwise(dates)
        if before < history.sessions[index_code][date]["last_rebalance_date"]
    ]


def _not_after(date: dt.date, bound: dt.date | None) -> bool:
    return bound is None or date <= bound


# ------------------------------------------------------------------------------------------------- members over time


@_query
def entries_and_exits(history: History, values: Values) -> list[Row]:
    code, found, ever = values["index_code"], [], set[str]()
    dates = history.dates(code)
    for before, date in zip([None, *dates], dates, strict=False):
        here = history.holdings[code][date]
        there = {} if before is None else history.holdings[code][before]
        for ticker in here.keys() ^ there.keys() if before is not None else ():
            entered = ticker in here
            row = here[ticker] if entered else there[ticker]
            movement = ("re_entered" if ticker in ever else "entered") if entered else "left"
            found.append(
                {
                    "session_date": date,
                    "compared_session_date": before,
                    "days_between": (date - before).days,
                    "movement": movement,
                    "ticker": ticker,
                    "company": row["company"],
                    "participation_pct": row["participation_pct"],
                }
            )
        ever |= here.keys()
    names = {(row["ticker"], row["first_session_date"]): row["company"] for row in _stays(history, code)}
    for row in found:
        # A stay is called by the last name of the company in it.
        if row["movement"] != "left":
            row["company"] = names[row["ticker"], row["session_date"]]
    found = [row for row in found if within(row["session_date"], values)]
    return sorted(found, key=lambda row: (row["session_date"], row["movement"], row["ticker"]))


def _stays(history: History, index_code: str) -> list[Row]:
    return [row for row in membership_stays(history) if row["index_code"] == index_code]


@_query
def newcomers(history: History, values: Values) -> list[Row]:
    day, code = history.day(values), values["index_code"]
    if day is None:
        return []
    stored = [date for date in history.dates(code) if date <= day]
    back = stored[::-1][: values["sessions"]]
    found = []
    for stay in _stays(history, code):
        entry = stay["first_session_date"]
        if entry in back and entry != stored[0]:
            now = history.holdings[code][day].get(stay["ticker"])
            found.append(
                {
                    "entry_session_date": entry,
                    "compared_session_date": history.before(code, entry),
                    "sessions_since": back.index(entry),
                    "ticker": stay["ticker"],
                    "company": stay["company"],
                    "movement": "entered" if stay["stay_number"] == 1 else "re_entered",
                    "entry_participation_pct": stay["first_participation_pct"],
                    "participation_pct": now and now["participation_pct"],
                    "participation_rank": now and now["participation_rank"],
                }
            )
    found.sort(key=lambda row: str(row["ticker"]))
    return sorted(found, key=lambda row: row["entry_session_date"], reverse=True)


@_query
def longest_standing(history: History, values: Values) -> list[Row]:
    current = [row for row in _stays(history, values["index_code"]) if row["is_current"]]
    current.sort(key=lambda row: (row["first_session_date"], -row["last_participation_pct"], row["ticker"]))
    return [
        {"place": place}
        | pick(row, "ticker company first_session_date")
        | {"days": (row["last_session_date"] - row["first_session_date"]).days}
        | pick(row, "sessions longest_gap_days first_participation_pct last_participation_pct")
        for place, row in enumerate(current[: values["top"]], start=1)
    ]


@_query
def first_seen_and_days_in_index(history: History, values: Values) -> list[Row]:
    rows = [row for row in ticker_history(history) if row["index_code"] == values["index_code"]]
    columns = "ticker company first_session_date last_session_date sessions presence_pct stays is_current"
    return [pick(row, columns) for row in sorted(rows, key=lambda row: (row["first_session_date"], row["ticker"]))]


# -------------------------------------------------------------------------------------------------- shares over time


@_query
def ticker_life(history: History, values: Values) -> list[Row]:
    code = values["index_code"]
    if not history.dates(code):
        return []
    ticker = values["ticker"] or next(iter(history.holdings[code][history.dates(code)[-1]]))
    columns = (
        "session_date ticker company share_class corporate_event membership theoretical_quantity "
        "theoretical_quantity_change quantity_change_cause participation_pct participation_change_pp "
        "participation_rank participation_rank_change sessions_missed"
    )
    return [pick(row, columns) for row in history.held(values) if row["ticker"] == ticker]


@_query
def rank_history(history: History, values: Values) -> list[Row]:
    columns = "session_date participation_rank ticker company participation_pct participation_rank_change"
    return [pick(row, columns) for row in history.held(values) if row["participation_rank"] <= values["top"]]


@_query
def participation_ranges(history: History, values: Values) -> list[Row]:
    found = []
    for (ticker,), rows in grouped(history.held(values), "ticker").items():
        shares = sorted(row["participation_pct"] for row in rows)

        def percentile(percent: int, shares: list[Decimal] = shares) -> Decimal:
            return shares[math.ceil(percent * len(shares) / 100) - 1]

        found.append(
            {
                "ticker": ticker,
                "company": rows[-1]["company"],
                "sessions": len(rows),
                "min_participation_pct": shares[0],
                "percentile_10_participation_pct": percentile(10),
                "median_participation_pct": percentile(50),
                "percentile_90_participation_pct": percentile(90),
                "max_participation_pct": shares[-1],
                "avg_participation_pct": rounded(sum(shares, Decimal(0)) / len(shares), 3),
                "last_participation_pct": rows[-1]["participation_pct"],
            }
        )
    return sorted(found, key=lambda row: (row["min_participation_pct"] - row["max_participation_pct"], row["ticker"]))


@_query
def monthly_participation(history: History, values: Values) -> list[Row]:
    code = values["index_code"]
    years = [date.year for date in history.dates(code) if values["year"] in (0, date.year)]
    ends = {date.month: date for date in history.dates(code) if years and date.year == max(years)}
    names = [dt.date(2000, month, 1).strftime("%B").lower() for month in range(1, 13)]
    found = []
    for ticker in sorted({ticker for date in ends.values() for ticker in history.holdings[code][date]}):
        rows = {month: history.holdings[code][date].get(ticker) for month, date in ends.items()}
        company = next(row["company"] for _, row in sorted(rows.items(), reverse=True) if row)
        found.append(
            {"session_year": max(years), "ticker": ticker, "company": company}
            | {f"{name}_pct": (rows.get(month) or {}).get("participation_pct") for month, name in enumerate(names, 1)}
        )
    return found


@_query
def largest_single_day_moves(history: History, values: Values) -> list[Row]:
    rows = [
        row
        for row in history.held(values)
        if row["sessions_missed"] == 0 and row["participation_change_pp"] is not None
    ]
    rows.sort(key=lambda row: (-abs(row["participation_change_pp"]), row["session_date"], row["ticker"]))
    found = []
    for place, row in enumerate(rows[: values["top"]], start=1):
        before = history.before(row["index_code"], row["session_date"])
        assert before is not None
        found.append(
            {"place": place}
            | pick(row, "session_date ticker company")
            | {
                "participation_before_pct": history.holdings[row["index_code"]][before][row["ticker"]][
                    "participation_pct"
                ],
                "participation_after_pct": row["participation_pct"],
            }
            | pick(row, "participation_change_pp quantity_change_cause")
        )
    return found


@_query
def quantity_change_history(history: History, values: Values) -> list[Row]:
    found = []
    for row in history.held(values):
        if row["quantity_change_cause"] is None or values["ticker"] not in ("", row["ticker"]):
            continue
        before = _before(history, row)
        change = row["theoretical_quantity"] - before["theoretical_quantity"]
        found.append(
            {
                "session_date": row["session_date"],
                "compared_session_date": before["session_date"],
                "ticker": row["ticker"],
                "company": row["company"],
                "quantity_change_cause": row["quantity_change_cause"],
                "quantity_before": before["theoretical_quantity"],
                "quantity_after": row["theoretical_quantity"],
                "theoretical_quantity_change": change,
                "quantity_change_pct": rounded(Decimal(100 * change) / before["theoretical_quantity"], 3),
            }
        )
    return sorted(found, key=lambda row: (row["session_date"], row["ticker"]))


def _before(history: History, row: Row) -> Row:
    before = history.before(row["index_code"], row["session_date"])
    assert before is not None
    return history.holdings[row["index_code"]][before][row["ticker"]]


@_query
def corporate_actions(history: History, values: Values) -> list[Row]:
    rows = [row for row in history.everything(values) if row["quantity_change_cause"] == "corporate_action"]
    found = []
    for (date, ticker, company), members in grouped(rows, "session_date", "ticker", "company").items():
        before = [_before(history, row) for row in members]
        ratios = [
            rounded(Decimal(row["theoretical_quantity"]) / old["theoretical_quantity"], 6)
            for row, old in zip(members, before, strict=True)
        ]
        found.append(
            {
                "session_date": date,
                "ticker": ticker,
                "company": company,
                "indexes": len(members),
                "index_codes": ", ".join(sorted(row["index_code"] for row in members)),
                "compared_session_date": min(old["session_date"] for old in before),
                "min_quantity_ratio": min(ratios),
                "max_quantity_ratio": max(ratios),
            }
        )
    return sorted(found, key=lambda row: (row["session_date"], row["ticker"], row["company"]))


@_query
def sector_spellings(history: History, values: Values) -> list[Row]:
    rows = [row for row in history.everything(values) if row["sector_as_published"] is not None]
    found = []
    for (spelling, sector, subsector), members in grouped(rows, "sector_as_published", "sector", "subsector").items():
        days = [row["session_date"] for row in members]
        found.append(
            {
                "sector_as_published": spelling,
                "is_known": sector is not None,
                "sector": sector,
                "subsector": subsector,
                "tickers": len({row["ticker"] for row in members}),
                "indexes": len({row["index_code"] for row in members}),
                "first_session_date": min(days),
                "last_session_date": max(days),
            }
        )
    return sorted(found, key=lambda row: (row["is_known"], row["sector_as_published"]))


# ------------------------------------------------------------------------------------------------ sessions over time


@_query
def sessions_reconciled(history: History, values: Values) -> list[Row]:
    found = []
    for code in sorted(history.sessions):
        for session in history.span(values, code):
            rows = list(history.holdings[code][session["session_date"]].values())
            found.append(
                {
                    "index_code": code,
                    "session_date": session["session_date"],
                    "holdings": len(rows),
                    "theoretical_quantity": total(rows, "theoretical_quantity"),
                    "participation_pct": total(rows),
                    "is_reconciled": total(rows, "theoretical_quantity") == session["theoretical_quantity"]
                    and total(rows) == 100,
                }
            )
    return found


@_query
def concentration_over_time(history: History, values: Values) -> list[Row]:
    found = []
    for row in history.span(values):
        previous = row["previous_session_date"]
        before = None if previous is None else history.sessions[row["index_code"]][previous]
        found.append(
            pick(row, "session_date holdings concentration_hhi")
            | {"concentration_hhi_change": before and row["concentration_hhi"] - before["concentration_hhi"]}
            | pick(row, "effective_holdings top_1_participation_pct top_5_participation_pct top_10_participation_pct")
        )
    return found


@_query
def reductor_over_time(history: History, values: Values) -> list[Row]:
    rows = history.span(values)
    return [
        pick(row, "session_date reductor reductor_change_pct is_rebalance")
        | {"reductor_change_since_first_pct": rounded(100 * (row["reductor"] / rows[0]["reductor"] - 1), 6)}
        for row in rows
    ]


@_query
def turnover_over_time(history: History, values: Values) -> list[Row]:
    months: dict[str, list[Row]] = {}
    for row in history.span(values):
        months.setdefault(str(row["session_date"])[:7], []).append(row)
    found = []
    for month, rows in months.items():
        known = [row for row in rows if row["turnover_pct"] is not None]
        found.append(
            {
                "month": month,
                "sessions": len(rows),
                "turnover_pct": total(known, "turnover_pct") if known else None,
                "largest_turnover_pct": max((row["turnover_pct"] for row in known), default=None),
                "approx_median_turnover_pct": _median(known),
                "entries": total(known, "entries") if known else None,
                "exits": total(known, "exits") if known else None,
                "sessions_not_compared": len(rows) - len(known),
            }
        )
    return found


def _median(rows: list[Row]) -> float | None:
    turnovers = sorted(float(row["turnover_pct"]) for row in rows)
    return turnovers[(len(turnovers) - 1) // 2] if turnovers else None


@_query
def weekday_turnover(history: History, values: Values) -> list[Row]:
    rows = [row for row in history.span(values) if row["sessions_missed"] == 0 and not row["is_rebalance"]]
    found = []
    for weekday, name in enumerate("Monday Tuesday Wednesday Thursday Friday".split()):
        of_day = [row for row in rows if row["session_date"].weekday() == weekday]
        if of_day:
            found.append(
                {
                    "weekday": weekday + 1,
                    "weekday_name": name,
                    "sessions": len(of_day),
                    "avg_turnover_pct": rounded(total(of_day, "turnover_pct") / len(of_day), 4),
                    "approx_median_turnover_pct": _median(of_day),
                    "max_turnover_pct": max(row["turnover_pct"] for row in of_day),
                }
            )
    return found


@_query
def missing_sessions(history: History, values: Values) -> list[Row]:
    found = []
    for row in history.span(values):
        date = row["session_date"]
        before = history.before(row["index_code"], date)
        if before is None or row["sessions_missed"] == 0:
            continue
        between = [before + dt.timedelta(days) for days in range(1, (date - before).days)]
        found.append(
            {
                "last_session_date_before": before,
                "first_session_date_after": date,
                "days_between": (date - before).days,
                "weekdays_between": sum(day.isoweekday() < 6 for day in between),
                "sessions_missed": row["sessions_missed"],
            }
        )
    return found


@_query
def rebalances_seen(history: History, values: Values) -> list[Row]:
    found = []
    for row in _crossings(history, values["index_code"]):
        before = history.before(row["index_code"], row["session_date"])
        assert before is not None
        if within(row["session_date"], values):
            found.append(
                {
                    "rebalance_date": row["last_rebalance_date"],
                    "from_session_date": before,
                    "to_session_date": row["session_date"],
                    "holdings_before": len(history.holdings[row["index_code"]][before]),
                    "holdings_after": row["holdings"],
                }
                | pick(row, "entries exits quantity_changes turnover_pct")
            )
    return found


@_query
def stored_sessions_by_year(history: History, values: Values) -> list[Row]:
    found = []
    for code in sorted(history.sessions):
        for (year,), rows in grouped(history.span(values, code), "session_year").items():
            with_sectors = [
                row
                for row in rows
                if any(
                    one["sector_as_published"] is not None
                    for one in history.holdings[code][row["session_date"]].values()
                )
            ]
            found.append(
                {
                    "index_code": code,
                    "session_year": year,
                    "sessions": len(rows),
                    "sessions_with_sectors": len(with_sectors),
                    "first_session_date": rows[0]["session_date"],
                    "last_session_date": rows[-1]["session_date"],
                    "sessions_missed": sum(row["sessions_missed"] or 0 for row in rows),
                    "long_gaps": sum(row["previous_session_date"] is None for row in rows),
                }
            )
    return found


# -------------------------------------------------------------------------------------------------- of trading days


def _by_trades(row: Row) -> tuple[int, Decimal, str]:
    return -row["trades"], -row["volume_brl"], row["ticker"]


@_query
def most_traded(history: History, values: Values) -> list[Row]:
    rows = sorted(history.market(values), key=_by_trades)
    by_volume = sorted(rows, key=lambda row: (-row["volume_brl"], -row["trades"], row["ticker"]))
    columns = (
        "session_date ticker company share_class trades market_trades_pct transaction_frequency traded_quantity "
        "volume_brl market_volume_pct close_price_brl price_change_pct"
    )
    return [
        pick(row, columns) | {"place": place, "volume_place": by_volume.index(row) + 1}
        for place, row in enumerate(rows[: values["top"]], 1)
    ]


@_query
def unusual_trading(history: History, values: Values) -> list[Row]:
    def distance(row: Row) -> Decimal:
        return max(
            rounded(row["trades"] / row["average_trades"], 6),
            rounded(row["average_trades"] / row["trades"], 6),
        )

    rows = [row for row in history.market(values) if row["average_trades"] >= values["least_trades"]]
    columns = (
        "session_date ticker company trades average_trades transaction_frequency traded_days trading_days_observed "
        "volume_brl close_price_brl price_change_pct corporate_event"
    )
    ranked = sorted(rows, key=lambda row: (-distance(row), row["ticker"]))
    return [{"place": place} | pick(row, columns) for place, row in enumerate(ranked[: values["top"]], 1)]


@_query
def ticker_trading_history(history: History, values: Values) -> list[Row]:
    ticker = values["ticker"] or min(history.trading[max(history.trading)].values(), key=_by_trades)["ticker"]
    columns = (
        "session_date ticker company corporate_event open_price_brl high_price_brl low_price_brl close_price_brl "
        "average_price_brl previous_close_price_date price_change_pct trades transaction_frequency traded_quantity "
        "volume_brl market_volume_pct"
    )
    return [
        pick(rows[ticker], columns) for date, rows in history.trading.items() if ticker in rows and within(date, values)
    ]


@_query
def trading_days_stored(history: History, values: Values) -> list[Row]:
    sessions: dict[dt.date, list[Row]] = {}
    for days in history.sessions.values():
        for date, row in days.items():
            sessions.setdefault(date, []).append(row)
    found = []
    for date in sorted({*sessions, *history.trading}):
        rows, quotes = sessions.get(date, []), list(history.trading.get(date, {}).values())
        if within(date, values):
            found.append(
                {
                    "session_date": date,
                    "is_trading_day_stored": bool(quotes),
                    "indexes": len(rows),
                    "indexes_with_level": sum(row["index_level"] is not None for row in rows),
                    "indexes_compared_with_the_day_before": sum(
                        row["participations_compared"] is not None for row in rows
                    ),
                    "papers": len(quotes) or None,
                    "trades": total(quotes, "trades") if quotes else None,
                    "volume_brl": total(quotes, "volume_brl") if quotes else None,
                }
            )
    return found


@_query
def liquidity_against_weight(history: History, values: Values) -> list[Row]:
    found = []
    for row in history.traded_portfolio(values):
        ratios = {}
        for name in ("trades", "volume"):
            part, weight = row[f"index_{name}_pct"], row["participation_pct"]
            ratios[f"{name}_to_participation"] = rounded(part / weight, 6) if weight and part is not None else None
        columns = "session_date ticker company participation_pct trades index_trades_pct volume_brl index_volume_pct"
        found.append(pick(row, columns) | ratios)
    return sorted(found, key=lambda row: (_largest_first(row["trades_to_participation"]), row["ticker"]))


@_query
def contribution_to_the_move(history: History, values: Values) -> list[Row]:
    rows = history.traded_portfolio(values)
    if not rows:
        return []
    ranked = sorted(rows, key=lambda row: (_largest_first(row["index_contribution_points"]), row["ticker"]))
    points = [row["index_contribution_points"] for row in ranked]
    session = history.sessions[values["index_code"]][rows[0]["session_date"]]
    before, change, whole = session["previous_index_level"], session["index_change_points"], _sum(points)
    return [
        pick(row, "session_date ticker company participation_pct close_price_brl index_contribution_points")
        | pick(session, "previous_index_level index_level index_change_points")
        | {
            "place": place,
            "cumulative_points": _sum(points[:place]),
            "contribution_pp": None
            if before is None or row["index_contribution_points"] is None
            else rounded(100 * row["index_contribution_points"] / before, 4),
            "index_contribution_total_points": whole,
            "unexplained_points": None if change is None or whole is None else change - whole,
        }
        for place, row in enumerate(ranked, 1)
    ]


@_query
def participation_drift(history: History, values: Values) -> list[Row]:
    rows = history.traded_portfolio(values)
    closing = sorted(
        (row for row in rows if row["closing_participation_pct"] is not None),
        key=lambda row: (-row["closing_participation_pct"], row["ticker"]),
    )
    ranks = {row["ticker"]: rank for rank, row in enumerate(closing, 1)}
    found = []
    for row in rows:
        drift, weight, rank = row["participation_drift_pp"], row["participation_pct"], ranks.get(row["ticker"])
        columns = (
            "session_date ticker company participation_pct closing_participation_pct participation_drift_pp "
            "participation_rank"
        )
        found.append(
            pick(row, columns)
            | {
                "relative_drift_pct": rounded(100 * drift / weight, 6) if weight and drift is not None else None,
                "closing_rank": rank,
                "ranks_won": None if rank is None else row["participation_rank"] - rank,
            }
        )
    return sorted(
        found,
        key=lambda row: (
            _largest_first(row["participation_drift_pp"] and abs(row["participation_drift_pp"])),
            row["ticker"],
        ),
    )


@_query
def index_level_over_time(history: History, values: Values) -> list[Row]:
    rows = history.span(values)
    columns = (
        "session_date previous_session_date sessions_missed index_level index_change_points index_change_pct holdings "
        "holdings_traded trades volume_brl participations_compared participations_reproduced "
        "participation_max_difference_pp"
    )
    found, first = [], None
    for row in rows:
        level = row["index_level"]
        first = level if first is None else first
        since = None if level is None else rounded(100 * (level - first) / first, 6)
        found.append(pick(row, columns) | {"index_change_since_first_pct": since})
    return found


def _largest_first(value: Decimal | None) -> tuple[bool, Decimal]:
    return value is None, Decimal(0) if value is None else -value


def _sum(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None
