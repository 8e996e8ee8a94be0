"""The recorded trading days of 25 and 26/03/2021, and the portfolio of the second."""

from __future__ import annotations

from pathlib import Path

DAYS = ("25032021", "26032021")


def recorded_portfolio(recordings: Path) -> bytes:
    """Return the portfolio of 26/03/2021; the recorded copy lost the Redutor, which is known."""
    mangled = (recordings / "bad" / "IBOVDia_26-03-21.mangled-redutor.csv").read_bytes()
    before, _, _ = mangled.rstrip().rpartition(b"Redutor")
    return before + b"Redutor;;;18.296.803,37677573\r\n"


def recorded_trading_days(recordings: Path) -> list[bytes]:
    """Return the records of both days, in order."""
    return [(recordings / "cotahist" / f"COTAHIST_D{day}.TXT").read_bytes() for day in DAYS]
