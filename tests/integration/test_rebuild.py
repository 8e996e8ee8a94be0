"""A rebuild from raw, aside: equal to what arrived bit by bit, and loud about every row that is not."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bovespa.calendar import trading_days
from bovespa.layout import CompactYear, RefinedPartition, Session
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv, serialise_csv
from bovespa.session_state import State
from infrastructure.scratch import ScratchLake
from local.synthetic import synthetic_csv
from s3_bucket_manager.session_states import SessionStates
from tests.few_trades import few_cotahist
from tests.lake import Lake
from tests.rebuild_command import SCRATCH, rebuild, scratch

INDEX = "IBLV"
DAYS = list(trading_days(dt.date(2024, 12, 18), dt.date(2025, 1, 8)))
SESSIONS = 7
"""Raw sessions of the lake."""
TRADING_DAYS = [DAYS[9], DAYS[1]]
OBJECTS = SESSIONS + len(TRADING_DAYS)

TABLES = ["portfolio", "holdings", "sessions", "sectors", "trading"]


@pytest.fixture(scope="module", name="lake")
def _lake(quiet_lake: Lake) -> Iterator[Lake]:
    """A lake to which history came as it does in life: out of order, corrected, late, withdrawn."""
    for days in ((DAYS[6], DAYS[2]), (DAYS[0],), (DAYS[9], DAYS[4], DAYS[5])):
        quiet_lake.refine(*(quiet_lake.store(synthetic_csv(INDEX, day)) for day in days))
    by_code = quiet_lake.store(synthetic_csv(INDEX, DAYS[7], View.CODE))
    corrected = quiet_lake.store(without_last_share(synthetic_csv(INDEX, DAYS[2])))
    quiet_lake.refine(by_code, corrected)
    late = quiet_lake.store(synthetic_csv(INDEX, DAYS[1]))
    withdrawn = Session(INDEX, DAYS[4])
    quiet_lake.cloud.client("s3").delete_object(Bucket=quiet_lake.raw, Key=withdrawn.raw_key)
    quiet_lake.refine(late, withdrawn)
    quiet_lake.refine(*(quiet_lake.store_trading_day(few_cotahist(day, INDEX)) for day in TRADING_DAYS))
    yield quiet_lake
    s3, glue = quiet_lake.cloud.client("s3"), quiet_lake.cloud.client("glue")
    ScratchLake(s3, glue, SCRATCH, account="000000000000", region="us-east-1", report=lambda _line: None).clear()


def without_last_share(content: bytes) -> bytes:
    """The same session, corrected: one ticker is gone, its participation is another's, the totals fit."""
    portfolio = parse_csv(content)
    first, *middle, last = portfolio.holdings
    first = replace(first, participation_pct=first.participation_pct + last.participation_pct)
    total = portfolio.total_theoretical_quantity - last.theoretical_quantity
    # Without sectors, so that no sum of theirs has to be corrected too.
    holdings = tuple(
        replace(one, sector_label=None, sector_participation_pct=None)
        for one in sorted((first, *middle), key=lambda one: one.ticker)
    )
    return serialise_csv(replace(portfolio, view=View.CODE, holdings=holdings, total_theoretical_quantity=total))


def reported(lake: Lake, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, err = rebuild(lake, "--yes", "--json", *arguments)
    assert out, err
    return code, json.loads(out)


def lake_as_it_is(lake: Lake) -> tuple[Any, Any]:
    pages = [
        lake.cloud.client("glue").get_paginator("get_partitions").paginate(DatabaseName="bovespa", TableName=table)
        for table in TABLES
    ]
    locations = {
        (one["TableName"], *one["Values"]): one["StorageDescriptor"]["Location"]
        for table in pages
        for page in table
        for one in page["Partitions"]
    }
    return lake.versions(""), locations


def test_names_that_are_somebody_elses_are_refused_and_left_alone(lake: Lake) -> None:
    s3, glue = lake.cloud.client("s3"), lake.cloud.client("glue")
    runs = len(lake.runs())
    s3.create_bucket(Bucket=SCRATCH.bucket)
    s3.put_object(Bucket=SCRATCH.bucket, Key="holidays.jpg", Body=b"of worth to somebody")

    code, out, err = rebuild(lake, "--yes")

    assert (code, out) == (1, "")
    assert f"error: Bucket {SCRATCH.bucket} was not made by a rebuild" in err
    assert s3.get_object(Bucket=SCRATCH.bucket, Key="holidays.jpg")["Body"].read() == b"of worth to somebody"
    s3.delete_object(Bucket=SCRATCH.bucket, Key="holidays.jpg")
    glue.create_database(DatabaseInput={"Name": SCRATCH.database})

    code, out, err = rebuild(lake, "--yes")

    assert (code, out) == (1, "")
    assert f"error: Database {SCRATCH.database} was not made by a rebuild" in err
    assert scratch(lake) == [SCRATCH.bucket, SCRATCH.database]
    glue.delete_database(Name=SCRATCH.database)
    s3.delete_bucket(Bucket=SCRATCH.bucket)
    assert len(lake.runs()) == runs


def test_nothing_starts_without_a_yes_or_a_stack(lake: Lake) -> None:
    runs = len(lake.runs())
    code, out, err = rebuild(lake, answer="no\n")
    assert (code, out) == (0, "")
    assert f"One run over {OBJECTS} raw objects" in err
    code, out, err = rebuild(lake, "--yes", "--stack", "nobody")
    assert (code, out) == (1, "")
    assert "error: No stack nobody" in err
    assert rebuild(lake, "--keep", "--in-place")[0] == 2
    assert (len(lake.runs()), scratch(lake)) == (runs, [])


def test_what_arrived_bit_by_bit_equals_what_is_computed_at_once(lake: Lake) -> None:
    before, runs = lake_as_it_is(lake), len(lake.runs())

    code, report = reported(lake)

    assert code == 0, report
    assert report["equal"]
    assert report["raw_objects"] == OBJECTS
    rows = {one["table"]: one["rows_live"] for one in report["tables"]}
    assert list(rows) == TABLES
    assert rows == {one["table"]: one["rows_rebuilt"] for one in report["tables"]}
    assert (rows["portfolio"], rows["sessions"]) == (rows["holdings"], SESSIONS)
    assert [(one["only_live"], one["only_rebuilt"]) for one in report["tables"]] == [(0, 0)] * len(TABLES)
    assert (lake_as_it_is(lake), scratch(lake)) == (before, [])
    assert len(lake.runs()) == runs + 1
    (run,) = [run for run in lake.runs() if run["Id"] == report["run_id"]]
    assert run["Arguments"]["--sessions"] == "all"
    assert run["Arguments"]["--refined_bucket"] == SCRATCH.bucket
    assert run["Timeout"] == 60, "the job's own limit is for some sessions, not for all"


def test_a_run_that_fails_is_told_and_leaves_nothing_behind(lake: Lake) -> None:
    broken = Session(INDEX, DAYS[10])
    s3, glue = lake.cloud.client("s3"), lake.cloud.client("glue")
    s3.put_object(Bucket=lake.raw, Key=broken.raw_key, Body=b"no Parquet")

    code, out, err = rebuild(lake, "--yes")

    assert (code, out) == (1, "")
    (told,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert re.match(r"error: Run \S+ FAILED: .*\w", told)
    assert scratch(lake) == []
    # The live lake has had no run for this session: its state is not that of the rebuild's.
    states = SessionStates(s3, glue, raw_bucket=lake.raw, refined_bucket=lake.refined, glue_job="bovespa-refine")
    assert states.of(broken)[0].state is State.STORED
    s3.delete_object(Bucket=lake.raw, Key=broken.raw_key)


def test_every_planted_difference_is_named_and_mended_in_place(lake: Lake) -> None:
    altered, stale, missing, session = plant(lake)

    code, out, err = rebuild(lake, "--yes")

    assert code == 1, err
    words = [line.split() for line in out.splitlines()]
    verdicts = {line[0]: (*line[-3:-1], line[-1]) for line in words[1 : 1 + len(TABLES)]}
    assert verdicts == {
        "portfolio": ("2", "2", "DIFFERENT"),
        "holdings": ("0", "0", "equal"),
        "sessions": ("1", "1", "DIFFERENT"),
        "sectors": ("0", "0", "equal"),
        "trading": ("0", "0", "equal"),
    }
    assert set(out.splitlines()[1 + len(TABLES) : -1]) == {
        f"portfolio {INDEX}/{DAYS[0]}/{altered}: company, participation_pct",
        f"portfolio {INDEX}/{DAYS[0]}/{stale}: only live",
        f"portfolio {INDEX}/{DAYS[6]}/{missing}: only rebuilt",
        f"sessions {session}: turnover_pct",
    }
    assert scratch(lake) == []

    code, report = reported(lake, "--in-place")

    assert code == 0
    assert {name: report[name] for name in ("mode", "raw_objects", "refined", "years", "merged_years")} == {
        "mode": "in_place",
        "raw_objects": OBJECTS,
        "refined": OBJECTS,
        "years": 8,
        "merged_years": 4,
    }
    code, report = reported(lake, "--keep")
    assert code == 0, report
    assert scratch(lake) == [SCRATCH.bucket, SCRATCH.database]
    for one, other in (("bovespa", SCRATCH.database), (SCRATCH.database, "bovespa")):
        assert lake.ask(f"SELECT * FROM {one}.holdings EXCEPT SELECT * FROM {other}.holdings").rows == ()  # noqa: S608
    assert lake.ask(f"SELECT COUNT(*) FROM {SCRATCH.database}.sessions").rows == ((SESSIONS,),)  # noqa: S608


def plant(lake: Lake) -> tuple[str, str, str, Session]:
    """Spoil the refined lake as accidents would; return the tickers altered, stale and missing, and a session."""
    s3, glue = lake.cloud.client("s3"), lake.cloud.client("glue")
    first, later = Session(INDEX, DAYS[0]), Session(INDEX, DAYS[6])
    altered, *_, missing = sorted(lake.tickers_in_files(first) & lake.tickers_in_files(later))
    stale = "ZZZZ3"

    def rewritten(key: str, to: str, **values: Any) -> None:
        table = pq.read_table(io.BytesIO(s3.get_object(Bucket=lake.refined, Key=key)["Body"].read()))
        for name, value in values.items():
            place = table.schema.get_field_index(name)
            table = table.set_column(
                place, table.schema.field(place), pa.array([value], table.schema.field(place).type)
            )
        sink = io.BytesIO()
        pq.write_table(table, sink)
        s3.put_object(Bucket=lake.refined, Key=to, Body=sink.getvalue())

    partition = RefinedPartition(first, altered)
    rewritten(partition.key, partition.key, company="SOMEBODY", participation_pct=0)
    left = RefinedPartition(first, stale)
    rewritten(RefinedPartition(first, missing).key, left.key)
    descriptor = glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]["StorageDescriptor"]
    glue.create_partition(
        DatabaseName="bovespa",
        TableName="portfolio",
        PartitionInput={
            "Values": [INDEX, str(DAYS[0]), stale],
            "StorageDescriptor": {**descriptor, "Location": f"s3://{lake.refined}/{left.prefix}"},
        },
    )
    glue.delete_partition(DatabaseName="bovespa", TableName="portfolio", PartitionValues=[INDEX, str(DAYS[6]), missing])
    key = CompactYear.of("sessions", later).key(DAYS[6])
    rewritten(key, key, turnover_pct=99)
    return altered, stale, missing, later
