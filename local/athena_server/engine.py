"""The local Athena: Athena's SQL over what the Glue catalog registers, or a clear refusal.

The emulator has Athena's API, but runs DuckDB's dialect over every file it finds below a table's location. `install`
puts this engine in its place. The places are private to the emulator, whose version is pinned; a contract test fails
if an upgrade moves them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from local.athena_server import predicates
from local.athena_server.catalog import GlueTable, Partition, partitions_of, read_table, view_text
from local.athena_server.errors import StatementFailed
from local.athena_server.files import FileCache, scan
from local.athena_server.queries import View, translate
from local.athena_server.run import Answer, run_query
from local.athena_server.scope import TableUse
from local.athena_server.sql_types import VARCHAR, column_info, hive_name
from local.athena_server.statements import Statement, matches, parse_statement

log = logging.getLogger(__name__)

_PAGE_ROWS = 1000


class _Glue:
    """The emulator's catalog and objects, for the account and region of the request under way."""

    def __init__(self) -> None:
        from ministack.services import glue, s3  # noqa: PLC0415

        self.service = glue
        self._s3 = s3

    def definition(self, database: str, name: str) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.service._tables.get(f"{database}/{name}")  # noqa: SLF001
        return found

    def find(self, database: str, name: str) -> GlueTable | View | None:
        definition = self.definition(database, name)
        return None if definition is None else read_table(database, name, definition)

    def names(self, database: str) -> list[tuple[str, Mapping[str, Any]]]:
        if database not in self.service._databases:  # noqa: SLF001
            raise StatementFailed("SCHEMA_NOT_FOUND", f"line 1:1: Schema '{database}' does not exist")
        items = self.service._tables.items()  # noqa: SLF001
        return sorted((key.partition("/")[2], table) for key, table in items if key.startswith(f"{database}/"))

    def databases(self) -> list[str]:
        return sorted(self.service._databases.keys())  # noqa: SLF001

    def partitions(self, table: GlueTable) -> list[Partition]:
        return partitions_of(table, list(self.service._partitions.get(f"{table.database}/{table.name}") or ()))  # noqa: SLF001

    def etags(self, bucket: str, prefix: str) -> Mapping[str, str]:
        # Through here, because it puts the keys in order (`local.s3_listing`).
        found = self._s3._ensure_bucket(bucket)  # noqa: SLF001
        if found is None:
            raise StatementFailed("HIVE_METASTORE_ERROR", f"The bucket {bucket} does not exist")
        objects = found["objects"]
        keys, *_ = objects.page(prefix, "", sys.maxsize, "")
        # Other requests go on writing, and deleting.
        return {key: str(item["etag"]) for key in keys if (item := objects.get(key)) is not None}

    def read(self, bucket: str, key: str) -> bytes | None:
        content: bytes | None = self._s3._get_object_data(bucket, key)  # noqa: SLF001
        return content


@dataclass
class Execution:
    """A statement under way."""

    files: int = 0
    size_bytes: int = 0
    connection: duckdb.DuckDBPyConnection | None = None
    is_stopped: bool = False
    tables: list[str] = field(default_factory=list)

    def started(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection that runs the query; refuse when it was stopped before."""
        self.connection = connection
        if self.is_stopped:
            raise StatementFailed("USER_CANCELED", "Query was cancelled by user")

    def stop(self) -> None:
        """Interrupt the query."""
        self.is_stopped = True
        if self.connection is not None:
            self.connection.interrupt()


class AthenaEngine:
    """Answers statements from the emulator's catalog and objects."""

    def __init__(self) -> None:
        self._cache = FileCache()

    def run(self, text: str, database: str, execution: Execution) -> Answer:
        """Answer one statement.

        Raises:
            StatementFailed: Athena would refuse or fail it, or it is not supported here.
        """
        glue = _Glue()
        statement = parse_statement(text)
        if statement is not None:
            return self._other(statement, statement.database or database, glue)

        def load(use: TableUse) -> pa.Table:
            table: GlueTable = use.table
            partitions = [
                partition
                for partition in glue.partitions(table)
                if predicates.admits(use.conditions, dict(zip(table.keys, partition.values, strict=True)))
            ]
            found = scan(table, partitions, glue, self._cache)
            execution.files += found.files
            execution.size_bytes += found.size_bytes
            return found.rows

        return run_query(text, database, glue.find, load, started=execution.started)

    def _other(self, statement: Statement, database: str, glue: _Glue) -> Answer:
        """Answer SHOW, DESCRIBE and what makes and drops views."""
        if statement.kind == "create_view":
            return self._create_view(statement, database, glue)
        if statement.kind == "drop_view":
            return self._drop_view(statement, database, glue)
        if statement.kind == "show_databases":
            return _lines("database_name", glue.databases())
        if statement.kind in ("show_tables", "show_views"):
            all_kinds = statement.kind == "show_tables"
            wanted = [
                name
                for name, table in glue.names(database)
                if matches(statement.pattern, name) and (all_kinds or table.get("TableType") == "VIRTUAL_VIEW")
            ]
            return _lines("tab_name" if all_kinds else "views", wanted)
        found = glue.find(database, statement.table)
        if found is None:
            raise StatementFailed("TABLE_NOT_FOUND", f"Table not found {database}.{statement.table}")
        return _described(found) if statement.kind == "describe" else self._shown(statement, found, glue)

    @staticmethod
    def _shown(statement: Statement, found: GlueTable | View, glue: _Glue) -> Answer:
        if statement.kind == "show_columns":
            return _lines("field", [name for name, _ in found.columns])
        if statement.kind == "show_create_view":
            if not isinstance(found, View):
                raise StatementFailed("NOT_SUPPORTED", f"'{statement.table}' is a table, not a view")
            return _lines("Create View", [f"CREATE VIEW {found.database}.{statement.table} AS\n{found.query}"])
        if isinstance(found, View) or not found.keys:
            raise StatementFailed("INVALID_TABLE_PROPERTY", f"Table {statement.table} is not a partitioned table")
        texts = (zip(found.keys, partition.texts, strict=True) for partition in glue.partitions(found))
        return _lines("partition", sorted("/".join(f"{key}={text}" for key, text in pairs) for pairs in texts))

    @staticmethod
    def _drop_view(statement: Statement, database: str, glue: _Glue) -> Answer:
        found = glue.definition(database, statement.table)
        if found is None and statement.flag:
            return _lines("", [])
        if found is None or found.get("TableType") != "VIRTUAL_VIEW":
            raise StatementFailed("TABLE_NOT_FOUND", f"line 1:1: View '{database}.{statement.table}' does not exist")
        glue.service._delete_table({"DatabaseName": database, "Name": statement.table})  # noqa: SLF001
        return _lines("", [])

    @staticmethod
    def _create_view(statement: Statement, database: str, glue: _Glue) -> Answer:
        query, _ = translate(statement.query, database, glue.find)
        kinds = [column.sql.type for column in query.fields]
        if any(column.name is None for column in query.fields):
            raise StatementFailed("MISSING_COLUMN_NAME", "line 1:1: Column name not specified")
        names = [name.lower() for name in query.names]
        if len(set(names)) != len(names):
            raise StatementFailed("DUPLICATE_COLUMN_NAME", "line 1:1: Column name specified more than once")
        existing = glue.definition(database, statement.table)
        if existing is not None and (existing.get("TableType") != "VIRTUAL_VIEW" or not statement.flag):
            raise StatementFailed("TABLE_ALREADY_EXISTS", f"line 1:1: '{database}.{statement.table}' already exists")
        view = View(database, statement.query, tuple(zip(names, kinds, strict=True)))
        table = {
            "Name": statement.table,
            "TableType": "VIRTUAL_VIEW",
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": hive_name(kind)} for name, kind in view.columns],
                "Location": "",
                "SerdeInfo": {},
            },
            "ViewOriginalText": view_text(view),
            "ViewExpandedText": "/* Presto View */",
        }
        call = glue.service._update_table if existing is not None else glue.service._create_table  # noqa: SLF001
        status, _, body = call({"DatabaseName": database, "TableInput": table})
        if status >= 300:
            raise StatementFailed("HIVE_METASTORE_ERROR", str(body))
        return _lines("", [])


def _lines(name: str, texts: list[str]) -> Answer:
    """Return an answer of one column; without a name it has none."""
    return Answer(((name, VARCHAR),) if name else (), [[text] for text in texts])


def _described(found: GlueTable | View) -> Answer:
    """Return what DESCRIBE says: one line a column, in three fields that tabs separate."""
    if isinstance(found, View):
        return _lines("col_name", [f"{name:<20}\t{hive_name(kind):<20}\t" for name, kind in found.columns])
    storage = found.definition["StorageDescriptor"]
    declared = [*storage.get("Columns", ()), *(found.definition.get("PartitionKeys") or ())]
    lines = [
        f"{each['Name']:<20}\t{each.get('Type', 'string'):<20}\t{each.get('Comment', ''):<20}" for each in declared
    ]
    if found.keys:
        lines += [
            "\t \t ",
            "# Partition Information\t \t ",
            f"{'# col_name':<20}\t{'data_type':<20}\t{'comment':<20}",
            "\t \t ",
        ]
        lines += lines[len(declared) - len(found.keys) : len(declared)]
    return _lines("col_name", lines)


# ------------------------------------------------------------------------------------------ in the emulator's place


def install(engine: AthenaEngine | None = None) -> None:
    """Replace the emulator's execution of statements, within this process."""
    from ministack.services import athena  # noqa: PLC0415

    chosen = engine or AthenaEngine()
    under_way: dict[str, Execution] = {}
    stop = athena._stop_query_execution  # noqa: SLF001

    async def execute(query_id: str, query: str, database: str, ddl: Any, _catalog: str | None = None) -> None:
        record = athena._executions.get(query_id)  # noqa: SLF001
        if record is not None and record["Status"]["State"] == "QUEUED":
            await _execute(chosen, under_way, record, query, database, ddl)

    def stop_query_execution(data: dict[str, Any]) -> Any:
        answer = stop(data)
        found = under_way.get(data.get("QueryExecutionId", ""))
        if found is not None:
            found.stop()
        return answer

    athena._execute_query = execute  # noqa: SLF001
    athena._stop_query_execution = stop_query_execution  # noqa: SLF001
    athena._get_query_results = _results_of(athena._get_query_results, athena)  # noqa: SLF001


async def _execute(  # noqa: PLR0917
    engine: AthenaEngine,
    under_way: dict[str, Execution],
    record: dict[str, Any],
    query: str,
    database: str,
    ddl: Any,
) -> None:
    """Run a statement off the event loop and set the state of its record, unless it was cancelled meanwhile."""
    from ministack.services import athena  # noqa: PLC0415

    query_id = record["QueryExecutionId"]
    status = record["Status"]
    status["State"] = "RUNNING"
    execution = under_way[query_id] = Execution()
    started = time.monotonic()
    reason = ""
    try:
        if ddl is not None:
            athena._run_ddl(ddl, database)  # noqa: SLF001
            answer = Answer((), [])
        else:
            answer = await asyncio.to_thread(engine.run, query, database, execution)
        columns = [column_info(name, kind) for name, kind in answer.columns]
        reason = _save(record, [column["Name"] for column in columns], answer.rows)
        record["_results"] = {"columns": [column["Name"] for column in columns], "rows": answer.rows}
        record["_column_types"] = [column["Type"] for column in columns]
        record["_column_info"] = columns
    except StatementFailed as error:
        reason = str(error)
    except Exception as error:
        # Whatever goes wrong within one statement is that statement's failure and leaves the server running.
        log.exception("athena query %s: %s", query_id, query)
        reason = f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}"
    finally:
        under_way.pop(query_id, None)
    elapsed_ms = int(1000 * (time.monotonic() - started))
    record["Statistics"] |= {
        "EngineExecutionTimeInMillis": elapsed_ms,
        "TotalExecutionTimeInMillis": elapsed_ms,
        "DataScannedInBytes": execution.size_bytes,
        "FilesScanned": execution.files,
    }
    status["CompletionDateTime"] = int(time.time())
    if status["State"] != "CANCELLED":
        status["State"] = "FAILED" if reason else "SUCCEEDED"
        status["StateChangeReason"] = reason[:2000]
        record["_error"] = reason or None
    log.info(
        "athena query %s: %s, %d files, %d bytes, %d ms %s",
        query_id, status["State"], execution.files, execution.size_bytes, elapsed_ms, reason,
    )  # fmt: skip


def _save(record: Mapping[str, Any], names: list[str], rows: list[list[str | None]]) -> str:
    """Write the answer where Athena leaves it; return why it could not, or nothing."""
    from ministack.services import s3  # noqa: PLC0415

    bucket, _, key = record["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    header: list[list[str | None]] = [[*names]] if record.get("StatementType") == "DML" else []
    # Every value in quotes, NULL as nothing at all.
    quotes = (
        ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in row)
        for row in [*header, *rows]
    )
    content = "".join(f"{line}\n" for line in quotes).encode()
    answer = s3._put_object(  # noqa: SLF001
        bucket, key, content, {"content-type": "application/octet-stream", "content-length": str(len(content))}
    )
    return "" if answer[0] < 300 else f"An error occurred while writing to {bucket}: {answer[2]!r}"


def _results_of(original: Callable[[dict[str, Any]], Any], athena: Any) -> Callable[[dict[str, Any]], Any]:
    """Return GetQueryResults with each column's own precision and scale."""
    from ministack.core.responses import json_response  # noqa: PLC0415

    def get_query_results(data: dict[str, Any]) -> Any:
        record = athena._executions.get(data.get("QueryExecutionId"))  # noqa: SLF001
        if not record or record["Status"]["State"] != "SUCCEEDED" or "_column_info" not in record:
            return original(data)
        token = data.get("NextToken") or "0"
        first = int(token) if token.isdigit() else 0
        count = int(data.get("MaxResults") or _PAGE_ROWS)
        lines = record["_results"]["rows"]
        if record.get("StatementType") == "DML":
            lines = [record["_results"]["columns"], *lines]
        page = [
            {"Data": [{} if value is None else {"VarCharValue": value} for value in line]}
            for line in lines[first : first + count]
        ]
        answer = {
            "ResultSet": {"Rows": page, "ResultSetMetadata": {"ColumnInfo": record["_column_info"]}},
            "UpdateCount": 0,
        }
        if first + count < len(lines):
            answer["NextToken"] = str(first + count)
        return json_response(answer)

    return get_query_results
