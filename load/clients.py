"""The callers, in a process of their own: `python -m load.clients` reads its orders from standard input.

Locust makes the process's sockets cooperative when it is imported, so nothing else may live in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from typing import Any, ClassVar

import gevent

# First of all that opens sockets: it replaces what they are made of.
from locust import HttpUser, between, task
from locust.env import Environment
from requests import Response
from requests.adapters import HTTPAdapter

_COME_BACK = frozenset({429, 503})
"""What says when to try again."""


class _From(HTTPAdapter):
    """Sends from one loopback address: to the API, one client address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **arguments: Any) -> None:
        arguments["source_address"] = (self._address, 0)
        super().init_poolmanager(connections, maxsize, block, **arguments)


class Caller(HttpUser):
    """Logs in, then asks for what people and schedules ask for, at random and without end."""

    wait_time = between(0.1, 0.9)
    callers: ClassVar[list[dict[str, str]]]
    """Name, password and address of each caller who has not begun yet."""
    index_codes: ClassVar[list[str]]

    def on_start(self) -> None:
        """Become one of the callers, log in, and ask for everything once."""
        caller = self.callers.pop()
        self._index_code = self.index_codes[len(self.callers) % len(self.index_codes)]
        self._login = {"username": caller["username"], "password": caller["password"]}
        self._headers: dict[str, str] = {}
        self._not_before_s: dict[str, float] = {}
        self.client.mount("http://", _From(caller["address"]))
        # A proxy of the machine has no business here.
        self.client.trust_env = False
        self.log_in()
        self.bovespa_day()
        self.sessions()
        self.health()

    @task(1)
    def log_in(self) -> None:
        """Whoever is refused goes on with the token from before, if there is one."""
        answer = self._ask("POST", "/login", json=self._login)
        if answer is not None and answer.ok:
            self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @task(5)
    def health(self) -> None:
        """Ask as a probe does, without a token."""
        self._ask("GET", "/health")

    @task(3)
    def sessions(self) -> None:
        """Ask for the states of the last days."""
        self._ask_with_token("/sessions")

    @task(1)
    def bovespa_day(self) -> None:
        """Ask for the session of now."""
        self._ask_with_token("/bovespaDay")

    def _ask_with_token(self, path: str) -> None:
        if not self._headers:
            self.log_in()
        if self._headers:
            self._ask("GET", path, headers=self._headers, params={"index": self._index_code})

    def _ask(self, method: str, path: str, **arguments: Any) -> Response | None:
        """Ask, unless the API has said that it is too early to."""
        name = f"{method} {path}"
        if time.monotonic() < self._not_before_s.get(name, 0.0):
            return None
        answer: Response = self.client.request(method, path, name=name, **arguments)
        if (retry_after := answer.headers.get("Retry-After", "")).isdigit():
            self._not_before_s[name] = time.monotonic() + int(retry_after)
        return answer


def code_of(response: Response | None, exception: BaseException | None) -> str:
    """Return what came back, in the words of the table: `200`, `429 too_many_requests`, `no answer: ...`."""
    if response is None or not response.status_code:
        return f"no answer: {type(getattr(response, 'error', None) or exception).__name__}"
    if response.ok:
        return str(response.status_code)
    try:
        code = f"{response.status_code} {response.json()['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} without a problem"
    # The limit is a promise only if it says when to come back.
    if response.status_code in _COME_BACK and not response.headers.get("Retry-After", "").isdigit():
        return f"{code} without Retry-After"
    return code


def main() -> int:
    """Call for as long as ordered; write `{route: {code: [milliseconds, ...]}}` to standard output."""
    orders = json.load(sys.stdin)
    Caller.callers = orders["callers"]
    Caller.index_codes = orders["index_codes"]
    count = len(Caller.callers)
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def record(
        name: str, response_time: float, response: Response | None, exception: BaseException | None, **_: Any
    ) -> None:
        found[name][code_of(response, exception)].append(response_time)

    environment = Environment(user_classes=[Caller], host=orders["url"], stop_timeout=orders["stop_timeout_s"])
    environment.events.request.add_listener(record)  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    # All at once: nobody waits for the others to have begun.
    runner.start(count, spawn_rate=count)
    gevent.sleep(orders["seconds"])
    # Whoever is waiting for an answer gets it: none is cut off, and none goes uncounted.
    runner.quit()
    runner.greenlet.join()
    failures = [str(failure["msg"]) for failure in runner.exceptions.values()]
    json.dump({"answers": found, "failures": failures}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
