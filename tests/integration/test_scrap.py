from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from selenium.webdriver.remote.webdriver import WebDriver

from bovespa.errors import BrowserNotFound, PageChanged, SourceError, SourceTimeout, SourceUnavailable
from bovespa.fetched import FetchedFile
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv, view_of
from bovespa.settings import BROWSERS
from local.b3_stand_in import StandIn, running_stand_in
from local.synthetic import synthetic_csv
from scrap.browser import open_browser, wait_until
from scrap.browser_detection import InstalledBrowser, find_browser
from scrap.deadline import Deadline
from scrap.scrap import fetch_portfolio_csv, fetch_with

pytestmark = pytest.mark.waits

SATURDAY, MONDAY = dt.date(2025, 2, 22), dt.date(2025, 2, 24)
NOON = dt.datetime(2025, 2, 22, 12, tzinfo=dt.UTC)
GENEROUS_S = 40
QUIET_S = 4
"""Without a request for so long, the browser has done what it can, on a slow machine too."""

Fetch = Callable[..., FetchedFile]


@pytest.fixture(scope="module")
def installed() -> InstalledBrowser:
    try:
        return find_browser("auto", fetch_driver=_never)
    except BrowserNotFound as error:
        pytest.skip(f"no browser: {error}")


def _never(kind: str, _major_version: int | None) -> Path:
    raise ValueError(f"tests download no driver for {kind}")


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with running_stand_in(today=SATURDAY) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(stand_in: StandIn) -> Iterator[None]:
    yield
    stand_in.set(today=SATURDAY, faults=[])


@pytest.fixture(scope="module")
def warm(installed: InstalledBrowser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebDriver, Path]]:
    """One browser for every test that needs no browser of its own."""
    folder = tmp_path_factory.mktemp("downloads")
    with open_browser(installed, folder, deadline=Deadline(GENEROUS_S)) as driver:
        yield driver, folder


@pytest.fixture
def fetch(warm: tuple[WebDriver, Path], stand_in: StandIn) -> Fetch:
    driver, folder = warm

    def fetch_now(
        index_code: str = "IBOV", *, deadline: Deadline | None = None, b3_url: str = stand_in.url
    ) -> FetchedFile:
        return fetch_with(
            driver,
            index_code,
            b3_url=b3_url,
            download_dir=folder,
            deadline=deadline or Deadline(GENEROUS_S),
            now=lambda: NOON,
        )

    return fetch_now


def _over_when_quiet(stand_in: StandIn, timeout_s: float = QUIET_S) -> Deadline:
    """A deadline whose clock stands still until B3 has been left alone for a while, however slow the machine is."""
    start = len(stand_in.requests)
    seen = [(start, time.monotonic())]

    def clock_s() -> float:
        count, since_s = seen[-1]
        if len(stand_in.requests) != count:
            seen.append((len(stand_in.requests), time.monotonic()))
            return 0
        return GENEROUS_S if count > start and time.monotonic() - since_s > QUIET_S else 0

    return Deadline(timeout_s, clock_s=clock_s)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which everything temporary of this test is made; its path is short, as a browser needs it."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_each_installed_browser_fetches_the_same_file_and_leaves_nothing(stand_in: StandIn, temporary: Path) -> None:
    installed = []
    for kind in BROWSERS[1:]:
        with contextlib.suppress(BrowserNotFound):
            installed.append(find_browser(kind, fetch_driver=_never))
    expected = FetchedFile(
        content=synthetic_csv("IBOV", MONDAY, View.SECTOR),
        file_name="IBOVDia_24-02-25.csv",
        url=f"{stand_in.url}/indexPage/day/IBOV?language=pt-br",
        session_date=MONDAY,
        received_at=NOON,
        b3_time=NOON,
    )

    assert installed
    for browser in installed:
        fetched = fetch_portfolio_csv(
            "IBOV", b3_url=stand_in.url, browser=browser, timeout_s=GENEROUS_S, now=lambda: NOON
        )
        assert (browser.kind, fetched) == (browser.kind, expected)
        _assert_nothing_is_left(temporary)


def test_the_clock_of_the_receipt_is_the_real_one_in_utc(installed: InstalledBrowser, stand_in: StandIn) -> None:
    before = dt.datetime.now(dt.UTC)
    fetched = fetch_portfolio_csv("IEEX", b3_url=stand_in.url, browser=installed, timeout_s=GENEROUS_S)

    assert before <= fetched.received_at <= dt.datetime.now(dt.UTC)


def test_one_browser_fetches_several_indexes_one_after_the_other(fetch: Fetch) -> None:
    for index_code in ("IBOV", "SMLL", "IBOV", "IFIX"):
        fetched = fetch(index_code)

        assert fetched.content == synthetic_csv(index_code, MONDAY)
        assert fetched.file_name == f"{index_code}Dia_24-02-25.csv"


def test_the_whole_portfolio_is_fetched_though_the_page_shows_20_rows(fetch: Fetch) -> None:
    assert len(parse_csv(fetch("IBRA").content).holdings) > 120


@pytest.mark.parametrize("today", [dt.date(2025, 3, day) for day in (1, 4, 5)])
def test_carnival_gives_the_session_after_it(fetch: Fetch, stand_in: StandIn, today: dt.date) -> None:
    stand_in.set(today=today)

    fetched = fetch()

    assert fetched.session_date == dt.date(2025, 3, 5)
    assert fetched.file_name == "IBOVDia_05-03-25.csv"


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("index_code", "today", "file_name", "view"),
    [
        ("IBOV", SATURDAY, "IBOVDia_24-02-25.csv", View.CODE),
        ("IBOV", dt.date(2022, 5, 4), "IBOVDia_04-05-22.sector.csv", View.SECTOR),
        ("SMLL", dt.date(2022, 6, 10), "SMLLDia_10-06-22.sector.csv", View.SECTOR),
        ("IBRA", dt.date(2021, 6, 23), "IBRADia_24-06-21.csv", View.CODE),
    ],
)
def test_a_recorded_session_arrives_byte_for_byte(  # noqa: PLR0917 - a row of the table above
    fetch: Fetch, recordings: Path, index_code: str, today: dt.date, file_name: str, view: View
) -> None:
    with running_stand_in(recordings / "sessions", today=today) as recorded:
        fetched = fetch(index_code, b3_url=recorded.url)

    assert fetched.content == (recordings / "sessions" / file_name).read_bytes()
    assert view_of(fetched.content) is view


def test_the_code_view_is_taken_when_b3_gives_no_sectors(fetch: Fetch, stand_in: StandIn) -> None:
    stand_in.set(faults=["code_view_only"])

    fetched = fetch()

    assert fetched.content == synthetic_csv("IBOV", MONDAY, View.CODE)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "slow_page", "seconds": 0.5},
        {"fault": "overlay_stays", "seconds": 0.5},
        "bare_base64",
    ],
)
def test_what_only_costs_time_is_waited_for(fetch: Fetch, stand_in: StandIn, fault: object) -> None:
    stand_in.set(faults=[fault])

    assert fetch().content == synthetic_csv("IBOV", MONDAY)


@pytest.mark.parametrize("fault", ["truncated_csv", "wrong_totals", "renamed_columns"])
def test_a_spoilt_file_is_returned_as_it_came(fetch: Fetch, stand_in: StandIn, fault: str) -> None:
    stand_in.set(faults=[fault])

    content = fetch().content

    assert content != synthetic_csv("IBOV", MONDAY)
    assert content.startswith(b"IBOV - Carteira do Dia 24/02/25\r\n")


@pytest.mark.parametrize(
    ("fault", "shown"), [("date_far_off", dt.date(2028, 2, 24)), ("date_far_behind", dt.date(2022, 2, 25))]
)
def test_a_date_far_off_is_returned_as_the_page_shows_it(
    fetch: Fetch, stand_in: StandIn, fault: str, shown: dt.date
) -> None:
    stand_in.set(faults=[fault])

    fetched = fetch()

    assert fetched.session_date == parse_csv(fetched.content).session_date == shown
    assert fetched.b3_time == NOON


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ("http_520", SourceUnavailable, "HTTP 520"),
        ({"fault": "http_520", "on": ["data"]}, SourceUnavailable, "the data call .* HTTP 520"),
        ({"fault": "http_520", "on": ["download"]}, SourceUnavailable, "the download call .* HTTP 520"),
        ("endpoint_gone", SourceUnavailable, "the data call .* HTTP 404"),
        ("redirect_to_error_page", SourceUnavailable, "sent the browser .* to '/erro'"),
        ({"fault": "redirect_to_error_page", "on": ["data"]}, SourceUnavailable, "a page instead of data"),
        ("html_instead_of_data", SourceUnavailable, "a page instead of data"),
        ({"fault": "html_instead_of_data", "on": ["download"]}, SourceUnavailable, "a page instead of the file"),
        ("empty_table", SourceUnavailable, "the table is empty"),
        ({"fault": "slow_page", "seconds": 60}, SourceTimeout, "no form is there"),
        ("overlay_stays", SourceTimeout, "an overlay covers the form"),
        ("download_never_ends", SourceTimeout, "saved so far: nothing"),
        ("no_download_link", PageChanged, "no Download link"),
        ("no_segment", PageChanged, "no select#segment"),
        ("no_heading", PageChanged, "no h2 with a date"),
        ("page_without_form", PageChanged, "no form is there"),
    ],
)
def test_each_failure_of_b3_is_the_error_of_who_must_act(
    fetch: Fetch, stand_in: StandIn, fault: object, error: type[SourceError], reason: str
) -> None:
    stand_in.set(faults=[fault])

    with pytest.raises(error, match=reason) as caught:
        fetch(deadline=_over_when_quiet(stand_in))

    assert type(caught.value) is error
    assert "/indexPage/day/IBOV" in str(caught.value)


@pytest.mark.parametrize("fault", ["http_520", "redirect_to_error_page", "no_download_link", "empty_table"])
def test_what_is_broken_is_told_long_before_the_time_out(fetch: Fetch, stand_in: StandIn, fault: str) -> None:
    stand_in.set(faults=[fault])
    deadline = Deadline(GENEROUS_S)

    with pytest.raises(SourceError):
        fetch(deadline=deadline)

    assert deadline.remaining_s > GENEROUS_S / 2


def test_a_fetch_works_again_after_a_failed_one(fetch: Fetch, stand_in: StandIn) -> None:
    stand_in.set(faults=[{"fault": "http_520", "times": 1}])
    with pytest.raises(SourceUnavailable):
        fetch()

    assert fetch().content == synthetic_csv("IBOV", MONDAY)


@pytest.mark.recordings
def test_a_day_without_a_session_is_not_taken_for_success(fetch: Fetch, recordings: Path) -> None:
    with (
        running_stand_in(recordings / "sessions", today=dt.date(2030, 1, 2)) as recorded,
        pytest.raises(SourceUnavailable, match="the table is empty"),
    ):
        fetch(b3_url=recorded.url)


def test_nobody_at_b3s_address_is_unavailable_and_leaves_nothing(installed: InstalledBrowser, temporary: Path) -> None:
    with socket.socket() as unused:  # bound and not listening: a connection to it is refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(SourceUnavailable, match=r"cannot be reached: .*ERR_CONNECTION_REFUSED"):
            fetch_portfolio_csv("IBOV", b3_url=url, browser=installed, timeout_s=GENEROUS_S)

    _assert_nothing_is_left(temporary)


def test_a_download_that_stalls_half_way_is_not_taken_for_the_file(
    installed: InstalledBrowser, stand_in: StandIn, temporary: Path
) -> None:
    stand_in.set(faults=["download_stalls"])
    folder = temporary / "downloads"
    folder.mkdir()

    with open_browser(installed, folder, deadline=Deadline(GENEROUS_S)) as driver:
        # The browser itself is told the whole time, because on a busy machine its first page comes late.
        deadline = _over_when_quiet(stand_in, GENEROUS_S)
        with pytest.raises(SourceTimeout, match=r"saved so far: .*crdownload"):
            fetch_with(driver, "IBOV", b3_url=stand_in.url, download_dir=folder, deadline=deadline)

        assert list(folder.glob("*.csv")) == []
    shutil.rmtree(folder)
    _assert_nothing_is_left(temporary)


def test_a_temporary_folder_with_a_long_path_is_no_obstacle(
    installed: InstalledBrowser, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    fetched = fetch_portfolio_csv("IBOV", b3_url=stand_in.url, browser=installed, timeout_s=GENEROUS_S)

    assert fetched.content == synthetic_csv("IBOV", MONDAY)
    _assert_nothing_is_left(long)


def test_a_driver_that_does_not_start_is_told_with_its_own_words(installed: InstalledBrowser, temporary: Path) -> None:
    driver = temporary / "chromedriver"
    driver.write_text("#!/bin/sh\necho 'missing libnss3.so'\nexit 127\n")
    driver.chmod(0o755)
    browser = InstalledBrowser(installed.kind, installed.binary, driver)

    with pytest.raises(SourceUnavailable, match=r"did not start: missing libnss3\.so"):
        fetch_portfolio_csv("IBOV", b3_url="http://127.0.0.1:9", browser=browser, timeout_s=GENEROUS_S)

    driver.chmod(0o644)
    with pytest.raises(SourceUnavailable, match="did not start: Permission denied"):
        fetch_portfolio_csv("IBOV", b3_url="http://127.0.0.1:9", browser=browser, timeout_s=GENEROUS_S)
    driver.unlink()
    _assert_nothing_is_left(temporary)


def test_a_driver_that_lost_its_port_to_another_process_is_started_again(
    installed: InstalledBrowser, stand_in: StandIn, temporary: Path
) -> None:
    driver, tried = temporary / "chromedriver", temporary / "tried"
    driver.write_text(
        f"#!/bin/sh\nif [ ! -e {tried} ]; then touch {tried}; echo 'IPv4 port not available. Exiting...'; exit 1; fi\n"
        f'exec {installed.driver} "$@"\n'
    )
    driver.chmod(0o755)
    browser = InstalledBrowser(installed.kind, installed.binary, driver)

    fetched = fetch_portfolio_csv("IBOV", b3_url=stand_in.url, browser=browser, timeout_s=GENEROUS_S)

    assert fetched.content == synthetic_csv("IBOV", MONDAY)
    assert tried.exists()


@pytest.mark.parametrize(
    ("blow", "error", "timeout_s"),
    [(signal.SIGKILL, SourceUnavailable, GENEROUS_S), (signal.SIGSTOP, SourceTimeout, 15)],
)
def test_a_driver_or_browser_that_dies_or_hangs_leaves_nothing(
    installed: InstalledBrowser,
    temporary: Path,
    blow: signal.Signals,
    error: type[SourceError],
    timeout_s: float,
) -> None:
    with running_stand_in(today=SATURDAY) as stand_in, ThreadPoolExecutor(2) as pool:
        stand_in.set(faults=[{"fault": "slow_page", "seconds": 60}])
        running = [
            pool.submit(fetch_portfolio_csv, index_code, b3_url=stand_in.url, browser=installed, timeout_s=timeout_s)
            for index_code in ("IBOV", "SMLL")
        ]
        assert wait_until(
            lambda: sum("GetPortfolioDay" in request for request in stand_in.requests) == 2,
            Deadline(GENEROUS_S),
            poll_s=0.05,
        )
        # Each pair of driver and browser shares a group; one loses its driver, the other its browser.
        processes = _processes(temporary)
        drivers = [pid for pid, command in processes if "chromedriver" in command.split("\0")[0]]
        browsers = [pid for pid, command in processes if "--user-data-dir" in command and "--type=" not in command]
        assert len(drivers) == 2
        (browser,) = [pid for pid in browsers if os.getpgid(pid) == drivers[1]]
        os.kill(drivers[0], blow)
        os.kill(browser, blow)

        for fetching in running:
            with pytest.raises(error):
                fetching.result(timeout=GENEROUS_S)

    _assert_nothing_is_left(temporary)


def test_the_browser_sees_no_secret_of_ours(
    installed: InstalledBrowser, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOVESPA_JWT_SECRET", "a secret that is long enough for HS256")
    with open_browser(installed, temporary, deadline=Deadline(GENEROUS_S)):
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid, _ in _processes(temporary)]

    assert environments
    assert not any(b"BOVESPA_" in environment or b"AWS_" in environment for environment in environments)


def test_no_more_than_the_time_out_is_waited(fetch: Fetch, stand_in: StandIn) -> None:
    stand_in.set(faults=[{"fault": "slow_page", "seconds": 60}])
    patience = Deadline(GENEROUS_S)

    with pytest.raises(SourceTimeout):
        fetch(deadline=Deadline(1))

    assert patience.remaining_s > GENEROUS_S / 2


def _processes(folder: Path) -> list[tuple[int, str]]:
    """Living processes that know *folder*, by argument or by environment, but this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_text("utf-8", "replace")
            environment = (entry / "environ").read_text("utf-8", "replace")
            stat = (entry / "stat").read_text("utf-8", "replace")
        except OSError:  # it ended meanwhile
            continue
        if str(folder) in command + environment and stat.rsplit(")", 1)[1].split()[0] != "Z":
            found.append((int(entry.name), command))
    return found


def _assert_nothing_is_left(temporary: Path) -> None:
    # What was killed needs a moment to be gone.
    wait_until(lambda: not _processes(temporary), Deadline(GENEROUS_S), poll_s=0.05)
    assert _processes(temporary) == []
    assert list(temporary.iterdir()) == []
