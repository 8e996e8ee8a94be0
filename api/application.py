"""The Flask application, put together from collaborators. Reads no environment and opens nothing."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response, g, request

from api import problems
from api.authentication import require_tokens
from api.bovespa_day import bovespa_day_blueprint
from api.commands import hash_password_command, ingest_command
from api.docs import docs_blueprint
from api.health import health_blueprint
from api.ingestion import Ingestion
from api.login import login_blueprint
from api.openapi import openapi_blueprint
from api.passwords import Passwords
from api.reports import EvidenceReader, reports_blueprint
from api.request_ids import correlate
from api.sessions import States, sessions_blueprint
from api.trading_day import trading_day_blueprint
from api.trading_ingestion import TradingDayIngestion
from bovespa.settings import Settings

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
"""The only body is that of a login."""

PUBLIC_ENDPOINTS = frozenset({"login.login", "health.health", "openapi.openapi", "docs.docs"})


@dataclass(frozen=True)
class Collaborators:
    """What the API works with."""

    ingestion: Ingestion
    """Fetches and stores portfolios."""
    trading_days: TradingDayIngestion
    """Fetches and stores trading days."""
    states: States
    """Tells how far sessions have come."""
    checks: Mapping[str, Callable[[], object]]
    """What must be there, by name; each raises a `BovespaError` when it is not."""
    evidence: EvidenceReader
    """Reads what a report of a session is made from."""


def build_application(settings: Settings, collaborators: Collaborators, *, clock: Callable[[], dt.datetime]) -> Flask:
    """Return the application with all routes and commands.

    Raises:
        ConfigurationError: A password hash in the settings is none.
    """
    app = Flask("bovespa", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    passwords = Passwords(settings.users)
    correlate(app)
    app.before_request(_start_watch)
    require_tokens(app, public=PUBLIC_ENDPOINTS, secret=settings.jwt_secret, users=passwords, clock=clock)
    for blueprint in (
        login_blueprint(passwords, secret=settings.jwt_secret, lifetime_s=settings.token_lifetime_s, clock=clock),
        bovespa_day_blueprint(collaborators.ingestion),
        trading_day_blueprint(collaborators.trading_days),
        sessions_blueprint(collaborators.states, raw_bucket=settings.raw_bucket, clock=clock),
        reports_blueprint(collaborators.evidence),
        health_blueprint(collaborators.checks),
        openapi_blueprint(),
        docs_blueprint(),
    ):
        app.register_blueprint(blueprint)
    problems.register(app)
    app.after_request(_finish)
    app.cli.add_command(hash_password_command)
    app.cli.add_command(ingest_command(collaborators.ingestion))
    return app


def _start_watch() -> None:
    g.started_s = time.perf_counter()


def _finish(response: Response) -> Response:
    """Headers that no answer goes without, and one log line a request; neither tokens nor bodies are logged."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    log.info(
        "answered",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "user": g.get("user"),
            "elapsed_ms": round((time.perf_counter() - g.started_s) * 1000),
        },
    )
    return response
