"""Tokens: what is accepted, and every way in which one is not."""

from __future__ import annotations

import base64
import datetime as dt
import json

import jwt
import pytest

from api.errors import TokenExpired, TokenInvalid
from api.tokens import ISSUER, Tokens, credential

SECRET = "s" * 32
HASHES = {"ana": "scrypt:16384:8:5$salt$00"}
NOW = dt.datetime(2025, 2, 3, 12, 0, 0, tzinfo=dt.UTC)
ISSUED_AT = int(NOW.timestamp())
CLAIMS: dict[str, object] = {"sub": "ana", "iat": ISSUED_AT, "exp": ISSUED_AT + 900, "iss": ISSUER}
CLAIMS |= {"aud": "raw", "cred": credential(HASHES["ana"], SECRET)}


def tokens(
    hashes: dict[str, str] | None = None, *, secret: str = SECRET, previous_secret: str = "", audience: str = "raw"
) -> Tokens:
    return Tokens(
        HASHES if hashes is None else hashes,
        secret=secret,
        previous_secret=previous_secret,
        audience=audience,
        lifetime_s=900,
    )


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, object], *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def without(name: str) -> dict[str, object]:
    return {claim: value for claim, value in CLAIMS.items() if claim != name}


def test_a_token_names_its_user_until_it_expires():
    token = tokens().issue("ana", now=NOW)
    assert tokens().verify(token, now=NOW) == "ana"
    assert tokens().verify(token, now=NOW + dt.timedelta(seconds=899)) == "ana"
    with pytest.raises(TokenExpired):
        tokens().verify(token, now=NOW + dt.timedelta(seconds=900))


def test_a_token_carries_exactly_the_claims_of_the_contract():
    token = tokens().issue("ana", now=NOW)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(token, options={"verify_signature": False}) == CLAIMS


def test_a_clock_a_little_behind_the_issuer_is_no_reason_to_refuse():
    assert tokens().verify(signed(CLAIMS), now=NOW - dt.timedelta(seconds=4)) == "ana"


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
        pytest.param(signed(CLAIMS | {"nbf": ISSUED_AT + 60}), id="not before some moment ahead"),
        pytest.param(signed(CLAIMS | {"nbf": True}), id="not before a boolean"),
        pytest.param(signed(CLAIMS | {"aud": "another-raw"}), id="other deployment"),
        pytest.param(signed(CLAIMS | {"sub": "eve"}), id="removed user"),
        pytest.param(signed(CLAIMS | {"cred": credential("scrypt:1:1:1$other$00", SECRET)}), id="other password"),
        pytest.param(signed(CLAIMS | {"cred": 7}), id="credential is a number"),
        pytest.param(signed(CLAIMS | {"cred": "\ud800"}), id="credential is half a character"),
        pytest.param(signed(CLAIMS | {"more": "x" * 4096}), id="longer than any of ours"),
        pytest.param(f"{part([[]] * 3000)}.{PAYLOAD}.{SIGNATURE}", id="header is a list"),
        *(pytest.param(signed(without(name)), id=f"no {name}") for name in CLAIMS),
    ],
)
def test_a_token_that_is_not_ours_is_invalid(token: str):
    with pytest.raises(TokenInvalid):
        tokens().verify(token, now=NOW)


def test_a_user_that_is_a_number_is_invalid():
    # The library refuses to write such a token, so it is signed by hand.
    signing_input = f"{HEADER}.{part(CLAIMS | {'sub': 7})}"
    key = jwt.get_algorithm_by_name("HS256")
    signature = base64.urlsafe_b64encode(key.sign(signing_input.encode(), SECRET.encode())).rstrip(b"=").decode()
    with pytest.raises(TokenInvalid):
        tokens().verify(f"{signing_input}.{signature}", now=NOW)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_only_the_pinned_algorithm_counts_even_with_the_right_secret():
    with pytest.raises(TokenInvalid):
        tokens().verify(signed(CLAIMS, algorithm="HS384"), now=NOW)


def test_a_token_of_the_previous_key_is_good_while_that_key_is_known():
    old = tokens(secret="o" * 32).issue("ana", now=NOW)
    rotating = tokens(secret="n" * 32, previous_secret="o" * 32)
    assert rotating.verify(old, now=NOW) == "ana"
    assert rotating.verify(rotating.issue("ana", now=NOW), now=NOW) == "ana"
    over = tokens(secret="n" * 32)
    assert over.verify(rotating.issue("ana", now=NOW), now=NOW) == "ana", "the new key signs, not the previous one"
    with pytest.raises(TokenInvalid):
        over.verify(old, now=NOW)


def test_a_new_password_ends_the_tokens_of_that_user_alone():
    hashes = {"ana": "scrypt:16384:8:5$salt$00", "bia": "scrypt:16384:8:5$salt$01"}
    before = {user: tokens(hashes).issue(user, now=NOW) for user in hashes}
    after = tokens(hashes | {"ana": "scrypt:16384:8:5$other$02"})
    assert after.verify(before["bia"], now=NOW) == "bia"
    with pytest.raises(TokenInvalid, match="password"):
        after.verify(before["ana"], now=NOW)


def test_a_token_tells_nothing_of_the_password_hash():
    token = tokens().issue("ana", now=NOW)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["cred"] != credential(HASHES["ana"], "t" * 32)
    assert HASHES["ana"] not in str(claims)
