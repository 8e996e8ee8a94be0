"""A caller of the API, as any other would be: over HTTP, with a token."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests

from bovespa.errors import BovespaError
from bovespa.layout import Session
from local.pipeline import Pipeline

_POLL_S = 0.1


class ApiRefused(BovespaError):
    """The API answered with a problem.

    Attributes:
        code: The problem's own `code`.
    """

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('code')}: {problem.get('detail') or problem.get('title')}")
        self.code = str(problem.get("code"))


class NotRefined(BovespaError):
    """A stored session did not become visible."""

    code = "not_refined"


class ApiClient:
    """Talks to a running pipeline's API as its demo user."""

    def __init__(self, running: Pipeline) -> None:
        self._url = running.api_url
        self._http = requests.Session()
        answer = self._answer(
            self._http.post(
                f"{self._url}/login", json={"username": running.username, "password": running.password}, timeout=30
            )
        )
        self.token: str = answer["access_token"]
        """What `Authorization: Bearer` takes."""
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    def collect(self, index_code: str, *, request_id: str | None = None) -> dict[str, Any]:
        """`GET /bovespaDay`: store today's session of *index_code*.

        Args:
            index_code: Which index.
            request_id: The caller's id of the request, which then follows the session; None lets the API make one.

        Raises:
            ApiRefused: It could not be stored.
        """
        headers = {} if request_id is None else {"X-Request-ID": request_id}
        return self._answer(
            self._http.get(f"{self._url}/bovespaDay", params={"index": index_code}, headers=headers, timeout=300)
        )

    def state(self, session: Session) -> dict[str, Any]:
        """`GET /sessions/<index>/<date>`."""
        return self._answer(self._http.get(f"{self._url}/sessions/{session}", timeout=60))

    def report(self, session: Session) -> dict[str, Any]:
        """`GET /sessions/<index>/<date>/report`, as JSON."""
        return self._answer(self._http.get(f"{self._url}/sessions/{session}/report", timeout=60))

    def wait_until_refined(self, session: Session, *, timeout_s: float = 300.0) -> None:
        """Wait until *session* is in the catalog.

        Raises:
            NotRefined: Its run failed, or *timeout_s* passed.
        """
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while (state := self.state(session))["state"] != "refined":
            if state["state"] in ("failed", "missing"):
                raise NotRefined(f"{session} is {state['state']}: {state}")
            if time.monotonic() > deadline:
                raise NotRefined(f"{session} is still {state['state']} after {timeout_s:g} s: {state}")
            pause.wait(_POLL_S)

    @staticmethod
    def _answer(response: requests.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        if not response.ok:
            raise ApiRefused(body)
        return body
