"""What the runs of the job mean for a session or a trading day, and which of them failed. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from bovespa.records import UnitT
from bovespa.session_state import JobRun, Progress, State
from maintenance.findings import RUN_IT, Cure, Finding, Kind, shown

Found = Callable[[Kind, str, str, Cure], Finding]
"""Makes a finding of its kind, detail, remedy and cure."""

_WHY_CHARACTERS = 200


def check_progress(state: Progress[UnitT], receipts: Collection[str], refined: str, found: Found) -> Iterator[Finding]:
    """Whether the stored version of something is refined, and nothing says so of another version.

    Args:
        state: How far it has come; it is stored.
        receipts: Versions of the raw object that a receipt speaks of.
        refined: What is refined of it already, in words; empty for nothing.
        found: Makes the findings.
    """
    if state.raw is None:
        return
    if state.state is State.REFINING:
        run = "" if state.run is None else f" ({state.run.run_id})"
        yield found(Kind.REFINING, f"A run is at work or waits for its turn{run}.", "Look again later.", Cure.WAIT)
        return
    if state.state is State.FAILED and state.run is not None:
        yield found(Kind.RUN_FAILED, f"Run {state.run.run_id} failed: {_why(state.run)}", RUN_IT, Cure.REFINE)
    elif state.state is State.STORED and refined and not receipts:
        yield found(Kind.RECEIPT_MISSING, f"{refined}, but no receipt says so.", RUN_IT, Cure.REFINE)
    elif state.state is State.STORED:
        yield found(Kind.NOT_REFINED, "The stored version was never refined.", RUN_IT, Cure.REFINE)
    if outdated := sorted({*receipts} - {state.raw.version}):
        detail = f"Receipts of versions that are gone: {', '.join(outdated)}."
        yield found(Kind.OUTDATED_RECEIPT, detail, RUN_IT, Cure.REFINE)


def failed_runs(runs: Iterable[JobRun], *, index_code: str | None, prefix: str) -> list[Finding]:
    """Return the runs that failed after the last one that did not, of those that concern an index or trading days.

    Args:
        runs: Of the job, in any order. Those over an import or over everything concern all.
        index_code: The index; None for trading days.
        prefix: What the names of its sessions, or those of trading days, begin with.
    """
    own = [run for run in runs if run.may_cover_any_session or any(name.startswith(prefix) for name in run.sessions)]
    findings: list[Finding] = []
    for run in sorted(own, key=lambda one: one.age, reverse=True):
        if run.state == "SUCCEEDED":
            break
        if run.has_failed:
            over = shown(sorted(run.sessions))
            findings.append(
                Finding(
                    Kind.FAILED_RUN,
                    index_code,
                    None,
                    f"Run {run.run_id} of {run.started_at:%Y-%m-%d %H:%M} over {over}: {_why(run)}",
                    "See the runbook, *A Glue run failed*. It counts until a run succeeds.",
                    Cure.BY_HAND,
                )
            )
    return findings


def _why(run: JobRun) -> str:
    return (run.error or run.state).splitlines()[0][:_WHY_CHARACTERS]
