"""What can go wrong in the cloud, on demand: calls that are refused or held back before the emulator sees them.

    PUT /_faults {"faults":[{"call":"AWSGlue.StartJobRun","answer":{"status":400,"code":"ThrottlingException"}}]}
    PUT /_faults {"faults":[{"call":"PUT /bucket/portfolio/.*","after":20,"hold":true}]}

A call is AWS's own name of it where the request has one, else method and path; `call` is a regular expression for all
of it. `after` lets so many pass first, `times` bounds how many are hit. A held request waits until faults are set again
and then goes on, unless its sender is gone by then. `GET /_faults` shows what is set and how often it was hit.

The layer is there only where the server is started with it (`running_cloud(faults=True)`), and the server listens on
loopback alone.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import requests

CONTROL = "/_faults"
_TARGET = b"x-amz-target"
_FIELDS = {"call", "after", "times", "answer", "hold"}


class BadCloudFault(ValueError):
    """What was given is no fault of the cloud; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer of a call that is refused."""

    status: int
    code: str
    message: str = "injected"


@dataclass(slots=True)
class CloudFault:
    """Which calls something happens to, and what."""

    call: str
    """Regular expression for `AWSGlue.StartJobRun`, or `PUT /bucket/key` where AWS gives the call no name."""
    answer: Refusal | None = None
    """None for a call that is held."""
    after: int = 0
    """Calls that pass first."""
    times: int | None = None
    """Calls that are hit then; None for all."""
    seen: int = 0
    hits: int = 0

    @classmethod
    def parse(cls, given: object) -> CloudFault:
        """Read one fault of the module's description.

        Raises:
            BadCloudFault: *given* is none.
        """
        if not isinstance(given, dict) or not isinstance(given.get("call"), str):
            raise BadCloudFault(f'a fault is an object with a "call", not {given!r}')
        if unknown := sorted(set(given) - _FIELDS):
            raise BadCloudFault(f"a fault has no {', '.join(unknown)}; there are {', '.join(sorted(_FIELDS))}")
        try:
            re.compile(given["call"])
        except re.error as error:
            raise BadCloudFault(f"`call` is a regular expression: {error}") from error
        if ("answer" in given) == (given.get("hold") is True):
            raise BadCloudFault("a fault has either an `answer` or `hold: true`")
        return cls(
            given["call"],
            _refusal(given["answer"]) if "answer" in given else None,
            after=_count(given.get("after", 0), "after"),
            times=None if given.get("times") is None else _count(given["times"], "times"),
        )

    def as_json(self) -> dict[str, object]:
        """Return it in the form that `parse` reads."""
        what: dict[str, object] = {"hold": True}
        if self.answer is not None:
            what = {"answer": {"status": self.answer.status, "code": self.answer.code, "message": self.answer.message}}
        return {"call": self.call, "after": self.after, "times": self.times, **what}


def _refusal(given: object) -> Refusal:
    if not isinstance(given, dict):
        raise BadCloudFault(f'`answer` is an object like {{"status":503,"code":"SlowDown"}}, not {given!r}')
    status, code = given.get("status"), given.get("code")
    if not isinstance(status, int) or not 400 <= status <= 599 or not isinstance(code, str):
        raise BadCloudFault(f"`answer` has a status from 400 to 599 and a code, not {given!r}")
    return Refusal(status, code, str(given.get("message", "injected")))


def _count(given: object, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise BadCloudFault(f"`{name}` is a whole number from 0, not {given!r}")
    return given


@dataclass(slots=True)
class CloudFaultBook:
    """The faults that are set."""

    faults: list[CloudFault] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def replace(self, faults: Sequence[CloudFault]) -> None:
        """Set *faults* and forget those set before."""
        with self._turn:
            self.faults = list(faults)

    def take(self, call: str) -> CloudFault | None:
        """Return the first fault that hits *call*, and count it."""
        with self._turn:
            for fault in self.faults:
                if re.fullmatch(fault.call, call) is None:
                    continue
                fault.seen += 1
                if fault.seen <= fault.after or (fault.times is not None and fault.hits >= fault.times):
                    continue
                fault.hits += 1
                return fault
        return None

    def as_json(self) -> list[dict[str, object]]:
        """Return each fault with how many calls it has seen and hit."""
        with self._turn:
            return [{**fault.as_json(), "seen": fault.seen, "hits": fault.hits} for fault in self.faults]


def with_faults(app: Any) -> Any:
    """Return *app*, an ASGI application, behind a layer that spoils the calls that it is told to spoil."""
    book = CloudFaultBook()
    released = asyncio.Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        nonlocal released
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if scope["path"] == CONTROL:
            status, body = await _control(scope["method"], receive, book)
            if scope["method"] == "PUT" and status == 200:
                released.set()
                released = asyncio.Event()
            await _send(send, status, b"application/json", body)
            return
        call, is_named = _call(scope)
        fault = book.take(call)
        if fault is None:
            await app(scope, receive, send)
        elif fault.answer is not None:
            await _body(receive)
            await _send(send, fault.answer.status, *_error(fault.answer, is_named=is_named))
        else:
            release = released
            content = await _body(receive)
            if content is not None and await _is_still_there(receive, release):
                await app(scope, _replayed(content, receive), send)

    return answer


def _call(scope: Mapping[str, Any]) -> tuple[str, bool]:
    target = dict(scope["headers"]).get(_TARGET)
    if target is not None:
        return target.decode("latin-1"), True
    return f"{scope['method']} {scope['path']}", False


async def _control(method: str, receive: Any, book: CloudFaultBook) -> tuple[int, bytes]:
    if method == "PUT":
        try:
            given = json.loads(await _body(receive) or b"")
            if not isinstance(given, dict) or not isinstance(given.get("faults"), list):
                raise BadCloudFault('expected {"faults":[...]}')
            book.replace([CloudFault.parse(one) for one in given["faults"]])
        except ValueError as error:
            return 400, json.dumps({"error": str(error)}).encode()
    elif method != "GET":
        return 405, b'{"error": "GET or PUT"}'
    return 200, json.dumps({"faults": book.as_json()}).encode()


def _error(refusal: Refusal, *, is_named: bool) -> tuple[bytes, bytes]:
    """The content type and body with which AWS refuses a call of JSON, or of S3."""
    if is_named:
        body = json.dumps({"__type": refusal.code, "message": refusal.message})
        return b"application/x-amz-json-1.1", body.encode()
    body = f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message></Error>"
    return b"application/xml", body.encode()


async def _send(send: Any, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes | None:
    """The whole request, None if its sender went away before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _is_still_there(receive: Any, released: asyncio.Event) -> bool:
    """Wait for the release; whether the sender waited too."""
    gone, free = asyncio.ensure_future(receive()), asyncio.ensure_future(released.wait())
    try:
        await asyncio.wait((gone, free), return_when=asyncio.FIRST_COMPLETED)
        return not gone.done()
    finally:
        gone.cancel()
        free.cancel()


def _replayed(body: bytes, receive: Any) -> Any:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return pending.pop() if pending else await receive()

    return again


@dataclass(frozen=True, slots=True)
class CloudFaults:
    """Sets the faults of a running local cloud."""

    endpoint_url: str

    def set(self, *faults: CloudFault) -> None:
        """Set *faults* in place of those before; whatever was held goes on.

        Raises:
            requests.HTTPError: The cloud was started without the layer, or refused one.
        """
        given = {"faults": [fault.as_json() for fault in faults]}
        requests.put(f"{self.endpoint_url}{CONTROL}", json=given, timeout=10).raise_for_status()

    def hits(self) -> int:
        """How many calls the faults have hit."""
        answer = requests.get(f"{self.endpoint_url}{CONTROL}", timeout=10)
        answer.raise_for_status()
        return sum(fault["hits"] for fault in answer.json()["faults"])
