"""The table of `make attack` and what the documents say of it; tests/integration/test_attacks.py performs it."""

from __future__ import annotations

import re

import pytest

from attacks.__main__ import EVERY, GROUPS, main
from attacks.wire import request, responses
from tests.conftest import PROJECT

SECURITY = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_names_of_attacks_are_theirs_alone():
    names = [attack.name for attack in EVERY]
    assert sorted(names) == sorted(set(names))
    assert not set(names) & set(GROUPS)


def test_the_attacks_and_tests_that_the_document_names_exist():
    proofs = " ".join(line.rsplit("|", 2)[1] for line in SECURITY.splitlines() if line.startswith("| "))
    named = set(re.findall(r"`([^`]+)`", proofs)) - {"make attack", "make load"}
    tests = {name for name in named if name.startswith("test_")}
    assert len(tests) >= 5
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    assert [name for name in tests if f"def {name}(" not in sources] == []
    assert named - tests - {attack.name for attack in EVERY} - set(GROUPS) == set()
    asked = set(re.findall(r'--only (?:"([^"]+)"|(\w+))', SECURITY))
    assert {"".join(one) for one in asked} <= {attack.name for attack in EVERY} | set(GROUPS)


def test_an_attack_that_there_is_not_is_said(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["--only", "token", "--only", "no such thing"])
    assert caught.value.code == 2
    assert "no such thing" in capsys.readouterr().err


def test_what_comes_back_is_read_response_by_response():
    first = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: 17\r\n\r\n"
        b'{"code":"absent"}'
    )
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    assert [answer.brief for answer in responses(first + second)] == ["404 absent", "200"]
    assert [answer.brief for answer in responses(first.split(b"{")[0], is_head=True)] == ["404"]
    assert responses(b"HTTP/1.1 200 OK\r\nContent-Le") == []


def test_what_is_sent_is_not_corrected():
    sent = request("GET", "/a/../b", {"X-A ": "b\r\n c"}, b"body")
    assert sent == (
        b"GET /a/../b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-A : b\r\n c\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )
