"""Who saw what the API reached for: a relay before the cloud, and a place that nobody shall ever ask."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_REQUEST_LINE = re.compile(rb"(?:GET|HEAD|PUT|POST|DELETE) \S+ HTTP/1\.1\r\n")


@dataclass(slots=True)
class Relay:
    """Passes bytes on to an endpoint and remembers the requests among them."""

    url: str = ""
    streams: list[bytearray] = field(default_factory=list)
    """What each connection sent."""

    def requests(self) -> list[str]:
        """Return method and target of every request so far, connection by connection."""
        return [
            line.decode("latin-1").rpartition(" ")[0]
            for stream in list(self.streams)
            for line in _REQUEST_LINE.findall(bytes(stream))
        ]


@contextlib.contextmanager
def relay_to(endpoint_url: str) -> Iterator[Relay]:
    """Run a relay to *endpoint_url* for the body of the `with`."""
    parts = urlsplit(endpoint_url)
    relay = Relay()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            stream = bytearray()
            relay.streams.append(stream)
            with socket.create_connection((str(parts.hostname), parts.port or 80)) as upstream:
                back = threading.Thread(target=_pump, args=(upstream, self.request, None), daemon=True)
                back.start()
                _pump(self.request, upstream, stream)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        # A client of the cloud keeps its connections; they end with the process that holds them.
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        relay.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield relay
        finally:
            server.shutdown()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@dataclass(frozen=True, slots=True)
class Trap:
    """An address that attacks name, as a stranger would name a host behind the firewall."""

    listener: socket.socket

    @property
    def authority(self) -> str:
        """Host and port."""
        host, port = self.listener.getsockname()
        return f"{host}:{port}"

    def visits(self) -> int:
        """Return how many connections came since the last question."""
        found = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self.listener.accept()
                connection.close()
                found += 1
        return found


@contextlib.contextmanager
def trap() -> Iterator[Trap]:
    """Listen on a free loopback port for the body of the `with`."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setblocking(False)
        yield Trap(listener)
