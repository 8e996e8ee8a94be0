"""A named query, asked of `portfolio` instead of `holdings`: the same tree of SQL, with another table in its place."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from local.athena_server.parser import parse_query

_EXCHANGED = "holdings"
_KEYS = ("index_code", "ticker", "session_date")
"""Parameters of named queries that are partition keys of `portfolio`."""


def of_portfolio(sql: str, values: Mapping[str, str]) -> str:
    """Return the query *sql* of `holdings` as the same question to `portfolio`.

    Each `FROM holdings` and `JOIN holdings` becomes a derived table of that name: every row of `portfolio`, with the
    one column that only `holdings` has, `session_year`, reckoned from the date. Nothing else of the query changes.

    The local Athena tells by literals only which partitions to read; Athena also by what a join finds, like the latest
    session in `sessions`. So that `portfolio`, whose partitions are the finer ones, is not charged for that, the
    derived table says as literals what the values of the query mean for its partition keys.

    Args:
        sql: The published text, with its values filled in.
        values: These values, by parameter. `session_date` must be that of a stored session: it stands for itself here,
            and for the last stored session up to it in the query. A year, and a first and last day, are periods.

    Raises:
        StatementFailed: It is no query that Athena could read.
        ValueError: It does not read `holdings`.
    """
    tree = parse_query(sql)
    tables = [table for table in tree.find_all(exp.Table) if (table.db, table.name) == ("", _EXCHANGED)]
    if not tables:
        raise ValueError(f"the query does not read {_EXCHANGED}: {sql[:80]!r}")
    for table in tables:
        table.replace(_derived(table.alias_or_name, values))
    return str(tree.sql(dialect="trino"))


def _derived(alias: str, values: Mapping[str, str]) -> exp.Subquery:
    year = exp.Anonymous(this="YEAR", expressions=[exp.column("session_date")])
    rows = exp.select(exp.Star(), exp.alias_(year, "session_year")).from_(exp.to_table("portfolio"))
    return rows.where(*_conditions(values)).subquery(alias)


def _conditions(values: Mapping[str, str]) -> list[exp.Expression]:
    """What *values* say of the partition keys of `portfolio`."""
    found: list[exp.Expression] = [
        exp.EQ(this=exp.column(key), expression=_literal(key, values[key])) for key in _KEYS if values.get(key)
    ]
    day = exp.column("session_date")
    if "from_date" in values:
        found.append(exp.GTE(this=day, expression=_literal("session_date", values["from_date"])))
    if "to_date" in values:
        found.append(exp.LTE(this=day.copy(), expression=_literal("session_date", values["to_date"])))
    return found


def _literal(key: str, value: str) -> exp.Expression:
    text = exp.Literal.string(value)
    return exp.Cast(this=text, to=exp.DataType.build("date")) if key == "session_date" else text
