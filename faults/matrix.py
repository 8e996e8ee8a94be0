"""A fault as an entry of the matrix, the trial of one, and what comes of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError
from bovespa.portfolio import Portfolio
from faults.files import Files
from faults.image import Image, differences, image_of
from faults.reader import Watch, reading
from faults.scene import NotAsExpected, Scene, until
from local.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Something that fails between the raw bucket and SQL."""

    name: str
    index_code: str
    """Each fault has an index of its own, so that no one disturbs another."""
    injected: str
    expected: str
    act: Callable[[Scene], None]
    """Injects it, and ends when all is mended.

    Raises:
        NotAsExpected: Something else happened than is expected.
    """
    stored: Callable[[Files], Sequence[Portfolio]]
    """Every file that was stored, in order: of a session the last one counts, and the bytes of all are kept."""
    mixes: str = ""
    """Why a reader may see a session of no one version; empty where none may."""


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
    """How long the answers of SQL were of no one version of a session."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and nothing wrong."""
        return not self.lost and not self.wrong

    def as_json(self) -> dict[str, object]:
        """What `--json` tells."""
        return asdict(self)


def attempt(fault: ChainFault, running: Pipeline, untroubled: Image) -> Outcome:
    """Try *fault* with a reader beside it, and compare the lake afterwards with the *untroubled* one."""
    started = time.monotonic()
    watch = Watch()
    scene = Scene.of(running, fault.index_code, watch)
    lost: list[str] = []
    wrong: list[str] = []
    with reading(running.cloud, fault.index_code, watch):
        try:
            fault.act(scene)
        except (BovespaError, ClientError, BotoCoreError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
        finally:
            scene.mend()
        # One that was asked before the end, and one after it: the reader's last word is about the lake as it is now.
        answers = watch.answers + 2
        with contextlib.suppress(NotAsExpected):
            until(lambda: watch.answers >= answers, "two more answers of SQL", timeout_s=20)
    wrong += list(dict.fromkeys(watch.wrong))[:3]
    if watch.is_mixed_still:
        wrong.append("a session is of no one version at the end")
    mixed_ms = round(1000 * watch.mixed_s)
    if mixed_ms:
        scene.see(f"versions mixed for {mixed_ms} ms")
        if not fault.mixes:
            wrong.append(f"versions mixed for {mixed_ms} ms")
    try:
        found = differences(image_of(running.cloud, fault.index_code), untroubled)
    except BovespaError as error:
        wrong.append(str(error))
    else:
        lost += found.lost
        wrong += found.wrong
    seen = "; ".join([*scene.notes, f"{watch.answers} answers"])
    elapsed_s = round(time.monotonic() - started, 1)
    return Outcome(fault.name, fault.injected, fault.expected, seen, tuple(lost), tuple(wrong), elapsed_s, mixed_ms)
