"""The commands of `flask --app app`: what cron and an operator run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from api.ingestion import Ingestion
from api.passwords import hash_password
from bovespa.correlation import correlated, new_correlation_id
from bovespa.errors import BovespaError
from bovespa.indexes import DEFAULT_INDEX_CODE, INDEX_CODES


@click.command("hash-password", short_help="Print the hash of a password, as BOVESPA_USERS holds it.")
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


def ingest_command(connect: Callable[[], Ingestion]) -> click.Command:
    """Return the command that does for cron what `GET /bovespaDay` does for a caller.

    Args:
        connect: Returns what fetches and stores, or raises what keeps it from doing so.
    """

    @click.command("ingest", short_help="Fetch and store the session that B3 offers now.")
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
        ingestion = connect()
        failed = False
        for index_code in dict.fromkeys(index_codes):
            try:
                with correlated(new_correlation_id()):
                    answer: dict[str, object] = dict(ingestion.run(index_code).as_json())
            except BovespaError as error:
                failed = True
                answer = {"index": index_code, "status": "failed", "code": error.code, "detail": str(error)}
            click.echo(json.dumps(answer, ensure_ascii=False))
        context.exit(1 if failed else 0)

    return command
