"""The command of `flask --app app` that fetches trading days."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import click

from api.trading_ingestion import IngestedTradingDay, TradingDayIngestion
from bovespa.calendar import FIRST_YEAR, trading_days
from bovespa.clock import last_finished_session
from bovespa.correlation import correlated, new_correlation_id
from bovespa.errors import BovespaError
from bovespa.layout import Import

_DATE = click.DateTime(["%Y-%m-%d"])


def ingest_trading_day_command(
    connect: Callable[[], TradingDayIngestion], *, clock: Callable[[], dt.datetime]
) -> click.Command:
    """Return the command that does for cron what `GET /tradingDay` does for a caller, for many days if wanted.

    Args:
        connect: Returns what fetches and stores, or raises what keeps it from doing so.
        clock: Tells the present, aware.
    """

    @click.command("ingest-trading-day", short_help="Fetch and store B3's record of a trading day.")
    @click.option(
        "--date", "day", type=_DATE, metavar="DATE", help="Day to fetch; the last finished session by default."
    )
    @click.option("--from", "first", type=_DATE, metavar="DATE", help="First of many days to fetch.")
    @click.option(
        "--to", "last", type=_DATE, metavar="DATE", help="Last of them; the last finished session by default."
    )
    @click.pass_context
    def command(
        context: click.Context, *, day: dt.datetime | None, first: dt.datetime | None, last: dt.datetime | None
    ) -> None:
        """Fetch and store B3's record of a trading day, or of each of a period, one JSON line a day.

        A day that fails does not keep the others from being stored; the exit code is 1 when one failed. A period
        causes one Glue run.
        """
        if day is not None and (first is not None or last is not None):
            raise click.UsageError("--date is one day, --from and --to are many: give one or the other.")
        if last is not None and first is None:
            raise click.UsageError("--to needs --from.")
        ingestion = connect()
        if first is None:
            context.exit(0 if _one(ingestion, day.date() if day else None, clock()) else 1)
        latest = last_finished_session(clock())
        period = first.date(), min(last.date(), latest) if last else latest
        if first.year < FIRST_YEAR:
            raise click.UsageError(f"B3's calendar is known from {FIRST_YEAR} on.")
        days = list(trading_days(*period))
        if not days:
            raise click.UsageError(f"There is no finished session from {period[0]} to {period[1]}.")
        made_by = Import.at(clock(), prefix="trading-")
        failed: list[bool] = []
        try:
            with correlated(made_by.import_id):
                for one, outcome in ingestion.run_many(days, made_by):
                    failed.append(isinstance(outcome, BovespaError))
                    click.echo(_line(one, outcome))
        except BovespaError as error:
            raise click.ClickException(f"{error} `flask --app app doctor --repair` refines what is stored.") from error
        if len(failed) < len(days):
            click.echo(f"Ended early: {len(days) - len(failed)} of {len(days)} days were not asked for.", err=True)
        context.exit(1 if any(failed) else 0)

    return command


def _one(ingestion: TradingDayIngestion, day: dt.date | None, moment: dt.datetime) -> bool:
    day = day or last_finished_session(moment)
    outcome: IngestedTradingDay | BovespaError
    try:
        with correlated(new_correlation_id()):
            outcome = ingestion.run(day)
    except BovespaError as error:
        outcome = error
    click.echo(_line(day, outcome))
    return not isinstance(outcome, BovespaError)


def _line(day: dt.date, outcome: IngestedTradingDay | BovespaError) -> str:
    answer: dict[str, object]
    if isinstance(outcome, BovespaError):
        answer = {"session_date": str(day), "status": "failed", "code": outcome.code, "detail": str(outcome)}
    else:
        answer = dict(outcome.as_json())
    return json.dumps(answer, ensure_ascii=False)
