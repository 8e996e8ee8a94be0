"""Settings: every gap named at once, and no secret shown."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest

import bovespa
from bovespa.errors import ConfigurationError
from bovespa.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
COMPLETE = {
    "BOVESPA_RAW_BUCKET": "raw",
    "BOVESPA_REFINED_BUCKET": "refined",
    "BOVESPA_JWT_SECRET": "a-secret-of-more-than-32-characters",
    "BOVESPA_USERS": json.dumps({"ana": "scrypt:32768:8:1$salt$00"}),
}


def test_what_is_not_set_has_the_documented_defaults():
    settings = Settings.from_environ(COMPLETE)
    assert settings.b3_url == "https://sistemaswebb3-listados.b3.com.br"
    assert (settings.browser, settings.host, settings.port) == ("auto", "127.0.0.1", 8000)
    assert dict(settings.users) == {"ana": "scrypt:32768:8:1$salt$00"}


def test_an_empty_environment_names_every_missing_setting_at_once():
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ({})
    for name in COMPLETE:
        assert name in str(caught.value)


def test_everything_wrong_is_named_together_with_what_is_missing():
    environ = COMPLETE | {
        "BOVESPA_RAW_BUCKET": "",
        "BOVESPA_JWT_SECRET": "too-short",
        "BOVESPA_B3_URL": "b3.com.br",
        "BOVESPA_BROWSER": "lynx",
        "BOVESPA_DOWNLOAD_TIMEOUT_S": "soon",
        "BOVESPA_DOWNLOAD_ATTEMPTS": "0",
        "BOVESPA_PORT": "-1",
    }
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ(environ)
    message = str(caught.value)
    for name in (name for name, value in environ.items() if value != COMPLETE.get(name)):
        assert name in message
    assert "BOVESPA_USERS" not in message
    assert "too-short" not in message


@pytest.mark.parametrize("length", [1, 31])
def test_a_short_secret_is_refused(length: int):
    with pytest.raises(ConfigurationError, match=f"BOVESPA_JWT_SECRET has {length} characters"):
        Settings.from_environ(COMPLETE | {"BOVESPA_JWT_SECRET": "x" * length})


def test_a_secret_of_32_characters_is_enough():
    assert Settings.from_environ(COMPLETE | {"BOVESPA_JWT_SECRET": "x" * 32}).jwt_secret == "x" * 32


@pytest.mark.parametrize("users", ["ana", "{}", "[]", '{"ana":""}', '{"ana":7}', "{"])
def test_users_that_are_no_object_of_hashes_are_refused(users: str):
    with pytest.raises(ConfigurationError, match="BOVESPA_USERS"):
        Settings.from_environ(COMPLETE | {"BOVESPA_USERS": users})


def test_secrets_do_not_show():
    text = repr(Settings.from_environ(COMPLETE))
    assert COMPLETE["BOVESPA_JWT_SECRET"] not in text
    assert "scrypt" not in text


def test_the_example_names_every_setting_and_no_other():
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(BOVESPA_\w+)=", example, re.MULTILINE))
    assert named == {f"BOVESPA_{field.name.upper()}" for field in dataclasses.fields(Settings)}


def test_the_defaults_of_the_example_are_the_defaults():
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    optional = dict(re.findall(r"^# (BOVESPA_\w+)=(.*)$", example, re.MULTILINE))
    assert Settings.from_environ(COMPLETE | optional) == Settings.from_environ(COMPLETE)


def test_code_and_project_file_name_one_version():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert bovespa.__version__ == project["version"]
