"""The packages: the same sources give the same bytes, and everything that runs in the cloud is in them."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typing_extensions

from bovespa.errors import ConfigurationError
from infrastructure.libraries import FUNCTION_LIBRARIES, library_files
from infrastructure.package import PROJECT, Artifact, build, zip_files


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packaged folders in another place, where a test may change them."""
    for package in ("bovespa", "glue", "lambda_handler"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "requirements-dev.txt", tmp_path)
    return tmp_path


def names(content: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return set(archive.namelist())


def test_two_builds_are_equal() -> None:
    assert build() == build()


def test_neither_folder_nor_mode_nor_time_is_in_the_packages(copy: Path) -> None:
    for path in copy.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o755)
    assert build(copy) == build()


def test_the_order_of_the_files_does_not_matter() -> None:
    files = {"b.py": b"2", "a.py": b"1"}
    assert zip_files(files) == zip_files(dict(reversed(files.items())))


@pytest.mark.parametrize(
    ("changed", "parameters"),
    [
        ("lambda_handler/lambda_handler.py", {"LambdaPackageKey"}),
        ("glue/transformations.sql", {"JobPackageKey"}),
        ("glue/job.py", {"JobScriptKey", "JobPackageKey"}),
        ("bovespa/layout.py", {"LambdaPackageKey", "JobPackageKey"}),
    ],
)
def test_changed_code_gets_another_key_and_only_that(copy: Path, changed: str, parameters: set[str]) -> None:
    with (copy / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    before, after = build().parameters, build(copy).parameters
    assert {name for name in before if before[name] != after[name]} == parameters


def test_a_key_holds_the_digest_of_its_content() -> None:
    artifact = Artifact("a.zip", b"")
    assert artifact.key == "artifacts/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/a.zip"


def test_the_packages_hold_their_sources_and_nothing_else(copy: Path) -> None:
    (copy / "bovespa" / "secret.env").write_text("BOVESPA_JWT_SECRET=...")
    packages = build(copy)
    vocabulary = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "bovespa").glob("*.py")}
    job = {
        path.relative_to(PROJECT).as_posix() for path in (PROJECT / "glue").iterdir() if path.suffix in (".py", ".sql")
    }
    handler = {f"lambda_handler/{name}.py" for name in ("__init__", "lambda_handler", "watch")}
    library = re.compile(r"(aws_lambda_powertools|jmespath)/[\w/]+\.py|typing_extensions\.py|.+\.dist-info/.*LICENSE")
    assert {name for name in names(packages.lambda_package.content) if not library.fullmatch(name)} == (
        vocabulary | handler
    )
    assert names(packages.job_package.content) == vocabulary | job
    assert "glue/transformations.sql" in job


LAMBDA_HAS = ("boto3", "botocore", "dateutil", "s3transfer", "six", "urllib3", "brotli", "certifi")
"""What AWS's runtime brings with boto3, and what boto3 takes if it happens to be there."""

START = f"""
import json, sys
from lambda_handler.lambda_handler import lambda_handler
stray = {{
    name.partition(".")[0] for name, module in sys.modules.items()
    if "site-packages" in (getattr(module, "__file__", None) or "")
}}
print(json.dumps([lambda_handler.__module__, sorted(stray - {{*{LAMBDA_HAS!r}}})]))
"""


def test_the_function_starts_from_its_zip_and_what_lambda_has_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build().lambda_package.content)) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    module, stray = json.loads(done.stdout)
    # A .pth file of the environment may import things of its own before any of ours.
    assert (module, [name for name in stray if not name.startswith("_")]) == ("lambda_handler.lambda_handler", [])


def test_the_package_of_the_function_stays_small() -> None:
    assert len(build().lambda_package.content) < 3_000_000


LOCK = (PROJECT / "requirements-dev.txt").read_text(encoding="utf-8")


def test_a_library_of_another_version_than_the_pinned_one_is_not_packed() -> None:
    other = re.sub(r"^jmespath==\S+", "jmespath==0.0.1", LOCK, flags=re.MULTILINE)
    with pytest.raises(ConfigurationError, match=r"jmespath [\d.]+ is installed, and 0\.0\.1 is pinned"):
        library_files(other)


def test_a_library_without_a_pin_is_not_packed() -> None:
    with pytest.raises(ConfigurationError, match="aws-lambda-powertools is not pinned"):
        library_files(LOCK.replace("aws-lambda-powertools==", "other=="))


def test_a_library_that_is_not_installed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigurationError, match="is not installed here"):
        library_files(LOCK)


def test_a_library_that_somebody_altered_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("aws_lambda_powertools", "jmespath"):
        shutil.copytree(Path(importlib.import_module(name).__path__[0]), tmp_path / name)
    shutil.copy(typing_extensions.__file__, tmp_path)
    for name in FUNCTION_LIBRARIES:
        found = Path(str(importlib.metadata.distribution(name).locate_file("")))
        (folder,) = found.glob(f"{name.replace('-', '_')}-*.dist-info")
        shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    intact = library_files(LOCK)
    assert "jmespath/parser.py" in intact
    with (tmp_path / "jmespath" / "parser.py").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ConfigurationError, match=r"jmespath/parser\.py is not as its wheel brought it"):
        library_files(LOCK)


def test_a_compiled_library_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "aws_lambda_powertools-3.37.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: aws-lambda-powertools\nVersion: 3.37.0\n")
    (folder / "WHEEL").write_text("Root-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_17_x86_64\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    lock = re.sub(r"^aws-lambda-powertools==\S+", "aws-lambda-powertools==3.37.0", LOCK, flags=re.MULTILINE)
    with pytest.raises(ConfigurationError, match="compiled for one kind of machine"):
        library_files(lock)


def test_the_job_finds_its_sql_inside_the_zip(tmp_path: Path) -> None:
    package = tmp_path / "job.zip"
    package.write_bytes(build().job_package.content)
    code = (
        "from importlib.resources import files; print(files('glue').joinpath('transformations.sql').read_text('utf-8'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout.strip() == (PROJECT / "glue" / "transformations.sql").read_text(encoding="utf-8").strip()


def test_extracted_files_can_be_read_by_the_service(tmp_path: Path) -> None:
    package = tmp_path / "a.zip"
    package.write_bytes(zip_files({"a.py": b""}))
    with zipfile.ZipFile(package) as archive:
        (info,) = archive.infolist()
    assert oct(info.external_attr >> 16) == "0o100644"


def test_a_missing_package_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="bovespa"):
        build(tmp_path)
