"""Tokens: what is accepted, and every way in which one is not."""

from __future__ import annotations

import base64
import datetime as dt
import json

import jwt
import pytest

from api.errors import TokenExpired, TokenInvalid
from api.tokens import ISSUER, issue_token, verify_token

SECRET = "s" * 32
NOW = dt.datetime(2025, 2, 3, 12, 0, 0, tzinfo=dt.UTC)
ISSUED_AT = int(NOW.timestamp())
CLAIMS = {"sub": "ana", "iat": ISSUED_AT, "exp": ISSUED_AT + 900, "iss": ISSUER}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, object], *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def without(name: str) -> dict[str, object]:
    return {claim: value for claim, value in CLAIMS.items() if claim != name}


def test_a_token_names_its_user_until_it_expires():
    token = issue_token("ana", secret=SECRET, now=NOW, lifetime_s=900)
    assert verify_token(token, secret=SECRET, now=NOW) == "ana"
    assert verify_token(token, secret=SECRET, now=NOW + dt.timedelta(seconds=899)) == "ana"
    with pytest.raises(TokenExpired):
        verify_token(token, secret=SECRET, now=NOW + dt.timedelta(seconds=900))


def test_a_token_carries_exactly_the_claims_of_the_contract():
    token = issue_token("ana", secret=SECRET, now=NOW, lifetime_s=900)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(token, options={"verify_signature": False}) == CLAIMS


def test_a_clock_a_little_behind_the_issuer_is_no_reason_to_refuse():
    assert verify_token(signed(CLAIMS), secret=SECRET, now=NOW - dt.timedelta(seconds=4)) == "ana"


GOOD = signed(CLAIMS)
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("a.b.c", id="noise"),
        pytest.param("\u00e9.\u00e9.\u00e9", id="not ASCII"),
        pytest.param(f"{part({'alg': 'none', 'typ': 'JWT'})}.{PAYLOAD}.", id="algorithm none"),
        pytest.param(f"{part({'alg': 'none', 'typ': 'JWT'})}.{PAYLOAD}.{SIGNATURE}", id="algorithm none, signed"),
        pytest.param(f"{HEADER}.{PAYLOAD}.", id="no signature"),
        pytest.param(f"{HEADER}.{PAYLOAD}", id="two parts"),
        pytest.param(f"{HEADER}.{part(CLAIMS | {'sub': 'root'})}.{SIGNATURE}", id="other claims under the signature"),
        pytest.param(signed(CLAIMS, secret="x" * 32), id="other secret"),
        pytest.param(signed(CLAIMS, secret=SECRET * 2, algorithm="HS512"), id="other secret and algorithm"),
        pytest.param(signed(CLAIMS | {"iss": "someone-else"}), id="other issuer"),
        pytest.param(signed(CLAIMS | {"sub": ""}), id="empty user"),
        pytest.param(signed(CLAIMS | {"exp": True}), id="expiry is a boolean"),
        pytest.param(signed(CLAIMS | {"exp": ISSUED_AT + 900.5}), id="expiry is a fraction"),
        pytest.param(signed(CLAIMS | {"exp": "soon"}), id="expiry is a word"),
        pytest.param(signed(CLAIMS | {"iat": ISSUED_AT + 60}), id="issued in the future"),
        *(pytest.param(signed(without(name)), id=f"no {name}") for name in CLAIMS),
    ],
)
def test_a_token_that_is_not_ours_is_invalid(token: str):
    with pytest.raises(TokenInvalid):
        verify_token(token, secret=SECRET, now=NOW)


def test_a_user_that_is_a_number_is_invalid():
    # The library refuses to write such a token, so it is signed by hand.
    signing_input = f"{HEADER}.{part(CLAIMS | {'sub': 7})}"
    key = jwt.get_algorithm_by_name("HS256")
    signature = base64.urlsafe_b64encode(key.sign(signing_input.encode(), SECRET.encode())).rstrip(b"=").decode()
    with pytest.raises(TokenInvalid):
        verify_token(f"{signing_input}.{signature}", secret=SECRET, now=NOW)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_only_the_pinned_algorithm_counts_even_with_the_right_secret():
    with pytest.raises(TokenInvalid):
        verify_token(signed(CLAIMS, algorithm="HS384"), secret=SECRET, now=NOW)
