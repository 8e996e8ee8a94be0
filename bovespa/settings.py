"""The settings of the API and its commands: one frozen value, read once, every gap named at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from bovespa.errors import ConfigurationError
from bovespa.log_lines import LOG_FORMATS

MIN_SECRET_LENGTH = 32
"""RFC 7518, 3.2: an HS256 key has at least the 32 bytes of its hash."""

BROWSERS = ("auto", "headless-shell", "chromium", "chrome", "edge", "firefox")

_REQUIRED = ("BOVESPA_RAW_BUCKET", "BOVESPA_REFINED_BUCKET", "BOVESPA_JWT_SECRET", "BOVESPA_USERS")


@dataclass(frozen=True)
class Settings:
    """What an operator sets. Names in the environment are the fields' in capitals after `BOVESPA_`."""

    raw_bucket: str
    """Bucket that receives B3's bytes and one Parquet object a session."""
    refined_bucket: str
    """Bucket that the Glue job writes its tables to."""
    jwt_secret: str = field(repr=False)
    """HMAC key that signs access tokens; at least 32 characters."""
    users: Mapping[str, str] = field(repr=False)
    """Password hash of each user name, made by `flask --app app hash-password`."""
    secret_id: str = ""
    """Secret of AWS Secrets Manager that holds `jwt_secret` and `users` instead of the environment."""
    b3_url: str = "https://sistemaswebb3-listados.b3.com.br"
    """Where B3's index pages are."""
    cotahist_url: str = "https://bvmf.bmfbovespa.com.br/InstDados/SerHist"
    """Folder of B3's records of trading days, `COTAHIST_DDDMMYYYY.ZIP`."""
    browser: str = "auto"
    """Browser that drives the page: `auto`, `headless-shell`, `chromium`, `chrome`, `edge` or `firefox`."""
    download_timeout_s: float = 120.0
    """Seconds within which a session must be here, all attempts and pauses included; one attempt gets half of it."""
    download_attempts: int = 6
    """How often B3 is asked for a session at most, by browser and over HTTPS together."""
    token_lifetime_s: int = 900
    """Seconds for which an access token is accepted."""
    jwt_secret_previous: str = field(default="", repr=False)
    """Key that signed tokens until the last rotation and still verifies them; empty for none."""
    logins_per_minute: int = 30
    """Logins that one client address may try in a minute."""
    fetches_per_minute: int = 120
    """Requests for a fetch from B3 that one client address may send in a minute."""
    requests_per_minute: int = 1200
    """Requests of any kind that one client address may send in a minute."""
    trusted_proxies: int = 0
    """Reverse proxies before the API, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    database: str = "bovespa"
    """Glue database of the refined tables."""
    glue_job: str = "bovespa-refine"
    """Glue job that refines sessions; its runs tell the state of each."""
    log_format: str = "auto"
    """Log lines as `json`, one object each, or as `text`; `auto` is text for a terminal and JSON for all else."""
    host: str = "127.0.0.1"
    """Address that `python app.py` listens on."""
    port: int = 8000
    """Port that `python app.py` listens on."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings from *environ*.

        Raises:
            ConfigurationError: Something is missing or malformed; the message names everything at once.
        """
        problems: list[str] = []
        missing = [name for name in _REQUIRED if not environ.get(name)]
        if missing:
            problems.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set")
        reader = _Reader(environ, problems)
        settings = cls(
            raw_bucket=environ.get("BOVESPA_RAW_BUCKET", ""),
            refined_bucket=environ.get("BOVESPA_REFINED_BUCKET", ""),
            jwt_secret=reader.secret("BOVESPA_JWT_SECRET"),
            users=reader.users("BOVESPA_USERS"),
            secret_id=environ.get("BOVESPA_SECRET_ID", ""),
            b3_url=reader.url("BOVESPA_B3_URL", cls.b3_url),
            cotahist_url=reader.url("BOVESPA_COTAHIST_URL", cls.cotahist_url),
            browser=reader.choice("BOVESPA_BROWSER", cls.browser, BROWSERS),
            download_timeout_s=reader.positive("BOVESPA_DOWNLOAD_TIMEOUT_S", cls.download_timeout_s),
            download_attempts=int(reader.positive("BOVESPA_DOWNLOAD_ATTEMPTS", cls.download_attempts, whole=True)),
            token_lifetime_s=int(reader.positive("BOVESPA_TOKEN_LIFETIME_S", cls.token_lifetime_s, whole=True)),
            jwt_secret_previous=reader.previous_secret("BOVESPA_JWT_SECRET_PREVIOUS", "BOVESPA_JWT_SECRET"),
            logins_per_minute=reader.count("BOVESPA_LOGINS_PER_MINUTE", cls.logins_per_minute),
            fetches_per_minute=reader.count("BOVESPA_FETCHES_PER_MINUTE", cls.fetches_per_minute),
            requests_per_minute=reader.count("BOVESPA_REQUESTS_PER_MINUTE", cls.requests_per_minute),
            trusted_proxies=reader.count("BOVESPA_TRUSTED_PROXIES", cls.trusted_proxies, least=0),
            database=environ.get("BOVESPA_DATABASE") or cls.database,
            glue_job=environ.get("BOVESPA_GLUE_JOB") or cls.glue_job,
            log_format=reader.choice("BOVESPA_LOG_FORMAT", cls.log_format, LOG_FORMATS),
            host=environ.get("BOVESPA_HOST") or cls.host,
            port=int(reader.positive("BOVESPA_PORT", cls.port, whole=True)),
        )
        if problems:
            raise ConfigurationError("; ".join(problems) + ". Set them, then start again: .env.example explains each.")
        return settings


@dataclass
class _Reader:
    """Reads one variable at a time and collects what is wrong instead of stopping at the first."""

    environ: Mapping[str, str]
    problems: list[str]

    def secret(self, name: str) -> str:
        value = self.environ.get(name, "")
        if value and len(value) < MIN_SECRET_LENGTH:
            self.problems.append(f"{name} has {len(value)} characters and needs at least {MIN_SECRET_LENGTH}")
        return value

    def previous_secret(self, name: str, current: str) -> str:
        value = self.secret(name)
        if value and value == self.environ.get(current):
            self.problems.append(f"{name} is the same as {current}, so nothing would be rotated")
        return value

    def users(self, name: str) -> Mapping[str, str]:
        text = self.environ.get(name)
        if not text:
            return {}
        try:
            users = json.loads(text)
        except ValueError:
            users = None
        well_formed = isinstance(users, dict) and all(isinstance(value, str) and value for value in users.values())
        if not well_formed or not users:
            # The value holds password hashes, so the message does not show it.
            self.problems.append(f'{name} is not a JSON object of password hashes like {{"ana":"scrypt:..."}}')
            return {}
        return MappingProxyType(users)

    def url(self, name: str, default: str) -> str:
        value = self.environ.get(name) or default
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.problems.append(f"{name} is {value!r}, not an http(s) URL")
        return value.rstrip("/")

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.environ.get(name) or default
        if value not in choices:
            self.problems.append(f"{name} is {value!r}, not one of {', '.join(choices)}")
        return value

    def count(self, name: str, default: int, *, least: int = 1) -> int:
        text = self.environ.get(name) or str(default)
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else -1
        if value < least:
            self.problems.append(f"{name} is {text!r}, not a whole number from {least}")
            return default
        return value

    def positive(self, name: str, default: float, *, whole: bool = False) -> float:
        text = self.environ.get(name) or str(default)
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = 0
        if not 0 < value < 1_000_000:
            self.problems.append(f"{name} is {text!r}, not a positive {'whole number' if whole else 'number'}")
            return default
        return value
