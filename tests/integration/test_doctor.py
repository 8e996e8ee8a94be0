"""The doctor against a running lake: every fault that is planted is found, and mended where it can be."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from api.importing import Importer
from bovespa.calendar import trading_days
from bovespa.layout import Import, Receipt, RefinedPartition, Session, quarantine_key
from bovespa.portfolio_csv import file_name, parse_csv, serialise_csv
from bovespa.records import Provenance
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.raw_parquet import portfolio_table, read_facts
from tests.lake import Lake, sha256
from tests.operator_commands import flask_command
from tests.until import until

INDEX = "IBHB"
DAYS = list(trading_days(dt.date(2025, 6, 2), dt.date(2025, 6, 20)))
PERIOD = ("--from", str(DAYS[0]), "--to", str(DAYS[-1]))
SQL = f"""
    SELECT session_date, SUM(theoretical_quantity) AS quantity
    FROM portfolio WHERE index_code = '{INDEX}' GROUP BY session_date ORDER BY session_date
"""  # noqa: S608 - our own words
REFUSED_SHA256 = "ab" * 32
UNEXPLAINED_KEY = quarantine_key(dt.datetime.combine(DAYS[3], dt.time(12), dt.UTC), 64 * "0", ".csv")


def doctor(pipeline: Pipeline, *arguments: str, index: str = INDEX) -> tuple[int, dict[str, Any]]:
    answer = flask_command(pipeline.environment, "doctor", "--index", index, "--json", *arguments)
    assert answer.stdout, answer.stderr
    return answer.exit_code, json.loads(answer.stdout)


def by_kind(report: dict[str, Any]) -> dict[str, set[str | None]]:
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    for one in report["findings"]:
        found[one["kind"]].add(one["session_date"])
    return dict(found)


def corrected(session: Session) -> bytes:
    """One share more of the first ticker."""
    portfolio = parse_csv(synthetic_csv(session.index_code, session.session_date))
    changed, *others = portfolio.holdings
    changed = replace(changed, theoretical_quantity=changed.theoretical_quantity + 1)
    total = portfolio.total_theoretical_quantity + 1
    return serialise_csv(replace(portfolio, holdings=(changed, *others), total_theoretical_quantity=total))


class Saboteur:
    """Plants faults in the lake as accidents would."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.s3, self.glue = lake.cloud.client("s3"), lake.cloud.client("glue")
        self.table = {"DatabaseName": "bovespa", "TableName": "portfolio"}

    def delete_raw(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.lake.raw, Key=key)

    def delete_refined(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.lake.refined, Key=key)

    def put_refined(self, key: str) -> None:
        self.s3.put_object(Bucket=self.lake.refined, Key=key, Body=b"planted")

    def source_key(self, session: Session) -> str:
        (item,) = self.s3.list_objects_v2(Bucket=self.lake.raw, Prefix=f"source/{session.partition}/")["Contents"]
        key: str = item["Key"]
        return key

    def forge_raw(self, session: Session) -> None:
        """Other values in the Parquet under the digest of the true bytes; marked so that no run makes them visible."""
        found = self.s3.get_object(Bucket=self.lake.raw, Key=session.raw_key)
        facts = read_facts(found["Body"].read())
        facts.pop("view")
        forged = parse_csv(synthetic_csv(session.index_code, DAYS[-1]))
        body = to_parquet_bytes(portfolio_table(forged, facts))
        metadata = found["Metadata"] | {"import-id": "forged"}
        self.s3.put_object(Bucket=self.lake.raw, Key=session.raw_key, Body=body, Metadata=metadata)

    def keep_a_correction(self, session: Session) -> None:
        """Its bytes and nothing else, as a writer that dies before it puts the Parquet."""
        content = corrected(session)
        key = session.source_key(sha256(content))
        self.s3.put_object(Bucket=self.lake.raw, Key=key, Body=content, ContentType="text/csv")

    def values(self, session: Session, ticker: str) -> list[str]:
        return [session.index_code, str(session.session_date), ticker]

    def drop_partition(self, session: Session, ticker: str) -> None:
        self.glue.delete_partition(**self.table, PartitionValues=self.values(session, ticker))

    def partition_at(self, session: Session, ticker: str, location: str) -> dict[str, Any]:
        descriptor = self.glue.get_table(DatabaseName="bovespa", Name="portfolio")["Table"]["StorageDescriptor"]
        return {"Values": self.values(session, ticker), "StorageDescriptor": {**descriptor, "Location": location}}

    def move_partition(self, session: Session, ticker: str) -> None:
        given = self.partition_at(session, ticker, "s3://elsewhere/portfolio/")
        values = self.values(session, ticker)
        self.glue.update_partition(**self.table, PartitionValueList=values, PartitionInput=given)

    def add_partition(self, session: Session, ticker: str) -> None:
        location = f"s3://{self.lake.refined}/{RefinedPartition(session, ticker).prefix}"
        self.glue.create_partition(**self.table, PartitionInput=self.partition_at(session, ticker, location))

    def fail_a_run(self) -> None:
        """A run over an import of which nobody has the manifest."""
        run_id = self.glue.start_job_run(JobName="bovespa-refine", Arguments={"--sessions": "import:nobody"})[
            "JobRunId"
        ]

        def has_failed() -> bool:
            run = self.glue.get_job_run(JobName="bovespa-refine", RunId=run_id)["JobRun"]
            assert run["JobRunState"] != "SUCCEEDED"
            return bool(run["JobRunState"] == "FAILED")

        until(has_failed, timeout_s=120, every_s=0.1)

    def quarantine(self) -> None:
        received_at = dt.datetime.combine(DAYS[3], dt.time(12), dt.UTC)
        reason = {"index_code": INDEX, "file_name": "x.csv", "reason": "it is broken", "sha256": REFUSED_SHA256}
        for suffix, body in ((".csv", b"broken"), (".json", json.dumps(reason).encode())):
            key = quarantine_key(received_at, REFUSED_SHA256, suffix)
            self.s3.put_object(Bucket=self.lake.raw, Key=key, Body=body)
        self.s3.put_object(Bucket=self.lake.raw, Key=UNEXPLAINED_KEY, Body=b"its writer came no further")


@pytest.fixture(scope="module")
def healthy(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> list[Session]:
    """An index with all its sessions refined, by one run."""
    folder = tmp_path_factory.mktemp("healthy")
    files = [folder / file_name(INDEX, day) for day in DAYS]
    for path, day in zip(files, DAYS, strict=True):
        path.write_bytes(synthetic_csv(INDEX, day))
    importer = Importer(RawStore(lake.cloud.client("s3"), lake.raw), clock=lambda: dt.datetime.now(dt.UTC))
    report = importer.run(files, Import("healthy"))
    lake.wait_until_refined(*report.sessions)
    return list(report.sessions)


def test_a_healthy_index_has_no_findings_planted_faults_are_found_and_mended(
    lake: Lake, pipeline: Pipeline, healthy: list[Session]
) -> None:
    code, report = doctor(pipeline, *PERIOD)
    assert (code, report["findings"]) == (0, [])

    hand = Saboteur(lake)
    on = {str(session.session_date): session for session in healthy}
    dates = list(on)
    tickers = [holding.ticker for holding in parse_csv(synthetic_csv(INDEX, DAYS[0])).holdings]
    first, second = tickers[:2]

    hand.delete_raw(healthy[0].raw_key)
    hand.forge_raw(healthy[1])
    hand.drop_partition(healthy[2], first)
    hand.delete_refined(RefinedPartition(healthy[3], first).key)
    hand.put_refined(RefinedPartition(healthy[4], "XXXX3").key)
    hand.add_partition(healthy[4], "XXXX3")
    hand.move_partition(healthy[5], second)
    hand.put_refined(f"{healthy[6].refined_prefix}ticker={first}/part-00000.parquet")
    for key in lake.keys(healthy[7].receipts_prefix):
        hand.delete_refined(key)
    hand.put_refined(Receipt(healthy[8], "0f0f").key)
    hand.add_partition(healthy[9], "YYYY3")
    hand.delete_raw(hand.source_key(healthy[10]))
    hand.delete_raw(healthy[11].raw_key)
    hand.delete_raw(hand.source_key(healthy[11]))
    hand.keep_a_correction(healthy[12])
    hand.quarantine()
    hand.fail_a_run()

    code, report = doctor(pipeline, *PERIOD)
    assert code == 1
    found = by_kind(report)
    assert found == {
        "raw_missing": {dates[0]},
        "refined_without_raw": {dates[0], dates[11]},
        "raw_damaged": {dates[1]},
        "raw_outdated": {dates[12]},
        # The forged version was never refined; what is visible is of the true one.
        "run_failed": {dates[1], dates[7]},
        "outdated_receipt": {dates[1], dates[8]},
        "missing_partition": {dates[2]},
        "missing_file": {dates[3]},
        "partition_without_file": {dates[3], dates[9]},
        "stale_ticker": {dates[4], dates[9]},
        "wrong_location": {dates[5]},
        "foreign_object": {dates[6]},
        "source_missing": {dates[10]},
        "missing_session": {dates[11]},
        "quarantined": {None},
        "failed_run": {None},
    }
    cures = {one["kind"]: one["cure"] for one in report["findings"]}
    assert (cures["missing_session"], cures["raw_missing"]) == ("irrecoverable", "rebuild")
    details = " ".join(one["detail"] for one in report["findings"])
    for named in (
        first,
        second,
        "XXXX3",
        "YYYY3",
        "s3://elsewhere/",
        "part-00000",
        "0f0f",
        "it is broken",
        "cannot be read",
    ):
        assert named in details
    # It may be of any index, those of other tests too.
    hand.s3.delete_object(Bucket=lake.raw, Key=UNEXPLAINED_KEY)

    runs_before = {run["Id"] for run in lake.runs()}
    code, report = doctor(pipeline, *PERIOD, "--repair")
    assert (code, report["problems"]) == (1, [])
    assert by_kind(report) == {"source_missing": {dates[10]}, "missing_session": {dates[11]}, "quarantined": {None}}
    assert {one["kind"] for one in report["repaired"]} >= {"raw_missing", "raw_damaged", "stale_ticker", "failed_run"}
    lake.wait_until_idle()
    started = [run for run in lake.runs() if run["Id"] not in runs_before]
    own = [run for run in started if f"{INDEX}/" in run["Arguments"]["--sessions"]]
    assert len(own) == 1, "what the repair put back must start no run of its own"

    kept = [session for session in healthy if session != healthy[11]]
    for session in kept:
        portfolio = parse_csv(synthetic_csv(INDEX, session.session_date))
        expected = {holding.ticker for holding in portfolio.holdings}
        assert lake.tickers_in_files(session) == lake.tickers_in_catalog(session) == expected
    assert lake.keys(healthy[11].refined_prefix) == []
    answer = lake.ask(SQL)
    contents = {session: synthetic_csv(INDEX, session.session_date) for session in kept}
    contents[healthy[12]] = corrected(healthy[12])
    totals = [
        (str(session.session_date), parse_csv(content).total_theoretical_quantity)
        for session, content in contents.items()
    ]
    assert [(row["session_date"], row["quantity"]) for row in answer.as_dicts()] == totals


def test_an_import_whose_manifest_never_came_is_found_and_refined(lake: Lake, pipeline: Pipeline) -> None:
    hand = Saboteur(lake)
    content = synthetic_csv("AGFS", DAYS[0])
    portfolio = parse_csv(content)
    session = Session("AGFS", DAYS[0])
    first = lake.store(synthetic_csv("AGFS", DAYS[1]))
    lake.wait_until_refined(first)
    provenance = Provenance("AGFS", "x.csv", "file:x.csv", dt.datetime.now(dt.UTC), "import", import_id="died")
    RawStore(hand.s3, lake.raw).store(portfolio, content, provenance)
    code, report = doctor(pipeline, *PERIOD[:2], "--to", str(DAYS[1]), index="AGFS")
    assert code == 1
    assert by_kind(report) == {"not_refined": {str(DAYS[0])}}
    code, report = doctor(pipeline, *PERIOD[:2], "--to", str(DAYS[1]), "--repair", index="AGFS")
    assert (code, report["findings"], report["problems"]) == (0, [], [])
    assert lake.tickers_in_files(session) == {holding.ticker for holding in portfolio.holdings}


def test_the_period_bounds_what_is_examined(lake: Lake, pipeline: Pipeline) -> None:
    sessions = [lake.store(synthetic_csv("IBEE", day)) for day in (DAYS[0], DAYS[3])]
    lake.wait_until_refined(*sessions)
    # Sorts before the session's object, and must not hide where the index begins.
    stray = {"Bucket": lake.raw, "Key": f"{sessions[0].raw_key.rpartition('/')[0]}/.DS_Store"}
    lake.cloud.client("s3").put_object(**stray, Body=b"a desktop's")
    gaps = {str(day) for day in DAYS[1:3]}
    found = by_kind(doctor(pipeline, *PERIOD[:2], "--to", str(DAYS[3]), index="IBEE")[1])
    assert found == {"missing_session": gaps, "foreign_object": {None}}
    lake.cloud.client("s3").delete_object(**stray)
    assert doctor(pipeline, "--from", str(DAYS[3]), "--to", str(DAYS[3]), index="IBEE")[0] == 0
