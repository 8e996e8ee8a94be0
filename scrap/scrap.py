"""B3's page of an index's daily portfolio: the only module that knows its HTML. It gives bytes and parses none."""

from __future__ import annotations

import datetime as dt
import logging
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    JavascriptException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import Select

from bovespa.clock import short_date
from bovespa.errors import PageChanged, SourceError, SourceTimeout, SourceUnavailable
from bovespa.fetched import FetchedFile
from scrap.browser import BROWSER_ERRORS, limit_commands, open_browser, wait_until
from scrap.browser_detection import InstalledBrowser
from scrap.deadline import Deadline
from scrap.https import moment

log = logging.getLogger(__name__)

_POLL_S = 0.05

_SETTLE_S = 3.0
"""How long a form that is up and uncovered may lack a part before it counts as changed, at most."""

_SECTOR_VIEW_S = 10.0
"""How long the sector view is waited for, at most, before the code view is taken."""

_LOOKS_TO_DRAW = 3

_CLOCK_S = 3.0
"""How long B3's own clock is waited for, at most; a portfolio comes without it, too."""

_SEGMENT = (By.ID, "segment")
_BY_SECTOR = "2"
_DOWNLOAD = (By.LINK_TEXT, "Download")

_UNFINISHED = (".crdownload", ".part", ".tmp")

# Everything that decides what happens next, read in one call: parts read one after the other could be of two moments.
_LOOK = """
const form = document.querySelector('form');
const calls = (name) => performance.getEntriesByType('resource')
  .filter((entry) => entry.responseEnd > 0 && entry.name.includes(`/indexCall/${name}/`))
  .map((entry) => ({status: entry.responseStatus ?? 0, type: entry.contentType ?? ''}));
const [navigation] = performance.getEntriesByType('navigation');
return {
  path: location.pathname,
  title: document.title,
  status: navigation?.responseStatus ?? 0,
  form: form !== null,
  heading: form?.querySelector('h2')?.textContent ?? '',
  segment: form?.querySelector('select#segment') != null,
  download: [...(form?.querySelectorAll('a') ?? [])].some((link) => link.textContent.trim() === 'Download'),
  columns: [...(form?.querySelectorAll('thead th') ?? [])].map((cell) => cell.textContent.trim()),
  rows: form?.querySelectorAll('tbody tr').length ?? 0,
  covered: document.querySelector('.backdrop') !== null,
  data_calls: calls('GetPortfolioDay'),
  download_calls: calls('GetDownloadPortfolioDay'),
};
"""

# Asked by the page itself, so that it comes from the server, and through the proxy, that the portfolio comes from.
_ASK_CLOCK = """
const done = arguments[arguments.length - 1];
fetch(location.href, {method: 'HEAD', cache: 'no-store'})
  .then((answer) => done(answer.headers.get('Date')), () => done(null));
"""

_RETRIED = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
"""What a click meets when an overlay covers the page, or while its script replaces a part."""


def fetch_portfolio_csv(
    index_code: str,
    *,
    b3_url: str,
    browser: InstalledBrowser,
    timeout_s: float,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> FetchedFile:
    """Download the portfolio of one index from B3's page with a browser of its own.

    Args:
        index_code: One of `bovespa.indexes.INDEX_CODES`.
        b3_url: Where B3's index pages are, without a slash at its end.
        browser: From `scrap.browser_detection.find_browser`.
        timeout_s: Within which everything must be done, starting the browser included.
        now: The clock of `FetchedFile.received_at`.

    Raises:
        SourceUnavailable: B3 answers with an error or with nothing to download, or the browser broke down.
        SourceTimeout: It did not end in time.
        PageChanged: The page is there and is not the one that this module knows.
    """
    deadline = Deadline(timeout_s)
    with tempfile.TemporaryDirectory(prefix="b3-download-") as folder:
        download_dir = Path(folder)
        try:
            started_s = time.perf_counter()
            with open_browser(browser, download_dir, deadline=deadline) as driver:
                log.info("browser started", extra={"browser": browser.kind, "elapsed_ms": _ms_since(started_s)})
                fetched = fetch_with(
                    driver, index_code, b3_url=b3_url, download_dir=download_dir, deadline=deadline, now=now
                )
                downloaded_s = time.perf_counter()
            log.info("browser ended", extra={"browser": browser.kind, "elapsed_ms": _ms_since(downloaded_s)})
        except BROWSER_ERRORS as error:
            raise _breakdown(error, browser, deadline) from error
    return fetched


def fetch_with(
    driver: WebDriver,
    index_code: str,
    *,
    b3_url: str,
    download_dir: Path,
    deadline: Deadline,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> FetchedFile:
    """Download the portfolio of one index with a browser that is open, and may be used again afterwards.

    Args:
        driver: From `scrap.browser.open_browser`.
        index_code: See `fetch_portfolio_csv`.
        b3_url: See `fetch_portfolio_csv`.
        download_dir: The one that the browser was opened with; empty, and empty again afterwards.
        deadline: By when everything must be done.
        now: See `fetch_portfolio_csv`.

    Raises:
        SourceError: See `fetch_portfolio_csv`.
        WebDriverException: The browser broke down.
    """
    page = DayPortfolioPage(driver, b3_url=b3_url, index_code=index_code, deadline=deadline)
    started_s = time.perf_counter()
    page.open()
    page.show_sectors()
    # Read after the table was asked for again: B3 may have gone on to the next session in between.
    session_date = page.session_date
    b3_time = page.ask_clock()
    shown_s = time.perf_counter()
    log.info("page shown", extra={"index": index_code, "elapsed_ms": _ms_since(started_s)})
    path = page.download(download_dir)
    content = path.read_bytes()
    path.unlink()
    about = {"file_name": path.name, "size_bytes": len(content), "elapsed_ms": _ms_since(shown_s)}
    log.info("downloaded", extra=about)
    return FetchedFile(content, path.name, page.url, session_date, received_at=now(), b3_time=b3_time)


@dataclass(slots=True)
class DayPortfolioPage:
    """The page `indexPage/day/<INDEX>`: opened, switched to sectors, downloaded from."""

    driver: WebDriver
    b3_url: str
    index_code: str
    deadline: Deadline
    _seen: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The page's path; a browser that ends elsewhere was sent away."""
        return f"{urlsplit(self.b3_url).path}/indexPage/day/{self.index_code}"

    @property
    def url(self) -> str:
        """The page's address."""
        return f"{self.b3_url}/indexPage/day/{self.index_code}?language=pt-br"

    @property
    def session_date(self) -> dt.date:
        """The date in the heading.

        Raises:
            PageChanged: It holds none.
        """
        session_date = _heading_date(self._seen["heading"])
        if session_date is None:
            raise PageChanged(f"The heading at {self.url} is {self._seen['heading'][:80]!r}: no date DD/MM/YY in it.")
        return session_date

    def open(self) -> None:
        """Go to the page and wait until it shows a portfolio and how to download it."""
        limit_commands(self.driver, self.deadline)
        self.driver.set_page_load_timeout(max(0.1, self.deadline.remaining_s))
        try:
            self.driver.get(self.url)
        except TimeoutException:
            raise self._late("it did not load") from None
        self._wait_until_complete()

    def show_sectors(self) -> None:
        """Ask for the sector view, and wait until B3 shows it, or has answered and shows the code view all the same."""
        calls = len(self._seen["data_calls"])
        self._retry(lambda: Select(self.driver.find_element(*_SEGMENT)).select_by_value(_BY_SECTOR), "select#segment")
        limit = Deadline(min(_SECTOR_VIEW_S, self.deadline.remaining_s / 3))

        looks_since_answer = 0

        def shown() -> bool:
            nonlocal looks_since_answer
            self._look()
            answered = len(self._seen["data_calls"]) > calls and not self._seen["covered"]
            looks_since_answer = looks_since_answer + 1 if answered else 0
            # Some looks after B3 has answered, the page has drawn the table that B3 wants to show.
            return "Setor" in self._seen["columns"] or looks_since_answer > _LOOKS_TO_DRAW

        wait_until(shown, limit, poll_s=_POLL_S)
        self._wait_until_complete()

    def ask_clock(self) -> dt.datetime | None:
        """Return what B3's own clock says, None if B3 does not say."""
        limit_commands(self.driver, self.deadline)
        self.driver.set_script_timeout(max(0.1, min(_CLOCK_S, self.deadline.remaining_s)))
        try:
            said = self.driver.execute_async_script(_ASK_CLOCK)
        except (TimeoutException, JavascriptException):
            return None
        return moment(said)

    def download(self, into: Path) -> Path:
        """Click *Download* and return the finished file.

        Args:
            into: The folder that the browser saves in; empty.
        """
        self._retry(lambda: self.driver.find_element(*_DOWNLOAD).click(), "the Download link")
        sizes: list[dict[Path, int]] = [{}]

        def finished() -> bool:
            sizes.append(_sizes(into))
            if _is_finished(sizes[-1]) and sizes[-1] == sizes[-2]:
                return True
            self._look()
            self._refuse_failed_call(self._seen["download_calls"], "download")
            return False

        if not wait_until(finished, self.deadline, poll_s=_POLL_S):
            if any(call["type"].startswith("text/html") for call in self._seen["download_calls"]):
                raise SourceUnavailable(f"B3 answered the download at {self.url} with a page instead of the file.")
            names = ", ".join(path.name for path in sizes[-1]) or "nothing"
            raise self._late(f"the download did not end (saved so far: {names})")
        files = list(sizes[-1])
        if len(files) != 1:
            names = ", ".join(sorted(path.name for path in files))
            raise PageChanged(f"One click on Download at {self.url} saved {len(files)} files: {names}.")
        return files[0]

    def _look(self) -> None:
        limit_commands(self.driver, self.deadline)
        self._seen = self.driver.execute_script(_LOOK)

    def _wait_until_complete(self) -> None:
        settle: list[Deadline] = []

        def decided() -> bool:
            self._look()
            self._refuse_failed_page()
            if not self._missing():
                return True
            if not self._seen["form"] or self._seen["covered"]:
                settle.clear()
            elif not settle:
                settle.append(Deadline(min(_SETTLE_S, self.deadline.timeout_s / 4)))
            return bool(settle) and settle[0].passed

        if wait_until(decided, self.deadline, poll_s=_POLL_S):
            missing = self._missing()
            if missing == ["a row in its table"]:
                raise SourceUnavailable(f"B3 shows no portfolio at {self.url}: the table is empty. Try again later.")
            if missing:
                lacks = " and no ".join(missing)
                raise PageChanged(f"The form at {self.url} has no {lacks}; open it and update scrap/scrap.py.")
            return
        raise self._why_not_complete()

    def _missing(self) -> list[str]:
        seen = self._seen
        if not seen["form"] or seen["covered"]:
            return ["form without an overlay"]
        parts = {
            "h2 with a date": _heading_date(seen["heading"]) is not None
            or (bool(seen["heading"]) and not seen["rows"]),
            "select#segment": seen["segment"],
            "Download link": seen["download"],
            "a row in its table": seen["rows"] > 0,
        }
        return [name for name, there in parts.items() if not there]

    def _refuse_failed_page(self) -> None:
        seen = self._seen
        if seen["status"] >= 400:
            raise SourceUnavailable(f"B3 answered {self.url} with HTTP {seen['status']} ({seen['title'][:80]!r}).")
        if seen["path"] != self.path:
            raise SourceUnavailable(f"B3 sent the browser from {self.url} to {seen['path'][:80]!r}.")
        self._refuse_failed_call(seen["data_calls"], "data")

    def _refuse_failed_call(self, calls: list[dict[str, Any]], what: str) -> None:
        for call in calls[-1:]:
            if call["status"] >= 400:
                raise SourceUnavailable(f"B3 answered the {what} call of {self.url} with HTTP {call['status']}.")

    def _why_not_complete(self) -> SourceError:
        """Tell apart, when time is up, what is late from what is broken."""
        seen = self._seen
        if seen["form"]:
            return self._late("an overlay covers the form")
        calls = seen["data_calls"]
        if not calls:
            return self._late("no form is there, and B3 has not answered the call for its data")
        if calls[-1]["type"].startswith("text/html"):
            return SourceUnavailable(f"B3 answered the data call of {self.url} with a page instead of data.")
        return PageChanged(f"B3 sent the data of {self.url}, but no form is there; update scrap/scrap.py.")

    def _retry(self, action: Callable[[], None], what: str) -> None:
        """Do *action* again for as long as something lies over the page."""
        met: list[str] = []

        def done() -> bool:
            limit_commands(self.driver, self.deadline)
            try:
                action()
            except _RETRIED as error:
                met.append(type(error).__name__)
                return False
            return True

        if not wait_until(done, self.deadline, poll_s=_POLL_S):
            raise self._late(f"{what} could not be used ({met[-1]})")

    def _late(self, what: str) -> SourceTimeout:
        return SourceTimeout(f"{self.url} took longer than {self.deadline.timeout_s:g} s: {what}.")


def _ms_since(started_s: float) -> int:
    return round((time.perf_counter() - started_s) * 1000)


def _heading_date(heading: str) -> dt.date | None:
    match = re.search(r"\b(\d\d)/(\d\d)/(\d\d)\b", heading, re.ASCII)
    return None if match is None else short_date(*match.groups())


def _sizes(folder: Path) -> dict[Path, int]:
    sizes: dict[Path, int] = {}
    for path in folder.iterdir():
        try:
            sizes[path] = path.stat().st_size
        except FileNotFoundError:  # renamed between the two calls, as a finished download is
            continue
    return sizes


def _is_finished(sizes: dict[Path, int]) -> bool:
    return bool(sizes) and all(
        size > 0 and path.suffix not in _UNFINISHED and not path.name.startswith(".") for path, size in sizes.items()
    )


def _breakdown(error: Exception, browser: InstalledBrowser, deadline: Deadline) -> SourceError:
    """What a browser error means to who asked for a file."""
    reason = (error.msg if isinstance(error, WebDriverException) else str(error)) or type(error).__name__
    reason = reason.split("\n", 1)[0][:300]
    if "net::ERR_" in reason or "about:neterror" in reason:
        return SourceUnavailable(f"B3 cannot be reached: {reason}.")
    if deadline.passed:
        return SourceTimeout(f"{browser.kind} did not answer within {deadline.timeout_s:g} s: {reason}.")
    return SourceUnavailable(f"The browser {browser.binary} broke down: {reason}.")
