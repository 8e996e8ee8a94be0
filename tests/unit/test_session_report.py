"""The report of a session: every figure in it is that of the files, and what is not known is said to be unknown."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.report_commands import report_command
from api.report_page import render_report
from bovespa.errors import SessionNotStored
from bovespa.layout import Session
from bovespa.portfolio import Holding, Portfolio, View
from bovespa.portfolio_csv import parse_csv, serialise_csv
from bovespa.session_report import MAX_MOVES, Evidence, session_report
from bovespa.session_state import JobRun, RawObject, SessionState, State
from local.synthetic import synthetic_portfolio
from tests.api_in_process import Seen, bearer, client

DAY = dt.date(2025, 2, 18)
RECEIVED = dt.datetime(2025, 2, 18, 11, 0, 0, 500_000, tzinfo=dt.UTC)
STORED = RECEIVED + dt.timedelta(seconds=1.25)
STARTED = STORED + dt.timedelta(seconds=2)
REFINED = STARTED + dt.timedelta(seconds=70)
RUN = JobRun("jr_1", "SUCCEEDED", STARTED, REFINED, frozenset({f"IBOV/{DAY}"}))


def portfolio(day: dt.date, reductor: str, *rows: tuple[str, int, str, str | None]) -> Portfolio:
    """A portfolio of (ticker, quantity, participation, corporate event)."""
    holdings = tuple(
        Holding(ticker, f"CO {ticker}", "ON", event, None, quantity, Decimal(part))
        for ticker, quantity, part, event in rows
    )
    total = sum(row.theoretical_quantity for row in holdings)
    return Portfolio("IBOV", day, View.CODE, holdings, total, Decimal(reductor))


BEFORE = portfolio(
    dt.date(2025, 2, 14),
    "2000000.00000000",
    ("ABEV3", 1000, "40.000", None),
    ("BBAS3", 500, "30.000", "ED"),
    ("GOLL4", 100, "5.000", None),
    ("VALE3", 300, "25.000", None),
)
AFTER = portfolio(
    DAY,
    "2000001.00000000",
    ("ABEV3", 1000, "41.000", "EJ"),
    ("BBAS3", 515, "28.500", None),
    ("EMBR3", 70, "5.500", None),
    ("VALE3", 300, "25.000", None),
)
SOURCE = serialise_csv(AFTER)
RECEIPT = {
    "holdings": 4,
    "theoretical_quantity": 1885,
    "participation_pct": "100.000",
    "job_run_id": "jr_1",
    "correlation_id": "desk-7",
}


def evidence(**changes: Any) -> Evidence:
    raw = RawObject("s3://raw/key", "0f", STORED)
    digest = hashlib.sha256(SOURCE).hexdigest()
    known = Evidence(
        state=SessionState(Session("IBOV", DAY), State.REFINED, raw),
        portfolio=AFTER,
        facts={
            "source_sha256": digest,
            "source_url": "https://b3.test/?a=1&b=<2>",
            "received_at": RECEIVED.isoformat(),
            "way": "page",
            "code_version": "0.1.0",
            "correlation_id": "desk-7",
        },
        source_uri="s3://raw/source",
        source=SOURCE,
        previous=BEFORE,
        receipt=RECEIPT,
        refined_at=REFINED,
        run=RUN,
    )
    return replace(known, **changes)


def results(report: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["result"] for check in report["checks"]}


def test_what_arrived_is_told_with_its_totals() -> None:
    arrival = session_report(evidence())["arrival"]
    assert (arrival["rows"], arrival["total_theoretical_quantity"], arrival["total_participation_pct"]) == (
        4,
        1885,
        "100.000",
    )
    assert (arrival["reductor"], arrival["source_bytes"], arrival["way"]) == ("2000001.00000000", len(SOURCE), "page")


def test_changes_are_those_since_the_stored_session_before() -> None:
    assert session_report(evidence())["changes"] == {
        "previous_session_date": "2025-02-14",
        "sessions_missing_between": 1,  # Monday, 17 February 2025
        "entries": [
            {
                "ticker": "EMBR3",
                "company": "CO EMBR3",
                "share_class": "ON",
                "theoretical_quantity": 70,
                "participation_pct": "5.500",
            }
        ],
        "exits": [
            {
                "ticker": "GOLL4",
                "company": "CO GOLL4",
                "share_class": "ON",
                "theoretical_quantity": 100,
                "participation_pct": "5.000",
            }
        ],
        "quantity_changes": [{"ticker": "BBAS3", "before": 500, "after": 515, "change_pct": "+3.000"}],
        "corporate_events": [
            {"ticker": "ABEV3", "before": None, "after": "EJ"},
            {"ticker": "BBAS3", "before": "ED", "after": None},
        ],
        "reductor": {"before": "2000000.00000000", "after": "2000001.00000000", "change_pct": "+0.000050"},
        "participation_moves": [
            {"ticker": "BBAS3", "before_pct": "30.000", "after_pct": "28.500", "change_pp": "-1.500"},
            {"ticker": "ABEV3", "before_pct": "40.000", "after_pct": "41.000", "change_pp": "+1.000"},
        ],
    }


def test_no_more_moves_are_told_than_a_page_has_room_for() -> None:
    old, new = (synthetic_portfolio("IBOV", day, View.CODE) for day in (dt.date(2025, 2, 17), DAY))
    moves = session_report(evidence(portfolio=new, previous=old))["changes"]["participation_moves"]
    by_ticker = {row.ticker: row.participation_pct for row in old.holdings}
    expected = sorted(
        (abs(row.participation_pct - by_ticker[row.ticker]) for row in new.holdings if row.ticker in by_ticker),
        reverse=True,
    )
    assert [abs(Decimal(move["change_pp"])) for move in moves] == expected[:MAX_MOVES]


def test_the_first_session_has_no_changes() -> None:
    assert session_report(evidence(previous=None))["changes"] is None


def test_durations_are_between_one_station_and_the_next() -> None:
    timings = session_report(evidence())["timings"]
    durations = {name: value for name, value in timings.items() if name.endswith("_s")}
    assert durations == {"storing_s": 1.25, "waiting_s": 2.0, "refining_s": 70.0, "total_s": 73.25}


def test_a_clock_that_tells_whole_seconds_makes_no_time_negative() -> None:
    whole = replace(evidence().state, raw=RawObject("s3://raw/key", "0f", RECEIVED.replace(microsecond=0)))
    assert session_report(evidence(state=whole))["timings"]["storing_s"] == 0.0


def test_every_check_of_a_sound_session_passes() -> None:
    assert set(results(session_report(evidence())).values()) == {"passed"}
    assert len(results(session_report(evidence()))) == 5


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"source": None}, {"source_sha256", "source_values"}),
        # The same lines with other ends: the values hold, the bytes are not those that came.
        ({"source": SOURCE.replace(b"\r\n", b"\n")}, {"source_sha256"}),
        ({"source": b"IBOV"}, {"source_sha256", "source_values"}),
        ({"source": serialise_csv(replace(BEFORE, session_date=DAY))}, {"source_sha256", "source_values"}),
        ({"receipt": {**RECEIPT, "holdings": 3}}, {"refined_rows"}),
        ({"receipt": {}}, {"refined_rows"}),
        (
            {"portfolio": replace(AFTER, holdings=AFTER.holdings[:-1])},
            {"theoretical_quantity", "participation_pct", "source_values", "refined_rows"},
        ),
    ],
)
def test_what_does_not_hold_is_told_by_its_check(changes: dict[str, Any], failed: set[str]) -> None:
    found = results(session_report(evidence(**changes)))
    assert {name for name, result in found.items() if result == "failed"} == failed


def test_a_session_that_is_not_refined_waits_for_its_check_and_its_times() -> None:
    waiting = replace(evidence().state, state=State.STORED)
    report = session_report(evidence(state=waiting, receipt=None, refined_at=None, run=None))
    assert results(report)["refined_rows"] == "pending"
    assert (report["run"], report["timings"]["refined_at"], report["timings"]["total_s"]) == (None, None, None)


def test_an_object_that_says_nothing_of_its_origin_is_reported_all_the_same() -> None:
    report = session_report(evidence(facts={}, source_uri=None, source=None))
    assert (report["correlation_id"], report["arrival"]["way"], report["timings"]["storing_s"]) == (None, None, None)
    assert render_report(report)


# ------------------------------------------------------------------------------------------------------ the page


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2])))


def test_the_page_shows_every_figure_of_the_report() -> None:
    shown = text_of(render_report(session_report(evidence())))
    for figure in (
        *("1,885", "100.000 %", "2,000,001.00000000", "EMBR3", "GOLL4", "+3.000 %", "-1.500 pp", "1.250 s", "73.250 s"),
        *("desk-7", "jr_1", "Changes since 2025-02-14", "2025-02-18 11:00:00 UTC", "these are the changes of 2 days"),
    ):
        assert figure in shown


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told() -> None:
    evil = {**evidence().facts, "way": "<script>alert(1)</script>", "correlation_id": '"><img src=x>'}
    page = render_report(session_report(evidence(facts=evil)))
    tags = " ".join(re.findall(r"<[^>]*>", page))
    assert not re.search(r"<(script|img|link|iframe|object|base)\b|\s(src|style|href|on\w+)=", tags)
    assert not re.search(r"url\(|@import", page)
    assert "alert(1)" in text_of(page)


def test_the_page_shows_both_figures_of_a_check_that_failed() -> None:
    page = text_of(render_report(session_report(evidence(receipt={**RECEIPT, "holdings": 3}))))
    assert "must be 4 rows, 1885 shares, 100.000 %, is 3 rows, 1885 shares, 100.000 %" in page
    assert "is unknown" in text_of(render_report(session_report(evidence(source=None))))


def test_the_page_of_a_failed_run_names_the_reason() -> None:
    failed = replace(evidence().state, state=State.FAILED)
    run = replace(RUN, state="FAILED", error="UnexpectedRawSchema: <x>")
    page = render_report(session_report(evidence(state=failed, receipt=None, refined_at=None, run=run)))
    assert "UnexpectedRawSchema: <x>" in text_of(page)


# ------------------------------------------------------------------------------------------------------- the route

PATH = f"/sessions/IBOV/{DAY}/report"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("image/png", "application/json"),
        ("text/html", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html;q=0.5,application/json", "application/json"),
    ],
)
def test_the_caller_chooses_between_json_and_a_page(accept: str | None, media_type: str) -> None:
    headers = bearer() if accept is None else {**bearer(), "Accept": accept}
    answer = client(seen=Seen([evidence()])).get(PATH, headers=headers)
    assert (answer.status_code, answer.mimetype, answer.headers["Vary"]) == (200, media_type, "Accept")
    if media_type == "application/json":
        assert answer.get_json() == session_report(evidence())
    else:
        assert "style-src 'sha256-" in answer.headers["Content-Security-Policy"]
        assert answer.get_data(as_text=True) == render_report(session_report(evidence()))


def test_the_first_stored_session_and_one_that_waits_are_as_documented() -> None:
    for one in (
        evidence(previous=None),
        evidence(receipt=None, refined_at=None, run=None),
        evidence(facts={}, source_uri=None, source=None),
    ):
        assert client(seen=Seen([one])).get(PATH, headers=bearer()).status_code == 200


def test_a_session_that_is_not_stored_has_no_report() -> None:
    answer = client().get(PATH, headers=bearer())
    assert (answer.status_code, answer.get_json()["code"]) == (404, "session_not_stored")
    assert client().get(PATH).status_code == 401


# ----------------------------------------------------------------------------------------------------- the command


def run(*arguments: str, seen: Seen | None = None) -> Result:
    known = seen or Seen([evidence()])
    return CliRunner().invoke(report_command(lambda: known), ["--index", "IBOV", "--date", str(DAY), *arguments])


def test_the_command_tells_the_same_as_text_as_json_and_as_a_page(tmp_path: Any) -> None:
    assert json.loads(run("--json").stdout) == session_report(evidence())
    page = tmp_path / "report.html"
    written = run("--html", str(page))
    assert (written.exit_code, written.stdout) == (0, "")
    assert page.read_text(encoding="utf-8") == run("--html", "-").stdout == render_report(session_report(evidence()))
    told = run()
    assert told.exit_code == 0
    for figure in ("desk-7", "1885", "BBAS3", "-1.500 pp", "73.25", "1 entries, 1 exits"):
        assert figure in told.stdout
    assert "passed   refined_rows: 4 rows, 1885 shares, 100.000 %\n" in told.stdout


def test_a_failed_check_is_a_failure_of_the_command_and_has_both_figures() -> None:
    told = run(seen=Seen([evidence(source=None)]))
    assert told.exit_code == 1
    assert re.search(r"^failed   \w+: must be .+, is .+$", told.stdout, re.MULTILINE)


def test_the_command_says_why_there_is_nothing_to_report() -> None:
    told = run(seen=Seen())
    assert (told.exit_code, told.stdout) == (1, "")
    assert f"Nothing is stored of IBOV/{DAY}" in told.stderr
    assert SessionNotStored.code == "session_not_stored"


@pytest.mark.parametrize("wrong", [["--json", "--html", "-"], ["--index", "NOPE"], ["--date", "18/02/2025"]])
def test_what_the_command_does_not_understand_is_a_usage_error(wrong: list[str]) -> None:
    assert run(*wrong).exit_code == 2


def test_a_file_read_back_says_what_the_fixture_means() -> None:
    assert parse_csv(SOURCE).same_values_as(AFTER)
