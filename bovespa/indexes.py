"""The index codes whose daily portfolio B3 publishes."""

from __future__ import annotations

from bovespa.errors import UnknownIndex

DEFAULT_INDEX_CODE = "IBOV"

INDEX_CODES: tuple[str, ...] = tuple(
    """
    AGFS BDRX GPTW IBBC IBBE IBBR IBEE IBEP IBEW IBHB IBLV IBOV IBRA IBSD IBXL IBXX ICO2 ICON IDIV IDVR IEEX
    IFIL IFIX IFNC IGCT IGCX IGNM IMAT IMOB INDX ISEE ITAG IVBX MLCX SMLL UTIL
    """.split()
)
"""Codes of B3's `indexPage/day/<INDEX>` pages, in alphabetical order."""


def require_index_code(text: str) -> str:
    """Return *text* if it is a known index code, exactly as B3 spells it.

    Raises:
        UnknownIndex: It is not; the message lists the known codes.
    """
    if text not in INDEX_CODES:
        raise UnknownIndex(f"Unknown index {text[:20]!r}; choose one of {', '.join(INDEX_CODES)}.")
    return text
