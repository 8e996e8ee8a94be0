"""Brings the workgroup's named queries and the database's views up to `athena/`, and leaves everybody else's alone."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from infrastructure.athena import QueryFailed, ask
from infrastructure.athena_queries import NamedQuery, View, words
from infrastructure.steps import Change, DeploymentFailed, Report

VIEW_MARK = "deployed_sha256"
"""Parameter of a view's Glue table that tells that deploy made it, and of what."""

_BATCH = 50  # what BatchGetNamedQuery takes
_KEPT_OF_A_TABLE = (
    *("Name", "Owner", "Retention", "StorageDescriptor", "PartitionKeys"),
    *("ViewOriginalText", "ViewExpandedText", "TableType", "Parameters"),
)
"""What UpdateTable takes of what GetTable gives, for a view."""

Step = tuple[Change, Callable[[], None]]


class Publication:
    """The named queries and views of this version.

    Args:
        client: Gives the boto3 client of a service, by name.
        queries: What shall be the workgroup's.
        views: What shall be the database's, each after those that it names.
        report: Receives a line for each change that was made.
    """

    def __init__(
        self, client: Callable[[str], Any], queries: Sequence[NamedQuery], views: Sequence[View], report: Report
    ) -> None:
        self._client = client
        self._queries = queries
        self._views = views
        self._report = report

    def changes(self, outputs: Mapping[str, str]) -> list[Change]:
        """Return what `publish` would do now to the stack with these outputs; none at all means a new stack.

        Raises:
            DeploymentFailed: A view has the name of a table.
        """
        return [change for change, _ in self._steps(outputs)]

    def publish(self, outputs: Mapping[str, str]) -> None:
        """Make the changes, one after the other; what is as it should be is left alone.

        Raises:
            DeploymentFailed: Athena refused a view; those before it are made.
        """
        for change, make in self._steps(outputs):
            make()
            self._report(str(change))

    def _steps(self, outputs: Mapping[str, str]) -> list[Step]:
        workgroup, database = outputs.get("WorkgroupName"), outputs.get("DatabaseName")
        saved = saved_queries(self._client("athena"), workgroup) if workgroup else []
        tables = self._tables(database) if database else {}
        return [
            # Views first: a query may name one.
            *self._view_steps(workgroup or "", database or "", tables),
            *self._query_steps(workgroup or "", database or "", saved),
        ]

    # ---------------------------------------------------------------------------------------------- named queries

    def _query_steps(self, workgroup: str, database: str, saved: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
        athena = self._client("athena")
        ours = [query for query in saved if is_deployed(query)]
        for query in self._queries:
            wanted = {"Name": query.name, "Description": described(query), "QueryString": query.sql}
            kept = next((one for one in ours if one["Name"] == query.name and one["Database"] == database), None)
            if kept is None:
                create = functools.partial(athena.create_named_query, **wanted, WorkGroup=workgroup, Database=database)
                yield Change("Add", query.name, "named query"), create
                continue
            ours.remove(kept)
            if any(kept[part].strip() != text.strip() for part, text in wanted.items()):
                update = functools.partial(athena.update_named_query, NamedQueryId=kept["NamedQueryId"], **wanted)
                yield Change("Modify", query.name, "named query"), update
        # Those without a file, and doubles that deployments at the same time left.
        for one in ours:
            delete = functools.partial(athena.delete_named_query, NamedQueryId=one["NamedQueryId"])
            yield Change("Remove", one["Name"], "named query"), delete

    # ------------------------------------------------------------------------------------------------------ views

    def _tables(self, database: str) -> dict[str, Mapping[str, Any]]:
        pages = self._client("glue").get_paginator("get_tables").paginate(DatabaseName=database)
        return {table["Name"]: table for page in pages for table in page["TableList"]}

    def _view_steps(self, workgroup: str, database: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Step]:
        digests: dict[str, str] = {}
        for view in self._views:
            present = tables.get(view.name)
            if present is not None and not _is_view(present):
                raise DeploymentFailed(
                    f"{database}.{view.name} is a table; give athena/views/{view.name}.sql another name."
                )
            digest = digests[view.name] = _digest(view, digests, tables)
            if present is None or _mark_of(present) != _mark(digest, present):
                make = functools.partial(self._make_view, workgroup, database, view, digest)
                yield Change("Add" if present is None else "Modify", view.name, "view"), make
        for name, table in tables.items():
            if _is_view(table) and _mark_of(table) is not None and name not in digests:
                drop = functools.partial(self._run, workgroup, database, f"DROP VIEW IF EXISTS {name}", name)
                yield Change("Remove", name, "view"), drop

    def _make_view(self, workgroup: str, database: str, view: View, digest: str) -> None:
        self._run(workgroup, database, view.statement, view.name)
        glue = self._client("glue")
        table = glue.get_table(DatabaseName=database, Name=view.name)["Table"]
        # GetTable gives an owner that is not known as "", which UpdateTable refuses.
        kept = {part: table[part] for part in _KEPT_OF_A_TABLE if table.get(part, "") != ""}
        kept["Parameters"] = {**table.get("Parameters", {}), VIEW_MARK: _mark(digest, table)}
        glue.update_table(DatabaseName=database, TableInput={**kept, "Description": view.description})

    def _run(self, workgroup: str, database: str, statement: str, name: str) -> None:
        try:
            ask(self._client("athena"), statement, database=database, workgroup=workgroup)
        except QueryFailed as error:
            reason = str(error).removeprefix("Athena: ")
            raise DeploymentFailed(f"Athena refuses the view {name}: {reason}") from error


def saved_queries(athena: Any, workgroup: str) -> list[dict[str, Any]]:
    """Return the named queries of *workgroup*, everybody's, as Athena describes them."""
    pages = athena.get_paginator("list_named_queries").paginate(WorkGroup=workgroup)
    ids = [query_id for page in pages for query_id in page["NamedQueryIds"]]
    found: list[dict[str, Any]] = []
    for start in range(0, len(ids), _BATCH):
        found += athena.batch_get_named_query(NamedQueryIds=ids[start : start + _BATCH])["NamedQueries"]
    return found


def described(query: NamedQuery) -> str:
    """Return the description that deploy gives *query*: its question, and where it comes from."""
    return f"{query.question} {_origin(query.name)}"


def is_deployed(saved: Mapping[str, Any]) -> bool:
    """Tell whether deploy made a named query.

    The description must say so under the query's own name: a copy that somebody saved under another one is theirs.
    """
    return str(saved.get("Description", "")).endswith(_origin(saved["Name"]))


def _origin(name: str) -> str:
    return f"(deployed from athena/{name}.sql)"


def _is_view(table: Mapping[str, Any]) -> bool:
    return table.get("TableType") == "VIRTUAL_VIEW"


def _mark_of(table: Mapping[str, Any]) -> str | None:
    mark = table.get("Parameters", {}).get(VIEW_MARK)
    return None if mark is None else str(mark)


def _mark(digest: str, table: Mapping[str, Any]) -> str:
    """The mark of a view that is what *digest* says and was not changed since: Athena keeps the SQL in its own form."""
    return hashlib.sha256(f"{digest} {table.get('ViewOriginalText', '')}".encode()).hexdigest()


def _digest(view: View, views: Mapping[str, str], tables: Mapping[str, Mapping[str, Any]]) -> str:
    """A digest of all that a view is made of: a view over a view or table that changed is stale until made again."""
    used = words(view.select)
    columns = {
        name: [(column["Name"], column["Type"]) for column in [*storage.get("Columns", ()), *keys]]
        for name, table in tables.items()
        if name in used and not _is_view(table)
        for storage, keys in [(table.get("StorageDescriptor", {}), table.get("PartitionKeys", ()))]
    }
    made_of = [view.statement, view.description, {name: views[name] for name in used & views.keys()}, columns]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
