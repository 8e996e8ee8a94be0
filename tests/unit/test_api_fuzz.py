"""Whatever fits the OpenAPI document, and whatever does not, is answered as it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from api.application import Collaborators
from api.openapi import DOCUMENT
from app import create_app
from tests.api_in_process import NOW, SETTINGS, Known, Seen, bearer, ingesting, published, trading_days

if TYPE_CHECKING:
    from schemathesis import Case

EXAMPLES = 10
"""Of each operation and mode; the same ones in every run."""
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
]
"""Not that all good data is accepted: a well-formed date can be a Sunday."""

OPERATIONS = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for mode in ("positive", "negative")
    # Where nothing is read, nothing can be wrong.
    if mode == "positive" or {"parameters", "requestBody"} & set(operation)
]


@pytest.fixture(scope="module")
def schema() -> Any:
    # Not every process that collects tests shall wait for it.
    import schemathesis  # noqa: PLC0415

    generous = replace(SETTINGS, logins_per_minute=10**5, fetches_per_minute=10**5, requests_per_minute=10**5)
    collaborators = Collaborators(ingesting(published), trading_days(), Known(), {}, Seen())
    return schemathesis.openapi.from_wsgi("/openapi.json", create_app(generous, collaborators, clock=lambda: NOW))


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_every_answer_is_as_documented(path: str, method: str, mode: str, schema: Any):
    from schemathesis import GenerationMode  # noqa: PLC0415
    from schemathesis.checks import CHECKS as KNOWN  # noqa: PLC0415
    from schemathesis.checks import load_all_checks  # noqa: PLC0415

    load_all_checks()
    checks = KNOWN.get_by_names(CHECKS)
    operation = schema[path][method.upper()]
    seen = []

    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def answers(case: Case) -> None:
        response = case.call(headers=bearer())
        case.validate_response(response, checks=checks, headers=bearer())
        seen.append(response.status_code)

    answers()
    if mode == "negative":
        assert 400 in seen
    else:
        # Nobody guesses the password, few dates are trading days, and nothing is stored.
        assert 200 in seen or path in ("/login", "/tradingDay", "/sessions/{index}/{date}/report")
