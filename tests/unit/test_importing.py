"""What an import does with its files when the bucket fails, when files repeat, and when it is stopped."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.import_commands import import_csv_command
from api.importing import Importer, find_files, new_import
from bovespa.calendar import trading_days
from bovespa.errors import InvalidPortfolio, StorageUnavailable
from bovespa.imports import ImportManifest
from bovespa.layout import Import, Session
from bovespa.portfolio import Portfolio, View
from bovespa.portfolio_csv import file_name
from bovespa.records import Provenance, StoredSession, StoreStatus
from local.synthetic import synthetic_csv

NOON = dt.datetime(2025, 6, 14, 12, tzinfo=dt.UTC)
DAYS = list(trading_days(dt.date(2025, 6, 2), dt.date(2025, 6, 6)))
MADE_BY = Import("0f")


class Shelf:
    """A store that keeps what it gets, in order, until it is told to fail."""

    def __init__(self, *, fails_at: int | None = None, announces: bool = True) -> None:
        self.stored: list[tuple[Session, str]] = []
        self.refused: list[tuple[bytes, str, str]] = []
        self.manifests: list[ImportManifest] = []
        self._fails_at = fails_at
        self._announces = announces
        self._lock = threading.Lock()
        self._held: dict[Session, bytes] = {}

    def store(self, portfolio: Portfolio, content: bytes, provenance: Provenance) -> StoredSession:
        session = Session(portfolio.index_code, portfolio.session_date)
        with self._lock:
            if self._fails_at is not None and len(self.stored) >= self._fails_at:
                raise StorageUnavailable("the bucket is away")
            self.stored.append((session, provenance.file_name))
            replaced = self._held.get(session, content) != content
            self._held[session] = content
        digest = hashlib.sha256(content).hexdigest()
        return StoredSession(session, StoreStatus.STORED, "s3://raw/a", "s3://raw/b", digest, replaced)

    def quarantine(self, content: bytes, error: InvalidPortfolio, provenance: Provenance) -> str:
        if self._fails_at is not None:
            raise StorageUnavailable("the bucket is away")
        self.refused.append((content, str(error), provenance.index_code))
        return "s3://raw/quarantine"

    def announce(self, manifest: ImportManifest) -> str:
        if not self._announces:
            raise StorageUnavailable("the bucket is away")
        self.manifests.append(manifest)
        return "s3://raw/" + manifest.made_by.key


def files_of(folder: Path, *days: dt.date) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / file_name("IMAT", day) for day in days]
    for path, day in zip(paths, days, strict=True):
        path.write_bytes(synthetic_csv("IMAT", day))
    return paths


def importer(shelf: Shelf) -> Importer:
    return Importer(shelf, clock=lambda: NOON)


def test_files_are_found_once_below_folders_oldest_first_and_as_they_are_named(tmp_path: Path) -> None:
    files = {"b.csv": 2, "a.CSV": 3, "deep/c.csv": 1, "d.csv": 3, "notes.txt": 1, "d.csv.bak": 1}
    for name, written_s in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (written_s, written_s))
    (tmp_path / "in" / "folder.csv").mkdir()
    named = tmp_path / "in" / "notes.txt"
    assert find_files([named, tmp_path / "in", tmp_path / "in" / "deep", named]) == [
        named,
        *(tmp_path / "in" / name for name in ("deep/c.csv", "b.csv", "a.CSV", "d.csv")),
    ]


def test_sessions_of_which_something_else_was_stored_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    of_days = files_of(folder, *DAYS)
    for path, day in zip(of_days, DAYS, strict=True):
        (folder / f"{path.stem} (1).csv").write_bytes(synthetic_csv("IMAT", day, View.CODE))
    shelf = Shelf()
    command = import_csv_command(lambda: importer(shelf), clock=lambda: NOON)
    answer = CliRunner().invoke(command, [str(folder)])
    assert answer.exit_code == 0
    named = ", ".join(f"IMAT/{day}" for day in DAYS)
    assert answer.stdout.splitlines()[1] == f"5 replaced other values, which the bucket keeps as versions: {named}"

    many = list(trading_days(dt.date(2025, 7, 1), dt.date(2025, 7, 16)))
    report = importer(shelf).run(files_of(tmp_path / "july", *many), MADE_BY)
    assert report.replaced == ()
    for day, path in zip(many, files_of(tmp_path / "july", *many), strict=True):
        path.write_bytes(synthetic_csv("IMAT", day, View.CODE))
    answer = CliRunner().invoke(command, [str(tmp_path / "july")])
    assert answer.stdout.splitlines()[1].endswith("IMAT/2025-07-14 and 2 more")


def test_files_of_one_session_are_stored_in_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    shelf = Shelf()
    (first,) = files_of(tmp_path, DAYS[0])
    copies = [tmp_path / f"{number:03}.csv" for number in range(40)]
    for copy in copies:
        copy.write_bytes(first.read_bytes())
    report = importer(shelf).run(copies, MADE_BY)
    assert [name for _, name in shelf.stored] == [copy.name for copy in copies]
    assert report.sessions == (Session("IMAT", DAYS[0]),)
    assert [manifest.sessions for manifest in shelf.manifests] == [report.sessions]


def test_when_the_bucket_fails_what_was_stored_or_may_have_been_is_announced(tmp_path: Path) -> None:
    """A PUT whose answer was lost is done, and says of itself that the manifest starts its run."""
    shelf = Shelf(fails_at=2)
    report = importer(shelf).run(files_of(tmp_path, *DAYS), MADE_BY)
    assert (report.files, report.stored, report.interrupted_by) == (5, 2, "the bucket is away")
    assert not report.is_complete
    (manifest,) = shelf.manifests
    assert {session for session, _ in shelf.stored} < set(manifest.sessions)
    assert manifest.sessions == report.sessions == tuple(Session("IMAT", day) for day in DAYS)


def test_a_bucket_that_cannot_take_a_refused_file_ends_the_import(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"no portfolio")
    report = importer(Shelf(fails_at=9)).run([broken, *files_of(tmp_path, *DAYS)], MADE_BY)
    assert (report.stored, report.interrupted_by) == (0, "the bucket is away")
    assert report.manifest_uri is None


def test_an_import_that_is_stopped_announces_what_it_stored(tmp_path: Path) -> None:
    shelf = Shelf()

    def stop(_files: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        importer(shelf).run(files_of(tmp_path, *DAYS), MADE_BY, advance=stop)
    (manifest,) = shelf.manifests
    assert set(manifest.sessions) == {session for session, _ in shelf.stored}


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_stored(tmp_path: Path) -> None:
    shelf = Shelf()
    report = importer(shelf).run([tmp_path / "gone.csv", *files_of(tmp_path, DAYS[0])], MADE_BY)
    assert report.stored == 1
    (refused,) = report.refused
    assert (refused.code, refused.quarantine_uri) == ("portfolio_unreadable", None)
    assert "No such file" in refused.reason


def test_a_name_of_b3_that_says_another_session_is_refused(tmp_path: Path) -> None:
    shelf = Shelf()
    path = tmp_path / file_name("IMAT", DAYS[1])
    path.write_bytes(synthetic_csv("IMAT", DAYS[0]))
    (refused,) = importer(shelf).run([path], MADE_BY).refused
    assert path.name in refused.reason
    assert [(content, index) for content, _, index in shelf.refused] == [(path.read_bytes(), "IMAT")]


def test_progress_adds_up_to_the_files(tmp_path: Path) -> None:
    steps: list[int] = []
    (tmp_path / "broken.csv").write_bytes(b"")
    files = [tmp_path / "broken.csv", *files_of(tmp_path, *DAYS)]
    importer(Shelf()).run(files * 30, MADE_BY, advance=steps.append)
    assert sum(steps) == len(files) * 30


def test_two_imports_of_one_moment_differ_in_their_files(tmp_path: Path) -> None:
    one, other = new_import(NOON, [tmp_path / "a"]), new_import(NOON, [tmp_path / "b"])
    assert one != other
    assert one.import_id.startswith("20250614T120000-000000-")
    assert Import.from_key(one.key) == one


def test_the_report_tells_what_to_do_when_the_run_could_not_be_asked_for(tmp_path: Path) -> None:
    files_of(tmp_path / "in", DAYS[0])
    shelf = Shelf(announces=False)
    answer = CliRunner().invoke(import_csv_command(lambda: importer(shelf), clock=lambda: NOON), [str(tmp_path / "in")])
    assert answer.exit_code == 1
    assert "1 files: 1 stored, 0 unchanged, 0 refused" in answer.stdout
    assert "The import ended early: the bucket is away" in answer.stdout
    assert "doctor --repair" in answer.stdout


def test_the_report_is_one_line_of_json(tmp_path: Path) -> None:
    files_of(tmp_path / "in", DAYS[0])
    shelf = Shelf()
    command = import_csv_command(lambda: importer(shelf), clock=lambda: NOON)
    answer = CliRunner().invoke(command, ["--json", str(tmp_path / "in")])
    assert answer.exit_code == 0
    (line,) = answer.stdout.splitlines()
    report = json.loads(line)
    assert report["manifest_uri"] == f"s3://raw/imports/{report['import_id']}.json"
    assert (report["stored"], report["refused"], report["interrupted_by"]) == (1, [], None)
