"""What the raw store knows of a file besides its numbers: where it came from, and what became of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from bovespa import __version__
from bovespa.layout import Session, TradingDay

UnitT = TypeVar("UnitT", Session, TradingDay)


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a file came to us; kept beside the file for ever."""

    index_code: str
    """The index that was asked for; empty for a trading day, which has none."""
    file_name: str
    """The name that B3 gave the file."""
    url: str
    """Where the file was downloaded from."""
    received_at: dt.datetime
    """When the download had finished, aware."""
    way: str
    """How the scraper obtained the file."""
    code_version: str = __version__
    """Version of the code that fetched and parsed the file."""
    import_id: str | None = None
    """The import that brought the file, if one did: its manifest, not the object's arrival, starts the Glue run."""
    correlation_id: str | None = None
    """What follows the session through logs and runs; None takes the import's id. It is no part of what is stored."""


class StoreStatus(StrEnum):
    """What storing a session or a trading day did."""

    STORED = "stored"
    UNCHANGED = "unchanged"


# Without slots: a generic type that is called by its alias wants to note which one it was.
@dataclass(frozen=True)
class Stored(Generic[UnitT]):
    """Where a session or trading day lies in the raw bucket, after the call that stored or recognised it."""

    session: UnitT
    status: StoreStatus
    raw_uri: str
    source_uri: str
    """Where the bytes of this call are kept."""
    source_sha256: str
    """Digest of the bytes of this call, hexadecimal."""
    replaced: bool = False
    """Whether something else stood there before; the bucket keeps it as a version."""


StoredSession = Stored[Session]
StoredTradingDay = Stored[TradingDay]
