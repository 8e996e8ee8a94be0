"""The Flask application, put together from collaborators. Reads no environment and opens nothing."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from api import problems, security_headers
from api.authentication import require_tokens
from api.bovespa_day import bovespa_day_blueprint
from api.docs import docs_blueprint
from api.health import health_blueprint
from api.ingestion import Ingestion
from api.limits import limit_requests
from api.login import login_blueprint
from api.openapi import openapi_blueprint
from api.passwords import Passwords
from api.places import FETCHES, Places
from api.reports import EvidenceReader, reports_blueprint
from api.request_ids import correlate
from api.sessions import States, sessions_blueprint
from api.tokens import Tokens
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
    # OPTIONS would be one more answer that no contract describes; there is no CORS.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # A path with doubled slashes is none of ours; werkzeug would answer with a redirect made from the Host header.
    app.url_map.merge_slashes = False
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    passwords = Passwords(settings.users)
    tokens = Tokens(
        settings.users,
        secret=settings.jwt_secret,
        previous_secret=settings.jwt_secret_previous,
        # Its name holds account and region: no token of a test environment opens the real one.
        audience=settings.raw_bucket,
        lifetime_s=settings.token_lifetime_s,
    )
    correlate(app)
    app.before_request(_start_watch)
    login = login_blueprint(passwords, tokens, clock=clock)
    places = Places(FETCHES)
    fetches = (
        bovespa_day_blueprint(collaborators.ingestion, places),
        trading_day_blueprint(collaborators.trading_days, places),
    )
    # Before the tokens: a flood of bad ones is bounded, too.
    limit_requests(app, settings, logins=login, fetches=fetches)
    require_tokens(app, public=PUBLIC_ENDPOINTS, tokens=tokens, clock=clock)
    for blueprint in (
        login,
        *fetches,
        sessions_blueprint(collaborators.states, raw_bucket=settings.raw_bucket, clock=clock),
        reports_blueprint(collaborators.evidence),
        health_blueprint(collaborators.checks),
        openapi_blueprint(),
        docs_blueprint(),
    ):
        app.register_blueprint(blueprint)
    problems.register(app)
    app.after_request(_finish)
    return app


def _start_watch() -> None:
    g.started_s = time.perf_counter()


def _finish(response: Response) -> Response:
    """Headers that no answer goes without, and one log line a request; neither tokens nor bodies are logged."""
    security_headers.add(response, is_secure=request.is_secure)
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
