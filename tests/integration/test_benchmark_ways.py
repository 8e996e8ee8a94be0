"""The other ways to write `portfolio`: what they write is what ours holds, or it is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.refined_rows import DifferentRows, make_portfolio, require_same_rows
from benchmarks.request_counts import counted
from benchmarks.way_loop import Target
from benchmarks.ways import WayFailed, with_arrow
from glue.schema import PARTITION_COLUMNS, REFINED_COLUMNS, arrow_schema
from local.cloud import Cloud, running_cloud

DAYS, TICKERS = (dt.date(2025, 2, 3), dt.date(2025, 2, 4)), ("ABEV3", "PETR4", "VALE3")
COLUMNS = (*PARTITION_COLUMNS, *REFINED_COLUMNS)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "requests"


@pytest.fixture(scope="module")
def cloud(log: Path) -> Iterator[Cloud]:
    with running_cloud(warm=False, requests_log=log) as running:
        running.client("s3").create_bucket(Bucket="compared")
        yield running


def file(path: Path, days: tuple[dt.date, ...], **changed: Any) -> Path:
    """The rows of *days*, most of whose columns are null as they are where nobody knows."""
    rows = [
        dict.fromkeys(name for name, _ in COLUMNS)
        | {"index_code": "IBOV", "session_date": day, "ticker": ticker, "theoretical_quantity": 7}
        for day in days
        for ticker in TICKERS
    ]
    rows[-1] |= changed
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(COLUMNS)), path)
    return path


def test_what_another_way_writes_is_compared_with_ours_row_for_row(cloud: Cloud, log: Path, tmp_path: Path) -> None:
    files = [file(tmp_path / "both.parquet", DAYS), file(tmp_path / "second.parquet", DAYS[1:])]
    ours = Target(cloud.outputs["RefinedBucketName"], "portfolio/", cloud.outputs["DatabaseName"], "portfolio")
    with with_arrow(cloud, ours) as write:
        write(files[0])
    theirs = make_portfolio(cloud, bucket="compared", name="arrow")
    with pytest.raises(DifferentRows, match="has 0 rows, ours has 6"):
        require_same_rows(cloud, theirs)
    with with_arrow(cloud, theirs) as write:
        for one in files:
            with counted(log, "compared") as requests:
                write(one)
        assert require_same_rows(cloud, theirs) == 6
        assert requests == {"S3 PUT": 3, "Glue GetTable": 1, "Glue BatchCreatePartition": 1}
        write(file(tmp_path / "other.parquet", DAYS[1:], company="VALE"))
    with pytest.raises(DifferentRows, match="IBOV/2025-02-04/VALE3: company"):
        require_same_rows(cloud, theirs)


def test_a_way_that_cannot_write_says_why(cloud: Cloud, tmp_path: Path) -> None:
    nowhere = Target("compared", "portfolio/", "no_database", "portfolio")
    with pytest.raises(WayFailed, match="EntityNotFoundException"), with_arrow(cloud, nowhere) as write:
        write(file(tmp_path / "rows.parquet", DAYS))
