"""Parameters that name a place: what B3's stand-in and the cloud were asked for says whether one was reached."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from attacks.table import Attack, Outcome, judged
from attacks.target import Target
from attacks.wire import exchange


def attacks() -> list[Attack]:
    """Return the attacks through the index and the date, after two requests that must reach what they name."""
    return [*_controls(), *_elsewhere()]


def _controls() -> list[Attack]:
    def day(target: Target) -> Outcome:
        outcome, b3, cloud = _reached(target, "/tradingDay?date=2025-02-21", "200")
        right = b3 == ["GET /InstDados/SerHist/COTAHIST_D21022025.ZIP"]
        inside = bool(cloud) and all(f"/{target.audience}/" in line and "2025-02-21" in line for line in cloud)
        return Outcome(f"{outcome.seen}; B3: {len(b3)}, cloud: {len(cloud)}", outcome.held and right and inside)

    def session(target: Target) -> Outcome:
        outcome, b3, cloud = _reached(target, "/sessions/IBOV/2025-02-24", "200")
        inside = bool(cloud) and all("index_code%3DIBOV" in line or "index_code=IBOV" in line for line in cloud)
        return Outcome(f"{outcome.seen}; B3: {len(b3)}, cloud: {len(cloud)}", outcome.held and not b3 and inside)

    return [
        Attack("reach", "a real trading day", "2025-02-21: must be fetched", "200; its file and its keys only", day),
        Attack("reach", "a real session", "IBOV/2025-02-24: must be looked up", "200; its keys only", session),
    ]


def _elsewhere() -> list[Attack]:
    names = (
        ("a URL", "http://{trap}/"),
        ("a URL without a scheme", "//{trap}/"),
        ("another host behind a user", "IBOV@{trap}"),
        ("a metadata service", "http://169.254.169.254/latest/meta-data/"),
        ("a file", "file:///etc/passwd"),
        ("a path upwards", "../../../etc/passwd"),
        ("another key of the bucket", "IBOV/../../source"),
        ("another bucket", "s3://other-bucket/key"),
        ("a key prefix", "IBOV/session_date="),
        ("a query of its own", "IBOV?x=1"),
        ("a fragment", "IBOV#x"),
        ("a zero byte", "IBOV\0"),
        ("a line break", "IBOV\r\nHost: {trap}"),
        ("a date and a path", "2025-02-21/../x"),
        ("a date and a URL", "2025-02-21@{trap}"),
        ("nothing", ""),
    )
    routes = (
        ("index", "/bovespaDay?index={}", "400 unknown_index"),
        ("date", "/tradingDay?date={}", "400 invalid_date"),
        ("session", "/sessions?index={}", "400 unknown_index"),
        ("period", "/sessions?from={}", "400 invalid_date"),
    )
    return [_refused(where, route, expected, name, text) for where, route, expected in routes for name, text in names]


def _refused(where: str, route: str, expected: str, name: str, text: str) -> Attack:
    def attempt(target: Target) -> Outcome:
        path = route.format(quote(text.format(trap=target.trap.authority), safe=""))
        outcome, b3, cloud = _reached(target, path, expected)
        visits = target.trap.visits()
        seen = f"{outcome.seen}; B3: {len(b3)}, cloud: {len(cloud)}, trap: {visits}"
        return Outcome(seen, outcome.held and not b3 and not cloud and not visits)

    sent = f"{route.format(text)!r}"[1:-1]
    return Attack("reach", f"{name} as {where}", sent, f"{expected}; nobody was asked", attempt)


def _reached(target: Target, path: str, expected: str) -> tuple[Outcome, Sequence[str], Sequence[str]]:
    """Send it and return what came of it, what B3's stand-in was asked for, and what the cloud was."""
    asked, stored = len(target.stand_in.requests), target.cloud.requests()
    outcome = judged(target, exchange(target.address, target.get(path)), expected)
    reached = target.cloud.requests()
    for line in stored:
        reached.remove(line)
    return outcome, target.stand_in.requests[asked:], reached
