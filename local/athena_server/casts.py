"""Trino's casts and operators on typed expressions, in DuckDB's SQL."""

from __future__ import annotations

from local.athena_server import values
from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.scope import Sql, Translation, converted, quoted
from local.athena_server.sql_types import BOOLEAN, DATE, DOUBLE, VARCHAR, SqlType, array, common_type, decimal

_WIDENING = {"boolean": ("tinyint", "smallint", "integer", "bigint"), "date": ("timestamp",), "timestamp": ("date",)}


def coerced(translation: Translation, sql: Sql, kind: SqlType, what: str) -> Sql:
    """Return *sql* as *kind* if Trino widens it without being asked."""
    if sql.type.duckdb == kind.duckdb and sql.type.name != "unknown":
        return sql
    common = common_type(sql.type, kind)
    if common is None or common.duckdb != kind.duckdb:
        raise StatementFailed("TYPE_MISMATCH", f"{what} must be {kind} (actual {sql.type})")
    return cast(translation, sql, kind)


def unified(translation: Translation, parts: list[Sql], what: str) -> tuple[list[Sql], SqlType]:
    """Return all *parts* as the type to which they widen together."""
    kind = parts[0].type
    for part in parts[1:]:
        common = common_type(kind, part.type)
        if common is None:
            raise StatementFailed("TYPE_MISMATCH", f"{what} must be the same type: {kind}, {part.type}")
        kind = common
    return [cast(translation, part, kind) for part in parts], kind


def cast(translation: Translation, sql: Sql, kind: SqlType) -> Sql:
    """Return `CAST(sql AS kind)`."""
    source, target = sql.type, kind
    if source.name == "unknown" or source.duckdb == target.duckdb:
        if source.name == target.name == "timestamp" and target.precision < source.precision:
            raise not_supported(f"a cast of {source} to {target}")
        return Sql(converted(sql, target), target, sql.literal)
    special = _text_cast(translation, sql, target) or _number_cast(translation, sql, target)
    if special is not None:
        return special
    if target.name in _WIDENING.get(source.name, ()) or (target.name == "boolean" and source.is_integer):
        return Sql(converted(sql, target), target)
    if source.name == target.name == "array":
        item = cast(translation, Sql('"x"', source.items[0]), target.items[0])
        return Sql(f'list_transform({sql.text}, lambda "x": {item.text})', target)
    raise StatementFailed("TYPE_MISMATCH", f"Cannot cast {source} to {target}")


def _text_cast(  # noqa: PLR0911 - one for each type
    translation: Translation, sql: Sql, target: SqlType
) -> Sql | None:
    """Return a cast from or to varchar."""
    if sql.type.name == "varchar":
        if target.is_integer:
            return translation.call(values.text_to_integer, target, sql, target.name)
        if target.name == "decimal":
            return translation.call(values.text_to_decimal, target, sql, target.precision, target.scale)
        functions = {
            "double": values.text_to_double,
            "date": values.text_to_date,
            "timestamp": values.text_to_timestamp,
            "boolean": values.text_to_boolean,
        }
        return translation.call(functions[target.name], target, sql) if target.name in functions else None
    if target.name != "varchar":
        return None
    if sql.type.is_exact or sql.type.name in ("date", "boolean"):
        return Sql(converted(sql, VARCHAR), VARCHAR)
    if sql.type.name == "double":
        return translation.call(values.double_to_text, VARCHAR, sql)
    if sql.type.name == "timestamp":
        return translation.call(values.timestamp_to_text, VARCHAR, sql, sql.type.precision)
    return None


def _number_cast(translation: Translation, sql: Sql, target: SqlType) -> Sql | None:
    """Return a cast from a number to a number."""
    source = sql.type
    if not (source.is_numeric and target.is_numeric):
        return None
    if source.name in ("double", "real"):
        wide = Sql(converted(sql, DOUBLE), DOUBLE)
        if target.is_integer:
            return translation.call(values.double_to_integer, target, wide, target.name)
        if target.name == "decimal":
            if source.name == "real":
                raise not_supported("a cast of real to decimal")
            return translation.call(values.double_to_decimal, target, wide, target.precision, target.scale)
    return Sql(converted(sql, target), target)


# -------------------------------------------------------------------------------------------------------- operators


def failing(translation: Translation, kind: str, message: str, result: SqlType) -> str:
    """Return SQL that fails the query where it is reached."""
    return f"CAST({translation.call(values.fail, VARCHAR, kind, message).text} AS {result.duckdb})"


def arithmetic(translation: Translation, operator: str, left: Sql, right: Sql) -> Sql:
    """Return `left operator right` with Trino's type and value."""
    if left.type.name.startswith("interval") or right.type.name.startswith("interval"):
        return _moved(operator, left, right)
    kind = common_type(left.type, right.type)
    if kind is None or not kind.is_numeric or "unknown" in (left.type.name, right.type.name):
        if kind is not None and kind.is_numeric:
            return Sql(f"CAST(NULL AS {kind.duckdb})", kind)
        raise StatementFailed("TYPE_MISMATCH", f"Cannot apply operator: {left.type} {operator} {right.type}")
    if kind.name == "decimal":
        return _decimal_arithmetic(translation, operator, left, right)
    one, other = cast(translation, left, kind).text, cast(translation, right, kind).text
    if kind.is_integer and operator in "/%":
        failed = failing(translation, "DIVISION_BY_ZERO", "Division by zero", kind)
        division = "//" if operator == "/" else "%"
        # DuckDB answers NULL for x / 0.
        return Sql(
            f"CAST(CASE WHEN {other} = 0 THEN {failed} ELSE {one} {division} {other} END AS {kind.duckdb})", kind
        )
    if operator == "%":
        raise not_supported(f"% of {kind}")
    return Sql(f"CAST(({one} {operator} {other}) AS {kind.duckdb})", kind)


def _decimal_arithmetic(translation: Translation, operator: str, left: Sql, right: Sql) -> Sql:
    one, other = left.type.as_decimal, right.type.as_decimal
    scale = max(one.scale, other.scale)
    whole = max(one.precision - one.scale, other.precision - other.scale)
    if operator in "+-":
        kind = decimal(1 + scale + whole, scale)
        texts = (f"CAST({part.text} AS DECIMAL(38,{scale}))" for part in (left, right))
        return Sql(f"CAST(({f' {operator} '.join(texts)}) AS {kind.duckdb})", kind)
    if operator == "*":
        kind = decimal(one.precision + other.precision, one.scale + other.scale)
        return Sql(f"CAST(({converted(left, one)} * {converted(right, other)}) AS {kind.duckdb})", kind)
    parts = (cast(translation, left, one), cast(translation, right, other))
    if operator == "/":
        kind = decimal(one.precision + other.scale + max(0, other.scale - one.scale), scale)
        return translation.call(values.decimal_divide, kind, *parts, kind.precision, kind.scale)
    kind = decimal(min(one.precision - one.scale, other.precision - other.scale) + scale, scale)
    return translation.call(values.decimal_remainder, kind, *parts, kind.scale)


def _moved(operator: str, left: Sql, right: Sql) -> Sql:
    """Return a date or timestamp moved by an interval."""
    if operator == "+" and left.type.name.startswith("interval"):
        left, right = right, left
    if operator not in "+-" or left.type.name not in ("date", "timestamp") or right.literal is None:
        raise StatementFailed("TYPE_MISMATCH", f"Cannot apply operator: {left.type} {operator} {right.type}")
    if left.type == DATE and right.literal == "time":
        raise StatementFailed("INVALID_FUNCTION_ARGUMENT", "Cannot add hour, minutes or seconds to a date")
    return Sql(f"CAST(({left.text} {operator} {right.text}) AS {left.type.duckdb})", left.type)


def comparison(translation: Translation, operator: str, left: Sql, right: Sql) -> Sql:
    """Return a comparison; both sides are widened to their common type, and never further."""
    kind = common_type(left.type, right.type)
    if kind is None:
        raise StatementFailed("TYPE_MISMATCH", f"Cannot apply operator: {left.type} {operator} {right.type}")
    ordered = operator not in ("=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
    if kind.name in ("map", "row") or (kind.name == "array" and ordered):
        raise not_supported(f"{operator} between values of {kind}")
    return Sql(f"({cast(translation, left, kind).text} {operator} {cast(translation, right, kind).text})", BOOLEAN)


def concatenated(translation: Translation, parts: list[Sql]) -> Sql:
    """Return `a || b`: NULL when a part is."""
    if all(part.type.name in ("varchar", "unknown") for part in parts):
        texts = [cast(translation, part, VARCHAR).text for part in parts]
        return Sql(f"({' || '.join(texts)})", VARCHAR)
    if all(part.type.name in ("array", "unknown") for part in parts):
        same, kind = unified(translation, parts, "Arrays to concatenate")
        null = " OR ".join(f"{part.text} IS NULL" for part in same)
        joined = same[0].text
        for part in same[1:]:
            joined = f"list_concat({joined}, {part.text})"
        return Sql(f"CASE WHEN {null} THEN NULL ELSE {joined} END", kind)
    types = ", ".join(str(part.type) for part in parts)
    raise StatementFailed("FUNCTION_NOT_FOUND", f"Unexpected parameters ({types}) for function concat")


def element(translation: Translation, base: Sql, index: Sql, *, strict: bool) -> Sql:
    """Return `base[index]`, which fails where there is nothing, or `element_at`, which is NULL there."""
    if base.type.name == "map":
        key = coerced(translation, index, base.type.items[0], "Map key")
        found = f"map_contains({base.text}, {key.text})"
        missing = failing(translation, "INVALID_FUNCTION_ARGUMENT", "Key not present in map", base.type.items[1])
        value = f"map_extract_value({base.text}, {key.text})"
        if not strict:
            return Sql(value, base.type.items[1])
        return Sql(
            f"CASE WHEN {base.text} IS NULL OR {key.text} IS NULL THEN NULL "
            f"WHEN {found} THEN {value} ELSE {missing} END",
            base.type.items[1],
        )
    if base.type.name != "array":
        raise StatementFailed("TYPE_MISMATCH", f"Cannot use [ ] on {base.type}")
    item = base.type.items[0]
    at = cast(translation, coerced(translation, index, SqlType("bigint"), "Array index"), SqlType("bigint")).text
    zero = failing(translation, "INVALID_FUNCTION_ARGUMENT", "SQL array indices start at 1", item)
    value = f"list_extract({base.text}, {at})"
    if not strict:
        return Sql(f"CASE WHEN {at} = 0 AND {base.text} IS NOT NULL THEN {zero} ELSE {value} END", item)
    beyond = failing(translation, "INVALID_FUNCTION_ARGUMENT", "Array subscript must be between 1 and its size", item)
    return Sql(
        f"CASE WHEN {base.text} IS NULL OR {at} IS NULL THEN NULL WHEN {at} = 0 THEN {zero} "
        f"WHEN {at} < 0 OR {at} > len({base.text}) THEN {beyond} ELSE {value} END",
        item,
    )


def array_of(translation: Translation, items: list[Sql]) -> Sql:
    """Return `ARRAY[...]`."""
    if not items:
        return Sql("CAST([] AS INTEGER[])", array(SqlType("unknown")))
    same, kind = unified(translation, items, "Array elements")
    return Sql(f"[{', '.join(item.text for item in same)}]", array(kind))


def number_literal(text: str) -> Sql:
    """Return a number as Trino types it: integer, bigint, decimal or, with an exponent, double."""
    lowered = text.lower().replace("_", "")
    if "e" in lowered:
        return Sql(f"CAST({quoted(lowered)} AS DOUBLE)", DOUBLE, float(lowered))
    if "." in lowered:
        whole, _, fraction = lowered.partition(".")
        precision = max(1, len(whole.lstrip("0")) + len(fraction))
        if precision > 38:
            raise StatementFailed("INVALID_LITERAL", f"Invalid numeric literal: {text}")
        kind = decimal(precision, len(fraction))
        return Sql(f"CAST({quoted(f'{whole or 0}.{fraction}')} AS {kind.duckdb})", kind)
    value = int(lowered)
    if value > 2**63 - 1:
        raise StatementFailed("INVALID_LITERAL", f"Invalid numeric literal: {text}")
    kind = SqlType("integer" if value <= 2**31 - 1 else "bigint")
    return Sql(f"CAST({value} AS {kind.duckdb})", kind, value)
