"""Rows come into Spark and leave it exactly, through its driver as on its workers."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import threading
import time
from decimal import Decimal
from pathlib import Path

from local.spark_pool import POOL_VARIABLE, PooledSpark

COLUMNS = (
    ("name", "string"),
    ("day", "date"),
    ("quantity", "bigint"),
    ("value", "decimal(26,8)"),
    ("position", "int"),
    ("is_new", "boolean"),
)
ROWS = [
    # No float holds these numbers.
    ("a", dt.date(2025, 2, 3), 2**60 + 1, Decimal("123456789012345678.00000001"), 1, True),
    ("b", None, None, None, None, None),
    ("c", dt.date(1999, 12, 31), -(2**60) - 1, Decimal("-0.10000001"), -1, False),
]

SCRIPT = f"""
import datetime, json, sys
from decimal import Decimal
from pyspark.sql import SparkSession
from glue.transport import OnWorkers, ThroughDriver

COLUMNS = {COLUMNS!r}
ROWS = {ROWS!r}

def in_parts(batches):
    for batch in batches:
        for position in range(batch.num_rows):
            yield batch.slice(position, 1)

def plain(rows):
    return sorted(repr(tuple(row[name] for name, _ in COLUMNS)) for row in rows)

spark = SparkSession.builder.getOrCreate()
answers = {{}}
for way in (ThroughDriver(spark), OnWorkers(spark, 2)):
    for name, value in way.settings.items():
        spark.conf.set(name, value)
    # As rows come that are more than the ten thousand of one batch.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "1")
    read = way.read(ROWS, COLUMNS, in_parts, COLUMNS)
    answers[type(way).__name__] = {{
        "frame": plain(way.frame(ROWS, COLUMNS).collect()),
        "read": plain(read.collect()),
        "kept": plain(way.keep(read.selectExpr("*")).collect()),
        "apply": plain(way.apply(ROWS, COLUMNS, in_parts, COLUMNS)),
        "write": plain(way.write(read.selectExpr("*"), ("name",), in_parts, COLUMNS)),
    }}
    spark.sql("RESET")
open(sys.argv[1], "w").write(json.dumps(answers))
"""


def test_both_ways_give_every_value_as_it_is(tmp_path: Path) -> None:
    script, answer, log = tmp_path / "script.py", tmp_path / "answer", tmp_path / "log"
    script.write_text(SCRIPT, encoding="utf-8")
    asked = {"script": str(script), "argv": [str(answer)], "py_files": [], "environ": {}, "log": str(log)}
    with contextlib.closing(PooledSpark(Path(os.environ[POOL_VARIABLE]))) as spark:
        error = spark.run(asked, deadline=time.monotonic() + 120, stopped=threading.Event())
    assert error is None, log.read_text(encoding="utf-8")
    exact = sorted(map(repr, ROWS))
    expected = dict.fromkeys(("frame", "read", "kept", "apply", "write"), exact)
    assert json.loads(answer.read_text()) == {"ThroughDriver": expected, "OnWorkers": expected}
