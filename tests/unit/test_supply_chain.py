"""What the project is made of: pinned by hash, under licences that let everybody use it, and listed."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from license_expression import get_spdx_licensing
from packaging.requirements import Requirement

from tests.conftest import PROJECT

LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-spark-jars.txt")

ALLOWED = frozenset(
    """
    0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 CNRI-Python ISC MIT MIT-0 MIT-CMU MPL-2.0 PSF-2.0 Zlib ZPL-2.1
    """.split()
)
"""Licences that ask for a notice at most, or, like the MPL, only concern changes of their own files."""

SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "http://www.apache.org/licenses/LICENSE-2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zope Public License": "ZPL-2.1",
}
"""How distributions without an SPDX expression call their licence, as classifier or text."""

EXCEPTIONS = {
    "asyncssh": "EPL-2.0, unchanged; the emulator's, on a developer's machine only",
    "psycopg2-binary": "LGPL, unchanged and loaded as a library; the emulator's, on a developer's machine only",
}
"""Distributions under another licence, with the reason why that is all right."""


def pinned(lock: str) -> list[tuple[Requirement, int]]:
    """Each requirement of a lock file, with how many hashes it has."""
    text = (PROJECT / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [
        (Requirement(re.split(r"\s+(?:--|#)", entry)[0].strip()), entry.count("--hash=sha256:")) for entry in entries
    ]


EVERYTHING = {requirement.name: requirement for lock in LOCKS for requirement, _ in pinned(lock)}


@pytest.mark.parametrize("lock", [*LOCKS, "benchmarks/awswrangler-requirements.txt"])
def test_every_requirement_is_pinned_to_one_version_by_hash(lock: str) -> None:
    found = pinned(lock)
    assert found
    for requirement, hashes in found:
        assert re.fullmatch(r"==[\w.!+]+", str(requirement.specifier)), requirement
        assert requirement.url is None, requirement
        assert hashes > 0, requirement


def test_what_runs_in_production_is_what_was_tested() -> None:
    shipped, tested = (
        {(one.name, str(one.specifier)) for one, _ in pinned(f"{name}.txt")}
        for name in ("requirements", "requirements-dev")
    )
    assert shipped
    assert shipped - tested == set()


def test_what_is_asked_for_is_locked() -> None:
    for name in ("requirements", "requirements-dev", "benchmarks/awswrangler-requirements"):
        lines = (PROJECT / f"{name}.in").read_text(encoding="utf-8").splitlines()
        asked = {Requirement(line).name.lower() for line in lines if line and not line.startswith(("#", "-r"))}
        assert asked - {requirement.name for requirement, _ in pinned(f"{name}.txt")} == set()


# Read once: the list of all licences takes a moment.
licensing = cache(get_spdx_licensing)


def licences(name: str) -> set[str]:
    """SPDX names of the licences that a distribution offers; of alternatives, those that are allowed."""
    known = importlib.metadata.metadata(name)
    expression = known.get("License-Expression")
    if expression is None:
        # The text, if it is one line: some put the whole licence there, and then the classifier says it.
        text = (known.get("License") or "").strip()
        classifiers = [
            one.rpartition(" :: ")[2] for one in known.get_all("Classifier") or () if one.startswith("License ::")
        ]
        named = [SPELLINGS[one] for one in [*classifiers, text] if one in SPELLINGS]
        expression = " OR ".join(named) if named else text.partition("\n")[0]
    parsed = licensing().parse(expression, validate=False, strict=False)
    if getattr(parsed, "operator", "") == "|":
        sides = [{str(one) for one in licensing().license_symbols(side)} for side in parsed.args]
        return next((side for side in sides if side <= ALLOWED), set().union(*sides))
    return {str(one) for one in licensing().license_symbols(parsed)}


def installed() -> list[str]:
    return [
        name for name, requirement in EVERYTHING.items() if requirement.marker is None or requirement.marker.evaluate()
    ]


def test_every_distribution_has_an_allowed_licence_or_a_reason() -> None:
    names = installed()
    assert len(names) > 100
    found = {name: licences(name) for name in names}
    others = {name: one for name, one in found.items() if not one or not one <= ALLOWED}
    assert set(others) - set(EXCEPTIONS) == set(), others
    assert set(EXCEPTIONS) - set(others) == set(), "an exception that is none any more"


def test_the_runtime_has_no_exception() -> None:
    assert not {requirement.name for requirement, _ in pinned("requirements.txt")} & set(EXCEPTIONS)


def test_the_bill_of_materials_lists_what_the_api_installs(tmp_path: Path) -> None:
    recipe = (PROJECT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"cyclonedx-py (requirements .*)", recipe)
    target = tmp_path / "sbom.json"
    words = [str(target) if word == "build/sbom.json" else word for word in command.split()]
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *words], cwd=PROJECT, check=True, timeout=60)
    bill = json.loads(target.read_text(encoding="utf-8"))
    assert bill["metadata"]["component"]["name"] == "bovespa-portfolio-pipeline"
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == {(one.name, str(one.specifier).removeprefix("==")) for one, _ in pinned("requirements.txt")}
    assert all(one["externalReferences"] for one in bill["components"])
