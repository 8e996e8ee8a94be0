"""The estimate of the costs: its sums are right, and its counts are those of the template and the benchmarks."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from infrastructure.template import TEMPLATE, read
from tests import markdown
from tests.conftest import PROJECT

COSTS = (PROJECT / "docs" / "costs.md").read_text(encoding="utf-8")
BENCHMARKS = (PROJECT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
PRICES, QUANTITIES, SUM, _requests = (rows[1:] for rows in markdown.tables(COSTS))
VALUES = {row[0].strip("`"): Decimal(row[1]) for row in (*PRICES, *QUANTITIES)}
TEMPLATE_SOURCE: dict[str, Any] = read(TEMPLATE.read_text(encoding="utf-8"))
CENT = Decimal("0.01")


def cost(arithmetic: str) -> Decimal:
    result = Decimal(1)
    for factor in arithmetic.split(" * "):
        result *= VALUES[factor.strip("`")]
    return result


@pytest.mark.parametrize("row", SUM[:-1], ids=lambda row: str(row[0]))
def test_each_item_is_the_product_that_it_says(row: list[str]) -> None:
    assert Decimal(row[2]) == cost(row[1]).quantize(CENT, ROUND_HALF_EVEN)


def test_the_sum_is_that_of_the_items() -> None:
    assert SUM[-1][0] == "Together"
    total = sum(cost(row[1]) for row in SUM[:-1])
    assert Decimal(SUM[-1][2]) == Decimal(total).quantize(CENT, ROUND_HALF_EVEN)


def test_every_price_and_quantity_is_used_once() -> None:
    used = [factor.strip("`") for row in SUM[:-1] for factor in row[1].split(" * ")]
    assert set(used) == set(VALUES)
    assert {name for name in used if used.count(name) > 1} == {"runs"}


@pytest.mark.parametrize(
    ("quantity", "kind"),
    [
        ("alarms", "AWS::CloudWatch::Alarm"),
        ("metrics", "AWS::Logs::MetricFilter"),
        ("dashboards", "AWS::CloudWatch::Dashboard"),
        ("secrets", "AWS::SecretsManager::Secret"),
    ],
)
def test_the_counts_are_those_of_the_template(quantity: str, kind: str) -> None:
    assert VALUES[quantity] == sum(one["Type"] == kind for one in TEMPLATE_SOURCE["Resources"].values())


def test_a_run_has_the_workers_of_the_template_and_is_billed_a_minute_at_least() -> None:
    workers = TEMPLATE_SOURCE["Parameters"]["GlueWorkers"]["Default"]
    assert TEMPLATE_SOURCE["Resources"]["RefineJob"]["Properties"]["WorkerType"] == "G.1X"
    seconds = VALUES["dpu_hours_a_run"] * 3600 / workers
    assert seconds == 90
    assert seconds >= 60


def test_the_requests_of_a_run_are_the_measured_ones() -> None:
    growing = BENCHMARKS.partition("## A growing history")[2].partition("\n## ")[0]
    measured = {kind: Decimal(count) for kind, count in re.findall(r"│ S3 (GET|LIST|PUT) +│ +\d+ │ +(\d+) │", growing)}
    assert set(measured) == {"GET", "LIST", "PUT"}
    stored_by_the_api = 2
    assert VALUES["s3_1000_writes_a_run"] * 1000 == measured["PUT"] + measured["LIST"] + stored_by_the_api
    timer = (PROJECT / "deployment" / "bovespa-ingest.timer").read_text(encoding="utf-8")
    (hours,) = re.findall(r"OnCalendar=\S+ ([\d,]+):", timer)
    calls_a_run = len(hours.split(",")) * 30 / VALUES["runs"]
    assert VALUES["s3_1000_reads_a_run"] * 1000 == measured["GET"] + 1 + calls_a_run


def test_memory_and_looks_are_those_of_the_functions() -> None:
    functions = [
        one["Properties"] for one in TEMPLATE_SOURCE["Resources"].values() if one["Type"] == "AWS::Lambda::Function"
    ]
    assert {one["MemorySize"] for one in functions} == {256}
    assert VALUES["lambda_gb_seconds"] == (VALUES["runs"] + 30) * 256 / 1024
