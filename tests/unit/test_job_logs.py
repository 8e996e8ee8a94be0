"""The job's log: which id a run has, and that every line has it, also in a process that has run before."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from glue.job import configure_logging, parse_arguments

NAMED = ["--sessions", "IBOV/2025-02-03", "--raw_bucket", "a", "--refined_bucket", "b", "--database", "c"]


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """Let a test configure logging as an entry point does, and take it back."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    # pytest's own are not to be closed by whoever replaces them.
    root.handlers = []
    yield
    root.handlers = kept
    root.setLevel(level)


@pytest.mark.parametrize(
    ("given", "followed"),
    [
        (["--correlation_id", "desk-7"], "desk-7"),
        ([], "jr_1"),
        (["--correlation_id", ""], "jr_1"),
        (["--correlation_id", "a b"], "jr_1"),
    ],
)
def test_a_run_has_the_id_that_it_is_given_or_its_own(given: list[str], followed: str) -> None:
    assert parse_arguments([*NAMED, "--JOB_RUN_ID", "jr_1", *given]).correlation_id == followed


@pytest.mark.usefixtures("_root_logger")
def test_every_line_has_the_ids_of_the_run_also_after_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    for run_id in ("jr_1", "jr_2"):
        configure_logging(parse_arguments([*NAMED, "--JOB_RUN_ID", run_id, "--correlation_id", f"of-{run_id}"]))
        logging.getLogger("glue.job").info("refining", extra={"sessions_read": 1})
        with ThreadPoolExecutor(1) as pool:
            pool.submit(logging.getLogger("glue.publish").info, "published").result()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line["job_run_id"], line["correlation_id"]) for line in lines] == [
        ("refining", "jr_1", "of-jr_1"),
        ("published", "jr_1", "of-jr_1"),
        ("refining", "jr_2", "of-jr_2"),
        ("published", "jr_2", "of-jr_2"),
    ]
