"""One session fetched: through the API, with a plain HTTP client (the floor), and the usual way; a browser alone."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from bovespa.portfolio_csv import parse_csv
from local.api_client import ApiClient
from local.pipeline import Pipeline
from scrap.browser import open_browser
from scrap.browser_detection import InstalledBrowser, find_browser
from scrap.deadline import Deadline

USUAL_SLEEP_S = 15.0
"""What scrapers of this page commonly sleep after the click, in the hope that the download has then finished."""

_PAGE_TIMEOUT_S = 60.0
_POLL_S = 0.05
"""As often as the collector looks at the page (`scrap.scrap`)."""
_A_ROW = (By.CSS_SELECTOR, "form tbody tr")


def through_the_api(running: Pipeline, client: ApiClient, index_code: str, days: Sequence[dt.date]) -> list[float]:
    """Return the seconds of `GET /bovespaDay` for each of *days*, every one a session not yet stored."""
    seconds = []
    for day in days:
        running.stand_in.set(today=day)
        started = time.perf_counter()
        answer = client.collect(index_code)
        seconds.append(time.perf_counter() - started)
        if (answer["status"], answer["session_date"]) != ("stored", day.isoformat()):
            raise RuntimeError(f"{index_code} of {day} was to be stored: {answer}")
    return seconds


def with_plain_http(running: Pipeline, index_code: str, times: int) -> list[float]:
    """Return the seconds that a plain HTTP client needs for the same file: connect, ask, decode, parse."""
    question = json.dumps({"index": index_code, "language": "pt-br", "segment": "2"}).encode()
    url = f"{running.stand_in.url}/indexProxy/indexCall/GetDownloadPortfolioDay/{base64.b64encode(question).decode()}"
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        answer = requests.get(url, timeout=30)
        answer.raise_for_status()
        parse_csv(base64.b64decode(answer.text.strip('"')), index_code=index_code)
        seconds.append(time.perf_counter() - started)
    return seconds


def browser_alone(running: Pipeline, index_code: str, times: int) -> list[float]:
    """Return the seconds of the browser's own navigation, which whatever collects with a browser takes as well.

    In it are: the start of driver and browser with the collector's own options (`scrap.browser.open_browser`), the
    request of the page `indexPage/day/<index>`, its script, its data call and its drawing, until a row of the portfolio
    stands in its table, and the end of the browser. Not in it are: the choice of the sector view, B3's clock, the click
    and the download, the check of the file, the storing, and the API with its request and its token.
    """
    installed = find_browser()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        with _page(running, installed, index_code) as (driver, _folder):
            row = expected_conditions.presence_of_element_located(_A_ROW)
            WebDriverWait(driver, _PAGE_TIMEOUT_S, poll_frequency=_POLL_S).until(row)
        seconds.append(time.perf_counter() - started)
    return seconds


def the_usual_way(running: Pipeline, index_code: str, times: int) -> list[float]:
    """Return the seconds of page, click, fixed sleep, read: what most collectors of this page do."""
    installed = find_browser()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        with _page(running, installed, index_code) as (driver, folder):
            link = expected_conditions.element_to_be_clickable((By.LINK_TEXT, "Download"))
            WebDriverWait(driver, _PAGE_TIMEOUT_S).until(link).click()
            threading.Event().wait(USUAL_SLEEP_S)
            (path,) = folder.glob("*.csv")
            parse_csv(path.read_bytes(), index_code=index_code)
        seconds.append(time.perf_counter() - started)
    return seconds


@contextlib.contextmanager
def _page(running: Pipeline, installed: InstalledBrowser, index_code: str) -> Iterator[tuple[WebDriver, Path]]:
    """A new browser that was sent to B3's page, and the folder of its downloads; both end with the `with`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_browser(installed, folder, deadline=Deadline(_PAGE_TIMEOUT_S)) as driver:
            driver.get(f"{running.stand_in.url}/indexPage/day/{index_code}?language=pt-br")
            yield driver, folder
