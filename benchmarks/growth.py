"""One new session after few and after many: what a run costs must not grow with the history.

Each length of history has a cloud of its own, in which the same happens: 25 raw sessions are stored and refined by one
run; what older sessions there are is put before them; one more session is refined, which is not counted; then those
that are measured. So the JVM is of the same age in each, and the sessions that are measured are the same. All clouds
are there at once, and their new sessions take turns: a machine's speed can change by a third within a minute.

Of the older sessions, everything stands there that the job would have left of them (`benchmarks.seeded_history`): B3's
bytes and a raw Parquet each, ninety objects and ninety partitions of `portfolio`, three compact objects, a receipt.
They were not refined, and their bytes are those of one session that was. A run for a new session reads the raw objects
of 21 sessions, which are real here; of the others it can at most meet the keys and the partitions, and those are as
many as after so many runs. A past year of the compact tables is as single runs leave it, not merged as by a rebuild.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_memory_mb
from benchmarks.raw_sessions import INDEX_CODE, store_raw
from benchmarks.request_counts import counted
from benchmarks.runs import no_events, run
from benchmarks.seeded_history import seed_history
from benchmarks.targets import Target
from bovespa.calendar import trading_days_after, trading_days_before
from bovespa.layout import Session
from local.cloud import Cloud, running_cloud
from local.console import Progress, print_table

FEW = 25
"""Sessions that are really refined: more than the 21 that a new one looks at."""
LAST_OF_FEW = dt.date(2024, 11, 29)
"""Late in its year, so that with many sessions the new ones join a year that is nearly full."""
LENGTHS = (250, 2500, 5000)
"""What is measured beside the few; of 5,000 sessions, the oldest is of 2004."""
BOUND_TIMES = 1.1


@dataclass(frozen=True, slots=True)
class Growth:
    """What new sessions cost beside a history of one length."""

    stored: int
    """Raw sessions there are before the first of the new ones."""
    seconds: Sequence[float]
    """Of each new session's run."""
    requests: Sequence[dict[str, int]]
    """Of each new session's run, by kind: S3's and Glue's."""
    seed_s: float
    """What it took to put the older sessions there."""
    cloud_mb: float
    """Peak memory of the local cloud, which holds all of it."""

    @property
    def median_requests(self) -> float:
        """Requests of a run, all kinds together."""
        return statistics.median(sum(one.values()) for one in self.requests)


def measure(times: int, lengths: Sequence[int], progress: Progress) -> list[dict[str, Any]]:
    """Measure *times* new sessions after each of *lengths* stored ones; the figures begin with the shortest."""
    with contextlib.ExitStack() as clouds:
        histories = []
        for stored in sorted(set(lengths)):
            histories.append(clouds.enter_context(_history(stored, times)))
            progress.say(f"{stored} sessions stored, {stored - FEW} of them put there in {histories[-1].seed_s:.0f} s")
        for number in range(1, times + 1):
            # Forth and back, so that none is always the first.
            for history in histories if number % 2 else reversed(histories):
                history.one_more()
            taken = ", ".join(f"{history.seconds[-1]:.2f}" for history in histories)
            progress.say(f"new session {number} of {times}: {taken} s")
        return [asdict(history.growth()) for history in histories]


def targets(figures: list[dict[str, Any]]) -> list[Target]:
    """Return what the growth may be at most."""
    few, *_, many = _read(figures)
    return [
        Target(
            f"a new session after {many.stored}, beside after {few.stored}: seconds",
            statistics.median(many.seconds) / statistics.median(few.seconds),
            "times",
            BOUND_TIMES,
        ),
        Target("... requests", many.median_requests / few.median_requests, "times", BOUND_TIMES),
    ]


def show(figures: list[dict[str, Any]]) -> None:
    """Print the figures."""
    found = _read(figures)
    rows: list[tuple[str, ...]] = []
    for name, pick in (("run_s, median", statistics.median), ("run_s, least", min), ("run_s, most", max)):
        values = [pick(one.seconds) for one in found]
        rows.append((name, *(f"{value:.3f}" for value in values), f"{values[-1] / values[0]:.2f}"))
    for kind in sorted({kind for one in found for each in one.requests for kind in each}):
        counts = [statistics.median(each.get(kind, 0) for each in one.requests) for one in found]
        rows.append((kind, *(f"{count:g}" for count in counts), f"{counts[-1] / counts[0]:.2f}" if counts[0] else ""))
    rows.append(("local cloud, peak_mb", *(f"{one.cloud_mb:.0f}" for one in found), ""))
    title = f"One new session of ninety tickers beside a history ({len(found[0].seconds)} times each)"
    print_table(("what", *(f"after_{one.stored}" for one in found), "ratio"), rows, title=title)


def _read(figures: list[dict[str, Any]]) -> list[Growth]:
    return [Growth(**one) for one in figures]


@contextlib.contextmanager
def _history(stored: int, times: int) -> Iterator[_History]:
    """A cloud in which *stored* sessions are, and *times* new ones can be measured."""
    with tempfile.TemporaryDirectory(prefix="bovespa-bench-") as folder:
        log = Path(folder) / "requests"
        with running_cloud(requests_log=log, seeding=True) as cloud, no_events(cloud):
            refined = [*trading_days_before(LAST_OF_FEW, FEW - 1), LAST_OF_FEW]
            store_raw(cloud, refined)
            run(cloud, [Session(INDEX_CODE, day) for day in refined])
            started_s = time.perf_counter()
            if stored > FEW:
                seed_history(cloud, trading_days_before(refined[0], stored - FEW), like=refined[0])
            seed_s = time.perf_counter() - started_s
            history = _History(cloud, log, stored, seed_s, trading_days_after(LAST_OF_FEW, times + 1))
            # The first small run after a large one finds a full heap, and makes its classes.
            history.one_more()
            history.forget()
            yield history


class _History:
    """One cloud with its sessions, and what new ones took."""

    def __init__(self, cloud: Cloud, log: Path, stored: int, seed_s: float, new: Iterable[dt.date]) -> None:
        self.seed_s = seed_s
        self.seconds: list[float] = []
        self._cloud = cloud
        self._log = log
        self._stored = stored
        self._new = iter(new)
        self._requests: list[dict[str, int]] = []

    def one_more(self) -> None:
        """Store and refine one more session."""
        day = next(self._new)
        store_raw(self._cloud, [day])
        buckets = self._cloud.outputs["RawBucketName"], self._cloud.outputs["RefinedBucketName"]
        with counted(self._log, *buckets) as requests:
            self.seconds.append(run(self._cloud, [Session(INDEX_CODE, day)]))
        self._requests.append(requests)

    def forget(self) -> None:
        """Do not count the sessions until now."""
        self.seconds.clear()
        self._requests.clear()

    def growth(self) -> Growth:
        """Return what was measured."""
        memory_mb = peak_memory_mb(self._cloud.process.pid)
        return Growth(self._stored, self.seconds, self._requests, self.seed_s, memory_mb)
