"""The local Athena sees what the Glue catalog registers, and answers in Athena's dialect or not at all."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from local.athena import Answer, QueryFailed, ask
from local.cloud import Cloud
from local.pipeline import Pipeline
from tests.until import until

BUCKET = "athena-lab"
DATABASE = "lab"
COLUMNS = [("company", "string"), ("quantity", "bigint"), ("share", "decimal(6,3)")]
SCHEMA = pa.schema([("company", pa.string()), ("quantity", pa.int64()), ("share", pa.decimal128(6, 3))])
KEYS = [("index_code", "string"), ("session_date", "date"), ("ticker", "string")]


@dataclass
class Lab:
    """A running cloud with a bucket and a database, in which each test has tables of its own."""

    cloud: Cloud

    def ask(self, sql: str) -> Answer:
        return ask(self.cloud.client("athena"), sql, database=DATABASE, workgroup="lab")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.ask(sql).rows)

    def refusal(self, sql: str) -> str:
        with pytest.raises(QueryFailed) as caught:
            self.ask(sql)
        return str(caught.value)

    def put(self, key: str, rows: list[dict[str, Any]] | None = None, schema: pa.Schema = SCHEMA) -> int:
        """Store rows as Parquet; return the file's size."""
        buffer = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist([row()] if rows is None else rows, schema=schema), buffer)
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
        return len(buffer.getvalue())

    def create(
        self, table: str, *, keys: list[tuple[str, str]] = KEYS, columns: list[tuple[str, str]] = COLUMNS
    ) -> None:
        self.cloud.client("glue").create_table(
            DatabaseName=DATABASE,
            TableInput={
                "Name": table,
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in keys],
                "StorageDescriptor": storage(f"{table}/", columns),
            },
        )

    def register(self, table: str, *values: str, at: str = "", columns: list[tuple[str, str]] = COLUMNS) -> str:
        """Register a partition; return the prefix of its files."""
        prefix = at or f"{table}/{'/'.join(values)}/"
        partition = {"Values": list(values), "StorageDescriptor": storage(prefix, columns)}
        self.cloud.client("glue").create_partition(DatabaseName=DATABASE, TableName=table, PartitionInput=partition)
        return prefix

    def statistics(self, sql: str) -> dict[str, int]:
        """Run *sql* and return its statistics as the wire has them: boto3 drops the count of files."""
        client = self.cloud.client("athena")
        query_id = client.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": DATABASE}, WorkGroup="lab"
        )["QueryExecutionId"]

        def execution() -> dict[str, Any]:
            request = urllib.request.Request(  # noqa: S310
                self.cloud.endpoint_url,
                json.dumps({"QueryExecutionId": query_id}).encode(),
                {
                    "X-Amz-Target": "AmazonAthena.GetQueryExecution",
                    "Content-Type": "application/x-amz-json-1.1",
                    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20250101/us-east-1/athena/aws4_request",
                },
            )
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                found: dict[str, Any] = json.load(response)["QueryExecution"]
            return found

        until(lambda: execution()["Status"]["State"] in ("SUCCEEDED", "FAILED"), timeout_s=60, every_s=0.02)
        ended = execution()
        assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
        statistics: dict[str, int] = ended["Statistics"]
        return statistics


def storage(prefix: str, columns: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
        "Location": f"s3://{BUCKET}/{prefix}",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }


def row(company: str = "VALE", quantity: int = 10, share: str = "1.500") -> dict[str, Any]:
    return {"company": company, "quantity": quantity, "share": Decimal(share)}


@pytest.fixture(scope="module")
def lab(pipeline: Pipeline) -> Iterator[Lab]:
    cloud = pipeline.cloud
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    cloud.client("athena").create_work_group(
        Name="lab", Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/answers/"}}
    )
    yield Lab(cloud)
    cloud.client("glue").delete_database(Name=DATABASE)


def test_the_emulators_own_engine_is_not_the_one_that_answers(lab: Lab) -> None:
    # Contract with the pinned emulator: its own engine answers 3.5 and takes DuckDB's functions.
    answer = lab.ask("SELECT 7 / 2 AS half, 7e0 / 2 AS exact")
    assert (answer.columns, answer.rows) == (("half", "exact"), ((3, 3.5),))
    assert "FUNCTION_NOT_FOUND" in lab.refusal("SELECT list_aggregate(ARRAY[1], 'sum')")
    assert "NOT_SUPPORTED" in lab.refusal("SELECT * FROM read_parquet('/etc/passwd')")


def test_only_registered_partitions_are_read_each_from_its_own_location(lab: Lab) -> None:
    lab.create("registered")
    lab.put(lab.register("registered", "IBOV", "2025-02-03", "VALE3") + "a.parquet")
    elsewhere = lab.register("registered", "IBOV", "2025-02-04", "PETR4", at="somewhere/else/")
    lab.put(elsewhere + "deeper/b.parquet", [row("PETROBRAS", 20)])
    lab.register("registered", "IBOV", "2025-02-05", "EMPTY")
    # Below the table's location, but registered nowhere.
    lab.put("registered/IBOV/2025-02-06/ABEV3/c.parquet", [row("AMBEV", 40)])
    for hidden in ("_temporary/x.parquet", ".hidden.parquet", "_SUCCESS"):
        lab.put(elsewhere + hidden, [row("HIDDEN", 80)])
    assert lab.rows("SELECT index_code, session_date, ticker, company, quantity FROM registered ORDER BY ticker") == [
        ("IBOV", "2025-02-04", "PETR4", "PETROBRAS", 20),
        ("IBOV", "2025-02-03", "VALE3", "VALE", 10),
    ]


def test_a_partition_that_is_dropped_or_rewritten_is_seen_so_at_once(lab: Lab) -> None:
    lab.create("changing")
    prefix = lab.register("changing", "IBOV", "2025-02-03", "VALE3")
    lab.put(prefix + "a.parquet", [row(quantity=1)])
    assert lab.rows("SELECT sum(quantity) FROM changing") == [(1,)]
    lab.put(prefix + "a.parquet", [row(quantity=2)])
    assert lab.rows("SELECT sum(quantity) FROM changing") == [(2,)]
    lab.put(prefix + "b.parquet", [row(quantity=4)])
    assert lab.rows("SELECT sum(quantity) FROM changing") == [(6,)]
    lab.cloud.client("glue").delete_partition(
        DatabaseName=DATABASE, TableName="changing", PartitionValues=["IBOV", "2025-02-03", "VALE3"]
    )
    assert lab.rows("SELECT sum(quantity), count(*) FROM changing") == [(None, 0)]


def test_conditions_on_partition_keys_leave_files_unread(lab: Lab) -> None:
    lab.create("pruned")
    sizes = {}
    for index in ("IBOV", "SMLL"):
        for day in ("2025-02-03", "2025-02-04", "2025-02-05"):
            sizes[index, day] = lab.put(lab.register("pruned", index, day, "VALE3") + "a.parquet")
    lab.ask("CREATE VIEW pruned_view AS SELECT session_date AS d, index_code, quantity FROM pruned WHERE quantity > 0")

    def files(rest: str) -> int:
        return lab.statistics(f"SELECT count(*) FROM {rest}")["FilesScanned"]  # noqa: S608

    assert files("pruned") == 6
    assert files("pruned WHERE index_code = 'IBOV'") == 3
    assert files("pruned WHERE index_code = 'IBOV' AND session_date >= DATE '2025-02-04'") == 2
    assert (
        files("pruned WHERE session_date BETWEEN DATE '2025-02-04' AND DATE '2025-02-05' AND ticker IN ('VALE3')") == 4
    )
    assert files("pruned WHERE DATE '2025-02-04' > session_date") == 2
    assert files("pruned WHERE DATE '2025-02-03' < session_date") == 4
    assert files("pruned WHERE DATE '2025-02-05' <= session_date") == 2
    assert files("pruned WHERE DATE '2025-02-04' >= session_date") == 4
    assert files("pruned WHERE index_code = 'IBOV' OR session_date = DATE '2025-02-03'") == 6
    assert files("pruned WHERE NOT index_code = 'IBOV'") == 6
    assert files("pruned p JOIN pruned q ON p.quantity = q.quantity AND q.index_code = 'IBOV'") == 9
    assert files("pruned p LEFT JOIN pruned q ON p.index_code = 'IBOV' AND q.index_code = 'IBOV'") == 9
    assert files("pruned_view WHERE d = DATE '2025-02-03'") == 2
    assert files("(SELECT * FROM pruned LIMIT 1) WHERE index_code = 'IBOV'") == 6
    assert files("(SELECT index_code, count(*) FROM pruned GROUP BY index_code) WHERE index_code = 'IBOV'") == 3
    # Parameters that a WITH query names are as good as literals.
    named = "(WITH parameters AS (SELECT 'IBOV' AS code, DATE '2025-02-04' AS day) SELECT p.quantity FROM pruned p"
    assert files(f"{named} JOIN parameters q ON p.index_code = q.code AND q.day <= p.session_date)") == 2
    assert files(f"{named} CROSS JOIN parameters q WHERE q.code = p.index_code)") == 3
    assert files(f"{named} LEFT JOIN parameters q ON p.index_code = q.code)") == 6
    assert files(f"{named} CROSS JOIN parameters q WHERE p.session_date > q.day OR p.index_code = q.code)") == 6
    one = lab.statistics("SELECT * FROM pruned WHERE index_code = 'IBOV' AND session_date = DATE '2025-02-03'")
    assert one["DataScannedInBytes"] == sizes["IBOV", "2025-02-03"]


def test_pruning_never_changes_an_answer(lab: Lab) -> None:
    lab.create("outer_left", keys=[("k", "int")], columns=[("v", "bigint")])
    lab.create("outer_right", keys=[("k", "int")], columns=[("v", "bigint")])
    schema = pa.schema([("v", pa.int64())])
    for table, keys in (("outer_left", "123"), ("outer_right", "23")):
        for key in keys:
            lab.put(lab.register(table, key, columns=[("v", "bigint")]) + "a.parquet", [{"v": int(key) * 10}], schema)
    joined = "SELECT l.k, r.v FROM outer_left l LEFT JOIN outer_right r ON l.k = r.k"
    assert lab.rows(f"{joined} AND l.k = 2 ORDER BY 1") == [(1, None), (2, 20), (3, None)]
    assert lab.rows(f"{joined} AND r.k = 3 ORDER BY 1") == [(1, None), (2, None), (3, 30)]
    assert lab.rows(f"{joined} WHERE r.k = 3 ORDER BY 1") == [(3, 30)]
    assert lab.rows("SELECT k, rank() OVER (ORDER BY k) FROM outer_left WHERE k = 3") == [(3, 1)]
    ranked = "SELECT k, rank() OVER (ORDER BY k) AS r FROM outer_left"
    assert lab.rows(f"SELECT * FROM ({ranked}) WHERE k = 3") == [(3, 3)]  # noqa: S608
    twice = "WITH x AS (SELECT k FROM outer_left) SELECT count(*) FROM x a, x b WHERE a.k = 3"
    assert lab.rows(twice) == [(3,)]
    named = "WITH p AS (SELECT 2 AS k), either AS (SELECT 2 AS k UNION ALL SELECT 3) SELECT l.k, q.k FROM outer_left l"
    assert lab.rows(f"{named} JOIN p q ON l.k = q.k") == [(2, 2)]
    assert lab.rows(f"{named} LEFT JOIN p q ON l.k = q.k ORDER BY 1") == [(1, None), (2, 2), (3, None)]
    assert lab.rows(f"{named} RIGHT JOIN p q ON l.k = q.k + 5") == [(None, 2)]
    assert lab.rows(f"{named} JOIN either q ON l.k = q.k ORDER BY 1") == [(2, 2), (3, 3)]


def test_files_are_read_by_column_name_with_the_types_the_table_declares(lab: Lab) -> None:
    lab.create("by_name", keys=[])
    schema = pa.schema([("other", pa.int32()), ("quantity", pa.int32()), ("COMPANY", pa.string())])
    lab.put("by_name/a.parquet", [{"other": 1, "quantity": 5, "COMPANY": "VALE"}], schema)
    assert lab.rows("SELECT * FROM by_name") == [("VALE", 5, None)]


def test_a_file_whose_type_is_not_the_tables_fails_the_query(lab: Lab) -> None:
    lab.create("bad_data", keys=[])
    lab.put("bad_data/a.parquet", [{"company": 7}], pa.schema([("company", pa.int64())]))
    message = lab.refusal("SELECT * FROM bad_data")
    assert "HIVE_BAD_DATA: Field company's type INT64" in message
    assert f"s3://{BUCKET}/bad_data/a.parquet is incompatible with type varchar" in message
    lab.cloud.client("s3").put_object(Bucket=BUCKET, Key="bad_data/a.parquet", Body=b"no parquet")
    assert "HIVE_CANNOT_OPEN_SPLIT" in lab.refusal("SELECT * FROM bad_data")


def test_a_partition_declared_with_another_type_fails_the_query(lab: Lab) -> None:
    lab.create("mismatch")
    lab.register("mismatch", "IBOV", "2025-02-03", "VALE3", columns=[("quantity", "int")])
    assert "HIVE_PARTITION_SCHEMA_MISMATCH" in lab.refusal("SELECT * FROM mismatch")


def test_a_partition_value_that_is_no_date_fails_the_query(lab: Lab) -> None:
    lab.create("bad_value")
    lab.register("bad_value", "IBOV", "yesterday", "VALE3")
    assert "HIVE_INVALID_PARTITION_VALUE" in lab.refusal("SELECT * FROM bad_value")


def test_views_are_kept_in_the_catalog_and_nest(lab: Lab) -> None:
    lab.create("viewed", keys=[])
    lab.put("viewed/a.parquet", [row(), row("PETROBRAS", 30, "2.250")])
    lab.ask("CREATE VIEW big AS SELECT company, quantity * 2 AS twice, share FROM viewed WHERE quantity > 10")
    lab.ask("CREATE OR REPLACE VIEW bigger AS\nSELECT company AS who, avg(share) AS share FROM big b GROUP BY company")
    assert lab.rows("SELECT * FROM bigger") == [("PETROBRAS", "2.250")]
    assert "TABLE_ALREADY_EXISTS" in lab.refusal("CREATE VIEW big AS SELECT 1 AS x")
    table = lab.cloud.client("glue").get_table(DatabaseName=DATABASE, Name="bigger")["Table"]
    assert table["TableType"] == "VIRTUAL_VIEW"
    assert table["ViewOriginalText"].startswith("/* Presto View: ")
    assert [column["Type"] for column in table["StorageDescriptor"]["Columns"]] == ["string", "decimal(6,3)"]
    assert {("big",), ("bigger",)} <= set(lab.rows("SHOW VIEWS"))
    assert "PETROBRAS" not in lab.rows("SHOW CREATE VIEW bigger")[0][0]
    lab.ask("CREATE OR REPLACE VIEW big AS SELECT company, quantity AS share FROM viewed")
    assert "VIEW_IS_STALE" in lab.refusal("SELECT * FROM bigger")
    lab.ask("DROP VIEW big")
    assert "INVALID_VIEW" in lab.refusal("SELECT * FROM bigger")
    lab.ask("DROP VIEW IF EXISTS big")
    assert "does not exist" in lab.refusal("DROP VIEW big")
    assert "does not exist" in lab.refusal("DROP VIEW viewed")


def test_show_and_describe_answer_from_the_catalog(lab: Lab) -> None:
    lab.create("shown")
    lab.register("shown", "SMLL", "2025-02-03", "VALE3")
    lab.register("shown", "IBOV", "2025-02-03", "PETR4")
    assert lab.rows("SHOW PARTITIONS shown") == [
        ("index_code=IBOV/session_date=2025-02-03/ticker=PETR4",),
        ("index_code=SMLL/session_date=2025-02-03/ticker=VALE3",),
    ]
    assert ("shown",) in lab.rows("SHOW TABLES")
    assert lab.rows("SHOW TABLES IN lab 'show*'") == [("shown",)]
    assert (DATABASE,) in lab.rows("SHOW DATABASES")
    assert [name for (name,) in lab.rows("SHOW COLUMNS IN shown")] == [name for name, _ in [*COLUMNS, *KEYS]]
    described = [line.split() for (line,) in lab.rows("DESCRIBE lab.shown")]
    assert described[:2] == [["company", "string"], ["quantity", "bigint"]]
    assert described[-1] == ["ticker", "string"]
    assert "not a partitioned table" in lab.refusal("SHOW PARTITIONS nothing") or "not found" in lab.refusal(
        "SHOW PARTITIONS nothing"
    )


def test_results_carry_athenas_types_and_texts(lab: Lab) -> None:
    client = lab.cloud.client("athena")
    sql = """
        SELECT 1 AS a, BIGINT '2' AS b
    """
    assert "SYNTAX_ERROR" in lab.refusal(sql)
    sql = """
        SELECT 1 AS a, 10000000000 AS b, 1e10 AS c, 12.50 AS d, DATE '2025-02-03' AS e, true AS f, 'x' AS g,
            TIMESTAMP '2025-02-03 10:00:00' AS h, ARRAY[1, NULL] AS i, MAP(ARRAY['k'], ARRAY[1.5]) AS j, NULL AS k
    """
    query_id = client.start_query_execution(
        QueryString=sql, QueryExecutionContext={"Database": DATABASE}, WorkGroup="lab"
    )["QueryExecutionId"]
    until(
        lambda: (
            client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] == "SUCCEEDED"
        ),
        timeout_s=60,
        every_s=0.02,
    )
    found = client.get_query_results(QueryExecutionId=query_id)["ResultSet"]
    info = found["ResultSetMetadata"]["ColumnInfo"]
    assert [column["Type"] for column in info] == [
        "integer", "bigint", "double", "decimal", "date", "boolean", "varchar", "timestamp", "array", "map", "unknown",
    ]  # fmt: skip
    assert (info[3]["Precision"], info[3]["Scale"]) == (4, 2)
    header, values = ([value.get("VarCharValue") for value in line["Data"]] for line in found["Rows"])
    assert header == list("abcdefghijk")
    assert values == [
        "1", "10000000000", "1.0E10", "12.50", "2025-02-03", "true", "x", "2025-02-03 10:00:00.000", "[1, null]",
        "{k=1.5}", None,
    ]  # fmt: skip
    body = lab.cloud.client("s3").get_object(Bucket=BUCKET, Key=f"answers/{query_id}.csv")["Body"].read().decode()
    assert body.splitlines()[1].startswith('"1","10000000000","1.0E10","12.50","2025-02-03"')
    assert body.endswith('"{k=1.5}",\n')


def test_an_answer_longer_than_a_page_comes_whole(lab: Lab) -> None:
    numbers = "SELECT n FROM UNNEST(split(rpad('', 2499, ','), ',')) WITH ORDINALITY AS t(x, n) ORDER BY n"
    assert [n for (n,) in lab.rows(numbers)] == list(range(1, 2501))


def test_a_failing_statement_names_the_reason_and_the_server_goes_on(lab: Lab) -> None:
    lab.create("reasons", keys=[])
    lab.put("reasons/a.parquet")
    for sql, reason in {
        "SELECT nothing FROM reasons": "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved",
        "SELECT * FROM nowhere": "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.lab.nowhere' does not exist",
        "SELECT nonsense(1)": "FUNCTION_NOT_FOUND: line 1:8: Function 'nonsense' not registered",
        "SELEC 1": "SYNTAX_ERROR: line 1:1: mismatched input 'SELEC'",
        "SELECT quantity / 0 FROM reasons": "DIVISION_BY_ZERO: Division by zero",
        "INSERT INTO reasons VALUES (1)": "not supported by the local Athena: the statement INSERT INTO REASONS",
        "EXPLAIN SELECT 1": "not supported by the local Athena",
        "CREATE TABLE copy AS SELECT 1 AS x": "not supported by the local Athena",
        "SELECT * FROM information_schema.tables": "not supported by the local Athena: information_schema",
        "PRAGMA database_list": "mismatched input 'PRAGMA'",
        "COPY reasons TO '/tmp/x.csv'": "mismatched input 'COPY'",
        "SELECT 1; SELECT 2": "mismatched input ';'",
    }.items():
        assert reason in lab.refusal(sql), sql
    assert lab.rows("SELECT quantity FROM reasons") == [(10,)]


def test_the_emulators_own_ddl_still_works(lab: Lab) -> None:
    lab.ask(f"CREATE EXTERNAL TABLE by_ddl (company string) STORED AS PARQUET LOCATION 's3://{BUCKET}/by_ddl/'")
    lab.put("by_ddl/a.parquet")
    assert lab.rows("SELECT * FROM by_ddl") == [("VALE",)]
    lab.ask("DROP TABLE by_ddl")
    assert "TABLE_NOT_FOUND" in lab.refusal("SELECT * FROM by_ddl")


def test_queries_run_beside_each_other_and_a_long_one_can_be_stopped(lab: Lab) -> None:
    client = lab.cloud.client("athena")
    digits = "SELECT x FROM UNNEST(split(rpad('', 3000, ','), ',')) AS t(x)"
    endless = f"WITH d AS ({digits}) SELECT count(*) FROM d a, d b, d c WHERE a.x || b.x < c.x"  # noqa: S608
    query_id = client.start_query_execution(
        QueryString=endless, QueryExecutionContext={"Database": DATABASE}, WorkGroup="lab"
    )["QueryExecutionId"]

    def state() -> str:
        found: str = client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"]
        return found

    until(lambda: state() == "RUNNING", timeout_s=30, every_s=0.02)
    answers: list[list[tuple[Any, ...]]] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(lab.rows(f"SELECT {n} * 2"))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [[(0,)], [(2,)], [(4,)], [(6,)]]
    assert state() == "RUNNING"
    client.stop_query_execution(QueryExecutionId=query_id)
    assert state() == "CANCELLED"
    # Its end is seen in the log only when DuckDB really let go of it.
    log = lab.cloud.work_dir / "cloud.log"
    until(lambda: f"athena query {query_id}: CANCELLED" in log.read_text(errors="replace"), timeout_s=30, every_s=0.1)
    assert state() == "CANCELLED"
