"""Tokens that nobody issued, tokens that are over, and tokens in the wrong place."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.tokens import ISSUER, credential
from attacks.table import Attack, sends
from attacks.target import Target
from attacks.wire import request

PATH = "/sessions/IBOV/2025-02-24"
_GROUP = "token"
_INVALID = "401 token_invalid"
_DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}

Forge = Callable[[Target], str]


def encoded(value: object) -> str:
    """Return *value* as a part of a token; bytes are taken as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(target: Target, **changed: Any) -> dict[str, Any]:
    """Return the claims of a good token but for those *changed*; None leaves one out."""
    now = int(time.time())
    claims = {
        "sub": "owner",
        "iat": now,
        "exp": now + 900,
        "iss": ISSUER,
        "aud": target.audience,
        "cred": credential(target.hashes["owner"], target.secret),
    }
    return {name: value for name, value in (claims | changed).items() if value is not None}


def signed(claims: object, key: str, *, header: Mapping[str, Any] | None = None) -> str:
    """Return a token signed by hand, so that no library refuses to make it."""
    head = {"alg": "HS256", "typ": "JWT"} | dict(header or {})
    digest = _DIGESTS.get(head["alg"], hashlib.sha256)
    signing_input = f"{encoded(head)}.{encoded(claims)}"
    return f"{signing_input}.{encoded(hmac.digest(key.encode(), signing_input.encode(), digest))}"


def attacks() -> list[Attack]:
    """Return the attacks on tokens, after two that must succeed."""
    return [*_controls(), *_unsigned(), *_other_keys(), *_headers(), *_claims(), *_over(), *_places()]


def _as_bearer(name: str, sent: str, forge: Forge, expected: str = _INVALID) -> Attack:
    def build(target: Target) -> bytes:
        return request("GET", PATH, {**target.client(), "Authorization": f"Bearer {forge(target)}"})

    return sends(_GROUP, name, sent, expected, build)


def _controls() -> list[Attack]:
    return [
        _as_bearer("good token", "a token of the API's own: must be let in", Target.token, "200"),
        _as_bearer(
            "previous key",
            "signed with the previous key during a rotation: must be let in",
            lambda target: target.tokens(target.previous_secret).issue("owner", now=_now()),
            "200",
        ),
    ]


def _unsigned() -> list[Attack]:
    def unsigned(algorithm: str) -> Forge:
        return lambda target: f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims_of(target))}."

    def part_of(place: int, made: Callable[[str], str]) -> Forge:
        def forge(target: Target) -> str:
            parts = target.token().split(".")
            parts[place] = made(parts[place])
            return ".".join(parts)

        return forge

    return [
        *(
            _as_bearer(f"alg {name!r}", "no signature, good claims", unsigned(name))
            for name in ("none", "None", "NONE", "nOnE", "none ", "")
        ),
        _as_bearer("empty signature", "header and claims of a good token", part_of(2, lambda _: "")),
        _as_bearer("no signature part", "two parts", lambda target: target.token().rpartition(".")[0]),
        _as_bearer("zero signature", "32 zero bytes", part_of(2, lambda _: encoded(bytes(32)))),
        _as_bearer("short signature", "its first half", part_of(2, lambda part: part[:20])),
        _as_bearer("tampered claims", "another user under the signature", _tampered_claims),
        _as_bearer(
            "tampered header",
            "kid added under the signature",
            part_of(0, lambda _: encoded({"alg": "HS256", "kid": "1"})),
        ),
        _as_bearer("header of brackets", "2000 of them", part_of(0, lambda _: encoded(b"[" * 2000))),
        _as_bearer("header with a huge number", "2900 digits", part_of(0, lambda _: encoded(b"9" * 2900))),
        _as_bearer("five parts", "as an encrypted token has", lambda target: target.token() + ".a.b"),
    ]


def _tampered_claims(target: Target) -> str:
    header, _, signature = target.token().split(".")
    return f"{header}.{encoded(claims_of(target, sub='victim'))}.{signature}"


def _other_keys() -> list[Attack]:
    def with_key(key: str) -> Forge:
        return lambda target: signed(claims_of(target), key)

    def symmetric(algorithm: str) -> Forge:
        return lambda target: signed(claims_of(target), target.secret, header={"alg": algorithm})

    def asymmetric(algorithm: str) -> Forge:
        return lambda target: jwt.encode(claims_of(target), _private_key(algorithm), algorithm=algorithm)

    return [
        *(
            _as_bearer(f"{algorithm} with the right key", "not the pinned algorithm", symmetric(algorithm))
            for algorithm in ("HS384", "HS512", "hs256")
        ),
        *(
            _as_bearer(f"{algorithm} with a key of our own", "asymmetric signature", asymmetric(algorithm))
            for algorithm in ("RS256", "ES256", "PS256")
        ),
        _as_bearer(
            "key confusion",
            "HMAC with the text of a public key",
            lambda target: signed(claims_of(target), _public_text()),
        ),
        _as_bearer("empty key", "HMAC with no key", with_key("")),
        *(
            _as_bearer(f"key {key!r}", "HMAC with a guessed word", with_key(key))
            for key in ("secret", "changeme", "\0")
        ),
        _as_bearer("own key", "HMAC with 48 characters of ours", with_key("x" * 48)),
    ]


def _headers() -> list[Attack]:
    def with_header(**header: Any) -> Forge:
        return lambda target: signed(claims_of(target), "x" * 48, header=header)

    kids = ("../../../../dev/null", "/dev/null", "' UNION SELECT 'x' --", "| id", "http://169.254.169.254/", "\0")

    def pointing(name: str) -> Forge:
        return lambda target: signed(claims_of(target), "x" * 48, header={name: f"http://{target.trap.authority}/keys"})

    own = {"kty": "oct", "k": encoded(b"x" * 48)}
    return [
        *(_as_bearer(f"kid {kid!r}", "signed with a key of ours", with_header(kid=kid)) for kid in kids),
        *(_as_bearer(name, "points at keys of ours", pointing(name)) for name in ("jku", "x5u")),
        _as_bearer("jwk", "brings its own key", with_header(jwk=own)),
        _as_bearer("x5c", "brings its own certificate", with_header(x5c=["MIIB"])),
        _as_bearer("crit", "names an extension that must be understood", with_header(crit=["bovespa"], bovespa=True)),
        _as_bearer("b64", "says that its claims are not Base64", with_header(b64=False, crit=["b64"])),
    ]


def _claims() -> list[Attack]:
    def with_claims(**changed: Any) -> Forge:
        return lambda target: signed(claims_of(target, **changed), target.secret)

    def with_payload(value: object) -> Forge:
        return lambda target: signed(value, target.secret)

    now = int(time.time())
    wrong: dict[str, tuple[Any, ...]] = {
        "sub": (7, True, [], {"a": 1}, "", "nobody", "OWNER", "owner\0"),
        "iat": ("now", True, 1e300, [], now + 3600),
        "exp": ("never", True, float(now + 900), [], {}),
        "nbf": ("now", True, now + 3600),
        "iss": ("someone-else", 7, ["bovespa-api"], ""),
        "aud": ("another-raw", 7, {}, ""),
        "cred": ("", 7, True, [], "\ud800"),
    }
    return [
        *(
            _as_bearer(f"{name} is {value!r}", "signed with the right key", with_claims(**{name: value}))
            for name, values in wrong.items()
            for value in values
        ),
        *(
            _as_bearer(f"no {name}", "signed with the right key", with_claims(**{name: None}))
            for name in ("sub", "iat", "exp", "iss", "aud", "cred")
        ),
        *(
            _as_bearer(f"claims are {value!r}", "signed with the right key", with_payload(value))
            for value in ((), "owner", 7, None)
        ),
    ]


def _over() -> list[Attack]:
    def removed(target: Target) -> str:
        claims = claims_of(target, sub="dismissed", cred=credential("scrypt:1:1:1$a$b", target.secret))
        return signed(claims, target.secret)

    def other_password(target: Target) -> str:
        return signed(claims_of(target, cred=credential("scrypt:1:1:1$a$b", target.secret)), target.secret)

    def expired(target: Target) -> str:
        then = int(time.time()) - 901
        return signed(claims_of(target, iat=then, exp=then + 900), target.secret)

    return [
        _as_bearer("expired", "a good token of 901 s ago", expired, "401 token_expired"),
        _as_bearer(
            "retired key",
            "signed with a key whose rotation is over",
            lambda target: target.tokens(target.retired_secret).issue("owner", now=_now()),
        ),
        _as_bearer("removed user", "signed with the right key", removed),
        _as_bearer("password changed since", "signed with the right key", other_password),
        _as_bearer(
            "other deployment",
            "same key and users, other buckets",
            lambda target: target.tokens(audience="bovespa-raw-test").issue("owner", now=_now()),
        ),
    ]


def _places() -> list[Attack]:
    def with_header(name: str, scheme: str) -> Callable[[Target], bytes]:
        return lambda target: request("GET", PATH, {**target.client(), name: f"{scheme}{target.token()}"})

    basic = base64.b64encode(b"owner:guess").decode()
    return [
        *(
            sends(_GROUP, f"{place} in the query", "a good token", "401 token_missing", _in_the_query(place))
            for place in ("access_token", "token")
        ),
        sends(_GROUP, "token in a cookie", "a good token", "401 token_missing", with_header("Cookie", "access_token=")),
        *(
            sends(
                _GROUP, f"scheme {scheme!r}", "a good token", "401 token_missing", with_header("Authorization", scheme)
            )
            for scheme in ("Basic ", "Token ", "JWT ", "Digest token=", "")
        ),
        sends(
            _GROUP,
            "user and password",
            "Basic authentication",
            "401 token_missing",
            lambda target: request("GET", PATH, {**target.client(), "Authorization": f"Basic {basic}"}),
        ),
        sends(
            _GROUP,
            "two tokens",
            "a good one and a bad one",
            "401 token_invalid or 401 token_missing or 400",
            lambda target: target.get(PATH, {"authorization": "Bearer x"}),
        ),
        sends(
            _GROUP,
            "X-Original-URL",
            "a public path that names a protected one",
            "200",
            lambda target: request(
                "GET", "/health", {**target.client(), "X-Original-URL": PATH, "X-Rewrite-URL": PATH}
            ),
        ),
    ]


def _in_the_query(name: str) -> Callable[[Target], bytes]:
    return lambda target: request("GET", f"{PATH}?{name}={target.token()}", target.client())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@cache
def _private_key(algorithm: str) -> Any:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public_text() -> str:
    public = _private_key("ES256").public_key()
    text: bytes = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return text.decode()
