"""Why the local Athena does not run a statement, in Athena's words."""

from __future__ import annotations


class StatementFailed(Exception):
    """A statement that Athena itself would refuse or fail, or that the local Athena cannot run truthfully."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def not_supported(what: str) -> StatementFailed:
    """Return the refusal of something that AWS may well do, but that would not be the same here."""
    return StatementFailed("NOT_SUPPORTED", f"not supported by the local Athena: {what}")
