"""Which requests the local cloud was sent: one line each, for measurements that count them."""

from __future__ import annotations

from typing import Any, TextIO

_TARGET = b"x-amz-target"


def logged(app: Any, log: TextIO) -> Any:
    """Return *app*, an ASGI application, with a line written to *log* for each HTTP request that it is sent.

    A line holds method, path, query and AWS's own name of the call (`AWSGlue.GetPartitions`), parted by tabs; what a
    request does not have is a dash.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            target = dict(scope["headers"]).get(_TARGET, b"-").decode("latin-1")
            query = scope["query_string"].decode("latin-1") or "-"
            log.write(f"{scope['method']}\t{scope['path']}\t{query}\t{target}\n")
        await app(scope, receive, send)

    return answer
