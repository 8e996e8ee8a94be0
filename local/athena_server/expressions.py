"""Expressions of Athena's SQL, typed as Trino types them, as DuckDB's SQL.

Every node of the syntax tree that is not known here is refused: nothing is handed on unread.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from local.athena_server.aggregates import AGGREGATES, NULL_TREATED, WINDOWS, Aggregate, Call
from local.athena_server.casts import (
    arithmetic,
    array_of,
    cast,
    coerced,
    comparison,
    concatenated,
    element,
    number_literal,
    unified,
)
from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.functions import KNOWN, SCALARS, date_part, is_date_part
from local.athena_server.scope import Grouping, Node, Scope, Sql, Translation, only, quoted
from local.athena_server.sql_types import (
    BOOLEAN,
    DATE,
    DAYS,
    INTEGER,
    MONTHS,
    UNKNOWN,
    VARCHAR,
    SqlType,
    decimal,
)
from local.athena_server.values import ValueFailed, failure_in, text_to_date

if TYPE_CHECKING:
    from local.athena_server.queries import Queries

_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_COMPARISONS = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
}
_FRAME_UNITS = {"SECOND": "seconds", "MINUTE": "minutes", "HOUR": "hours", "DAY": "days", "WEEK": "weeks"}


class Expressions:
    """Translates expressions; queries within them go back to *queries*."""

    def __init__(self, translation: Translation, queries: Queries) -> None:
        self._translation = translation
        self._queries = queries
        self._handlers: dict[type, Callable[[Node, Scope], Sql]] = {
            exp.Literal: self._literal,
            exp.Null: lambda _node, _scope: Sql("NULL", UNKNOWN),
            exp.Boolean: lambda node, _scope: Sql("true" if node.this else "false", BOOLEAN, bool(node.this)),
            exp.Paren: self._paren,
            exp.Column: self._column,
            exp.Neg: self._negative,
            exp.Not: self._not,
            exp.Is: self._is,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            exp.Escape: self._escape,
            exp.Case: self._case,
            exp.If: self._if,
            exp.Cast: self._cast,
            exp.TryCast: self._try_cast,
            exp.Interval: self._interval,
            exp.CurrentDate: self._current_date,
            exp.Extract: self._extract,
            exp.StrPosition: self._position,
            exp.DPipe: self._pipe,
            exp.Array: self._array,
            exp.Bracket: self._bracket,
            exp.Anonymous: self._function,
            exp.Filter: self._aggregate_call,
            exp.WithinGroup: self._aggregate_call,
            exp.Window: self._window,
            exp.Subquery: self._subquery,
            exp.Exists: self._exists,
            exp.And: self._logical,
            exp.Or: self._logical,
        }
        for kind in _ARITHMETIC:
            self._handlers[kind] = self._arithmetic
        for kind in _COMPARISONS:
            self._handlers[kind] = self._comparison

    def translate(self, node: Node, scope: Scope) -> Sql:
        """Return *node* in DuckDB's SQL, with its type.

        Raises:
            StatementFailed: Athena would refuse it, or this module does not know it.
        """
        if scope.grouping is not None:
            key = self._group_key(node, scope.grouping)
            if key is not None:
                return key
        handler = self._handlers.get(type(node))
        if handler is None:
            raise not_supported(f"{type(node).__name__}: {node.sql(dialect='trino')[:200]}")
        try:
            return handler(node, scope)
        except StatementFailed as error:
            text = str(error).partition(": ")[2]
            if text.startswith("line ") or error.kind == "NOT_SUPPORTED":
                raise
            raise self._translation.failed(node, error.kind, text) from None

    def condition(self, node: Node, scope: Scope, clause: str) -> Sql:
        """Return *node* as a condition."""
        return coerced(self._translation, self.translate(node, scope), BOOLEAN, f"{clause} clause")

    def contains_aggregate(self, node: Node) -> bool:
        """Tell whether an aggregate of this very query stands in *node*."""
        if isinstance(node, exp.Query):
            return False
        if isinstance(node, exp.Window):
            inner = [*node.this.iter_expressions(), *node.args.get("partition_by", ()), node.args.get("order")]
            return any(self.contains_aggregate(part) for part in inner if part is not None)
        if isinstance(node, exp.Anonymous) and node.name.lower() in {*AGGREGATES, "grouping"}:
            return True
        return any(self.contains_aggregate(part) for part in node.iter_expressions())

    # ---------------------------------------------------------------------------------------------- leaves and names

    def _literal(self, node: Node, _scope: Scope) -> Sql:
        if node.is_string:
            return Sql(quoted(node.this), SqlType("varchar", len(node.this)), node.this)
        return number_literal(str(node.this))

    def _paren(self, node: Node, scope: Scope) -> Sql:
        only(node, "this")
        inner = self.translate(node.this, scope)
        return Sql(f"({inner.text})", inner.type, inner.literal)

    def _column(self, node: Node, scope: Scope) -> Sql:
        parts = [part.name.lower() for part in node.parts]
        if node.name == "*" or isinstance(node.this, exp.Star):
            raise StatementFailed("SYNTAX_ERROR", "mismatched input '*'")
        *qualifier, name = parts
        if not qualifier and name in scope.aliases:
            alias = scope.aliases[name]
            if alias is None:
                raise self._translation.failed(node, "AMBIGUOUS_NAME", f"Column '{name}' is ambiguous")
            return alias
        current: Scope | None = scope
        while current is not None:
            source = current.grouping.source if current.grouping else current
            found = source.find(tuple(qualifier), name)
            if found is not None:
                if current.grouping is None:
                    return found.sql
                key = current.grouping.keys.get(found.sql.text)
                if key is None:
                    raise self._translation.failed(
                        node,
                        "EXPRESSION_NOT_AGGREGATE",
                        f"'{'.'.join(parts)}' must be an aggregate expression or appear in GROUP BY clause",
                    )
                return key
            current = current.parent
        raise self._translation.failed(
            node, "COLUMN_NOT_FOUND", f"Column '{'.'.join(parts)}' cannot be resolved or requester is not authorized"
        )

    def _group_key(self, node: Node, grouping: Grouping) -> Sql | None:
        """Return the key that *node* is, if it is one."""
        if isinstance(
            node, exp.Literal | exp.Null | exp.Boolean | exp.Query | exp.Window | exp.Filter | exp.WithinGroup
        ):
            return None
        if node.find(exp.Query) is not None or self.contains_aggregate(node):
            return None
        try:
            plain = self.translate(node, grouping.source)
        except StatementFailed:
            return None
        return grouping.keys.get(plain.text)

    # ----------------------------------------------------------------------------------------------------- operators

    def _arithmetic(self, node: Node, scope: Scope) -> Sql:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        return arithmetic(self._translation, _ARITHMETIC[type(node)], left, right)

    def _comparison(self, node: Node, scope: Scope) -> Sql:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        return comparison(self._translation, _COMPARISONS[type(node)], left, right)

    def _negative(self, node: Node, scope: Scope) -> Sql:
        value = self.translate(node.this, scope)
        if not value.type.is_numeric:
            raise StatementFailed("TYPE_MISMATCH", f"Cannot apply operator: -{value.type}")
        literal = -value.literal if isinstance(value.literal, int | float) else None
        return Sql(f"CAST((- {value.text}) AS {value.type.duckdb})", value.type, literal)

    def _logical(self, node: Node, scope: Scope) -> Sql:
        word = "AND" if isinstance(node, exp.And) else "OR"
        sides = (
            coerced(self._translation, self.translate(side, scope), BOOLEAN, f"Logical expression term of {word}")
            for side in (node.this, node.expression)
        )
        return Sql(f"({f' {word} '.join(side.text for side in sides)})", BOOLEAN)

    def _not(self, node: Node, scope: Scope) -> Sql:
        value = coerced(self._translation, self.translate(node.this, scope), BOOLEAN, "Value of logical NOT expression")
        return Sql(f"(NOT {value.text})", BOOLEAN)

    def _is(self, node: Node, scope: Scope) -> Sql:
        if not isinstance(node.expression, exp.Null):
            raise StatementFailed("SYNTAX_ERROR", "mismatched input 'IS'. Expecting: [NOT] NULL or DISTINCT FROM")
        return Sql(f"({self.translate(node.this, scope).text} IS NULL)", BOOLEAN)

    def _between(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "low", "high")
        value, low, high = (self.translate(node.args[part], scope) for part in ("this", "low", "high"))
        first = comparison(self._translation, ">=", value, low)
        return Sql(f"({first.text} AND {comparison(self._translation, '<=', value, high).text})", BOOLEAN)

    def _in(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "expressions", "query")
        if isinstance(node.this, exp.Tuple):
            raise not_supported("IN of several columns")
        value = self.translate(node.this, scope)
        if node.args.get("query") is not None:
            query = self._queries.nested(node.args["query"], scope, columns=1)
            kind = query.fields[0].sql.type
            widened = self._common(value, kind)
            inner = cast(self._translation, Sql('"c0"', kind), widened).text
            return Sql(
                f'({cast(self._translation, value, widened).text} IN (SELECT {inner} FROM ({query.text}) AS "q"))',  # noqa: S608 - names are made here, literals are quoted
                BOOLEAN,
            )
        items, _ = unified(
            self._translation, [value, *(self.translate(item, scope) for item in node.expressions)], "IN value and list"
        )
        return Sql(f"({items[0].text} IN ({', '.join(item.text for item in items[1:])}))", BOOLEAN)

    def _common(self, value: Sql, kind: SqlType) -> SqlType:
        _, widened = unified(self._translation, [value, Sql("NULL", kind)], "IN value and query")
        return widened

    def _like(self, node: Node, scope: Scope, escape: str = "") -> Sql:
        only(node, "this", "expression")
        sides = (
            coerced(self._translation, self.translate(side, scope), VARCHAR, "LIKE value and pattern")
            for side in (node.this, node.expression)
        )
        return Sql(f"({' LIKE '.join(side.text for side in sides)}{escape})", BOOLEAN)

    def _escape(self, node: Node, scope: Scope) -> Sql:
        character = node.expression
        if not (isinstance(node.this, exp.Like) and isinstance(character, exp.Literal) and len(character.this) == 1):
            raise StatementFailed("INVALID_FUNCTION_ARGUMENT", "Escape string must be a single character")
        return self._like(node.this, scope, f" ESCAPE {quoted(character.this)}")

    def _pipe(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "expression", "safe")
        return concatenated(self._translation, [self.translate(side, scope) for side in (node.this, node.expression)])

    def _case(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "ifs", "default")
        subject = self.translate(node.this, scope) if node.this is not None else None
        tests, results = [], []
        for branch in node.args["ifs"]:
            test = self.translate(branch.this, scope)
            if subject is not None:
                tests.append(comparison(self._translation, "=", subject, test))
            else:
                tests.append(coerced(self._translation, test, BOOLEAN, "CASE WHEN clause"))
            results.append(self.translate(branch.args["true"], scope))
        default = node.args.get("default")
        results.append(self.translate(default, scope) if default is not None else Sql("NULL", UNKNOWN))
        return self._choice(tests, results)

    def _if(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "true", "false")
        test = self.condition(node.this, scope, "IF")
        other = node.args.get("false")
        results = [self.translate(node.args["true"], scope)]
        results.append(self.translate(other, scope) if other is not None else Sql("NULL", UNKNOWN))
        return self._choice([test], results)

    def _choice(self, tests: list[Sql], results: list[Sql]) -> Sql:
        same, kind = unified(self._translation, results, "All CASE results")
        pairs = zip(tests, same, strict=False)
        branches = " ".join(f"WHEN {test.text} THEN {result.text}" for test, result in pairs)
        return Sql(f"CAST(CASE {branches} ELSE {same[-1].text} END AS {kind.duckdb})", kind)

    # --------------------------------------------------------------------------------------------- casts and literals

    def _cast(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "to")
        kind = self.type_of(node.args["to"])
        value = self.translate(node.this, scope)
        if kind == DATE and isinstance(value.literal, str):
            # Checked here, so that the text is a constant that prunes partitions.
            try:
                day = text_to_date(value.literal)
            except ValueFailed as error:
                found = failure_in(str(error)) or ("INVALID_CAST_ARGUMENT", value.literal)
                raise StatementFailed(*found) from None
            return Sql(f"DATE '{day}'", DATE, day)
        return cast(self._translation, value, kind)

    def _try_cast(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "to", "safe")
        converted = cast(self._translation, self.translate(node.this, scope), self.type_of(node.args["to"]))
        return Sql(f"TRY({converted.text})", converted.type)

    def type_of(self, node: Node) -> SqlType:
        """Return the type that a cast names."""
        only(node, "this", "expressions", "nested")
        name = node.this.value.lower()
        name = {"int": "integer", "float": "real", "text": "varchar"}.get(name, name)
        sizes = [part.this.name for part in node.expressions if isinstance(part, exp.DataTypeParam)]
        if name == "decimal":
            precision, scale = (int(size) for size in (*sizes, "0")[:2]) if sizes else (38, 0)
            return decimal(precision, scale)
        if name == "timestamp":
            if sizes and int(sizes[0]) > 3:
                raise not_supported(f"timestamp({sizes[0]})")
            return SqlType("timestamp", int(sizes[0]) if sizes else 3)
        if name in ("array", "map"):
            return SqlType(name, items=tuple(self.type_of(item) for item in node.expressions))
        if sizes or name not in (
            "boolean",
            "tinyint",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double",
            "varchar",
            "date",
        ):
            raise not_supported(f"the type {node.sql(dialect='trino')}")
        return SqlType(name)

    def _interval(self, node: Node, _scope: Scope) -> Sql:
        only(node, "this", "unit")
        text, unit = node.name, node.args["unit"].name.upper() if isinstance(node.args.get("unit"), exp.Var) else ""
        if not re.fullmatch(r"[+-]?[0-9]+", text) or not node.this.is_string:
            raise not_supported(f"the interval {node.sql(dialect='trino')}")
        if unit in ("MONTH", "YEAR"):
            return Sql(f"INTERVAL ({int(text)}) {unit}", MONTHS, "months")
        if unit not in _FRAME_UNITS:
            raise not_supported(f"the interval {node.sql(dialect='trino')}")
        return Sql(f"INTERVAL ({int(text)}) {unit}", DAYS, "days" if unit in ("DAY", "WEEK") else "time")

    def _current_date(self, node: Node, _scope: Scope) -> Sql:
        only(node)
        # Athena's sessions are in UTC.
        return Sql(f"DATE '{dt.datetime.now(dt.UTC).date()}'", DATE)

    def _extract(self, node: Node, scope: Scope) -> Sql:
        name = node.name.lower()
        if not is_date_part(name):
            raise StatementFailed("INVALID_FUNCTION_ARGUMENT", f"Invalid EXTRACT field: {name}")
        return date_part(name, self.translate(node.expression, scope))

    def _position(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "substr")
        parts = [self.translate(node.this, scope), self.translate(node.args["substr"], scope)]
        return SCALARS["strpos"].make(self._translation, parts)

    def _array(self, node: Node, scope: Scope) -> Sql:
        only(node, "expressions")
        if any(isinstance(item, exp.Query) for item in node.expressions):
            raise not_supported("ARRAY of a query")
        return array_of(self._translation, [self.translate(item, scope) for item in node.expressions])

    def _bracket(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "expressions", "offset")
        if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
            raise not_supported("a slice of an array")
        index = self.translate(node.expressions[0], scope)
        if node.args.get("offset"):
            raise not_supported("a shifted array index")
        return element(self._translation, self.translate(node.this, scope), index, strict=True)

    # ----------------------------------------------------------------------------------------------------- functions

    def _function(self, node: Node, scope: Scope) -> Sql:
        name = node.name.lower()
        if name == "grouping":
            return self._grouping(node, scope)
        if name in AGGREGATES:
            return self._aggregate_call(node, scope)
        if name in WINDOWS:
            raise self._translation.failed(node, "MISSING_OVER", f"Window function {name} requires an OVER clause")
        only(node, "this", "expressions")
        if name == "if":
            raise not_supported("if() of more than three arguments")
        known = SCALARS.get(name)
        if known is None:
            if name in KNOWN:
                raise not_supported(f"the function {name}")
            raise self._translation.failed(node, "FUNCTION_NOT_FOUND", f"Function '{name}' not registered")
        arguments = [self.translate(argument, scope) for argument in node.expressions]
        if not known.least <= len(arguments) <= known.most:
            types = ", ".join(str(argument.type) for argument in arguments)
            raise self._translation.failed(
                node, "FUNCTION_NOT_FOUND", f"Unexpected parameters ({types}) for function {name}"
            )
        return known.make(self._translation, arguments)

    def _grouping(self, node: Node, scope: Scope) -> Sql:
        if scope.grouping is None:
            raise StatementFailed("SYNTAX_ERROR", "A GROUPING() operation can only be used with GROUP BY")
        keys = []
        for argument in node.expressions:
            plain = self.translate(argument, scope.grouping.source)
            if plain.text not in scope.grouping.keys:
                raise StatementFailed(
                    "INVALID_ARGUMENTS", "The arguments to GROUPING() must be expressions of GROUP BY"
                )
            keys.append(f'"k{scope.grouping.key_order.index(plain.text)}"')
        return scope.grouping.aggregate(Sql(f"CAST(grouping({', '.join(keys)}) AS INTEGER)", INTEGER))

    def _aggregate_call(self, node: Node, scope: Scope) -> Sql:
        """Return an aggregate of a grouped query: a reference to what its first half computes."""
        if scope.grouping is None:
            where = scope.aggregates_refused or "this place"
            raise self._translation.failed(
                node,
                "EXPRESSION_NOT_SCALAR",
                f"{where} cannot contain aggregations, window functions or grouping operations",
            )
        source = scope.grouping.source
        inner, condition, order = node, None, None
        if isinstance(inner, exp.Filter):
            only(inner, "this", "expression")
            condition = self.condition(inner.expression.this, source, "FILTER")
            inner = inner.this
        if isinstance(inner, exp.WithinGroup):
            only(inner, "this", "expression")
            order = inner.expression
            inner = inner.this
        if not isinstance(inner, exp.Anonymous) or inner.name.lower() not in AGGREGATES:
            raise not_supported(node.sql(dialect="trino")[:200])
        name = inner.name.lower()
        if (name == "listagg") != (order is not None):
            raise StatementFailed("SYNTAX_ERROR", f"WITHIN GROUP (ORDER BY ...) belongs to listagg(), not to {name}()")
        arguments, call = self._call(inner, source, order)
        if condition is not None:
            call = Call(call.distinct, call.order, condition.text, "")
        return scope.grouping.aggregate(self._made(AGGREGATES[name], inner, arguments, call))

    def _call(self, node: Node, scope: Scope, order: Node = None) -> tuple[list[Sql], Call]:
        only(node, "this", "expressions")
        nodes = list(node.expressions)
        distinct = False
        if nodes and isinstance(nodes[-1], exp.Order):
            order = nodes[-1]
            nodes[-1] = order.this
        if nodes and isinstance(nodes[0], exp.Distinct):
            only(nodes[0], "expressions")
            distinct, nodes = True, [*nodes[0].expressions, *nodes[1:]]
            if nodes and isinstance(nodes[-1], exp.Order):
                order = nodes[-1]
                nodes[-1] = order.this
        if len(nodes) == 1 and isinstance(nodes[0], exp.Star):
            only(nodes[0])
            if node.name.lower() != "count" or distinct:
                raise StatementFailed("SYNTAX_ERROR", f"{node.name}(*) is only defined for count")
            nodes = []
        elif not nodes and node.name.lower() == "count":
            raise not_supported("count()")
        arguments = [self.translate(argument, scope) for argument in nodes]
        ordered = ""
        if order is not None:
            ordered = self.ordering(order.expressions, scope)
        return arguments, Call(distinct, ordered)

    def _made(self, function: Aggregate, node: Node, arguments: list[Sql], call: Call) -> Sql:
        name = node.name.lower()
        if not function.least <= len(arguments) <= function.most:
            types = ", ".join(str(argument.type) for argument in arguments)
            raise self._translation.failed(
                node, "FUNCTION_NOT_FOUND", f"Unexpected parameters ({types}) for function {name}"
            )
        if call.order and not function.ordered:
            if call.over:
                raise not_supported(f"ORDER BY within {name}() as a window function")
            call = Call(call.distinct, "", call.filter, call.over)
        return function.make(self._translation, arguments, call)

    def _window(self, node: Node, scope: Scope) -> Sql:
        only(node, "this", "partition_by", "order", "spec", "over")
        if not scope.windows_allowed:
            raise self._translation.failed(
                node, "EXPRESSION_NOT_SCALAR", "Window functions stand only in SELECT and ORDER BY"
            )
        inner, ignore, condition = node.this, False, None
        if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
            ignore, inner = isinstance(inner, exp.IgnoreNulls), inner.this
        if isinstance(inner, exp.Filter):
            condition, inner = inner.expression.this, inner.this
        if not isinstance(inner, exp.Anonymous):
            raise not_supported(node.sql(dialect="trino")[:200])
        name = inner.name.lower()
        function = WINDOWS.get(name) or AGGREGATES.get(name)
        if function is None:
            raise self._translation.failed(inner, "FUNCTION_NOT_FOUND", f"Function '{name}' not registered")
        within = Scope(scope.fields, scope.parent, scope.grouping, scope.aliases)
        arguments, call = self._call(inner, within)
        if call.distinct:
            raise StatementFailed("NOT_SUPPORTED", "DISTINCT in window function parameters not yet supported")
        if ignore:
            if name not in NULL_TREATED:
                raise not_supported(f"IGNORE NULLS of {name}")
            first, *rest = arguments
            last = f"{(rest or [first])[-1].text} IGNORE NULLS"
            arguments = [*arguments[:-1], Sql(last, arguments[-1].type, arguments[-1].literal)]
        over = f" OVER ({self._over(node, within)})"
        filtered = self.condition(condition, within, "FILTER").text if condition is not None else ""
        return self._made(function, inner, arguments, Call(False, call.order, filtered, over))

    def _over(self, node: Node, scope: Scope) -> str:
        parts = []
        if node.args.get("partition_by"):
            keys = ", ".join(self.translate(key, scope).text for key in node.args["partition_by"])
            parts.append(f"PARTITION BY {keys}")
        if node.args.get("order"):
            parts.append(self.ordering(node.args["order"].expressions, scope))
        spec = node.args.get("spec")
        if spec is not None:
            parts.append(self._frame(spec, scope))
        return " ".join(parts)

    def _frame(self, spec: Node, scope: Scope) -> str:
        only(spec, "kind", "start", "start_side", "end", "end_side")

        def bound(name: str) -> str:
            value, side = spec.args.get(name), spec.args.get(f"{name}_side") or ""
            if value is None:
                return "CURRENT ROW"
            if isinstance(value, str):
                return f"{value} {side}".strip().upper()
            if isinstance(value, exp.Literal) and not value.is_string and spec.args["kind"].upper() != "RANGE":
                return f"{int(value.this)} {side}".upper()
            if isinstance(value, exp.Interval) and spec.args["kind"].upper() == "RANGE":
                return f"{self.translate(value, scope).text} {side.upper()}"
            raise not_supported(f"the window frame {spec.sql(dialect='trino')}")

        return f"{spec.args['kind'].upper()} BETWEEN {bound('start')} AND {bound('end')}"

    def ordering(self, nodes: list[Node], scope: Scope) -> str:
        """Return `ORDER BY` of a window or an aggregate; NULLs come last, as Trino has it, unless said otherwise."""
        keys = []
        for node in nodes:
            only(node, "this", "desc", "nulls_first")
            keys.append(f"{self.translate(node.this, scope).text} {direction(node)}")
        return f"ORDER BY {', '.join(keys)}"

    # ------------------------------------------------------------------------------------------------------- queries

    def _subquery(self, node: Node, scope: Scope) -> Sql:
        only(node, "this")
        query = self._queries.nested(node, scope, columns=1)
        return Sql(f"({query.text})", query.fields[0].sql.type)

    def _exists(self, node: Node, scope: Scope) -> Sql:
        only(node, "this")
        return Sql(f"EXISTS ({self._queries.nested(node.this, scope).text})", BOOLEAN)


def direction(node: Node) -> str:
    """Return `ASC NULLS LAST` or its like."""
    return f"{'DESC' if node.args.get('desc') else 'ASC'} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"
