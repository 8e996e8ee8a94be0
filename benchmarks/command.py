"""What the commands that measure have in common: the machine at hand, and counts on the command line."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess

from scrap.browser_detection import find_browser


def count(text: str, *, least: int = 1) -> int:
    """Return the number that *text* is.

    Raises:
        argparse.ArgumentTypeError: It is none from *least*.
    """
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least}")
    return int(text)


def machine() -> str:
    """Return one line about cores, system, Python and browser."""
    browser = find_browser().binary
    version = subprocess.run([browser, "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}, {version}"
