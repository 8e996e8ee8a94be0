"""Finds an installed browser and the driver that fits it, without asking anyone.

A browser or driver is never chosen by a download: webdriver-manager is used only when a browser is installed and no
matching driver is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from bovespa.errors import BrowserNotFound

DriverFetch = Callable[[str, int | None], Path]
"""Gets a driver for a kind of browser and its major version, and returns where it is."""

_VERSION_TIMEOUT_S = 20
_DOWNLOAD_TIMEOUT_S = 20
"""For one answer of the network while a driver is got."""


@dataclass(frozen=True, slots=True)
class InstalledBrowser:
    """A browser of this machine and a driver that fits it."""

    kind: str
    """`headless-shell`, `chromium`, `chrome`, `edge` or `firefox`."""
    binary: Path
    driver: Path


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    label: str
    binaries: tuple[str, ...]
    drivers: tuple[str, ...]
    install: str

    @property
    def versions_must_match(self) -> bool:
        """A driver of the Chromium family drives its own major version only; geckodriver drives any Firefox."""
        return self.name != "firefox"


_CHROMEDRIVERS = ("chromedriver", "chromium.chromedriver", "chromedriver.exe")
# In the order in which `auto` prefers them.
_KINDS = (
    # The same engine without windows: it is there in a third of the time, with a fifth of the work (ADR 35).
    _Kind(
        "headless-shell",
        "Chromium's headless shell",
        ("chromium-headless-shell", "chrome-headless-shell", "chrome-headless-shell.exe"),
        _CHROMEDRIVERS,
        "apt-get install chromium-headless-shell chromium-driver (elsewhere: chrome-headless-shell and its driver from "
        "https://googlechromelabs.github.io/chrome-for-testing/)",
    ),
    _Kind(
        "chromium",
        "Chromium",
        ("chromium", "chromium-browser", "Chromium"),
        _CHROMEDRIVERS,
        "apt-get install chromium chromium-driver (Ubuntu: snap install chromium)",
    ),
    _Kind(
        "chrome",
        "Chrome",
        ("google-chrome-stable", "google-chrome", "chrome", "Google Chrome", "chrome.exe"),
        _CHROMEDRIVERS,
        "install Chrome from https://www.google.com/chrome and its driver from "
        "https://googlechromelabs.github.io/chrome-for-testing/",
    ),
    _Kind(
        "edge",
        "Edge",
        ("microsoft-edge-stable", "microsoft-edge", "msedge", "Microsoft Edge", "msedge.exe"),
        ("msedgedriver", "msedgedriver.exe"),
        "install Edge from https://www.microsoft.com/edge and its driver from "
        "https://developer.microsoft.com/microsoft-edge/tools/webdriver/",
    ),
    _Kind(
        "firefox",
        "Firefox",
        ("firefox", "firefox-esr", "firefox.exe"),
        ("geckodriver", "geckodriver.exe"),
        "apt-get install firefox-esr (Ubuntu: snap install firefox) and the driver from "
        "https://github.com/mozilla/geckodriver/releases",
    ),
)


def usual_places(platform: str = sys.platform) -> tuple[Path, ...]:
    """Return the folders in which browsers and drivers are installed, beside those of PATH."""
    if platform == "win32":
        roots = [os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA")]
        vendors = ("Google/Chrome/Application", "Microsoft/Edge/Application", "Chromium/Application", "Mozilla Firefox")
        return tuple(Path(root) / vendor for root in roots if root for vendor in vendors)
    if platform == "darwin":
        applications = ("Google Chrome", "Microsoft Edge", "Chromium", "Firefox")
        bundles = tuple(Path(f"/Applications/{name}.app/Contents/MacOS") for name in applications)
        return (*bundles, Path("/opt/homebrew/bin"), Path("/usr/local/bin"))
    return tuple(
        map(
            Path,
            (
                "/usr/bin",
                "/usr/local/bin",
                "/usr/lib/chromium",
                "/usr/lib/chromium-browser",
                "/opt/google/chrome",
                "/opt/microsoft/msedge",
                "/snap/bin",
            ),
        )
    )


def find_browser(
    preference: str = "auto",
    *,
    search_path: str | None = None,
    places: Sequence[Path] | None = None,
    fetch_driver: DriverFetch | None = None,
) -> InstalledBrowser:
    """Return an installed browser with a driver that fits it.

    Args:
        preference: `auto`, or the kind of browser that it must be.
        search_path: Folders as in PATH, which is the default.
        places: More folders to look in, after those; default `usual_places()`.
        fetch_driver: Gets a driver when a browser is installed without one; default webdriver-manager.

    Raises:
        BrowserNotFound: There is none; the message says what to install.
    """
    kinds = [kind for kind in _KINDS if preference in ("auto", kind.name)]
    if not kinds:
        raise BrowserNotFound(
            f"Unknown browser {preference!r}; choose auto, {', '.join(kind.name for kind in _KINDS)}."
        )
    path = os.environ.get("PATH", "") if search_path is None else search_path
    folders = [*map(Path, filter(None, path.split(os.pathsep))), *(usual_places() if places is None else places)]
    without_driver: list[tuple[_Kind, Path, int | None]] = []
    for kind in kinds:
        # A script that starts the browser costs a fifth of a second each time, and may start one inside a snap, where
        # the driver does not find it: the browser itself goes first.
        for binary in sorted(_programs(kind.binaries, folders), key=_is_script):
            major = _major_version(binary)
            if major is None:
                continue
            for driver in _programs(kind.drivers, folders):
                if _fits(kind, major, driver):
                    return InstalledBrowser(kind.name, binary, driver)
            without_driver.append((kind, binary, major))
    return _with_fetched_driver(without_driver, kinds, fetch_driver or fetch_with_webdriver_manager)


def fetch_with_webdriver_manager(kind: str, major_version: int | None) -> Path:
    """Download a driver into webdriver-manager's cache.

    Args:
        kind: As in `InstalledBrowser.kind`.
        major_version: Of the browser.

    Raises:
        OSError: The network or the disk failed.
        ValueError: There is no driver for this browser.
    """
    # Imported here: it is needed on few machines, and costs every start a quarter of a second.
    from webdriver_manager.chrome import ChromeDriverManager  # noqa: PLC0415
    from webdriver_manager.core.download_manager import WDMDownloadManager  # noqa: PLC0415
    from webdriver_manager.core.http import WDMHttpClient  # noqa: PLC0415
    from webdriver_manager.core.os_manager import ChromeType  # noqa: PLC0415
    from webdriver_manager.firefox import GeckoDriverManager  # noqa: PLC0415
    from webdriver_manager.microsoft import EdgeChromiumDriverManager  # noqa: PLC0415

    client: Any = WDMHttpClient()  # type: ignore[no-untyped-call]
    # It has no time-out of its own, and a network that drops everything never answers.
    client.get = partial(client.get, timeout=_DOWNLOAD_TIMEOUT_S)
    over = WDMDownloadManager(client)  # type: ignore[no-untyped-call]
    managers: dict[str, Callable[[], str]] = {
        "headless-shell": lambda: ChromeDriverManager(chrome_type=ChromeType.CHROMIUM, download_manager=over).install(),
        "chrome": lambda: ChromeDriverManager(chrome_type=ChromeType.GOOGLE, download_manager=over).install(),
        "chromium": lambda: ChromeDriverManager(chrome_type=ChromeType.CHROMIUM, download_manager=over).install(),
        "edge": lambda: EdgeChromiumDriverManager(download_manager=over).install(),
        "firefox": lambda: GeckoDriverManager(download_manager=over).install(),
    }
    try:
        driver = Path(managers[kind]())
    except BadZipFile as error:
        raise ValueError(f"what was downloaded is damaged: {error}") from error
    if not driver.is_file():
        raise ValueError(f"webdriver-manager named {driver} for {kind} {major_version}, which is no file")
    return driver


def _with_fetched_driver(
    candidates: list[tuple[_Kind, Path, int | None]], kinds: list[_Kind], fetch_driver: DriverFetch
) -> InstalledBrowser:
    problems: list[str] = []
    for kind, binary, major in candidates:
        try:
            driver = fetch_driver(kind.name, major)
        except (OSError, ValueError) as error:
            problems.append(
                f"{kind.label} {major} is at {binary}, but no driver {major} is, nor could it be got ({error})"
            )
            continue
        if _fits(kind, major, driver):
            return InstalledBrowser(kind.name, binary, driver)
        problems.append(f"{kind.label} {major} is at {binary}, but the driver {driver} is not of that version")
    if not problems:
        labels = [kind.label for kind in kinds]
        problems.append(f"no {' or '.join(labels)} is installed")
    fixes = "; or ".join(kind.install for kind in kinds)
    raise BrowserNotFound(f"No usable browser: {'; '.join(problems)}. To fix it: {fixes}.")


def _programs(names: Iterable[str], folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the executables called one of *names*, each once, in the order of the names and then of the folders."""
    seen: set[Path] = set()
    for name in names:
        for folder in folders:
            path = folder / name
            if shutil.which(path) and path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _is_script(program: Path) -> bool:
    with program.open("rb") as file:
        return file.read(2) == b"#!"


def _fits(kind: _Kind, major: int | None, driver: Path) -> bool:
    driver_major = _major_version(driver)
    return driver_major is not None and (not kind.versions_must_match or driver_major == major)


def _major_version(program: Path) -> int | None:
    """Return the first number of a program's version, or None when it does not run."""
    if sys.platform == "win32" and "driver" not in program.name:
        # Browsers on Windows ignore --version and open a window; each version has a folder beside the program.
        versions = [int(path.name.split(".")[0]) for path in program.parent.glob("*.*.*.*") if path.name[0].isdigit()]
        return max(versions, default=0)
    try:
        answer = subprocess.run(  # noqa: S603 - a program found on this machine, run by its full path
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\b(\d+)\.\d+", answer.stdout)
    return int(match[1]) if match and answer.returncode == 0 else None
