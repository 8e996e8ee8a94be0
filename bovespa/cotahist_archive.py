"""What B3 sends a trading day, or a year of them, in: a ZIP with one text, or the text itself."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from bovespa.errors import UnreadableTradingDay

_ZIP_MAGIC = b"PK"
_MEMBER_SUFFIX = ".TXT"


def is_zip(start: bytes) -> bool:
    """Whether a file that begins with *start* is a ZIP, or means to be one."""
    return start.startswith(_ZIP_MAGIC)


@contextlib.contextmanager
def open_cotahist(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give the text inside *file*, which is a ZIP or that text, as a stream; nothing is unpacked to a disk.

    Args:
        file: Open for reading in binary, at its start, and seekable.

    Raises:
        UnreadableTradingDay: It is a ZIP that cannot be read, or holds anything but one text. Also while the stream is
            read, if what is packed turns out to be damaged.
    """
    start = file.read(len(_ZIP_MAGIC))
    file.seek(0)
    if not is_zip(start):
        yield file
        return
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if len(names) != 1 or not names[0].upper().endswith(_MEMBER_SUFFIX):
                raise UnreadableTradingDay(f"the ZIP holds {', '.join(names[:3]) or 'nothing'}, not one text")
            with archive.open(names[0]) as text:
                yield text  # type: ignore[misc]  # an IO[bytes], of which only reading is used
    # RuntimeError is what a password makes; NotImplementedError, a subclass of it, an unknown method of packing.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UnreadableTradingDay(f"the ZIP cannot be read: {error}") from error
