"""The libraries of the function, as they go into its zip: pinned, unaltered, and of Python alone.

They are taken from the environment that the lock file made, so a deploy downloads nothing, and each file is held to the
digest that its wheel recorded. Pure Python wheels are the same on every machine, so what is tested on an x86 laptop
with Python 3.11 is what Lambda runs on arm64 with Python 3.13.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import PurePosixPath

from bovespa.errors import ConfigurationError

FUNCTION_LIBRARIES = ("aws-lambda-powertools", "jmespath", "typing-extensions")
"""Powertools and what it requires; boto3 is in Lambda's own runtime."""

_SETUP = "Run `make setup`, then deploy again."


def library_files(lock: str) -> dict[str, bytes]:
    """Return every module and licence of the function's libraries, by its path in the zip.

    Args:
        lock: The lock file that pins them.

    Raises:
        ConfigurationError: A library is not there, is another version than the pinned one, was altered after its
            installation, or is not of Python alone.
    """
    return {path: content for name in FUNCTION_LIBRARIES for path, content in _files(_pinned(name, lock))}


def _pinned(name: str, lock: str) -> Distribution:
    pin = re.search(rf"^{re.escape(name)}==([^\s;\\]+)", lock, re.MULTILINE)
    if pin is None:
        raise ConfigurationError(f"{name} is not pinned in requirements-dev.txt. Add it, and run `make lock`.")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise ConfigurationError(f"{name} is not installed here. {_SETUP}") from None
    if found.version != pin[1]:
        raise ConfigurationError(f"{name} {found.version} is installed, and {pin[1]} is pinned. {_SETUP}")
    if "Root-Is-Purelib: true" not in (found.read_text("WHEEL") or ""):
        raise ConfigurationError(f"{name} {found.version} is compiled for one kind of machine; Lambda's is another.")
    return found


def _files(library: Distribution) -> Iterator[tuple[str, bytes]]:
    for path in library.files or ():
        if _belongs(path):
            content = path.read_binary()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            if path.hash is None or (path.hash.mode, path.hash.value) != ("sha256", digest):
                raise ConfigurationError(f"{path} is not as its wheel brought it. {_SETUP}")
            yield path.as_posix(), content


def _belongs(path: PackagePath) -> bool:
    """Modules and licences; neither what the installer noted, nor what Python compiled, nor scripts."""
    parts = PurePosixPath(path).parts
    if ".." in parts or "__pycache__" in parts:
        return False
    in_dist_info = parts[0].endswith(".dist-info")
    return "LICENSE" in path.name.upper() if in_dist_info else path.suffix == ".py"
