"""Comparing two tables: every column, duplicates and NULLs counted, in the local Athena's own dialect."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import infrastructure.athena
from infrastructure.compare import EXAMPLES, KEYS, Comparison, Difference, compare
from infrastructure.rebuild import AsideReport
from infrastructure.scratch import ScratchNames
from infrastructure.template import TEMPLATE, read
from local.athena_server.catalog import GlueTable
from local.athena_server.run import run_query
from local.athena_server.scope import TableUse
from local.athena_server.sql_types import INTEGER, VARCHAR

COLUMNS = ("index_code", "session_date", "sector", "subsector", "holdings")
KINDS = (VARCHAR, VARCHAR, VARCHAR, VARCHAR, INTEGER)
Row = tuple[str, str, str | None, str | None, int | None]

ONE: Row = ("IBOV", "2025-02-03", "Financeiro", "Bancos", 5)
TWO: Row = ("IBOV", "2025-02-03", "Diversos", None, 3)
LATER: Row = ("IBOV", "2025-02-04", None, None, None)


def compared(live: list[Row], rebuilt: list[Row]) -> Comparison:
    tables = {
        name: GlueTable(name, "sectors", tuple(zip(COLUMNS, KINDS, strict=True)), (), {}) for name in ("one", "other")
    }
    rows = {"one": live, "other": rebuilt}

    def load(use: TableUse) -> pa.Table:
        columns: list[Any] = list(zip(*rows[use.table.database], strict=True)) or [()] * len(KINDS)
        return pa.table(
            [pa.array(values, type=kind.arrow) for values, kind in zip(columns, KINDS, strict=True)],
            names=[f"c{number}" for number in range(len(KINDS))],
        )

    def ask(sql: str) -> infrastructure.athena.Answer:
        found = run_query(sql, "one", lambda database, name: tables.get(database) if name == "sectors" else None, load)
        whole = [kind.name in ("integer", "bigint") for _, kind in found.columns]
        texts = tuple(
            tuple(
                int(text) if is_whole and text is not None else text for text, is_whole in zip(row, whole, strict=True)
            )
            for row in found.rows
        )
        return infrastructure.athena.Answer(tuple(name for name, _ in found.columns), texts, 0.0, "", 0)

    return compare(ask, "sectors", COLUMNS, live="one", rebuilt="other")


def test_the_same_rows_in_another_order_are_equal() -> None:
    found = compared([ONE, TWO, LATER], [LATER, ONE, TWO])
    assert found == Comparison("sectors", 3, 3, 0, 0)
    assert found.is_equal


def test_two_empty_tables_are_equal() -> None:
    assert compared([], []) == Comparison("sectors", 0, 0, 0, 0)


def test_a_row_that_stands_twice_is_no_row_that_stands_once() -> None:
    found = compared([ONE, ONE, TWO], [ONE, TWO, TWO])
    assert (found.rows_live, found.rows_rebuilt, found.only_live, found.only_rebuilt) == (3, 3, 1, 1)
    assert not found.is_equal
    assert [str(one) for one in found.examples] == [
        "IBOV/2025-02-03/Diversos/null: only rebuilt",
        "IBOV/2025-02-03/Financeiro/Bancos: only live",
    ]


def test_a_null_is_a_value_like_any_other() -> None:
    found = compared([(*ONE[:4], None)], [ONE])
    assert (found.only_live, found.only_rebuilt) == (1, 1)
    assert [str(one) for one in found.examples] == ["IBOV/2025-02-03/Financeiro/Bancos: holdings"]


def test_rows_of_one_key_that_differ_in_number_are_counted() -> None:
    found = compared([ONE, (*ONE[:4], 6)], [(*ONE[:4], 7)])
    assert [str(one) for one in found.examples] == ["IBOV/2025-02-03/Financeiro/Bancos: 2 rows live, 1 rebuilt"]


def test_the_first_keys_are_shown_and_all_are_counted() -> None:
    rows: list[Row] = [("IBOV", f"2025-02-{day:02d}", "Diversos", None, 1) for day in range(3, 29)]
    found = compared([], rows)
    assert (found.only_live, found.only_rebuilt) == (0, 26)
    assert [one.key["session_date"] for one in found.examples] == [row[1] for row in rows[:EXAMPLES]]


def test_the_report_is_good_when_every_table_is() -> None:
    same = Comparison("sessions", 1234, 1234, 0, 0)
    example = Difference({"index_code": "IBOV", "session_date": "2025-02-03"}, 1, 1, ("turnover_pct",))
    other = Comparison("sessions", 1234, 1234, 1, 1, (example,))
    assert AsideReport("jr_1", 61.2, 3, (same, same), ()).is_good
    report = AsideReport("jr_1", 61.2, 3, (same, other), ("2 raw objects changed meanwhile.",))
    assert not report.is_good
    assert report.lines() == [
        "table     rows live  rows rebuilt  only live  only rebuilt  verdict",
        "sessions      1,234         1,234          0             0  equal",
        "sessions      1,234         1,234          1             1  DIFFERENT",
        "sessions IBOV/2025-02-03: turnover_pct",
        "2 raw objects changed meanwhile.",
        "The live tables are NOT what 3 raw objects give, row for row (run 61 s).",
    ]


RESOURCES: dict[str, Any] = read(TEMPLATE.read_text(encoding="utf-8"))["Resources"]


def test_every_table_of_the_template_is_compared_by_columns_that_it_has() -> None:
    declared = {
        table["Name"]: [column["Name"] for column in [*table["PartitionKeys"], *table["StorageDescriptor"]["Columns"]]]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Glue::Table"
        for table in [resource["Properties"]["TableInput"]]
    }
    assert set(KEYS) == set(declared)
    for table, keys in KEYS.items():
        assert set(keys) <= set(declared[table])


@pytest.mark.parametrize(
    ("sid", "arn"),
    [
        ("ListTheBuckets", "arn:aws:s3:::{0.bucket}"),
        ("ReplaceRefinedSessions", "arn:aws:s3:::{0.bucket}/*"),
        ("RegisterPartitions", "arn:aws:glue:sa-east-1:123456789012:database/{0.database}"),
        ("RegisterPartitions", "arn:aws:glue:sa-east-1:123456789012:table/{0.database}/*"),
    ],
)
def test_the_job_may_write_to_the_scratch_of_its_own_stack(sid: str, arn: str) -> None:
    names = ScratchNames.of("bovespa", account="123456789012", region="sa-east-1")
    (policy,) = RESOURCES["RefineRole"]["Properties"]["Policies"]
    (statement,) = [one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == sid]
    known = {
        "AWS::Partition": "aws",
        "AWS::AccountId": "123456789012",
        "AWS::Region": "sa-east-1",
        "Name": "bovespa",
    }
    granted = []
    for resource in statement["Resource"]:
        text = resource["Fn::Sub"]
        for name, value in known.items():
            text = text.replace(f"${{{name}}}", value)
        granted.append(text)
    assert arn.format(names) in granted
