"""Queries of Athena's SQL as DuckDB's: what is in FROM, how rows are grouped, what the columns are called.

Inside, every column of a query is `c0`, `c1`, ...; names are resolved here and never by DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlglot import exp

from local.athena_server import predicates
from local.athena_server.casts import cast, unified
from local.athena_server.errors import StatementFailed, not_supported
from local.athena_server.expressions import Expressions, direction
from local.athena_server.parser import parse_query
from local.athena_server.scope import Field, Grouping, Node, Scope, Sql, TableUse, Translation, only
from local.athena_server.sql_types import BIGINT, SqlType, common_type

_DEEPEST_VIEW = 20


@dataclass(frozen=True)
class View:
    """A view: a query with a name, and the columns it had when it was made."""

    database: str
    query: str
    columns: tuple[tuple[str, SqlType], ...]


class Table(Protocol):
    """What the translation needs to know of a table."""

    @property
    def columns(self) -> tuple[tuple[str, SqlType], ...]:
        """Names and types, partition keys last."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The partition keys."""


Catalog = Callable[[str, str], "Table | View | None"]
"""Finds a table or view by database and name."""


@dataclass(frozen=True)
class Query:
    """A query in DuckDB's SQL, whose columns are `c0`, `c1`, ..."""

    text: str
    fields: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the answer's columns; those that have none are numbered."""
        return tuple(field.name or f"_col{number}" for number, field in enumerate(self.fields))


@dataclass(frozen=True)
class _Relation:
    """Something in FROM."""

    text: str
    fields: tuple[Field, ...]


def translate(text: str, database: str, catalog: Catalog) -> tuple[Query, Translation]:
    """Return the query *text* in DuckDB's SQL and what it reads.

    Raises:
        StatementFailed: Athena would refuse it, or the local Athena cannot answer it truthfully.
    """
    translation = Translation(text)
    return Queries(translation, database, catalog).query(parse_query(text), None), translation


class Queries:
    """Translates queries of one database."""

    def __init__(
        self,
        translation: Translation,
        database: str,
        catalog: Catalog,
        *,
        depth: int = 0,
        shared: Mapping[str, Query] | None = None,
    ) -> None:
        self._translation = translation
        self._database = database
        self._catalog = catalog
        self._depth = depth
        self._expressions = Expressions(translation, self)
        self._named: dict[str, Query] = dict(shared or {})

    def nested(self, node: Node, scope: Scope, *, columns: int | None = None) -> Query:
        """Return a query within an expression, which sees the columns of *scope*."""
        query = self.query(node, scope)
        if columns is not None and len(query.fields) != columns:
            raise self._translation.failed(
                node, "TYPE_MISMATCH", "Multiple columns returned by subquery are not yet supported"
            )
        return query

    def query(self, node: Node, parent: Scope | None) -> Query:
        """Return any query: SELECT, VALUES, a set operation, or one of them in parentheses."""
        if isinstance(node, exp.Subquery):
            only(node, "this", "with_", "order", "limit", "offset")
            return self._with(node, parent, lambda: self._limited(self.query(node.this, parent), node))
        if isinstance(node, exp.Select):
            return self._with(node, parent, lambda: self._select(node, parent))
        if isinstance(node, exp.SetOperation):
            return self._with(node, parent, lambda: self._set_operation(node, parent))
        if isinstance(node, exp.Values):
            only(node, "expressions", "order", "limit", "offset")
            return self._limited(self._values(node, parent), node)
        raise not_supported(node.sql(dialect="trino")[:200])

    # --------------------------------------------------------------------------------------------------------- WITH

    def _with(self, node: Node, parent: Scope | None, make: Callable[[], Query]) -> Query:
        """Return the query that *make* makes, with the named queries before it."""
        clause = node.args.get("with_")
        if clause is None:
            return make()
        only(clause, "expressions")
        outer, texts = dict(self._named), []
        for named in clause.expressions:
            only(named, "this", "alias")
            name = named.alias.lower()
            query = self.query(named.this, parent)
            fields = self._renamed(named.args["alias"], query.fields)
            # A condition on a query that is used twice holds for one use only.
            if self._uses(node, name) > 1:
                fields = tuple(replace(field, origins=()) for field in fields)
            key = self._translation.unique("w")
            texts.append(f'"{key}" AS ({query.text})')
            self._named[name] = Query(f'SELECT * FROM "{key}"', fields)  # noqa: S608 - names are made here, literals are quoted
        result = make()
        self._named = outer
        return Query(f"WITH {', '.join(texts)} {result.text}", result.fields)

    @staticmethod
    def _uses(node: Node, name: str) -> int:
        return sum(table.name.lower() == name and not table.db for table in node.find_all(exp.Table))

    # ------------------------------------------------------------------------------------------------------- SELECT

    def _select(self, node: Node, parent: Scope | None) -> Query:
        only(
            node,
            "expressions",
            "from_",
            "joins",
            "where",
            "group",
            "having",
            "order",
            "limit",
            "offset",
            "distinct",
            "with_",
            "kind",
        )
        if node.args.get("kind"):
            raise not_supported(f"SELECT AS {node.args['kind']}")
        if not node.expressions:
            raise self._translation.failed(node, "SYNTAX_ERROR", "mismatched input 'FROM'")
        source = self._from(node, parent)
        scope = Scope(list(source.fields), parent, aggregates_refused="WHERE clause")
        where = ""
        if node.args.get("where") is not None:
            condition = node.args["where"].this
            where = f" WHERE {self._expressions.condition(condition, scope, 'WHERE').text}"
            predicates.push(condition, scope, self._expressions)
        scope.aggregates_refused = "GROUP BY clause"
        body = f" FROM {source.text}{where}" if source.text else where
        outputs_nodes = self._expanded(node, source)
        grouping = self._grouping(node, scope, outputs_nodes)
        output_scope = Scope(list(source.fields), parent, grouping, windows_allowed=True, aggregates_refused="SELECT")
        outputs = [self._output(item, output_scope) for item in outputs_nodes]
        having = ""
        if node.args.get("having") is not None:
            within = replace(output_scope, windows_allowed=False)
            having = f" WHERE {self._expressions.condition(node.args['having'].this, within, 'HAVING').text}"
        sorts = self._sorts(node, output_scope, outputs)
        if grouping is not None:
            body = f' FROM ({self._grouped(grouping, body)}) AS "g"{having}'
        return self._assembled(node, outputs, sorts, body)

    def _assembled(self, node: Node, outputs: list[Field], sorts: list[tuple[Sql, str]], body: str) -> Query:
        distinct = node.args.get("distinct")
        if distinct is not None:
            only(distinct)
        columns = [f'{field.sql.text} AS "c{number}"' for number, field in enumerate(outputs)]
        keys = []
        for sql, order in sorts:
            same = next((number for number, field in enumerate(outputs) if field.sql.text == sql.text), None)
            if same is not None:
                keys.append(f'"c{same}" {order}')
                continue
            if distinct is not None:
                raise self._translation.failed(
                    node,
                    "EXPRESSION_NOT_IN_DISTINCT",
                    "For SELECT DISTINCT, ORDER BY expressions must appear in select list",
                )
            keys.append(f'"s{len(columns)}" {order}')
            columns.append(f'{sql.text} AS "s{len(columns)}"')
        text = f"SELECT {'DISTINCT ' if distinct is not None else ''}{', '.join(columns)}{body}"
        limits = self._limits(node)
        if keys or limits:
            names = ", ".join(f'"c{number}"' for number in range(len(outputs)))
            order = f" ORDER BY {', '.join(keys)}" if keys else ""
            text = f'SELECT {names} FROM ({text}) AS "q"{order}{limits}'  # noqa: S608 - names are made here, literals are quoted
        # What a condition removes early would change a rank, a running sum or which rows a LIMIT leaves.
        plain = not limits and not any(item.find(exp.Window) for item in node.expressions)
        fixed = node.args.get("from_") is None
        fields = tuple(
            Field(
                (),
                field.name,
                Sql(f'"c{number}"', field.sql.type),
                field.origins if plain else (),
                field.sql.literal if fixed else None,
            )
            for number, field in enumerate(outputs)
        )
        return Query(text, fields)

    def _expanded(self, node: Node, source: _Relation) -> list[Node | Field]:
        """Return the items of SELECT, with each `*` as the columns it stands for."""
        items: list[Node | Field] = []
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
            if not isinstance(star, exp.Star):
                items.append(item)
                continue
            only(star)
            qualifier = tuple(part.name.lower() for part in item.parts[:-1]) if isinstance(item, exp.Column) else ()
            found = [
                field for field in source.fields if not qualifier or field.qualifier[-len(qualifier) :] == qualifier
            ]
            if not found:
                kind = ("TABLE_NOT_FOUND", f"Unable to resolve reference {'.'.join(qualifier)}")
                raise self._translation.failed(
                    item, *(kind if qualifier else ("SYNTAX_ERROR", "SELECT * not allowed here"))
                )
            items.extend(found)
        return items

    def _output(self, item: Node | Field, scope: Scope) -> Field:
        if isinstance(item, Field):
            if scope.grouping is None:
                return item
            key = scope.grouping.keys.get(item.sql.text)
            if key is None:
                raise StatementFailed(
                    "EXPRESSION_NOT_AGGREGATE",
                    f"line 1:1: '{item.name}' must be an aggregate expression or appear in GROUP BY clause",
                )
            return replace(item, sql=key, origins=())
        name = None
        if isinstance(item, exp.Alias):
            only(item, "this", "alias")
            name, item = item.alias, item.this
        elif isinstance(item, exp.Column):
            name = item.name
        origins = self._origins(item, scope)
        return Field((), name, self._expressions.translate(item, scope), origins)

    @staticmethod
    def _origins(item: Node, scope: Scope) -> Any:
        """Return the table columns that the column *item* is: as long as every row of a group has the same."""
        if not isinstance(item, exp.Column):
            return ()
        *qualifier, name = (part.name.lower() for part in item.parts)
        grouped = scope.grouping
        found = (grouped.source if grouped else scope).find(tuple(qualifier), name)
        if found is None or (grouped and (grouped.has_sets or found.sql.text not in grouped.keys)):
            return ()
        return found.origins

    def _sorts(self, node: Node, scope: Scope, outputs: list[Field]) -> list[tuple[Sql, str]]:
        order = node.args.get("order")
        if order is None:
            return []
        aliases: dict[str, Sql | None] = {}
        for field in outputs:
            if field.name is not None:
                name = field.name.lower()
                same = name not in aliases or aliases[name] == field.sql
                aliases[name] = field.sql if same else None
        within = replace(scope, aliases=aliases)
        sorts = []
        for key in order.expressions:
            only(key, "this", "desc", "nulls_first")
            if isinstance(key.this, exp.Literal) and not key.this.is_string:
                sql = outputs[self._ordinal(key.this, len(outputs), "ORDER BY")].sql
            else:
                self._check_names(key.this, aliases)
                sql = self._expressions.translate(key.this, within)
            sorts.append((sql, direction(key)))
        return sorts

    def _check_names(self, key: Node, aliases: Mapping[str, Sql | None]) -> None:
        """Refuse `t.x` in ORDER BY where a column of the answer is called `t`: Trino takes it for a field of that."""
        for column in key.find_all(exp.Column):
            first = column.parts[0].name.lower()
            if (
                len(column.parts) > 1
                and first in aliases
                and column.find_ancestor(exp.Query) is key.find_ancestor(exp.Query)
            ):
                raise self._translation.failed(column, "TYPE_MISMATCH", f"Expression {first} is not of type ROW")

    def _ordinal(self, node: Node, count: int, clause: str) -> int:
        text = str(node.this)
        if not text.isdigit() or not 1 <= int(text) <= count:
            raise self._translation.failed(
                node, "INVALID_COLUMN_REFERENCE", f"{clause} position {text} is not in select list"
            )
        return int(text) - 1

    def _limits(self, node: Node) -> str:
        """Return LIMIT and OFFSET."""
        texts = []
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if isinstance(limit, exp.Fetch):
            only(limit, "direction", "count", "limit_options")
            options = limit.args.get("limit_options")
            if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
                raise not_supported("FETCH FIRST ... WITH TIES")
            count = limit.args.get("count")
            texts.append(f" LIMIT {self._count(count) if count is not None else 1}")
        elif limit is not None:
            only(limit, "expression")
            texts.append(f" LIMIT {self._count(limit.expression)}")
        if offset is not None:
            only(offset, "expression")
            texts.append(f" OFFSET {self._count(offset.expression)}")
        return "".join(texts)

    def _count(self, node: Node) -> int:
        if not isinstance(node, exp.Literal) or not str(node.this).isdigit() or node.is_string:
            raise self._translation.failed(
                node, "SYNTAX_ERROR", f"mismatched input '{node.sql()}'. Expecting: <integer>"
            )
        return int(node.this)

    # ----------------------------------------------------------------------------------------------------- GROUP BY

    def _grouping(self, node: Node, scope: Scope, items: list[Node | Field]) -> Grouping | None:
        clause = node.args.get("group")
        nodes = [item for item in items if not isinstance(item, Field)]
        having = node.args.get("having")
        order = node.args.get("order")
        places = [
            *nodes,
            *([having.this] if having else []),
            *([key.this for key in order.expressions] if order else []),
        ]
        aggregated = any(self._expressions.contains_aggregate(place) for place in places)
        if clause is None and not aggregated and having is None:
            return None
        grouping = Grouping(scope)
        if clause is not None:
            only(clause, "expressions")
            # Each element stands for sets of keys; those of the whole are their combinations.
            grouping.sets = _combined([self._element_sets(item, scope, grouping, items) for item in clause.expressions])
        return grouping

    def _element_sets(
        self, item: Node, scope: Scope, grouping: Grouping, items: list[Node | Field]
    ) -> list[tuple[str, ...]]:
        """Return the sets of keys that one element of GROUP BY stands for."""
        if isinstance(item, exp.GroupingSets):
            only(item, "expressions")
            return [found for inner in item.expressions for found in self._element_sets(inner, scope, grouping, items)]
        if isinstance(item, exp.Rollup | exp.Cube):
            only(item, "expressions")
            parts = [self._keys(inner, scope, grouping, items) for inner in item.expressions]
            if isinstance(item, exp.Rollup):
                return [sum(parts[:size], ()) for size in range(len(parts), -1, -1)]
            masks = range(2 ** len(parts) - 1, -1, -1)
            return [sum((part for bit, part in enumerate(parts) if mask >> bit & 1), ()) for mask in masks]
        return [self._keys(item, scope, grouping, items)]

    def _keys(self, item: Node, scope: Scope, grouping: Grouping, items: list[Node | Field]) -> tuple[str, ...]:
        if isinstance(item, exp.Tuple):
            return tuple(key for inner in item.expressions for key in self._keys(inner, scope, grouping, items))
        if isinstance(item, exp.Paren):
            return self._keys(item.this, scope, grouping, items)
        if isinstance(item, exp.Literal) and not item.is_string:
            chosen = items[self._ordinal(item, len(items), "GROUP BY")]
            if isinstance(chosen, Field):
                sql = chosen.sql
            else:
                sql = self._expressions.translate(chosen.this if isinstance(chosen, exp.Alias) else chosen, scope)
        else:
            sql = self._expressions.translate(item, scope)
        if sql.text not in grouping.keys:
            grouping.keys[sql.text] = Sql(f'"g"."k{len(grouping.keys)}"', sql.type)
            grouping.key_order.append(sql.text)
        return (f'"k{grouping.key_order.index(sql.text)}"',)

    @staticmethod
    def _grouped(grouping: Grouping, body: str) -> str:
        columns = [f'{text} AS "k{number}"' for number, text in enumerate(grouping.key_order)]
        columns += [f"{text} AS {sql.text.partition('.')[2]}" for text, sql in grouping.aggregates.items()]
        sets = grouping.sets
        if sets is None:
            clause = ""
        elif len(sets) == 1:
            clause = f" GROUP BY {', '.join(sets[0])}" if sets[0] else " GROUP BY GROUPING SETS (())"
        else:
            clause = f" GROUP BY GROUPING SETS ({', '.join('(' + ', '.join(keys) + ')' for keys in sets)})"
        return f"SELECT {', '.join(columns or ['count(*)'])}{body}{clause}"

    # ---------------------------------------------------------------------------------------------- VALUES and sets

    def _values(self, node: Node, parent: Scope | None) -> Query:
        rows = [list(row.expressions) if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise self._translation.failed(node, "TYPE_MISMATCH", "Values rows have mismatched sizes")
        scope = Scope([], parent, aggregates_refused="VALUES")
        columns = [
            unified(self._translation, [self._expressions.translate(value, scope) for value in column], "Values rows")
            for column in zip(*rows, strict=True)
        ]
        texts = (", ".join(column[0][number].text for column in columns) for number in range(len(rows)))
        names = ", ".join(f'"c{number}"' for number in range(len(columns)))
        fields = tuple(Field((), None, Sql(f'"c{number}"', kind)) for number, (_, kind) in enumerate(columns))
        return Query(f'SELECT * FROM (VALUES {", ".join(f"({text})" for text in texts)}) AS "v"({names})', fields)  # noqa: S608 - names are made here, literals are quoted

    def _set_operation(self, node: Node, parent: Scope | None) -> Query:
        only(node, "this", "expression", "distinct", "order", "limit", "offset", "with_")
        for side in (node.this, node.expression):
            mixed = isinstance(node, exp.Intersect) and isinstance(side, exp.Union | exp.Except)
            if mixed or (side is node.expression and isinstance(side, exp.Union | exp.Except)):
                raise not_supported("set operations whose order is not clear: put them in parentheses")
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        if len(left.fields) != len(right.fields):
            raise self._translation.failed(
                node, "TYPE_MISMATCH", f"{node.key.upper()} query has different number of fields"
            )
        kinds: list[SqlType] = []
        for number, (one, other) in enumerate(zip(left.fields, right.fields, strict=True), 1):
            kind = common_type(one.sql.type, other.sql.type)
            if kind is None:
                raise self._translation.failed(
                    node,
                    "TYPE_MISMATCH",
                    f"column {number} in {node.key.upper()} query has incompatible types: "
                    f"{one.sql.type}, {other.sql.type}",
                )
            kinds.append(kind)
        word = {"union": "UNION", "except": "EXCEPT", "intersect": "INTERSECT"}[node.key]
        if not node.args.get("distinct"):
            word += " ALL"
        sides = (self._as(query, kinds) for query in (left, right))
        is_union = isinstance(node, exp.Union)
        fields = tuple(
            Field(
                (),
                one.name,
                Sql(f'"c{number}"', kind),
                one.origins + other.origins if is_union and one.origins and other.origins else (),
            )
            for number, (one, other, kind) in enumerate(zip(left.fields, right.fields, kinds, strict=True))
        )
        return self._limited(Query(f" {word} ".join(sides), fields), node)

    def _as(self, query: Query, kinds: list[SqlType]) -> str:
        columns = (
            f'{cast(self._translation, field.sql, kind).text} AS "c{number}"'
            for number, (field, kind) in enumerate(zip(query.fields, kinds, strict=True))
        )
        return f'(SELECT {", ".join(columns)} FROM ({query.text}) AS "q")'  # noqa: S608 - names are made here, literals are quoted

    def _limited(self, query: Query, node: Node) -> Query:
        """Return *query* with the ORDER BY, LIMIT and OFFSET that stand behind it."""
        sorts = self._sorts(node, Scope(list(query.fields), aggregates_refused="ORDER BY"), list(query.fields))
        limits = self._limits(node)
        if not sorts and not limits:
            return query
        order = f" ORDER BY {', '.join(f'{sql.text} {way}' for sql, way in sorts)}" if sorts else ""
        fields = tuple(replace(field, origins=()) for field in query.fields) if limits else query.fields
        return Query(f'SELECT * FROM ({query.text}) AS "q"{order}{limits}', fields)  # noqa: S608 - names are made here, literals are quoted

    # --------------------------------------------------------------------------------------------------------- FROM

    def _from(self, node: Node, parent: Scope | None) -> _Relation:
        clause = node.args.get("from_")
        if clause is None:
            return _Relation("", ())
        only(clause, "this")
        relation = self._relation(clause.this, parent, ())
        for join in node.args.get("joins", ()):
            relation = self._join(relation, join, parent)
        return relation

    def _relation(self, node: Node, parent: Scope | None, siblings: tuple[Field, ...]) -> _Relation:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Unnest):
            return self._unnest(node, Scope(list(siblings), parent, aggregates_refused="UNNEST"))
        if isinstance(node, exp.Values):
            only(node, "expressions", "alias")
            return self._derived(self._values(node, parent), node.args.get("alias"))
        if isinstance(node, exp.Lateral):
            only(node, "this", "alias")
            if not isinstance(node.this, exp.Subquery):
                raise not_supported(node.sql(dialect="trino")[:200])
            scope = Scope(list(siblings), parent)
            return self._derived(self.query(node.this, scope), node.args.get("alias"), lateral=True)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query | exp.Values):
            alias = node.args.get("alias")
            bare = node.copy()
            bare.set("alias", None)
            return self._derived(self.query(bare, parent), alias)
        raise not_supported(f"in FROM: {node.sql(dialect='trino')[:200]}")

    def _derived(self, query: Query, alias: Node, *, lateral: bool = False) -> _Relation:
        key = self._translation.unique("r")
        fields = self._renamed(alias, query.fields)
        return _Relation(f'{"LATERAL " if lateral else ""}({query.text}) AS "{key}"', _within(key, fields))

    @staticmethod
    def _renamed(alias: Node, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        """Return *fields* as `alias(column, ...)` names them."""
        if alias is None:
            return fields
        only(alias, "this", "columns")
        name = alias.name.lower()
        columns = [column.name.lower() for column in alias.args.get("columns") or ()]
        if columns and len(columns) != len(fields):
            raise StatementFailed(
                "MISMATCHED_COLUMN_ALIASES",
                f"Column alias list has {len(columns)} entries but '{name}' has {len(fields)} columns available",
            )
        names = columns or [field.name for field in fields]
        return tuple(replace(field, qualifier=(name,), name=each) for field, each in zip(fields, names, strict=True))

    def _table(self, node: Node) -> _Relation:
        only(node, "this", "db", "catalog", "alias")
        if not isinstance(node.this, exp.Identifier):
            raise not_supported(f"in FROM: {node.sql(dialect='trino')[:200]}")
        name, database, catalog = node.name.lower(), node.db.lower(), node.catalog.lower()
        if not database and name in self._named:
            named = self._named[name]
            return self._derived(named, node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name)))
        if database == "information_schema":
            raise not_supported("information_schema; SHOW TABLES and SHOW COLUMNS answer")
        if catalog not in ("", "awsdatacatalog"):
            raise self._translation.failed(node, "CATALOG_NOT_FOUND", f"Catalog '{catalog}' not found")
        found = self._catalog(database or self._database, name)
        where = f"awsdatacatalog.{database or self._database}.{name}"
        if found is None:
            raise self._translation.failed(node, "TABLE_NOT_FOUND", f"Table '{where}' does not exist")
        alias = node.args.get("alias")
        qualifier = ("awsdatacatalog", database or self._database, name)
        if isinstance(found, View):
            fields_query = self._view(found, where)
            relation = self._derived(fields_query, alias)
            if alias is None:
                return _Relation(relation.text, tuple(replace(field, qualifier=qualifier) for field in relation.fields))
            return relation
        use = TableUse(self._translation.unique("t"), found)
        self._translation.tables.append(use)
        fields = tuple(
            Field(qualifier, column, Sql(f'"c{number}"', kind), ((use, column),) if column in found.keys else ())
            for number, (column, kind) in enumerate(found.columns)
        )
        key = self._translation.unique("r")
        return _Relation(f'"{use.name}" AS "{key}"', _within(key, self._renamed(alias, fields)))

    def _view(self, view: View, where: str) -> Query:
        if self._depth >= _DEEPEST_VIEW:
            raise StatementFailed("VIEW_IS_RECURSIVE", f"View '{where}' refers to itself")
        inner = Queries(self._translation, view.database, self._catalog, depth=self._depth + 1)
        text, self._translation.text = self._translation.text, view.query
        try:
            query = inner.query(parse_query(view.query), None)
        except StatementFailed as error:
            raise StatementFailed("INVALID_VIEW", f"Failed analyzing stored view '{where}': {error}") from None
        finally:
            self._translation.text = text
        declared = [kind for _, kind in view.columns]
        found = [field.sql.type for field in query.fields]
        if [kind.duckdb for kind in declared] != [kind.duckdb for kind in found]:
            raise StatementFailed(
                "VIEW_IS_STALE",
                f"View '{where}' is stale or in invalid state: it has columns of "
                f"{', '.join(map(str, found))} but was stored with {', '.join(map(str, declared))}; "
                "it must be re-created",
            )
        names = (name.lower() for name, _ in view.columns)
        return Query(
            query.text, tuple(replace(field, name=name) for field, name in zip(query.fields, names, strict=True))
        )

    def _unnest(self, node: Node, scope: Scope) -> _Relation:
        only(node, "expressions", "alias", "offset")
        columns: list[tuple[str, SqlType]] = []
        lengths = []
        for item in node.expressions:
            value = self._expressions.translate(item, scope)
            if value.type.name == "map":
                columns += [
                    (f"map_keys({value.text})", value.type.items[0]),
                    (f"map_values({value.text})", value.type.items[1]),
                ]
                lengths.append(f"coalesce(cardinality({value.text}), 0)")
            elif value.type.name == "array" and value.type.items[0].name not in ("row", "unknown"):
                columns.append((value.text, value.type.items[0]))
                lengths.append(f"coalesce(len({value.text}), 0)")
            else:
                raise not_supported(f"UNNEST of {value.type}")
        longest = f"greatest({', '.join(f'CAST({length} AS BIGINT)' for length in lengths)})"
        texts = [f'list_extract({text}, "i")' for text, _ in columns]
        kinds = [kind for _, kind in columns]
        alias = node.args.get("alias")
        if node.args.get("offset"):
            texts.append('"i"')
            kinds.append(BIGINT)
            # sqlglot takes the last name of the alias for the number's.
            if alias is not None and alias.args.get("columns"):
                alias = alias.copy()
                offset = node.args["offset"]
                alias.set("columns", [*alias.args["columns"], exp.to_identifier(offset.name)])
        inner = ", ".join(
            f'CAST({text} AS {kind.duckdb}) AS "c{number}"'
            for number, (text, kind) in enumerate(zip(texts, kinds, strict=True))
        )
        text = f'SELECT {inner} FROM (SELECT unnest(range(CAST(1 AS BIGINT), {longest} + 1)) AS "i") AS "u"'  # noqa: S608 - names are made here, literals are quoted
        fields = tuple(Field((), None, Sql(f'"c{number}"', kind)) for number, kind in enumerate(kinds))
        return self._derived(Query(text, fields), alias, lateral=True)

    def _join(self, left: _Relation, node: Node, parent: Scope | None) -> _Relation:
        only(node, "this", "side", "kind", "on", "using")
        kind, side = (node.args.get("kind") or "").upper(), (node.args.get("side") or "").upper()
        if kind not in ("", "CROSS", "INNER", "OUTER") or side not in ("", "LEFT", "RIGHT", "FULL"):
            raise not_supported(f"{side} {kind} JOIN".strip())
        right = self._relation(node.this, parent, left.fields)
        on, using = node.args.get("on"), node.args.get("using")
        if on is None and not using:
            if side or kind == "INNER":
                raise self._translation.failed(node, "SYNTAX_ERROR", "mismatched input. Expecting: 'ON', 'USING'")
            return _Relation(f"{left.text} CROSS JOIN {right.text}", left.fields + right.fields)
        if kind == "CROSS":
            raise self._translation.failed(node, "SYNTAX_ERROR", "mismatched input 'ON'")
        word = f"{side} JOIN" if side else "JOIN"
        if isinstance(node.this, exp.Unnest | exp.Lateral) and not (isinstance(on, exp.Boolean) and on.this):
            raise not_supported("a join with UNNEST or LATERAL on a condition other than TRUE")
        if using:
            return self._using(left, right, using, word)
        scope = Scope([*left.fields, *right.fields], parent, aggregates_refused="JOIN clause")
        condition = self._expressions.condition(on, scope, "JOIN ON")
        # The condition of an outer join removes rows of one side only.
        pushed = {"": scope.fields, "LEFT": list(right.fields), "RIGHT": list(left.fields), "FULL": []}[side]
        predicates.push(on, replace(scope, fields=pushed), self._expressions)
        return _Relation(f"{left.text} {word} {right.text} ON {condition.text}", left.fields + right.fields)

    def _using(self, left: _Relation, right: _Relation, names: list[Node], word: str) -> _Relation:
        conditions, merged, used = [], [], set()
        for identifier in names:
            name = identifier.name.lower()
            one, other = Scope(list(left.fields)).find((), name), Scope(list(right.fields)).find((), name)
            if one is None or other is None:
                raise self._translation.failed(
                    identifier, "COLUMN_NOT_FOUND", f"Column '{name}' is missing from one side of join"
                )
            sides, kind = unified(self._translation, [one.sql, other.sql], "Columns of USING")
            conditions.append(f"{sides[0].text} = {sides[1].text}")
            text = f"CAST(coalesce({sides[0].text}, {sides[1].text}) AS {kind.duckdb})"
            merged.append(Field((), name, Sql(text, kind)))
            used |= {id(one), id(other)}
        rest = tuple(field for field in left.fields + right.fields if id(field) not in used)
        return _Relation(f"{left.text} {word} {right.text} ON {' AND '.join(conditions)}", (*merged, *rest))


def _combined(elements: list[list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Return each union of one set of every element."""
    result: list[tuple[str, ...]] = [()]
    for sets in elements:
        result = [tuple(dict.fromkeys(one + other)) for one in result for other in sets]
    return result


def _within(key: str, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return *fields* as columns of the relation *key*."""
    return tuple(
        replace(field, sql=Sql(f'"{key}"."c{number}"', field.sql.type), name=field.name.lower() if field.name else None)
        for number, field in enumerate(fields)
    )
