"""A headless browser that leaves nothing behind: no process, no folder, no setting."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.options import ArgOptions
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from urllib3.exceptions import HTTPError

from scrap.browser_detection import InstalledBrowser
from scrap.deadline import Deadline

BROWSER_ERRORS = (WebDriverException, HTTPError)
"""What a browser or driver that dies, hangs or does not start is seen as."""

_HANGS_AFTER_S = 2.0
"""How long after the deadline the answer to a command is waited for: a slow one is no broken browser."""

_DRIVER_STARTS = 3
"""ChromeDriver looks for a free port for IPv6, then wants the same one for IPv4, and ends when another process was
faster: one start in some hundreds, when several run at once."""

_QUIT_TIMEOUT_S = 3.0
_CLEAN_UP_TIMEOUT_S = 10.0
_POLL_S = 0.01

# Chromium puts a socket some 55 characters below TMPDIR and does not start when the path exceeds the system's 104.
_MAX_TEMPORARY_PATH = 48

# `Listening on` is geckodriver's way to say it.
_READY = re.compile(r"started successfully on port (\d+)|Listening on 127\.0\.0\.1:(\d+)")

_CHROMIUM_ARGUMENTS = (
    "--disable-dev-shm-usage",  # /dev/shm has 64 MB in a container, and a browser that fills it crashes
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)


@contextmanager
def open_browser(installed: InstalledBrowser, download_dir: Path, *, deadline: Deadline) -> Iterator[WebDriver]:
    """Start a browser that saves downloads in *download_dir*, and end it with the block.

    The driver is started by this function, not by Selenium's `Service`: that one searches a free port first and, when
    it stops, waits in steps of a second.

    Args:
        installed: From `scrap.browser_detection.find_browser`; no other program is looked for.
        download_dir: An existing folder.
        deadline: By when the browser must be there.

    Raises:
        WebDriverException: Driver or browser do not start.
    """
    workspace = Path(tempfile.mkdtemp(prefix="b3-"))
    try:
        with _running_driver(installed.driver, workspace, deadline) as url:
            executor = RemoteConnection(client_config=_client_config(url, deadline), ignore_proxy=True)
            try:
                driver = webdriver.Remote(
                    command_executor=executor, options=_options(installed, workspace, download_dir)
                )
                try:
                    if installed.kind == "headless-shell":
                        _allow_downloads(driver, executor, download_dir)
                    yield driver
                finally:
                    executor.client_config.timeout = _QUIT_TIMEOUT_S
                    # A browser that cannot be asked to quit is killed with its driver.
                    with suppress(*BROWSER_ERRORS):
                        driver.quit()
            finally:
                executor.close()  # type: ignore[no-untyped-call]
    finally:
        _remove(workspace)


def limit_commands(driver: WebDriver, deadline: Deadline) -> None:
    """Let no command to the browser, which may hang, take longer than is left."""
    executor = driver.command_executor
    if isinstance(executor, RemoteConnection):
        executor.client_config.timeout = deadline.remaining_s + _HANGS_AFTER_S


def wait_until(condition: Callable[[], bool], deadline: Deadline, *, poll_s: float) -> bool:
    """Look at *condition* until it holds or time is up; return whether it held."""
    never = threading.Event()
    while not condition():
        if deadline.passed:
            return False
        never.wait(min(poll_s, deadline.remaining_s))
    return True


def _client_config(url: str, deadline: Deadline) -> ClientConfig:
    # urllib3 would repeat a request that a hanging driver does not answer, three times.
    config = ClientConfig(url, init_args_for_pool_manager={"init_args_for_pool_manager": {"retries": False}})
    config.timeout = deadline.remaining_s + _HANGS_AFTER_S
    return config


@contextmanager
def _running_driver(program: Path, workspace: Path, deadline: Deadline) -> Iterator[str]:
    log = workspace / "driver.log"
    for _ in range(_DRIVER_STARTS):
        process = _start(program, log, workspace)
        try:
            port = _wait_for_port(process, log, deadline)
            if port is not None:
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            _kill(process)
    said = " ".join(log.read_text("utf-8", "replace").split())[-200:]
    raise WebDriverException(f"{program} did not start: {said or 'it said nothing'}")


def _start(program: Path, log: Path, workspace: Path) -> subprocess.Popen[bytes]:
    try:
        with log.open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - a program found on this machine, run by its full path
                [program, "--port=0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(os.environ, workspace),
                # A group of its own, which the browser joins, so that both can be killed at once.
                start_new_session=True,
            )
    except OSError as error:
        raise WebDriverException(f"{program} did not start: {error.strerror}") from error


def _wait_for_port(process: subprocess.Popen[bytes], log: Path, deadline: Deadline) -> str | None:
    """Return the port that the driver says it listens on, or None when it ended or time is up."""
    ended = False
    match: re.Match[str] | None = None

    def decided() -> bool:
        nonlocal ended, match
        # In this order: what a driver wrote before it ended is seen.
        ended = process.poll() is not None
        match = _READY.search(log.read_text("utf-8", "replace"))
        return ended or match is not None

    wait_until(decided, deadline, poll_s=_POLL_S)
    return None if match is None or ended else match[1] or match[2]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the driver and a browser that it may have left."""
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run([system, "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S603
    else:
        # The driver is not waited for before, so its number, which is its group's, cannot be another's yet.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(folder: Path) -> None:
    """Remove *folder*, in which processes that were just killed may still write for a moment."""

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    if not wait_until(gone, Deadline(_CLEAN_UP_TIMEOUT_S), poll_s=_POLL_S):
        shutil.rmtree(folder)


def _environment(environ: Mapping[str, str], workspace: Path) -> dict[str, str]:
    """What driver and browser get to see: no secret of ours, and no folder of the user's for their own files."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    folders = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME"]
    if len(str(workspace)) <= _MAX_TEMPORARY_PATH:
        folders += ["TMPDIR", "TMP", "TEMP"]
    return kept | dict.fromkeys(folders, str(workspace))


def _allow_downloads(driver: WebDriver, executor: RemoteConnection, download_dir: Path) -> None:
    """Tell the headless shell, which has no preferences, where to save; without being told it saves nothing."""
    executor.add_command("executeCdpCommand", "POST", "/session/$sessionId/goog/cdp/execute")  # type: ignore[no-untyped-call]
    behavior = {"behavior": "allow", "downloadPath": str(download_dir)}
    driver.execute("executeCdpCommand", {"cmd": "Browser.setDownloadBehavior", "params": behavior})


def _options(installed: InstalledBrowser, workspace: Path, download_dir: Path) -> ArgOptions:
    if installed.kind == "firefox":
        options: ArgOptions = _firefox_options(installed, download_dir)
    else:
        options = _chromium_options(installed, workspace, download_dir)
    # The page's own script decides when there is something to see; images and styles need not be waited for.
    options.page_load_strategy = "eager"
    return options


def _chromium_options(installed: InstalledBrowser, workspace: Path, download_dir: Path) -> ArgOptions:
    options = webdriver.EdgeOptions() if installed.kind == "edge" else webdriver.ChromeOptions()
    options.binary_location = str(installed.binary)
    if installed.kind == "headless-shell":
        # Only by this name does ChromeDriver give it a first page.
        options.set_capability("browserName", "chrome-headless-shell")
        options.add_argument("--blink-settings=imagesEnabled=false")
    else:
        options.add_argument("--headless=new")
    for argument in (*_CHROMIUM_ARGUMENTS, f"--user-data-dir={workspace / 'profile'}"):
        options.add_argument(argument)
    if sys.platform != "win32" and os.geteuid() == 0:
        # Chromium refuses to start as root with its sandbox.
        options.add_argument("--no-sandbox")
    options.add_experimental_option(
        "prefs",
        {
            "download.default_directory": str(download_dir),
            "download.prompt_for_download": False,
            "safebrowsing.enabled": False,
            "profile.default_content_setting_values.automatic_downloads": 1,
            "profile.managed_default_content_settings.images": 2,
        },
    )
    return options


def _firefox_options(installed: InstalledBrowser, download_dir: Path) -> ArgOptions:
    options = webdriver.FirefoxOptions()
    options.binary_location = str(installed.binary)
    options.add_argument("-headless")
    preferences: dict[str, str | int | bool] = {
        "browser.download.folderList": 2,
        "browser.download.dir": str(download_dir),
        "browser.download.useDownloadDir": True,
        "browser.download.alwaysOpenPanel": False,
        "browser.helperApps.neverAsk.saveToDisk": "text/csv,text/plain,application/octet-stream",
        "app.update.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "permissions.default.image": 2,
    }
    for name, value in preferences.items():
        options.set_preference(name, value)
    return options
