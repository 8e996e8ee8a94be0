r"""The environment of awswrangler, which cannot share ours: it wants an older pyarrow than the one that we run.

Made on first use from `awswrangler-requirements.txt`, whose packages are pinned by hash, and kept in `build/`. Whoever
changes `awswrangler-requirements.in` pins anew:

    cd benchmarks
    python -m uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
        --no-emit-find-links awswrangler-requirements.in --output-file awswrangler-requirements.txt
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bovespa.errors import BovespaError
from local.cloud import PROJECT

REQUIREMENTS = Path(__file__).with_name("awswrangler-requirements.txt")


class EnvironmentNotMade(BovespaError):
    """The packages of awswrangler could not be installed; the message shows the last words of uv."""

    code = "environment_not_made"


def awswrangler_python() -> Path:
    """Return the Python that has awswrangler; the first call downloads some 60 MB.

    Raises:
        EnvironmentNotMade: There is no network, or a package is not what was pinned.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = PROJECT / "build" / f"awswrangler-{digest}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    # Not yet by its name, which says that it is whole; scripts that name the folder are not used.
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    _uv("venv", "--quiet", "--python", sys.executable, str(unfinished))
    _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(unfinished / "bin" / "python"), str(REQUIREMENTS))
    unfinished.rename(folder)
    return python


def _uv(*arguments: str) -> None:
    answer = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise EnvironmentNotMade(
            f"uv {arguments[0]} failed, and without it awswrangler is not measured:\n{answer.stderr[-2000:]}"
        )
