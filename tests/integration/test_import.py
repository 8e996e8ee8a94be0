"""`flask --app app import-csv`: archives of files into the raw bucket, and exactly one Glue run for all of them."""

from __future__ import annotations

import datetime as dt
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.importing import Importer, find_files, new_import
from bovespa.calendar import trading_days
from bovespa.imports import ImportManifest
from bovespa.layout import Import, Session
from bovespa.portfolio import View
from bovespa.portfolio_csv import file_name, serialise_csv
from local.cloud import PROJECT
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv, synthetic_portfolio
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.raw_parquet import read_portfolio
from tests.lake import Lake
from tests.operator_commands import flask_command
from tests.until import until

DAYS = list(trading_days(dt.date(2025, 6, 2), dt.date(2025, 6, 13)))
NOON = dt.datetime(2025, 6, 14, 12, tzinfo=dt.UTC)


def archive(folder: Path, index_code: str, days: list[dt.date] = DAYS) -> Path:
    """A folder of files in a tree, as years of collecting leave it."""
    for day in days:
        path = folder / f"{day:%Y-%m}" / file_name(index_code, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(synthetic_csv(index_code, day))
    return folder


def objects(lake: Lake, prefix: str) -> set[str]:
    pages = lake.cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=lake.raw, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


def runs_for(lake: Lake, index_code: str, import_id: str) -> list[str]:
    """What every run was started for that has to do with an index or an import."""
    asked = [run["Arguments"]["--sessions"] for run in lake.runs() if "--sessions" in run["Arguments"]]
    return [text for text in asked if text.startswith(index_code) or import_id in text]


def wait_until_every_event_was_handled(lake: Lake, index_code: str) -> None:
    """Wait for the run of a session that arrives after the import's own."""
    last = lake.store(synthetic_csv(index_code, dt.date(2025, 8, 1)))
    until(lambda: lake.runs_of(last), timeout_s=60, every_s=0.1)


def test_an_archive_causes_one_run_and_every_file_is_accounted_for(
    lake: Lake, pipeline: Pipeline, tmp_path: Path
) -> None:
    folder = archive(tmp_path / "years", "INDX")
    whole = (folder / "2025-06" / file_name("INDX", DAYS[0])).read_bytes()
    (folder / "copy of the first.csv").write_bytes(whole)
    (folder / "INDEX.tsv").write_text("no portfolio, and nobody said that it is one", encoding="utf-8")
    (folder / "broken.csv").write_bytes(whole[:400])
    (folder / file_name("INDX", dt.date(2025, 6, 30))).write_bytes(whole)
    (folder / "huge.csv").write_bytes(b"x" * (2 << 20))
    (folder / "empty.CSV").write_bytes(b"")

    answer = flask_command(pipeline.environment, "import-csv", folder, folder / "2025-06", "--json")

    assert answer.exit_code == 1, answer.stderr
    report = json.loads(answer.stdout)
    assert (report["files"], report["stored"], report["unchanged"]) == (len(DAYS) + 5, len(DAYS), 1)
    refused = ("broken.csv", "huge.csv", "empty.CSV", file_name("INDX", dt.date(2025, 6, 30)))
    assert {Path(one["file"]).name: one["code"] for one in report["refused"]} == dict.fromkeys(
        refused, "portfolio_unreadable"
    )
    s3 = lake.cloud.client("s3")
    for one in report["refused"]:
        if Path(one["file"]).name == "huge.csv":
            assert one["quarantine_uri"] is None
            continue
        key = one["quarantine_uri"].removeprefix(f"s3://{lake.raw}/")
        assert s3.get_object(Bucket=lake.raw, Key=key)["Body"].read() == Path(one["file"]).read_bytes()
        reason = json.loads(s3.get_object(Bucket=lake.raw, Key=key.replace(".csv", ".json"))["Body"].read())
        assert (reason["way"], reason["file_name"]) == ("import", Path(one["file"]).name)

    sessions = [Session("INDX", day) for day in DAYS]
    made_by = Import(report["import_id"])
    assert report["manifest_uri"] == f"s3://{lake.raw}/{made_by.key}"
    manifest = ImportManifest.from_json(s3.get_object(Bucket=lake.raw, Key=made_by.key)["Body"].read())
    assert (manifest.made_by, manifest.sessions) == (made_by, tuple(sessions))
    until(lambda: runs_for(lake, "INDX", made_by.import_id), timeout_s=60, every_s=0.1)
    wait_until_every_event_was_handled(lake, "INDX")
    assert sorted(runs_for(lake, "INDX", made_by.import_id)) == ["INDX/2025-08-01", str(made_by)]
    lake.wait_until_refined(*sessions)
    for session in sessions:
        found = s3.head_object(Bucket=lake.raw, Key=session.raw_key)["Metadata"]
        assert (found["way"], found["import-id"]) == ("import", made_by.import_id)


def test_an_archive_that_is_stored_already_starts_nothing(lake: Lake, pipeline: Pipeline, tmp_path: Path) -> None:
    folder = archive(tmp_path, "GPTW", DAYS[:3])
    first = flask_command(pipeline.environment, "import-csv", folder)
    assert first.exit_code == 0, first.stderr
    (line, run) = first.stdout.splitlines()
    assert line == "3 files: 3 stored, 0 unchanged, 0 refused"
    manifests = objects(lake, "imports/")

    again = flask_command(pipeline.environment, "import-csv", folder, "--json")

    assert again.exit_code == 0, again.stderr
    report = json.loads(again.stdout)
    assert (report["stored"], report["unchanged"], report["manifest_uri"]) == (0, 3, None)
    assert objects(lake, "imports/") == manifests
    import_id = run.rpartition("import:")[2]
    until(lambda: runs_for(lake, "GPTW", import_id), timeout_s=60, every_s=0.1)
    wait_until_every_event_was_handled(lake, "GPTW")
    assert sorted(runs_for(lake, "GPTW", import_id)) == ["GPTW/2025-08-01", f"import:{import_id}"]


def test_a_session_that_is_collected_during_an_import_has_its_own_run(lake: Lake, tmp_path: Path) -> None:
    """The API stores a session between two files of the import, over one that the import brought a moment before."""
    code = archive(tmp_path / "code", "IBLV", DAYS[:2])
    first, second = sorted(code.rglob("*.csv"))
    first.write_bytes(synthetic_csv("IBLV", DAYS[0], View.CODE))
    s3 = lake.cloud.client("s3")

    class BetweenTwoFiles(RawStore):
        def announce(self, manifest: ImportManifest) -> str:
            # Sectors are news, so this replaces the object of the import; the other is nothing that it brought.
            lake.store(synthetic_csv("IBLV", DAYS[0], View.SECTOR))
            lake.store(synthetic_csv("IBLV", DAYS[5]))
            return super().announce(manifest)

    made_by = new_import(dt.datetime.now(dt.UTC), [first, second])
    report = Importer(BetweenTwoFiles(s3, lake.raw), clock=lambda: NOON).run([first, second], made_by)
    assert report.sessions == (Session("IBLV", DAYS[0]), Session("IBLV", DAYS[1]))
    wanted = sorted([str(made_by), f"IBLV/{DAYS[0]}", f"IBLV/{DAYS[5]}"])
    until(lambda: len(runs_for(lake, "IBLV", made_by.import_id)) >= 3, timeout_s=60, every_s=0.1)
    assert sorted(runs_for(lake, "IBLV", made_by.import_id)) == wanted


def test_of_two_files_of_one_session_the_one_that_was_written_last_holds(
    s3: Any, raw_bucket: str, tmp_path: Path
) -> None:
    """As a browser leaves them: by name, the second download comes first."""
    session = Session("INDX", DAYS[0])
    first = tmp_path / file_name("INDX", DAYS[0])
    second = first.with_stem(f"{first.stem} (1)")
    portfolio = synthetic_portfolio("INDX", DAYS[0])
    changed, *others = portfolio.holdings
    more = replace(changed, theoretical_quantity=changed.theoretical_quantity + 1)
    total = portfolio.total_theoretical_quantity + 1
    corrected = replace(portfolio, holdings=(more, *others), total_theoretical_quantity=total)
    for path, content, written_s in ((first, portfolio, 1), (second, corrected, 2)):
        path.write_bytes(serialise_csv(content))
        os.utime(path, (written_s, written_s))
    files = find_files([tmp_path])
    assert sorted(files) == files[::-1]

    report = Importer(RawStore(s3, raw_bucket), clock=lambda: NOON).run(files, Import("both"))

    assert (report.stored, report.sessions, report.replaced) == (2, (session,), (session,))
    body = s3.get_object(Bucket=raw_bucket, Key=session.raw_key)["Body"].read()
    assert read_portfolio(body, session) == corrected


def test_every_recorded_session_is_stored_and_every_bad_file_is_refused(
    s3: Any, raw_bucket: str, recordings: Path
) -> None:
    files = find_files([recordings / "sessions", recordings / "bad"])
    store = RawStore(s3, raw_bucket)
    report = Importer(store, clock=lambda: NOON).run(files, Import("recorded"))
    assert (report.stored, report.unchanged, len(report.sessions), report.replaced) == (54, 0, 54, ())
    assert sorted(one.path.name for one in report.refused) == sorted(
        path.name for path in (recordings / "bad").glob("*.csv")
    )
    again = Importer(store, clock=lambda: NOON).run(files[::-1], Import("again"))
    assert (again.stored, again.unchanged, again.sessions, again.manifest_uri) == (0, 54, (), None)


def test_progress_is_shown_on_a_terminal_only(
    object_store: str, raw_bucket: str, refined_bucket: str, tmp_path: Path
) -> None:
    environ = dict(os.environ) | {
        "AWS_ENDPOINT_URL": object_store,
        "BOVESPA_RAW_BUCKET": raw_bucket,
        "BOVESPA_REFINED_BUCKET": refined_bucket,
        "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
        "BOVESPA_USERS": json.dumps({"ana": "scrypt:32768:8:1$a$b"}),
        "TERM": "xterm",
    }
    folder = archive(tmp_path, "ITAG", DAYS[:2])
    arguments = [sys.executable, "-m", "flask", "--app", "app", "import-csv", str(folder)]
    terminal, end = pty.openpty()
    shown = subprocess.run(
        arguments, cwd=PROJECT, env=environ, stdout=subprocess.PIPE, stderr=end, timeout=60, check=False
    )
    os.close(end)
    bar = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert shown.returncode == 0, bar
    assert "Importing" in bar
    assert "2/2" in bar
    piped = subprocess.run(arguments, cwd=PROJECT, env=environ, capture_output=True, timeout=60, check=False)
    assert (piped.returncode, b"Importing" in piped.stderr + piped.stdout) == (0, False)
