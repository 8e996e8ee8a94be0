"""ListObjects of the local S3: at the cost of what a page shows, as in AWS, and not of what the bucket holds.

The emulator looks at every key of the bucket and sorts those of the prefix for each page. With the 450,000 objects of
twenty years a listing of ninety keys takes longer than everything else of a run, and whatever lists is measured by it.
`install` keeps the keys of each bucket in order. The places are private to the emulator, whose version is pinned; a
contract test fails if an upgrade moves them.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping
from typing import Any

Page = tuple[list[str], list[str], bool, str]
"""What the emulator's listings take: keys, common prefixes, whether there is more, and the last row shown."""

_AFTER_ALL = chr(0x10FFFF)


class ObjectsInOrder(dict[str, Any]):
    """The objects of one bucket, by key, as the emulator has them, and their keys in order besides."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        super().__init__(objects)
        self._keys = sorted(self)
        self._lock = threading.Lock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            if key not in self:
                bisect.insort(self._keys, key)
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        with self._lock:
            super().__delitem__(key)
            del self._keys[bisect.bisect_left(self._keys, key)]

    def pop(self, key: str, default: Any = None) -> Any:
        """Take *key* out and return its object, *default* if there is none."""
        with self._lock:
            if key not in self:
                return default
            del self._keys[bisect.bisect_left(self._keys, key)]
            return super().pop(key)

    def page(self, prefix: str, delimiter: str, most: int, start_after: str) -> Page:
        """Return the page of a listing that begins behind *start_after*.

        Args:
            prefix: Of every key that is shown.
            delimiter: Keys with it behind the prefix are one row for all that are equal up to it; empty for none.
            most: Rows of the page.
            start_after: The last row of the page before, or the key that the caller gave; empty for the first.
        """
        shown: list[str] = []
        common: list[str] = []
        last = ""
        with self._lock:
            place = max(bisect.bisect_left(self._keys, prefix), bisect.bisect_right(self._keys, start_after))
            while place < len(self._keys) and self._keys[place].startswith(prefix):
                key = self._keys[place]
                end = key.find(delimiter, len(prefix)) if delimiter else -1
                row = key if end < 0 else key[: end + len(delimiter)]
                # No key follows those of a common prefix that is not behind them.
                place = place + 1 if end < 0 else bisect.bisect_left(self._keys, row + _AFTER_ALL, place)
                if row <= start_after:
                    continue
                if len(shown) + len(common) >= most:
                    return shown, common, True, last
                (shown if end < 0 else common).append(row)
                last = row
        return shown, common, False, last


def install() -> None:
    """Answer listings in the emulator's process."""
    from ministack.services import s3  # noqa: PLC0415 - the emulator reads its environment when it is imported

    find = s3._ensure_bucket  # noqa: SLF001
    turn = threading.Lock()

    def ensure_bucket(name: str) -> Any:
        bucket = find(name)
        # Every call that puts or lists comes through here, so nothing is put where the keys are not in order yet.
        if bucket is not None and not isinstance(bucket["objects"], ObjectsInOrder):
            with turn:
                if not isinstance(bucket["objects"], ObjectsInOrder):
                    bucket["objects"] = ObjectsInOrder(bucket["objects"])
        return bucket

    def entries(objects: ObjectsInOrder, prefix: str, delimiter: str, max_keys: int, start_after: str) -> Page:
        return objects.page(prefix, delimiter, max_keys, start_after)

    s3._ensure_bucket = ensure_bucket  # noqa: SLF001
    s3._collect_list_entries = entries  # noqa: SLF001
