"""UpdateNamedQuery, which the emulator lacks; its other calls for named queries do what AWS's do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def install() -> None:
    """Answer the call in the emulator's process; a contract test fails if an upgrade moves the places."""
    from ministack.core.responses import error_response_json, json_response  # noqa: PLC0415
    from ministack.services import athena  # noqa: PLC0415

    handle = athena.handle_request

    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: object
    ) -> Any:
        if headers.get("x-amz-target", "").rpartition(".")[2] != "UpdateNamedQuery":
            return await handle(method, path, headers, body, query_params)
        asked = json.loads(body)
        saved = athena._named_queries.get(asked["NamedQueryId"])  # noqa: SLF001 - the pinned emulator's data
        if saved is None:
            return error_response_json("InvalidRequestException", "The named query does not exist", 400)
        changed = {part: asked[part] for part in ("Name", "Description", "QueryString") if part in asked}
        athena._named_queries[asked["NamedQueryId"]] = {**saved, **changed}  # noqa: SLF001
        return json_response({})

    athena.handle_request = handle_request
