"""An attack: what is sent, what must come of it, and what did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attacks.target import Target
from attacks.wire import Answer, exchange

Build = Callable[[Target], bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack."""

    seen: str
    held: bool
    """Whether the API did what it must."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One row of the table."""

    group: str
    name: str
    """Of no other attack."""
    sent: str
    expected: str
    attempt: Callable[[Target], Outcome]
    is_slow: bool = False
    """Takes longer than a few seconds."""

    def perform(self, target: Target) -> Outcome:
        """Send it. An API that does not answer has not held."""
        try:
            return self.attempt(target)
        except OSError as error:
            return Outcome(f"no answer: {type(error).__name__}", held=False)


def sends(group: str, name: str, sent: str, expected: str, build: Build) -> Attack:
    """Return an attack of one request.

    Args:
        group: What it is about.
        name: Of no other attack.
        sent: For people.
        expected: Status and problem code, `401 token_invalid`; alternatives are parted by ` or `.
        build: Makes the bytes of the request.
    """

    def attempt(target: Target) -> Outcome:
        return judged(target, exchange(target.address, build(target)), expected)

    return Attack(group, name, sent, expected, attempt)


def judged(target: Target, answers: list[Answer], expected: str) -> Outcome:
    """Hold what came back to what is expected, and to what no answer may hold."""
    seen = ", ".join(answer.brief for answer in answers) or "closed without an answer"
    told = [leak for answer in answers if (leak := target.leak(answer.text))]
    if told:
        return Outcome(f"{seen}, and it told {told[0]}", held=False)
    return Outcome(seen, held=seen in expected.split(" or "))
