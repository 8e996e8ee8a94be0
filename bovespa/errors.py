"""Every error this project raises on purpose, in one tree.

BovespaError
├── ConfigurationError          an operator must set or fix a setting
│   └── BrowserNotFound           install a browser and its driver
├── InvalidRequest              the caller asked for something that does not exist
│   ├── UnknownIndex              no index of B3 has the code
│   ├── NotATradingDay            B3 is closed on the day
│   ├── DayNotOver                the day lies ahead
│   └── SessionNotStored          nothing is stored of the session
├── SourceError                 B3's site did not give us a usable portfolio
│   ├── SourceUnavailable         try again later
│   ├── SourceTimeout             try again later, or raise the time-out
│   ├── TradingDayNotPublished    B3 has no file of the day: not yet, or it did not trade
│   └── PageChanged               the scraper must be updated
├── InvalidFile                 we hold a file that must not be published
│   ├── InvalidPortfolio          it is no portfolio
│   │   ├── UnreadablePortfolio     a line breaks the format
│   │   ├── ColumnsChanged          B3 renamed, added or dropped a column: the parser must be updated
│   │   ├── UnreconciledPortfolio   the rows do not add up to the file's own totals
│   │   └── ImplausibleSession      its session is too far from the day on which B3 showed it
│   └── InvalidTradingDay         it is no record of trading days
│       ├── UnreadableTradingDay    a record breaks the layout
│       └── UnreconciledTradingDay  records are missing, or their numbers contradict each other
├── StorageUnavailable          the object store or the catalog did not answer; nothing was half-written
└── UnexpectedEvent             an event or key that is not ours

The branches follow who must act: an operator, the caller, nobody (retry), or the maintainer.
"""

from __future__ import annotations


class BovespaError(Exception):
    """Base of all intended errors; `code` is stable and machine-readable."""

    code = "internal"


class ConfigurationError(BovespaError):
    """A setting is missing or wrong; the message names every one of them."""

    code = "configuration"


class BrowserNotFound(ConfigurationError):
    """No installed browser with a matching driver was found."""

    code = "browser_not_found"


class InvalidRequest(BovespaError):
    """The caller's parameters name nothing we know."""

    code = "invalid_request"


class NotATradingDay(InvalidRequest):
    """B3's calendar has no session on the day, so there is nothing to fetch."""

    code = "not_a_trading_day"


class DayNotOver(InvalidRequest):
    """The day lies ahead: B3 writes its record when it is over."""

    code = "day_not_over"


class SessionNotStored(InvalidRequest):
    """Nothing is stored of a session, so there is nothing to tell of it."""

    code = "session_not_stored"


class UnknownIndex(InvalidRequest):
    """The index code is not one that B3 publishes a daily portfolio for."""

    code = "unknown_index"


class SourceError(BovespaError):
    """B3's site did not give us a usable portfolio."""

    code = "b3_error"


class SourceUnavailable(SourceError):
    """B3 answered with an error, or not at all."""

    code = "b3_unavailable"


class SourceTimeout(SourceError):
    """B3's page or download did not finish in time."""

    code = "b3_timeout"


class TradingDayNotPublished(SourceError):
    """B3 has no file of a trading day: not yet, no longer, or because it did not trade."""

    code = "trading_day_not_published"


class PageChanged(SourceError):
    """B3's page is up but lacks something the scraper relies on."""

    code = "b3_changed"


class InvalidFile(BovespaError):
    """A file that must not be published.

    Attributes:
        reason: What is wrong, in one sentence.
        line: 1-based line of the file where it is wrong, or None when it concerns the whole file.
    """

    code = "file_invalid"

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.line = line


class InvalidPortfolio(InvalidFile):
    """A file that is no portfolio we may publish."""

    code = "portfolio_invalid"


class UnreadablePortfolio(InvalidPortfolio):
    """A line breaks the format: title, heading, row or footer."""

    code = "portfolio_unreadable"


class ColumnsChanged(InvalidPortfolio):
    """The heading is neither of the two that B3 is known to print."""

    code = "b3_changed"


class UnreconciledPortfolio(InvalidPortfolio):
    """The rows do not add up to the file's own totals."""

    code = "portfolio_does_not_add_up"


class ImplausibleSession(InvalidPortfolio):
    """B3 shows the next session, and this file is of one long ago or far ahead."""

    code = "session_implausible"


class InvalidTradingDay(InvalidFile):
    """A file that is no record of trading days we may publish; its records are numbered from 1, the header."""

    code = "trading_day_invalid"


class UnreadableTradingDay(InvalidTradingDay):
    """A record breaks the layout of B3's document, or the archive around it cannot be opened."""

    code = "trading_day_unreadable"


class UnreconciledTradingDay(InvalidTradingDay):
    """Records are missing or doubled, or the numbers of one contradict each other."""

    code = "trading_day_does_not_add_up"


class StorageUnavailable(BovespaError):
    """S3 or Glue did not answer; nothing was half-written and the call may be repeated."""

    code = "storage_unavailable"


class UnexpectedEvent(BovespaError):
    """An event or an object key that does not belong to this pipeline."""

    code = "unexpected_event"
