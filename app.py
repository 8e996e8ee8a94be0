"""The composition root: settings become clients, clients become collaborators, collaborators become the API.

`python app.py` serves it; `flask --app app` shows its commands. Importing this module does nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from types import FrameType
from typing import NoReturn

import click
import pyarrow as pa
from flask import Flask
from flask.cli import FlaskGroup

from api.application import Collaborators, build_application
from api.attempts import Patience
from api.commands import hash_password_command, ingest_command
from api.health import run_checks
from api.http_server import listening_server
from api.import_commands import import_cotahist_command, import_csv_command
from api.importing import Importer
from api.ingestion import Ingestion
from api.report_commands import report_command
from api.secret_settings import with_secret
from api.trading_commands import ingest_trading_day_command
from api.trading_importing import TradingImporter
from api.trading_ingestion import TradingDayIngestion
from bovespa.errors import BrowserNotFound, ConfigurationError, SourceError
from bovespa.fetched import FetchedFile, FetchedTradingDay
from bovespa.layout import Import
from bovespa.log_lines import log_handler
from bovespa.settings import Settings
from maintenance.command import doctor_command
from maintenance.doctor import Doctor
from maintenance.inventory import InventoryReader
from maintenance.trading_reader import TradingReader
from s3_bucket_manager.aws import client, storage_errors
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.secret import read_secret
from s3_bucket_manager.session_evidence import SessionEvidence
from s3_bucket_manager.session_states import SessionStates
from s3_bucket_manager.trading_store import TradingStore
from scrap.browser_detection import InstalledBrowser, find_browser
from scrap.endpoint import fetch_portfolio_over_https
from scrap.scrap import fetch_portfolio_csv
from scrap.trading_day import fetch_trading_day

log = logging.getLogger("bovespa")


def utc_now() -> dt.datetime:
    """Return the present, aware."""
    return dt.datetime.now(dt.UTC)


class WrongSettings(click.ClickException):
    """A command cannot run with these settings; click shows the message without a traceback."""

    exit_code = 2


def create_app(
    settings: Settings | None = None,
    collaborators: Collaborators | None = None,
    *,
    clock: Callable[[], dt.datetime] = utc_now,
) -> Flask:
    """Return the API. Without arguments, as `flask --app app` calls it, everything comes from the environment.

    Args:
        settings: The settings; None reads the environment.
        collaborators: What the API works with; None connects to AWS and the installed browser.
        clock: Tells the present, aware.

    Raises:
        ConfigurationError: A setting is missing or wrong; the message names every one.
    """
    command = click.get_current_context(silent=True)
    try:
        settings = settings or settings_from_environ()
        collaborators = collaborators or connect(settings)
        app = build_application(settings, collaborators, clock=clock)
    except ConfigurationError as error:
        if command is None:
            raise
        failure = WrongSettings(str(error))
        # While Flask's command group still looks for a command, it may be for the one that needs no settings.
        if isinstance(command.command, FlaskGroup):
            return _commands_without_settings(failure)
        raise failure from error
    known, ingestion = settings, collaborators.ingestion
    _add_commands(app, lambda: known, lambda: ingestion)
    if command is not None:
        configure_logging(settings.log_format)
    return app


def settings_from_environ() -> Settings:
    """Return the settings of the environment, and of the secret that `BOVESPA_SECRET_ID` names, if it names one.

    Raises:
        ConfigurationError: A setting is missing or wrong, or the secret cannot be read.
    """
    return Settings.from_environ(with_secret(os.environ, read_secret))


def connect(settings: Settings) -> Collaborators:
    """Return the collaborators that the settings and AWS's own environment variables name. No request is sent yet."""
    return Connected(settings).collaborators()


class Connected:
    """What works on the lake that the settings name, all with the same two clients. No request is sent yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._s3, self._glue = client("s3"), client("glue")
        self._buckets = {"raw_bucket": settings.raw_bucket, "refined_bucket": settings.refined_bucket}
        self._states = SessionStates(self._s3, self._glue, **self._buckets, glue_job=settings.glue_job)

    def collaborators(self) -> Collaborators:
        """Return what the API works with."""
        known = self._settings
        browser, impatient_s3 = Browser(known.browser), client("s3", impatient=True)

        def by_browser(index_code: str, timeout_s: float) -> FetchedFile:
            found = browser.find()
            try:
                return fetch_portfolio_csv(index_code, b3_url=known.b3_url, browser=found, timeout_s=timeout_s)
            except SourceError:
                # A browser that has updated itself no longer starts with the driver that fitted before.
                browser.forget(found)
                raise

        def over_https(index_code: str, timeout_s: float) -> FetchedFile:
            return fetch_portfolio_over_https(index_code, b3_url=known.b3_url, timeout_s=timeout_s)

        def head_bucket(bucket: str) -> None:
            with storage_errors(f"asking for s3://{bucket}"):
                impatient_s3.head_bucket(Bucket=bucket)

        return Collaborators(
            ingestion=Ingestion(
                {"browser": by_browser, "https": over_https},
                self._raw_store(),
                patience=Patience(known.download_timeout_s, known.download_attempts),
            ),
            trading_days=self.trading_days(),
            states=self._states,
            evidence=self.evidence(),
            checks={
                **{name: partial(head_bucket, bucket) for name, bucket in self._buckets.items()},
                "browser": browser.find,
            },
        )

    def evidence(self) -> SessionEvidence:
        """Return what reads all that is known of a session."""
        return SessionEvidence(self._s3, self._glue, self._states, **self._buckets, glue_job=self._settings.glue_job)

    def trading_days(self) -> TradingDayIngestion:
        """Return what fetches and stores trading days."""
        known = self._settings

        def fetch(session_date: dt.date) -> FetchedTradingDay:
            return fetch_trading_day(session_date, cotahist_url=known.cotahist_url, timeout_s=known.download_timeout_s)

        return TradingDayIngestion(fetch, self._trading_store(), clock=utc_now)

    def importer(self) -> Importer:
        """Return what stores files of portfolios."""
        return Importer(self._raw_store(), clock=utc_now)

    def trading_importer(self) -> TradingImporter:
        """Return what stores files of trading days."""
        return TradingImporter(self._trading_store(), clock=utc_now)

    def doctor(self) -> Doctor:
        """Return what finds and mends what is wrong with the lake."""
        database = self._settings.database

        def fetch(days: Sequence[dt.date], report: Callable[[str], None]) -> list[str]:
            made_by = Import.at(utc_now(), prefix="repair-trading-")
            return self.trading_days().bring(days, made_by, report)

        return Doctor(
            InventoryReader(self._s3, self._glue, self._states, **self._buckets, database=database),
            self._raw_store(),
            self._glue,
            trading=TradingReader(self._s3, self._glue, self._states, **self._buckets, database=database),
            fetch_trading_days=fetch,
            glue_job=self._settings.glue_job,
            clock=utc_now,
        )

    def _raw_store(self) -> RawStore:
        return RawStore(self._s3, self._settings.raw_bucket)

    def _trading_store(self) -> TradingStore:
        return TradingStore(self._s3, self._settings.raw_bucket)


class Browser:
    """The installed browser, looked for when it is first needed and then remembered."""

    LOOKS_AGAIN_AFTER_S = 60.0
    """To look for one may mean to ask the network for a driver, and anybody may ask for `/health`."""

    def __init__(self, preference: str, *, search: Callable[[str], InstalledBrowser] = find_browser) -> None:
        self._preference = preference
        self._search = search
        self._lock = Lock()
        self._found: InstalledBrowser | None = None
        self._missed: str | None = None
        self._missed_at_s = 0.0

    def find(self) -> InstalledBrowser:
        """Return the browser.

        Raises:
            BrowserNotFound: There is none; a call a minute later looks again.
        """
        with self._lock:
            if self._missed is not None and time.monotonic() < self._missed_at_s + self.LOOKS_AGAIN_AFTER_S:
                raise BrowserNotFound(self._missed)
            if self._found is None:
                try:
                    self._found = self._search(self._preference)
                except BrowserNotFound as error:
                    self._missed, self._missed_at_s = str(error), time.monotonic()
                    raise
            self._missed = None
            return self._found

    def forget(self, browser: InstalledBrowser) -> None:
        """Look for one anew at the next call, if *browser* is the one that was found."""
        with self._lock:
            if self._found == browser:
                self._found = None


def serve(settings: Settings, collaborators: Collaborators) -> None:
    """Serve the API until SIGTERM or SIGINT, then let the fetches under way finish.

    Raises:
        ConfigurationError: A password hash is none, or the address cannot be listened on.
    """
    # Arrow's own allocator keeps memory for each thread that ever made a table: 87 MB for all of the server's.
    pa.set_memory_pool(pa.system_memory_pool())
    app = create_app(settings, collaborators)
    try:
        server = listening_server(
            app, host=settings.host, port=settings.port, behind_proxies=bool(settings.trusted_proxies)
        )
    except OSError as error:
        raise ConfigurationError(f"Cannot listen on {settings.host}:{settings.port}: {error}.") from error
    run_checks(collaborators.checks)  # finds the browser before the first caller waits for it; gaps go to the log
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    log.info("listening on http://%s:%d", settings.host, settings.port)
    server.run()
    server.close()
    portfolios_are_done = collaborators.ingestion.wait_until_idle(settings.download_timeout_s)
    if not (collaborators.trading_days.wait_until_idle(settings.download_timeout_s) and portfolios_are_done):
        log.warning("stopping with fetches under way")
    log.info("stopped")


def main() -> int:
    """Run `python app.py`; return its exit status."""
    try:
        settings = settings_from_environ()
        configure_logging(settings.log_format)
        serve(settings, connect(settings))
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
        return WrongSettings.exit_code
    return 0


def configure_logging(log_format: str) -> None:
    """Log to standard error, each event with its fields. For entry points only.

    Args:
        log_format: One of `bovespa.log_lines.LOG_FORMATS`.
    """
    handler = log_handler(log_format, service="bovespa-api", stream=sys.stderr)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It tells of each client where its endpoint and its credentials were found, which is about no session.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def _commands_without_settings(failure: click.ClickException) -> Flask:
    """An application that is never served: it only lets Flask find the commands."""
    app = Flask("bovespa", static_folder=None)

    def fail() -> NoReturn:
        raise failure

    _add_commands(app, fail, fail)
    return app


def _add_commands(app: Flask, settings: Callable[[], Settings], ingestion: Callable[[], Ingestion]) -> None:
    """Add the commands. None connects before it runs; *settings* and *ingestion* may raise why it cannot."""

    def connected() -> Connected:
        return Connected(settings())

    app.cli.add_command(hash_password_command)
    app.cli.add_command(ingest_command(ingestion))
    app.cli.add_command(report_command(lambda: connected().evidence()))
    app.cli.add_command(import_csv_command(lambda: connected().importer(), clock=utc_now))
    app.cli.add_command(import_cotahist_command(lambda: connected().trading_importer(), clock=utc_now))
    app.cli.add_command(ingest_trading_day_command(lambda: connected().trading_days(), clock=utc_now))
    app.cli.add_command(doctor_command(lambda: connected().doctor()))


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    # waitress's loop ends on SystemExit; it is not seen outside.
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main())
