"""What the scraper hands to the API: B3's bytes, unread, and what is known of how they came."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A portfolio's file as B3 gave it, unread, and what is known of where it came from."""

    content: bytes
    file_name: str
    """As the page named it, for example `IBOVDia_24-02-25.csv`."""
    url: str
    """Of the page, or of the endpoint that gave the file."""
    session_date: dt.date
    """The date that the page shows."""
    received_at: dt.datetime
    """When the download had ended, UTC."""
    b3_time: dt.datetime | None = None
    """When it was by B3's own clock, aware; None if B3 did not say."""


@dataclass(frozen=True, slots=True)
class FetchedTradingDay:
    """B3's record of a trading day as B3 gave it, unread, and where it came from."""

    content: bytes
    file_name: str
    url: str
    session_date: dt.date
    """The day that was asked for."""
    received_at: dt.datetime
    """When the download had ended, UTC."""
