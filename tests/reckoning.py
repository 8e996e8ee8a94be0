"""An independent reckoning of the refined table: plain Python over B3's CSV text.

It shares no code with the product: its own reading of the file, the trading days of `exchange_calendars`, loops instead
of SQL. What the pipeline answers must equal it, value for value.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import exchange_calendars

Key = tuple[str, str, str]
"""Index code, session date and ticker."""


@dataclass(frozen=True)
class File:
    """One CSV file, as text."""

    index_code: str
    session_date: dt.date
    rows: list[dict[str, str]]
    total_quantity: int
    total_participation: Decimal
    reductor: Decimal


def read(content: bytes) -> File:
    """Read a CSV file that is known to be sound."""
    lines = content.decode("iso-8859-1").splitlines()
    index_code, _, date = lines[0].partition(" - Carteira do Dia ")
    names = lines[1].split(";")
    rows = [dict(zip(names, line.split(";"), strict=False)) for line in lines[2:-2]]
    total = [field for field in lines[-2].split(";") if field]
    return File(
        index_code=index_code,
        session_date=dt.datetime.strptime(date, "%d/%m/%y").date(),  # noqa: DTZ007 - a date without a time
        rows=rows,
        total_quantity=whole(total[1]),
        total_participation=decimal(total[2]),
        reductor=decimal(lines[-1].split(";")[-1]),
    )


def refined_rows(contents: Iterable[bytes]) -> dict[Key, dict[str, str | None]]:
    """Return every column of every refined row, as the text that Athena gives, when the lake holds just *contents*."""
    files = {(file.index_code, file.session_date): file for file in map(read, contents)}
    expected: dict[Key, dict[str, str | None]] = {}
    for (index_code, session_date), file in files.items():
        window = _window(session_date, [date for code, date in files if code == index_code])
        held = [files[index_code, date] for date in window]
        expected |= _session(file, held)
    return expected


def _session(file: File, held: list[File]) -> dict[Key, dict[str, str | None]]:
    companies: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in file.rows:
        companies[row["Ação"]].append(row)
    ranked = sorted(file.rows, key=lambda row: (-decimal(row["Part. (%)"]), row["Código"]))
    earlier = [other.session_date for other in held if other.session_date < file.session_date]
    previous = max(earlier) if earlier else None
    rebalance = next_rebalance(file.session_date)
    cumulative = Decimal("0.000")
    rows: dict[Key, dict[str, str | None]] = {}
    for rank, row in enumerate(ranked, start=1):
        cumulative += decimal(row["Part. (%)"])
        company = companies[row["Ação"]]
        present = sum(any(other["Código"] == row["Código"] for other in one.rows) for one in held)
        kind = row["Tipo"].ljust(10)
        frequency = (Decimal(100 * present) / len(held)).quantize(Decimal("0.001"), ROUND_HALF_UP)
        rows[file.index_code, str(file.session_date), row["Código"]] = {
            "company": row["Ação"],
            "share_class": kind[:4].strip(),
            "corporate_event": kind[4:8].strip() or None,
            "listing_segment": kind[8:10].strip() or None,
            "sector_as_published": row.get("Setor"),
            "theoretical_quantity": str(whole(row["Qtde. Teórica"])),
            "participation_pct": str(decimal(row["Part. (%)"])),
            "index_theoretical_quantity": str(file.total_quantity),
            "reductor": str(file.reductor),
            "company_share_classes": str(len(company)),
            "company_theoretical_quantity": str(sum(whole(one["Qtde. Teórica"]) for one in company)),
            "company_participation_pct": str(sum(decimal(one["Part. (%)"]) for one in company)),
            "previous_session_date": str(previous) if previous else None,
            "days_since_previous_session": str((file.session_date - previous).days) if previous else None,
            "next_rebalance_date": str(rebalance),
            "days_to_next_rebalance": str((rebalance - file.session_date).days),
            "sessions_observed": str(len(held)),
            "sessions_present": str(present),
            "presence_frequency_pct": str(frequency),
            "participation_rank": str(rank),
            "cumulative_participation_pct": str(cumulative),
            "participation_level": "A" if cumulative <= 50 else "B" if cumulative <= 80 else "C",
        }
    return rows


def _window(session_date: dt.date, held: list[dt.date]) -> list[dt.date]:
    """The held dates among the last 21 trading sessions, this one included."""
    sessions = sorted({*_sessions(), *held})
    position = sessions.index(session_date)
    return sorted(set(sessions[max(0, position - 20) : position + 1]) & set(held))


def next_rebalance(day: dt.date) -> dt.date:
    """Return the first session on or after the first Monday of January, May or September, after *day*."""
    sessions = _sessions()
    for year in (day.year, day.year + 1):
        for month in (1, 5, 9):
            monday = next(date for date in (dt.date(year, month, n) for n in range(1, 8)) if date.weekday() == 0)
            session = next(date for date in sessions if date >= monday)
            if session > day:
                return session
    raise AssertionError(day)


@cache
def _sessions() -> list[dt.date]:
    calendar = exchange_calendars.get_calendar("BVMF", start="2018-01-01", end="2028-12-31")
    return [session.date() for session in calendar.sessions]


def read_date(name: str) -> dt.date:
    """The date that a file name like `UTILDia_03-02-25.csv` says."""
    return dt.datetime.strptime(name[8:16], "%d-%m-%y").date()  # noqa: DTZ007 - a date without a time


def whole(text: str) -> int:
    """B3's 1.234 is 1234."""
    return int(text.replace(".", ""))


def decimal(text: str) -> Decimal:
    """B3's 1.234,5 is 1234.5."""
    return Decimal(text.replace(".", "").replace(",", "."))
