"""A reader who asks SQL all the time, and what was wrong with the answers."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bovespa.portfolio import Portfolio
from infrastructure.athena import QueryFailed
from local.athena import ask
from local.cloud import Cloud

TABLES = ("portfolio", "holdings")
"""What the reader asks: rows that are replaced ticker by ticker, and those that are replaced by the session."""

_PAUSE_S = 0.02
"""Between two questions, so that the reader leaves the machine to what it watches."""

Held = tuple[int, str]
"""Quantity and participation of a row, as the file has them."""


@dataclass
class Watch:
    """What a reader may see of one index in one table, and what it saw.

    The rows of a session may be those of one version of it; before its first version was complete, none. Rows that are
    each right and together of no version are told apart: a mix of versions, or a part of the first one.
    """

    versions: dict[dt.date, list[dict[str, Held]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answers: int = 0
    mixed_s: float = 0.0
    """Time from the first to the last answer of each stretch in which a session was of no one version."""
    _seen: set[dt.date] = field(default_factory=set)
    _mixed_since: float | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def allow(self, portfolio: Portfolio) -> None:
        """Let *portfolio* be a version of its session from now on."""
        version = {row.ticker: (row.theoretical_quantity, f"{row.participation_pct:.3f}") for row in portfolio.holdings}
        with self._turn:
            self.versions.setdefault(portfolio.session_date, []).append(version)

    def check(self, rows: Iterable[Mapping[str, Any]], *, asked_s: float) -> None:
        """Judge one answer.

        Args:
            rows: With `session_date`, `ticker`, `theoretical_quantity`, `participation_pct`.
            asked_s: When it was asked for, monotonic.
        """
        sessions: defaultdict[dt.date, list[tuple[str, Held]]] = defaultdict(list)
        for row in rows:
            held = (int(row["theoretical_quantity"]), f"{row['participation_pct']}")
            sessions[dt.date.fromisoformat(str(row["session_date"]))].append((str(row["ticker"]), held))
        with self._turn:
            self.answers += 1
            whole = [self._is_whole(day, found) for day, found in sessions.items()]
            for gone in self._seen - sessions.keys():
                self.wrong.append(f"{gone} was there and is gone")
            self._seen |= sessions.keys()
            if all(whole):
                if self._mixed_since is not None:
                    self.mixed_s += asked_s - self._mixed_since
                self._mixed_since = None
            elif self._mixed_since is None:
                self._mixed_since = asked_s

    def _is_whole(self, day: dt.date, found: list[tuple[str, Held]]) -> bool:
        twice = [ticker for ticker, count in Counter(ticker for ticker, _ in found).items() if count > 1]
        if twice:
            self.wrong.append(f"{day}: {twice[0]} stands twice")
        versions = self.versions.get(day, [])
        for ticker, held in found:
            if not any(version.get(ticker) == held for version in versions):
                self.wrong.append(f"{day}: {ticker} is {held}, as in no file")
        return dict(found) in versions

    @property
    def is_mixed_still(self) -> bool:
        """Whether the last answer was of no one version."""
        return self._mixed_since is not None


@contextmanager
def reading(cloud: Cloud, index_code: str, watches: Mapping[str, Watch]) -> Iterator[None]:
    """Ask for every row of *index_code* again and again for the body of the `with`.

    Args:
        cloud: Whose SQL is asked.
        index_code: Of which index.
        watches: Who judges the answers, by table.
    """
    stop = threading.Event()

    def poll() -> None:
        athena = cloud.client("athena")
        for table, watch in itertools.cycle(watches.items()):
            if stop.is_set():
                return
            asked_s = time.monotonic()
            try:
                answer = ask(
                    athena,
                    "SELECT session_date, ticker, theoretical_quantity, participation_pct "  # noqa: S608 - our own words
                    f"FROM {table} WHERE index_code = '{index_code}'",
                )
            except (QueryFailed, ClientError, BotoCoreError) as error:
                watch.wrong.append(f"a query failed: {error}"[:200])
                stop.wait(0.2)
                continue
            watch.check(answer.as_dicts(), asked_s=asked_s)
            stop.wait(_PAUSE_S)

    thread = threading.Thread(target=poll, name="reader")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
