"""Who runs below the API while it is under load: how many browsers at once, and of which index each one is."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

_LOOK_S = 0.1
_PROFILE = re.compile(r"--user-data-dir=(\S+)")
_PAGE = re.compile(r"/indexPage/day/(\w+)")


@dataclass(frozen=True)
class Browsers:
    """What was seen of the browsers, at every look."""

    index_codes: Mapping[Path, str]
    """Index of each browser that showed its page, by its profile folder, which no two browsers share."""
    looks: tuple[frozenset[Path], ...]
    """The profiles of the browsers that ran, look by look."""

    @property
    def seen(self) -> frozenset[Path]:
        """Every profile there was."""
        return frozenset().union(*self.looks)

    @property
    def most_at_once(self) -> int:
        """The greatest number of browsers at one look."""
        return max(map(len, self.looks), default=0)

    @property
    def most_of_an_index(self) -> int:
        """The greatest number of browsers of one index at one look; a browser that showed no page has none."""
        counts = (Counter(self.index_codes[one] for one in look if one in self.index_codes) for look in self.looks)
        return max((max(count.values(), default=0) for count in counts), default=0)

    @property
    def left_folders(self) -> list[Path]:
        """The work folders of browsers seen that are still there."""
        return sorted(profile.parent for profile in self.seen if profile.parent.exists())


@dataclass
class _Seen:
    index_codes: dict[Path, str] = field(default_factory=dict)
    looks: list[frozenset[Path]] = field(default_factory=list)


class Watch:
    """Looks at the descendants of a process until told to stop."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._seen = _Seen()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch")

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look while the body runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._thread.join()

    @property
    def browsers(self) -> Browsers:
        """What was seen. To be asked after the end."""
        return Browsers(dict(self._seen.index_codes), tuple(self._seen.looks))

    def _look_on(self) -> None:
        while not self._done.wait(_LOOK_S):
            profiles = frozenset(profiles_of(_command_lines(self._process)))
            self._seen.looks.append(profiles)
            for profile in profiles - self._seen.index_codes.keys():
                if (index_code := _shown_by(profile)) is not None:
                    self._seen.index_codes[profile] = index_code


def profiles_of(command_lines: Iterable[str]) -> Iterator[Path]:
    """Yield the profile folder of each browser among *command_lines*.

    A browser's own helpers name their type. A helper that was forked and is not yet itself has the browser's command
    line, and so the same folder.
    """
    for line in command_lines:
        if "--type=" not in line and (match := _PROFILE.search(line)):
            yield Path(match[1])


def _command_lines(process: psutil.Process) -> Iterator[str]:
    for child in descendants(process):
        with contextlib.suppress(psutil.Error):  # it ended since the listing
            yield " ".join(child.cmdline())


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return what *process* has started, and those in turn; none if it has ended."""
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _shown_by(profile: Path) -> str | None:
    """Ask the browser itself which index's page it shows; None if it does not show one yet."""
    with contextlib.suppress(OSError, ValueError, IndexError, requests.RequestException):
        port = int((profile / "DevToolsActivePort").read_text("utf-8").splitlines()[0])
        for target in requests.get(f"http://127.0.0.1:{port}/json", timeout=1).json():
            if match := _PAGE.search(str(target.get("url"))):
                return match[1]
    return None
