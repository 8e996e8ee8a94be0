"""`GET /sessions/<index>/<date>/report`: all that is known of one stored session, as JSON or as a page."""

from __future__ import annotations

from typing import Protocol

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from api.parameters import parse_date, query
from api.report_page import CONTENT_SECURITY_POLICY, render_report
from bovespa.indexes import require_index_code
from bovespa.layout import Session
from bovespa.session_report import Evidence, session_report

_MEDIA_TYPES = ["application/json", "text/html"]


class EvidenceReader(Protocol):
    """Where what is known of a session is read."""

    def of(self, session: Session) -> Evidence:
        """What there is of a stored session; `SessionNotStored` if it is not."""


def reports_blueprint(evidence: EvidenceReader) -> Blueprint:
    """Return the route that reports.

    Args:
        evidence: Where what is known of a session is read.
    """
    blueprint = Blueprint("reports", __name__)

    @blueprint.get("/sessions/<index>/<date>/report")
    def report(index: str, date: str) -> ResponseReturnValue:
        query()
        made = session_report(evidence.of(Session(require_index_code(index), parse_date(date))))
        # The first one is what a caller gets who takes anything, or asks for something else.
        if request.accept_mimetypes.best_match(_MEDIA_TYPES, default=_MEDIA_TYPES[0]) == "text/html":
            response = Response(render_report(made), content_type="text/html; charset=utf-8")
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        else:
            response = jsonify(made)
        response.headers["Vary"] = "Accept"
        return response

    return blueprint
