"""The work behind `flask import-csv`: files to parsed sessions to the raw bucket, and one Glue run for all of them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from bovespa.correlation import follow
from bovespa.errors import InvalidPortfolio, StorageUnavailable, UnreadablePortfolio
from bovespa.imports import ImportManifest
from bovespa.layout import Import, Session, TradingDay
from bovespa.portfolio import Portfolio
from bovespa.portfolio_csv import MAX_BYTES, parse_csv, parse_file_name
from bovespa.records import Provenance, StoredSession, StoredTradingDay, StoreStatus

_T = TypeVar("_T")

WAY = "import"
_FILES_AT_ONCE = 64
"""Files in memory; what bounds the import of twenty years."""
_WRITERS = 8
"""A session is three small requests, so an import mostly waits for the bucket."""


class ImportStore(Protocol):
    """Where sessions are kept."""

    def store(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> StoredSession:
        """Keep the bytes and publish the portfolio, unless nothing in it is new."""

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        """Keep bytes that must not be published, and say where."""

    def announce(self, manifest: ImportManifest) -> str:
        """Start the import's one Glue run, and say where its manifest is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not imported, and why."""

    path: Path
    code: str
    reason: str
    quarantine_uri: str | None
    """Where its bytes are kept; None when they could not be read, or are nothing of B3's by their size."""

    def as_json(self) -> dict[str, str | None]:
        """What a caller is told, in terms of JSON."""
        return {
            "file": str(self.path),
            "code": self.code,
            "reason": self.reason,
            "quarantine_uri": self.quarantine_uri,
        }


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    made_by: Import
    files: int
    """How many were given; those that are not counted below were not reached."""
    stored: int
    """Portfolios or trading days that were put into the raw bucket; a file of a year has many."""
    unchanged: int
    """Portfolios or trading days that say nothing new."""
    refused: tuple[Refused, ...]
    """Files of which nothing was put."""
    sessions: tuple[Session, ...]
    """The sessions that were put, or may have been when the bucket failed, each once, in order."""
    trading_days: tuple[TradingDay, ...]
    """The same of trading days."""
    replaced: tuple[Session | TradingDay, ...]
    """Those of them of which something else was stored, by an earlier file of this import or before it, in order."""
    manifest_uri: str | None
    """The manifest that starts the Glue run; None when nothing was put, or when it could not be written."""
    interrupted_by: str | None
    """Why the import ended early."""

    @property
    def is_complete(self) -> bool:
        """Whether every file is in the raw bucket."""
        return not self.refused and self.interrupted_by is None

    def as_json(self) -> dict[str, object]:
        """What a caller is told, in terms of JSON."""
        return {
            "import_id": self.made_by.import_id,
            "files": self.files,
            "stored": self.stored,
            "unchanged": self.unchanged,
            "refused": [one.as_json() for one in self.refused],
            "sessions": len(self.sessions),
            "trading_days": len(self.trading_days),
            "replaced": [str(one) for one in self.replaced],
            "manifest_uri": self.manifest_uri,
            "interrupted_by": self.interrupted_by,
        }


@dataclass
class ImportLog:
    """What an import has done so far, and how it ends, whatever it imports."""

    made_by: Import
    files: int
    """How many were given."""
    refused: list[Refused] = field(default_factory=list)
    sessions: list[StoredSession] = field(default_factory=list)
    trading_days: list[StoredTradingDay] = field(default_factory=list)
    in_doubt: list[Session | TradingDay] = field(default_factory=list)
    """Of which the bucket did not say whether it has them. If it has, nobody else starts a run over them."""

    def run(
        self,
        work: Callable[[], None],
        announce: Callable[[ImportManifest], str],
        clock: Callable[[], dt.datetime],
    ) -> ImportReport:
        """Do *work*, which fills this log, announce what it put, and return the report.

        Args:
            work: The import; a bucket that fails ends it.
            announce: Starts the import's one Glue run, and says where its manifest is.
            clock: Tells the present, aware.
        """
        interrupted_by: str | None = None
        manifest_uri: str | None = None
        try:
            work()
        except StorageUnavailable as error:
            interrupted_by = str(error)
        finally:
            # Also when the operator stops the import: what it stored shall not wait for somebody to notice.
            put = {one.session for one in self.sessions if one.status is StoreStatus.STORED}
            put_days = {one.session for one in self.trading_days if one.status is StoreStatus.STORED}
            sessions = tuple(sorted(put.union(one for one in self.in_doubt if isinstance(one, Session))))
            days = tuple(sorted(put_days.union(one for one in self.in_doubt if isinstance(one, TradingDay))))
            if sessions or days:
                try:
                    manifest_uri = announce(ImportManifest(self.made_by, sessions, clock(), trading_days=days))
                except StorageUnavailable as error:
                    interrupted_by = interrupted_by or str(error)
        statuses = [one.status for one in self.sessions] + [one.status for one in self.trading_days]
        return ImportReport(
            self.made_by,
            files=self.files,
            stored=statuses.count(StoreStatus.STORED),
            unchanged=statuses.count(StoreStatus.UNCHANGED),
            refused=tuple(self.refused),
            sessions=sessions,
            trading_days=days,
            replaced=(
                *sorted({one.session for one in self.sessions if one.replaced}),
                *sorted({one.session for one in self.trading_days if one.replaced}),
            ),
            manifest_uri=manifest_uri,
            interrupted_by=interrupted_by,
        )


def find_files(paths: Iterable[Path], suffixes: Sequence[str] = (".csv",)) -> list[Path]:
    """Return the files to import, each once: those named, and those below the folders named, the oldest first.

    Of two files of one session the later one holds. Names say nothing of that: a browser calls the second download
    `name (1).csv`, and B3's bytes are kept under their digest. When a file was written, the copy of an archive tells.

    Args:
        paths: Files, whatever their names, and folders.
        suffixes: What a file below a folder ends with, in small letters; capitals do as well.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        inside = (
            sorted(
                (one for one in path.rglob("*") if one.suffix.lower() in suffixes and one.is_file()),
                key=lambda one: (one.stat().st_mtime_ns, one),
            )
            if path.is_dir()
            else [path]
        )
        for one in inside:
            found.setdefault(one.resolve(), one)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _ParsedFile:
    path: Path
    content: bytes
    portfolio: Portfolio


class Importer:
    """Brings files into the raw bucket."""

    def __init__(self, store: ImportStore, *, clock: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._clock = clock

    def run(
        self, files: Sequence[Path], made_by: Import, *, advance: Callable[[int], None] = lambda _files: None
    ) -> ImportReport:
        """Import *files*, then announce what they brought, so that one Glue run refines it.

        Of two files of one session, the later one holds if they differ. A file that is refused does not keep the others
        from being stored. When the bucket fails, the import ends; what was stored until then is announced.

        Args:
            files: What to import.
            made_by: The import's id, as no other import has it.
            advance: Told how many files more are done.
        """
        imported = ImportLog(made_by, len(files))

        def work() -> None:
            with ThreadPoolExecutor(_WRITERS, initializer=follow, initargs=(made_by.import_id,)) as writers:
                for batch in batches(files, _FILES_AT_ONCE):
                    groups: defaultdict[Session, list[_ParsedFile]] = defaultdict(list)
                    for path in batch:
                        parsed = self._parse(path, made_by)
                        if isinstance(parsed, Refused):
                            imported.refused.append(parsed)
                            advance(1)
                        else:
                            groups[Session(parsed.portfolio.index_code, parsed.portfolio.session_date)].append(parsed)
                    # The files of one session go one after the other: their order decides which one holds.
                    futures = [writers.submit(self._put, session, group, imported) for session, group in groups.items()]
                    for future, group in zip(futures, groups.values(), strict=True):
                        future.result()
                        advance(len(group))

        return imported.run(work, self._store.announce, self._clock)

    def _parse(self, path: Path, made_by: Import) -> _ParsedFile | Refused:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            return Refused(path, UnreadablePortfolio.code, f"the file cannot be read: {error.strerror}", None)
        try:
            return _ParsedFile(path, content, parse_csv(content, file_name=path.name))
        except InvalidPortfolio as error:
            kept = None
            if len(content) <= MAX_BYTES:
                kept = self._store.quarantine(content, error, self._provenance(path, None, made_by))
            return Refused(path, error.code, str(error), kept)

    def _put(self, session: Session, group: Iterable[_ParsedFile], imported: ImportLog) -> None:
        for file in group:
            provenance = self._provenance(file.path, session.index_code, imported.made_by)
            try:
                imported.sessions.append(self._store.store(file.portfolio, file.content, provenance))
            except StorageUnavailable:
                imported.in_doubt.append(session)
                raise

    def _provenance(self, path: Path, index_code: str | None, made_by: Import) -> Provenance:
        named = parse_file_name(path.name)
        return Provenance(
            index_code=index_code or (named[0] if named else ""),
            file_name=path.name,
            # The folder is the operator's own business.
            url=f"file:{quote(path.name)}",
            received_at=self._clock(),
            way=WAY,
            import_id=made_by.import_id,
        )


def new_import(moment: dt.datetime, files: Iterable[Path]) -> Import:
    """Return an id that no other import has: its time to the microsecond, and a digest of what it was given."""
    digest = hashlib.sha256("\0".join(str(path.resolve()) for path in files).encode("utf-8", "surrogateescape"))
    return Import.at(moment, suffix=f"-{digest.hexdigest()[:8]}")


def batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield *items* in lists of *size*, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
