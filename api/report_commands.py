"""The command of `flask --app app` that reports what is known of one stored session."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import click

from api.report_page import render_report
from api.reports import EvidenceReader
from bovespa.errors import BovespaError
from bovespa.indexes import DEFAULT_INDEX_CODE, INDEX_CODES
from bovespa.layout import Session
from bovespa.session_report import session_report


def report_command(connect: Callable[[], EvidenceReader]) -> click.Command:
    """Return the command that does what `GET /sessions/<index>/<date>/report` does.

    Args:
        connect: Returns what reads the lake, or raises what keeps it from doing so.
    """

    @click.command("report", short_help="Show what is known of one stored session.")
    @click.option(
        "--index",
        "index_code",
        type=click.Choice(INDEX_CODES),
        default=DEFAULT_INDEX_CODE,
        show_default=True,
        metavar="CODE",
        help="Index of the session.",
    )
    @click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DATE", help="Its date.")
    @click.option("--json", "as_json", is_flag=True, help="Print the report as one line of JSON.")
    @click.option(
        "--html",
        "page",
        type=click.File("w", encoding="utf-8", lazy=True),
        metavar="FILE",
        help="Write the report as a page to FILE; - is standard output.",
    )
    @click.pass_context
    def command(
        context: click.Context, *, index_code: str, day: dt.datetime, as_json: bool, page: TextIO | None
    ) -> None:
        """Report what is known of one stored session: what arrived, checks, changes, timings.

        The exit code is 1 when a check failed, or when there is nothing to report.
        """
        if as_json and page is not None:
            raise click.UsageError("--json and --html are two forms of one report: give one or the other.")
        try:
            report = session_report(connect().of(Session(index_code, day.date())))
        except BovespaError as error:
            raise click.ClickException(str(error)) from error
        if page is not None:
            page.write(render_report(report))
        else:
            click.echo(json.dumps(report, ensure_ascii=False) if as_json else "\n".join(_lines(report)))
        context.exit(1 if any(check["result"] == "failed" for check in report["checks"]) else 0)

    return command


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    arrival, timings, changes = report["arrival"], report["timings"], report["changes"]
    yield f"{report['index']}/{report['session_date']}  {report['state']}  correlation id {report['correlation_id']}"
    yield (
        f"{arrival['rows']} shares, {arrival['total_theoretical_quantity']} in all, "
        f"Redutor {arrival['reductor']}, by {arrival['way']} at {timings['received_at']}"
    )
    for check in report["checks"]:
        is_failed = check["result"] == "failed"
        figure = f"must be {check['expected']}, is {check['found']}" if is_failed else check["expected"]
        yield f"{check['result']:<8} {check['name']}: {figure}"
    if changes is None:
        yield "The first stored session of its index."
    else:
        counted = ", ".join(
            f"{len(changes[name])} {label}"
            for name, label in (
                ("entries", "entries"),
                ("exits", "exits"),
                ("quantity_changes", "changes of quantity"),
                ("corporate_events", "changes of corporate events"),
            )
        )
        yield f"Since {changes['previous_session_date']}: {counted}"
        reductor = changes["reductor"]
        yield f"Redutor {reductor['before']} -> {reductor['after']}"
        for move in changes["participation_moves"]:
            yield f"  {move['ticker']:<6} {move['before_pct']} % -> {move['after_pct']} %  {move['change_pp']} pp"
    for name in ("storing_s", "waiting_s", "refining_s", "total_s"):
        yield f"{name:<10} {'-' if timings[name] is None else timings[name]}"
    if report["run"] is not None:
        yield f"run {report['run']['id']} {report['run']['state']}"
