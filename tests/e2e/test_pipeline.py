"""The whole chain on one machine: what B3 shows becomes rows in SQL, exactly, whatever the order and repetition."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from bovespa.calendar import trading_days, trading_days_before
from bovespa.layout import Session
from bovespa.portfolio import Portfolio, View
from bovespa.portfolio_csv import serialise_csv
from local.api_client import ApiClient
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv, synthetic_portfolio
from tests import reckoning
from tests.lake import Lake, sha256


def days(last: dt.date, count: int) -> list[dt.date]:
    return trading_days_before(last + dt.timedelta(days=1), count)


def without_smallest(portfolio: Portfolio) -> tuple[Portfolio, str]:
    """The corrected file: one ticker less, its participation given to the largest, the totals right again."""
    gone = min(portfolio.holdings, key=lambda row: (row.participation_pct, row.ticker))
    largest = max(portfolio.holdings, key=lambda row: (row.participation_pct, row.ticker))
    holdings = tuple(
        replace(row, participation_pct=row.participation_pct + gone.participation_pct) if row is largest else row
        for row in portfolio.holdings
        if row is not gone
    )
    total = portfolio.total_theoretical_quantity - gone.theoretical_quantity
    return replace(portfolio, holdings=holdings, total_theoretical_quantity=total), gone.ticker


def expected(contents: Iterable[bytes]) -> dict[tuple[str, str, str], dict[str, str | None]]:
    return reckoning.refined_rows(contents)


def test_one_request_ends_as_rows_in_sql(pipeline: Pipeline, lake: Lake) -> None:
    pipeline.stand_in.set(today=dt.date(2025, 2, 3), faults=[])
    client = ApiClient(pipeline)
    answer = client.collect("IDIV", request_id="desk-7.IDIV")
    session = Session("IDIV", dt.date(2025, 2, 3))
    content = synthetic_csv("IDIV", dt.date(2025, 2, 3), View.SECTOR)
    file = reckoning.read(content)
    elapsed_ms = answer.pop("elapsed_ms")
    assert elapsed_ms > 0
    assert answer == {
        "index": "IDIV",
        "session_date": "2025-02-03",
        "rows": len(file.rows),
        "status": "stored",
        "raw_uri": f"s3://{lake.raw}/portfolio/index_code=IDIV/session_date=2025-02-03/portfolio.parquet",
        "source_uri": f"s3://{lake.raw}/source/index_code=IDIV/session_date=2025-02-03/{sha256(content)}.csv",
        "source_sha256": sha256(content),
        "total_theoretical_quantity": file.total_quantity,
        "reductor": str(file.reductor),
        "way": "browser",
        "attempts": 1,
    }
    kept = pipeline.cloud.client("s3").get_object(Bucket=lake.raw, Key=session.source_key(sha256(content)))
    assert kept["Body"].read() == content, "the bytes that B3 sent are kept as they came"
    client.wait_until_refined(session)
    assert lake.rows("index_code = 'IDIV'") == expected([content])
    assert_followed(pipeline, lake, session, "desk-7.IDIV")


def assert_followed(pipeline: Pipeline, lake: Lake, session: Session, followed: str) -> None:
    """The id of the request is in every station's log and in what every station wrote."""
    cloud = pipeline.cloud
    raw = cloud.client("s3").head_object(Bucket=lake.raw, Key=session.raw_key)
    assert raw["Metadata"]["correlation-id"] == followed
    (run,) = lake.runs_of(session)
    assert run["Arguments"]["--correlation_id"] == followed
    (receipt,) = lake.keys(session.receipts_prefix)
    told = json.loads(cloud.client("s3").get_object(Bucket=lake.refined, Key=receipt)["Body"].read())
    assert (told["correlation_id"], told["job_run_id"]) == (followed, run["Id"])
    partition = cloud.client("glue").get_partition(
        DatabaseName="bovespa",
        TableName="portfolio",
        PartitionValues=[session.index_code, str(session.session_date), min(lake.tickers_in_files(session))],
    )["Partition"]
    assert partition["Parameters"] == {"correlation_id": followed, "job_run_id": run["Id"]}
    client = ApiClient(pipeline)
    assert client.state(session)["correlation_id"] == followed
    report = client.report(session)
    assert (report["correlation_id"], report["run"]["id"], report["run"]["correlation_id"]) == (
        followed,
        run["Id"],
        followed,
    )
    assert {check["result"] for check in report["checks"]} == {"passed"}
    assert report["timings"]["total_s"] > 0

    api = [line for line in log_lines(cloud.work_dir / "api.log") if line.get("correlation_id") == followed]
    assert [line["message"] for line in api] == [
        *("browser started", "page shown", "downloaded", "browser ended"),
        *("proven", "stored session", "ingested", "answered"),
    ]
    job = log_lines(cloud.work_dir / f"run-{run['Id']}.log")
    assert {"started", "refining", "written", "registered", "published"} <= {line["message"] for line in job}
    assert {(line["correlation_id"], line["job_run_id"], line["service"]) for line in job} == {
        (followed, run["Id"], "bovespa-refine")
    }


def log_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log, without what the JVM says in between."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_weekend_run_stores_mondays_session_and_the_next_run_changes_nothing(pipeline: Pipeline, lake: Lake) -> None:
    client = ApiClient(pipeline)
    monday = Session("ICON", dt.date(2025, 2, 24))
    pipeline.stand_in.set(today=dt.date(2025, 2, 22), faults=[])
    first = client.collect("ICON")
    assert (first["session_date"], first["status"]) == ("2025-02-24", "stored")
    client.wait_until_refined(monday)
    lake.wait_until_idle()
    before = (lake.versions(monday.refined_prefix), lake.versions(monday.receipts_prefix), len(lake.runs()))

    pipeline.stand_in.set(today=dt.date(2025, 2, 23), faults=[])
    second = client.collect("ICON")
    assert (second["session_date"], second["status"]) == ("2025-02-24", "unchanged")
    assert second["source_sha256"] == first["source_sha256"]
    assert (lake.versions(monday.refined_prefix), lake.versions(monday.receipts_prefix), len(lake.runs())) == before
    assert client.state(Session("ICON", dt.date(2025, 2, 22)))["state"] == "missing"


def test_any_order_and_any_repetition_give_the_same_rows(lake: Lake) -> None:
    """Eight sessions over two rebalances' memberships, with a gap of a month, in a shuffled order, some twice."""
    wanted = [*days(dt.date(2025, 1, 8), 4), *days(dt.date(2025, 2, 12), 4)]
    contents = [synthetic_csv("UTIL", day, View.SECTOR) for day in wanted]
    arrivals = [*contents, *contents[:3]]
    random.Random(20250203).shuffle(arrivals)
    sessions = [lake.store(content) for content in arrivals]
    lake.wait_until_refined(*sessions)
    rows = lake.rows("index_code = 'UTIL'")
    assert rows == expected(contents)
    assert len({row["sessions_observed"] for row in rows.values()}) > 3, "the windows differ, so their order mattered"


def test_a_ticker_that_a_correction_drops_is_gone_everywhere_and_nothing_else_changes(lake: Lake) -> None:
    wanted = days(dt.date(2025, 2, 12), 3)
    portfolios = [synthetic_portfolio("IMAT", day, View.CODE) for day in wanted]
    sessions = [lake.store(serialise_csv(portfolio)) for portfolio in portfolios]
    lake.wait_until_refined(*sessions)
    *others, last = sessions
    before = {session: lake.versions(session.refined_prefix) for session in others}

    corrected, ticker = without_smallest(portfolios[-1])
    assert ticker in lake.tickers_in_files(last)
    lake.store(serialise_csv(corrected))
    lake.wait_until_refined(last)
    held = {row.ticker for row in corrected.holdings}
    assert lake.tickers_in_files(last) == held
    assert lake.tickers_in_catalog(last) == held
    contents = [serialise_csv(portfolio) for portfolio in (*portfolios[:-1], corrected)]
    assert lake.rows("index_code = 'IMAT'") == expected(contents)
    assert {session: lake.versions(session.refined_prefix) for session in others} == before


def test_a_late_correction_reaches_the_later_sessions_that_look_back_on_it(lake: Lake) -> None:
    wanted = days(dt.date(2025, 2, 12), 3)
    portfolios = [synthetic_portfolio("IMOB", day, View.CODE) for day in wanted]
    lake.wait_until_refined(*[lake.store(serialise_csv(portfolio)) for portfolio in portfolios])
    corrected, ticker = without_smallest(portfolios[0])
    lake.wait_until_refined(lake.store(serialise_csv(corrected)))
    rows = lake.rows("index_code = 'IMOB'")
    assert rows == expected([serialise_csv(portfolio) for portfolio in (corrected, *portfolios[1:])])
    assert rows["IMOB", str(wanted[2]), ticker]["presence_frequency_pct"] == "66.667"


def test_a_session_whose_raw_object_is_gone_disappears_with_its_next_run(lake: Lake) -> None:
    wanted = days(dt.date(2025, 2, 12), 2)
    contents = [synthetic_csv("IEEX", day, View.CODE) for day in wanted]
    first, second = (lake.store(content) for content in contents)
    lake.wait_until_refined(first, second)
    lake.cloud.client("s3").delete_object(Bucket=lake.raw, Key=first.raw_key)
    lake.refine(first)
    assert (lake.tickers_in_files(first), lake.tickers_in_catalog(first), lake.keys(first.receipts_prefix)) == (
        set(),
        set(),
        [],
    )
    assert lake.rows("index_code = 'IEEX'") == expected(contents[1:])


def test_every_trading_day_of_a_period_shows_its_state(pipeline: Pipeline, lake: Lake) -> None:
    stored = Session("IGNM", dt.date(2025, 2, 27))
    lake.store(synthetic_csv("IGNM", stored.session_date, View.CODE))
    lake.wait_until_refined(stored)
    client = ApiClient(pipeline)
    answer = requests.get(
        f"{pipeline.api_url}/sessions",
        params={"index": "IGNM", "from": "2025-02-26", "to": "2025-03-06"},
        headers={"Authorization": f"Bearer {client.token}"},
        timeout=30,
    ).json()
    states = {entry["session_date"]: entry["state"] for entry in answer["sessions"]}
    assert states == {
        str(day): "refined" if day == stored.session_date else "missing"
        for day in trading_days(dt.date(2025, 2, 26), dt.date(2025, 3, 6))
    }


@pytest.mark.parametrize("index_code", ["SMLL", "IBRA"])
def test_indexes_larger_than_the_pages_largest_page_arrive_whole(
    pipeline: Pipeline, lake: Lake, index_code: str
) -> None:
    pipeline.stand_in.set(today=dt.date(2025, 2, 3), faults=[])
    client = ApiClient(pipeline)
    rows = client.collect(index_code)["rows"]
    assert rows > 120
    client.wait_until_refined(Session(index_code, dt.date(2025, 2, 3)))
    answer = lake.ask(
        f"SELECT COUNT(*) AS n, SUM(participation_pct) AS p FROM portfolio WHERE index_code = '{index_code}'"  # noqa: S608
    )
    assert (int(answer.rows[0][0]), Decimal(answer.rows[0][1])) == (rows, Decimal(100))
