"""Looks at everything, says what is wrong, and mends what can be mended."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bovespa.clock import date_in_sao_paulo, last_finished_session
from bovespa.errors import StorageUnavailable
from bovespa.layout import Import, Session, TradingDay
from bovespa.records import Provenance
from bovespa.session_state import CORRELATION_ID_ARGUMENT, QUEUED, SESSIONS_ARGUMENT, UNFINISHED_RUN_STATES
from maintenance.checks import Inventory, best_source, check
from maintenance.findings import Cure, Finding, Kind
from maintenance.inventory import InventoryReader
from maintenance.trading import check_trading_days
from maintenance.trading_reader import TradingReader
from s3_bucket_manager.aws import storage_errors
from s3_bucket_manager.manager import RawStore

_SUBJECTS_A_RUN = 500
"""What one run's arguments hold with ease."""
_DAYS_A_REPAIR = 60
"""Trading days that one repair asks B3 for: some minutes. For more there are B3's yearly files."""
_POLL_S = 1.0


class Doctor:
    """Examines indexes and repairs them.

    Args:
        reader: Reads what there is of the indexes.
        trading: Reads what there is of trading days.
        fetch_trading_days: Brings days into the raw bucket, refined by one run; tells of each, and returns what went
            wrong.
        store: Where raw objects are made anew.
        glue: A client.
        glue_job: The job that refines.
        clock: Tells the present, aware.
        timeout_s: How long a repair waits for its runs.
    """

    def __init__(
        self,
        reader: InventoryReader,
        store: RawStore,
        glue: Any,
        *,
        trading: TradingReader,
        fetch_trading_days: Callable[[Sequence[dt.date], Callable[[str], None]], list[str]],
        glue_job: str,
        clock: Callable[[], dt.datetime],
        timeout_s: float = 1800.0,
    ) -> None:
        self._reader = reader
        self._trading = trading
        self._fetch_trading_days = fetch_trading_days
        self._store = store
        self._glue = glue
        self._glue_job = glue_job
        self._clock = clock
        self._timeout_s = timeout_s

    def examine(
        self, index_codes: Sequence[str], first: dt.date, last: dt.date, *, trading_days_wanted: bool = False
    ) -> list[Finding]:
        """Return everything that is wrong from *first* to *last*.

        Args:
            index_codes: The indexes to examine. None means every index, and the trading days.
            first: The period's first day.
            last: The period's last day.
            trading_days_wanted: Whether trading days are examined in any case, missed where none was ever stored, and
                compared with B3's files.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        today = date_in_sao_paulo(self._clock())
        found: dict[object, Finding] = {}
        for index_code in index_codes or self._reader.index_codes():
            inventory = self._reader.read(index_code, first, last)
            for finding in check(inventory, first=first, last=last, today=today):
                # A file that names no index, or a run over everything, is told once and not for each index.
                found.setdefault(finding if finding.session else (finding.kind, finding.detail), finding)
        if trading_days_wanted or not index_codes:
            for finding in self._examine_trading_days(first, last, is_wanted=trading_days_wanted):
                found.setdefault(finding if finding.session else (finding.kind, finding.detail), finding)
        return list(found.values())

    def _examine_trading_days(self, first: dt.date, last: dt.date, *, is_wanted: bool) -> list[Finding]:
        """Those that are there, and those that are missing since the first portfolio of any index."""
        begins = [begin for code in self._reader.index_codes() if (begin := self._reader.first_stored(code))]
        return check_trading_days(
            self._trading.read(first, last, compare_rows=is_wanted),
            first=max(first, min(begins, default=dt.date.max)),
            last=min(last, last_finished_session(self._clock())),
            is_wanted=is_wanted,
        )

    def repair(self, findings: Iterable[Finding], *, report: Callable[[str], None] = lambda _line: None) -> list[str]:
        """Mend what can be mended, and wait until it is; return what went wrong on the way.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused. The call may be repeated.
        """
        findings = [*findings]
        problems = self._fetch(findings, report)
        repairable = [(one, one.session) for one in findings if one.cure.is_repairable]
        sessions = sorted({session for _, session in repairable if isinstance(session, Session)})
        subjects: list[Session | TradingDay] = [*sessions, *_trading_days_to_refine(findings)]
        if not subjects:
            return problems
        broken = sorted(
            {session for one, session in repairable if isinstance(session, Session) and one.cure is Cure.REBUILD}
        )
        made_by = Import.at(self._clock(), prefix="repair-")
        for session in broken:
            self._rebuild(session, made_by)
            report(f"{session}: raw object made anew from B3's bytes")
        for start in range(0, len(subjects), _SUBJECTS_A_RUN):
            part = subjects[start : start + _SUBJECTS_A_RUN]
            with storage_errors(f"starting {self._glue_job}"):
                run_id = self._glue.start_job_run(
                    JobName=self._glue_job,
                    Arguments={
                        SESSIONS_ARGUMENT: ",".join(map(str, part)),
                        CORRELATION_ID_ARGUMENT: made_by.import_id,
                    },
                    **QUEUED,
                )["JobRunId"]
            days = sum(isinstance(one, TradingDay) for one in part)
            report(f"run {run_id} refines {len(part) - days} sessions and {days} trading days")
            problem = self._wait(run_id)
            if problem is not None:
                problems.append(problem)
        return problems

    def _fetch(self, findings: Iterable[Finding], report: Callable[[str], None]) -> list[str]:
        days = sorted({one.session.session_date for one in findings if one.session and one.cure is Cure.FETCH})
        if not days:
            return []
        if len(days) > _DAYS_A_REPAIR:
            report(f"{_DAYS_A_REPAIR} of {len(days)} trading days are fetched now; the next repair goes on")
        return self._fetch_trading_days(days[:_DAYS_A_REPAIR], report)

    def _rebuild(self, session: Session, made_by: Import) -> None:
        inventory: Inventory = self._reader.read(session.index_code, session.session_date, session.session_date)
        sources = [source for facts in inventory.sessions if facts.session == session for source in facts.sources]
        best = best_source(session, sources)
        if best is None:
            raise StorageUnavailable(f"The bytes of {session} are gone since they were seen. Run the doctor again.")
        source, portfolio = best
        # As an import's, so that its arrival starts no run of its own: the repair starts one for all.
        provenance = Provenance(
            index_code=session.index_code,
            file_name="",
            url=f"source:{source.sha256}",
            received_at=source.arrived_at,
            way="repair",
            import_id=made_by.import_id,
        )
        self._store.rebuild(portfolio, source.content, provenance)

    def _wait(self, run_id: str) -> str | None:
        """Wait for the end of a run; return why it did not succeed, None if it did."""
        deadline = time.monotonic() + self._timeout_s
        pause = threading.Event()
        while time.monotonic() < deadline:
            with storage_errors(f"asking for run {run_id}"):
                run = self._glue.get_job_run(JobName=self._glue_job, RunId=run_id)["JobRun"]
            if run["JobRunState"] == "SUCCEEDED":
                return None
            if run["JobRunState"] not in UNFINISHED_RUN_STATES:
                return f"Run {run_id} {run['JobRunState']}: {run.get('ErrorMessage') or 'no reason given'}"
            pause.wait(_POLL_S)
        return f"Run {run_id} was not over after {self._timeout_s:g} s; run the doctor again later."


def _trading_days_to_refine(findings: Iterable[Finding]) -> list[TradingDay]:
    """Those whose raw object is sound or gone: a damaged one is refined by the run of what B3 gives for it."""
    of_days = [(one, one.session) for one in findings if isinstance(one.session, TradingDay)]
    damaged = {day for one, day in of_days if one.kind is Kind.RAW_DAMAGED}
    return sorted({day for one, day in of_days if one.cure is Cure.REFINE} - damaged)
