"""Trino's scalar functions, by name. What is not here is refused: by name if Trino has it, as unknown if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.athena_server import values
from local.athena_server.casts import (
    arithmetic,
    cast,
    coerced,
    comparison,
    concatenated,
    element,
    failing,
    unified,
)
from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.scope import Sql, Translation, converted, quoted
from local.athena_server.sql_types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    VARCHAR,
    SqlType,
    array,
    decimal,
)

Maker = Callable[[Translation, list[Sql]], Sql]


@dataclass(frozen=True)
class Scalar:
    """How a function is called and made."""

    least: int
    most: int
    make: Maker


SCALARS: dict[str, Scalar] = {}

# Functions of Trino that are not carried over: the refusal says so, instead of that there is no such function.
KNOWN = frozenset(
    """
    acos asin atan atan2 cos cosh sin sinh tan tanh beta_cdf bitwise_and bitwise_or bitwise_xor bitwise_not bit_count
    from_base to_base infinity nan is_nan is_finite is_infinite rand random normal_cdf inverse_normal_cdf width_bucket
    wilson_interval_lower wilson_interval_upper hamming_distance levenshtein_distance soundex normalize reverse
    translate word_stem chr codepoint luhn_check to_utf8 from_utf8 regexp_position current_timestamp now localtimestamp
    from_unixtime to_unixtime to_iso8601 from_iso8601_timestamp parse_datetime parse_duration timezone_hour
    timezone_minute with_timezone at_timezone human_readable_seconds to_milliseconds date_parse json_extract
    json_extract_scalar json_parse json_format json_array_contains json_array_get json_array_length json_size
    json_object json_array json_query json_value json_exists is_json_scalar filter reduce transform transform_keys transform_values
    any_match all_match none_match map_filter map_zip_with zip zip_with combinations ngrams flatten shuffle array_union
    array_intersect array_except arrays_overlap array_remove array_sort array_position slice trim_array repeat sequence
    map_concat map_entries map_from_entries multimap_from_entries split_to_map split_to_multimap array_first array_last
    histogram multimap_agg map_union approx_most_frequent approx_set merge checksum corr covar_pop covar_samp kurtosis
    regr_intercept regr_slope skewness entropy bitwise_and_agg bitwise_or_agg reduce_agg numeric_histogram tdigest_agg
    qdigest_agg md5 sha1 sha256 sha512 crc32 xxhash64 to_hex from_hex to_base64 from_base64 url_encode url_decode
    url_extract_host url_extract_path url_extract_parameter uuid typeof version st_point st_distance geometric_mean
    hash_counts concat_ws format_number contains_sequence array_histogram value_at_quantile bitwise_left_shift
    bitwise_right_shift cosine_similarity from_iso8601_date
    """.split()  # noqa: E501
)


def scalar(name: str, least: int, most: int | None = None) -> Callable[[Maker], Maker]:
    """Register the maker of a function of *least* to *most* arguments."""

    def register(make: Maker) -> Maker:
        for each in name.split():
            SCALARS[each] = Scalar(least, least if most is None else most, make)
        return make

    return register


def unexpected(name: str, arguments: list[Sql]) -> StatementFailed:
    """Return Trino's refusal of arguments that a function does not take."""
    types = ", ".join(str(argument.type) for argument in arguments)
    return StatementFailed("FUNCTION_NOT_FOUND", f"Unexpected parameters ({types}) for function {name}")


# --------------------------------------------------------------------------------------------------- NULL and choice


@scalar("coalesce", 2, 99)
def _coalesce(translation: Translation, arguments: list[Sql]) -> Sql:
    same, kind = unified(translation, arguments, "All COALESCE operands")
    return Sql(f"CAST(coalesce({', '.join(part.text for part in same)}) AS {kind.duckdb})", kind)


@scalar("nullif", 2)
def _nullif(translation: Translation, arguments: list[Sql]) -> Sql:
    first, second = arguments
    equal = comparison(translation, "=", first, second)
    return Sql(f"CASE WHEN {equal.text} THEN NULL ELSE {first.text} END", first.type)


def _extreme(name: str) -> Maker:
    def make(translation: Translation, arguments: list[Sql]) -> Sql:
        same, kind = unified(translation, arguments, f"All {name.upper()} operands")
        texts = [part.text for part in same]
        # DuckDB's skips NULLs; Trino's is NULL when one is.
        null = " OR ".join(f"{text} IS NULL" for text in texts)
        return Sql(f"CASE WHEN {null} THEN NULL ELSE {name}({', '.join(texts)}) END", kind)

    return make


SCALARS["greatest"] = Scalar(1, 99, _extreme("greatest"))
SCALARS["least"] = Scalar(1, 99, _extreme("least"))


@scalar("try", 1)
def _try(_translation: Translation, arguments: list[Sql]) -> Sql:
    return Sql(f"TRY({arguments[0].text})", arguments[0].type)


# ----------------------------------------------------------------------------------------------------------- numbers


@scalar("abs", 1)
def _abs(_translation: Translation, arguments: list[Sql]) -> Sql:
    (value,) = arguments
    if not value.type.is_numeric:
        raise unexpected("abs", arguments)
    return Sql(f"CAST(abs({value.text}) AS {value.type.duckdb})", value.type)


@scalar("sign", 1)
def _sign(_translation: Translation, arguments: list[Sql]) -> Sql:
    (value,) = arguments
    if not value.type.is_exact:
        raise unexpected("sign", arguments) if not value.type.is_numeric else not_supported(f"sign({value.type})")
    kind = decimal(1, 0) if value.type.name == "decimal" else value.type
    return Sql(f"CAST(sign({value.text}) AS {kind.duckdb})", kind)


@scalar("round", 1, 2)
def _round(translation: Translation, arguments: list[Sql]) -> Sql:
    value, *digits = arguments
    kind = value.type
    places = coerced(translation, digits[0], INTEGER, "Digits of round()") if digits else None
    if kind.name == "decimal":
        if places is None:
            whole = decimal(kind.precision - kind.scale + min(1, kind.scale), 0)
            return Sql(f"CAST(round({value.text}, 0) AS {whole.duckdb})", whole)
        wider = decimal(kind.precision + 1, kind.scale)
        if isinstance(digits[0].literal, int) and 0 <= digits[0].literal < kind.scale:
            return Sql(f"CAST(round({value.text}, {digits[0].literal}) AS {wider.duckdb})", wider)
        return translation.call(values.decimal_round, wider, value, places, kind.scale)
    if kind.name == "double":
        if places is None:
            return Sql(f"round({value.text})", DOUBLE)
        factor = f"pow(CAST(10 AS DOUBLE), {places.text})"
        return Sql(f"(round({value.text} * {factor}) / {factor})", DOUBLE)
    if kind.is_integer:
        if places is not None and not (isinstance(digits[0].literal, int) and digits[0].literal >= 0):
            raise not_supported("round() of an integer to digits that are not a literal of at least 0")
        return value
    raise unexpected("round", arguments)


def _whole(name: str) -> Maker:
    def make(_translation: Translation, arguments: list[Sql]) -> Sql:
        (value,) = arguments
        kind = value.type
        if kind.name == "decimal":
            kind = decimal(kind.precision - kind.scale + min(1, kind.scale), 0)
        if not kind.is_numeric:
            raise unexpected(name, arguments)
        return Sql(f"CAST({name}({value.text}) AS {kind.duckdb})", kind)

    return make


for _name in ("floor", "ceil", "ceiling"):
    SCALARS[_name] = Scalar(1, 1, _whole("floor" if _name == "floor" else "ceil"))


@scalar("truncate", 1, 2)
def _truncate(translation: Translation, arguments: list[Sql]) -> Sql:
    value, *digits = arguments
    kind = value.type
    if kind.name == "decimal":
        if not digits:
            whole = decimal(max(1, kind.precision - kind.scale), 0)
            return translation.call(values.decimal_truncate, whole, value, 0, 0)
        places = coerced(translation, digits[0], INTEGER, "Digits of truncate()")
        return translation.call(values.decimal_truncate, kind, value, places, kind.scale)
    if kind.name == "double" and not digits:
        return Sql(f"trunc({value.text})", DOUBLE)
    raise unexpected("truncate", arguments)


@scalar("mod", 2)
def _mod(translation: Translation, arguments: list[Sql]) -> Sql:
    return arithmetic(translation, "%", *arguments)


def _of_doubles(name: str, *fixed: str) -> Maker:
    def make(translation: Translation, arguments: list[Sql]) -> Sql:
        if not all(argument.type.is_numeric or argument.type.name == "unknown" for argument in arguments):
            raise unexpected(name, arguments)
        texts = [cast(translation, argument, DOUBLE).text for argument in arguments]
        return Sql(f"CAST({name}({', '.join([*fixed, *texts])}) AS DOUBLE)", DOUBLE)

    return make


for _name in ("sqrt", "exp", "ln", "log2", "log10", "cbrt", "degrees", "radians"):
    SCALARS[_name] = Scalar(1, 1, _of_doubles(_name))
SCALARS["power"] = SCALARS["pow"] = Scalar(2, 2, _of_doubles("pow"))
SCALARS["log"] = Scalar(2, 2, _of_doubles("log"))
SCALARS["pi"] = Scalar(0, 0, _of_doubles("pi"))
SCALARS["e"] = Scalar(0, 0, lambda _translation, _arguments: Sql("exp(CAST(1 AS DOUBLE))", DOUBLE))


# ------------------------------------------------------------------------------------------------------------- texts


def _text(name: str, translation: Translation, arguments: list[Sql], *kinds: SqlType) -> list[Sql]:
    for argument, kind in zip(arguments, kinds, strict=False):
        integers = argument.type.is_integer and kind.is_integer
        if argument.type.name not in (kind.name, "unknown") and not integers:
            raise unexpected(name, arguments)
    return [cast(translation, argument, kind) for argument, kind in zip(arguments, kinds, strict=False)]


def _plain(name: str, duckdb: str, result: SqlType, *kinds: SqlType) -> None:
    """Register a function that DuckDB computes in the same way."""

    def make(translation: Translation, arguments: list[Sql]) -> Sql:
        texts = [part.text for part in _text(name, translation, arguments, *kinds)]
        return Sql(f"CAST({duckdb}({', '.join(texts)}) AS {result.duckdb})", result)

    SCALARS[name] = Scalar(len(kinds), len(kinds), make)


def _called(
    name: str, function: Callable[..., object], result: SqlType, *kinds: SqlType, fixed: tuple[str | int, ...] = ()
) -> None:
    """Register a function that Python computes."""

    def make(translation: Translation, arguments: list[Sql]) -> Sql:
        return translation.call(function, result, *_text(name, translation, arguments, *kinds), *fixed)

    SCALARS[name] = Scalar(len(kinds), len(kinds), make)


_plain("length", "length", BIGINT, VARCHAR)
_plain("upper", "upper", VARCHAR, VARCHAR)
_plain("lower", "lower", VARCHAR, VARCHAR)
_plain("starts_with", "starts_with", BOOLEAN, VARCHAR, VARCHAR)
_called("trim", values.trim, VARCHAR, VARCHAR)
_called("ltrim", values.ltrim, VARCHAR, VARCHAR)
_called("rtrim", values.rtrim, VARCHAR, VARCHAR)
_called("split", values.split, array(VARCHAR), VARCHAR, VARCHAR)
_called("split_part", values.split_part, VARCHAR, VARCHAR, VARCHAR, BIGINT)
_called("strpos", values.strpos, BIGINT, VARCHAR, VARCHAR)
_called("lpad", values.pad, VARCHAR, VARCHAR, BIGINT, VARCHAR, fixed=("left",))
_called("rpad", values.pad, VARCHAR, VARCHAR, BIGINT, VARCHAR, fixed=("right",))
_called("regexp_like", values.regexp_like, BOOLEAN, VARCHAR, VARCHAR)
_called("regexp_count", values.regexp_count, BIGINT, VARCHAR, VARCHAR)
_called("regexp_split", values.regexp_split, array(VARCHAR), VARCHAR, VARCHAR)


def _variadic(name: str, least: int, most: int, make: Callable[[Translation, list[Sql]], Sql]) -> None:
    SCALARS[name] = Scalar(least, most, make)


def _substr(translation: Translation, arguments: list[Sql]) -> Sql:
    parts = _text("substr", translation, arguments, VARCHAR, BIGINT, BIGINT)
    function: Callable[..., object] = values.substr if len(parts) == 2 else values.substr_length
    return translation.call(function, VARCHAR, *parts)


def _replace(translation: Translation, arguments: list[Sql]) -> Sql:
    parts = _text("replace", translation, arguments, VARCHAR, VARCHAR, VARCHAR)
    if arguments[1].literal in (None, ""):
        raise not_supported("replace() of a text that is not a literal, or empty")
    texts = [part.text for part in parts] + ([] if len(parts) == 3 else ["''"])
    return Sql(f"replace({', '.join(texts)})", VARCHAR)


def _regexp_extract(translation: Translation, arguments: list[Sql]) -> Sql:
    parts = _text("regexp_extract", translation, arguments, VARCHAR, VARCHAR, BIGINT)
    return translation.call(values.regexp_extract, VARCHAR, *parts, *([] if len(parts) == 3 else [0]))


def _regexp_extract_all(translation: Translation, arguments: list[Sql]) -> Sql:
    parts = _text("regexp_extract_all", translation, arguments, VARCHAR, VARCHAR, BIGINT)
    return translation.call(values.regexp_extract_all, array(VARCHAR), *parts, *([] if len(parts) == 3 else [0]))


def _regexp_replace(translation: Translation, arguments: list[Sql]) -> Sql:
    parts = _text("regexp_replace", translation, arguments, VARCHAR, VARCHAR, VARCHAR)
    return translation.call(values.regexp_replace, VARCHAR, *parts, *([] if len(parts) == 3 else [""]))


_variadic("substr", 2, 3, _substr)
_variadic("substring", 2, 3, _substr)
_variadic("replace", 2, 3, _replace)
_variadic("regexp_extract", 2, 3, _regexp_extract)
_variadic("regexp_extract_all", 2, 3, _regexp_extract_all)
_variadic("regexp_replace", 2, 3, _regexp_replace)
_variadic("concat", 2, 99, concatenated)


@scalar("format", 2, 99)
def _format(translation: Translation, arguments: list[Sql]) -> Sql:
    (pattern,) = _text("format", translation, arguments[:1], VARCHAR)
    if any(part.type.name in ("real", "array", "map", "row", "timestamp", "varbinary") for part in arguments):
        raise not_supported(f"format() of {', '.join(str(part.type) for part in arguments[1:])}")
    return translation.call(values.java_format, VARCHAR, pattern, *arguments[1:])


# ------------------------------------------------------------------------------------------------------------- dates

_DATE_UNITS = {"day": "to_days", "week": "to_weeks", "month": "to_months", "year": "to_years"}
_TIME_UNITS = {"hour": "to_hours", "minute": "to_minutes", "second": "to_seconds", "millisecond": "to_milliseconds"}


def _unit(arguments: list[Sql], function: str) -> str:
    unit = arguments[0].literal
    if not isinstance(unit, str):
        raise not_supported(f"{function}() with a unit that is not a literal")
    return unit.lower()


def _temporal(name: str, argument: Sql) -> Sql:
    if argument.type.name not in ("date", "timestamp"):
        raise unexpected(name, [argument])
    return argument


def as_timestamp(sql: Sql) -> Sql:
    """Return a date or timestamp as a timestamp."""
    return sql if sql.type.name == "timestamp" else Sql(converted(sql, TIMESTAMP), TIMESTAMP)


@scalar("date_add", 3)
def _date_add(translation: Translation, arguments: list[Sql]) -> Sql:
    unit = _unit(arguments, "date_add")
    value = _temporal("date_add", arguments[2])
    amount = coerced(translation, arguments[1], BIGINT, "The amount of date_add()")
    units = _DATE_UNITS if value.type == DATE else _DATE_UNITS | _TIME_UNITS
    count, step = cast(translation, amount, INTEGER).text, units.get(unit)
    if unit == "quarter":
        count, step = f"(CAST(3 AS INTEGER) * {count})", "to_months"
    if step is None:
        kind = "DATE" if value.type == DATE else "TIMESTAMP"
        raise StatementFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {kind} field")
    return Sql(f"CAST(({value.text} + {step}({count})) AS {value.type.duckdb})", value.type)


@scalar("date_diff", 3)
def _date_diff(translation: Translation, arguments: list[Sql]) -> Sql:
    unit = _unit(arguments, "date_diff")
    start, end = (_temporal("date_diff", argument) for argument in arguments[1:])
    dates = start.type == end.type == DATE
    if unit not in {*_DATE_UNITS, "quarter"} | (set() if dates else set(_TIME_UNITS)):
        kind = "DATE" if dates else "TIMESTAMP"
        raise StatementFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {kind} field")
    if dates and unit == "day":
        return Sql(f"CAST(({end.text} - {start.text}) AS BIGINT)", BIGINT)
    return translation.call(values.date_diff, BIGINT, unit, as_timestamp(start), as_timestamp(end))


@scalar("date_trunc", 2)
def _date_trunc(_translation: Translation, arguments: list[Sql]) -> Sql:
    unit = _unit(arguments, "date_trunc")
    value = _temporal("date_trunc", arguments[1])
    allowed = {*_DATE_UNITS, "quarter"} | (set() if value.type == DATE else set(_TIME_UNITS))
    if unit not in allowed:
        kind = "DATE" if value.type == DATE else "TIMESTAMP"
        raise StatementFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {kind} field")
    return Sql(f"CAST(date_trunc({quoted(unit)}, {value.text}) AS {value.type.duckdb})", value.type)


def _formatted(name: str, function: Callable[..., object]) -> None:
    def make(translation: Translation, arguments: list[Sql]) -> Sql:
        value = _temporal(name, arguments[0])
        (pattern,) = _text(name, translation, arguments[1:], VARCHAR)
        return translation.call(function, VARCHAR, as_timestamp(value), pattern)

    SCALARS[name] = Scalar(2, 2, make)


_formatted("date_format", values.mysql_format)
_formatted("format_datetime", values.joda_format)

_PARTS = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "week": "week",
    "week_of_year": "week",
    "day": "day",
    "day_of_month": "day",
    "day_of_week": "isodow",
    "dow": "isodow",
    "day_of_year": "doy",
    "doy": "doy",
    "year_of_week": "isoyear",
    "yow": "isoyear",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}


def date_part(name: str, value: Sql) -> Sql:
    """Return a part of a date, which is a bigint."""
    _temporal(name, value)
    if name in ("hour", "minute", "second") and value.type == DATE:
        raise unexpected(name, [value])
    return Sql(f"CAST(date_part({quoted(_PARTS[name])}, {value.text}) AS BIGINT)", BIGINT)


def is_date_part(name: str) -> bool:
    """Tell whether *name* is a part of a date."""
    return name in _PARTS


def _part(name: str) -> Maker:
    return lambda _translation, arguments: date_part(name, arguments[0])


for _name in _PARTS:
    SCALARS[_name] = Scalar(1, 1, _part(_name))


@scalar("last_day_of_month", 1)
def _last_day(_translation: Translation, arguments: list[Sql]) -> Sql:
    return Sql(f"CAST(last_day({_temporal('last_day_of_month', arguments[0]).text}) AS DATE)", DATE)


@scalar("date", 1)
def _date(translation: Translation, arguments: list[Sql]) -> Sql:
    if arguments[0].type.name not in ("varchar", "timestamp", "date", "unknown"):
        raise unexpected("date", arguments)
    return cast(translation, arguments[0], DATE)


# ------------------------------------------------------------------------------------------------------- collections


@scalar("cardinality", 1)
def _cardinality(_translation: Translation, arguments: list[Sql]) -> Sql:
    (value,) = arguments
    if value.type.name not in ("array", "map"):
        raise unexpected("cardinality", arguments)
    function = "len" if value.type.name == "array" else "cardinality"
    return Sql(f"CAST({function}({value.text}) AS BIGINT)", BIGINT)


@scalar("element_at", 2)
def _element_at(translation: Translation, arguments: list[Sql]) -> Sql:
    if arguments[0].type.name not in ("array", "map"):
        raise unexpected("element_at", arguments)
    return element(translation, *arguments, strict=False)


@scalar("contains", 2)
def _contains(translation: Translation, arguments: list[Sql]) -> Sql:
    whole, item = arguments
    if whole.type.name != "array":
        raise unexpected("contains", arguments)
    wanted = coerced(translation, item, whole.type.items[0], "The element of contains()")
    found, null = (
        f"list_contains({whole.text}, {wanted.text})",
        f"len(list_filter({whole.text}, lambda x: x IS NULL)) > 0",
    )
    return Sql(
        f"CASE WHEN {whole.text} IS NULL OR {wanted.text} IS NULL THEN NULL WHEN {found} THEN true "
        f"WHEN {null} THEN NULL ELSE false END",
        BOOLEAN,
    )


@scalar("array_join", 2, 3)
def _array_join(translation: Translation, arguments: list[Sql]) -> Sql:
    whole, *texts = arguments
    if whole.type.name != "array" or whole.type.items[0].name not in (
        "varchar",
        "integer",
        "bigint",
        "decimal",
        "date",
    ):
        raise not_supported(f"array_join() of {whole.type}")
    parts = [part.text for part in _text("array_join", translation, texts, VARCHAR, VARCHAR)]
    strings = f"list_transform({whole.text}, lambda x: CAST(x AS VARCHAR))"
    if len(parts) == 2:
        strings = f"list_transform({strings}, lambda x: coalesce(x, {parts[1]}))"
    strings = f"list_filter({strings}, lambda x: x IS NOT NULL)"
    return Sql(
        f"CASE WHEN {whole.text} IS NULL THEN NULL WHEN len({strings}) = 0 THEN '' "
        f"ELSE array_to_string({strings}, {parts[0]}) END",
        VARCHAR,
    )


def _array_extreme(name: str, duckdb: str) -> None:
    def make(_translation: Translation, arguments: list[Sql]) -> Sql:
        (whole,) = arguments
        if whole.type.name != "array":
            raise unexpected(name, arguments)
        # NULL when an element is.
        null = f"len(list_filter({whole.text}, lambda x: x IS NULL)) > 0"
        return Sql(f"CASE WHEN {null} THEN NULL ELSE {duckdb}({whole.text}) END", whole.type.items[0])

    SCALARS[name] = Scalar(1, 1, make)


_array_extreme("array_max", "list_max")
_array_extreme("array_min", "list_min")


@scalar("array_sort", 1)
def _array_sort(_translation: Translation, arguments: list[Sql]) -> Sql:
    if arguments[0].type.name != "array":
        raise unexpected("array_sort", arguments)
    return Sql(f"list_sort({arguments[0].text}, 'ASC', 'NULLS LAST')", arguments[0].type)


@scalar("map", 0, 2)
def _map(translation: Translation, arguments: list[Sql]) -> Sql:
    if len(arguments) != 2 or {argument.type.name for argument in arguments} != {"array"}:
        raise unexpected("map", arguments)
    kind = SqlType("map", items=(arguments[0].type.items[0], arguments[1].type.items[0]))
    keys, items = (argument.text for argument in arguments)
    unequal = failing(
        translation, "INVALID_FUNCTION_ARGUMENT", "Key and value arrays must be the same length", kind.items[0]
    )
    checked = f"CASE WHEN len({keys}) <> len({items}) THEN [{unequal}] ELSE {keys} END"
    return Sql(f"CASE WHEN {keys} IS NULL OR {items} IS NULL THEN NULL ELSE map({checked}, {items}) END", kind)


def _of_map(name: str, duckdb: str, position: int) -> None:
    def make(_translation: Translation, arguments: list[Sql]) -> Sql:
        (value,) = arguments
        if value.type.name != "map":
            raise unexpected(name, arguments)
        text = f"CASE WHEN {value.text} IS NULL THEN NULL ELSE {duckdb}({value.text}) END"
        return Sql(text, array(value.type.items[position]))

    SCALARS[name] = Scalar(1, 1, make)


_of_map("map_keys", "map_keys", 0)
_of_map("map_values", "map_values", 1)
