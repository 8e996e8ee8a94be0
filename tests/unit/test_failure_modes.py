"""The document of failures names tests that exist, and shows every fault that is tried."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from faults.b3 import B3_FAULTS
from faults.chain import CHAIN_FAULTS
from faults.restart import CLOUD_KILLED
from tests import markdown

PROJECT = Path(__file__).resolve().parents[2]
ROWS, TRIED = markdown.tables((PROJECT / "docs" / "failure-modes.md").read_text(encoding="utf-8"))


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_each_failure_is_held_by_a_test_that_exists(row: list[str]) -> None:
    number, *told, held_by = row
    assert number.isdigit()
    assert all(told)
    path, _, name = held_by.strip("`").partition("::")
    assert name.startswith("test_")
    assert name in functions_of(PROJECT / path)


def test_numbers_rise() -> None:
    numbers = [int(row[0]) for row in ROWS[1:]]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 20


def test_what_was_tried_is_what_the_command_tries() -> None:
    entries = (*B3_FAULTS, *CHAIN_FAULTS, CLOUD_KILLED)
    assert [row[:3] for row in TRIED[1:]] == [[f"`{one.name}`", one.injected, one.expected] for one in entries]
    assert {tuple(row[-2:]) for row in TRIED[1:]} == {("nothing", "nothing")}
