"""The API under attack: `python app.py` in a process of its own, set up as behind one reverse proxy."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.passwords import hash_password
from api.tokens import Tokens
from attacks.wire import Answer, exchange, request
from attacks.witness import Relay, Trap, relay_to, trap
from local.b3_stand_in import StandIn, running_stand_in
from local.cloud import free_port
from local.pipeline import running_api

TODAY = dt.date(2025, 2, 22)
USERS = ("owner", "victim", "timed")
"""Who logs in; who is locked out; whose login is timed."""


@dataclass(frozen=True)
class Target:
    """A running API, everything that its owner knows of it, and who saw what it reached for."""

    address: tuple[str, int]
    passwords: Mapping[str, str] = field(repr=False)
    hashes: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    previous_secret: str = field(repr=False)
    retired_secret: str = field(repr=False)
    """A key that signed before the previous one: its rotation is over."""
    audience: str
    stand_in: StandIn
    cloud: Relay
    trap: Trap
    log_path: Path
    _clients: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def client(self) -> dict[str, str]:
        """Return the header with which the proxy names a client that has sent nothing yet."""
        number = next(self._clients)
        return {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}"}

    def tokens(self, secret: str | None = None, *, audience: str | None = None) -> Tokens:
        """Return what issues tokens as the API itself does, with another key or for another deployment."""
        return Tokens(self.hashes, secret=secret or self.secret, audience=audience or self.audience, lifetime_s=900)

    def token(self) -> str:
        """Return a good token."""
        return self.tokens().issue("owner", now=dt.datetime.now(dt.UTC))

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> bytes:
        """Return a request of a client of its own with a good token."""
        return request(
            method, path, {**self.client(), "Authorization": f"Bearer {self.token()}", **dict(headers or {})}
        )

    def login(self, user: str, password: str, client: Mapping[str, str] | None = None) -> Answer:
        """Log in once."""
        body = json.dumps({"username": user, "password": password}).encode()
        headers = {**(client or self.client()), "Content-Type": "application/json"}
        (answer,) = exchange(self.address, request("POST", "/login", headers, body))
        return answer

    def leak(self, text: str) -> str | None:
        """Return what *text* tells that nobody may be told."""
        secret = {
            "a password": self.passwords.values(),
            "a password hash": self.hashes.values(),
            "a key": (self.secret, self.previous_secret),
            "a traceback": ("Traceback", 'File "/', "site-packages"),
            "which server it is": ("waitress", "Werkzeug"),
        }
        return next((what for what, texts in secret.items() if any(one in text for one in texts)), None)


@contextlib.contextmanager
def running_target(
    environment: Mapping[str, str],
    *,
    endpoint_url: str,
    raw_bucket: str,
    refined_bucket: str,
    work_dir: Path,
    hashed: Callable[[str], str] = hash_password,
) -> Iterator[Target]:
    """Run the API over a cloud and B3's stand-in for the body of the `with`.

    Args:
        environment: AWS's own variables; the endpoint among them is replaced by a relay to it.
        endpoint_url: The cloud.
        raw_bucket: Exists.
        refined_bucket: Exists.
        work_dir: Gets the API's log.
        hashed: Makes the users' password hashes; what they cost, every login costs.

    Raises:
        ApiDidNotStart: The API did not come up.
    """
    passwords = {user: secrets.token_urlsafe(12) for user in USERS}
    hashes = {user: hashed(password) for user, password in passwords.items()}
    secret, previous, retired = (secrets.token_urlsafe(48) for _ in range(3))
    port = free_port()
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(relay_to(endpoint_url))
        stand_in = stack.enter_context(running_stand_in(today=TODAY))
        trapped = stack.enter_context(trap())
        settings = {
            **environment,
            "AWS_ENDPOINT_URL": relay.url,
            "BOVESPA_RAW_BUCKET": raw_bucket,
            "BOVESPA_REFINED_BUCKET": refined_bucket,
            "BOVESPA_JWT_SECRET": secret,
            "BOVESPA_JWT_SECRET_PREVIOUS": previous,
            "BOVESPA_USERS": json.dumps(hashes),
            "BOVESPA_B3_URL": stand_in.url,
            "BOVESPA_COTAHIST_URL": stand_in.cotahist_url,
            # The attacks come from many addresses, as the proxy's header says; the limits are those of the defaults.
            "BOVESPA_TRUSTED_PROXIES": "1",
        }
        stack.enter_context(running_api(settings, port, work_dir))
        yield Target(
            ("127.0.0.1", port),
            passwords,
            hashes,
            secret,
            previous,
            retired,
            raw_bucket,
            stand_in,
            relay,
            trapped,
            work_dir / "api.log",
        )
