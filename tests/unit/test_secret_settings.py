"""Secrets from Secrets Manager: taken whole, refused when they are not what they should be, and never shown."""

from __future__ import annotations

import json

import pytest

from api.secret_settings import with_secret
from bovespa.errors import ConfigurationError
from bovespa.settings import Settings

KEY = "k" * 40
USERS = {"ana": "scrypt:32768:8:1$salt$00"}
ENVIRON = {"BOVESPA_RAW_BUCKET": "raw", "BOVESPA_REFINED_BUCKET": "refined", "BOVESPA_SECRET_ID": "bovespa/api"}


def test_the_secret_is_where_the_settings_look() -> None:
    asked: list[str] = []

    def read(name: str) -> str:
        asked.append(name)
        return json.dumps({"jwt_secret": KEY, "users": USERS})

    settings = Settings.from_environ(with_secret(ENVIRON, read))
    assert (settings.jwt_secret, dict(settings.users), settings.secret_id) == (KEY, USERS, "bovespa/api")
    assert asked == ["bovespa/api"]
    assert KEY not in repr(settings)


@pytest.mark.parametrize("environ", [{}, {"BOVESPA_SECRET_ID": ""}])
def test_without_a_name_nothing_is_read(environ: dict[str, str]) -> None:
    def read(name: str) -> str:
        raise AssertionError(name)

    assert with_secret(environ, read) is environ


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY}",
        f'{{"jwt_secret": "{KEY}"',
        json.dumps([KEY]),
        json.dumps({"jwt_secret": KEY}),
        json.dumps({"jwt_secret": KEY, "users": USERS, "more": 1}),
        json.dumps({"jwt_secret": [KEY], "users": USERS}),
        json.dumps({"jwt_secret": KEY, "users": [KEY]}),
        json.dumps({"jwt_secret": KEY, "users": USERS, "jwt_secret_previous": None}),
    ],
)
def test_a_secret_of_another_form_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="bovespa/api") as caught:
        with_secret(ENVIRON, lambda _name: text)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_rotation_has_its_previous_key_in_the_secret() -> None:
    secret = json.dumps({"jwt_secret": KEY, "users": USERS, "jwt_secret_previous": "p" * 40})
    settings = Settings.from_environ(with_secret(ENVIRON, lambda _name: secret))
    assert (settings.jwt_secret, settings.jwt_secret_previous) == (KEY, "p" * 40)


def test_a_secret_without_users_is_refused_like_a_setting_without() -> None:
    made_by_the_template = json.dumps({"jwt_secret": KEY, "users": {}})
    with pytest.raises(ConfigurationError, match="BOVESPA_USERS"):
        Settings.from_environ(with_secret(ENVIRON, lambda _name: made_by_the_template))


@pytest.mark.parametrize("name", ["BOVESPA_JWT_SECRET", "BOVESPA_USERS"])
def test_both_ways_at_once_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        with_secret(ENVIRON | {name: KEY}, lambda _name: "{}")
