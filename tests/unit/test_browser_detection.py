from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app import Browser
from bovespa.errors import BrowserNotFound, ConfigurationError
from scrap.browser_detection import (
    DriverFetch,
    InstalledBrowser,
    fetch_with_webdriver_manager,
    find_browser,
    usual_places,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="programs are made as shell scripts")

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Put a program that answers --version into a folder."""

    def put(name: str, version: str, folder: str = "bin", exit_code: int = 0) -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{version}'\nexit {exit_code}\n")
        path.chmod(0o755)
        return path

    return put


def _no_download(kind: str, major_version: int | None) -> Path:
    raise AssertionError(f"a driver for {kind} {major_version} was downloaded although one is installed")


def _offline(_kind: str, _major_version: int | None) -> Path:
    raise ConnectionError("no network")


def _find(tmp_path: Path, preference: str = "auto", fetch_driver: DriverFetch = _no_download) -> InstalledBrowser:
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("bin", "more"))
    return find_browser(preference, search_path=path, places=[tmp_path / "opt"], fetch_driver=fetch_driver)


@pytest.mark.parametrize(
    ("kind", "browser", "browser_version", "driver", "driver_version"),
    [
        (
            "headless-shell",
            "chromium-headless-shell",
            "Chromium 156.0.8078.79 ",
            "chromedriver",
            "ChromeDriver 156.0.8078.1 (a2)",
        ),
        (
            "chromium",
            "chromium",
            "Chromium 156.0.8078.79 built on Debian",
            "chromedriver",
            "ChromeDriver 156.0.8078.1 (a2)",
        ),
        ("chrome", "google-chrome", "Google Chrome 150.0.1.2", "chromedriver", "ChromeDriver 150.0.1.9 (b)"),
        (
            "edge",
            "microsoft-edge",
            "Microsoft Edge 149.0.3.4",
            "msedgedriver",
            "Microsoft Edge WebDriver 149.0.3.4 (c)",
        ),
        ("firefox", "firefox-esr", "Mozilla Firefox 140.5.0esr", "geckodriver", "geckodriver 0.36.0 (d)"),
    ],
)
def test_each_kind_of_browser_is_found_with_its_driver(  # noqa: PLR0917 - a row of the table above
    install: Install, tmp_path: Path, kind: str, browser: str, browser_version: str, driver: str, driver_version: str
) -> None:
    binary, driver_path = install(browser, browser_version), install(driver, driver_version, "more")

    expected = InstalledBrowser(kind, binary, driver_path)
    assert _find(tmp_path) == expected
    assert _find(tmp_path, kind) == expected


def test_the_shell_without_windows_goes_before_the_browser_with_them(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1")
    shell = install("chromium-headless-shell", "Chromium 156.0.1.1")
    driver = install("chromedriver", "ChromeDriver 156.0.9.9")

    assert _find(tmp_path) == InstalledBrowser("headless-shell", shell, driver)


def test_browsers_outside_of_path_are_found_where_they_are_usually_installed(install: Install, tmp_path: Path) -> None:
    binary = install("chrome", "Google Chrome 150.0.1.2", "opt")
    driver = install("chromedriver", "ChromeDriver 150.0.1.9", "opt")

    assert _find(tmp_path) == InstalledBrowser("chrome", binary, driver)


def test_a_browser_goes_before_the_script_that_starts_it(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1")
    driver = install("chromedriver", "ChromeDriver 156.0.9.9")
    browser = tmp_path / "opt" / "chromium"
    browser.parent.mkdir()
    # A program of this machine that is no script and answers --version as a browser does.
    browser.symlink_to(os.path.realpath(shutil.which("env") or "/usr/bin/env"))
    driver.write_text(driver.read_text().replace("156", _major_of(browser)))

    assert _find(tmp_path) == InstalledBrowser("chromium", browser, driver)


def _major_of(program: Path) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+)\.\d", shown)
    assert match is not None
    return match[1]


def test_of_two_drivers_the_one_of_the_browsers_version_is_taken(install: Install, tmp_path: Path) -> None:
    binary = install("chromium", "Chromium 156.0.1.1")
    install("chromedriver", "ChromeDriver 114.0.1.1")
    driver = install("chromedriver", "ChromeDriver 156.0.9.9", "opt")

    assert _find(tmp_path) == InstalledBrowser("chromium", binary, driver)


def test_a_browser_with_an_installed_driver_goes_before_one_that_needs_a_download(
    install: Install, tmp_path: Path
) -> None:
    install("chromium", "Chromium 156.0.1.1")
    binary, driver = install("firefox", "Mozilla Firefox 140.0"), install("geckodriver", "geckodriver 0.36.0")

    assert _find(tmp_path) == InstalledBrowser("firefox", binary, driver)


def test_a_driver_is_downloaded_only_for_a_browser_without_a_matching_one(install: Install, tmp_path: Path) -> None:
    binary = install("chromium", "Chromium 156.0.1.1")
    install("chromedriver", "ChromeDriver 114.0.1.1")
    downloaded = install("chromedriver", "ChromeDriver 156.0.9.9", "cache")
    asked: list[tuple[str, int | None]] = []

    def fetch_driver(kind: str, major_version: int | None) -> Path:
        asked.append((kind, major_version))
        return downloaded

    assert _find(tmp_path, fetch_driver=fetch_driver) == InstalledBrowser("chromium", binary, downloaded)
    assert asked == [("chromium", 156)]


def test_a_downloaded_driver_of_another_version_is_refused(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1")
    downloaded = install("chromedriver", "ChromeDriver 155.0.9.9", "cache")

    with pytest.raises(BrowserNotFound, match="is not of that version"):
        _find(tmp_path, fetch_driver=lambda _kind, _major: downloaded)


def test_a_failed_download_ends_in_what_to_install(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1")

    with pytest.raises(BrowserNotFound) as caught:
        _find(tmp_path, "chromium", _offline)

    assert "Chromium 156 is at" in str(caught.value)
    assert "no network" in str(caught.value)
    assert "apt-get install chromium chromium-driver" in str(caught.value)


def test_without_any_browser_the_error_says_what_to_install_and_nothing_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(BrowserNotFound) as caught:
        _find(tmp_path)

    assert "no Chromium's headless shell or Chromium or Chrome or Edge or Firefox is installed" in str(caught.value)
    assert "apt-get install chromium chromium-driver" in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)


def test_the_preference_is_obeyed_even_if_another_browser_is_there(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1")
    install("chromedriver", "ChromeDriver 156.0.9.9")

    with pytest.raises(BrowserNotFound, match="no Firefox is installed"):
        _find(tmp_path, "firefox")


def test_an_unknown_preference_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BrowserNotFound, match="choose auto, headless-shell, chromium, chrome, edge, firefox"):
        _find(tmp_path, "netscape")


@pytest.mark.parametrize(("version", "exit_code"), [("Chromium", 0), ("Chromium 156.0.1.1", 1)])
def test_a_program_that_does_not_run_is_no_browser(
    install: Install, tmp_path: Path, version: str, exit_code: int
) -> None:
    install("chromium", version, exit_code=exit_code)
    install("chromedriver", "ChromeDriver 156.0.9.9")

    with pytest.raises(BrowserNotFound, match="is installed"):
        _find(tmp_path)


def test_a_file_that_is_not_executable_is_no_browser(install: Install, tmp_path: Path) -> None:
    install("chromium", "Chromium 156.0.1.1").chmod(0o644)
    install("chromedriver", "ChromeDriver 156.0.9.9")

    with pytest.raises(BrowserNotFound, match="is installed"):
        _find(tmp_path)


@pytest.mark.parametrize(
    ("platform", "place"), [("linux", "/snap/bin"), ("darwin", "/Applications/Google Chrome.app/Contents/MacOS")]
)
def test_every_platform_has_its_usual_places(platform: str, place: str) -> None:
    assert Path(place) in usual_places(platform)


def test_windows_has_its_places_below_the_program_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ProgramFiles", "/Program Files")

    assert Path("/Program Files/Google/Chrome/Application") in usual_places("win32")


def test_a_network_that_never_answers_does_not_hold_whoever_needs_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("scrap.browser_detection._DOWNLOAD_TIMEOUT_S", 0.2)
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(OSError, match=r"timed out|offline"):
            fetch_with_webdriver_manager("firefox", 128)


def test_a_browser_that_is_not_there_is_not_looked_for_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[InstalledBrowser] = []
    searches: list[str] = []

    def search(preference: str) -> InstalledBrowser:
        searches.append(preference)
        if not there:
            raise BrowserNotFound("none yet")
        return there[-1]

    browser = Browser("chromium", search=search)
    for _ in range(3):
        with pytest.raises(BrowserNotFound, match="none yet"):
            browser.find()
    assert searches == ["chromium"]

    there.append(InstalledBrowser("chromium", Path("chromium"), Path("chromedriver-1")))
    monkeypatch.setattr(Browser, "LOOKS_AGAIN_AFTER_S", 0.0)
    assert [browser.find(), browser.find()] == there * 2
    assert len(searches) == 2

    # It has updated itself, and another driver was installed; who was late with the old one changes nothing any more.
    there.append(InstalledBrowser("chromium", Path("chromium"), Path("chromedriver-2")))
    for _ in range(2):
        browser.forget(there[0])
        assert browser.find() == there[1]
    assert len(searches) == 3
