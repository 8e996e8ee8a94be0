"""No credential is in a file that git tracks."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conftest import PROJECT

PATTERNS = {
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "token of a forge": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|glpat-[\w-]{20,})\b"),
    "credentials in a URL": re.compile(r"https?://[^/\s:@'\"{}<>$]+:[^/\s:@'\"{}<>$]+@"),
    "password hash": re.compile(r"\bscrypt:\d+:\d+:\d+\$\w+\$[0-9a-f]{64,}"),
}
ASSIGNED = re.compile(
    r"(?i)(?:secret|passw(?:or)?d|token|api_?key|credential)\w*[\"']?\s*[:=]\s*[\"']?(?P<value>[A-Za-z0-9+/_=-]{24,})"
)
"""Something long right after a name that sounds secret; it counts if it is as random as a key."""


def entropy_bits(text: str) -> float:
    """Shannon's entropy, in bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def findings(text: str) -> Iterator[str]:
    for name, pattern in PATTERNS.items():
        yield from (f"{name}: {match[0][:12]}..." for match in pattern.finditer(text))
    for match in ASSIGNED.finditer(text):
        value = match["value"]
        # Words and names have few different characters, and no figures among small and capital letters.
        kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
        if kinds == 3 and entropy_bits(value) > 3.8:
            yield f"assigned: {match[0][:30]}..."


def tracked() -> list[str]:
    git = shutil.which("git")
    assert git is not None
    answer = subprocess.run([git, "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True)
    return [name for name in answer.stdout.decode().split("\0") if name and (PROJECT / name).is_file()]


def test_no_tracked_file_holds_a_credential() -> None:
    names = tracked()
    assert len(names) > 200
    found = {
        name: list(findings(text))
        for name in names
        # Hashes of packages, and pictures.
        if not name.endswith((".png", "requirements.txt", "requirements-dev.txt", "requirements-spark-jars.txt"))
        if (text := (PROJECT / name).read_bytes().decode("utf-8", "replace"))
    }
    assert {name: one for name, one in found.items() if one} == {}


def test_no_file_of_settings_is_tracked() -> None:
    kept = re.compile(r"(^|/)(\.env|.*\.(pem|key|p12|pfx|kdbx)|credentials|id_(rsa|ed25519))$")
    assert [name for name in tracked() if kept.search(name)] == []


@pytest.mark.parametrize(
    "text",
    [
        "key = AKI" + "AIOSFODNN7EXAMPLE",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6" + ".eyJzdWIiOiJhbmEiLCJleHAi" + ".c2lnbmF0dXJlLW9mLWl0",
        "ghp" + "_" + "a1" * 18,
        "https://ana:" + "geheim@example.org/x",
        "scrypt:32768:8:1$abc$" + "0f" * 64,
        'JWT_SECRET = "' + "q8Zk2LxV0uR7" + 'nYtB4mWcJ6hD"',
        "aws_secret_access_key=" + "wJalrXUtnFEMI/K7" + "MDENG/bPxRfiCYzQ",
    ],
)
def test_a_credential_is_found(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize(
    "text", ["token_lifetime_s: int = 900", "secret_access_key=mine.secret_access_key", "jwt_secret = " + "x" * 40]
)
def test_code_about_credentials_is_none(text: str) -> None:
    assert list(findings(text)) == []
