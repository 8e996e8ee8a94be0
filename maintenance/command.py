"""`flask --app app doctor`."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Sequence

import click

from bovespa.calendar import FIRST_YEAR, trading_days_before
from bovespa.errors import BovespaError
from bovespa.indexes import INDEX_CODES
from maintenance.doctor import Doctor
from maintenance.findings import Cure, Finding, Kind

_FIRST = f"{FIRST_YEAR}-01-01"
_LAST = "2199-12-30"
_DATE = click.DateTime(["%Y-%m-%d"])


def doctor_command(connect: Callable[[], Doctor]) -> click.Command:
    """Return the command that examines and repairs.

    Args:
        connect: Returns the doctor, or raises what keeps it from working.
    """

    @click.command("doctor", short_help="Find every gap in the lake, and mend it.")
    @click.option(
        "--index",
        "index_codes",
        type=click.Choice(INDEX_CODES),
        multiple=True,
        metavar="CODE",
        help="Index to examine; may be given several times. Default: every stored one.",
    )
    @click.option("--from", "first", type=_DATE, default=_FIRST, metavar="DATE", help="First session to examine.")
    @click.option("--to", "last", type=_DATE, default=_LAST, metavar="DATE", help="Last session to examine.")
    @click.option(
        "--trading-days",
        "trading_days_wanted",
        is_flag=True,
        help="Examine trading days with --index, too; report missing ones even if none was ever stored; compare rows "
        "with B3's files, each of which is read.",
    )
    @click.option("--repair", is_flag=True, help="Mend what can be mended, wait, and examine again.")
    @click.option("--json", "as_json", is_flag=True, help="Print the findings as one line of JSON.")
    @click.pass_context
    def command(
        context: click.Context,
        *,
        index_codes: tuple[str, ...],
        first: dt.datetime,
        last: dt.datetime,
        trading_days_wanted: bool,
        repair: bool,
        as_json: bool,
    ) -> None:
        """Compare calendar, source, raw, refined files, catalog and runs; name every gap and what to do about it.

        The exit code is 1 when something is wrong, or still is after a repair.
        """
        if first > last:
            raise click.UsageError("The period ends before it begins.")
        doctor = connect()
        period = first.date(), last.date()
        try:
            before = doctor.examine(index_codes, *period, trading_days_wanted=trading_days_wanted)
            problems: list[str] = []
            after = before
            if repair and any(one.cure.is_repairable for one in before):
                problems = doctor.repair(before, report=lambda line: click.echo(line, err=True))
                after = doctor.examine(index_codes, *period, trading_days_wanted=trading_days_wanted)
        except BovespaError as error:
            raise click.ClickException(str(error)) from error
        if as_json:
            answer: dict[str, object] = {
                "findings": [one.as_json() for one in after],
                "summary": _counts(after),
                "problems": problems,
            }
            if repair:
                answer["repaired"] = [one.as_json() for one in before if one not in after]
            click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            click.echo("\n".join([*_table(after), *problems, *_summary(before, after, repair=repair)]))
        context.exit(1 if after or problems else 0)

    return command


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(sorted(Counter(one.kind.value for one in findings).items()))


def _table(findings: Sequence[Finding]) -> list[str]:
    rows = [
        (
            _subject(group),
            group[0].kind.value,
            "--repair" if group[0].cure.is_repairable else group[0].cure.value,
            f"{group[0].detail} {group[0].remedy}",
        )
        for group in _gaps_together(findings)
    ]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def _gaps_together(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings, those that are days of one gap in one group."""
    groups: list[list[Finding]] = []
    for one in findings:
        before = groups[-1][-1] if groups else None
        is_next_day = (
            before is not None
            and before.session is not None
            and one.session is not None
            and one.kind is before.kind
            and one.kind in (Kind.MISSING_SESSION, Kind.MISSING_TRADING_DAY)
            and one.index_code == before.index_code
            and trading_days_before(one.session.session_date, 1) == [before.session.session_date]
        )
        if is_next_day:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _subject(group: Sequence[Finding]) -> str:
    first, last = group[0].session, group[-1].session
    if first is None or last is None:
        return group[0].index_code or "trading"
    return str(first) if first == last else f"{first} to {last.session_date} ({len(group)})"


def _summary(before: Sequence[Finding], after: Sequence[Finding], *, repair: bool) -> list[str]:
    lines = []
    if repair:
        lines.append(f"{len([one for one in before if one not in after])} of {len(before)} findings were mended.")
    if not after:
        return [*lines, "All is well with what is stored."]
    kinds = ", ".join(f"{count} {kind}" for kind, count in _counts(after).items())
    repairable = sum(one.cure.is_repairable for one in after)
    lost = sum(one.cure is Cure.NONE for one in after)
    return [
        *lines,
        f"{len(after)} findings: {kinds}.",
        f"{repairable} of them `--repair` can mend; {lost} are irrecoverable.",
    ]
