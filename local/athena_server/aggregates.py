"""Trino's aggregate and window functions, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.athena_server import values
from local.athena_server.casts import cast, coerced
from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.functions import unexpected
from local.athena_server.scope import Sql, Translation, converted
from local.athena_server.sql_types import BIGINT, BOOLEAN, DOUBLE, REAL, VARCHAR, SqlType, array, decimal


@dataclass(frozen=True)
class Call:
    """What stands around the arguments of an aggregate."""

    distinct: bool = False
    order: str = ""
    """`ORDER BY ...` within the parentheses."""
    filter: str = ""
    over: str = ""

    def apply(self, name: str, *arguments: str) -> str:
        """Return the call of a DuckDB aggregate with all that stands around it."""
        inner = ("DISTINCT " if self.distinct else "") + ", ".join(arguments)
        inner += f" {self.order}" if self.order else ""
        condition = f" FILTER (WHERE {self.filter})" if self.filter else ""
        return f"{name}({inner}){condition}{self.over}"


Maker = Callable[[Translation, list[Sql], Call], Sql]


@dataclass(frozen=True)
class Aggregate:
    """How an aggregate is called and made."""

    least: int
    most: int
    make: Maker
    ordered: bool = False
    """Whether the order of its input changes its value, so that ORDER BY is carried over."""


AGGREGATES: dict[str, Aggregate] = {}


def _register(names: str, least: int, most: int | None = None, *, ordered: bool = False) -> Callable[[Maker], Maker]:
    def register(make: Maker) -> Maker:
        for name in names.split():
            AGGREGATES[name] = Aggregate(least, least if most is None else most, make, ordered)
        return make

    return register


@_register("count", 0, 1)
def _count(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    return Sql(f"CAST({call.apply('count', arguments[0].text if arguments else '*')} AS BIGINT)", BIGINT)


@_register("count_if", 1)
def _count_if(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    value = coerced(translation, arguments[0], BOOLEAN, "The argument of count_if()")
    return Sql(f"CAST({call.apply('count', f'CASE WHEN {value.text} THEN 1 END')} AS BIGINT)", BIGINT)


@_register("approx_distinct", 1)
def _approx_distinct(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    # The exact answer, which AWS approximates with a standard error of 2.3 %.
    if call.over:
        raise not_supported("approx_distinct() as a window function")
    return Sql(f"CAST({call.apply('count', f'DISTINCT {arguments[0].text}')} AS BIGINT)", BIGINT)


@_register("sum", 1)
def _sum(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    (value,) = arguments
    if value.type.is_integer:
        kind = BIGINT
    elif value.type.name == "decimal":
        kind = decimal(38, value.type.scale)
    elif value.type.is_numeric:
        kind = value.type
    else:
        raise unexpected("sum", arguments)
    return Sql(f"CAST({call.apply('sum', value.text)} AS {kind.duckdb})", kind)


@_register("avg", 1)
def _avg(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    (value,) = arguments
    if value.type.name == "decimal":
        total = Sql(
            f"CAST({call.apply('sum', value.text)} AS DECIMAL(38,{value.type.scale}))", decimal(38, value.type.scale)
        )
        count = Sql(f"nullif(CAST({call.apply('count', value.text)} AS DECIMAL(19,0)), 0)", decimal(19, 0))
        return translation.call(values.decimal_divide, value.type, total, count, value.type.precision, value.type.scale)
    if not value.type.is_numeric:
        raise unexpected("avg", arguments)
    kind = value.type if value.type.name == "real" else DOUBLE
    return Sql(f"CAST({call.apply('avg', converted(value, DOUBLE))} AS {kind.duckdb})", kind)


def _extreme_of(name: str) -> Maker:
    def make(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        (value,) = arguments
        if value.type.items or value.type.name == "unknown":
            raise not_supported(f"{name}() of {value.type}")
        return Sql(call.apply(name, value.text), value.type)

    return make


for _name in ("min", "max"):
    AGGREGATES[_name] = Aggregate(1, 1, _extreme_of(_name))


@_register("arbitrary any_value", 1)
def _arbitrary(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    return Sql(call.apply("any_value", arguments[0].text), arguments[0].type)


def _by(name: str, duckdb: str) -> None:
    def make(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        value, key = arguments
        if key.type.items or value.type.name == "unknown":
            raise not_supported(f"{name}() by {key.type}")
        return Sql(call.apply(duckdb, value.text, key.text), value.type)

    AGGREGATES[name] = Aggregate(2, 2, make)


_by("max_by", "arg_max_null")
_by("min_by", "arg_min_null")


def _boolean(name: str, duckdb: str) -> None:
    def make(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        value = coerced(translation, arguments[0], BOOLEAN, f"The argument of {name}()")
        return Sql(call.apply(duckdb, value.text), BOOLEAN)

    AGGREGATES[name] = Aggregate(1, 1, make)


_boolean("bool_and", "bool_and")
_boolean("every", "bool_and")
_boolean("bool_or", "bool_or")


def _spread(name: str, duckdb: str) -> None:
    def make(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        if not arguments[0].type.is_numeric:
            raise unexpected(name, arguments)
        return Sql(f"CAST({call.apply(duckdb, cast(translation, arguments[0], DOUBLE).text)} AS DOUBLE)", DOUBLE)

    AGGREGATES[name] = Aggregate(1, 1, make)


for _name, _duckdb in {
    "stddev": "stddev_samp",
    "stddev_samp": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "variance": "var_samp",
    "var_samp": "var_samp",
    "var_pop": "var_pop",
}.items():
    _spread(_name, _duckdb)


@_register("approx_percentile", 2)
def _approx_percentile(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    # The exact percentile by nearest rank; AWS answers from a digest and may differ from it slightly.
    value, fraction = arguments
    if value.type.name == "decimal":
        # Trino has none for decimals and takes the narrower of those that it could widen to.
        value = Sql(converted(value, REAL), REAL)
    if value.type.name not in ("bigint", "integer", "smallint", "tinyint", "real", "double"):
        raise unexpected("approx_percentile", arguments)
    kind = BIGINT if value.type.is_integer else value.type
    if fraction.type.name not in ("decimal", "double"):
        raise not_supported("approx_percentile() with several percentiles or a weight")
    return Sql(f"CAST({call.apply('quantile_disc', value.text, converted(fraction, DOUBLE))} AS {kind.duckdb})", kind)


@_register("array_agg", 1, ordered=True)
def _array_agg(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    if arguments[0].type.name == "unknown":
        raise not_supported("array_agg() of NULL")
    return Sql(call.apply("list", arguments[0].text), array(arguments[0].type))


@_register("listagg", 1, 2, ordered=True)
def _listagg(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    if not call.order:
        raise StatementFailed("SYNTAX_ERROR", "listagg() needs WITHIN GROUP (ORDER BY ...)")
    value = coerced(translation, arguments[0], VARCHAR, "The value of listagg()")
    separator = arguments[1].text if len(arguments) == 2 else "''"
    if len(arguments) == 2 and not isinstance(arguments[1].literal, str):
        raise not_supported("listagg() with a separator that is not a literal")
    return Sql(call.apply("string_agg", value.text, separator), VARCHAR)


@_register("map_agg", 2)
def _map_agg(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    key, value = arguments
    if call.over or call.distinct or "unknown" in (key.type.name, value.type.name):
        raise not_supported("map_agg() with DISTINCT or OVER, or of NULL")
    kind = SqlType("map", items=(key.type, value.type))
    present = f"{key.text} IS NOT NULL" + (f" AND {call.filter}" if call.filter else "")
    entries = f"list(struct_pack(k := {key.text}, v := {value.text})) FILTER (WHERE {present})"
    # A key that comes twice fails: which value would stay is not defined.
    return Sql(f"CAST(map_from_entries({entries}) AS {kind.duckdb})", kind)


@_register("histogram", 1)
def _histogram(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    if call.over:
        raise not_supported("histogram() as a window function")
    kind = SqlType("map", items=(arguments[0].type, BIGINT))
    return Sql(f"CAST({call.apply('histogram', arguments[0].text)} AS {kind.duckdb})", kind)


# ---------------------------------------------------------------------------------------------- functions of windows

WINDOWS: dict[str, Aggregate] = {}


def _ranking(name: str, kind: SqlType) -> None:
    def make(_translation: Translation, _arguments: list[Sql], call: Call) -> Sql:
        return Sql(f"CAST({call.apply(name)} AS {kind.duckdb})", kind)

    WINDOWS[name] = Aggregate(0, 0, make)


for _name in ("row_number", "rank", "dense_rank"):
    _ranking(_name, BIGINT)
for _name in ("percent_rank", "cume_dist"):
    _ranking(_name, DOUBLE)


def _ntile(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
    buckets = coerced(translation, arguments[0], BIGINT, "The buckets of ntile()")
    return Sql(f"CAST({call.apply('ntile', buckets.text)} AS BIGINT)", BIGINT)


def _shifted(name: str) -> Maker:
    def make(translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        value, *more = arguments
        if more and not (isinstance(more[0].literal, int) and more[0].literal >= 0):
            raise not_supported(f"{name}() by an offset that is not a literal")
        texts = [value.text]
        texts += [more[0].text] if more else []
        texts += [coerced(translation, more[1], value.type, f"The default of {name}()").text] if len(more) == 2 else []
        return Sql(call.apply(name, *texts), value.type)

    return make


def _placed(name: str) -> Maker:
    def make(_translation: Translation, arguments: list[Sql], call: Call) -> Sql:
        if len(arguments) == 2 and not (isinstance(arguments[1].literal, int) and arguments[1].literal > 0):
            raise not_supported(f"{name}() at a place that is not a literal")
        return Sql(call.apply(name, *(argument.text for argument in arguments)), arguments[0].type)

    return make


WINDOWS["ntile"] = Aggregate(1, 1, _ntile)
WINDOWS["lag"] = Aggregate(1, 3, _shifted("lag"))
WINDOWS["lead"] = Aggregate(1, 3, _shifted("lead"))
WINDOWS["first_value"] = Aggregate(1, 1, _placed("first_value"))
WINDOWS["last_value"] = Aggregate(1, 1, _placed("last_value"))
WINDOWS["nth_value"] = Aggregate(2, 2, _placed("nth_value"))
NULL_TREATED = frozenset({"lag", "lead", "first_value", "last_value", "nth_value"})
