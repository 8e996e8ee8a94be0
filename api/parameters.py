"""Reading a request strictly: its method, and parameters that are known, once, and well-formed, or a clear refusal."""

from __future__ import annotations

import datetime as dt
import json
import re

from flask import request
from werkzeug.exceptions import MethodNotAllowed, UnsupportedMediaType

from api.errors import BadJson, InvalidDate, InvalidField, MissingField, UnknownParameter
from bovespa.calendar import FIRST_YEAR

LAST_YEAR = 2199

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def require_get() -> None:
    """Refuse HEAD, which Flask answers with the work of GET: whoever only looks must start no browser.

    Raises:
        MethodNotAllowed: The request's method is not GET.
    """
    if request.method != "GET":
        raise MethodNotAllowed(valid_methods=["GET"])


def query(*known: str) -> dict[str, str]:
    """Return the query's parameters, all of them among *known*.

    Raises:
        UnknownParameter: One is not, or stands there twice.
    """
    for name, values in request.args.lists():
        if name not in known:
            choice = f"this route knows {', '.join(known)}" if known else "this route takes none"
            raise UnknownParameter(f"There is no parameter {name[:40]!r}; {choice}.")
        if len(values) > 1:
            raise UnknownParameter(f"The parameter {name!r} is given {len(values)} times; once is enough.")
    return request.args.to_dict()


def parse_date(text: str) -> dt.date:
    """Read `2025-02-03`.

    Raises:
        InvalidDate: *text* is no such date, or its year is not one that the calendar knows.
    """
    try:
        # Python also reads 20250203 and 2025-W06-1; one date has one spelling here.
        date = dt.date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        date = None
    if date is None or not FIRST_YEAR <= date.year <= LAST_YEAR:
        raise InvalidDate(f"{text[:40]!r} is not a date like 2025-02-03 between {FIRST_YEAR} and {LAST_YEAR}.")
    return date


def json_texts(*fields: str) -> tuple[str, ...]:
    """Return the values of *fields* in the JSON object that is the request's body.

    Raises:
        BadJson: The body is no JSON object.
        MissingField: A field is not there; the message names every such field.
        InvalidField: A field is not text, or empty.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with `Content-Type: application/json`.")
    body = _parsed(request.get_data())
    if not isinstance(body, dict):
        raise BadJson("The body is not a JSON object.")
    missing = [field for field in fields if field not in body]
    if missing:
        raise MissingField(f"The body lacks {', '.join(missing)}.")
    return tuple(_text(field, body[field]) for field in fields)


def _parsed(body: bytes) -> object:
    """The value of a JSON text; None for what is none, too deep, or has a name twice."""
    if not _is_shallow(body):
        return None
    try:
        return json.loads(body, object_pairs_hook=_unambiguous)
    except ValueError:  # also what is no UTF-8, and whole numbers of thousands of digits
        return None


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Readers disagree on which of two values with one name holds (RFC 8259, 4), so neither does."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _is_shallow(body: bytes) -> bool:
    """Python's JSON reader recurses, and a body of brackets alone would exhaust its stack."""
    return body.count(b"[") + body.count(b"{") <= 100


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidField(f"{field} is not a text, or it is empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidField(f"{field} holds half a character.") from None
    return value
