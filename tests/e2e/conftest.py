"""A lake of a whole history, refined once for all tests that ask about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import RECORDINGS
from tests.lake import Lake, quiet_lake
from tests.query_reckoning.synthetic_history import (
    RECORDED_CHOICES,
    SYNTHETIC_CHOICES,
    synthetic_contents,
    synthetic_trading_days,
)
from tests.recorded_trading import recorded_portfolio, recorded_trading_days


@dataclass(frozen=True)
class StoredHistory:
    """A lake and the files that are in it."""

    lake: Lake
    contents: Sequence[bytes]
    trading_days: Sequence[bytes]
    choices: tuple[dict[str, str], ...]
    """Values of parameters that ask about what is in it."""


@pytest.fixture(scope="session")
def stored_history() -> Iterator[StoredHistory]:
    """The recorded sessions and trading days, or where they are absent synthetic ones, refined by one run over all."""
    if RECORDINGS.is_dir():
        contents = [path.read_bytes() for path in sorted((RECORDINGS / "sessions").glob("*.csv"))]
        contents.append(recorded_portfolio(RECORDINGS))
        trading_days, choices = recorded_trading_days(RECORDINGS), RECORDED_CHOICES
    else:
        contents, trading_days, choices = synthetic_contents(), synthetic_trading_days(), SYNTHETIC_CHOICES
    with quiet_lake() as lake:
        for content in contents:
            lake.store(content)
        for content in trading_days:
            lake.store_trading_day(content)
        lake.refine("all")
        yield StoredHistory(lake, contents, trading_days, choices)


@pytest.fixture(scope="session")
def recorded_history(stored_history: StoredHistory, recordings: Path) -> StoredHistory:
    """`stored_history` if it is the recorded one."""
    assert recordings.is_dir()
    return stored_history
