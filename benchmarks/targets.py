"""Figures to reach, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach."""

    name: str
    value: float
    unit: str
    bound: float
    at_least: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether the value is within its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def row(self) -> tuple[str, str, str, str]:
        """Return the cells of the table."""
        sign = "at least" if self.at_least else "at most"
        return (
            self.name,
            f"{self.value:.2f} {self.unit}",
            f"{sign} {self.bound:g} {self.unit}",
            "reached" if self.is_reached else "MISSED",
        )
