"""The OpenAPI document against the routes and the problems; each answer is held to it by the tests' client."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from api.application import PUBLIC_ENDPOINTS, Collaborators
from api.docs import render
from api.openapi import DOCUMENT
from api.problems import KINDS
from app import create_app
from bovespa.settings import Settings
from tests.api_in_process import SETTINGS, Known, Seen, ingesting, published, trading_days

OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def codes(operation) -> set[str]:
    return {
        code
        for response in operation["responses"].values()
        if "application/problem+json" in response["content"]
        for code in response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    }


def routes(settings: Settings = SETTINGS):
    app = create_app(settings, Collaborators(ingesting(published), trading_days(), Known(), {}, Seen()))
    return {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower()): rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_documented_and_every_documented_route_exists():
    documented = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert documented == set(routes())


def test_the_document_says_which_routes_want_a_token():
    endpoints = routes()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert (operation["security"] == []) == (endpoints[path, method] in PUBLIC_ENDPOINTS), path


@pytest.mark.parametrize("operation", [pytest.param(one.values[2], id=one.id) for one in OPERATIONS])
def test_every_code_stands_under_its_own_status(operation):
    assert codes(operation)
    for status, response in operation["responses"].items():
        for code in codes({"responses": {status: response}}):
            assert KINDS[code].status == int(status)


def test_every_code_that_the_api_answers_is_documented_somewhere():
    documented = set().union(*(codes(parameter.values[2]) for parameter in OPERATIONS))
    # These two belong to no route, and the description names them; `invalid_request` is the branch above the leaves.
    anywhere = {code for code in ("not_found", "method_not_allowed") if code in DOCUMENT["info"]["description"]}
    assert set(KINDS) - {"invalid_request"} == documented | anywhere


def test_every_schema_is_one_and_every_reference_leads_somewhere():
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema)
    text = json.dumps(DOCUMENT)
    for name in schemas:
        assert f'"#/components/schemas/{name}"' in text
    assert text.count('"$ref"') == sum(text.count(f'"#/components/schemas/{name}"') for name in schemas)


def test_the_page_shows_every_operation_and_every_code():
    page = render(DOCUMENT)
    for parameter in OPERATIONS:
        path, method, _ = parameter.values
        assert f"<code>{method.upper()} {path}</code>" in page
    for code in KINDS:
        assert f'<code id="{code}">' in page
