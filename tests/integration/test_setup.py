"""`make setup` on machines that lack one thing or another, played with stand-ins for what the machine brings along."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

TOOLS = "cat cut dirname env grep head mkdir mv readlink rm sed sha256sum sh tr true".split()
"""What every Debian has and the script uses; nothing else of this machine is on the script's path."""

CHROME = "echo 'Google Chrome 130.0'"
JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"


@dataclass
class Machine:
    """A folder with a checkout and a folder with all commands that there are."""

    root: Path

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def stamp(self) -> Path:
        return self.checkout / ".venv" / "setup-stamp"

    @property
    def asked_of_apt(self) -> list[str]:
        log = self.root / "apt.log"
        return log.read_text().splitlines() if log.exists() else []

    def give(self, name: str, script: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def give_apt(self, *, installs: dict[str, str]) -> None:
        """An apt-get that notes what it is asked for, and whose install brings the commands *installs*."""
        bringing = "\n".join(
            f"printf '#!/bin/sh\\n%s\\n' {_quoted(script)} > {self.root}/bin/{name}; chmod +x {self.root}/bin/{name}"
            for name, script in installs.items()
        )
        self.give("apt-get", f'echo "$@" >> {self.root}/apt.log\n[ "$1" = install ] || exit 0\n{bringing}')
        (self.root / "bin" / "chmod").symlink_to("/bin/chmod")

    def setup(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "scripts/setup.sh"],
            cwd=self.checkout,
            env={"PATH": str(self.root / "bin"), "HOME": str(self.root), "PIP_NO_INDEX": "1", **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def wheel(folder: Path) -> str:
    """A real wheel of one empty module; returns the requirement that pins it."""
    path = folder / "pinned-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pinned.py", "")
        archive.writestr("pinned-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pinned\nVersion: 1.0\n")
        archive.writestr("pinned-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("pinned-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"--find-links {folder}\npinned==1.0 --hash=sha256:{digest}\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Root's machine with Python, Chrome and Java 17, and a checkout that needs one package."""
    made = Machine(tmp_path)
    (made.checkout / "scripts").mkdir(parents=True)
    shutil.copy(PROJECT / "scripts" / "setup.sh", made.checkout / "scripts")
    (made.checkout / "requirements-dev.txt").write_text(wheel(tmp_path))
    (made.checkout / "requirements-spark-jars.txt").write_text("# nothing\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"{tool} is not on this machine"
        (tmp_path / "bin" / tool).symlink_to(found)
    made.give("python3", f'exec {sys._base_executable} "$@"')  # type: ignore[attr-defined]
    made.give("id", "echo 0")
    made.give("google-chrome", CHROME)
    made.give("java", JAVA_17)
    made.give("curl", "exit 0")
    return made


def test_it_installs_once_then_finds_everything_in_place_and_mends_what_is_not(machine: Machine) -> None:
    # A .venv that is half made, and a package with another hash: the one is made again, the other is refused.
    (machine.checkout / ".venv" / "bin").mkdir(parents=True)
    (machine.checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.9")
    requirements = machine.checkout / "requirements-dev.txt"
    right = requirements.read_text()
    requirements.write_text(re.sub(r"sha256:\w+", "sha256:" + "0" * 64, right))
    refused = machine.setup(PYTHONDONTWRITEBYTECODE="1")
    assert refused.returncode != 0
    assert "Making .venv" in refused.stderr
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert not machine.stamp.exists()

    # What was refused left a .venv that is whole, and nothing else.
    requirements.write_text(right)
    first = machine.setup(PYTHONDONTWRITEBYTECODE="1")
    assert first.returncode == 0, first.stderr
    assert "Making .venv" not in first.stderr
    assert "Ready: Python 3." in first.stderr
    probe = [machine.checkout / ".venv" / "bin" / "python", "-c", "import pinned"]
    assert subprocess.run(probe, check=False).returncode == 0
    written = machine.stamp.stat().st_mtime_ns

    start = time.monotonic()
    second = machine.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert time.monotonic() - start < 2
    assert machine.stamp.stat().st_mtime_ns == written
    assert machine.asked_of_apt == []

    # Other requirements: the stamp no longer holds.
    with requirements.open("a") as file:
        file.write("# changed\n")
    third = machine.setup()
    assert third.returncode == 0
    assert "Installing the Python packages" in third.stderr
    assert "Making .venv" not in third.stderr

    # An attempt that failed half-way: the old stamp is no proof any more, not even for the old requirements.
    right = requirements.read_text()
    requirements.write_text("missing==1.0 --hash=sha256:" + "0" * 64)
    assert machine.setup().returncode != 0
    requirements.write_text(right)
    assert "Installing the Python packages" in machine.setup().stderr

    # A folder that moved, on a machine that has lost its browser and Java: apt brings those, as root, and .venv is made
    # again, for the scripts in .venv/bin name the old folder.
    moved = Machine(machine.root / "moved")
    moved.root.mkdir()
    shutil.move(machine.checkout, moved.checkout)
    (moved.root / "bin").symlink_to(machine.root / "bin")
    (moved.root / "bin" / "google-chrome").unlink()
    (moved.root / "bin" / "java").unlink()
    moved.give_apt(installs={"chromium-headless-shell": "exit 0", "chromedriver": "exit 0", "java": JAVA_17})
    fourth = moved.setup(OS_RELEASE="/dev/null")
    assert fourth.returncode == 0, fourth.stderr
    assert "Making .venv" in fourth.stderr
    update, install = moved.asked_of_apt
    assert update == "update -qq"
    assert install.split()[:2] == ["install", "-y"]
    assert install.split()[-3:] == ["chromium-headless-shell", "chromium-driver", "openjdk-17-jre-headless"]


def test_no_process_has_to_compile_the_installed_packages_anew() -> None:
    # Here, not on the stand-in machine: only the real requirements bring uv, which compiles nothing unless told to.
    modules = list(Path(sysconfig.get_path("purelib"), "pandas").rglob("*.py"))
    assert modules
    assert [module for module in modules if not Path(importlib.util.cache_from_source(str(module))).exists()] == []


def test_where_apt_knows_no_headless_shell_chromium_is_asked_for(machine: Machine) -> None:
    (machine.root / "bin" / "google-chrome").unlink()
    (machine.root / "bin" / "java").unlink()  # which this apt-get does not bring, so that it stops here
    machine.give_apt(installs={"chromium": "exit 0", "chromedriver": "exit 0"})
    machine.give("apt-cache", 'case "$*" in *headless*) exit 100 ;; esac\necho "Package: $3"')
    done = machine.setup(OS_RELEASE="/dev/null")
    assert machine.asked_of_apt[-1].split()[-3:] == ["chromium", "chromium-driver", "openjdk-17-jre-headless"]
    # What it has brought is a browser.
    assert re.search(r"still missing: java\W*$", done.stderr, re.MULTILINE), done.stderr


def test_without_root_it_says_exactly_what_to_run(machine: Machine) -> None:
    (machine.root / "bin" / "java").unlink()
    machine.give_apt(installs={"java": JAVA_17})
    machine.give("id", "echo 1000")
    machine.give("sudo", "exit 1")
    done = machine.setup()
    assert done.returncode == 1
    assert "sudo apt-get update\n" in done.stderr
    assert "sudo apt-get install -y --no-install-recommends openjdk-17-jre-headless" in done.stderr
    assert machine.asked_of_apt == []
    assert not (machine.checkout / ".venv").exists()


def test_a_sudo_without_password_is_used(machine: Machine) -> None:
    (machine.root / "bin" / "java").unlink()
    machine.give_apt(installs={})
    machine.give("id", "echo 1000")
    machine.give("sudo", '[ "$1" = -n ] || exit 9\nshift\nexec "$@"')
    done = machine.setup()
    assert machine.asked_of_apt[-1].endswith(" openjdk-17-jre-headless")
    # This apt-get brings nothing, and that does not go unnoticed.
    assert done.returncode == 1
    assert "still missing: java" in done.stderr


def test_what_apt_says_is_shown_when_it_fails(machine: Machine) -> None:
    (machine.root / "bin" / "java").unlink()
    machine.give("apt-get", '[ "$1" = update ] || { echo "E: no space left" >&2; exit 100; }')
    done = machine.setup()
    assert done.returncode == 1
    assert "E: no space left" in done.stderr
    assert not machine.stamp.exists()


def test_where_there_is_no_apt_it_names_everything_that_is_missing(machine: Machine) -> None:
    for name in ("python3", "google-chrome", "java"):
        (machine.root / "bin" / name).unlink()
    done = machine.setup()
    assert done.returncode == 1
    assert re.findall(r"^  - (\w+ ?\w*)", done.stderr, re.MULTILINE) == ["Python 3", "Chromium with", "a Java"]


@pytest.mark.parametrize("version", ["24.0.1", "1.7.0_80"])
def test_a_java_that_spark_cannot_use_is_as_good_as_none(machine: Machine, version: str) -> None:
    machine.give("java", f"echo 'openjdk version \"{version}\"' >&2")
    done = machine.setup()
    assert done.returncode == 1
    assert "a Java runtime, version 17" in done.stderr


@pytest.mark.parametrize("version", ["1.8.0_442", "11.0.27", "21.0.7"])
def test_every_java_that_spark_runs_on_will_do(machine: Machine, version: str) -> None:
    machine.give("java", f"echo 'openjdk version \"{version}\"' >&2")
    (machine.root / "bin" / "google-chrome").unlink()  # so that it stops here, having named what is missing
    assert "Java" not in machine.setup().stderr


def test_the_browser_of_a_snap_is_none_and_ubuntu_is_told_what_to_do(machine: Machine) -> None:
    (machine.root / "bin" / "google-chrome").unlink()
    machine.give_apt(installs={})
    machine.give("chromium-browser", 'exec /snap/bin/chromium "$@"')
    machine.give("chromedriver", "exit 0")
    os_release = machine.root / "os-release"
    os_release.write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    done = machine.setup(OS_RELEASE=str(os_release))
    assert done.returncode == 1
    assert "apt-get install -y ./google-chrome-stable_current_amd64.deb" in done.stderr
    assert machine.asked_of_apt == []


def test_chromium_without_its_driver_is_not_enough(machine: Machine) -> None:
    (machine.root / "bin" / "google-chrome").unlink()
    machine.give("chromium", "exit 0")
    (machine.root / "bin" / "java").unlink()  # so that it stops there, having named what is missing
    assert "Chromium with chromedriver" in machine.setup().stderr
    machine.give("chromedriver", "exit 0")
    assert "Chromium" not in machine.setup().stderr


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    (declared,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = subprocess.run(
        ["make", "-C", PROJECT, "--no-print-directory", "help"],  # noqa: S607
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [line.split()[1] for line in shown.splitlines()] == declared.split()


def test_the_pinned_requirements_name_no_registry() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-spark-jars.txt"):
        text = (PROJECT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name
        pins = re.findall(r"^[A-Za-z0-9].*?==.*$", text, re.MULTILINE)
        assert pins
        assert all(pin.endswith("\\") for pin in pins), "every pin is followed by its hashes"
