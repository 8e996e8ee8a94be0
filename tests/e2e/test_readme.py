"""The session of the README and of what it goes on in, command by command, in a shell, against `python -m local up`."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import markdown
from tests.conftest import PROJECT
from tests.e2e.test_local_commands import environment, running_up

README = (PROJECT / "README.md").read_text(encoding="utf-8")
GOES_ON = [(PROJECT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "queries.md")]
"""In the same terminal, as the README says."""
SHOWN_URL = "http://127.0.0.1:8000"
VARYING = {"access_token", "elapsed_ms", "stored_at", "received_at"}
"""Members whose values are another's each time; all others must be what the README shows."""
MARK = "--- end of command, status "
TIMEOUT_S = 240


@dataclass(frozen=True)
class Step:
    """One command of the session and the answer that the README shows to it."""

    command: str
    shown: str


def steps(text: str) -> Iterator[Step]:
    """The commands of all console blocks, in order."""
    for block in markdown.blocks(text, "console"):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            length = next(n for n in range(1, len(lines) + 1) if is_whole("\n".join(lines[:n])))
            yield Step("\n".join(lines[:length]), "\n".join(lines[length:]))


def is_whole(command: str) -> bool:
    """Whether a shell would run *command* as it is, instead of asking for another line."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def agree(shown: Any, real: Any, name: str = "") -> bool:
    """Whether an answer has the shown members in the shown order, and the shown values where these are stable."""
    if name == "elapsed_ms":
        return type(real) is int and 0 < real < 60_000
    if name in VARYING:
        if shown.endswith("..."):
            return isinstance(real, str) and real.startswith(shown.removesuffix("...")) and len(real) > len(shown)
        return dt.datetime.fromisoformat(real).tzinfo is not None
    if isinstance(shown, dict):
        return (
            isinstance(real, dict)
            and list(shown) == list(real)
            and all(agree(shown[member], real[member], member) for member in shown)
        )
    if isinstance(shown, list):
        return (
            isinstance(real, list)
            and len(shown) == len(real)
            and all(agree(one, other) for one, other in zip(shown, real, strict=True))
        )
    return type(shown) is type(real) and bool(shown == real)


def stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.fixture(scope="module")
def session() -> list[Step]:
    found = [list(steps(text)) for text in (README, *GOES_ON)]
    assert all(len(of_a_document) >= 2 for of_a_document in found)
    together = [step for of_a_document in found for step in of_a_document]
    assert sum("curl" in step.command for step in together) >= 6
    assert sum("-m local query" in step.command for step in together) >= 3
    return together


@pytest.fixture(scope="module")
def start() -> list[str]:
    """Options of the README's `make up`, except the port, for which a free one is taken."""
    shown = "\n".join(block.text for block in markdown.blocks(README))
    (options,) = re.findall(r'^make up ARGS="([^"]*)"$', shown, re.MULTILINE)
    assert "--port 8000" in options
    return str(options).replace("--port 8000", "").split()


def test_the_session_of_the_readme_gives_the_answers_that_it_shows(session: list[Step], start: list[str]) -> None:
    # Each on a line of its own, after whatever the command wrote.
    script = "\n".join(f"{step.command}\nprintf '\\n%s%s\\n' '{MARK}' $?" for step in session)
    assert SHOWN_URL in script
    with running_up(*start) as (_, up):
        ran = subprocess.run(
            ["bash", "-s"],  # noqa: S607 - whichever bash the reader has
            input=script.replace(SHOWN_URL, up["api"]).replace(".venv/bin/python", shlex.quote(sys.executable)),
            env=environment(PASSWORD=up["password"], LC_ALL="C.UTF-8", PYTHONIOENCODING="utf-8"),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )
    parts = re.split(rf"^{re.escape(MARK)}(\d+)\n", ran.stdout, flags=re.MULTILINE)
    outputs, statuses = parts[0:-1:2], parts[1::2]
    assert len(outputs) == len(session), ran.stderr
    for step, output, status in zip(session, outputs, statuses, strict=True):
        assert status == "0", (step.command, output, ran.stderr)
        if step.shown.startswith("{\n"):
            assert agree(json.loads(step.shown), json.loads(output)), (step.command, output)
        else:
            assert stripped(output) == stripped(step.shown), step.command


def test_an_answer_that_differs_from_the_shown_one_is_noticed() -> None:
    shown = {
        "rows": 86,
        "access_token": "eyJ...",
        "stored_at": "2025-02-03T10:00:00+00:00",
        "sessions": [{"state": "a"}],
    }
    real = {**shown, "access_token": "eyJhbGciOi", "stored_at": "2026-01-01T00:00:00.5+00:00"}
    assert agree(shown, real)
    assert not agree(shown, {**real, "rows": 85})
    assert not agree(shown, {**real, "access_token": "abc"})
    assert not agree(shown, {**real, "sessions": [{"state": "b"}]})
    assert not agree(shown, {**real, "more": 1})
    assert not agree(shown, {name: value for name, value in real.items() if name != "rows"})
