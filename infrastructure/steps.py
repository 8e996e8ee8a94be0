"""What the operator's commands share: steps they report, changes they announce, how they wait, how they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bovespa.errors import BovespaError
from infrastructure import waiting

Report = Callable[[str], None]
"""Receives a line for each step."""

_TIMEOUT_S = 1800.0


class DeploymentFailed(BovespaError):
    """AWS refused a change or rolled it back; the message holds its reasons."""

    code = "deployment_failed"


@dataclass(frozen=True, slots=True)
class Change:
    """What a deployment would do to one thing."""

    action: str
    """`Add`, `Modify`, `Remove`, `Import` or `Dynamic`."""
    logical_id: str
    resource_type: str
    """CloudFormation's name for it, or `named query` or `view`."""
    replacement: str | None = None
    """For a modification: `True` if the resource is made anew, `False` or `Conditional`."""

    def __str__(self) -> str:
        anew = " (made anew)" if self.replacement == "True" else ""
        return f"{self.action:<7} {self.logical_id} {self.resource_type}{anew}"


def polls(what: str) -> Iterator[None]:
    """Yield until the caller has what it waits for.

    Raises:
        DeploymentFailed: The time is over; the message begins with *what*.
    """
    yield from waiting.polls(_TIMEOUT_S, first_s=0.05, slowest_s=4.0)
    raise DeploymentFailed(f"{what} after {_TIMEOUT_S / 60:g} minutes.")
