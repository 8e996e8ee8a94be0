"""A long history in the local cloud without the hours that making it takes: many objects and partitions in one call.

    PUT /_seed {"bucket": "b", "keys": ["x", "y"], "body": "<base64>"}
    PUT /_seed {"database": "d", "table": "t", "partitions": [[["IBOV", "2025-02-03", "ABEV3"], "s3://b/..."]]}

Each object goes through the emulator's own PutObject and each partition through the local BatchCreatePartition, so
what stands there afterwards is what as many requests would have left, but that all keys of one call hold the same
bytes. Only HTTP and signatures are left out. A partition has what its table says; one that is there already stays.

The layer is there only where the server is started with it (`running_cloud(seeding=True)`), and the server listens on
loopback alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import requests

from local.glue_catalog import CREATE_LIMIT, PartitionCalls

CONTROL = "/_seed"

_AT_ONCE = 20_000
"""Keys or partitions of a call: nobody else is answered meanwhile."""
_TIMEOUT_S = 120


class NotSeeded(RuntimeError):
    """The cloud did not take what was to stand there; the message is its own."""


def with_seeding(app: Any, calls: PartitionCalls) -> Any:
    """Return *app*, an ASGI application, behind a layer that puts what it is told to put."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != CONTROL:
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        given = json.loads(body)
        status, words = _seed_objects(given) if "keys" in given else _seed_partitions(given, calls)
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": words})

    return answer


def _seed_objects(given: Mapping[str, Any]) -> tuple[int, bytes]:
    from ministack.services import s3  # noqa: PLC0415 - the emulator reads its environment when it is imported

    body = base64.b64decode(given["body"])
    for key in given["keys"]:
        status, _, words = s3._put_object(given["bucket"], key, body, {})  # noqa: SLF001 - the pinned emulator's own
        if status != 200:
            return status, words
    return 200, b""


def _seed_partitions(given: Mapping[str, Any], calls: PartitionCalls) -> tuple[int, bytes]:
    from ministack.services import glue  # noqa: PLC0415

    names = {"DatabaseName": given["database"], "TableName": given["table"]}
    descriptor = glue._tables[f"{given['database']}/{given['table']}"]["StorageDescriptor"]  # noqa: SLF001
    inputs = [
        {"Values": values, "StorageDescriptor": {**descriptor, "Location": location}}
        for values, location in given["partitions"]
    ]
    for start in range(0, len(inputs), CREATE_LIMIT):
        batch = {**names, "PartitionInputList": inputs[start : start + CREATE_LIMIT]}
        for error in calls.answer("BatchCreatePartition", batch)["Errors"]:
            if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException":
                return 400, json.dumps(error).encode()
    return 200, b""


def seed_objects(endpoint_url: str, bucket: str, keys: Sequence[str], body: bytes) -> None:
    """Put *body* at each of *keys*.

    Raises:
        NotSeeded: The cloud was started without the layer, or has no such bucket.
    """
    text = base64.b64encode(body).decode()
    _in_parts(endpoint_url, keys, lambda part: {"bucket": bucket, "keys": part, "body": text})


def seed_partitions(
    endpoint_url: str, database: str, table: str, locations: Iterable[tuple[Sequence[str], str]]
) -> None:
    """Register a partition of *table* for each of *locations*: its values and where its data is.

    Raises:
        NotSeeded: The cloud was started without the layer, or does not take one of them.
    """
    _in_parts(endpoint_url, list(locations), lambda part: {"database": database, "table": table, "partitions": part})


def _in_parts(endpoint_url: str, items: Sequence[Any], told: Callable[[Sequence[Any]], dict[str, Any]]) -> None:
    for start in range(0, len(items), _AT_ONCE):
        given = told(items[start : start + _AT_ONCE])
        answer = requests.put(f"{endpoint_url}{CONTROL}", json=given, timeout=_TIMEOUT_S)
        if answer.status_code != 200 or answer.content:
            raise NotSeeded(f"{answer.status_code}: {answer.text[:500]}")
