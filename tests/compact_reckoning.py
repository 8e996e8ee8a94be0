"""An independent reckoning of the tables `sessions` and `sectors`: plain Python over B3's CSV text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from tests.reckoning import File, decimal, read, refined_rows, text, whole

Row = dict[str, str | None]

OF_TRADING_DAYS = (
    "index_level",
    "previous_index_level",
    "index_change_points",
    "index_change_pct",
    "trades",
    "volume_brl",
    "holdings_traded",
    "participations_compared",
    "participations_reproduced",
    "participation_max_difference_pp",
)
"""Columns that are null without trading days; `tests.trading_reckoning` has them."""


def session_rows(contents: Iterable[bytes]) -> dict[tuple[str, str], Row]:
    """Return every column of every row of `sessions`, as the text that Athena gives, by index and session."""
    contents = list(contents)
    files = {(file.index_code, str(file.session_date)): file for file in map(read, contents)}
    holdings: defaultdict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for (index_code, session_date, ticker), row in refined_rows(contents).items():
        holdings[index_code, session_date][ticker] = row
    return {
        key: {"session_year": key[1][:4]} | _session(file, holdings[key], files.get(_previous(key, holdings[key])))
        for key, file in files.items()
    }


def sector_rows(contents: Iterable[bytes]) -> dict[tuple[str, str, str | None, str | None], Row]:
    """Return every column of every row of `sectors`, by index, session, sector and subsector."""
    contents = list(contents)
    refined = refined_rows(contents)
    groups: defaultdict[tuple[str, str], dict[tuple[str | None, str | None], list[Row]]] = defaultdict(dict)
    for (index_code, session_date, _), row in refined.items():
        if row["sector_as_published"] is not None:
            groups[index_code, session_date].setdefault((row["sector"], row["subsector"]), []).append(row)
    expected: dict[tuple[str, str, str | None, str | None], Row] = {}
    for (index_code, session_date), by_sector in groups.items():
        shares = {names: _total(rows, "participation_pct") for names, rows in by_sector.items()}
        ranked = sorted(shares, key=lambda names: (-shares[names], *((name is None, name or "") for name in names)))
        for rank, names in enumerate(ranked, start=1):
            rows = by_sector[names]
            previous = rows[0]["previous_session_date"]
            before = groups.get((index_code, previous or ""))
            change = None if before is None else shares[names] - _total(before.get(names, []), "participation_pct")
            expected[index_code, session_date, *names] = {
                "session_year": session_date[:4],
                "holdings": str(len(rows)),
                "companies": str(len({row["company"] for row in rows})),
                "theoretical_quantity": str(sum(int(row["theoretical_quantity"] or 0) for row in rows)),
                "participation_pct": str(shares[names]),
                "participation_change_pp": text(change),
                "participation_rank": str(rank),
                "previous_session_date": previous,
            }
    return expected


def _previous(key: tuple[str, str], holdings: dict[str, Row]) -> tuple[str, str]:
    return key[0], next(iter(holdings.values()))["previous_session_date"] or ""


def _session(file: File, holdings: dict[str, Row], before: File | None) -> Row:
    shares = _shares(file)
    descending = sorted(shares.values(), reverse=True)
    hhi = sum((share * share for share in descending), Decimal(0))
    any_row = next(iter(holdings.values()))
    compared: Row = dict.fromkeys(
        ("reductor_change_pct", "entries", "exits", "turnover_pct", "quantity_changes", "corporate_actions")
    )
    if before is not None:
        shares_before = _shares(before)
        quantities, quantities_before = _quantities(file), _quantities(before)
        moved = sum(
            (
                abs(shares.get(ticker, Decimal(0)) - shares_before.get(ticker, Decimal(0)))
                for ticker in shares.keys() | shares_before.keys()
            ),
            Decimal(0),
        )
        changed = [
            ticker for ticker in quantities.keys() & quantities_before.keys()
            if quantities[ticker] != quantities_before[ticker]
        ]  # fmt: skip
        causes = [holdings[ticker]["quantity_change_cause"] for ticker in changed]
        compared = {
            "reductor_change_pct": str(_rounded(100 * (file.reductor / before.reductor - 1), 6)),
            "entries": str(len(shares.keys() - shares_before.keys())),
            "exits": str(len(shares_before.keys() - shares.keys())),
            "turnover_pct": str(_rounded(moved / 2, 4)),
            "quantity_changes": str(len(changed)),
            "corporate_actions": str(causes.count("corporate_action")),
        }
    of_the_session = (
        "previous_session_date",
        "days_since_previous_session",
        "sessions_missed",
        "last_rebalance_date",
        "days_since_rebalance",
        "next_rebalance_date",
        "days_to_next_rebalance",
        "weekday",
        "quarter",
        "sessions_observed",
    )
    return {
        "holdings": str(len(file.rows)),
        "companies": str(len({row["Ação"] for row in file.rows})),
        "theoretical_quantity": str(file.total_quantity),
        "reductor": str(file.reductor),
        "concentration_hhi": str(_rounded(hhi, 6)),
        "effective_holdings": str(_rounded(10000 / hhi, 3)),
        "top_1_participation_pct": str(sum(descending[:1], Decimal(0))),
        "top_5_participation_pct": str(sum(descending[:5], Decimal(0))),
        "top_10_participation_pct": str(sum(descending[:10], Decimal(0))),
        "corporate_events": str(sum(bool(row["Tipo"].ljust(10)[4:8].strip()) for row in file.rows)),
        "is_rebalance": str(any_row["last_rebalance_date"] == str(file.session_date)),
        **{name: any_row[name] for name in of_the_session},
        **compared,
        **dict.fromkeys(OF_TRADING_DAYS),
    }


def _shares(file: File) -> dict[str, Decimal]:
    return {row["Código"]: decimal(row["Part. (%)"]) for row in file.rows}


def _quantities(file: File) -> dict[str, int]:
    return {row["Código"]: whole(row["Qtde. Teórica"]) for row in file.rows}


def _total(rows: list[Row], name: str) -> Decimal:
    return sum((Decimal(row[name] or 0) for row in rows), Decimal("0.000"))


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
