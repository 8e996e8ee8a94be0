"""A trading day as values: what B3's record of it (COTAHIST) says of each share, in exact numbers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Market(StrEnum):
    """The markets that a record can belong to (TPMERC)."""

    CASH = "010"
    EXERCISED_CALL = "012"
    EXERCISED_PUT = "013"
    AUCTION = "017"
    FRACTIONAL = "020"
    FORWARD = "030"
    FUTURE_RETAINED_GAIN = "050"
    FUTURE_CONTINUOUS = "060"
    CALL_OPTION = "070"
    PUT_OPTION = "080"


@dataclass(frozen=True, slots=True)
class Quote:
    """What one ticker did in one market on one trading day.

    Prices are in BRL a share, exact: the published price has two decimals and holds for `quotation_factor` shares.
    """

    session_date: dt.date
    ticker: str
    market: Market
    bdi_code: str
    """Group of the daily bulletin (CODBDI), like `02` for a standard lot."""
    company: str
    """Name of the company as B3 abbreviates it (NOMRES), at most 12 characters."""
    share_class: str
    """Class of the share (ESPECI, characters 1 to 4)."""
    corporate_event: str | None
    """Corporate event in effect (ESPECI, characters 5 to 8)."""
    listing_segment: str | None
    """Listing segment (ESPECI, characters 9 and 10)."""
    open_price_brl: Decimal
    high_price_brl: Decimal
    low_price_brl: Decimal
    average_price_brl: Decimal
    """Volume by quantity, cut off behind the second decimal of the published price."""
    close_price_brl: Decimal
    trades: int
    """Number of trades. The field has five digits; what B3 writes beyond 99,999 is not known."""
    traded_quantity: int
    """Shares that changed hands."""
    volume_brl: Decimal
    """Money that changed hands."""
    quotation_factor: int
    """Number of shares that the published prices were for; 1 for nearly all, else a power of ten."""
    isin: str
