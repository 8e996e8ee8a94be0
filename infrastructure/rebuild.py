"""Recomputes everything from the raw sessions, aside, and says whether the live tables are the same row for row.

    python -m infrastructure.rebuild [--in-place] [--stack NAME] [--region REGION] [--timeout MINUTES]
                                     [--keep] [--yes] [--json]

Aside, nothing of the live lake changes. With --in-place the run over all sessions writes to the live lake itself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError, ConfigurationError, UnexpectedEvent
from bovespa.layout import (
    PORTFOLIO_PREFIX,
    PORTFOLIO_TABLE,
    RECEIPTS_PREFIX,
    TRADING_PREFIX,
    TRADING_RECEIPTS_PREFIX,
    Receipt,
    Session,
    TradingDay,
    TradingReceipt,
)
from bovespa.session_state import ALL_SESSIONS, REFINED_BUCKET_ARGUMENT, SESSIONS_ARGUMENT
from infrastructure.athena import Answer, ask
from infrastructure.compare import KEYS, Comparison, compare
from infrastructure.refine_run import RefineRuns
from infrastructure.scratch import ScratchLake, ScratchNames
from infrastructure.stack import Stack
from infrastructure.steps import Report
from infrastructure.told import NO_REGION, say, told

TIMEOUT_MIN = 60


class RebuildUnderWay(BovespaError):
    """Another rebuild writes to the scratch bucket."""

    code = "rebuild_under_way"


@dataclass(frozen=True, slots=True)
class AsideReport:
    """What a rebuild aside found."""

    run_id: str
    run_s: float
    raw_objects: int
    """Raw sessions and trading days that it was computed from."""
    tables: tuple[Comparison, ...]
    notes: tuple[str, ...]
    """Why a difference may be none: what else went on meanwhile."""

    @property
    def is_good(self) -> bool:
        """Whether every table is the same in both."""
        return all(one.is_equal for one in self.tables)

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {
            "mode": "aside",
            "run_id": self.run_id,
            "run_s": round(self.run_s, 1),
            "raw_objects": self.raw_objects,
            "equal": self.is_good,
            "tables": [one.as_json() for one in self.tables],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """What a person is told."""
        heading = ("table", "rows live", "rows rebuilt", "only live", "only rebuilt", "verdict")
        cells = [
            (
                one.table,
                f"{one.rows_live:,}",
                f"{one.rows_rebuilt:,}",
                f"{one.only_live:,}",
                f"{one.only_rebuilt:,}",
                "equal" if one.is_equal else "DIFFERENT",
            )
            for one in self.tables
        ]
        widths = [max(map(len, column)) for column in zip(heading, *cells, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if 1 <= place <= 4 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (heading, *cells)
        ]
        for one in self.tables:
            lines += [f"{one.table} {example}" for example in one.examples]
        lines += self.notes
        verdict = "The live tables are" if self.is_good else "The live tables are NOT"
        return [*lines, f"{verdict} what {self.raw_objects} raw objects give, row for row (run {self.run_s:.0f} s)."]


@dataclass(frozen=True, slots=True)
class InPlaceReport:
    """What a rebuild of the live lake came to."""

    run_id: str
    run_s: float
    raw_objects: int
    """Raw sessions and trading days."""
    refined: int
    """Those of them whose current version is visible."""
    years: int
    """Partitions of the compact tables, an index and year each."""
    merged_years: int
    """Those that are read from one object."""

    @property
    def is_good(self) -> bool:
        """Whether every raw session is visible."""
        return self.refined == self.raw_objects

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {
            "mode": "in_place",
            "run_id": self.run_id,
            "run_s": round(self.run_s, 1),
            "raw_objects": self.raw_objects,
            "refined": self.refined,
            "years": self.years,
            "merged_years": self.merged_years,
        }

    def lines(self) -> list[str]:
        """What a person is told."""
        lines = [
            f"Run {self.run_id} succeeded after {self.run_s:.0f} s.",
            f"{self.refined} of {self.raw_objects} raw objects are refined.",
            f"{self.merged_years} of {self.years} years of the compact tables are merged.",
        ]
        return lines if self.is_good else [*lines, "The others arrived since; `flask --app app doctor` names them."]


class Rebuild:
    """The lake of one stack, and what recomputes it.

    Args:
        session: Says which account and region, and as whom.
        stack: Name of the stack.
        timeout_min: Minutes that the run may take.
        report: Receives a line for each step.

    Raises:
        ConfigurationError: There is no such stack, or no region is set.
    """

    def __init__(
        self, session: boto3.Session, *, stack: str, timeout_min: int = TIMEOUT_MIN, report: Report = lambda _line: None
    ) -> None:
        if not session.region_name:
            raise ConfigurationError(NO_REGION)
        outputs = Stack(session.client("cloudformation"), stack, report).required_outputs()
        account = session.client("sts").get_caller_identity()["Account"]
        self._s3, self._glue, self._athena = session.client("s3"), session.client("glue"), session.client("athena")
        self._raw, self._refined = outputs["RawBucketName"], outputs["RefinedBucketName"]
        self._database, self._workgroup = outputs["DatabaseName"], outputs["WorkgroupName"]
        # The database bears the parameter `Name` itself.
        self.names = ScratchNames.of(self._database, account=account, region=session.region_name)
        self._scratch = ScratchLake(
            self._s3, self._glue, self.names, account=account, region=session.region_name, report=report
        )
        self._runs = RefineRuns(self._glue, outputs["GlueJobName"], report)
        self._timeout_min = timeout_min
        self._report = report

    def raw_objects(self) -> dict[Session | TradingDay, str]:
        """Return every raw session and trading day, and its version."""
        found: dict[Session | TradingDay, str] = {}
        kinds: tuple[tuple[str, Callable[[str], Session | TradingDay]], ...] = (
            (PORTFOLIO_PREFIX, Session.from_raw_key),
            (TRADING_PREFIX, TradingDay.from_raw_key),
        )
        for prefix, from_raw_key in kinds:
            for key, etag in self._objects(self._raw, prefix):
                try:
                    found[from_raw_key(key)] = etag
                except UnexpectedEvent:
                    continue  # the doctor names it
        return found

    def aside(self, *, keep: bool = False) -> AsideReport:
        """Rebuild into a scratch bucket and database and compare the live tables with what is there then.

        Args:
            keep: Leave both where they are, to look at; the next rebuild clears them.

        Raises:
            ConfigurationError: The scratch's names are taken, or a table is missing.
            RebuildUnderWay: Another rebuild writes to the scratch bucket.
            RunFailed: The run did not succeed.
            RunTimedOut: It was not over in time.
            QueryFailed: Athena refused or failed.
        """
        self._refuse_company()
        tables = [self._table(name) for name in KEYS]
        self._scratch.clear()
        before = self.raw_objects()
        try:
            self._scratch.make(tables, self._refined)
            run_id = self._runs.start(
                {
                    SESSIONS_ARGUMENT: ALL_SESSIONS,
                    REFINED_BUCKET_ARGUMENT: self.names.bucket,
                    "--database": self.names.database,
                },
                timeout_min=self._timeout_min,
            )
            run_s = self._runs.follow(run_id, timeout_min=self._timeout_min)
            comparisons = tuple(self._compare(table) for table in tables)
            notes = () if all(one.is_equal for one in comparisons) else self._notes(before)
        finally:
            try:
                # Asked of Glue, for whoever is told to end while a run begins has not heard its id.
                for run in self._runs_on_the_scratch():
                    self._runs.stop(run["Id"])
            finally:
                if keep:
                    self._report(f"kept: bucket {self.names.bucket}, database {self.names.database}")
                else:
                    self._scratch.drop()
        return AsideReport(run_id, run_s, len(before), comparisons, tuple(notes))

    def in_place(self) -> InPlaceReport:
        """Rebuild the live lake: also withdraw sessions without a raw object, and merge past years.

        Raises:
            RunFailed: The run did not succeed.
            RunTimedOut: It was not over in time.
        """
        run_id = self._runs.start({SESSIONS_ARGUMENT: ALL_SESSIONS}, timeout_min=self._timeout_min)
        run_s = self._runs.follow(run_id, timeout_min=self._timeout_min)
        raw = self.raw_objects()
        receipts = {
            key
            for prefix in (RECEIPTS_PREFIX, TRADING_RECEIPTS_PREFIX)
            for key, _ in self._objects(self._refined, prefix)
        }
        refined = sum(_receipt_key(session, version) in receipts for session, version in raw.items())
        locations = [location for table in KEYS.keys() - {PORTFOLIO_TABLE} for location in self._locations(table)]
        return InPlaceReport(
            run_id,
            run_s,
            raw_objects=len(raw),
            refined=refined,
            years=len(locations),
            merged_years=sum("/merged/" in location for location in locations),
        )

    def _refuse_company(self) -> None:
        for run in self._runs_on_the_scratch():
            raise RebuildUnderWay(
                f"Run {run['Id']} is rebuilding into {self.names.bucket} already. Wait for its end, or stop it: "
                f"aws glue batch-stop-job-run --job-name {run['JobName']} --job-run-ids {run['Id']}"
            )

    def _runs_on_the_scratch(self) -> list[Mapping[str, Any]]:
        """Return the runs under way that write to the scratch bucket."""
        return [
            run
            for run in self._runs.under_way()
            if run.get("Arguments", {}).get(REFINED_BUCKET_ARGUMENT) == self.names.bucket
        ]

    def _table(self, name: str) -> dict[str, Any]:
        try:
            table: dict[str, Any] = self._glue.get_table(DatabaseName=self._database, Name=name)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFoundException":
                raise
            raise ConfigurationError(f"There is no table {self._database}.{name}; deploy the template.") from error
        return table

    def _compare(self, table: dict[str, Any]) -> Comparison:
        columns = [column["Name"] for column in [*table["PartitionKeys"], *table["StorageDescriptor"]["Columns"]]]
        found = compare(self._ask, table["Name"], columns, live=self._database, rebuilt=self.names.database)
        self._report(f"{found.table} {'is equal' if found.is_equal else 'DIFFERS'}, {found.rows_live:,} rows")
        return found

    def _notes(self, before: dict[Session | TradingDay, str]) -> list[str]:
        after = self.raw_objects()
        notes = []
        changed = {session for session, version in before.items() ^ after.items()}
        if changed:
            notes.append(
                f"{len(changed)} raw objects changed meanwhile, {min(map(str, changed))} for one: rebuild again."
            )
        if runs := self._runs.under_way():
            notes.append(f"Run {runs[0]['Id']} is changing the live tables: rebuild again when it is over.")
        return notes

    def _ask(self, sql: str) -> Answer:
        return ask(self._athena, sql, database=self._database, workgroup=self._workgroup)

    def _objects(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [(item["Key"], item["ETag"].strip('"')) for page in pages for item in page.get("Contents", ())]

    def _locations(self, table: str) -> list[str]:
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database, TableName=table, ExcludeColumnSchema=True
        )
        return [str(one["StorageDescriptor"]["Location"]) for page in pages for one in page["Partitions"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the report goes to the standard output, everything else to the standard error.

    Returns:
        0 if the live tables are right, 1 if they are not or it could not be found out.
    """
    parser = argparse.ArgumentParser(
        prog="python -m infrastructure.rebuild",
        description="Recompute everything from the raw sessions and compare the live tables with the result.",
    )
    parser.add_argument("--stack", default="bovespa", help="name of the stack (default: %(default)s)")
    parser.add_argument("--region", help="AWS region (default: the usual variables and profiles)")
    parser.add_argument("--in-place", action="store_true", help="rebuild the live lake itself; nothing is compared")
    parser.add_argument("--keep", action="store_true", help="leave the scratch bucket and database, to look at")
    parser.add_argument(
        "--timeout",
        type=_minutes,
        default=TIMEOUT_MIN,
        metavar="MINUTES",
        help="how long the run may take (default: %(default)s)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    arguments = parser.parse_args(argv)
    if arguments.keep and arguments.in_place:
        parser.error("--keep is for a rebuild aside: in place there is no scratch")
    # A rebuild that is told to end takes its scratch with it, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rebuild = Rebuild(
            boto3.Session(region_name=arguments.region),
            stack=arguments.stack,
            timeout_min=arguments.timeout,
            report=say,
        )
        if not arguments.yes and not _confirmed(rebuild, in_place=arguments.in_place):
            say("Nothing was changed.")
            return 0
        found = rebuild.in_place() if arguments.in_place else rebuild.aside(keep=arguments.keep)
    except (BovespaError, BotoCoreError, ClientError) as error:
        say(told(error))
        return 1
    except KeyboardInterrupt:
        say("stopped; the run goes on" if arguments.in_place else "stopped")
        return 1
    sys.stdout.write(
        (json.dumps(found.as_json(), ensure_ascii=False) if arguments.json else "\n".join(found.lines())) + "\n"
    )
    return 0 if found.is_good else 1


def _confirmed(rebuild: Rebuild, *, in_place: bool) -> bool:
    count = len(rebuild.raw_objects())
    if in_place:
        say(f"One run over {count} raw objects replaces what is wrong in the live lake.")
    else:
        say(f"One run over {count} raw objects writes to {rebuild.names.bucket} and {rebuild.names.database}, which")
        say("are made for it and removed afterwards. The live lake stays as it is.")
    say("Start? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _receipt_key(session: Session | TradingDay, version: str) -> str:
    return (TradingReceipt(session, version) if isinstance(session, TradingDay) else Receipt(session, version)).key


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 2880:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes from 1 to 2880")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
