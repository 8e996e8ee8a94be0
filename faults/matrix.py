"""A fault as an entry of the matrix, the trial of one, and what comes of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError
from bovespa.portfolio import Portfolio
from faults.files import Files
from faults.image import Image, differences, image_of
from faults.reader import TABLES, Watch, reading
from faults.scene import NotAsExpected, Scene, until
from local.cloud import Cloud
from local.pipeline import Pipeline

BY_TICKER = "portfolio"
"""The table whose sessions are replaced ticker by ticker, and may be seen mixed meanwhile."""
MIX_BOUND_MS = 6000
"""How long, at the most, where the run comes to its end: some seconds on a busy machine, one on an idle one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the table tells of a fault behind the raw bucket, and where it is tried."""

    name: str
    index_code: str
    """Each fault has an index of its own, so that no one disturbs another."""
    injected: str
    expected: str
    stored: Callable[[Files], Sequence[Portfolio]]
    """Every file that was stored, in order: of a session the last one counts, and the bytes of all are kept."""
    mixed_until_repair: bool = field(default=False, kw_only=True)
    """Whether the run is kept from its end, so that what it left lasts until the next one."""


@dataclass(frozen=True, slots=True)
class ChainFault(Entry):
    """Something that fails between the raw bucket and SQL."""

    act: Callable[[Scene], None]
    """Injects it, and ends when all is mended.

    Raises:
        NotAsExpected: Something else happened than is expected.
    """


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault."""

    name: str
    injected: str
    expected: str
    seen: str
    lost: tuple[str, ...]
    wrong: tuple[str, ...]
    elapsed_s: float
    mixed_ms: int = 0
    """How long SQL's answers out of `portfolio` were of no one version of a session."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and nothing wrong."""
        return not self.lost and not self.wrong

    def as_json(self) -> dict[str, object]:
        """What `--json` tells."""
        return asdict(self)


@dataclass(slots=True)
class Trial:
    """A fault that is being tried: what its act tells, what a reader saw meanwhile, and the lake afterwards."""

    fault: Entry
    watches: Mapping[str, Watch] = field(default_factory=lambda: {table: Watch() for table in TABLES})
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def catching(self) -> Iterator[None]:
        """Keep as wrong what the body of the `with` raises of ours or of AWS."""
        try:
            yield
        except (BovespaError, ClientError, BotoCoreError) as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    @contextlib.contextmanager
    def watched(self, running: Pipeline) -> Iterator[Scene]:
        """Let a reader look on during the body of the `with`, and mend everything at its end."""
        scene = self.scene(running)
        with reading(running.cloud, self.fault.index_code, self.watches):
            try:
                with self.catching():
                    yield scene
            finally:
                scene.mend()
            # One asked before the end, and one after it: the reader's last word is about the lake as it is now.
            answers = {table: watch.answers + 2 for table, watch in self.watches.items()}
            with contextlib.suppress(NotAsExpected):
                until(
                    lambda: all(watch.answers >= answers[table] for table, watch in self.watches.items()),
                    "two more answers of SQL",
                    timeout_s=20,
                )

    def scene(self, running: Pipeline) -> Scene:
        """Return where the fault is tried in *running*."""
        return Scene(running.cloud, running.environment, self.fault.index_code, self.watches.values(), self.notes)

    def outcome(self, cloud: Cloud, untroubled: Image) -> Outcome:
        """Compare the lake of *cloud* with the *untroubled* one, and say all that was found."""
        lost: list[str] = []
        wrong = list(self.wrong)
        for table, watch in self.watches.items():
            wrong += [f"{table}: {one}" for one in dict.fromkeys(watch.wrong)][:3]
            if watch.is_mixed_still:
                wrong.append(f"{table}: a session is of no one version at the end")
        mixed_ms = {table: round(1000 * watch.mixed_s) for table, watch in self.watches.items()}
        if mixed_ms[BY_TICKER]:
            self.notes.append(f"versions mixed for {mixed_ms[BY_TICKER]} ms")
        if mixed_ms[BY_TICKER] > MIX_BOUND_MS and not self.fault.mixed_until_repair:
            wrong.append(f"{BY_TICKER}: mixed for {mixed_ms[BY_TICKER]} ms, and nothing kept the run from its end")
        wrong += [f"{table}: mixed for {ms} ms" for table, ms in mixed_ms.items() if ms and table != BY_TICKER]
        try:
            found = differences(image_of(cloud, self.fault.index_code), untroubled)
        except BovespaError as error:
            wrong.append(str(error))
        else:
            lost += found.lost
            wrong += found.wrong
        seen = "; ".join([*self.notes, f"{sum(watch.answers for watch in self.watches.values())} answers"])
        elapsed_s = round(time.monotonic() - self.started_s, 1)
        told = (self.fault.name, self.fault.injected, self.fault.expected, seen)
        return Outcome(*told, tuple(lost), tuple(wrong), elapsed_s, mixed_ms[BY_TICKER])


def attempt(fault: ChainFault, running: Pipeline, untroubled: Image) -> Outcome:
    """Try *fault* with a reader beside it, and compare the lake afterwards with the *untroubled* one."""
    trial = Trial(fault)
    with trial.watched(running) as scene:
        fault.act(scene)
    return trial.outcome(running.cloud, untroubled)
