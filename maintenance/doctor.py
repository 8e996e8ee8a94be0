"""Looks at everything, says what is wrong, and mends what can be mended."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bovespa.errors import StorageUnavailable
from bovespa.layout import Import, Session
from bovespa.records import Provenance
from bovespa.session_state import SESSIONS_ARGUMENT
from maintenance.checks import Inventory, best_source, check
from maintenance.findings import Cure, Finding
from maintenance.inventory import InventoryReader
from s3_bucket_manager.aws import storage_errors
from s3_bucket_manager.manager import RawStore

# Brazil has had no daylight saving time since 2019, and the name would need a time zone database on the machine.
_SAO_PAULO = dt.timezone(dt.timedelta(hours=-3))

_SESSIONS_A_RUN = 500
"""What one run's arguments hold with ease."""
_POLL_S = 1.0
_UNFINISHED = frozenset({"STARTING", "RUNNING", "WAITING", "STOPPING"})


class Doctor:
    """Examines indexes and repairs them.

    Args:
        reader: Reads what there is.
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
        glue_job: str,
        clock: Callable[[], dt.datetime],
        timeout_s: float = 1800.0,
    ) -> None:
        self._reader = reader
        self._store = store
        self._glue = glue
        self._glue_job = glue_job
        self._clock = clock
        self._timeout_s = timeout_s

    def examine(self, index_codes: Sequence[str], first: dt.date, last: dt.date) -> list[Finding]:
        """Return everything that is wrong with the indexes from *first* to *last*; no code means every index.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused.
        """
        today = self._clock().astimezone(_SAO_PAULO).date()
        found: dict[object, Finding] = {}
        for index_code in index_codes or self._reader.index_codes():
            inventory = self._reader.read(index_code, first, last)
            for finding in check(inventory, first=first, last=last, today=today):
                # A file that names no index, or a run over everything, is told once and not for each index.
                found.setdefault(finding if finding.session else (finding.kind, finding.detail), finding)
        return list(found.values())

    def repair(self, findings: Iterable[Finding], *, report: Callable[[str], None] = lambda _line: None) -> list[str]:
        """Mend what can be mended, and wait until it is; return what went wrong on the way.

        Raises:
            StorageUnavailable: S3 or Glue did not answer or refused. The call may be repeated.
        """
        repairable = [one for one in findings if one.cure.is_repairable and one.session is not None]
        sessions = sorted({one.session for one in repairable if one.session is not None})
        if not sessions:
            return []
        broken = sorted({one.session for one in repairable if one.session and one.cure is Cure.REBUILD})
        made_by = Import(f"repair-{self._clock().astimezone(dt.UTC):%Y%m%dT%H%M%S-%f}")
        for session in broken:
            self._rebuild(session, made_by)
            report(f"{session}: raw object made anew from B3's bytes")
        problems: list[str] = []
        for start in range(0, len(sessions), _SESSIONS_A_RUN):
            part = sessions[start : start + _SESSIONS_A_RUN]
            with storage_errors(f"starting {self._glue_job}"):
                run_id = self._glue.start_job_run(
                    JobName=self._glue_job, Arguments={SESSIONS_ARGUMENT: ",".join(map(str, part))}
                )["JobRunId"]
            report(f"run {run_id} refines {len(part)} sessions")
            problem = self._wait(run_id)
            if problem is not None:
                problems.append(problem)
        return problems

    def _rebuild(self, session: Session, made_by: Import) -> None:
        inventory: Inventory = self._reader.read(session.index_code, session.session_date, session.session_date)
        sources = [source for facts in inventory.sessions if facts.session == session for source in facts.sources]
        best = best_source(session, sources)
        if best is None:
            raise StorageUnavailable(f"The bytes of {session} are gone since they were seen. Look again.")
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
            if run["JobRunState"] not in _UNFINISHED:
                return f"Run {run_id} {run['JobRunState']}: {run.get('ErrorMessage') or 'no reason given'}"
            pause.wait(_POLL_S)
        return f"Run {run_id} was not over after {self._timeout_s:g} s; run the doctor again later."
