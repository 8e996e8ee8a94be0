"""Where every object lives: one type a kind of object, which goes both ways. Nobody else spells a prefix."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from bovespa.errors import InvalidRequest, UnexpectedEvent

INDEX_CODE = "[A-Z0-9]{4}"
"""What an index code looks like, as a regular expression."""

TICKER = r"[A-Z0-9]{4}\d{1,2}"
"""What the ticker of a share in a portfolio looks like, as a regular expression."""

_INDEX = rf"index_code=(?P<index_code>{INDEX_CODE})"
_DATE = r"(?P<session_date>\d{4}-\d{2}-\d{2})"
_SESSION = rf"{_INDEX}/session_date={_DATE}"
_IMPORT_ID = r"(?P<import_id>[0-9A-Za-z-]{1,64})"
_RAW_VERSION = r"(?P<raw_version>[0-9a-f-]{1,80})"
_RAW_KEY = re.compile(rf"portfolio/{_SESSION}/portfolio\.parquet", re.ASCII)
_SOURCE_KEY = re.compile(rf"source/{_SESSION}/(?P<sha256>[0-9a-f]{{64}})\.csv", re.ASCII)
_REFINED_KEY = re.compile(rf"portfolio/{_SESSION}/ticker=(?P<ticker>{TICKER})/portfolio\.parquet", re.ASCII)
_REFINED_FOLDER = re.compile(rf"portfolio/{_SESSION}/", re.ASCII)
_INDEX_FOLDER = re.compile(rf"(?:source|portfolio)/{_INDEX}/", re.ASCII)
_IMPORT_KEY = re.compile(rf"imports/{_IMPORT_ID}\.json", re.ASCII)
_TRADING_KEY = re.compile(rf"trading/session_date={_DATE}/trading\.parquet", re.ASCII)
_RECEIPT_KEY = re.compile(rf"receipts/portfolio/{_SESSION}/{_RAW_VERSION}\.json", re.ASCII)
_TRADING_RECEIPT_KEY = re.compile(rf"receipts/trading/session_date={_DATE}/{_RAW_VERSION}\.json", re.ASCII)

SOURCE_PREFIX = "source/"
"""Prefix, in the raw bucket, of every file that B3 sent."""

TRADING_SOURCE_PREFIX = "source/trading/"
"""Prefix, in the raw bucket, of every record of trading days that B3 sent."""

DATED_TRADING_SOURCE_PREFIX = f"{TRADING_SOURCE_PREFIX}session_date="
"""Prefix, in the raw bucket, of every record of one trading day alone; a date goes on."""

PORTFOLIO_PREFIX = "portfolio/"
"""Prefix, in the raw bucket, of every session's rows, and in the refined bucket of every ticker's."""

TRADING_PREFIX = "trading/"
"""Prefix, in the raw bucket, of the trading days, which are of the whole market and of no index."""

DATED_TRADING_PREFIX = f"{TRADING_PREFIX}session_date="
"""The same; a date goes on."""

RAW_SUFFIX = ".parquet"
"""End of the keys, under the raw bucket's two prefixes, whose arrival starts a Glue run."""

PORTFOLIO_TABLE = "portfolio"
"""The table whose partitions are single tickers of single sessions."""

SECTORS_TABLE = "sectors"
"""The compact table that has no object of a session that B3 gave by code."""

COMPACT_TABLE_NAMES = ("holdings", "sessions", SECTORS_TABLE)
"""Tables of which the refined bucket has one object an index and session."""

TRADING_TABLE = "trading"
"""The compact table of the whole market: one object a trading day, of no index."""

RECEIPTS_PREFIX = "receipts/portfolio/"
"""Prefix, in the refined bucket, of every receipt of a session."""

TRADING_RECEIPTS_PREFIX = "receipts/trading/"
"""Prefix, in the refined bucket, of every receipt of a trading day."""

DATED_TRADING_RECEIPTS_PREFIX = f"{TRADING_RECEIPTS_PREFIX}session_date="
"""The same; a date goes on."""

IMPORT_PREFIX = "imports/"
"""Prefix, in the raw bucket, of manifests of imports; the arrival of one starts one Glue run for the whole import."""

IMPORT_SUFFIX = ".json"

QUARANTINE_PREFIX = "quarantine/"
"""Prefix, in the raw bucket, of every refused file and of the reason beside it."""

IMPORT_ID_METADATA = "import-id"
"""Metadata of a raw object that came with an import: its arrival starts no run, for the manifest's will."""

CORRELATION_ID_METADATA = "correlation-id"
"""Metadata of a raw object: the id of the request, command or import that stored it; `bovespa.correlation` makes it."""


@dataclass(frozen=True, slots=True, order=True)
class Session:
    """One trading session of one index: the unit in which everything is collected, stored and replaced."""

    index_code: str
    session_date: dt.date

    def __str__(self) -> str:
        return f"{self.index_code}/{self.session_date}"

    @classmethod
    def parse(cls, text: str) -> Session:
        """Read `IBOV/2025-02-03`, as `str` writes it.

        Raises:
            InvalidRequest: *text* is not of that form.
        """
        match = re.fullmatch(rf"(?P<index_code>{INDEX_CODE})/{_DATE}", text, re.ASCII)
        if match is None:
            raise InvalidRequest(f"{text[:40]!r} is not a session like 'IBOV/2025-02-03'.")
        return cls(match["index_code"], _date(match["session_date"], InvalidRequest))

    @property
    def partition(self) -> str:
        """The Hive-style folder of this session, without a slash at its end."""
        return f"index_code={self.index_code}/session_date={self.session_date}"

    @property
    def raw_key(self) -> str:
        """Key of the session's Parquet in the raw bucket."""
        return f"{PORTFOLIO_PREFIX}{self.partition}/portfolio.parquet"

    @classmethod
    def from_raw_key(cls, key: str) -> Session:
        """Inverse of `raw_key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a raw Parquet object.
        """
        return _session(_ours(_RAW_KEY, key, "a raw portfolio"))

    def source_key(self, sha256: str) -> str:
        """Key, in the raw bucket, of the bytes that B3 sent."""
        return f"{SOURCE_PREFIX}{self.partition}/{sha256}.csv"

    @staticmethod
    def from_source_key(key: str) -> tuple[Session, str]:
        """Inverse of `source_key`: the session and the digest.

        Raises:
            UnexpectedEvent: *key* is not the key of a file of a portfolio.
        """
        match = _ours(_SOURCE_KEY, key, "a file of a portfolio")
        return _session(match), match["sha256"]

    @classmethod
    def of_refined_folder(cls, key: str) -> Session:
        """Return the session under whose `refined_prefix` *key* lies, whatever follows.

        Raises:
            UnexpectedEvent: It lies under none.
        """
        match = _REFINED_FOLDER.match(key)
        if match is None:
            raise UnexpectedEvent(f"{key[:200]!r} is in the folder of no session.")
        return _session(match)

    @property
    def refined_prefix(self) -> str:
        """Prefix, in the refined bucket, of all ticker partitions of this session."""
        return f"{PORTFOLIO_PREFIX}{self.partition}/"

    @property
    def receipts_prefix(self) -> str:
        """Prefix, in the refined bucket, of the receipts of this session."""
        return f"{RECEIPTS_PREFIX}{self.partition}/"


@dataclass(frozen=True, slots=True, order=True)
class TradingDay:
    """One trading day of the whole cash market: the unit in which B3's record of it is stored and replaced."""

    session_date: dt.date

    def __str__(self) -> str:
        return f"{TRADING_PREFIX}{self.session_date}"

    @classmethod
    def parse(cls, text: str) -> TradingDay:
        """Read `trading/2021-03-26`, as `str` writes it.

        Raises:
            InvalidRequest: *text* is not of that form.
        """
        match = re.fullmatch(rf"{TRADING_PREFIX}{_DATE}", text, re.ASCII)
        if match is None:
            raise InvalidRequest(f"{text[:40]!r} is not a trading day like 'trading/2021-03-26'.")
        return cls(_date(match["session_date"], InvalidRequest))

    @property
    def raw_key(self) -> str:
        """Key of the day's Parquet in the raw bucket."""
        return f"{DATED_TRADING_PREFIX}{self.session_date}/trading.parquet"

    @classmethod
    def from_raw_key(cls, key: str) -> TradingDay:
        """Inverse of `raw_key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a raw trading day.
        """
        return cls(_session_date(_ours(_TRADING_KEY, key, "a raw trading day")))

    def source_key(self, sha256: str, suffix: str) -> str:
        """Key, in the raw bucket, of the bytes of this day alone, as they came.

        Args:
            sha256: Their digest, hexadecimal.
            suffix: `.zip` or `.txt`.
        """
        return f"{DATED_TRADING_SOURCE_PREFIX}{self.session_date}/{sha256}{suffix}"

    @property
    def receipts_prefix(self) -> str:
        """Prefix, in the refined bucket, of the receipts of this trading day."""
        return f"{DATED_TRADING_RECEIPTS_PREFIX}{self.session_date}/"


def trading_year_source_key(year: int, sha256: str, suffix: str) -> str:
    """Key, in the raw bucket, of a file of many trading days of one year, kept once for all of them.

    Args:
        year: Calendar year.
        sha256: Digest of the bytes, hexadecimal.
        suffix: `.zip` or `.txt`.
    """
    return f"{TRADING_SOURCE_PREFIX}year={year}/{sha256}{suffix}"


def portfolio_index_prefix(index_code: str) -> str:
    """Prefix, in either bucket, of every session of one index; a date goes on."""
    return f"{PORTFOLIO_PREFIX}index_code={index_code}/session_date="


def source_index_prefix(index_code: str) -> str:
    """Prefix, in the raw bucket, of the files of every session of one index."""
    return f"{SOURCE_PREFIX}index_code={index_code}/session_date="


def compact_prefix(table: str, index_code: str | None) -> str:
    """Prefix, in the refined bucket, of a compact table; of one index if the table is by index."""
    return f"{table}/" if index_code is None else f"{table}/index_code={index_code}/"


def index_of_folder(folder: str) -> str | None:
    """Return the index whose folder of files or portfolios, in either bucket, *folder* is; None if it is of none."""
    match = _INDEX_FOLDER.fullmatch(folder)
    return None if match is None else match["index_code"]


def receipts_index_prefix(index_code: str) -> str:
    """Prefix, in the refined bucket, of every receipt of one index."""
    return f"{RECEIPTS_PREFIX}index_code={index_code}/session_date="


@dataclass(frozen=True, slots=True, order=True)
class RefinedPartition:
    """One ticker of one session in the refined bucket: one object, one partition of the catalog."""

    session: Session
    ticker: str

    @property
    def prefix(self) -> str:
        """The partition's location in the refined bucket, with a slash at its end."""
        return f"{self.session.refined_prefix}ticker={self.ticker}/"

    @property
    def key(self) -> str:
        """The partition's only object. The name never varies, so a second run replaces it in one PUT."""
        return f"{self.prefix}portfolio.parquet"

    @classmethod
    def from_key(cls, key: str) -> RefinedPartition:
        """Inverse of `key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a refined object.
        """
        match = _ours(_REFINED_KEY, key, "a refined partition")
        return cls(_session(match), match["ticker"])


@dataclass(frozen=True, slots=True, order=True)
class CompactYear:
    """One calendar year of a compact table, and of one index if the table is by index: one partition of the catalog.

    Its sessions lie under `sessions/`, one object each, always. A rebuild may put all of them into one object more,
    under `merged/`; the catalog's location says which of the two a reader takes.
    """

    table: str
    index_code: str | None
    """None for a table of the whole market."""
    session_year: int

    @classmethod
    def of(cls, table: str, session: Session | TradingDay) -> CompactYear:
        """Return the partition of *table* that holds *session*."""
        return cls(table, session.index_code if isinstance(session, Session) else None, session.session_date.year)

    @classmethod
    def of_key(cls, table: str, index_code: str | None, key: str) -> CompactYear:
        """Return the partition of *table*, and of an index if it is by index, under whose prefixes *key* lies.

        Raises:
            UnexpectedEvent: It lies under none.
        """
        start = compact_prefix(table, index_code)
        match = re.match(rf"{start}session_year=(?P<year>\d{{4}})/(?:sessions|merged)/", key, re.ASCII)
        if match is None:
            raise UnexpectedEvent(f"{key[:200]!r} is in no year of {start}")
        return cls(table, index_code, int(match["year"]))

    @property
    def values(self) -> tuple[str, ...]:
        """Values of the partition, in the order of the table's partition keys."""
        year = str(self.session_year)
        return (year,) if self.index_code is None else (self.index_code, year)

    @property
    def prefix(self) -> str:
        """Prefix, in the refined bucket, of everything of this year."""
        return f"{compact_prefix(self.table, self.index_code)}session_year={self.session_year}/"

    @property
    def sessions_prefix(self) -> str:
        """Location of the year as one object a session."""
        return f"{self.prefix}sessions/"

    @property
    def merged_prefix(self) -> str:
        """Prefix of every merged object of the year."""
        return f"{self.prefix}merged/"

    def merged_location(self, version: str) -> str:
        """Location of the year as one object.

        Args:
            version: Digest of the objects that were merged, hexadecimal.
        """
        return f"{self.merged_prefix}{version}/"

    def merged_key(self, version: str) -> str:
        """The only object of `merged_location`."""
        return f"{self.merged_location(version)}{self.table}.parquet"

    def key(self, session_date: dt.date) -> str:
        """The object of one session, which no other session's run writes."""
        return f"{self.sessions_prefix}{session_date}.parquet"

    def merged_version(self, objects: Iterable[tuple[str, str]]) -> str:
        """Return the version of the merged object that holds just *objects*.

        Args:
            objects: Key and ETag of every object under `sessions_prefix`.
        """
        digest = hashlib.sha256()
        for key, etag in sorted(objects):
            digest.update(f"{key} {etag}\n".encode())
        return digest.hexdigest()[:32]

    def session(self, key: str) -> Session:
        """Inverse of `key`, with the index of the year.

        Raises:
            UnexpectedEvent: *key* is not the key of a session's object of this year, or the table is of no index.
        """
        if self.index_code is None:
            raise UnexpectedEvent(f"{self.prefix} has no sessions of an index; ask `session_date`.")
        return Session(self.index_code, self.session_date(key))

    def session_date(self, key: str) -> dt.date:
        """Inverse of `key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a session's object of this year.
        """
        match = re.fullmatch(rf"{_DATE}\.parquet", key.removeprefix(self.sessions_prefix), re.ASCII)
        if match is None or not key.startswith(f"{self.sessions_prefix}{self.session_year}-"):
            raise UnexpectedEvent(f"{key[:200]!r} is not the key of a session of {self.prefix}.")
        return _session_date(match)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The job's word that one version of a raw object is refined, registered and visible.

    The version is in the key, so a listing alone tells which sessions are up to date.
    """

    session: Session
    raw_version: str
    """The raw object's ETag, without quotes."""

    @property
    def key(self) -> str:
        """Key in the refined bucket."""
        return f"{self.session.receipts_prefix}{self.raw_version}.json"

    @classmethod
    def from_key(cls, key: str) -> Receipt:
        """Inverse of `key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a receipt.
        """
        match = _ours(_RECEIPT_KEY, key, "a receipt")
        return cls(_session(match), match["raw_version"])


@dataclass(frozen=True, slots=True)
class TradingReceipt:
    """The job's word that one version of a raw trading day is in every row that it concerns, registered and visible."""

    day: TradingDay
    raw_version: str
    """The raw object's ETag, without quotes."""

    @property
    def key(self) -> str:
        """Key in the refined bucket."""
        return f"{self.day.receipts_prefix}{self.raw_version}.json"

    @classmethod
    def from_key(cls, key: str) -> TradingReceipt:
        """Inverse of `key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a receipt of a trading day.
        """
        match = _ours(_TRADING_RECEIPT_KEY, key, "a receipt of a trading day")
        return cls(TradingDay(_session_date(match)), match["raw_version"])


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One import of many files, which causes one Glue run."""

    NAME_PREFIX: ClassVar[str] = "import:"
    """What the name of an import begins with, and that of no session."""

    import_id: str

    def __str__(self) -> str:
        return f"{self.NAME_PREFIX}{self.import_id}"

    @classmethod
    def at(cls, moment: dt.datetime, *, prefix: str = "", suffix: str = "") -> Import:
        """Return one named after when it was made, to the microsecond.

        Args:
            moment: Aware.
            prefix: What it is, before its time.
            suffix: What else tells it from others, after its time.
        """
        return cls(f"{prefix}{moment.astimezone(dt.UTC):%Y%m%dT%H%M%S-%f}{suffix}")

    @classmethod
    def parse(cls, text: str) -> Import:
        """Read `import:20250203T120000Z-0f`, as `str` writes it and a run's `--sessions` names it.

        Raises:
            InvalidRequest: *text* is not of that form.
        """
        match = re.fullmatch(rf"{cls.NAME_PREFIX}{_IMPORT_ID}", text, re.ASCII)
        if match is None:
            raise InvalidRequest(f"{text[:80]!r} is not an import like 'import:20250203T120000Z-0f'.")
        return cls(match["import_id"])

    @property
    def key(self) -> str:
        """Key of the manifest in the raw bucket; `bovespa.imports` says what is in it."""
        return f"{IMPORT_PREFIX}{self.import_id}{IMPORT_SUFFIX}"

    @classmethod
    def from_key(cls, key: str) -> Import:
        """Inverse of `key`.

        Raises:
            UnexpectedEvent: *key* is not the key of a manifest.
        """
        return cls(_ours(_IMPORT_KEY, key, "an import's manifest")["import_id"])


def quarantine_key(received_at: dt.datetime, sha256: str, suffix: str) -> str:
    """Key, in the raw bucket, of a refused file (`.csv`, `.zip`, `.txt`) or of the reason why (`.json`).

    Args:
        received_at: When the file arrived, aware.
        sha256: Digest of the refused bytes, hexadecimal.
        suffix: With its dot.
    """
    return f"{QUARANTINE_PREFIX}{received_at.astimezone(dt.UTC):%Y-%m-%dT%H%M%SZ}/{sha256}{suffix}"


def _ours(pattern: re.Pattern[str], key: str, what: str) -> re.Match[str]:
    match = pattern.fullmatch(key)
    if match is None:
        raise UnexpectedEvent(f"{key[:200]!r} is not the key of {what}.")
    return match


def _session(match: re.Match[str]) -> Session:
    return Session(match["index_code"], _session_date(match))


def _session_date(match: re.Match[str]) -> dt.date:
    return _date(match["session_date"], UnexpectedEvent)


def _date(text: str, error: type[Exception]) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise error(f"{text!r} is not a date.") from None
