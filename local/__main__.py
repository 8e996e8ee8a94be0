"""`python -m local`: the whole pipeline on this machine, without AWS or Docker."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import logging
import os
import re
import shlex
import signal
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from bovespa.errors import BovespaError, ConfigurationError, InvalidRequest
from infrastructure.athena_queries import NULL, NamedQuery
from local.athena import ask
from local.cloud import PROJECT, CloudDidNotStart, client
from local.console import Progress, print_table
from local.demo import run_demo
from local.named_queries import named, queries_of
from local.pipeline import ApiDidNotStart, running_pipeline

RUNNING = PROJECT / ".local" / "running.json"
"""Where `up` leaves its cloud's address, so that `query` needs no variables."""
RUNNING_ENVIRONMENT = PROJECT / ".local" / "running.env"
"""Where it leaves the variables with which every other command reaches it, for a shell to read."""


_LAST_PORT = 65_535
_LINE = 80
"""Characters that every terminal has."""
_EXAMPLE_SQL = "SELECT ticker, participation_pct FROM portfolio ORDER BY 2 DESC LIMIT 5"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    # `kill` ends the command like Ctrl-C does: everything that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        status: int = arguments.command(arguments)
    except (BovespaError, CloudDidNotStart, ApiDidNotStart) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2 if isinstance(error, ConfigurationError | InvalidRequest) else 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="The whole pipeline on this machine, without AWS or Docker.",
        epilog="Begin with demo; then let up run, and ask it with query from another terminal.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    up = command("up", "run cloud, B3's stand-in and API until stopped")
    up.add_argument("--data", type=Path, metavar="DIR", help="keep the cloud's data in DIR; else it is lost at the end")
    up.add_argument("--sessions", type=_folder, metavar="DIR", help="B3's CSV files to serve; else synthetic sessions")
    up.add_argument(
        "--cotahist", type=_folder, metavar="DIR", help="B3's COTAHIST files to serve; by default those of --sessions"
    )
    up.add_argument("--port", type=_port, default=0, metavar="N", help="port of the API (default: a free one)")
    up.add_argument("--today", type=_date, metavar="DATE", help="the stand-in's day, YYYY-MM-DD")
    up.add_argument("--json", action="store_true", help="print one line of JSON when all is ready")
    up.set_defaults(command=_up)

    demo = command("demo", "run the main job from end to end and show the rows that Athena answers")
    demo.add_argument("--sessions", type=_folder, metavar="DIR", help="B3's CSV files; else a synthetic week of IBOV")
    demo.add_argument("--json", action="store_true", help="print rows and timings as one line of JSON")
    demo.set_defaults(command=_demo)

    query = command("query", "ask the running cloud's Athena, in SQL or with a named query")
    query.add_argument("question", nargs="?", metavar="SQL|NAME", help="one statement, or the name of a named query")
    query.add_argument(
        "--set",
        dest="values",
        action="append",
        default=[],
        type=_value,
        metavar="NAME=VALUE",
        help="value of a named query's parameter, may be repeated; `null` for no date",
    )
    query.add_argument("--list", action="store_true", help="list the named queries and their parameters")
    query.add_argument("--json", action="store_true", help="print columns and rows, or the list, as one line of JSON")
    query.set_defaults(command=_query, usage_error=query.error)

    notebooks = command("notebooks", "execute the Athena notebooks; write their pages and pictures")
    notebooks.add_argument(
        "paths", nargs="*", type=_file, metavar="NOTEBOOK", help="which (default: all of notebooks/)"
    )
    source = notebooks.add_mutually_exclusive_group()
    source.add_argument(
        "--sessions", type=_folder, metavar="DIR", help="B3's CSV files and COTAHIST records; else an invented history"
    )
    source.add_argument("--running", action="store_true", help="read the tables of the cloud of `up`, as they are")
    notebooks.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: build/notebooks)")
    notebooks.set_defaults(command=_notebooks)
    return parser


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_LAST_PORT}")
    return int(text)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2025-02-22") from None


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like index_code=IBOV")
    return name, value


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    return path


def _up(arguments: argparse.Namespace) -> int:
    progress = Progress()
    with running_pipeline(
        sessions=arguments.sessions,
        cotahist=arguments.cotahist,
        data=arguments.data,
        port=arguments.port,
        today=arguments.today,
        report=progress.say,
    ) as running:
        RUNNING.parent.mkdir(exist_ok=True)
        RUNNING.write_text(json.dumps({"aws": running.cloud.endpoint_url}), encoding="utf-8")
        _write_environment(running.environment)
        try:
            if arguments.json:
                sys.stdout.write(json.dumps(running.describe()) + "\n")
            else:
                sys.stdout.write(_welcome(running.api_url, running.stand_in.url, running.username, running.password))
                if arguments.data is None:
                    progress.say("the data is lost when this stops; --data DIR keeps it")
            sys.stdout.flush()
            status = running.api_process.wait()
        finally:
            RUNNING.unlink(missing_ok=True)
            RUNNING_ENVIRONMENT.unlink(missing_ok=True)
    raise ApiDidNotStart(f"The API ended by itself with exit status {status}.")


def _write_environment(environment: Mapping[str, str]) -> None:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    # There are keys in it, if only of a cloud that ends with this command.
    RUNNING_ENVIRONMENT.touch(mode=0o600)
    RUNNING_ENVIRONMENT.write_text("".join(lines), encoding="utf-8")


def _welcome(api: str, b3: str, username: str, password: str) -> str:
    return f"""
API            {api}/docs
B3's stand-in  {b3}
user           {username}
password       {password}

Try, in another terminal:
  TOKEN=$(curl -s {api}/login -H 'Content-Type: application/json' \\
      -d '{{"username":"{username}","password":"{password}"}}' | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')
  curl -s "{api}/bovespaDay?index=IBOV" -H "Authorization: Bearer $TOKEN"
And some seconds later, when the job has refined it:
  .venv/bin/python -m local query "{_EXAMPLE_SQL}"
  .venv/bin/python -m local query --list

Every command of `flask --app app` reaches this cloud from a shell that has read
{RUNNING_ENVIRONMENT.relative_to(PROJECT)} (type: . {RUNNING_ENVIRONMENT.relative_to(PROJECT)}).

README.md, "One session, by hand", shows more. Ctrl-C stops everything.

"""


_NEXT = """
All of it is gone now. `make up` keeps it running for questions of your own: README.md, "One session, by hand".
"""


def _demo(arguments: argparse.Namespace) -> int:
    progress = Progress()
    result = run_demo(arguments.sessions, progress)
    if arguments.json:
        answer = {"rows": result.answer.as_dicts(), "timings_s": progress.timings_s, "refused": dict(result.refused)}
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        print_table(
            result.leaders.columns, result.leaders.rows, title=f"The ten largest of {result.last_session}, from Athena"
        )
        print_table(
            result.answer.columns,
            result.answer.rows,
            title="Every session, from Athena: each row equals the totals of B3's own file",
        )
        sys.stderr.write(_NEXT)
    for session, reason in result.refused.items():
        sys.stderr.write(f"refused {session}: {reason}\n")
    return 1 if result.refused else 0


def _query(arguments: argparse.Namespace) -> int:
    question, values = arguments.question, dict(arguments.values)
    # No statement is a single word.
    is_name = question is not None and re.fullmatch(r"[\w-]+", question) is not None
    if arguments.list != (question is None):
        arguments.usage_error("give SQL, the name of a named query, or --list")
    if values and not is_name:
        arguments.usage_error("--set is for the parameters of a named query; SQL has none")
    if len(values) < len(arguments.values):
        arguments.usage_error("--set names a parameter twice")
    athena = client("athena", _endpoint_url())
    if arguments.list:
        _print_queries(queries_of(athena), as_json=arguments.json)
        return 0
    # From the workgroup, not from the files: what answers is what was deployed.
    answer = ask(athena, named(queries_of(athena), question).with_values(values) if is_name else question)
    if arguments.json:
        sys.stdout.write(json.dumps({"columns": answer.columns, "rows": answer.as_dicts()}) + "\n")
    else:
        print_table(answer.columns, answer.rows)
        sys.stderr.write(f"{len(answer.rows)} rows in {answer.elapsed_s:.1f} s\n")
    return 0


def _print_queries(queries: Sequence[NamedQuery], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "name": query.name,
                "question": query.question,
                "parameters": [dataclasses.asdict(parameter) for parameter in query.parameters],
            }
            for query in queries
        ]
        sys.stdout.write(json.dumps({"queries": listed}) + "\n")
        return
    # No table: with question and parameters side by side, it would be wider than any terminal.
    for query in queries:
        defaults = (f"{each.name}={NULL if each.default is None else each.default}" for each in query.parameters)
        question = textwrap.fill(query.question, _LINE, initial_indent="    ", subsequent_indent="    ")
        sys.stdout.write(f"{' '.join((query.name, *defaults))}\n{question}\n")
    sys.stderr.write("Ask one: .venv/bin/python -m local query NAME [--set PARAMETER=VALUE ...]\n")


def _notebooks(arguments: argparse.Namespace) -> int:
    # Imported here, because the other commands need neither Jupyter nor the time that it takes to load.
    from local.notebooks import OUTPUT, run_notebooks  # noqa: PLC0415

    progress = Progress()
    endpoint_url = _endpoint_url() if arguments.running else None
    written = run_notebooks(
        arguments.sessions,
        arguments.out or OUTPUT,
        endpoint_url=endpoint_url,
        notebooks=arguments.paths,
        report=progress.say,
    )
    for path in written:
        sys.stdout.write(f"{path}\n")
    return 0


def _endpoint_url() -> str:
    """The running cloud: what the environment says, else what `up` left behind."""
    if url := os.environ.get("AWS_ENDPOINT_URL"):
        return url
    if RUNNING.is_file():
        url = json.loads(RUNNING.read_text(encoding="utf-8"))["aws"]
        return str(url)
    raise ConfigurationError(
        "No local cloud is running: start one with `make up` (`python -m local up`) in another terminal."
    )


if __name__ == "__main__":
    sys.exit(main())
