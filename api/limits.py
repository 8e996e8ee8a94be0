"""How often one client address may ask: all routes together, logins and fetches more tightly."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter, RateLimitExceeded
from limits import parse

from api import problems
from api.client_address import client_address
from api.errors import TooManyRequests
from bovespa.settings import Settings

_WINDOW_S = 60


def limit_requests(app: Flask, settings: Settings, *, logins: Blueprint, fetches: Iterable[Blueprint]) -> None:
    """Refuse what comes too often, before anything else looks at the request.

    The counts are in this process's memory, which is right as long as there is one process (ADR 24).

    Args:
        app: The application; *logins* and *fetches* are registered with it afterwards.
        settings: How many requests of each kind a minute.
        logins: The route that checks passwords.
        fetches: The routes that ask B3; they share one limit.
    """
    limiter = Limiter(
        key_func=lambda: client_address(request.remote_addr),
        storage_uri="memory://",
        # Two counters for each address, whatever the limit, and no burst of twice the limit around a full minute.
        strategy="sliding-window-counter",
        application_limits=[f"{settings.requests_per_minute} per minute"],
        fail_on_first_breach=True,
    )
    limiter.init_app(app)
    limiter.limit(f"{settings.logins_per_minute} per minute")(logins)
    together = limiter.shared_limit(f"{settings.fetches_per_minute} per minute", scope="fetches")
    for blueprint in fetches:
        together(blueprint)

    def refuse(error: RateLimitExceeded) -> ResponseReturnValue:
        current = limiter.current_limit
        left_s = math.ceil(current.reset_at - time.time()) if current else _WINDOW_S
        return problems.answer(_too_many(error.limit.limit.amount, min(max(left_s, 1), _WINDOW_S)))

    app.register_error_handler(RateLimitExceeded, refuse)
    any_request = parse(f"{settings.requests_per_minute} per minute")

    @app.before_request
    def limit_what_no_route_takes() -> ResponseReturnValue | None:
        """The library counts what reaches a route; a path or method that none has is an answer and a log line, too."""
        address = client_address(request.remote_addr)
        if request.url_rule is not None or limiter.limiter.hit(any_request, "no route", address):
            return None
        return problems.answer(_too_many(any_request.amount, _WINDOW_S))


def _too_many(amount: int, retry_after_s: int) -> TooManyRequests:
    return TooManyRequests(
        f"More than {amount} such requests in a minute came from your address.", retry_after_s=retry_after_s
    )
