"""What the tests see of a running pipeline's lake: its files, its catalog, its runs and its SQL."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from dataclasses import dataclass
from typing import Any

from bovespa.cotahist import CotahistReader
from bovespa.cotahist_archive import open_cotahist
from bovespa.layout import (
    COMPACT_TABLE_NAMES,
    PORTFOLIO_TABLE,
    TRADING_TABLE,
    Import,
    RefinedPartition,
    Session,
    TradingDay,
)
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance
from bovespa.source_files import SourceFile
from local.athena import Answer, ask
from local.cloud import Cloud
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.trading_store import TradingStore
from tests.until import until

FINISHED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")

_DELETED_AT_ONCE = 25
"""The most partitions that Glue takes in one call."""


@dataclass(frozen=True)
class Lake:
    """A cloud with the stack deployed."""

    cloud: Cloud

    @property
    def raw(self) -> str:
        return self.cloud.outputs["RawBucketName"]

    @property
    def refined(self) -> str:
        return self.cloud.outputs["RefinedBucketName"]

    def store(self, content: bytes) -> Session:
        """Put a session where the API would put it; S3, Lambda and Glue do the rest."""
        portfolio = parse_csv(content)
        provenance = Provenance(
            index_code=portfolio.index_code,
            url="http://127.0.0.1/test",
            file_name="test.csv",
            received_at=dt.datetime.now(dt.UTC),
            way="test",
            code_version="test",
        )
        RawStore(self.cloud.client("s3"), self.raw).store(portfolio, content, provenance)
        return Session(portfolio.index_code, portfolio.session_date)

    def store_trading_day(self, content: bytes) -> TradingDay:
        """Put a trading day where the API would put it."""
        source = SourceFile.of_bytes(content)
        with source.open() as file, open_cotahist(file) as stream:
            reader = CotahistReader(stream)
            quotes = list(reader)
        assert reader.file_date is not None
        day = TradingDay(reader.file_date)
        provenance = Provenance(
            index_code="",
            url="http://127.0.0.1/test",
            file_name="test.txt",
            received_at=dt.datetime.now(dt.UTC),
            way="test",
            code_version="test",
        )
        TradingStore(self.cloud.client("s3"), self.raw).store(day, quotes, source, provenance)
        return day

    def wait_until_refined(self, *sessions: Session | TradingDay) -> None:
        """Wait until each one's receipt names the raw object that is there now, and no run is under way."""

        def is_current(session: Session | TradingDay) -> bool:
            s3 = self.cloud.client("s3")
            etag = s3.head_object(Bucket=self.raw, Key=session.raw_key)["ETag"].strip('"')
            return [key.rpartition("/")[2] for key in self.keys(session.receipts_prefix)] == [f"{etag}.json"]

        for session in sessions:
            until(functools.partial(is_current, session), timeout_s=120, every_s=0.25)
        # A run over a later one may have had to begin an earlier one anew.
        until(lambda: all(map(is_current, sessions)), timeout_s=120, every_s=0.25)
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until no run is under way, nor one that began meanwhile."""

        def is_finished(run_id: str) -> bool:
            run = self.cloud.client("glue").get_job_run(JobName="bovespa-refine", RunId=run_id)["JobRun"]
            return run["JobRunState"] in FINISHED

        # Asked for one by one: all that there ever were are much to send and to read ten times a second.
        while under_way := [run["Id"] for run in self.runs() if run["JobRunState"] not in FINISHED]:
            for run_id in under_way:
                until(functools.partial(is_finished, run_id), timeout_s=180, every_s=0.25)

    def keys(self, prefix: str) -> list[str]:
        return sorted(self.versions(prefix))

    def versions(self, prefix: str) -> dict[str, tuple[str, dt.datetime]]:
        """Each object of the refined bucket under *prefix*, with its ETag and when it was written."""
        pages = self.cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.refined, Prefix=prefix)
        return {
            item["Key"]: (item["ETag"], item["LastModified"]) for page in pages for item in page.get("Contents", ())
        }

    def tickers_in_files(self, session: Session) -> set[str]:
        return {RefinedPartition.from_key(key).ticker for key in self.keys(session.refined_prefix)}

    def tickers_in_catalog(self, session: Session) -> set[str]:
        pages = (
            self.cloud.client("glue")
            .get_paginator("get_partitions")
            .paginate(
                DatabaseName="bovespa",
                TableName="portfolio",
                Expression=f"index_code = '{session.index_code}' AND session_date = '{session.session_date}'",
                ExcludeColumnSchema=True,
            )
        )
        return {partition["Values"][2] for page in pages for partition in page["Partitions"]}

    def ask(self, sql: str) -> Answer:
        return ask(self.cloud.client("athena"), sql)

    def table(self, name: str, *keys: str, where: str = "TRUE") -> dict[tuple[str | None, ...], dict[str, str | None]]:
        """Every column of the rows of a table, as text, by *keys*."""
        found: dict[tuple[str | None, ...], dict[str, str | None]] = {}
        for row in self.ask(f"SELECT * FROM {name} WHERE {where}").as_dicts():  # noqa: S608 - our own words
            values = {column: None if value is None else str(value) for column, value in row.items()}
            key = tuple(values.pop(name) for name in keys)
            assert key not in found, f"{key} stands twice"
            found[key] = values
        return found

    def rows(self, where: str) -> dict[tuple[str, str, str], dict[str, str | None]]:
        """Every column of the rows of SQL, as text, by index, session and ticker."""
        found: dict[tuple[str, str, str], dict[str, str | None]] = {}
        for row in self.ask(f"SELECT * FROM portfolio WHERE {where}").as_dicts():  # noqa: S608 - our own words
            key = (row.pop("index_code"), row.pop("session_date"), row.pop("ticker"))
            assert key not in found, f"{key} stands twice"
            found[key] = {name: None if value is None else str(value) for name, value in row.items()}
        return found

    def runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.cloud.client("glue").get_job_runs(JobName="bovespa-refine")["JobRuns"]
        return runs

    def runs_of(self, session: Session | TradingDay) -> list[dict[str, Any]]:
        return [run for run in self.runs() if run["Arguments"].get("--sessions") == str(session)]

    def start(self, *subjects: Session | TradingDay | Import | str, **arguments: str) -> str:
        """Start a run, as an event would, and return its id."""
        given = {"--sessions": ",".join(map(str, subjects))} | {f"--{name}": value for name, value in arguments.items()}
        run_id: str = self.cloud.client("glue").start_job_run(JobName="bovespa-refine", Arguments=given)["JobRunId"]
        return run_id

    def outcome(self, run_id: str) -> tuple[str, str]:
        """Wait for the end of a run and return its state and message."""
        self.wait_until_idle()
        run = self.cloud.client("glue").get_job_run(JobName="bovespa-refine", RunId=run_id)["JobRun"]
        return run["JobRunState"], run["ErrorMessage"]

    def refine(self, *subjects: Session | TradingDay | Import | str, **arguments: str) -> None:
        """Run the job over *subjects*, successfully."""
        outcome = self.outcome(self.start(*subjects, **arguments))
        assert outcome == ("SUCCEEDED", ""), outcome

    def empty(self) -> None:
        """Take away every object and every partition, as if nothing had ever arrived."""
        self.wait_until_idle()
        s3, glue = self.cloud.client("s3"), self.cloud.client("glue")
        for bucket in (self.raw, self.refined):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                if keys := [{"Key": item["Key"]} for item in page.get("Contents", ())]:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for name in (PORTFOLIO_TABLE, *COMPACT_TABLE_NAMES, TRADING_TABLE):
            table = {"DatabaseName": "bovespa", "TableName": name}
            pages = glue.get_paginator("get_partitions").paginate(**table, ExcludeColumnSchema=True)
            values = [{"Values": partition["Values"]} for page in pages for partition in page["Partitions"]]
            for start in range(0, len(values), _DELETED_AT_ONCE):
                some = values[start : start + _DELETED_AT_ONCE]
                assert not glue.batch_delete_partition(**table, PartitionsToDelete=some).get("Errors")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
