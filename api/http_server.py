"""The HTTP server in front of the application: waitress, with limits, and stricter about where bodies end."""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, create_server

from api.places import THREADS

_MAX_BODY_BYTES = 256 * 1024
"""Larger bodies never reach the application, which answers the others itself."""
_MAX_HEADER_BYTES = 16 * 1024
_SILENCE_S = 20
"""A connection on which nothing comes or goes for so long is closed, unless its answer is being made."""
_CONNECTIONS = 500
"""Half-open connections are cheap; with too few of them, a few slow clients would be all."""


def listening_server(app: Flask, *, host: str, port: int, behind_proxies: bool) -> Any:
    """Return the server of *app*, which listens; `run()` serves, `close()` ends it.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on.
        behind_proxies: Whether the application may see forwarding headers, to believe those of its proxies.

    Raises:
        OSError: The address cannot be listened on.
    """
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=THREADS,
        # No Server header.
        ident=None,
        max_request_body_size=_MAX_BODY_BYTES,
        max_request_header_size=_MAX_HEADER_BYTES,
        channel_timeout=_SILENCE_S,
        cleanup_interval=_SILENCE_S // 2,
        connection_limit=_CONNECTIONS,
        # select() knows no more than 1024 files, and each connection is one.
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=not behind_proxies,
    )
    # One for each address that the host's name has.
    for listener in sockets.values():
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = _Channel
    return server


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Refuses a request with two ends.

    waitress reads the chunks, ignores the length and keeps the connection. A proxy that goes by the length would pass
    on what follows the chunks as part of this request, and waitress would take it for the next one, of anybody.
    RFC 9112, 6.1 lets a server refuse that.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length beside Transfer-Encoding")


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    parser_class = _Parser
