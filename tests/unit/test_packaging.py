"""The packages: the same sources give the same bytes, and everything that runs in the cloud is in them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infrastructure.package import PROJECT, Artifact, build, zip_files


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packaged folders in another place, where a test may change them."""
    for package in ("bovespa", "glue", "lambda_handler"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
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
    assert names(packages.lambda_package.content) == vocabulary | handler
    assert names(packages.job_package.content) == vocabulary | job
    assert "glue/transformations.sql" in job


def test_the_function_starts_from_its_zip_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build().lambda_package.content)) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "from lambda_handler.lambda_handler import lambda_handler as f; print(f.__module__)"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("lambda_handler.lambda_handler", "")


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
