"""The local Glue's partitions: filtered, paged, limited and refused as AWS does it, and fast with 25,000 of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.cloud import Cloud, running_cloud
from local.pipeline import Pipeline

DATABASE = "catalog_lab"
KEYS = [("index_code", "string"), ("session_date", "date"), ("number", "int"), ("ticker", "string")]


@pytest.fixture(scope="module")
def cloud(pipeline: Pipeline) -> Iterator[Cloud]:
    glue = pipeline.cloud.client("glue")
    glue.create_database(DatabaseInput={"Name": DATABASE})
    yield pipeline.cloud
    glue.delete_database(Name=DATABASE)


class Table:
    """One table and its partition calls."""

    def __init__(self, glue: Any, keys: list[tuple[str, str]] = KEYS) -> None:
        self.glue = glue
        self.names = {"DatabaseName": DATABASE, "TableName": f"t{uuid.uuid4().hex[:8]}"}
        self.columns = [{"Name": f"column_{number}", "Type": "bigint", "Comment": "A number."} for number in range(22)]
        glue.create_table(
            DatabaseName=DATABASE,
            TableInput={
                "Name": self.names["TableName"],
                "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in keys],
                "StorageDescriptor": {"Columns": self.columns, "Location": "s3://lab/t/"},
            },
        )

    def input(self, *values: str, location: str = "s3://lab/t/x/") -> dict[str, Any]:
        return {"Values": list(values), "StorageDescriptor": {"Columns": self.columns, "Location": location}}

    def create(self, *values: tuple[str, ...]) -> list[dict[str, Any]]:
        errors: list[dict[str, Any]] = []
        for start in range(0, len(values), 100):
            inputs = [self.input(*one) for one in values[start : start + 100]]
            errors += self.glue.batch_create_partition(**self.names, PartitionInputList=inputs)["Errors"]
        return errors

    def values(self, expression: str | None = None, **arguments: Any) -> list[tuple[str, ...]]:
        given = arguments if expression is None else {"Expression": expression, **arguments}
        pages = self.glue.get_paginator("get_partitions").paginate(**self.names, **given)
        return [tuple(partition["Values"]) for page in pages for partition in page["Partitions"]]


@pytest.fixture
def table(cloud: Cloud) -> Table:
    return Table(cloud.client("glue"))


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


A = ("IBOV", "2025-02-03", "2", "PETR4")
B = ("IBOV", "2025-02-04", "10", "VALE3")
C = ("IBOV", "2025-02-05", "3", "O'NEIL3")
D = ("SMLL", "2025-02-04", "-1", "PETR4")


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("index_code = 'IBOV'", [A, B, C]),
        ("index_code='IBOV' AND session_date='2025-02-04'", [B]),
        ("ticker = 'PETR4'", [A, D]),
        ("session_date >= '2025-02-04'", [B, C, D]),
        ("session_date <= '2025-02-04' and INDEX_CODE = 'IBOV'", [A, B]),
        ("session_date BETWEEN '2025-02-04' AND '2025-02-05' AND index_code = 'IBOV'", [B, C]),
        ("session_date > '2025-02-03' AND session_date < '2025-02-05'", [B, D]),
        ("number >= 3", [B, C]),
        ("number <= '2'", [A, D]),
        ("number = -1", [D]),
        ("ticker = 'O''NEIL3'", [C]),
        ("index_code = 'IBO'", []),
        ("index_code = 'IBOV' AND index_code = 'SMLL'", []),
        ("  ", [A, B, C, D]),
    ],
)
def test_partitions_are_filtered(table: Table, expression: str, found: list[tuple[str, ...]]) -> None:
    assert table.create(D, C, B, A) == []
    assert table.values(expression) == found


@pytest.mark.parametrize(
    "expression",
    [
        "index_code LIKE 'IB%'",
        "index_code IN ('IBOV')",
        "index_code = 'IBOV' OR index_code = 'SMLL'",
        "NOT index_code = 'IBOV'",
        "(index_code = 'IBOV')",
        "index_code <> 'IBOV'",
        "index_code = IBOV",
        'index_code = "IBOV"',
        "index_code = 'IBOV",
        "index_code = 'IBOV' AND",
        "index_code",
        "company = 'PETROBRAS'",
        "session_date = '2025-02-30'",
        "session_date = 20250203",
        "session_date BETWEEN '2025-02-03'",
        "number = 'two'",
        "AND",
    ],
)
def test_what_is_not_understood_is_refused_and_not_guessed(table: Table, expression: str) -> None:
    table.create(A)
    code, message = refusal(table.glue.get_partitions, **table.names, Expression=expression)
    assert code == "InvalidInputException"
    assert "understands" in message


def test_pages_hold_what_was_asked_for_and_everything_once(table: Table) -> None:
    wanted = sorted(("IBOV", "2025-02-03", str(number), f"T{number:04}3") for number in range(1205))
    table.create(*wanted)
    first = table.glue.get_partitions(**table.names)
    assert len(first["Partitions"]) == 1000
    assert table.values() == wanted
    small = table.glue.get_partitions(**table.names, MaxResults=7, Expression="index_code = 'IBOV'")
    assert len(small["Partitions"]) == 7
    # What comes and goes between two pages neither repeats nor hides the others.
    gone = {"Values": list(wanted[3])}
    assert table.glue.batch_delete_partition(**table.names, PartitionsToDelete=[gone])["Errors"] == []
    after = table.glue.get_partitions(**table.names, MaxResults=7, NextToken=small["NextToken"])
    assert [tuple(one["Values"]) for one in after["Partitions"]] == wanted[7:14]
    exact = table.glue.get_partitions(**table.names, MaxResults=1, Expression="number = 5")
    assert "NextToken" not in exact
    assert refusal(table.glue.get_partitions, **table.names, MaxResults=1001)[0] == "ValidationException"
    assert refusal(table.glue.get_partitions, **table.names, NextToken="?")[0] == "InvalidInputException"


def test_what_comes_after_a_listing_stands_where_its_values_belong(table: Table) -> None:
    assert table.create(B, D) == []
    assert table.values() == [B, D]
    assert table.create(C, A) == []
    assert table.values() == [A, B, C, D]
    assert table.values("index_code = 'IBOV' AND session_date = '2025-02-03'") == [A]


def test_segments_divide_the_partitions(table: Table) -> None:
    table.create(*(("IBOV", "2025-02-03", str(number), "PETR4") for number in range(60)))
    parts = [set(table.values(Segment={"SegmentNumber": number, "TotalSegments": 3})) for number in range(3)]
    assert [bool(part) for part in parts] == [True] * 3
    assert sum(map(len, parts)) == 60
    assert set.union(*parts) == set(table.values())


def test_columns_are_left_out_when_asked(table: Table) -> None:
    table.create(A)
    (whole,) = table.glue.get_partitions(**table.names)["Partitions"]
    assert whole["StorageDescriptor"] == {"Columns": table.columns, "Location": "s3://lab/t/x/"}
    (brief,) = table.glue.get_partitions(**table.names, ExcludeColumnSchema=True)["Partitions"]
    assert brief["StorageDescriptor"] == {"Location": "s3://lab/t/x/"}


def test_what_exists_already_is_an_entry_of_the_answer(table: Table) -> None:
    assert table.create(A, B) == []
    errors = table.create(B, C, C)
    assert [(tuple(one["PartitionValues"]), one["ErrorDetail"]["ErrorCode"]) for one in errors] == [
        (B, "AlreadyExistsException"),
        (C, "AlreadyExistsException"),
    ]
    assert table.values() == [A, B, C]
    assert refusal(table.glue.create_partition, **table.names, PartitionInput=table.input(*A))[0] == (
        "AlreadyExistsException"
    )
    table.glue.create_partition(**table.names, PartitionInput=table.input(*D))
    assert table.values() == [A, B, C, D]


def test_no_call_takes_more_than_aws_takes(table: Table) -> None:
    many = [("IBOV", "2025-02-03", str(number), "PETR4") for number in range(101)]
    inputs = [table.input(*one) for one in many]
    code, message = refusal(table.glue.batch_create_partition, **table.names, PartitionInputList=inputs)
    assert (code, "less than or equal to 100" in message) == ("ValidationException", True)
    assert table.values() == []
    values = [{"Values": list(one)} for one in many]
    code, message = refusal(table.glue.batch_delete_partition, **table.names, PartitionsToDelete=values[:26])
    assert (code, "less than or equal to 25" in message) == ("ValidationException", True)
    assert refusal(table.glue.batch_get_partition, **table.names, PartitionsToGet=values * 10)[0] == (
        "ValidationException"
    )


def test_a_partition_that_is_not_there_cannot_be_deleted(table: Table) -> None:
    table.create(A, B)
    table.glue.delete_partition(**table.names, PartitionValues=list(A))
    assert refusal(table.glue.delete_partition, **table.names, PartitionValues=list(A))[0] == "EntityNotFoundException"
    answer = table.glue.batch_delete_partition(
        **table.names, PartitionsToDelete=[{"Values": list(A)}, {"Values": list(B)}, {"Values": list(B)}]
    )
    assert [(tuple(one["PartitionValues"]), one["ErrorDetail"]["ErrorCode"]) for one in answer["Errors"]] == [
        (A, "EntityNotFoundException"),
        (B, "EntityNotFoundException"),
    ]
    assert table.values() == []
    table.create(A)
    assert table.values() == [A]


def test_single_partitions_are_found(table: Table) -> None:
    table.create(A, B)
    found = table.glue.get_partition(**table.names, PartitionValues=list(B))["Partition"]
    assert tuple(found["Values"]) == B
    assert refusal(table.glue.get_partition, **table.names, PartitionValues=list(C))[0] == "EntityNotFoundException"
    answer = table.glue.batch_get_partition(**table.names, PartitionsToGet=[{"Values": list(C)}, {"Values": list(A)}])
    assert [tuple(one["Values"]) for one in answer["Partitions"]] == [A]
    assert refusal(table.glue.get_partition, **table.names, PartitionValues=["IBOV"])[0] == "InvalidInputException"


def test_a_partition_is_replaced(table: Table) -> None:
    table.create(A, B)
    moved = table.input(*A, location="s3://lab/elsewhere/")
    table.glue.update_partition(**table.names, PartitionValueList=list(A), PartitionInput=moved)
    found = table.glue.get_partition(**table.names, PartitionValues=list(A))["Partition"]
    assert found["StorageDescriptor"]["Location"] == "s3://lab/elsewhere/"
    table.glue.update_partition(**table.names, PartitionValueList=list(A), PartitionInput=table.input(*C))
    assert table.values() == [B, C]
    call = table.glue.update_partition
    assert (
        refusal(call, **table.names, PartitionValueList=list(A), PartitionInput=moved)[0] == "EntityNotFoundException"
    )
    taken = table.input(*B)
    assert refusal(call, **table.names, PartitionValueList=list(C), PartitionInput=taken)[0] == "AlreadyExistsException"
    answer = table.glue.batch_update_partition(
        **table.names,
        Entries=[
            {"PartitionValueList": list(C), "PartitionInput": table.input(*D)},
            {"PartitionValueList": list(C), "PartitionInput": table.input(*D)},
        ],
    )
    assert [one["ErrorDetail"]["ErrorCode"] for one in answer["Errors"]] == ["EntityNotFoundException"]
    assert table.values() == [B, D]


def test_a_table_that_is_not_there_has_no_partitions(cloud: Cloud) -> None:
    glue = cloud.client("glue")
    assert refusal(glue.get_partitions, DatabaseName=DATABASE, TableName="none")[0] == "EntityNotFoundException"


def test_a_table_that_is_made_anew_starts_empty(table: Table) -> None:
    table.create(A)
    description = table.glue.get_table(DatabaseName=DATABASE, Name=table.names["TableName"])["Table"]
    table.glue.delete_table(DatabaseName=DATABASE, Name=table.names["TableName"])
    wanted = {name: description[name] for name in ("Name", "PartitionKeys", "StorageDescriptor")}
    table.glue.create_table(DatabaseName=DATABASE, TableInput=wanted)
    assert table.values() == []
    assert table.create(A) == []


def test_twenty_five_thousand_partitions_take_seconds(cloud: Cloud) -> None:
    # botocore would look at each of a million values before it sends them, which takes it longer than all the rest.
    settings: dict[str, Any] = {"config": Config(parameter_validation=False), "endpoint_url": cloud.endpoint_url}
    table = Table(boto3.client("glue", aws_access_key_id="local", aws_secret_access_key="local", **settings))
    wanted = [
        (f"I{day % 7:03}", f"2025-{1 + day % 12:02}-{1 + day // 12:02}", "1", f"T{share:03}3")
        for day in range(278)
        for share in range(90)
    ]
    assert len(wanted) == 25_020
    started_s = time.monotonic()
    assert table.create(*wanted) == []
    created_s = time.monotonic() - started_s
    assert created_s < 30
    started_s = time.monotonic()
    for _ in range(20):
        assert len(table.values("index_code = 'I003' AND session_date = '2025-04-01'")) == 90
    assert time.monotonic() - started_s < 10
    assert table.values(ExcludeColumnSchema=True) == sorted(wanted)


def test_partitions_survive_a_restart(tmp_path: Path) -> None:
    with running_cloud(data=tmp_path, warm=False, deployed=False) as first:
        first.client("glue").create_database(DatabaseInput={"Name": DATABASE})
        before = Table(first.client("glue"))
        before.create(A, B)
    with running_cloud(data=tmp_path, warm=False, deployed=False) as second:
        before.glue = second.client("glue")
        assert before.values() == [A, B]
        assert [one["ErrorDetail"]["ErrorCode"] for one in before.create(B, C)] == ["AlreadyExistsException"]
        assert before.values("ticker = 'VALE3'") == [B]
