"""The Athena notebooks, executed for real over a small lake: their figures, and their numbers against Athena's."""

from __future__ import annotations

import datetime as dt
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bovespa.portfolio import View
from bovespa.portfolio_csv import file_name
from local.notebook_lake import LakeNotFilled, fill, write_synthetic_trading_days
from local.notebook_pages import figures, printed
from local.synthetic import synthetic_csv
from tests.conftest import PROJECT
from tests.e2e.test_local_commands import environment
from tests.lake import Lake
from tests.processes import commands, descendants
from tests.until import until

DAYS = [dt.date(2020, 12, 28), dt.date(2020, 12, 29), dt.date(2020, 12, 30), dt.date(2021, 1, 4), dt.date(2021, 1, 13)]
"""Two years, a rebalance with entries and exits, then a gap."""
LAST = dt.date(2021, 1, 14)
"""A split, in a session that B3 gave by code."""
TRADING_DAYS = [dt.date(2021, 1, 12), dt.date(2021, 1, 13), LAST]
WITHOUT_TRADING_DAY = "without_trading_day"
"""The notebook of the trading day, of a session that lacks it."""

FIGURES = {
    "index_today": ["treemap", "concentration", "largest"],
    "index_over_time": [
        *("weights", "entries-and-exits", "reductor", "concentration", "quantity-changes", "turnover"),
    ],
    "trading_day": ["waterfall", "liquidity", "drift", "most-traded"],
}

NAMED_ROWS = {"largest", "waterfall", "drift", "most-traded"}
"""Figures with a name before each row, which no axis needs to label."""


def nbformat() -> Any:
    """The library, which not every process that collects tests shall wait for."""
    from local.jupyter import nbformat as library  # noqa: PLC0415

    return library


@dataclass(frozen=True)
class Executed:
    """What a run of the notebooks left."""

    lake: Lake
    folder: Path
    stdout: str

    def notebook(self, name: str) -> Any:
        return nbformat().read(self.folder / f"{name}.ipynb", as_version=4)


def notebooks(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "notebooks", *map(str, arguments)],
        cwd=PROJECT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where a command under test puts its temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def executed(empty_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Executed:
    sessions, folder = tmp_path_factory.mktemp("sessions"), tmp_path_factory.mktemp("pages")
    for day in (*DAYS, LAST):
        view = View.CODE if day == LAST else View.SECTOR
        (sessions / file_name("IBOV", day)).write_bytes(synthetic_csv("IBOV", day, view))
    write_synthetic_trading_days(sessions, TRADING_DAYS)
    paths = sorted((PROJECT / "notebooks").glob("*.ipynb"))
    without = nbformat().read(PROJECT / "notebooks" / "trading_day.ipynb", as_version=4)
    without.cells[1].source = f'INDEX_CODE = "IBOV"\nSESSION_DATE = "{DAYS[-2]}"'
    paths.append(sessions / f"{WITHOUT_TRADING_DAY}.ipynb")
    nbformat().write(without, paths[-1])
    assert fill(empty_lake.cloud, sessions, lambda _line: None) == len(DAYS) + 1
    answer = notebooks("--running", "--out", folder, *paths, AWS_ENDPOINT_URL=empty_lake.cloud.endpoint_url)
    assert answer.returncode == 0, answer.stderr
    return Executed(empty_lake, folder, answer.stdout)


def test_every_figure_is_there_and_can_be_read(executed: Executed) -> None:
    for name, expected in FIGURES.items():
        shown = list(figures(executed.notebook(name)))
        assert [figure.name for figure in shown] == expected
        for figure in shown:
            assert len(figure.title) > 10, figure.name
            labelled = [axes for axes in figure.axes if axes["shown"]]
            assert labelled or figure.name == "treemap"
            assert not labelled or any(axes["x"] for axes in labelled), figure.name
            assert not labelled or figure.name in NAMED_ROWS or any(axes["y"] for axes in labelled), figure.name
            path = executed.folder / f"{name}-{figure.name}.png"
            assert f"{path}\n" in executed.stdout
            with Image.open(path) as picture:
                assert picture.width >= 1000
                colours = picture.convert("RGB").getcolors(1 << 20)
                assert colours is not None
                paper = max(count for count, _ in colours) / (picture.width * picture.height)
            assert paper < 0.97, f"{figure.name} is empty"


def test_a_page_holds_its_figures_and_needs_no_network(executed: Executed) -> None:
    for name, expected in FIGURES.items():
        page = (executed.folder / f"{name}.html").read_text(encoding="utf-8")
        assert page.count('src="data:image/png;base64,') == len(expected)
        assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []
        assert "<script" not in page
        assert "def new_figure" not in page, "the helpers are left out"


def rows_after(text: str, headings: str) -> list[list[str]]:
    """The rows of a printed table, found by its first headings, up to what is no row of it."""
    lines, words = text.splitlines(), headings.split()
    (start,) = [place for place, line in enumerate(lines) if line.split()[: len(words)] == words]
    width = len(lines[start])
    rows = []
    for line in lines[start + 1 :]:
        if len(line) != width:
            break
        rows.append(line.split())
    return rows


def test_the_table_of_the_largest_is_athenas(executed: Executed) -> None:
    answer = executed.lake.ask(f"""
        SELECT participation_rank, ticker, share_class, participation_pct, participation_change_pp
        FROM portfolio WHERE index_code = 'IBOV' AND session_date = DATE '{LAST}' AND participation_rank <= 15
        ORDER BY participation_rank
    """)  # noqa: S608 - our own words
    shown = rows_after(printed(executed.notebook("index_today")), "participation_rank ticker")
    assert len(shown) == 15
    # A company's name may have blanks: it is what lies between.
    found = [(int(row[0]), row[1], row[-3], Decimal(row[-2]), Decimal(row[-1])) for row in shown]
    assert found == [(*row[:3], Decimal(row[3]), Decimal(row[4])) for row in answer.rows]


def test_sectors_come_from_the_nearest_session_that_has_them(executed: Executed) -> None:
    text = printed(executed.notebook("index_today"))
    assert "B3 gave all of the shares without a sector" in text
    assert f"the nearest session with one ({DAYS[-1]})" in text
    answer = executed.lake.ask(f"""
        SELECT before.sector, SUM(now.participation_pct)
        FROM holdings AS now
        INNER JOIN holdings AS before ON before.ticker = now.ticker
        WHERE now.index_code = 'IBOV' AND now.session_year = 2021 AND now.session_date = DATE '{LAST}'
            AND before.index_code = 'IBOV' AND before.session_year = 2021 AND before.session_date = DATE '{DAYS[-1]}'
        GROUP BY before.sector
    """)  # noqa: S608 - our own words
    shown = {" ".join(row[:-2]): Decimal(row[-2]) for row in rows_after(text, "sector participation_pct")}
    assert shown == {sector: Decimal(part) for sector, part in answer.rows}
    assert sum(shown.values()) == 100


def test_entries_exits_and_corporate_actions_are_athenas(executed: Executed) -> None:
    text = printed(executed.notebook("index_over_time"))
    ((entries, exits),) = executed.lake.ask(
        "SELECT SUM(entries), SUM(exits) FROM sessions WHERE index_code = 'IBOV' AND session_year IN (2020, 2021)"
    ).rows
    moves = rows_after(text, "session_date ticker company participation_pct what")
    assert (entries, exits) == (
        sum(row[-1] == "entered" for row in moves),
        sum(row[-1] == "left" for row in moves),
    )
    assert entries > 0
    assert exits > 0
    actions = executed.lake.ask("""
        SELECT ticker, theoretical_quantity - theoretical_quantity_change AS quantity_before, theoretical_quantity
        FROM holdings WHERE index_code = 'IBOV' AND session_year = 2021 AND quantity_change_cause = 'corporate_action'
    """).rows
    assert len(actions) == 1
    for ticker, before, after in actions:
        (line,) = [line for line in text.splitlines() if ticker in line.split() and str(before) in line.split()]
        assert str(after) in line.split()
    assert f"gap: nothing stored between {DAYS[-2]} and {DAYS[-1]}, 6 trading sessions" in text


def test_the_move_of_the_day_is_athenas(executed: Executed) -> None:
    text = printed(executed.notebook("trading_day"))
    rows = executed.lake.ask(f"""
        SELECT ticker, index_contribution_points FROM portfolio
        WHERE index_code = 'IBOV' AND session_date = DATE '{LAST}' ORDER BY index_contribution_points DESC, ticker
    """).rows  # noqa: S608 - our own words
    points = [(ticker, Decimal(value)) for ticker, value in rows]
    ((before, level),) = executed.lake.ask(f"""
        SELECT previous_index_level, index_level FROM sessions
        WHERE index_code = 'IBOV' AND session_year = 2021 AND session_date = DATE '{LAST}'
    """).rows  # noqa: S608 - our own words
    assert f"from {before} to {level}" in text
    shown = {row[0]: Decimal(row[-1]) for row in rows_after(text, "ticker company index_contribution_points")}
    steps = [(name, value) for name, value in shown.items() if name not in (str(len(points) - 20), "Not")]
    assert steps == [*points[:10], *points[-10:]]
    assert points[9][1] > 0 > points[-10][1]
    assert shown[str(len(points) - 20)] == sum(value for _, value in points[10:-10])
    assert abs(Decimal(before) + sum(shown.values()) - Decimal(level)) <= Decimal("0.05"), "the bars meet the close"


def test_the_drift_of_the_day_is_athenas(executed: Executed) -> None:
    shown = rows_after(printed(executed.notebook("trading_day")), "ticker company participation_pct")
    rows = executed.lake.ask(f"""
        SELECT ticker, participation_pct, closing_participation_pct, participation_drift_pp FROM holdings
        WHERE index_code = 'IBOV' AND session_year = 2021 AND session_date = DATE '{LAST}'
        ORDER BY ABS(participation_drift_pp) DESC, participation_rank LIMIT 16
    """).rows  # noqa: S608 - our own words
    found = sorted((row[0], *map(Decimal, row[-3:])) for row in shown)
    assert found == sorted((row[0], *map(Decimal, row[1:])) for row in rows)


def test_what_was_traded_most_is_athenas(executed: Executed) -> None:
    shown = rows_after(printed(executed.notebook("trading_day")), "ticker company trades volume_brl")
    rows = executed.lake.ask(f"""
        SELECT ticker, trades, volume_brl, transaction_frequency FROM trading
        WHERE session_year = 2021 AND session_date = DATE '{LAST}'
        ORDER BY trades DESC, volume_brl DESC, ticker LIMIT 15
    """).rows  # noqa: S608 - our own words
    assert [(row[0], *map(Decimal, row[-3:])) for row in shown] == [(row[0], *map(Decimal, row[1:])) for row in rows]


def test_a_session_without_its_trading_day_gets_pictures_that_say_so(executed: Executed) -> None:
    shown = list(figures(executed.notebook(WITHOUT_TRADING_DAY)))
    assert [figure.name for figure in shown] == FIGURES["trading_day"]
    assert {figure.title for figure in shown} == {f"The trading day of {DAYS[-2]} is not stored"}
    assert {axes["x"] for figure in shown for axes in figure.axes} == {"What is missing"}


def test_a_failing_cell_is_named_and_leaves_the_notebooks_before_it(tmp_path: Path, scratch: Path) -> None:
    """The whole command, cloud included, over one session; what the first notebook sets, the second does not meet."""
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / file_name("UTIL", DAYS[0])).write_bytes(synthetic_csv("UTIL", DAYS[0]))
    look = "found = spark.sql('SHOW VIEWS').count(), spark.conf.get('spark.sql.session.timeZone')"
    sets = "spark.sql('CREATE TEMP VIEW mine AS SELECT 1'), spark.conf.set('spark.sql.session.timeZone', 'Asia/Tokyo')"
    first, second = tmp_path / "first.ipynb", tmp_path / "broken.ipynb"
    cells = [nbformat().v4.new_code_cell(f"{sets}\n{look}\nprint(*found)")]
    nbformat().write(nbformat().v4.new_notebook(cells=cells), first)
    cells = [
        nbformat().v4.new_markdown_cell("# Broken"),
        nbformat().v4.new_code_cell("count = spark.sql('SELECT * FROM bovespa.holdings').count()"),
        nbformat().v4.new_code_cell(
            f"print(1)\n{look}\nraise ValueError(f'{{count}} rows and {{found}} are not to my liking')"
        ),
    ]
    nbformat().write(nbformat().v4.new_notebook(cells=cells), second)
    out = tmp_path / "out"
    answer = notebooks("--sessions", tmp_path / "sessions", "--out", out, first, second, TMPDIR=str(scratch))
    assert answer.returncode == 1
    last = answer.stderr.splitlines()[-1]
    rows = synthetic_csv("UTIL", DAYS[0]).count(b"\r\n") - 4
    assert (
        last == f"error: broken.ipynb, cell 3 (print(1)): ValueError: {rows} rows and (0, 'UTC') are not to my liking"
    )
    assert "Traceback" not in answer.stderr
    assert list(scratch.iterdir()) == []
    assert sorted(page.name for page in out.iterdir()) == ["first.html", "first.ipynb"]
    assert printed(nbformat().read(out / "first.ipynb", as_version=4)) == "1 Asia/Tokyo\n"


def test_a_run_that_is_stopped_leaves_no_process_and_no_file(executed: Executed, tmp_path: Path, scratch: Path) -> None:
    cells = [
        nbformat().v4.new_code_cell("import pathlib, threading\nspark.sql('SELECT 1').collect()"),
        nbformat().v4.new_code_cell(f"pathlib.Path({str(tmp_path / 'reached')!r}).touch()\nthreading.Event().wait()"),
    ]
    path = tmp_path / "endless.ipynb"
    nbformat().write(nbformat().v4.new_notebook(cells=cells), path)
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "notebooks", "--running", "--out", str(tmp_path / "out"), str(path)],
        cwd=PROJECT,
        env=environment(TMPDIR=str(scratch), AWS_ENDPOINT_URL=executed.lake.cloud.endpoint_url),
        stderr=subprocess.DEVNULL,
    )
    try:
        until((tmp_path / "reached").exists, timeout_s=180, every_s=0.1)
        started = descendants(process.pid)
        assert any("java" in command for command in started.values())
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait()
    assert {pid: command for pid, command in commands().items() if started.get(pid) == command} == {}
    assert list(scratch.iterdir()) == []


def test_a_folder_without_files_is_refused_before_a_cloud_starts(tmp_path: Path) -> None:
    answer = notebooks("--sessions", tmp_path, "--out", tmp_path / "out")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"error: No file below {tmp_path} is a daily portfolio of B3: give a folder of its CSV files."
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_sessions_is_refused(executed: Executed, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("not;a;portfolio\n", encoding="utf-8")
    said: list[str] = []
    with pytest.raises(LakeNotFilled, match="No file below"):
        fill(executed.lake.cloud, tmp_path, said.append)
    assert [line.split(":")[0] for line in said] == ["refused other.csv"]
