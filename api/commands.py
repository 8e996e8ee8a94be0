"""The commands of `flask --app app`: what cron and an operator run."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import click

from api.importing import Importer, ImportReport, find_files, new_import
from api.ingestion import Ingestion
from api.passwords import hash_password
from bovespa.errors import BovespaError
from bovespa.indexes import DEFAULT_INDEX_CODE, INDEX_CODES


@click.command("hash-password")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input, not from a prompt.")
def hash_password_command(from_stdin: bool) -> None:
    """Print the hash of a password, as BOVESPA_USERS holds it."""
    if from_stdin:
        password = sys.stdin.read().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not password:
        raise click.UsageError("The password is empty.")
    click.echo(hash_password(password))


def ingest_command(ingestion: Ingestion) -> click.Command:
    """Return the command that does for cron what `GET /bovespaDay` does for a caller."""

    def ingest(index_codes: tuple[str, ...]) -> bool:
        failed = False
        for index_code in index_codes:
            try:
                answer: dict[str, object] = dict(ingestion.run(index_code).as_json())
            except BovespaError as error:
                failed = True
                answer = {"index": index_code, "status": "failed", "code": error.code, "detail": str(error)}
            click.echo(json.dumps(answer, ensure_ascii=False))
        return not failed

    return _ingest_command(ingest)


def ingest_command_without_settings(failure: click.ClickException) -> click.Command:
    """Return the same command where settings are missing: it is listed, and fails."""

    def fail(_index_codes: tuple[str, ...]) -> bool:
        raise failure

    return _ingest_command(fail)


def _ingest_command(ingest: Callable[[tuple[str, ...]], bool]) -> click.Command:
    @click.command("ingest")
    @click.option(
        "--index",
        "index_codes",
        type=click.Choice(INDEX_CODES),
        multiple=True,
        default=(DEFAULT_INDEX_CODE,),
        show_default=True,
        metavar="CODE",
        help="Index to fetch; may be given several times.",
    )
    @click.pass_context
    def command(context: click.Context, index_codes: tuple[str, ...]) -> None:
        """Fetch and store the session that B3 offers now, one JSON line an index.

        An index that fails does not keep the others from being stored; the exit code is 1 when one failed.
        """
        context.exit(0 if ingest(tuple(dict.fromkeys(index_codes))) else 1)

    return command


def import_command(connect: Callable[[], Importer], *, clock: Callable[[], dt.datetime]) -> click.Command:
    """Return the command that brings files of B3 into the raw bucket.

    Args:
        connect: Returns what imports, or raises what keeps it from doing so.
        clock: Tells the present, aware.
    """

    @click.command("import-csv")
    @click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print the report as one line of JSON.")
    @click.pass_context
    def command(context: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
        """Store files of B3 and every .csv below folders, of any index, in any order; then refine them in one run.

        Refused files are kept in quarantine and named with the reason; the exit code is 1 when there is one.
        """
        importer = connect()
        files = find_files(paths)
        # The report names what is worth a line, and lines would tear the bar.
        logging.getLogger("s3_bucket_manager").setLevel(logging.ERROR)
        with click.progressbar(
            length=len(files), label="Importing", file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True
        ) as bar:
            report = importer.run(files, new_import(clock(), files), advance=bar.update)
        click.echo(json.dumps(report.as_json(), ensure_ascii=False) if as_json else _import_text(report))
        context.exit(0 if report.is_complete else 1)

    return command


def _import_text(report: ImportReport) -> str:
    lines = [f"refused  {one.path}: {one.reason}" for one in report.refused]
    lines.append(
        f"{report.files} files: {report.stored} stored, {report.unchanged} unchanged, {len(report.refused)} refused"
    )
    if report.manifest_uri is not None:
        lines.append(f"One Glue run refines {len(report.sessions)} sessions: --sessions {report.made_by}")
    if report.interrupted_by is not None:
        lines.append(f"The import ended early: {report.interrupted_by}")
        lines.append("Import the same files again; what is stored already stays as it is.")
        if report.sessions and report.manifest_uri is None:
            lines.append("No run was started for what was stored; `flask --app app doctor --repair` starts one.")
    return "\n".join(lines)
