"""The project's own generator of trading days: what the invented market did on any day since 2000.

A pure function of the date over `local.synthetic_market`. The closes are the market's own, so the participations of a
synthetic portfolio follow the closes of the trading day before it. Beside the shares stand the papers that a reader of
the cash market skips: odd lots and calls of the most traded companies.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache

from bovespa.calendar import is_trading_day, last_rebalance_on_or_before, trading_days_after
from bovespa.cotahist_writer import record, whole_file
from bovespa.trading_day import Market, Quote
from local.synthetic_market import FIRST_YEAR, Share, draw, price_cents, shares, shown_event, split_factor

MAX_TRADES = 99_999
"""The field has five digits."""

_LOT = 100
_BDI_CODES = {"bdr": "34", "fund": "12"}
_ISIN_TYPES = {"ON": "OR", "PN": "PR", "PNA": "PA", "PNB": "PB", "UNT": "CD", "CI": "CT", "DRN": "BD"}
_WITH_CALLS = 0.12
"""Of the shares: those that have a call."""


def synthetic_quotes(session_date: dt.date) -> list[Quote]:
    """Return what every listed paper did in the cash market on one day, by company and ticker.

    Args:
        session_date: A trading day of B3 from 2000 to 2099.

    Raises:
        ValueError: It is none.
    """
    if not FIRST_YEAR <= session_date.year < FIRST_YEAR + 100 or not is_trading_day(session_date):
        raise ValueError(f"{session_date} is not a trading day of B3 between {FIRST_YEAR} and {FIRST_YEAR + 99}")
    # An index takes in what is listed on the day it rebalances, by the close before, and keeps it until the next time:
    # what it holds has a close.
    tomorrow = trading_days_after(session_date, 1)[0]
    rebalanced = last_rebalance_on_or_before(session_date)
    listed = (share for share in shares() if share.listed_from <= tomorrow and rebalanced <= share.listed_until)
    return [_quote(share, session_date) for share in sorted(listed, key=lambda share: (share.company, share.ticker))]


@lru_cache(maxsize=64)
def synthetic_cotahist(session_date: dt.date) -> bytes:
    """Return the record of one day as the text that B3 would write.

    Raises:
        ValueError: See `synthetic_quotes`.
    """
    return whole_file(session_date, synthetic_records(session_date))


def synthetic_records(session_date: dt.date) -> Iterator[bytes]:
    """Yield the quotes of one day in every market, as records without line ends.

    Raises:
        ValueError: See `synthetic_quotes`.
    """
    return records_of(synthetic_quotes(session_date))


def records_of(quotes: Iterable[Quote]) -> Iterator[bytes]:
    """Yield *quotes* of the cash market and what trades beside them in others, as records without line ends."""
    for quote in quotes:
        yield record(quote)
        if quote.bdi_code == "02":
            yield record(_odd_lot(quote), {"TPMERC": Market.FRACTIONAL.value})
            if draw("call", quote.ticker) < _WITH_CALLS:
                yield _call(quote)


def zipped(text: bytes, name: str) -> bytes:
    """Return *text* as the ZIP that B3 would send; the same text gives the same bytes on every day.

    Args:
        text: What is in it.
        name: Name of the ZIP.
    """
    # Without the present time and the machine's own attributes.
    member = zipfile.ZipInfo(name.replace(".ZIP", ".TXT"))
    member.compress_type = zipfile.ZIP_DEFLATED
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, text)
    return file.getvalue()


def _quote(share: Share, day: dt.date) -> Quote:
    close = price_cents(share, day, day)
    reach = close * draw("reach", share.ticker, day) * 0.03
    low = max(1, close - int(reach * draw("low", share.ticker, day)))
    high = close + int(reach * draw("high", share.ticker, day))
    average = _between(low, high, "average", share, day)
    new, old = split_factor(share, dt.date.min, day)
    turnover = (0.0005 + 0.006 * share.liquidity) * (0.5 + draw("turnover", share.ticker, day))
    quantity = _LOT * max(1, int(share.base_float * turnover) * new // old // _LOT)
    trades = max(
        1, min(MAX_TRADES, quantity // _LOT, int(quantity / _LOT / (1 + 9 * draw("trades", share.ticker, day))))
    )
    # What the average says, and the part of a hundredth of a BRL that it leaves out.
    volume = average * quantity + int(quantity * draw("volume", share.ticker, day))
    return Quote(
        session_date=day,
        ticker=share.ticker,
        market=Market.CASH,
        bdi_code=_BDI_CODES.get(share.group, "02"),
        company=share.company,
        share_class=share.share_class,
        corporate_event=shown_event(share, day),
        listing_segment=share.listing_segment,
        open_price_brl=_brl(_between(low, high, "open", share, day)),
        high_price_brl=_brl(high),
        low_price_brl=_brl(low),
        average_price_brl=_brl(average),
        close_price_brl=_brl(close),
        trades=trades,
        traded_quantity=quantity,
        volume_brl=_brl(volume),
        quotation_factor=1,
        isin=f"BR{share.ticker[:4]}ACN{_ISIN_TYPES[share.share_class]}{int(10 * draw('isin', share.ticker))}",
    )


def _odd_lot(quote: Quote) -> Quote:
    """The same share in less than a lot."""
    return Quote(
        **{
            **{name: getattr(quote, name) for name in Quote.__slots__},
            "ticker": f"{quote.ticker}F",
            "market": Market.FRACTIONAL,
            "bdi_code": "96",
            "trades": 1,
            "traded_quantity": 7,
            "volume_brl": 7 * quote.average_price_brl,
        }
    )


def _call(quote: Quote) -> bytes:
    """A call on the share, struck at its close, that ends in the next month."""
    day = quote.session_date
    expiry = (day.replace(day=1) + dt.timedelta(days=45)).replace(day=15)
    price = Decimal("1.25")
    strike = int(quote.close_price_brl * 100)
    option = Quote(
        **{
            **{name: getattr(quote, name) for name in Quote.__slots__},
            "ticker": f"{quote.ticker[:4]}{'ABCDEFGHIJKL'[expiry.month - 1]}{quote.ticker[4:]}{strike % 100:02}",
            "market": Market.CALL_OPTION,
            "bdi_code": "78",
            **{f"{name}_price_brl": price for name in ("open", "high", "low", "average", "close")},
            "trades": 3,
            "traded_quantity": 900,
            "volume_brl": 900 * price,
        }
    )
    return record(option, {"PREEXE": strike, "DATVEN": f"{expiry:%Y%m%d}"})


def _between(low: int, high: int, about: str, share: Share, day: dt.date) -> int:
    return low + int((high - low + 1) * draw(about, share.ticker, day))


def _brl(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
