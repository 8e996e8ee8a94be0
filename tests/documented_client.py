"""A test client that lets no answer pass which the OpenAPI document does not describe."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.openapi import DOCUMENT
from api.problems import MEDIA_TYPE

_RESOLVER_ROOT = {"components": DOCUMENT["components"]}


class DocumentedClient(FlaskClient):
    """Checks status, media type, body and problem code of every answer on a documented route."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        check(response.request.method, response.request.path, response)
        return response


def check(method: str, path: str, response: TestResponse) -> None:
    """Assert that *response* is as documented; routes and methods that do not exist answer 404, 405 or 429."""
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    operation = _operation(method, path)
    if operation is None:
        assert response.status_code in (404, 405, 429), response.get_data(as_text=True)
        assert response.mimetype == MEDIA_TYPE
        return
    documented = operation["responses"]
    assert str(response.status_code) in documented, f"{method} {path}: {response.status_code} is not documented"
    content = documented[str(response.status_code)]["content"]
    assert response.mimetype in content, f"{method} {path}: {response.mimetype} is not documented"
    if response.is_json:
        schema = content[response.mimetype]["schema"] | _RESOLVER_ROOT
        # Not jsonschema, whose import takes more than a second of every process that collects tests.
        jsonschema_rs.Draft202012Validator(schema).validate(response.get_json())


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, methods in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    return None
