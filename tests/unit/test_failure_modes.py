"""The document of failures names tests that exist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests import markdown

PROJECT = Path(__file__).resolve().parents[2]
(ROWS,) = markdown.tables((PROJECT / "docs" / "failure-modes.md").read_text(encoding="utf-8"))


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
