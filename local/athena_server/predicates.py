"""Which conditions of a query leave whole partitions unread.

Only comparisons of a partition key with literals that every row of the answer must fulfil are used; a column that is
the same literal in every row, like a parameter in a WITH query, counts as one. Whatever else stands in a condition is
left to the query itself, so that this can only leave out rows the query would drop.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local.athena_server.errors import StatementFailed
from local.athena_server.scope import Condition, Node, Scope
from local.athena_server.sql_types import SqlType

if TYPE_CHECKING:
    from local.athena_server.expressions import Expressions

_OPERATORS: dict[type, str] = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TESTS: dict[str, Callable[[Any, tuple[Any, ...]], bool]] = {
    "=": lambda value, others: value == others[0],
    "<": lambda value, others: value < others[0],
    "<=": lambda value, others: value <= others[0],
    ">": lambda value, others: value > others[0],
    ">=": lambda value, others: value >= others[0],
    "in": lambda value, others: value in others,
}


def push(condition: Node, scope: Scope, expressions: Expressions) -> None:
    """Hand each usable part of *condition* to the tables whose partition keys it restricts."""
    for part in _conjuncts(condition):
        for column, operator, others in _comparisons(part):
            values = [_value(other, scope, expressions) for other in others]
            *qualifier, name = (identifier.name.lower() for identifier in column.parts)
            found = scope.find(tuple(qualifier), name)
            if found is None or not found.origins or not all(_comparable(value, found.sql.type) for value in values):
                continue
            for use, key in found.origins:
                use.conditions.append(Condition(key, operator, tuple(values)))


def admits(conditions: list[Condition], values: Mapping[str, Any]) -> bool:
    """Tell whether a partition with these key values can hold rows of the answer."""
    return all(
        values[condition.column] is not None and _TESTS[condition.operator](values[condition.column], condition.values)
        for condition in conditions
    )


def _conjuncts(node: Node) -> list[Node]:
    if isinstance(node, exp.Paren):
        return _conjuncts(node.this)
    if isinstance(node, exp.And):
        return [*_conjuncts(node.this), *_conjuncts(node.expression)]
    return [node]


def _comparisons(node: Node) -> list[tuple[Node, str, list[Node]]]:
    """Return column, operator and what it is compared with."""
    if type(node) in _OPERATORS:
        operator = _OPERATORS[type(node)]
        sides = [(node.this, operator, [node.expression]), (node.expression, _MIRRORED[operator], [node.this])]
        return [side for side in sides if isinstance(side[0], exp.Column)]
    if isinstance(node, exp.Between) and isinstance(node.this, exp.Column):
        return [(node.this, ">=", [node.args["low"]]), (node.this, "<=", [node.args["high"]])]
    if isinstance(node, exp.In) and isinstance(node.this, exp.Column) and not node.args.get("query"):
        return [(node.this, "in", list(node.expressions))]
    return []


def _value(node: Node, scope: Scope, expressions: Expressions) -> Any:
    """Return the value of a literal or of a column that is one, else None."""
    if isinstance(node, exp.Column):
        *qualifier, name = (identifier.name.lower() for identifier in node.parts)
        found = scope.find(tuple(qualifier), name)
        return None if found is None else found.constant
    if node.find(exp.Column, exp.Query) is not None:
        return None
    try:
        return expressions.translate(node, Scope([])).literal
    except StatementFailed:
        return None


def _comparable(value: Any, kind: SqlType) -> bool:
    if isinstance(value, bool):
        return False
    python = {"varchar": str, "date": dt.date}.get(kind.name, int if kind.is_integer else None)
    return python is not None and isinstance(value, python)
