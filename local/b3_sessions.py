"""What the stand-in publishes: recorded sessions from a folder or invented ones, and which B3 shows on which day."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from bovespa.calendar import trading_day_on_or_after
from bovespa.clock import date_in_sao_paulo
from bovespa.errors import InvalidPortfolio
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv, parse_file_name, serialise_csv, view_of
from local.synthetic import synthetic_csv


@dataclass(frozen=True, slots=True)
class PublishedSession:
    """One session of one index: its bytes in one or both views."""

    index_code: str
    session_date: dt.date
    contents: dict[View, bytes]

    def content(self, view: View) -> bytes:
        """Return the file as asked for; without a sector view B3 gives the code view, and so does this.

        A code view that was not recorded is made from the sector view. If that is no valid portfolio there is nothing
        to make it from, and the sector view is given as it is.
        """
        if view in self.contents:
            return self.contents[view]
        (content,) = self.contents.values()
        if view is View.SECTOR:
            return content
        try:
            portfolio = parse_csv(content)
        except InvalidPortfolio:
            return content
        holdings = sorted(portfolio.holdings, key=lambda holding: (holding.company, holding.ticker))
        return serialise_csv(replace(portfolio, view=View.CODE, holdings=tuple(holdings)))


class Sessions(Protocol):
    """Where sessions come from."""

    def shown_on(self, index_code: str, today: dt.date | None) -> PublishedSession | None:
        """Return the first session on or after *today*, or None when B3 has none.

        Args:
            index_code: One of `bovespa.indexes.INDEX_CODES`.
            today: None for the real day.
        """


class SyntheticSessions:
    """A session of every index on every trading day."""

    def shown_on(self, index_code: str, today: dt.date | None) -> PublishedSession | None:
        """See `Sessions`."""
        session_date = trading_day_on_or_after(today or today_in_sao_paulo())
        contents = {view: synthetic_csv(index_code, session_date, view) for view in View}
        return PublishedSession(index_code, session_date, contents)


@dataclass(frozen=True, slots=True)
class RecordedSessions:
    """The files named `<INDEX>Dia_DD-MM-YY*.csv` of a folder, looked up at each request, byte for byte."""

    folder: Path

    def shown_on(self, index_code: str, today: dt.date | None) -> PublishedSession | None:
        """See `Sessions`. On the real day, when recordings have ended, the last one stays."""
        sessions = self._sessions(index_code)
        day = today or today_in_sao_paulo()
        session_date = min((date for date in sessions if date >= day), default=None)
        if session_date is None and today is None:
            session_date = max(sessions, default=None)
        if session_date is None:
            return None
        contents: dict[View, bytes] = {}
        for path in sessions[session_date]:
            content = path.read_bytes()
            contents.setdefault(view_of(content) or View.CODE, content)
        return PublishedSession(index_code, session_date, contents)

    def _sessions(self, index_code: str) -> dict[dt.date, list[Path]]:
        sessions: defaultdict[dt.date, list[Path]] = defaultdict(list)
        # The shortest name first: `IBOVDia_03-02-25.csv` is the file, `IBOVDia_03-02-25 (1).csv` its copy.
        for path in sorted(self.folder.glob(f"{index_code}Dia_*.csv"), key=lambda path: (len(path.name), path.name)):
            if named := parse_file_name(path.name):
                sessions[named[1]].append(path)
        return sessions


def today_in_sao_paulo() -> dt.date:
    """Return the date on B3's clock."""
    return date_in_sao_paulo(dt.datetime.now(dt.UTC))
