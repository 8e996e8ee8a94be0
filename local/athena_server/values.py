"""Functions on single values that Java and Trino define in a way DuckDB does not: DuckDB calls these, row by row.

Each gets Python values, None for NULL. They raise `ValueFailed`, whose text survives the way through DuckDB.
"""

from __future__ import annotations

import calendar
import datetime as dt
import functools
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction
from typing import Any, ParamSpec, TypeVar

from local.athena_server.sql_types import java_double, timestamp_text

P = ParamSpec("P")
T = TypeVar("T")

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}


class ValueFailed(Exception):
    """A value for which Trino fails the query."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"ATHENA{{{kind}: {message}}}")


def failure_in(text: str) -> tuple[str, str] | None:
    """Return kind and message of the `ValueFailed` in DuckDB's message, or None."""
    match = re.search(r"ATHENA\{([A-Z_]+): (.*?)\}", text, re.DOTALL)
    return (match[1], match[2]) if match else None


def strict(function: Callable[P, T]) -> Callable[P, T | None]:
    """Make *function* return NULL when an argument is NULL."""

    @functools.wraps(function)
    def wrapped(*arguments: P.args, **named: P.kwargs) -> T | None:
        return None if any(argument is None for argument in arguments) else function(*arguments, **named)

    return wrapped


def fail(kind: str, message: str) -> str:
    """Fail the query."""
    raise ValueFailed(kind, message)


# ---------------------------------------------------------------------------------------------------------- numbers


def _half_up(value: Fraction, scale: int) -> Decimal:
    scaled = abs(value) * 10**scale
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-scale, _wide())


def _wide() -> Any:
    with localcontext() as context:
        context.prec = 200
        return context.copy()


def _checked(value: Decimal, precision: int, scale: int) -> Decimal:
    if abs(value) >= Decimal(10) ** (precision - scale):
        raise ValueFailed(
            "NUMERIC_VALUE_OUT_OF_RANGE", f"Decimal overflow: {value} is not a DECIMAL({precision},{scale})"
        )
    return value


@strict
def decimal_divide(left: Decimal, right: Decimal, precision: int, scale: int) -> Decimal:
    """Divide exactly; round half away from zero at *scale*."""
    if right == 0:
        raise ValueFailed("DIVISION_BY_ZERO", "Division by zero")
    return _checked(_half_up(Fraction(left) / Fraction(right), scale), precision, scale)


@strict
def decimal_remainder(left: Decimal, right: Decimal, scale: int) -> Decimal:
    """Return what division to a whole number leaves, with the sign of *left*."""
    if right == 0:
        raise ValueFailed("DIVISION_BY_ZERO", "Division by zero")
    one, other = Fraction(left), Fraction(right)
    whole = abs(one) // abs(other)
    rest = abs(one) - whole * abs(other)
    return _half_up(rest if one >= 0 else -rest, scale)


@strict
def decimal_round(value: Decimal, digits: int, scale: int) -> Decimal:
    """Round half away from zero at *digits*, and keep *scale*."""
    rounded = Fraction(_half_up(Fraction(value) * Fraction(10) ** digits, 0)) / Fraction(10) ** digits
    return _half_up(rounded, scale)


@strict
def decimal_truncate(value: Decimal, digits: int, scale: int) -> Decimal:
    """Cut off what is beyond *digits*."""
    factor = Fraction(10) ** digits
    whole = int(abs(Fraction(value)) * factor)
    return _half_up(Fraction(whole if value >= 0 else -whole) / factor, scale)


@strict
def double_to_decimal(value: float, precision: int, scale: int) -> Decimal:
    """Take the shortest text of *value* and round it half away from zero, as Java's `BigDecimal.valueOf` does."""
    if not math.isfinite(value):
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast DOUBLE '{java_double(value)}' to DECIMAL")
    result = _half_up(Fraction(repr(value)), scale)
    if abs(result) >= Decimal(10) ** (precision - scale):
        raise ValueFailed(
            "INVALID_CAST_ARGUMENT", f"Cannot cast DOUBLE '{java_double(value)}' to DECIMAL({precision}, {scale})"
        )
    return result


@strict
def double_to_integer(value: float, kind: str) -> int:
    """Round half away from zero; fail beyond the type's range."""
    if not math.isfinite(value):
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast {java_double(value)} to {kind}")
    result = int(_half_up(Fraction(value), 0))
    return _in_range(result, kind, java_double(value))


def _in_range(value: int, kind: str, text: str) -> int:
    limit = 2 ** (_INTEGER_BITS[kind] - 1)
    if not -limit <= value < limit:
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast '{text}' to {kind.upper()}")
    return value


# ------------------------------------------------------------------------------------------------------------ casts


@strict
def text_to_integer(text: str, kind: str) -> int:
    """Read digits with an optional sign; nothing else, not even a space."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast '{text}' to {kind.upper()}")
    return _in_range(int(text), kind, text)


@strict
def text_to_double(text: str) -> float:
    """Read a number as Java's `Double.parseDouble` does, without its hexadecimal and suffix forms."""
    names = {"NaN": "nan", "Infinity": "inf", "+Infinity": "inf", "-Infinity": "-inf"}
    stripped = text.strip()
    if stripped in names:
        return float(names[stripped])
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", stripped):
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast '{text}' to DOUBLE")
    return float(stripped)


@strict
def text_to_decimal(text: str, precision: int, scale: int) -> Decimal:
    """Read a decimal, rounded half away from zero at *scale*."""
    try:
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
            raise InvalidOperation  # noqa: TRY301
        value = _half_up(Fraction(text.rstrip(".")), scale)
    except (InvalidOperation, ValueError):
        value = None
    if value is None or abs(value) >= Decimal(10) ** (precision - scale):
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast VARCHAR '{text}' to DECIMAL({precision}, {scale})")
    return value


@strict
def text_to_date(text: str) -> dt.date:
    """Read `2025-02-03`, in which month and day may lack their zero."""
    match = re.fullmatch(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", text.strip())
    try:
        if match is None:
            raise ValueError(text)  # noqa: TRY301
        return dt.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Value cannot be cast to date: {text}") from None


@strict
def text_to_timestamp(text: str) -> dt.datetime:
    """Read `2025-02-03 10:00:00.000`; the time, its seconds and their fraction may be missing."""
    match = re.fullmatch(
        r"([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})(?: ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?)?",
        text.strip(),
    )
    try:
        if match is None:
            raise ValueError(text)  # noqa: TRY301
        year, month, day = map(int, match[1].split("-"))
        hour, minute, second = (int(match[number] or 0) for number in (2, 3, 4))
        return dt.datetime(year, month, day, hour, minute, second, int((match[5] or "0").ljust(6, "0")))  # noqa: DTZ001
    except ValueError:
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Value cannot be cast to timestamp: {text}") from None


@strict
def text_to_boolean(text: str) -> bool:
    """Read `true`, `t`, `1` and their opposites."""
    values = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if text.lower() not in values:
        raise ValueFailed("INVALID_CAST_ARGUMENT", f"Cannot cast '{text}' to BOOLEAN")
    return values[text.lower()]


@strict
def double_to_text(value: float) -> str:
    """Write a double as Trino's cast does: always with an exponent, where `Double.toString` has it for some."""
    if not math.isfinite(value):
        return java_double(value)
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) + int(exponent) - 1 if value else 0
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{power}"


@strict
def timestamp_to_text(value: dt.datetime, precision: int) -> str:
    """Write a timestamp with its type's fraction."""
    return timestamp_text(value, precision)


# ------------------------------------------------------------------------------------------------------------ texts

_SPACES = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2008\u2009\u200a\u2028\u2029\u205f\u3000"
)


@strict
def trim(text: str) -> str:
    """Strip Java's whitespace, in which the no-break spaces are not."""
    return text.strip(_SPACES)


@strict
def ltrim(text: str) -> str:
    """Strip on the left."""
    return text.lstrip(_SPACES)


@strict
def rtrim(text: str) -> str:
    """Strip on the right."""
    return text.rstrip(_SPACES)


@strict
def substr(text: str, start: int) -> str:
    """Return what stands from *start*, which counts from 1, or from the end when negative."""
    return substr_length(text, start, len(text)) or ""


@strict
def substr_length(text: str, start: int, length: int) -> str:
    """Return *length* characters from *start*."""
    if start == 0 or length <= 0 or abs(start) > len(text):
        return ""
    first = start - 1 if start > 0 else len(text) + start
    return text[first : first + length]


@strict
def split(text: str, delimiter: str) -> list[str]:
    """Split at each *delimiter*."""
    if not delimiter:
        raise ValueFailed("INVALID_FUNCTION_ARGUMENT", "The delimiter may not be the empty string")
    return text.split(delimiter)


def split_part(text: str | None, delimiter: str | None, index: int | None) -> str | None:
    """Return the part *index*, which counts from 1; NULL when there are fewer."""
    if text is None or delimiter is None or index is None:
        return None
    if index <= 0:
        raise ValueFailed("INVALID_FUNCTION_ARGUMENT", "Index must be greater than zero")
    parts = text.split(delimiter) if delimiter else list(text)
    return parts[index - 1] if index <= len(parts) else None


@strict
def strpos(text: str, part: str) -> int:
    """Return where *part* first stands, from 1; 0 when nowhere."""
    return text.find(part) + 1


@strict
def pad(text: str, size: int, padding: str, side: str) -> str:
    """Fill *text* up to *size* characters, or cut it to them."""
    if size < 0 or not padding:
        raise ValueFailed("INVALID_FUNCTION_ARGUMENT", "Padding string must not be empty and the size not negative")
    fill = (padding * size)[: max(0, size - len(text))]
    return text[:size] if len(text) >= size else (fill + text if side == "left" else text + fill)


@functools.lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    # What Java and Python read differently, or only one of them knows.
    if re.search(r"\\[pPhHRXGZzQEkuxc0]|\[\[:|&&|\[[^\]]*\[|\(\?<[^=!]|\(\?[^:=!<>iP)]|\(\?P", pattern):
        raise ValueFailed("NOT_SUPPORTED", f"not supported by the local Athena: the regular expression {pattern}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"{error}: {pattern}") from None


@strict
def regexp_like(text: str, pattern: str) -> bool:
    """Tell whether *pattern* is found anywhere."""
    return _pattern(pattern).search(text) is not None


@strict
def regexp_extract(text: str, pattern: str, group: int) -> str | None:
    """Return the first match, or a group of it."""
    compiled = _pattern(pattern)
    if not 0 <= group <= compiled.groups:
        raise ValueFailed(
            "INVALID_FUNCTION_ARGUMENT", f"Pattern has {compiled.groups} groups. Cannot access group {group}"
        )
    match = compiled.search(text)
    return match[group] if match else None


@strict
def regexp_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    """Return every match, or a group of each."""
    return [match[group] for match in _pattern(pattern).finditer(text)]


@strict
def regexp_replace(text: str, pattern: str, replacement: str) -> str:
    """Replace each match; `$1` is a group and a backslash takes the next character as it is."""
    compiled = _pattern(pattern)

    def filled(match: re.Match[str]) -> str:
        def part(token: re.Match[str]) -> str:
            if token[1] is not None:
                return token[1]
            if token[2] is None:
                raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"Illegal replacement sequence: {replacement}")
            if int(token[2]) > compiled.groups:
                raise ValueFailed(
                    "NOT_SUPPORTED", f"not supported by the local Athena: group {token[2]} in {replacement}"
                )
            return match[int(token[2])] or ""

        return re.sub(r"\\(.)|\$(\d+)?", part, replacement, flags=re.DOTALL)

    return compiled.sub(filled, text)


@strict
def regexp_count(text: str, pattern: str) -> int:
    """Count the matches."""
    return sum(1 for _ in _pattern(pattern).finditer(text))


@strict
def regexp_split(text: str, pattern: str) -> list[str]:
    """Split at each match."""
    compiled = _pattern(pattern)
    parts, last = [], 0
    for match in compiled.finditer(text):
        if match.end() == match.start():
            raise ValueFailed("NOT_SUPPORTED", "not supported by the local Athena: regexp_split at an empty match")
        parts.append(text[last : match.start()])
        last = match.end()
    return [*parts, text[last:]]


def java_format(pattern: str | None, *values: Any) -> str | None:
    """Do what `java.util.Formatter` does for `%s`, `%d`, `%f` and `%b` in the locale of the United States."""
    if pattern is None:
        return None
    position = 0

    def filled(match: re.Match[str]) -> str:
        nonlocal position
        index, flags, width, digits, conversion = match.groups()
        if conversion in ("%", "n"):
            if index or flags or width or digits:
                raise ValueFailed("NOT_SUPPORTED", f"not supported by the local Athena: {match[0]} in format()")
            return "%" if conversion == "%" else "\n"
        number = int(index[:-1]) - 1 if index else position
        position += 0 if index else 1
        if not 0 <= number < len(values):
            raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"Format specifier '{match[0]}' has no argument")
        text = _conversion(match[0], values[number], conversion, flags, digits)
        size = int(width or 0)
        if "-" in flags:
            return text.ljust(size)
        if "0" in flags and values[number] is not None:
            sign = text[0] if text[:1] in ("-", "+") else ""
            return sign + text[len(sign) :].rjust(size - len(sign), "0")
        return text.rjust(size)

    return re.sub(r"%(\d+\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])?", filled, pattern)


def _conversion(specifier: str, value: Any, conversion: str | None, flags: str, digits: str | None) -> str:
    """Return *value* without its padding."""
    allowed = {"s": "-", "d": "-,0+", "f": "-,0+", "b": "-"}.get(conversion or "")
    if allowed is None or set(flags) - set(allowed) or (conversion == "d" and digits):
        raise ValueFailed("NOT_SUPPORTED", f"not supported by the local Athena: {specifier} in format()")
    if conversion == "b":
        text = "false" if value is None or value is False else "true"
        return text[: int(digits)] if digits else text
    if conversion == "s" or value is None:
        text = _java_string(value)
        return text[: int(digits)] if digits and conversion == "s" else text
    if conversion == "d":
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {specifier} (d != {value!r})")
        text = f"{value:,}" if "," in flags else str(value)
    else:
        if not isinstance(value, float | Decimal):
            raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {specifier} (f != {value!r})")
        if isinstance(value, float) and not math.isfinite(value):
            return java_double(value)
        rounded = _half_up(Fraction(repr(value) if isinstance(value, float) else value), int(digits or 6))
        text = f"{rounded:,f}" if "," in flags else f"{rounded:f}"
        if not rounded and value < 0:
            text = f"-{text}"
    return f"+{text}" if "+" in flags and not text.startswith("-") else text


def _java_string(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, dt.datetime):
        raise ValueFailed("NOT_SUPPORTED", "not supported by the local Athena: a timestamp in format()")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


# ------------------------------------------------------------------------------------------------------------ dates

_MONTH_NAMES = tuple(calendar.month_name)
_DAY_NAMES = tuple(calendar.day_name)


@strict
def mysql_format(value: dt.datetime, pattern: str) -> str:
    """Format as MySQL's `DATE_FORMAT` does, with the specifiers that Trino knows."""
    year, week, _ = value.isocalendar()
    hour12 = value.hour % 12 or 12
    half = "AM" if value.hour < 12 else "PM"
    clock = value.strftime("%H:%M:%S")
    parts = {
        "a": _DAY_NAMES[value.weekday()][:3],
        "b": _MONTH_NAMES[value.month][:3],
        "c": str(value.month),
        "d": f"{value.day:02d}",
        "e": str(value.day),
        "f": f"{value.microsecond // 1000:03d}000",
        "H": f"{value.hour:02d}",
        "h": f"{hour12:02d}",
        "I": f"{hour12:02d}",
        "i": f"{value.minute:02d}",
        "j": f"{value.timetuple().tm_yday:03d}",
        "k": str(value.hour),
        "l": str(hour12),
        "M": _MONTH_NAMES[value.month],
        "m": f"{value.month:02d}",
        "p": half,
        "r": f"{hour12:02d}:{value.minute:02d}:{value.second:02d} {half}",
        "S": f"{value.second:02d}",
        "s": f"{value.second:02d}",
        "T": clock,
        "v": f"{week:02d}",
        "W": _DAY_NAMES[value.weekday()],
        "x": f"{year:04d}",
        "Y": f"{value.year:04d}",
        "y": f"{value.year % 100:02d}",
        "%": "%",
    }

    def part(match: re.Match[str]) -> str:
        letter = match[1]
        if letter in tuple("DUuVwX"):
            raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"%{letter} not supported in date format string")
        return parts.get(letter, letter)

    return re.sub(r"%(.)", part, pattern, flags=re.DOTALL)


@strict
def joda_format(value: dt.datetime, pattern: str) -> str:
    """Format as Joda's `DateTimeFormat` does, for the letters of dates and times without a zone."""

    def part(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith("'"):
            return token[1:-1].replace("''", "'") or "'"
        return _joda_part(value, token) if token[0].isalpha() else token

    text = re.sub(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+", part, pattern)
    if re.sub(r"'(?:[^']|'')*'", "", pattern).count("'"):
        raise ValueFailed("INVALID_FUNCTION_ARGUMENT", f"Unterminated quote in {pattern}")
    return text


def _joda_part(value: dt.datetime, token: str) -> str:
    letter, size = token[0], len(token)
    week_year, week, weekday = value.isocalendar()
    years = {"y": value.year, "Y": value.year, "x": week_year}
    if letter in years:
        return f"{years[letter] % 100:02d}" if size == 2 else f"{years[letter]:0{size}d}"
    if letter == "M" and size > 2:
        return _MONTH_NAMES[value.month][: 3 if size == 3 else None]
    if letter == "E":
        return _DAY_NAMES[weekday - 1][: 3 if size < 4 else None]
    if letter == "a":
        return "AM" if value.hour < 12 else "PM"
    if letter == "S":
        return f"{value.microsecond:06d}".ljust(size, "0")[:size]
    numbers = {
        "M": value.month,
        "d": value.day,
        "D": value.timetuple().tm_yday,
        "w": week,
        "e": weekday,
        "H": value.hour,
        "k": value.hour or 24,
        "K": value.hour % 12,
        "h": value.hour % 12 or 12,
        "m": value.minute,
        "s": value.second,
    }
    if letter not in numbers:
        raise ValueFailed("NOT_SUPPORTED", f"not supported by the local Athena: {token} in format_datetime()")
    return f"{numbers[letter]:0{size}d}"


_MILLISECONDS = {
    "millisecond": 1,
    "second": 1000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
}


@strict
def date_diff(unit: str, start: dt.datetime, end: dt.datetime) -> int:
    """Count the whole units from *start* to *end*, as Joda does."""
    if end < start:
        return -(date_diff(unit, end, start) or 0)
    if unit in _MILLISECONDS:
        elapsed = end - start
        return (elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000) // _MILLISECONDS[
            unit
        ]
    if unit == "year":
        return _whole_years(start, end)
    months = (end.year - start.year) * 12 + end.month - start.month
    if end.day == calendar.monthrange(end.year, end.month)[1] and start.day > end.day:
        # From the 31st of January a month is over with the last day of February.
        start = start.replace(day=end.day)
    if (end.day, end.time()) < (start.day, start.time()):
        months -= 1
    return months // 3 if unit == "quarter" else months


def _whole_years(start: dt.datetime, end: dt.datetime) -> int:
    day = dt.timedelta(days=1)
    since_start = start - dt.datetime(start.year, 1, 1)  # noqa: DTZ001
    since_end = end - dt.datetime(end.year, 1, 1)  # noqa: DTZ001
    # Days from 29 February on are one later in a leap year.
    if since_start >= 59 * day:
        if calendar.isleap(start.year):
            since_start -= 0 * day if calendar.isleap(end.year) else day
        elif since_end >= 59 * day and calendar.isleap(end.year):
            since_end -= day
    return end.year - start.year - (since_end < since_start)
