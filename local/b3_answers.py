"""The stand-in's answers, made from a session's bytes: pure functions of file and question."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bovespa.calendar import trading_day_on_or_after
from bovespa.errors import UnknownIndex
from bovespa.indexes import require_index_code
from bovespa.portfolio import View
from bovespa.portfolio_csv import ENCODING, view_of
from local.b3_sessions import PublishedSession

_VIEWS = {"1": View.CODE, "2": View.SECTOR}
_ENGLISH = {"Quantidade Teórica Total": "Total Theorethical Quantity", "Redutor": "Reductor"}
_DAYS_OFF = {"date_far_off": 3 * 365, "date_far_behind": -3 * 365}
_SWAP_SEPARATORS = str.maketrans(",.", ".,")


class BadQuestion(ValueError):
    """The Base64 JSON at the end of an endpoint's path is none, or names nothing B3 has."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a call of an endpoint asks for."""

    index_code: str
    view: View
    english: bool
    page_number: int
    page_size: int

    @classmethod
    def parse(cls, encoded: str) -> Question:
        """Read the Base64 JSON at the end of the path.

        Raises:
            BadQuestion: It is not what B3's page would send.
        """
        try:
            asked = json.loads(base64.b64decode(encoded, validate=True))
        except ValueError:
            raise BadQuestion("the path does not end in Base64 of a JSON object") from None
        if not isinstance(asked, dict):
            raise BadQuestion("the path does not end in Base64 of a JSON object")
        language, segment = asked.get("language", "pt-br"), str(asked.get("segment", "1"))
        if language not in ("pt-br", "en-us") or segment not in _VIEWS:
            raise BadQuestion("language is pt-br or en-us, segment 1 or 2")
        try:
            index_code = require_index_code(str(asked.get("index")))
            number, size = int(asked.get("pageNumber", 1)), int(asked.get("pageSize", 20))
        except (UnknownIndex, TypeError, ValueError) as error:
            raise BadQuestion(str(error)) from None
        if number < 1 or not 1 <= size <= 9999:
            raise BadQuestion("pageNumber counts from 1, pageSize goes from 1 to 9999")
        return cls(index_code, _VIEWS[segment], language == "en-us", number, size)


def data_answer(session: PublishedSession | None, question: Question, faults: Collection[str] = ()) -> dict[str, Any]:
    """Return what `GetPortfolioDay` answers; without a session, the same fields with nothing in them.

    A file that is no valid portfolio is shown as far as its lines can be read, as a page shows what it is given.
    """
    if session is None:
        return _answer([], question, date="", totals=("", "", None), reductor="")
    content, session_date = published(session, question.view, faults)
    view = view_of(content) or View.CODE
    width = 7 if view is View.SECTOR else 5
    number = _in_english if question.english else str
    lines = [line.rstrip("\r").split(";") for line in content.decode(ENCODING).split("\n")]
    footers = {fields[0]: fields for fields in lines if fields[0] in _ENGLISH}
    rows = [fields[:width] for fields in lines[2:] if len(fields) >= width and fields[0] not in _ENGLISH]
    results = []
    for row in [] if "empty_table" in faults else rows:
        segment, shared = (row[0], number(row[6])) if view is View.SECTOR else (None, None)
        code, asset, kind, quantity, part = row[1:6] if view is View.SECTOR else row
        results.append(
            {
                "segment": segment,
                "cod": code,
                "asset": asset,
                "type": kind,
                "part": number(part),
                "partAcum": shared,
                "theoricalQty": number(quantity),
            }
        )
    totals = [number(text) for text in footers.get("Quantidade Teórica Total", []) if text[:1].isdigit()]
    total_quantity, total_part, total_shared = (*totals, None, None, None)[:3]
    reductor = number(footers["Redutor"][-1]) if "Redutor" in footers else ""
    date = f"{session_date:%m/%d/%y}" if question.english else f"{session_date:%d/%m/%y}"
    return _answer(results, question, date=date, totals=(total_quantity, total_part, total_shared), reductor=reductor)


def _answer(
    results: list[dict[str, Any]],
    question: Question,
    *,
    date: str,
    totals: tuple[str | None, str | None, str | None],
    reductor: str,
) -> dict[str, Any]:
    quantity, part, shared = totals
    first = (question.page_number - 1) * question.page_size
    labels = _ENGLISH.values() if question.english else _ENGLISH.keys()
    total_label, reductor_label = labels
    return {
        "page": {
            "pageNumber": question.page_number,
            "pageSize": question.page_size,
            "totalRecords": len(results),
            "totalPages": math.ceil(len(results) / question.page_size),
        },
        "header": {
            "date": date,
            "text": total_label,
            "part": part,
            "partAcum": shared,
            "textReductor": reductor_label,
            "reductor": reductor,
            "theoricalQty": quantity,
        },
        "results": results[first : first + question.page_size],
    }


def download_answer(session: PublishedSession, question: Question, faults: Collection[str] = ()) -> bytes:
    """Return what `GetDownloadPortfolioDay` answers: the file in Base64, inside double quotes."""
    content = base64.b64encode(spoilt(published(session, question.view, faults)[0], faults))
    return content if "bare_base64" in faults else b'"' + content + b'"'


def published(session: PublishedSession, view: View, faults: Collection[str]) -> tuple[bytes, dt.date]:
    """Return the file that B3 would give, and the date that its page would show."""
    content = session.content(View.CODE if "code_view_only" in faults else view)
    days = next((days for fault, days in _DAYS_OFF.items() if fault in faults), None)
    if days is None:
        return content, session.session_date
    off = trading_day_on_or_after(session.session_date + dt.timedelta(days=days))
    title, _, rest = content.partition(b"\n")
    shown = f"{session.session_date:%d/%m/%y}".encode()
    return title.replace(shown, f"{off:%d/%m/%y}".encode()) + b"\n" + rest, off


def spoilt(content: bytes, faults: Collection[str]) -> bytes:
    """Return the file with what the faults do to it."""
    changes: Mapping[str, Any] = {
        "truncated_csv": lambda content: content[: content.rindex(b";", 0, len(content) * 2 // 3)],
        "wrong_totals": _one_too_many,
        "renamed_columns": lambda content: content.replace("Qtde. Teórica".encode(ENCODING), b"Quantidade", 1),
    }
    for name, change in changes.items():
        if name in faults:
            content = change(content)
    return content


def _one_too_many(content: bytes) -> bytes:
    lines = content.split(b"\n")
    place = next((number for number, line in enumerate(lines) if line.startswith(b"Quantidade")), None)
    if place is None:
        return content
    fields = lines[place].split(b";")
    quantity = next(number for number, text in enumerate(fields) if text[:1].isdigit())
    raised = int(fields[quantity].replace(b".", b"")) + 1
    fields[quantity] = f"{raised:,}".replace(",", ".").encode()
    lines[place] = b";".join(fields)
    return b"\n".join(lines)


def _in_english(text: str) -> str:
    return text.translate(_SWAP_SEPARATORS)
