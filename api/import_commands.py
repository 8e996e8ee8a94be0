"""The commands of `flask --app app` that bring in files: archives of portfolios, and B3's records of trading days."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from api.importing import Importer, ImportReport, find_files, new_import
from api.trading_importing import SUFFIXES, TradingImporter
from bovespa.correlation import correlated
from bovespa.layout import Import

_NAMED = 10
"""Of what was replaced, in the text; `--json` has all."""


class FileImporter(Protocol):
    """What both importers are to a command."""

    def run(self, files: Sequence[Path], made_by: Import, *, advance: Callable[[int], None]) -> ImportReport:
        """Import the files, announce what they brought, and tell how much is done."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """In what the two commands differ."""

    name: str
    short_help: str
    help: str
    suffixes: tuple[str, ...]
    """Of the files that are looked for below folders."""
    counted: str
    """What the report says of the numbers."""
    brought: Callable[[ImportReport], str]
    """What the Glue run refines; empty for nothing."""
    length: Callable[[Sequence[Path]], int]
    """How much there is to do, in the unit in which the importer tells how much is done."""
    is_counted_in_files: bool = False


_CSV = _Kind(
    "import-csv",
    "Store files of portfolios, and refine them in one run.",
    """Store files of B3 and every .csv below folders, of any index, in any order; then refine them in one run.

    Where files of one session differ, the last one holds: files as they are named, those below a folder by the time
    at which they were written. Sessions of which something else was stored are named. Refused files are kept in
    quarantine and named with the reason; the exit code is 1 when there is one.
    """,
    (".csv",),
    "{stored} stored, {unchanged} unchanged, {refused} refused",
    lambda report: f"{len(report.sessions)} sessions" if report.sessions else "",
    len,
    is_counted_in_files=True,
)
_COTAHIST = _Kind(
    "import-cotahist",
    "Store files of trading days, and refine them in one run.",
    """Store B3's records of trading days, COTAHIST, of a day or a year each; then refine them in one run.

    Takes files and every .zip and .txt below folders, in any order. Where files differ on a day, the last one holds:
    files as they are named, those below a folder by the time at which they were written. Days of which something else
    was stored are named. Refused files are kept in quarantine and named with the reason, and nothing of them is stored;
    the exit code is 1 when there is one.
    """,
    SUFFIXES,
    "{stored} trading days stored, {unchanged} unchanged, {refused} files refused",
    lambda report: f"{len(report.trading_days)} trading days" if report.trading_days else "",
    lambda files: sum(path.stat().st_size for path in files if path.is_file()),
)


def import_csv_command(connect: Callable[[], Importer], *, clock: Callable[[], dt.datetime]) -> click.Command:
    """Return the command that brings B3's files of portfolios into the raw bucket.

    Args:
        connect: Returns what imports, or raises what keeps it from doing so.
        clock: Tells the present, aware.
    """
    return _command(_CSV, connect, clock)


def import_cotahist_command(
    connect: Callable[[], TradingImporter], *, clock: Callable[[], dt.datetime]
) -> click.Command:
    """Return the command that brings B3's daily and yearly files of trading days into the raw bucket.

    Args:
        connect: Returns what imports, or raises what keeps it from doing so.
        clock: Tells the present, aware.
    """
    return _command(_COTAHIST, connect, clock)


def _command(kind: _Kind, connect: Callable[[], FileImporter], clock: Callable[[], dt.datetime]) -> click.Command:
    @click.command(kind.name, help=kind.help, short_help=kind.short_help)
    @click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print the report as one line of JSON.")
    @click.pass_context
    def command(context: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
        importer = connect()
        files = find_files(paths, kind.suffixes)
        # The report names what is worth a line, and lines would tear the bar.
        logging.getLogger("s3_bucket_manager").setLevel(logging.ERROR)
        with click.progressbar(
            length=kind.length(files),
            label="Importing",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
            show_pos=kind.is_counted_in_files,
        ) as bar:
            made_by = new_import(clock(), files)
            with correlated(made_by.import_id):
                report = importer.run(files, made_by, advance=bar.update)
        click.echo(json.dumps(report.as_json(), ensure_ascii=False) if as_json else _text(kind, report))
        context.exit(0 if report.is_complete else 1)

    return command


def _text(kind: _Kind, report: ImportReport) -> str:
    lines = [f"refused  {one.path}: {one.reason}" for one in report.refused]
    counted = kind.counted.format(stored=report.stored, unchanged=report.unchanged, refused=len(report.refused))
    lines.append(f"{report.files} files: {counted}")
    if report.replaced:
        named = ", ".join(map(str, report.replaced[:_NAMED]))
        more = f" and {len(report.replaced) - _NAMED} more" if len(report.replaced) > _NAMED else ""
        lines.append(f"{len(report.replaced)} replaced other values, which the bucket keeps as versions: {named}{more}")
    brought = kind.brought(report)
    if report.manifest_uri is not None:
        lines.append(f"One Glue run refines {brought}: --sessions {report.made_by}")
    if report.interrupted_by is not None:
        lines.append(f"The import ended early: {report.interrupted_by}")
        lines.append("Import the same files again; what is stored already stays as it is.")
        if brought and report.manifest_uri is None:
            lines.append("No run was started for what was stored; `flask --app app doctor --repair` starts one.")
    return "\n".join(lines)
