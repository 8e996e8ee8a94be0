"""The recipes of `deployment/`: what they start exists, runs without rights, and listens where it should."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from datetime import time
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bovespa.clock import PUBLISHED_FROM
from tests.conftest import PROJECT

FOLDER = PROJECT / "deployment"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
SERVICES = ("bovespa-api.service", "bovespa-ingest.service")
TIMER = "bovespa-ingest.timer"


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its text, comments left out and lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def of(name: str) -> list[str]:
    return [text for found, text in instructions() if found == name]


def test_the_image_is_slim_and_of_a_named_release() -> None:
    bases = {text.split(" AS ")[0] for text in of("FROM")}
    assert len(bases) == 1, "both stages must have one Python"
    assert re.fullmatch(r"python:3\.1[1-9]-slim-[a-z]+", bases.pop())


def test_the_image_installs_pinned_packages_only() -> None:
    (pip,) = [text for text in of("RUN") if "pip install" in text]
    assert "--require-hashes" in pip
    assert "--requirement /tmp/requirements.txt" in pip
    assert "requirements-dev" not in DOCKERFILE


def test_the_image_runs_without_rights_and_without_a_shell_in_between() -> None:
    assert of("USER") == ["10001"]
    order = [name for name, _ in instructions()]
    assert order.index("USER") > max(at for at, name in enumerate(order) if name in ("RUN", "COPY"))
    assert "useradd --system --uid 10001" in DOCKERFILE
    for text in (*of("CMD"), *(one.partition("CMD ")[2] for one in of("HEALTHCHECK"))):
        assert isinstance(json.loads(text), list)
    assert json.loads(of("CMD")[0]) == ["python", "app.py"]


def test_the_image_has_browser_and_driver_and_leaves_no_lists_of_packages() -> None:
    (apt,) = [text for text in of("RUN") if "apt-get install" in text]
    assert {"--no-install-recommends", "chromium-headless-shell", "chromium-driver"} <= set(apt.split())
    assert "rm -rf /var/lib/apt/lists/*" in apt
    assert not {"ADD", "MAINTAINER"} & {name for name, _ in instructions()}
    assert "sudo" not in DOCKERFILE


def test_the_image_holds_no_setting_but_those_of_the_container() -> None:
    set_here = set(re.findall(r"\b(\w+)=", " ".join(of("ENV"))))
    assert {name for name in set_here if name.startswith(("BOVESPA_", "AWS_"))} == {
        "BOVESPA_BROWSER",
        "BOVESPA_HOST",
        "BOVESPA_PORT",
    }
    (port,) = of("EXPOSE")
    assert f"127.0.0.1:{port}/health" in of("HEALTHCHECK")[0]
    assert f"BOVESPA_PORT={port}" in of("ENV")[0]


def test_the_image_gets_every_package_that_the_api_imports_and_nothing_secret() -> None:
    copied = {text.split()[0] for text in of("COPY") if not text.startswith("--from")}
    sources = {name for name in copied if name != "requirements.txt"}
    ours = {path.parent.name for path in PROJECT.glob("*/__init__.py")}
    needed, looked = {"app.py"}, set[str]()
    while new := needed - looked:
        for name in new:
            looked.add(name)
            path = PROJECT / name
            for file in [path] if path.is_file() else path.glob("*.py"):
                imported = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
                needed |= set(imported) & ours
    assert sources == needed
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = [rule.removeprefix("!") for rule in rules[1:]]
    assert all(rule.startswith("!") for rule in rules[1:])
    for name in sources:
        path = PROJECT / name
        for file in [path] if path.is_file() else path.glob("*.py"):
            assert any(fnmatch(file.relative_to(PROJECT).as_posix(), pattern) for pattern in allowed), file
    for secret in (".env", ".git/config", "api/.env", "local/data", ".venv/bin/python"):
        assert not any(fnmatch(secret, pattern) for pattern in allowed), secret


def unit(name: str) -> dict[str, dict[str, str]]:
    """A unit by sections; of a key that comes more than once, the last."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((FOLDER / name).read_text(encoding="utf-8"))
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_have_no_rights_that_they_do_not_need(name: str) -> None:
    service = unit(name)["Service"]
    assert service["User"] == "bovespa"
    closed = """
        NoNewPrivileges ProtectHome PrivateTmp PrivateDevices ProtectClock ProtectControlGroups ProtectHostname
        ProtectKernelLogs ProtectKernelModules ProtectKernelTunables RestrictRealtime RestrictSUIDSGID LockPersonality
    """.split()
    assert {service[option] for option in closed} == {"yes"}
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"], service["UMask"]) == ("strict", "", "0077")
    assert service["EnvironmentFile"] == "/etc/bovespa/api.env"
    assert not re.search(r"(SECRET|USERS|KEY)=", (FOLDER / name).read_text(encoding="utf-8"))


def test_the_services_are_equally_closed() -> None:
    same = [
        {
            key: value
            for key, value in unit(name)["Service"].items()
            if key.startswith(("Protect", "Private", "Restrict"))
        }
        for name in SERVICES
    ]
    same[0].pop("RestartPreventExitStatus", None)
    assert same[0] == same[1]


def test_the_timer_calls_several_times_a_day_and_before_the_evening() -> None:
    timer = unit(TIMER)["Timer"]
    match = re.fullmatch(r"\*-\*-\* ([\d,]+):(\d\d):00 America/Sao_Paulo", timer["OnCalendar"])
    assert match is not None
    calls = [time(int(hour), int(match[2])) for hour in match[1].split(",")]
    assert len(calls) >= 5
    assert max(calls) < PUBLISHED_FROM, "the alarm of the evening would ring for what is collected after it"
    assert (timer["Unit"], timer["Persistent"]) == ("bovespa-ingest.service", "true")
    cron = (FOLDER / "bovespa.cron").read_text(encoding="utf-8")
    assert "CRON_TZ=America/Sao_Paulo" in cron
    minute, first, last, step = re.findall(r"^(\d+) (\d+)-(\d+)/(\d+) \* \* \*  bovespa ", cron, re.MULTILINE)[0]
    assert [time(hour, int(minute)) for hour in range(int(first), int(last) + 1, int(step))] == calls


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """As they are, but for the user and the program, which this machine does not have."""
    for name in (*SERVICES, TIMER):
        text = (FOLDER / name).read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        text = re.sub(r"^(User|Group)=.*", r"\1=root", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = [str(tmp_path / name) for name in (*SERVICES, TIMER)]
    program = shutil.which("systemd-analyze")
    assert program is not None
    answer = subprocess.run([program, "verify", *paths], capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_what_the_units_start_exists() -> None:
    assert unit(SERVICES[0])["Service"]["ExecStart"] == "/srv/bovespa/.venv/bin/python app.py"
    assert unit(SERVICES[1])["Service"]["ExecStart"].startswith("/srv/bovespa/.venv/bin/flask --app app ingest ")
    assert (PROJECT / "app.py").is_file()
