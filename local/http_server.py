"""The HTTP server in front of the local cloud."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Any, port: int, *, until: Coroutine[Any, Any, None]) -> None:
    """Serve *app*, an ASGI application, on the loopback interface.

    Args:
        app: Is told of start and end, too (ASGI's lifespan).
        port: To listen at.
        until: The server stops when it ends: calls under way have a second to finish.
    """
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        # A parser in C: with the one in Python a call costs a third more.
        http="httptools",
        ws="none",
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        # The emulator sends its own.
        date_header=False,
    )
    server = _Server(config)

    async def stop() -> None:
        try:
            await until
        finally:
            server.should_exit = True

    stopping = asyncio.create_task(stop())
    try:
        await server.serve()
    finally:
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
