"""Bytes over a socket: no client library corrects what is sent, or hides what comes back."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HEAD_END = b"\r\n\r\n"
_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def brief(self) -> str:
        """Status and problem code, as the table shows them."""
        return f"{self.status} {self.code}".strip()

    @property
    def code(self) -> str:
        """The problem's code; empty when it is no problem of the application."""
        return str(self.json.get("code", ""))

    @property
    def json(self) -> dict[str, Any]:
        """The body, if it is a JSON object."""
        if "json" not in self.headers.get("content-type", "") or not self.body:
            return {}
        value = json.loads(self.body)
        return value if isinstance(value, dict) else {}

    @property
    def text(self) -> str:
        """Headers and body."""
        return f"{dict(self.headers)}\n{self.body.decode('utf-8', 'replace')}"


def exchange(address: tuple[str, int], sent: bytes, *, silence_s: float = _TIMEOUT_S) -> list[Answer]:
    """Send *sent* on a connection of its own and return every response that comes back.

    Args:
        address: Host and port.
        sent: All of it, one request or several.
        silence_s: So long without a byte, and nothing more is waited for.
    """
    received = bytearray()
    with socket.create_connection(address, timeout=silence_s) as connection:
        try:
            connection.sendall(sent)
            while data := connection.recv(65536):
                received += data
        except TimeoutError:
            pass
        except ConnectionError:
            # It refused to read on; what it said before counts.
            if not received:
                return []
    return responses(bytes(received), is_head=sent.startswith(b"HEAD "))


def responses(received: bytes, *, is_head: bool = False) -> list[Answer]:
    """Return the responses in *received*, which may stop anywhere."""
    found = []
    while _HEAD_END in received:
        head, _, received = received.partition(_HEAD_END)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if is_head else int(headers.get("content-length", len(received)))
        matched = re.match(r"HTTP/1\.[01] (\d{3})", first)
        found.append(Answer(int(matched[1]) if matched else 0, headers, received[:length]))
        received = received[length:]
    return found


def request(
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    host: str = "127.0.0.1",
    keep: bool = False,
) -> bytes:
    """Return the bytes of a request; neither *path* nor *headers* are corrected."""
    named = {"Host": host} | ({} if keep else {"Connection": "close"}) | dict(headers or {})
    if body and not {"content-length", "transfer-encoding"} & {name.lower() for name in named}:
        named["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + _HEAD_END + body
