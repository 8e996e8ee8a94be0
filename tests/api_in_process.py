"""The API in one process, with what fetches, stores and knows states handed in as plain values."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from werkzeug.security import generate_password_hash

from api.application import Collaborators
from api.attempts import Patience
from api.ingestion import Ingestion
from api.tokens import Tokens
from api.trading_ingestion import TradingDayIngestion
from app import create_app
from bovespa.errors import InvalidPortfolio, InvalidTradingDay, SessionNotStored
from bovespa.imports import ImportManifest
from bovespa.layout import Session, TradingDay
from bovespa.portfolio import Portfolio
from bovespa.records import Provenance, StoredSession, StoredTradingDay, StoreStatus
from bovespa.session_report import Evidence
from bovespa.session_state import SessionState, State
from bovespa.settings import Settings
from bovespa.source_files import SourceFile
from bovespa.trading_day import Quote
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_cotahist, zipped
from tests.documented_client import DocumentedClient

NOW = dt.datetime(2025, 2, 21, 15, 0, 0, tzinfo=dt.UTC)
MONDAY = dt.date(2025, 2, 24)
PASSWORD = "correct horse battery staple"
SETTINGS = Settings(
    raw_bucket="raw",
    refined_bucket="refined",
    jwt_secret="a-secret-of-more-than-32-characters",
    # Cheap parameters: the tests do not measure how slow a check is.
    users={"ana": generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")},
)


@dataclass(frozen=True)
class File:
    content: bytes
    session_date: dt.date = MONDAY
    file_name: str = "IBOVDia_24-02-25.csv"
    url: str = "https://b3.test/indexPage/day/IBOV"
    received_at: dt.datetime = NOW
    b3_time: dt.datetime | None = None
    way: str = "browser"


def published(index_code: str) -> File:
    return File(synthetic_csv(index_code, MONDAY), file_name=f"{index_code}Dia_24-02-25.csv")


@dataclass
class Shelf:
    """A store that keeps what it gets."""

    status: StoreStatus = StoreStatus.STORED
    failure: Exception | None = None
    stored: list[tuple[Session, Provenance]] = field(default_factory=list)
    refused: list[tuple[bytes, InvalidPortfolio, Provenance]] = field(default_factory=list)

    def store(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> StoredSession:
        if self.failure:
            raise self.failure
        session = Session(portfolio.index_code, portfolio.session_date)
        self.stored.append((session, provenance))
        digest = hashlib.sha256(content).hexdigest()
        return StoredSession(
            session, self.status, f"s3://raw/{session.raw_key}", f"s3://raw/{session.source_key(digest)}", digest
        )

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        if self.failure:
            raise self.failure
        self.refused.append((content, error, provenance))
        return "s3://raw/quarantine"


@dataclass(frozen=True)
class TradingFile:
    content: bytes
    file_name: str
    url: str = "https://b3.test/COTAHIST.ZIP"
    received_at: dt.datetime = NOW
    way: str = "https"


def published_day(day: dt.date) -> TradingFile:
    name = f"COTAHIST_D{day:%d%m%Y}.ZIP"
    return TradingFile(zipped(synthetic_cotahist(day), name), name)


@dataclass
class TradingShelf:
    """A store of trading days that keeps what it gets."""

    status: StoreStatus = StoreStatus.STORED
    failure: Exception | None = None
    stored: dict[dt.date, list[Quote]] = field(default_factory=dict)
    provenances: list[Provenance] = field(default_factory=list)
    refused: list[tuple[bytes, InvalidTradingDay, Provenance]] = field(default_factory=list)
    manifests: list[ImportManifest] = field(default_factory=list)

    def store(
        self,
        day: TradingDay,
        quotes: list[Quote],
        source: SourceFile,
        provenance: Provenance,
        *,
        year: int | None = None,
    ) -> StoredTradingDay:
        if self.failure:
            raise self.failure
        assert year is None or year == day.session_date.year
        self.stored[day.session_date] = quotes
        self.provenances.append(provenance)
        key = day.source_key(source.sha256, source.suffix)
        return StoredTradingDay(day, self.status, f"s3://raw/{day.raw_key}", f"s3://raw/{key}", source.sha256)

    def quarantine(self, source: SourceFile, error: InvalidTradingDay, provenance: Provenance) -> str:
        if self.failure:
            raise self.failure
        with source.open() as file:
            self.refused.append((file.read(), error, provenance))
        return "s3://raw/quarantine"

    def announce(self, manifest: ImportManifest) -> str:
        self.manifests.append(manifest)
        return f"s3://raw/{manifest.made_by.key}"


def trading_days(
    fetch: Callable[[dt.date], TradingFile] = published_day,
    shelf: TradingShelf | None = None,
    now: dt.datetime = NOW,
) -> TradingDayIngestion:
    return TradingDayIngestion(fetch, shelf or TradingShelf(), clock=lambda: now)


@dataclass
class Known:
    """States that are known beforehand."""

    states: list[SessionState] = field(default_factory=list)
    facts: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dt.date, dt.date]] = field(default_factory=list)

    def of(self, session: Session) -> tuple[SessionState, Mapping[str, str]]:
        found = [state for state in self.states if state.session == session]
        return (found[0], self.facts) if found else (SessionState(session, State.MISSING), {})

    def between(self, index_code: str, first: dt.date, last: dt.date) -> list[SessionState]:
        self.asked.append((index_code, first, last))
        return [state for state in self.states if first <= state.session.session_date <= last]


@dataclass
class Seen:
    """What is known beforehand of sessions."""

    evidence: list[Evidence] = field(default_factory=list)

    def of(self, session: Session) -> Evidence:
        found = [one for one in self.evidence if one.state.session == session]
        if not found:
            raise SessionNotStored(f"Nothing is stored of {session}.")
        return found[0]


def client(
    fetch: Callable[[str], File] = published,
    *,
    shelf: Shelf | None = None,
    known: Known | None = None,
    checks: Mapping[str, Callable[[], object]] | None = None,
    now: dt.datetime = NOW,
    trading: TradingDayIngestion | None = None,
    seen: Seen | None = None,
) -> DocumentedClient:
    return client_of(ingesting(fetch, shelf), known=known, checks=checks, now=now, trading=trading, seen=seen)


def ingesting(fetch: Callable[[str], File], shelf: Shelf | None = None) -> Ingestion:
    """One way, one attempt."""
    ways = {"browser": lambda index_code, _timeout_s: fetch(index_code)}
    return Ingestion(ways, shelf or Shelf(), patience=Patience(120, 1))


def client_of(
    ingestion: Ingestion,
    *,
    known: Known | None = None,
    checks: Mapping[str, Callable[[], object]] | None = None,
    now: dt.datetime = NOW,
    trading: TradingDayIngestion | None = None,
    seen: Seen | None = None,
) -> DocumentedClient:
    collaborators = Collaborators(
        ingestion, trading or trading_days(now=now), known or Known(), checks or {}, seen or Seen()
    )
    app = create_app(SETTINGS, collaborators, clock=lambda: now)
    app.test_client_class = DocumentedClient
    made = app.test_client()
    assert isinstance(made, DocumentedClient)
    return made


def bearer(user: str = "ana", *, issued: dt.datetime = NOW) -> dict[str, str]:
    hashes = {user: SETTINGS.users.get(user, "scrypt:1:1:1$salt$00")}
    tokens = Tokens(hashes, secret=SETTINGS.jwt_secret, audience=SETTINGS.raw_bucket, lifetime_s=900)
    token = tokens.issue(user, now=issued)
    return {"Authorization": f"Bearer {token}"}
