"""Guessing passwords, and learning from the answer, or from how long it takes, who exists."""

from __future__ import annotations

import statistics
import time

from api.lockout import FREE_FAILURES
from attacks.table import Attack, Outcome
from attacks.target import Target
from bovespa.settings import Settings

TRIES = 25
"""Behind each median of the timing; interleaved, so that a busy machine is busy for all."""
TOLERANCE = 2
"""Between the largest median and the smallest. Without equal work, it would be five and more."""


def attacks() -> list[Attack]:
    """Return the attacks on the login."""
    return [
        Attack("login", "the right password", "must be let in", "200", _right),
        Attack("login", "many guesses at one name", "from many addresses", "429 login_locked", _locked),
        Attack("login", "many guesses at a name that is none", "the same", "the same answers", _locked_unknown),
        Attack(
            "login", "the right password during the lock", "from elsewhere", "429 login_locked", _right_while_locked
        ),
        Attack("login", "locking the owner out", "guesses from elsewhere", "the owner gets in at home", _owner_at_home),
        Attack("login", "many logins from one address", "other names", "429 too_many_requests", _flooded),
        Attack("login", "the same with forged addresses", "before the proxy's own", "429 too_many_requests", _forged),
        Attack("login", "timing", f"{TRIES} tries each", f"medians within a factor of {TOLERANCE}", _timed),
    ]


def _right(target: Target) -> Outcome:
    answer = target.login("owner", target.passwords["owner"])
    return Outcome(answer.brief, answer.status == 200 and target.leak(answer.text) is None)


def _guesses(target: Target, user: str) -> list[str]:
    return [target.login(user, f"guess {number}").brief for number in range(FREE_FAILURES + 2)]


_EXPECTED = ["401 invalid_credentials"] * FREE_FAILURES + ["429 login_locked"] * 2


def _locked(target: Target) -> Outcome:
    answers = _guesses(target, "victim")
    return Outcome(answers[-1], answers == _EXPECTED)


def _locked_unknown(target: Target) -> Outcome:
    answers = _guesses(target, "nobody-at-all")
    return Outcome(answers[-1], answers == _EXPECTED)


def _right_while_locked(target: Target) -> Outcome:
    for number in range(FREE_FAILURES):
        target.login("victim", f"guess {number}")
    answer = target.login("victim", target.passwords["victim"])
    waits = 0 < int(answer.headers.get("retry-after", "0")) <= 300
    return Outcome(answer.brief, answer.brief == "429 login_locked" and waits)


def _owner_at_home(target: Target) -> Outcome:
    home = target.client()
    first = target.login("owner", target.passwords["owner"], home)
    elsewhere = _guesses(target, "owner")
    answer = target.login("owner", target.passwords["owner"], home)
    return Outcome(
        f"{elsewhere[-1]} elsewhere, {answer.brief} at home",
        (first.status, elsewhere, answer.status) == (200, _EXPECTED, 200),
    )


def _flooded(target: Target) -> Outcome:
    client = target.client()
    return _until_refused(target, [client] * (Settings.logins_per_minute + 1))


def _forged(target: Target) -> Outcome:
    real = target.client()["X-Forwarded-For"]
    forged = [{"X-Forwarded-For": f"203.0.113.{number}, {real}"} for number in range(Settings.logins_per_minute + 1)]
    return _until_refused(target, forged)


def _until_refused(target: Target, clients: list[dict[str, str]]) -> Outcome:
    # An empty password is refused before the slow check: it is the counting that is attacked.
    answers = [target.login(f"nobody {number}", "", client) for number, client in enumerate(clients)]
    kinds = [answer.brief for answer in answers]
    waits = 0 < int(answers[-1].headers.get("retry-after", "0")) <= 60
    right = kinds == ["400 invalid_field"] * (len(kinds) - 1) + ["429 too_many_requests"]
    return Outcome(f"{kinds[-1]} after {len(kinds) - 1}", right and waits)


def _timed(target: Target) -> Outcome:
    for number in range(FREE_FAILURES):
        target.login("locked-name", f"guess {number}")
    found: dict[str, list[float]] = {"wrong password": [], "unknown user": [], "locked": []}
    for number in range(TRIES):
        unknown = f"nobody {number}"
        for kind, user in (
            ("wrong password", "timed"),
            ("unknown user", unknown),
            ("locked", "locked-name"),
        ):
            started = time.perf_counter()
            target.login(user, "guess")
            found[kind].append(time.perf_counter() - started)
        # A success forgives; else the name would be locked after five, and the others be no tries of a password.
        target.login("timed", target.passwords["timed"])
    medians = {kind: statistics.median(times) for kind, times in found.items()}
    ratio = max(medians.values()) / min(medians.values())
    shown = ", ".join(f"{kind} {median * 1000:.0f} ms" for kind, median in medians.items())
    return Outcome(f"{shown}: {ratio:.2f}", ratio < TOLERANCE)
