"""What the load counts as an error, what it counts as left behind, and when it fails."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.command import count
from load import crowd, soak
from load.__main__ import main, targets
from load.watch import Browsers, profiles_of
from tests.until import until

ANSWERS = {
    "POST /login": {"200": [100.0, 300.0], "429 too_many_requests": [1.0] * 3, "503 busy": [1.0]},
    "GET /health": {"200": [float(number) for number in range(1, 101)]},
    "GET /bovespaDay": {"503 busy": [2.0]},
}
NOTHING_GROWN = {"processes": 0, "open_files": 0, "connections": 0, "temporary_folders": 0}


def crowd_figures(answers: dict[str, Any] = ANSWERS, **others: float) -> dict[str, Any]:
    """Figures with which every target is reached, but for *others*."""
    return {
        "rows": crowd.rows(answers, 10),
        "browsers_of_an_index": 1,
        "browsers_at_once": 2,
        "api_peak_memory_mb": 200.0,
        **others,
    }


def missed(figures: dict[str, Any]) -> list[str]:
    return [target.name for target in targets(figures) if not target.is_reached]


def test_times_are_those_of_answers_and_refusals_that_are_meant_stand_apart():
    day, health, login = crowd.rows(ANSWERS, 10)
    assert (login.requests, login.per_second, login.median_ms) == (6, 0.6, 200.0)
    assert (login.meant, login.errors) == ({"429 too_many_requests": 3, "503 busy": 1}, {})
    assert (health.median_ms, health.p95_ms, health.p99_ms) == pytest.approx((50.5, 95.05, 99.01))
    assert (day.requests, day.median_ms, day.p99_ms) == (1, None, None)
    assert missed({"crowd": crowd_figures()}) == []


@pytest.mark.parametrize(
    "code",
    [
        *("500 internal", "503 storage_unavailable", "429 login_locked", "401 token_invalid"),
        *("429 too_many_requests without Retry-After", "503 without a problem", "no answer: ConnectionError"),
    ],
)
def test_every_other_refusal_fails_the_run(code: str):
    figures = crowd_figures(ANSWERS | {"GET /sessions": {"200": [5.0], code: [1.0, 1.0]}})
    assert figures["rows"][2].errors == {code: 2}
    assert missed({"crowd": figures}) == ["answers that are not meant"]


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({"browsers_of_an_index": 2}, "browsers of one index at once"),
        ({"browsers_at_once": 3}, "browsers at once"),
        ({"api_peak_memory_mb": 200.1}, "peak memory of the API process"),
        ({"rows": crowd.rows({"GET /health": {"200": [crowd.HEALTH_P99_MS + 1.0]}}, 1)}, "GET /health, p99"),
        ({"rows": []}, "GET /health, p99"),
    ],
)
def test_each_bound_fails_the_run_alone(others: dict[str, Any], name: str):
    assert missed({"crowd": crowd_figures(**others)}) == [name]


def test_whatever_is_left_after_the_soak_fails_the_run():
    good = {"grown": NOTHING_GROWN, "browser_folders_left": 0, "slope_mb": soak.SLOPE_MB}
    assert missed({"crowd": crowd_figures(), "soak": good}) == []
    for name in NOTHING_GROWN:
        found = missed({"crowd": crowd_figures(), "soak": good | {"grown": NOTHING_GROWN | {name: 1}}})
        assert found == [f"soak: more {name.replace('_', ' ')}"]
    assert missed({"crowd": crowd_figures(), "soak": good | {"browser_folders_left": 1}}) != []
    assert missed({"crowd": crowd_figures(), "soak": good | {"slope_mb": soak.SLOPE_MB + 0.1}}) != []


def test_the_slope_is_that_of_the_second_half():
    warming = [100.0 + 2 * number for number in range(50)]
    assert soak.slope_mb([*warming, *[200.0] * 50]) == pytest.approx(0)
    assert soak.slope_mb([*warming, *[200 + 0.03 * number for number in range(50)]]) == pytest.approx(3)


def test_what_a_process_keeps_is_seen(tmp_path: Path):
    this = psutil.Process()
    with contextlib.ExitStack() as stack:
        before = soak.holdings(this, tmp_path)
        (tmp_path / "b3-x").mkdir()
        stack.enter_context((tmp_path / "b3-x" / "file").open("wb"))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        child = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
        assert listener.getsockname()
        # The file, the listener, and the pipe to the child.
        expected = {"processes": 1, "open_files": 3, "connections": 1, "temporary_folders": 1}
        until(lambda: soak.holdings(this, tmp_path).grown_since(before) == expected)
        child.communicate(b"\n")
        after = soak.holdings(this, tmp_path)
    assert after.processes == before.processes
    assert replace(before, open_files=5).grown_since(replace(before, open_files=9))["open_files"] == 0


def test_a_browser_is_told_by_its_profile_and_counted_once():
    lines = [
        "/usr/bin/chromedriver --port=0",
        "/usr/lib/chromium/chromium --headless=new --user-data-dir=/tmp/b3-a/profile data:,",
        "/usr/lib/chromium/chromium --headless=new --user-data-dir=/tmp/b3-a/profile data:,",
        "/usr/lib/chromium/chromium --type=renderer --user-data-dir=/tmp/b3-a/profile",
    ]
    assert set(profiles_of(lines)) == {Path("/tmp/b3-a/profile")}  # noqa: S108 - a name, not a file


def test_browsers_of_one_index_at_once_are_those_of_one_look(tmp_path: Path):
    a, b, c, unknown = (tmp_path / name / "profile" for name in "abcd")
    indexes = {a: "IBOV", b: "SMLL", c: "IBOV"}
    apart = Browsers(indexes, (frozenset({a, b}), frozenset({b, c}), frozenset({unknown, b, c})))
    assert (apart.most_of_an_index, apart.most_at_once, apart.left_folders) == (1, 3, [])
    assert Browsers(indexes, (frozenset({a, c}),)).most_of_an_index == 2
    assert Browsers({}, ()).most_at_once == 0
    b.parent.mkdir()
    assert apart.left_folders == [b.parent]


def test_callers_have_an_address_each_but_for_some_who_share_one():
    users = {"ana": "a", "bia": "b"}
    found = crowd.callers(users, crowd.MOST_CALLERS)
    own = [one.address for one in found if one.address != found[0].address]
    assert (len(own), len(set(own))) == (200, 200)
    assert all(users[one.username] == one.password for one in found)
    assert "secret" not in repr(crowd.Caller("ana", "secret", "127.1.0.1"))


def test_counts_on_the_command_line():
    assert (count("7"), count("0", least=0)) == (7, 0)


@pytest.mark.parametrize("arguments", [["--soak", "-1"], ["--clients", "0"], ["--clients", "251"], ["--seconds", "x"]])
def test_what_cannot_be_done_is_refused(arguments: list[str]):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
