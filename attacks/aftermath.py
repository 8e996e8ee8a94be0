"""What is left when all attacks are over: an API that answers, and a log that tells no secret."""

from __future__ import annotations

from attacks.table import Attack, Outcome, judged
from attacks.target import Target
from attacks.wire import exchange


def attacks() -> list[Attack]:
    """Return what is looked at last."""
    return [
        Attack("aftermath", "the API", "a request with a good token", "200", _answers),
        Attack("aftermath", "the log, for secrets", "read", "no password, hash, key or token", _tells_nothing),
        Attack("aftermath", "the log, for bugs", "read", "no traceback", _has_no_traceback),
    ]


def _answers(target: Target) -> Outcome:
    return judged(target, exchange(target.address, target.get("/sessions/IBOV/2025-02-24")), "200")


def _log(target: Target) -> str:
    return target.log_path.read_text(encoding="utf-8", errors="replace")


def _tells_nothing(target: Target) -> Outcome:
    log = _log(target)
    secrets = (*target.passwords.values(), *target.hashes.values(), target.secret, target.previous_secret)
    # Every token of ours begins with the same header.
    told = [secret for secret in secrets if secret in log] + ["token"] * (target.token().partition(".")[0] in log)
    return Outcome(f"{log.count(chr(10))} lines, {len(told)} secrets", not told and bool(log))


def _has_no_traceback(target: Target) -> Outcome:
    count = _log(target).count("Traceback")
    return Outcome(f"{count} tracebacks", count == 0)
