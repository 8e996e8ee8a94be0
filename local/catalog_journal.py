"""What was changed in the local Glue's catalog since it was last saved: a cloud that is killed forgets none of it.

The whole catalog of a long history takes a second to save, so that is done seldom (`local.cloud_state`). On AWS, what
Glue has answered is kept; here each change is a line in a file before it is answered, as a database does with its log.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_CHANGE = re.compile(r"(Batch)?(Create|Update|Delete)(Database|Table|Partition|PartitionIndex|ColumnStatisticsFor\w+)")

Handle = Callable[[str, str, Mapping[str, str], bytes, Any], Any]
"""How the emulator has Glue's requests answered: method, path, headers, body, query."""


class CatalogJournal:
    """The changes of the catalog since the last saving, each as the request that made it.

    Args:
        path: The file; its folder is made with the first change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()

    def keeping(self, handle: Handle) -> Handle:
        """Return *handle* with a line kept of each change before it is answered; refused ones change nothing."""
        from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415 - after its environment is set

        def handled(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
            target = headers.get("x-amz-target", "")
            if _CHANGE.fullmatch(target.rpartition(".")[2]) is None:
                return handle(method, path, headers, body, query)
            # One at a time, so that they are made again in the order in which they were made.
            with self._turn:
                answer = handle(method, path, headers, body, query)
                if answer[0] == 200:
                    change = [get_account_id(), get_region(), target, body.decode()]
                    self._append(json.dumps(change).encode() + b"\n")
            return answer

        return handled

    def replay(self, handle: Handle) -> bool:
        """Make again what was kept, over the state that was saved before; some of it may be in that state already.

        Returns:
            Whether there was anything.
        """
        changes = self._changes()
        for account, region, target, body in changes:
            # What is in that state is refused this time.
            contextvars.copy_context().run(_again, handle, account, region, target, body.encode())
        return bool(changes)

    @contextlib.contextmanager
    def saved(self) -> Iterator[None]:
        """Hold changes back while the body of the `with` saves the whole catalog, and begin anew after it."""
        with self._turn:
            yield
            self._path.unlink(missing_ok=True)

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            before_bytes = file.tell()
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                # Of a full disk, perhaps: the change is not confirmed, and the next line must not follow half of it.
                file.truncate(before_bytes)
                raise

    def _changes(self) -> list[list[str]]:
        if not self._path.exists():
            return []
        # What stands behind the last line end was being written at the kill, and had been answered to nobody.
        whole, end, _ = self._path.read_bytes().rpartition(b"\n")
        # The next line must not follow half of one.
        os.truncate(self._path, len(whole + end))
        return [json.loads(line) for line in whole.splitlines()]


def _again(handle: Handle, account: str, region: str, target: str, body: bytes) -> None:
    from ministack.core.responses import set_request_account_id, set_request_region  # noqa: PLC0415

    set_request_account_id(account)
    set_request_region(region)
    handle("POST", "/", {"x-amz-target": target}, body, {})
