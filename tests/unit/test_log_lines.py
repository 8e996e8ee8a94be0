"""Log lines: one JSON object each for machines, readable text for a terminal, the session's id in both."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import os
import pty
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bovespa.correlation import correlated, correlation_id, follow
from bovespa.log_lines import JsonFormatter, TextFormatter, log_handler


def record(message: str = "stored %s", *arguments: object, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("s3_bucket_manager.manager").makeRecord(
        "s3_bucket_manager.manager", logging.INFO, "manager.py", 1, message, arguments, None, extra=extra
    )
    made.created = dt.datetime(2025, 2, 3, 12, 0, 0, 250_000, tzinfo=dt.UTC).timestamp()
    return made


def test_a_record_is_one_json_object_with_its_fields() -> None:
    with correlated("desk-7"):
        line = JsonFormatter("bovespa-api").format(record("stored %s", "a\nb", rows=86, date=dt.date(2025, 2, 3)))
    assert "\n" not in line
    assert json.loads(line) == {
        "timestamp": "2025-02-03T12:00:00.250+00:00",
        "level": "INFO",
        "service": "bovespa-api",
        "logger": "s3_bucket_manager.manager",
        "message": "stored a\nb",
        "correlation_id": "desk-7",
        "rows": 86,
        "date": "2025-02-03",
    }


def test_without_an_id_there_is_no_field_of_it() -> None:
    assert "correlation_id" not in json.loads(JsonFormatter("x").format(record()))
    assert "correlation_id" not in TextFormatter().format(record())


def test_what_stands_in_every_line_cannot_be_changed_by_one() -> None:
    fixed = JsonFormatter("bovespa-refine", {"correlation_id": "desk-7", "job_run_id": "jr_1"})
    with correlated("another"):
        line = json.loads(fixed.format(record(job_run_id="jr_2")))
    assert (line["correlation_id"], line["job_run_id"]) == ("desk-7", "jr_1")


def test_an_error_is_named_and_shown_within_its_line() -> None:
    try:
        raise ValueError("no\nsuch thing")  # noqa: TRY301 - the traceback is what is tested
    except ValueError as error:
        failed = record("failed")
        failed.exc_info = (type(error), error, error.__traceback__)
    line = JsonFormatter("x").format(failed)
    assert "\n" not in line
    assert json.loads(line)["exception_name"] == "ValueError"
    assert "Traceback" in json.loads(line)["exception"]


def test_text_shows_the_fields_and_the_id_after_the_message() -> None:
    with correlated("desk-7"):
        line = TextFormatter().format(record("stored %s", "it", rows=86))
    assert line.endswith("INFO s3_bucket_manager.manager: stored it rows=86 correlation_id='desk-7'")


@pytest.mark.parametrize(("log_format", "is_json"), [("auto", True), ("json", True), ("text", False)])
def test_what_is_no_terminal_gets_json_unless_told_otherwise(log_format: str, is_json: bool) -> None:
    handler = log_handler(log_format, service="x", stream=io.StringIO())
    assert isinstance(handler.formatter, JsonFormatter) == is_json


@pytest.mark.parametrize(("log_format", "is_json"), [("auto", False), ("json", True), ("text", False)])
def test_a_terminal_gets_text_unless_told_otherwise(log_format: str, is_json: bool) -> None:
    main, terminal = pty.openpty()
    with os.fdopen(main), os.fdopen(terminal, "w") as stream:
        handler = log_handler(log_format, service="x", stream=stream)
        assert isinstance(handler.formatter, JsonFormatter) == is_json


def test_the_threads_of_a_pool_follow_what_they_are_told_to() -> None:
    with correlated("desk-7"):
        with ThreadPoolExecutor(1) as alone:
            assert alone.submit(correlation_id).result() is None
        with ThreadPoolExecutor(1, initializer=follow, initargs=("desk-7",)) as told:
            assert told.submit(correlation_id).result() == "desk-7"
    assert correlation_id() is None
