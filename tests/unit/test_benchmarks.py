"""What a measurement counts, and when a target is reached."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp

from benchmarks import charts, growth, latency, merging, queries, refining, walls
from benchmarks.__main__ import main
from benchmarks.exchange import of_portfolio
from benchmarks.memory import peak_memory_until_end_mb
from benchmarks.request_counts import counted, requests_of_the_job, total
from benchmarks.stages import LOGGED, STAGES, StageNotLogged, durations, json_lines, moments
from benchmarks.targets import Target
from benchmarks.walls import CommandFailed, wall_s
from benchmarks.way_loop import PARTITION_KEYS
from glue.schema import PARTITION_COLUMNS
from local.athena_server.parser import parse_query
from local.console import Progress
from local.request_log import logged

LINES = """\
POST\t/\t-\tAWSGlue.StartJobRun
GET\t/artifacts/job.py\t-\t-
GET\t/raw\tlist-type=2&prefix=portfolio%2F\t-
GET\t/raw/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/a.parquet\t-\t-
PUT\t/refined/portfolio/b.parquet\t-\t-
POST\t/refined/portfolio/c.parquet\tuploads\t-
PUT\t/refined/portfolio/c.parquet\tpartNumber=1&uploadId=x\t-
GET\t/refined\tprefix=portfolio%2F\t-
HEAD\t/refined/portfolio/c.parquet\t-\t-
POST\t/refined\tdelete\t-
POST\t/\t-\tAWSGlue.GetPartitions
POST\t/\t-\tAWSGlue.GetJobRun
POST\t/\t-\tAmazonAthena.StartQueryExecution
"""


def test_the_jobs_requests_are_counted_and_nobody_elses() -> None:
    assert requests_of_the_job(LINES.splitlines(keepends=True), "raw", "refined") == {
        "S3 LIST": 2,
        "S3 GET": 1,
        "S3 HEAD": 1,
        "S3 PUT": 2,
        "S3 MULTIPART": 2,
        "S3 DELETE": 1,
        "Glue GetPartitions": 1,
    }


def test_only_the_requests_of_the_body_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "requests"
    log.write_text(LINES, encoding="utf-8")
    with counted(log, "refined") as requests, log.open("a", encoding="utf-8") as lines:
        lines.write("PUT\t/refined/a\t-\t-\nPUT\t/raw/a\t-\t-\nPOST\t/\t-\tAWSGlue.GetTable\n")
    assert requests == {"S3 PUT": 1, "Glue GetTable": 1}
    assert total(requests, "S3") == 1


def test_the_ways_that_are_compared_write_the_partitions_of_portfolio() -> None:
    assert tuple(PARTITION_KEYS) == tuple(name for name, _ in PARTITION_COLUMNS)


def _cost(seconds: float, puts: int) -> dict[str, Any]:
    return {"seconds": seconds, "requests": {"S3 PUT": puts, "Glue GetTable": 900}, "partitions": 90}


def test_a_rebuild_that_takes_longer_or_asks_too_often_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    rebuild = {refining.OURS: [_cost(seconds, 270) for seconds in (99, 10, 9)], "awswrangler": [_cost(8, 180)] * 3}
    session = {refining.OURS: [_cost(4, 271), _cost(3, 280), _cost(2, 90)], "awswrangler": [_cost(1, 180)] * 3}
    figures = {"sessions": 1, "rebuild": rebuild, "session": session}
    found = refining.targets(figures)
    assert [(one.value, one.is_reached) for one in found] == [(1.25, False), (3.0, True), (271 / 90, False)]
    refining.show(figures)
    assert "900" in capsys.readouterr().out


def test_the_longest_history_is_held_against_the_shortest(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        {"stored": stored, "seconds": seconds, "requests": [{"S3 PUT": puts}], "seed_s": 1.0, "cloud_mb": 200.0}
        for stored, seconds, puts in ((25, [2.0, 4.0, 4.0], 10), (250, [9.0], 90), (5000, [1.0, 4.4, 9.0], 12))
    ]
    assert [(round(one.value, 3), one.is_reached) for one in growth.targets(figures)] == [(1.1, True), (1.2, False)]
    growth.show(figures)
    assert "after_250" in capsys.readouterr().out


def test_a_merge_reads_each_object_once(capsys: pytest.CaptureFixture[str]) -> None:
    once = {"seconds": 30.0, "requests": {"S3 GET": 300, "S3 LIST": 31}}
    figures = {
        "sessions": 100,
        "years": 1,
        "rows": {"holdings": 9000, "sessions": 100, "sectors": 2500},
        "first": once,
        "again": {"seconds": 31.0, "requests": {"S3 LIST": 31}},
    }
    assert [one.is_reached for one in merging.targets(figures)] == [False, False]
    assert merging.targets(figures | {"again": once | {"seconds": 30.0}})[1].is_reached
    merging.show(figures)
    assert "2,500 sectors" in capsys.readouterr().out


def test_every_request_is_written_down_before_it_is_answered() -> None:
    log = io.StringIO()
    found: list[str] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        found.append(log.getvalue())

    async def ask() -> None:
        target = [(b"x-amz-target", b"AWSGlue.GetTable")]
        scope = {"type": "http", "method": "GET", "path": "/raw/a", "query_string": b"", "headers": []}
        app_with_log = logged(app, log)
        await app_with_log({"type": "lifespan"}, None, None)
        await app_with_log(scope | {"query_string": b"list-type=2"}, None, None)
        await app_with_log(scope | {"method": "POST", "path": "/", "headers": target}, None, None)

    asyncio.run(ask())
    first, second = "GET\t/raw/a\tlist-type=2\t-\n", "POST\t/\t-\tAWSGlue.GetTable\n"
    assert found == ["", first, first + second]


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [(1.2, False, "reached"), (1.21, False, "MISSED"), (1.2, True, "reached"), (1.19, True, "MISSED")],
)
def test_a_bound_itself_is_still_reached(value: float, at_least: bool, verdict: str) -> None:
    target = Target("a ratio", value, "times", 1.2, at_least)
    assert target.is_reached == (verdict == "reached")
    assert target.row() == ("a ratio", f"{value:.2f} times", f"at {'least' if at_least else 'most'} 1.2 times", verdict)


def test_the_peak_of_a_process_is_its_own_and_not_that_of_its_end() -> None:
    # 200 MB, held for ten looks, then given back.
    script = "import threading; held = bytearray(200_000_000); threading.Event().wait(0.2); del held"
    process = subprocess.Popen([sys.executable, "-c", script])
    assert 200 < peak_memory_until_end_mb(process) < 300
    assert process.returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--only", "weather"], ["--stored", "250", "--stored", "25"], ["--merged", "4"], ["--times", "0"]]
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2


def line(service: str, message: str, second: float, correlation_id: str = "desk-7", **extra: object) -> str:
    timestamp = (
        f"2025-02-03 12:00:{second:06.3f}+0000".replace(".", ",")
        if "start" in service
        else (f"2025-02-03T12:00:{second:06.3f}+00:00")
    )
    told = {"timestamp": timestamp, "service": service, "message": message, "correlation_id": correlation_id}
    return json.dumps(told | extra)


NOON = 1738584000.0
"""2025-02-03 12:00 UTC."""
EVERY_LINE = [
    "OpenJDK says something",
    line("bovespa-api", "proven", 0.5, "desk-6"),
    *(line(service, message, number) for number, (_, service, message) in enumerate(LOGGED, 1)),
    line("bovespa-api", "downloaded", 30.0),
    '{"progress": 1}',
]


def test_a_stage_lasts_from_the_line_that_ends_the_one_before_to_its_own() -> None:
    found = moments(json_lines(EVERY_LINE), "desk-7")
    taken = durations(found, asked=NOON + 0.25, refined=NOON + 12.5, visible=NOON + 14)
    assert list(taken) == list(STAGES)
    assert list(taken.values()) == [0.75, *[1.0] * (len(LOGGED) - 1), 0.5, 1.5]


def test_a_line_that_comes_late_takes_from_the_stage_after_it_and_the_whole_stays_what_was_waited() -> None:
    found = moments(json_lines(EVERY_LINE), "desk-7") | {("bovespa-refine", "published"): NOON + 12.75}
    taken = durations(found, asked=NOON, refined=NOON + 12.5, visible=NOON + 13)
    assert list(taken.values())[-3:] == [1.75, 0.0, 0.25]
    assert sum(taken.values()) == 13
    early = durations(found, asked=NOON, refined=NOON + 12.5, visible=NOON + 12.5)
    assert sum(early.values()) == 12.5


def test_a_missing_line_is_named() -> None:
    found = moments(json_lines(EVERY_LINE), "desk-7")
    del found["bovespa-start-refine", "started a run"]
    with pytest.raises(StageNotLogged, match="bovespa-start-refine has not logged 'started a run'"):
        durations(found, asked=NOON, refined=NOON + 13, visible=NOON + 14)


def test_a_named_query_is_asked_of_portfolio_with_its_values_and_nothing_else_changed() -> None:
    sql = (
        "WITH parameters AS (SELECT 'IBBC' AS index_code) "
        "SELECT own.ticker, 'holdings' AS word FROM holdings AS own "
        "INNER JOIN holdings ON own.session_year = holdings.session_year ORDER BY 1"
    )
    values = {"index_code": "IBBC", "ticker": "AB'C3", "from_date": "2024-01-01", "to_date": "2024-12-31"}
    derived = (
        "(SELECT *, YEAR(session_date) AS session_year FROM portfolio WHERE index_code = 'IBBC' AND ticker = 'AB''C3' "
        "AND session_date >= DATE '2024-01-01' AND session_date <= DATE '2024-12-31')"
    )
    expected = sql.replace("FROM holdings AS own", f"FROM {derived} AS own").replace(
        "JOIN holdings", f"JOIN {derived} AS holdings"
    )
    assert parse_query(of_portfolio(sql, values)) == parse_query(expected)


def test_a_query_that_does_not_read_holdings_is_not_exchanged() -> None:
    with pytest.raises(ValueError, match="does not read holdings"):
        of_portfolio("SELECT 1 AS holdings FROM sessions", {})


def test_ten_named_queries_are_asked_of_each_table_and_of_no_other() -> None:
    asked = dict(queries.questions())
    assert len(asked) == 11
    for question, forms in asked.items():
        tables = {
            table: {found.name for found in parse_query(sql).find_all(exp.Table)} & {"portfolio", "holdings"}
            for table, sql in forms.items()
        }
        assert tables == {
            queries.PORTFOLIO: {"portfolio"},
            queries.HOLDINGS: {"holdings"},
            queries.MERGED: {"holdings"},
        }, question


LATENCY = {
    "cold_stored_s": [2.3],
    "cold_visible_s": [11.0],
    "stored_s": [1.6, 1.7],
    "refined_s": [4.2, 4.3],
    "visible_s": [4.4, 4.5],
    "fetched_s": [1.5, 1.7],
    "plain_http_s": [0.02, 0.02],
    "browser_alone_s": [0.6, 0.4, 0.5],
    "usual_way_s": [16.5],
    "stages_s": {stage: [0.1 * number, 0.1 * number] for number, stage in enumerate(STAGES, 1)},
    "api_peak_memory_mb": 170.0,
    "job_peak_memory_mb": 1700.0,
}
QUERIES = [
    {"question": question, "table": table, "files": files, "scanned_bytes": 10_000 * files, "first_s": 1.0}
    | {"again_s": [0.1, 0.2, 0.3]}
    for question in (queries.ROWS, "todays_portfolio")
    for table, files in ((queries.PORTFOLIO, 9000), (queries.HOLDINGS, 100), (queries.MERGED, 1))
]
GROWTH = [
    {
        "stored": stored,
        "seconds": seconds,
        "requests": [{"S3 GET": 21, "S3 PUT": 94}] * 3,
        "seed_s": 1.0,
        "cloud_mb": 200.0,
    }
    for stored, seconds in ((25, [4.0, 4.2, 4.1]), (1000, [4.1, 4.0, 4.3]))
]
MEASURED = {"machine": "2 cores", "command": "python -m benchmarks"}


def test_a_fetch_is_compared_with_the_floor_and_the_browsers_own_navigation_together() -> None:
    (target,) = (one for one in latency.targets(LATENCY) if "navigation" in one.name)
    assert (target.name, target.bound) == ("GET /bovespaDay, beside floor + browser's own navigation", 3)
    assert target.value == pytest.approx(1.6 / 0.52)
    assert not target.is_reached


def test_figures_of_earlier_runs_are_shown_and_drawn_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(MEASURED | {"latency": LATENCY}), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(MEASURED | {"queries": QUERIES, "growth": GROWTH}), encoding="utf-8")
    given = [part for name in "ab" for part in ("--figures", str(tmp_path / f"{name}.json"))]
    # One target is missed.
    assert main([*given, "--charts", str(tmp_path / "charts")]) == 1
    shown = capsys.readouterr().out
    assert "Athena answered" in shown
    assert "todays_portfolio" in shown
    drawn = sorted(path.name for path in (tmp_path / "charts").iterdir())
    assert drawn == ["alternatives.svg", "growth.svg", "queries.svg", "stages.svg"]
    first = {path.name: path.read_bytes() for path in (tmp_path / "charts").iterdir()}
    assert all(content.rstrip().endswith(b"</svg>") for content in first.values())
    main([*given, "--charts", str(tmp_path / "charts")])
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "charts").iterdir()}


def test_archives_of_several_runs_count_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(file: str, sessions: int, **seconds: Sequence[float]) -> Path:
        requests = {"S3 PUT": 90, "Glue GetTable": 4}
        costs = {
            way.replace("_", " "): [{"seconds": one, "requests": requests, "partitions": 90} for one in each]
            for way, each in seconds.items()
        }
        figures = {"sessions": sessions, "rebuild": costs, "session": costs}
        path = tmp_path / file
        path.write_text(json.dumps(MEASURED | {"refining": figures}), encoding="utf-8")
        return path

    first = written("a.json", 250, this_project=[2, 8], pyarrow=[1])
    files = [first, written("b.json", 250, this_project=[4], spark=[40]), written("c.json", 250, spark=[20, 36])]
    given = [part for file in files for part in ("--figures", str(file))]
    charts_folder = ["--charts", str(tmp_path / "charts")]
    assert main([*given, *charts_folder]) == 0
    rows = [re.split(r" *│ *", line)[1:-2] for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")]
    assert rows[:3] == [
        ["this project", "3", "4.00", "1.00", "90"],
        ["pyarrow", "1", "1.00", "0.25", "90"],
        ["spark", "3", "36.00", "9.00", "90"],
    ]

    smaller = written("d.json", 25, this_project=[1])
    elsewhere = written("e.json", 250, this_project=[1])
    elsewhere.write_text(elsewhere.read_text(encoding="utf-8").replace(MEASURED["machine"], "64 cores"), "utf-8")
    for other, why in (
        (smaller, "archives of 250 sessions and of 25"),
        (elsewhere, f"measured on 64 cores, not on {MEASURED['machine']}"),
    ):
        with pytest.raises(SystemExit):
            main(["--figures", str(first), "--figures", str(other), *charts_folder])
        assert f"{other} does not belong to the files before it: {why}" in capsys.readouterr().err


def test_histories_and_ways_are_drawn(tmp_path: Path) -> None:
    histories = [{"stored": stored, "seconds": [4.0], "requests": [{"S3 GET": 1}]} for stored in (25, 250, 2500, 5000)]
    one = {"seconds": 9.0, "requests": {"S3 PUT": 90, "Glue GetTable": 4}, "partitions": 90}
    ways = {name: {"this project": [one], "spark": [one | {"seconds": 90.0}]} for name in ("rebuild", "session")}
    drawn = charts.draw({"growth": histories, "refining": ways | {"sessions": 250}}, tmp_path)
    assert [path.name for path in drawn] == ["growth.svg", "refining.svg"]
    assert charts.draw({"parsing": {}}, tmp_path) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"machine": "", "command": "", "weather": 1}'])
def test_a_file_that_holds_no_figures_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "figures.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as refused:
        main(["--figures", str(path)])
    assert refused.value.code == 2


def test_a_command_is_timed_without_the_arguments_of_the_make_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Makefile").write_text(
        'demo:\n\t@test -z "$(ARGS)" && sleep 0.3\nbroken:\n\t@echo it broke; exit 3\n', encoding="utf-8"
    )
    monkeypatch.setenv("MAKEFLAGS", " -- ARGS=--only\\ walls")
    monkeypatch.setenv("ARGS", "--only walls")
    assert 0.3 < wall_s("demo", tmp_path) < 10
    with pytest.raises(CommandFailed, match="it broke"):
        wall_s("broken", tmp_path)


def test_the_commands_take_turns(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("demo test:\n\t@echo $@ >> called\n", encoding="utf-8")
    taken_s = walls.measure(2, Progress(), tmp_path)
    assert (tmp_path / "called").read_text(encoding="utf-8").split() == ["demo", "test", "demo", "test"]
    assert {name: len(each) for name, each in taken_s.items()} == {"make demo": 2, "make test": 2}


@pytest.mark.parametrize(("middle_s", "status"), [(359.0, 0), (361.0, 1)])
def test_the_median_of_make_test_is_judged(
    middle_s: float, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    walls_s = {"make demo": [13.0], "make test": [900.0, middle_s, 300.0]}
    path.write_text(json.dumps({"machine": "", "command": "", "walls": walls_s}), encoding="utf-8")
    assert main(["--figures", str(path), "--charts", str(tmp_path)]) == status
    assert f"{middle_s:.1f}" in capsys.readouterr().out
