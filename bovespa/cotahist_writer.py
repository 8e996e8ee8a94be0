"""Records of trading days written as B3 writes them: the inverse of `bovespa.cotahist`, for what is kept of a quote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from bovespa.cotahist import ENCODING, LAYOUT, RECORD_BYTES
from bovespa.trading_day import Quote

LINE_END = b"\r\n"

_WIDTHS = {field.name: field.width for field in LAYOUT}
_DIGITS = frozenset(field.name for field in LAYOUT if field.grammar.startswith(b"[0-9]"))
# What a quote of a share has in the fields that only other papers use; B3 writes the last day for "never".
_UNUSED = {"TIPREG": "01", "MODREF": "R$", "DATVEN": "99991231"}


def header(file_date: dt.date) -> bytes:
    """Return the first record of a file, without its line end.

    Args:
        file_date: The day of the file, or the last one that it holds.
    """
    return f"00COTAHIST.{file_date:%Y}BOVESPA {file_date:%Y%m%d}".ljust(RECORD_BYTES).encode(ENCODING)


def trailer(file_date: dt.date, records: int) -> bytes:
    """Return the last record of a file, without its line end.

    Args:
        file_date: The one of the header.
        records: How many the file has, header and trailer included.
    """
    text = f"99COTAHIST.{file_date:%Y}BOVESPA {file_date:%Y%m%d}{records:011}"
    return text.ljust(RECORD_BYTES).encode(ENCODING)


def record(quote: Quote, others: Mapping[str, object] | None = None) -> bytes:
    """Return the record of a quote, without its line end.

    Args:
        quote: What it says.
        others: Values of fields that a `Quote` does not keep, by B3's name of the field.
    """
    values: dict[str, object] = {
        **_UNUSED,
        "DATA": f"{quote.session_date:%Y%m%d}",
        "CODBDI": quote.bdi_code,
        "CODNEG": quote.ticker,
        "TPMERC": quote.market.value,
        "NOMRES": quote.company,
        "ESPECI": f"{quote.share_class:4}{quote.corporate_event or '':4}{quote.listing_segment or '':2}",
        "PREABE": _published(quote.open_price_brl, quote),
        "PREMAX": _published(quote.high_price_brl, quote),
        "PREMIN": _published(quote.low_price_brl, quote),
        "PREMED": _published(quote.average_price_brl, quote),
        "PREULT": _published(quote.close_price_brl, quote),
        "PREOFC": _published(quote.close_price_brl, quote),
        "PREOFV": _published(quote.close_price_brl, quote),
        "TOTNEG": quote.trades,
        "QUATOT": quote.traded_quantity,
        "VOLTOT": int(quote.volume_brl.scaleb(2)),
        "FATCOT": quote.quotation_factor,
        "CODISI": quote.isin,
        "DISMES": 100,
        **(others or {}),
    }
    return "".join(_field(name, values.get(name)) for name in _WIDTHS).encode(ENCODING)


def whole_file(file_date: dt.date, records: Iterable[bytes]) -> bytes:
    """Return *records*, which have no line ends, between their header and trailer."""
    lines = [header(file_date), *records]
    return LINE_END.join([*lines, trailer(file_date, len(lines) + 1), b""])


def _published(price_brl: Decimal, quote: Quote) -> int:
    """In hundredths of a BRL, for as many shares as the quotation factor says."""
    return int((price_brl * quote.quotation_factor).scaleb(2))


def _field(name: str, value: object) -> str:
    width = _WIDTHS[name]
    text = f"{value or 0:0>{width}}" if name in _DIGITS else f"{value or '':{width}}"
    if len(text) != width:
        raise ValueError(f"{name} has {width} characters; {value!r} does not fit")
    return text
