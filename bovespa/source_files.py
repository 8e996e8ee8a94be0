"""A file of B3 as bytes that can be read again and again, wherever they are, under their digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bovespa.cotahist_archive import is_zip


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A record of trading days, a ZIP or the text in it, as it came."""

    sha256: str
    size_bytes: int
    suffix: str
    """`.zip` or `.txt`, by what it is and not by its name."""
    open: Callable[[], BinaryIO]
    """Opens it anew, at its start; whoever opens it closes it."""

    @classmethod
    def of_bytes(cls, content: bytes) -> SourceFile:
        """Return a file that is held in memory."""
        return cls(hashlib.sha256(content).hexdigest(), len(content), _suffix(content[:4]), lambda: io.BytesIO(content))

    @classmethod
    def of_path(cls, path: Path) -> SourceFile:
        """Return a file that stays where it is; it is read once for its digest, a little at a time.

        Raises:
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            suffix = _suffix(file.read(4))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(digest, file.tell(), suffix, lambda: path.open("rb"))


def _suffix(start: bytes) -> str:
    return ".zip" if is_zip(start) else ".txt"
