"""Builds what is uploaded: the function's zip, the job's zip and the job's script.

The same sources give the same bytes on every machine, and the SHA-256 of the bytes is in the key. So a deploy of
unchanged code changes nothing, and a new key makes CloudFormation take the new code.

The function's libraries come from the environment that runs this, in the pinned versions only: libraries.py.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infrastructure.libraries import library_files

PROJECT = Path(__file__).resolve().parent.parent

# The earliest time a zip can hold; the real ones differ from checkout to checkout.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE_RW_R_R = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file to upload."""

    name: str
    content: bytes

    @property
    def key(self) -> str:
        """Key in the artifact bucket: the content's own digest, so no key ever changes its content."""
        return f"artifacts/{hashlib.sha256(self.content).hexdigest()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Packages:
    """Everything that the template's parameters point to."""

    lambda_package: Artifact
    job_script: Artifact
    job_package: Artifact

    def __iter__(self) -> Iterator[Artifact]:
        """In the order of the fields."""
        return iter((self.lambda_package, self.job_script, self.job_package))

    @property
    def parameters(self) -> dict[str, str]:
        """The template parameters that name these packages."""
        return {
            "LambdaPackageKey": self.lambda_package.key,
            "JobScriptKey": self.job_script.key,
            "JobPackageKey": self.job_package.key,
        }


def build(project: Path = PROJECT) -> Packages:
    """Build all packages from the sources under *project*, and the function's from the libraries that it pins.

    Raises:
        ConfigurationError: A library of the function is not installed as it is pinned.
    """
    vocabulary = _sources(project, "bovespa", "*.py")
    libraries = library_files((project / "requirements-dev.txt").read_text(encoding="utf-8"))
    handler = vocabulary | _sources(project, "lambda_handler", "*.py")
    return Packages(
        lambda_package=Artifact("lambda.zip", zip_files(libraries | handler)),
        job_script=Artifact("job.py", (project / "glue" / "job.py").read_bytes()),
        job_package=Artifact("job.zip", zip_files(vocabulary | _sources(project, "glue", "*.py", "*.sql"))),
    )


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of *files* (name to content) that depends on nothing else."""
    packed = io.BytesIO()
    # Stored, not deflated: the bytes that deflate gives depend on the zlib at hand, and the sources are small.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _TIMESTAMP)
            info.create_system = _UNIX
            info.external_attr = _REGULAR_FILE_RW_R_R
            archive.writestr(info, files[name])
    return packed.getvalue()


def _sources(project: Path, package: str, *patterns: str) -> dict[str, bytes]:
    paths = [path for pattern in patterns for path in (project / package).glob(pattern)]
    if not paths:
        raise FileNotFoundError(f"no {' or '.join(patterns)} in {project / package}")
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in paths}
