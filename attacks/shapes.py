"""HTTP that no client library would send: paths, dates, bodies, headers, methods, and two requests in one."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping

from attacks.table import Attack, Outcome, judged, sends
from attacks.target import Target
from attacks.wire import exchange, request

_JSON = {"Content-Type": "application/json"}
_CREDENTIALS = b'{"username":"nobody","password":"guess"}'


def attacks() -> list[Attack]:
    """Return the attacks on the way from bytes to a route."""
    return [*_paths(), *_bodies(), *_headers(), *_methods(), *_two_in_one(), *_slow_clients()]


def _paths() -> list[Attack]:
    def path(name: str, path: str, expected: str) -> Attack:
        return sends("path", name, path[:60], expected, lambda target: target.get(path))

    dates = {
        "Arabic digits in a date": "%D9%A2%D9%A0%D9%A2%D9%A5-02-24",
        "full-width digits in a date": "%EF%BC%92025-02-24",
        "a zero byte after a date": "2025-02-24%00",
        "a line break after a date": "2025-02-24%0A",
        "a space before a date": "%202025-02-24",
        "a week instead of a date": "2025-W09-1",
        "a year of five digits": "12025-02-24",
        "a template in a date": "%7B%7B7*7%7D%7D",
        "SQL in a date": "2025-02-24'--",
        "a date of 5000 characters": "2" * 5000,
    }
    indexes = {
        "another index": "XXXX",
        "an index in small letters": "ibov",
        "a zero byte after an index": "IBOV%00",
        "a line break in an index": "IBOV%0D%0ASet-Cookie:%20a=b",
        "an index of 5000 characters": "A" * 5000,
        "an index that is no UTF-8": "%FF%FE",
        "a Cyrillic letter in an index": "IB%D0%9EV",
    }
    return [
        *(path(name, f"/sessions/IBOV/{date}", "400 invalid_date") for name, date in dates.items()),
        *(path(name, f"/sessions/{index}/2025-02-24", "400 unknown_index") for name, index in indexes.items()),
        path("up from an index", "/sessions/../../etc/passwd", "404 not_found"),
        path("up from an index, encoded", "/sessions/..%2F..%2Fetc/2025-02-24", "404 not_found"),
        path("up from an index, encoded twice", "/sessions/%252e%252e/2025-02-24", "400 unknown_index"),
        path("a slash in a date", "/sessions/IBOV/2025-02-24%2F..", "404 not_found"),
        path("a backslash in an index", "/sessions/..%5C..%5Cetc/2025-02-24", "400 unknown_index"),
        path("doubled slashes", "//sessions//IBOV/2025-02-24", "404 not_found"),
        path("doubled slash before a host", "//evil.example/sessions", "404 not_found"),
        path("a route in capitals", "/SESSIONS", "404 not_found"),
        path("a slash after a route", "/sessions/", "404 not_found"),
        path("a parameter after a semicolon", "/sessions;index=IBOV", "404 not_found"),
        path("a file of the source", "/app.py", "404 not_found"),
        path("the settings", "/.env", "404 not_found"),
        path("the debugger", "/console?__debugger__=yes", "404 not_found"),
        path("a parameter twice", "/sessions?index=IBOV&index=SMLL", "400 unknown_parameter"),
        path("a parameter that is none", "/sessions?debug=1", "400 unknown_parameter"),
        path("a period of all time", "/sessions?from=1998-01-01&to=2199-12-31", "400 invalid_period"),
    ]


def _bodies() -> list[Attack]:
    def login(name: str, sent: str, body: bytes, expected: str, headers: Mapping[str, str] | None = None) -> Attack:
        def build(target: Target) -> bytes:
            return request("POST", "/login", {**target.client(), **(_JSON if headers is None else headers)}, body)

        return sends("body", name, sent, expected, build)

    deep = b'{"username":' + b"[" * 8000 + b"]" * 8000
    return [
        login(
            "a user name twice",
            "which one holds?",
            b'{"username":"owner","username":"x","password":"y"}',
            "400 bad_json",
        ),
        login("brackets all the way down", "8000", deep, "400 bad_json"),
        login("objects all the way down", "2000", b'{"a":' * 2000, "400 bad_json"),
        login("a number of 5000 digits", "in a field", b'{"username":' + b"9" * 5000 + b"}", "400 bad_json"),
        login(
            "a list for a user name",
            "NoSQL's injection",
            b'{"username":{"$ne":""},"password":{"$ne":""}}',
            "400 invalid_field",
        ),
        login(
            "true for a password",
            "a type that compares equal",
            b'{"username":"owner","password":true}',
            "400 invalid_field",
        ),
        login(
            "a password of 15000 characters",
            "slow hashing",
            json.dumps({"username": "x", "password": "y" * 15000}).encode(),
            "401 invalid_credentials",
        ),
        login("a body of 17 KiB", "more than the limit", _CREDENTIALS.ljust(17 * 1024), "413 payload_too_large"),
        login("a body of 1 MiB", "more than the server reads", _CREDENTIALS.ljust(1 << 20), "413"),
        login("a length of 10 GB", "and no such body", _CREDENTIALS, "413", {**_JSON, "Content-Length": "10000000000"}),
        login("a negative length", "-1", _CREDENTIALS, "400", {**_JSON, "Content-Length": "-1"}),
        login("a length with a sign", "+40", _CREDENTIALS, "400", {**_JSON, "Content-Length": "+40"}),
        *(
            login(
                f"content type {kind!r}",
                "credentials",
                _CREDENTIALS,
                "415 unsupported_media_type",
                {"Content-Type": kind},
            )
            for kind in (
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/xml",
                "multipart/form-data",
                "",
            )
        ),
        login(
            "an entity of XML",
            "as JSON",
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
            "400 bad_json",
        ),
        login(
            "a compressed body",
            "Content-Encoding: gzip",
            b"\x1f\x8b\x08",
            "400 bad_json",
            {**_JSON, "Content-Encoding": "gzip"},
        ),
        login("no body", "and its length", b"", "400 bad_json", {**_JSON, "Content-Length": "0"}),
    ]


def _headers() -> list[Attack]:
    def header(name: str, sent: str, headers: Mapping[str, str], expected: str) -> Attack:
        return sends("header", name, sent, expected, lambda target: target.get("/sessions/IBOV/2025-02-24", headers))

    def reflected(target: Target) -> Outcome:
        answers = exchange(target.address, request("GET", "//x", target.client(), host="evil.example"))
        answers += exchange(target.address, request("GET", "/docs", target.client(), host="evil.example"))
        outcome = judged(target, answers, "404 not_found, 200")
        told = any("evil.example" in answer.text or "location" in answer.headers for answer in answers)
        return Outcome("the answer names the host", held=False) if told else outcome

    def injected(target: Target) -> Outcome:
        path = "/sessions/IBOV%0D%0ASet-Cookie:%20a=b/2025-02-24?from=%0D%0AX-Evil:%201"
        answers = exchange(target.address, target.get(path))
        if any({"set-cookie", "x-evil"} & set(answer.headers) for answer in answers):
            return Outcome("the header is in the answer", held=False)
        return judged(target, answers, "400 unknown_parameter")

    return [
        header("a header of 64 KiB", "more than the server reads", {"X-Filler": "x" * 65536}, "431"),
        header("5000 headers", "small ones", {f"X-{number}": "x" for number in range(5000)}, "431"),
        header("a folded header", "obsolete line folding", {"X-Folded": "a\r\n b"}, "200 or 400"),
        header("a space before the colon", "of Transfer-Encoding", {"Transfer-Encoding ": "chunked"}, "400"),
        header("a header without a name", ": x", {"": "x"}, "400"),
        header("a bare line feed", "between headers", {"X-A": "b\nX-C: d"}, "400 or 200"),
        header("a spoofed address", "three, as if from the proxy", {"X-Forwarded-For": "a, b, 127.0.0.1"}, "200"),
        header("a spoofed path prefix", "X-Forwarded-Prefix, X-Script-Name", {"X-Forwarded-Prefix": "/x"}, "200"),
        header("a range", "of a thousand pieces", {"Range": "bytes=" + "0-1," * 1000}, "200"),
        Attack("header", "another host", "Host: evil.example", "it is named nowhere", reflected),
        Attack(
            "header", "line breaks in path and query", "%0D%0A and a header", "no such header in the answer", injected
        ),
    ]


def _methods() -> list[Attack]:
    def method(name: str, path: str, expected: str = "405 method_not_allowed") -> Attack:
        return sends(
            "method", f"{name} {path}", "without a token", expected, lambda target: request(name, path, target.client())
        )

    def overridden(name: str) -> Attack:
        def build(target: Target) -> bytes:
            return request("GET", "/login", {**target.client(), name: "POST", **_JSON}, _CREDENTIALS)

        return sends("method", f"{name}: POST", "GET /login", "405 method_not_allowed", build)

    # HEAD has no body, so no code either.
    return [
        *(method(name, "/bovespaDay") for name in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BOVESPA")),
        method("HEAD", "/bovespaDay", "401"),
        method("HEAD", "/sessions/IBOV/2025-02-24", "401"),
        method("TRACE", "/health"),
        method("OPTIONS", "*", "404 not_found or 400"),
        method("CONNECT", "127.0.0.1:22", "404 not_found or 400"),
        method("get", "/sessions", "400 or 405 method_not_allowed or 401 token_missing"),
        *(overridden(name) for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")),
    ]


def _two_in_one() -> list[Attack]:
    """Requests whose end a proxy and the server may see in different places."""

    def smuggled(name: str, headers: Mapping[str, str], body: bytes) -> Attack:
        def attempt(target: Target) -> Outcome:
            sent = request("POST", "/login", {**target.client(), **_JSON, **headers}, body, keep=True)
            answers = exchange(target.address, sent, silence_s=0.7)
            outcome = judged(target, answers[:1], "400 or 400 bad_json or 501 or 501 not_found")
            # One answer at most: what follows the first request is not to be taken for a second one.
            seen = outcome.seen + f", then {len(answers) - 1} more" * (len(answers) > 1)
            return Outcome(seen, outcome.held and len(answers) == 1)

        sent = ", ".join(f"{key}: {value}" for key, value in headers.items())
        return Attack("smuggling", name, sent.replace("\r\n", "\\r\\n"), "refused, one answer", attempt)

    hidden = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = b"0\r\n\r\n" + hidden
    return [
        smuggled("length and chunks", {"Content-Length": str(len(chunked)), "Transfer-Encoding": "chunked"}, chunked),
        smuggled("two lengths", {"Content-Length": "0\r\nContent-Length: 34"}, hidden),
        smuggled("a list of lengths", {"Content-Length": "0, 34"}, hidden),
        smuggled("an unknown encoding", {"Transfer-Encoding": "xchunked"}, chunked),
        smuggled("an encoding behind a tab", {"Transfer-Encoding": "\x0bchunked"}, chunked),
        smuggled("a chunk length that is none", {"Transfer-Encoding": "chunked"}, b"0x1\r\na\r\n0\r\n\r\n" + hidden),
        smuggled(
            "a chunk that is longer than it says", {"Transfer-Encoding": "chunked"}, b"1\r\nabc\r\n0\r\n\r\n" + hidden
        ),
    ]


def _slow_clients() -> list[Attack]:
    opened = 60

    def half_open(target: Target, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(target.address, timeout=60))
            connection.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            connections.append(connection)
        return connections

    def crowded(target: Target) -> Outcome:
        with contextlib.ExitStack() as stack:
            half_open(target, stack, opened)
            started = time.monotonic()
            answers = exchange(target.address, target.get("/openapi.json"))
            waited_s = time.monotonic() - started
        outcome = judged(target, answers, "200")
        return Outcome(f"{outcome.seen} in {waited_s:.1f} s", outcome.held and waited_s < 5)

    def silent(target: Target) -> Outcome:
        with contextlib.ExitStack() as stack:
            (connection,) = half_open(target, stack, 1)
            started = time.monotonic()
            while connection.recv(4096):  # it may say 408 first
                pass
            return Outcome(f"closed after {time.monotonic() - started:.0f} s", held=True)

    return [
        Attack("slow", "many half-open requests", f"{opened} connections, then a request", "200 within 5 s", crowded),
        Attack("slow", "a client that falls silent", "half a request", "closed within 60 s", silent, is_slow=True),
    ]
