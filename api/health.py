"""`GET /health`: whether this process answers, and whether what it needs does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.parameters import query
from bovespa import __version__
from bovespa.errors import BovespaError

log = logging.getLogger(__name__)


def health_blueprint(checks: Mapping[str, Callable[[], object]]) -> Blueprint:
    """Return the route that runs *checks*, each of which raises a `BovespaError` when its part is not there.

    Anybody may ask, so the answer names the parts but not what is wrong with them; the log does.
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def health() -> ResponseReturnValue:
        query()
        answers = run_checks(checks)
        well = all(answer == "ok" for answer in answers.values())
        body = {"status": "ok" if well else "unavailable", "version": __version__, "checks": answers}
        return body, 200 if well else 503

    return blueprint


def run_checks(checks: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Return `ok` or `unavailable` for each check; what is wrong goes to the log."""
    return {name: _run(name, check) for name, check in checks.items()}


def _run(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except BovespaError as error:
        log.warning("not ready", extra={"check": name, "why": str(error)})
        return "unavailable"
    return "ok"
