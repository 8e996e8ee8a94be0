"""The OpenAPI 3.1 document of this API, and `GET /openapi.json`. A test holds it equal to routes and answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.parameters import query
from api.problems import KINDS, MEDIA_TYPE
from api.sessions import DEFAULT_DAYS, MAX_DAYS
from bovespa import __version__
from bovespa.clock import PUBLISHED_FROM
from bovespa.indexes import DEFAULT_INDEX_CODE, INDEX_CODES
from bovespa.records import StoreStatus
from bovespa.session_report import MAX_MOVES
from bovespa.session_state import State

Node = dict[str, Any]

_ANY_ROUTE = ("unknown_parameter", "bad_request", "too_many_requests", "internal")
_TOKEN = ("token_missing", "token_invalid", "token_expired")

_TEXT = {"type": "string"}
_DATE = {"type": "string", "format": "date", "examples": ["2025-02-03"]}
_MOMENT = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_INDEX = {"type": "string", "enum": list(INDEX_CODES)}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_S3_URI = {"type": "string", "pattern": "^s3://"}
_CORRELATION_ID = {
    "type": "string",
    "description": "What follows the session through logs and runs: the `X-Request-ID` of the request that stored it.",
}
_STATUS = {"type": "string", "enum": [status.value for status in StoreStatus]}
_STATE = {"type": "string", "enum": [state.value for state in State]}


def _object(properties: Mapping[str, Any], *, optional: tuple[str, ...] = (), description: str = "") -> Node:
    return {
        "type": "object",
        **({"description": description} if description else {}),
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_DECIMAL = {
    "type": "string",
    "pattern": r"^[+-]?\d+\.\d+$",
    "description": "Text, because a JSON number would lose digits.",
}
_DURATION = {"type": "number", "minimum": 0}


def _or_null(schema: Mapping[str, Any]) -> Node:
    return {**schema, "type": [schema["type"], "null"]}


_MEMBER = _object(
    {
        "ticker": _TEXT,
        "company": _TEXT,
        "share_class": _TEXT,
        "theoretical_quantity": _COUNT,
        "participation_pct": _DECIMAL,
    }
)

_BRIEF_STATE = {
    "session_date": _DATE,
    "state": _STATE,
    "trading_day": {"type": "boolean", "description": "Whether B3 trades on that day."},
}

_RUN = _object(
    {"id": _TEXT, "state": _TEXT, "started_at": _MOMENT, "error": {"type": ["string", "null"]}},
    description="The Glue run that `refining` or `failed` speaks of.",
)

_SCHEMAS: dict[str, Node] = {
    "Credentials": {
        "type": "object",
        "properties": {
            "username": {"type": "string", "minLength": 1},
            "password": {"type": "string", "minLength": 1},
        },
        "required": ["username", "password"],
    },
    "Token": _object(
        {
            "access_token": _TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
        }
    ),
    "Ingested": _object(
        {
            "index": _INDEX,
            "session_date": _DATE | {"description": "The session the portfolio is valid for, as B3's file says."},
            "rows": {"type": "integer", "minimum": 1, "description": "Shares in the portfolio."},
            "status": _STATUS | {"description": "`unchanged`: the session was stored before with the same values."},
            "raw_uri": _S3_URI | {"description": "The Parquet object."},
            "source_uri": _S3_URI | {"description": "The bytes that B3 sent this time."},
            "source_sha256": _SHA256,
            "total_theoretical_quantity": _COUNT | {"description": "The file's own total, in shares."},
            "reductor": {
                "type": "string",
                "pattern": r"^\d+\.\d{8}$",
                "description": "Text, because a JSON number would lose digits.",
            },
            "way": {
                "type": "string",
                "enum": ["browser", "https"],
                "description": "How B3's file was obtained: from its page, or from the endpoints that the page calls.",
            },
            "attempts": {"type": "integer", "minimum": 1, "description": "How many it took, of both ways together."},
            "elapsed_ms": _COUNT,
        }
    ),
    "IngestedTradingDay": _object(
        {
            "session_date": _DATE | {"description": "The trading day, as B3's file says."},
            "records": {"type": "integer", "minimum": 3, "description": "Of B3's file, header and trailer included."},
            "rows": {"type": "integer", "minimum": 1, "description": "Tickers that traded in the cash market."},
            "status": _STATUS | {"description": "`unchanged`: the day was stored before with the same values."},
            "raw_uri": _S3_URI | {"description": "The Parquet object."},
            "source_uri": _S3_URI | {"description": "The ZIP that B3 sent this time."},
            "source_sha256": _SHA256,
            "trades": _COUNT | {"description": "Of the cash market."},
            "volume_brl": {
                "type": "string",
                "pattern": r"^\d+\.\d{2}$",
                "description": "Of the cash market. Text, because a JSON number would lose digits.",
            },
            "elapsed_ms": _COUNT,
        }
    ),
    "SessionState": _object(
        {
            "index": _INDEX,
            **_BRIEF_STATE,
            "raw_uri": _S3_URI,
            "stored_at": _MOMENT,
            "source_uri": _S3_URI,
            "source_sha256": _SHA256,
            "rows": _COUNT,
            "view": {"type": "string", "enum": ["code", "sector"]},
            "received_at": _MOMENT,
            "code_version": _TEXT,
            "correlation_id": _CORRELATION_ID,
            "run": _RUN,
        },
        optional=(
            *("raw_uri", "stored_at", "source_uri", "source_sha256"),
            *("rows", "view", "received_at", "code_version", "correlation_id", "run"),
        ),
    ),
    "SessionReport": _object(
        {
            "index": _INDEX,
            **_BRIEF_STATE,
            "correlation_id": _or_null(_CORRELATION_ID),
            "arrival": _object(
                {
                    "source_uri": _or_null(_S3_URI | {"description": "The bytes that B3 sent."}),
                    "source_sha256": _or_null(_SHA256),
                    "source_bytes": _or_null(_COUNT | {"description": "How many; null if they are gone."}),
                    "source_url": _or_null(_TEXT),
                    "raw_uri": _S3_URI,
                    "way": _or_null(_TEXT),
                    "view": _TEXT,
                    "code_version": _or_null(_TEXT),
                    "rows": _COUNT,
                    "total_theoretical_quantity": _COUNT,
                    "total_participation_pct": _DECIMAL,
                    "reductor": _DECIMAL,
                }
            ),
            "checks": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "result": {"type": "string", "enum": ["passed", "failed", "pending"]},
                        "expected": _TEXT,
                        "found": _or_null(_TEXT),
                    }
                ),
            },
            "changes": _or_null(
                _object(
                    {
                        "previous_session_date": _DATE,
                        "sessions_missing_between": _COUNT,
                        "entries": {"type": "array", "items": _MEMBER},
                        "exits": {"type": "array", "items": _MEMBER},
                        "quantity_changes": {
                            "type": "array",
                            "items": _object(
                                {"ticker": _TEXT, "before": _COUNT, "after": _COUNT, "change_pct": _or_null(_DECIMAL)}
                            ),
                        },
                        "corporate_events": {
                            "type": "array",
                            "items": _object({"ticker": _TEXT, "before": _or_null(_TEXT), "after": _or_null(_TEXT)}),
                        },
                        "reductor": _object({"before": _DECIMAL, "after": _DECIMAL, "change_pct": _or_null(_DECIMAL)}),
                        "participation_moves": {
                            "type": "array",
                            "maxItems": MAX_MOVES,
                            "items": _object(
                                {
                                    "ticker": _TEXT,
                                    "before_pct": _DECIMAL,
                                    "after_pct": _DECIMAL,
                                    "change_pp": _DECIMAL,
                                }
                            ),
                        },
                    },
                    description="Since the stored session before it; null for the first.",
                )
            ),
            "timings": _object(
                {
                    **dict.fromkeys(("received_at", "stored_at", "run_started_at", "refined_at"), _or_null(_MOMENT)),
                    **dict.fromkeys(("storing_s", "waiting_s", "refining_s", "total_s"), _or_null(_DURATION)),
                }
            ),
            "run": _or_null(
                _object(
                    {
                        "id": _TEXT,
                        "state": _TEXT,
                        "started_at": _MOMENT,
                        "error": _or_null(_TEXT),
                        "correlation_id": _or_null(_TEXT),
                    },
                    description="The Glue run that refined it last; null if there is none, or Glue has forgotten it.",
                )
            ),
        }
    ),
    "SessionStates": _object(
        {
            "index": _INDEX,
            "from": _DATE,
            "to": _DATE,
            "counts": _object({state.value: _COUNT for state in State}),
            "sessions": {"type": "array", "items": _object(_BRIEF_STATE)},
        }
    ),
    "Health": _object(
        {
            "status": {"type": "string", "enum": ["ok", "unavailable"]},
            "version": _TEXT,
            "checks": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": ["ok", "unavailable"]},
            },
        }
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "description": "Where the code is explained."},
            "title": _TEXT,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable; decide by it."},
            "detail": {"type": "string", "description": "What happened this time and what to do; may change."},
            "line": {"type": "integer", "description": "Line of B3's file, for problems with the file."},
        },
        optional=("detail", "line"),
        description="RFC 9457.",
    ),
}


def _query(name: str, schema: Node, description: str) -> Node:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_INDEX_QUERY = _query("index", _INDEX | {"default": DEFAULT_INDEX_CODE}, "Index code.")


def _operation(
    summary: str, description: str, answers: Mapping[int, Node], codes: tuple[str, ...], **more: object
) -> Node:
    """One operation; *codes* are its problems beside those of any route."""
    public = "token_missing" not in codes
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in (*codes, *_ANY_ROUTE):
        by_status[KINDS[code].status].append(code)
    return {
        "summary": summary,
        "description": description,
        **more,
        "security": [] if public else [{"token": []}],
        "responses": {str(status): answer for status, answer in answers.items()}
        | {str(status): _problem_response(status, found) for status, found in sorted(by_status.items())},
    }


def _answer(description: str, schema: str) -> Node:
    return _content(description, "application/json", {"$ref": f"#/components/schemas/{schema}"})


def _content(description: str, media_type: str, schema: Node) -> Node:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _problem_response(status: int, codes: list[str]) -> Node:
    kinds = [KINDS[code] for code in codes]
    headers = {}
    if any(kind.retry_after_s is not None for kind in kinds):
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": _TEXT}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": codes}}}]}
    response = _content("; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds), MEDIA_TYPE, schema)
    return response | ({"headers": headers} if headers else {})


def _paths() -> Node:
    day_codes = (
        *("unknown_index", *_TOKEN, "b3_changed", "portfolio_unreadable", "portfolio_does_not_add_up"),
        "session_implausible",
    )
    return {
        "/login": {
            "post": _operation(
                "Log in",
                "Exchanges a password for an access token, which other routes want as `Authorization: Bearer <token>`.",
                {200: _answer("The token.", "Token")},
                (
                    *("bad_json", "missing_field", "invalid_field", "invalid_credentials"),
                    *("login_locked", "payload_too_large", "unsupported_media_type", "busy"),
                ),
                requestBody={
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Credentials"}}},
                },
            )
        },
        "/bovespaDay": {
            "get": _operation(
                "Fetch and store the session that B3 offers now",
                "Opens B3's page in a browser, downloads the portfolio, proves it complete and stores it. If that "
                "fails, asks the endpoints that the page calls, and both again. Repeating the call is safe; "
                "simultaneous calls for one index share one fetch.",
                {200: _answer("The session is stored.", "Ingested")},
                (*day_codes, "busy", "b3_unavailable", "storage_unavailable", "browser_not_found", "b3_timeout"),
                parameters=[_INDEX_QUERY],
            )
        },
        "/tradingDay": {
            "get": _operation(
                "Fetch and store B3's record of a trading day",
                "Downloads B3's record of the day, proves it complete and stores what the cash market did. Past days "
                "can be asked for. Repeating the call is safe; simultaneous calls for one day share one fetch.",
                {200: _answer("The trading day is stored.", "IngestedTradingDay")},
                (
                    *("invalid_date", "not_a_trading_day", "day_not_over", *_TOKEN, "trading_day_not_published"),
                    *("b3_changed", "trading_day_unreadable", "trading_day_does_not_add_up"),
                    *("busy", "b3_unavailable", "storage_unavailable", "b3_timeout"),
                ),
                parameters=[
                    _query(
                        "date",
                        _DATE,
                        f"The day; by default the last finished session: today's from {PUBLISHED_FROM:%H:%M} in São "
                        "Paulo on.",
                    )
                ],
            )
        },
        "/sessions": {
            "get": _operation(
                "The sessions of a period",
                "Every trading day up to today and every stored session, so that gaps show as `missing`.",
                {200: _answer("The states, in order.", "SessionStates")},
                ("unknown_index", "invalid_date", "invalid_period", *_TOKEN, "storage_unavailable"),
                parameters=[
                    _INDEX_QUERY,
                    _query("from", _DATE, f"First day; by default {DEFAULT_DAYS} days before the last."),
                    _query("to", _DATE, f"Last day, {MAX_DAYS} days after the first at most; by default today."),
                ],
            )
        },
        "/sessions/{index}/{date}": {
            "get": _operation(
                "One session",
                "How far the session has come from B3 to SQL.",
                {200: _answer("The state, and what is known of the stored file.", "SessionState")},
                ("unknown_index", "invalid_date", *_TOKEN, "storage_unavailable"),
                parameters=[
                    {"name": "index", "in": "path", "required": True, "schema": _INDEX},
                    {"name": "date", "in": "path", "required": True, "schema": _DATE},
                ],
            )
        },
        "/sessions/{index}/{date}/report": {
            "get": _operation(
                "The report of one session",
                "What arrived, whether it holds, what is new since the stored session before it, and how long each "
                "step took; made from what the lake holds now. A page for `Accept: text/html`, JSON for all else.",
                {
                    200: {
                        "description": "The report.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/SessionReport"}},
                            "text/html": {"schema": _TEXT},
                        },
                    }
                },
                ("unknown_index", "invalid_date", *_TOKEN, "session_not_stored", "storage_unavailable"),
                parameters=[
                    {"name": "index", "in": "path", "required": True, "schema": _INDEX},
                    {"name": "date", "in": "path", "required": True, "schema": _DATE},
                ],
            )
        },
        "/health": {
            "get": _operation(
                "Health",
                "Whether the API and what it needs are there.",
                {
                    200: _answer("All is there.", "Health"),
                    503: _answer("The process runs, but a part it needs is not there.", "Health"),
                },
                (),
            )
        },
        "/openapi.json": {
            "get": _operation(
                "This document",
                "OpenAPI 3.1.",
                {200: _content("The document.", "application/json", {"type": "object"})},
                (),
            )
        },
        "/docs": {
            "get": _operation(
                "This document, to read",
                "Self-contained HTML.",
                {200: _content("The page.", "text/html", _TEXT)},
                (),
            )
        },
    }


DOCUMENT: Node = {
    "openapi": "3.1.0",
    "info": {
        "title": "Bovespa portfolio pipeline",
        "version": __version__,
        "description": "Collects the theoretical portfolio of B3's indexes every session, proves it complete and makes "
        "its history answer SQL. Errors are problem objects (RFC 9457) with a stable `code`; a route that does not "
        "exist answers `not_found`, a wrong method `method_not_allowed`. Every answer carries `X-Request-ID`: the "
        "caller's own if it is well-formed, else a new one. It is the correlation id of what the request does.",
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/"}],
    "paths": _paths(),
    "components": {
        "schemas": _SCHEMAS,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    },
}
"""The whole contract."""


def openapi_blueprint() -> Blueprint:
    """Return the route of the machine-readable document."""
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get("/openapi.json")
    def openapi() -> ResponseReturnValue:
        query()
        return DOCUMENT

    return blueprint
