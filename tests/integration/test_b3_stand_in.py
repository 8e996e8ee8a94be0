from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bovespa.indexes import INDEX_CODES
from bovespa.portfolio import View
from bovespa.portfolio_csv import parse_csv
from local.b3_faults import FAULT_TYPES
from local.b3_sessions import today_in_sao_paulo
from local.b3_stand_in import StandIn, running_stand_in
from local.synthetic import synthetic_csv

FRIDAY, SATURDAY, SUNDAY, MONDAY = (dt.date(2025, 2, day) for day in (21, 22, 23, 24))
TIMEOUT_S = 10


@pytest.fixture
def synthetic() -> Iterator[StandIn]:
    with running_stand_in(today=SATURDAY) as stand_in:
        yield stand_in


@pytest.fixture
def recorded(recordings: Path) -> Iterator[StandIn]:
    with running_stand_in(recordings / "sessions", today=SATURDAY) as stand_in:
        yield stand_in


def _get(stand_in: StandIn, path: str) -> requests.Response:
    return requests.get(stand_in.url + path, timeout=TIMEOUT_S, allow_redirects=False)


def _call(stand_in: StandIn, name: str, **question: object) -> requests.Response:
    encoded = base64.b64encode(json.dumps(question).encode()).decode()
    return _get(stand_in, f"/indexProxy/indexCall/{name}/{encoded}")


def _data(stand_in: StandIn, **question: object) -> dict[str, Any]:
    asked = {"language": "pt-br", "pageNumber": 1, "pageSize": 9999, "index": "IBOV", "segment": "2"} | question
    answer = _call(stand_in, "GetPortfolioDay", **asked)
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def _download(stand_in: StandIn, **question: object) -> bytes:
    answer = _call(stand_in, "GetDownloadPortfolioDay", **({"index": "IBOV", "language": "pt-br"} | question))
    assert answer.status_code == 200
    return base64.b64decode(answer.text.removeprefix('"').removesuffix('"'), validate=True)


@pytest.mark.recordings
def test_every_recorded_session_is_served_byte_for_byte_on_its_day(recorded: StandIn, recordings: Path) -> None:
    served = 0
    for path in sorted((recordings / "sessions").glob("*Dia_*.csv")):
        match = re.match(r"(\w{4})Dia_(\d\d)-(\d\d)-(\d\d)", path.name)
        assert match is not None
        recorded.set(today=dt.date(2000 + int(match[4]), int(match[3]), int(match[2])))
        segment = "2" if ".sector" in path.name else "1"

        assert _download(recorded, index=match[1], segment=segment) == path.read_bytes()
        served += 1

    assert served == 54


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("today", "session_date"),
    [
        (SATURDAY, MONDAY),
        (SUNDAY, MONDAY),
        (MONDAY, MONDAY),
        *((dt.date(2025, 3, day), dt.date(2025, 3, 5)) for day in (1, 2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("real", [True, False])
def test_a_day_without_trading_shows_the_next_session(
    recordings: Path, today: dt.date, session_date: dt.date, real: bool
) -> None:
    with running_stand_in(recordings / "sessions" if real else None, today=today) as stand_in:
        assert parse_csv(_download(stand_in)).session_date == session_date
        assert _data(stand_in)["header"]["date"] == f"{session_date:%d/%m/%y}"


@pytest.mark.recordings
def test_the_data_call_has_the_fields_and_values_of_the_recorded_one(recorded: StandIn, recordings: Path) -> None:
    recorded.set(today=dt.date(2022, 5, 4))  # a day whose sector view was recorded, as in the recorded calls
    for path in sorted((recordings / "json").glob("*.json")):
        real = json.loads(path.read_bytes().decode("utf-8", "replace"))
        language = "en-us" if "en-us" in path.name else "pt-br"

        ours = _data(recorded, language=language)

        assert _shape(ours) == _shape(real)
        assert {key: ours["header"][key] for key in ("part", "partAcum", "textReductor")} == {
            key: real["header"][key] for key in ("part", "partAcum", "textReductor")
        }


def _shape(answer: dict[str, Any]) -> list[object]:
    return [
        list(answer),
        list(answer["page"]),
        list(answer["header"]),
        list(answer["results"][0]),
        re.sub(r"\d", "9", answer["header"]["reductor"]),
        {type(value) for row in answer["results"] for value in (row["cod"], row["theoricalQty"], row["part"])},
    ]


def test_the_english_data_call_swaps_separators_and_the_order_of_the_date(synthetic: StandIn) -> None:
    ours, english = _data(synthetic), _data(synthetic, language="en-us")

    assert (ours["header"]["date"], english["header"]["date"]) == ("24/02/25", "02/24/25")
    assert english["header"]["text"] == "Total Theorethical Quantity"
    for row, row_in_english in zip(ours["results"], english["results"], strict=True):
        for name in ("part", "partAcum", "theoricalQty"):
            assert row_in_english[name] == row[name].translate(str.maketrans(",.", ".,"))
        assert row_in_english["cod"] == row["cod"]


def test_the_data_call_by_code_has_no_sectors_and_comes_in_pages(synthetic: StandIn) -> None:
    pages = [_data(synthetic, segment="1", pageSize=20, pageNumber=number) for number in (1, 2, 3, 4, 5)]

    rows = [row for page in pages for row in page["results"]]
    portfolio = parse_csv(_download(synthetic))
    assert [row["cod"] for row in rows] == [holding.ticker for holding in portfolio.holdings]
    assert {(row["segment"], row["partAcum"]) for row in rows} == {(None, None)}
    assert pages[0]["header"]["partAcum"] is None
    assert pages[0]["page"] == {
        "pageNumber": 1,
        "pageSize": 20,
        "totalRecords": len(portfolio.holdings),
        "totalPages": 5,
    }


def test_the_data_call_tells_what_the_download_tells(synthetic: StandIn) -> None:
    data, portfolio = _data(synthetic), parse_csv(_download(synthetic, segment="2"))

    assert data["header"]["theoricalQty"] == f"{portfolio.total_theoretical_quantity:,}".replace(",", ".")
    assert [(row["segment"], row["cod"], row["asset"]) for row in data["results"]] == [
        (holding.sector_label, holding.ticker, holding.company) for holding in portfolio.holdings
    ]


@pytest.mark.parametrize("index_code", INDEX_CODES)
def test_without_recordings_every_index_has_a_synthetic_session(synthetic: StandIn, index_code: str) -> None:
    assert _get(synthetic, f"/indexPage/day/{index_code}?language=pt-br").status_code == 200
    for segment, view in (("1", View.CODE), ("2", View.SECTOR)):
        assert _download(synthetic, index=index_code, segment=segment) == synthetic_csv(index_code, MONDAY, view)


def test_without_a_day_it_is_today_in_sao_paulo() -> None:
    before = today_in_sao_paulo()
    with running_stand_in() as stand_in:
        session_date = parse_csv(_download(stand_in)).session_date

    assert before <= session_date <= today_in_sao_paulo() + dt.timedelta(days=6)


@pytest.mark.recordings
def test_the_sector_view_is_the_code_view_where_only_that_was_recorded(recorded: StandIn) -> None:
    assert _download(recorded, segment="2") == _download(recorded, segment="1")
    assert {row["segment"] for row in _data(recorded)["results"]} == {None}


@pytest.mark.recordings
def test_a_code_view_is_made_from_a_recorded_sector_view(recorded: StandIn, recordings: Path) -> None:
    recorded.set(today=dt.date(2022, 5, 4))
    sector = parse_csv((recordings / "sessions" / "IBOVDia_04-05-22.sector.csv").read_bytes())

    code = parse_csv(_download(recorded))

    assert code.view is View.CODE
    assert code.same_values_as(sector)
    assert [holding.company for holding in code.holdings] == sorted(holding.company for holding in code.holdings)


def test_a_replaced_file_is_served_at_once(tmp_path: Path) -> None:
    path = tmp_path / "IBOVDia_24-02-25.csv"
    path.write_bytes(synthetic_csv("IBOV", MONDAY, View.CODE))
    with running_stand_in(tmp_path, today=SATURDAY) as stand_in:
        before = _download(stand_in)
        path.write_bytes(before.replace(b"ON  ", b"PN  ", 1))

        assert _download(stand_in) == path.read_bytes() != before

        (tmp_path / "IBOVDia_21-02-25.csv").write_bytes(synthetic_csv("IBOV", FRIDAY, View.CODE))
        stand_in.set(today=FRIDAY)
        assert parse_csv(_download(stand_in)).session_date == FRIDAY


def test_a_copy_with_a_number_and_a_list_beside_it_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "IBOVDia_24-02-25.csv").write_bytes(synthetic_csv("IBOV", MONDAY, View.CODE))
    (tmp_path / "IBOVDia_24-02-25 (1).csv").write_bytes(b"an older copy")
    (tmp_path / "INDEX.tsv").write_text("no portfolio")
    with running_stand_in(tmp_path, today=SATURDAY) as stand_in:
        assert _download(stand_in) == synthetic_csv("IBOV", MONDAY, View.CODE)


@pytest.mark.recordings
def test_a_broken_file_is_served_as_it_is_and_shown_as_far_as_it_can_be_read(recordings: Path, tmp_path: Path) -> None:
    for path in (recordings / "bad").glob("*.csv"):
        target = tmp_path / "IBOVDia_24-02-25.csv"
        shutil.copyfile(path, target)
        with running_stand_in(tmp_path, today=SATURDAY) as stand_in:
            assert _download(stand_in) == path.read_bytes()
            assert _data(stand_in)["header"]["date"] == "24/02/25"


def test_a_day_after_all_recordings_has_no_session_unless_it_is_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "IBOVDia_24-02-25.csv").write_bytes(synthetic_csv("IBOV", MONDAY, View.CODE))
    with running_stand_in(tmp_path) as stand_in:
        assert parse_csv(_download(stand_in)).session_date == MONDAY
        assert _data(stand_in, index="IBRA")["results"] == []

        stand_in.set(today=dt.date(2025, 2, 25))

        assert _data(stand_in)["results"] == []
        assert _download(stand_in) == b""


def test_day_and_faults_are_set_over_http_and_each_keeps_the_other(synthetic: StandIn) -> None:
    control = f"{synthetic.url}/_stand_in"

    requests.put(control, json={"today": "2025-03-01"}, timeout=TIMEOUT_S).raise_for_status()
    state = requests.put(
        control, json={"faults": ["http_520", {"fault": "slow_page", "seconds": 9}]}, timeout=TIMEOUT_S
    )

    assert state.json() == requests.get(control, timeout=TIMEOUT_S).json()
    assert state.json()["today"] == "2025-03-01"
    assert [fault["fault"] for fault in state.json()["faults"]] == ["http_520", "slow_page"]
    assert set(state.json()["known_faults"]) == set(FAULT_TYPES)
    requests.put(control, json={"faults": []}, timeout=TIMEOUT_S).raise_for_status()
    assert parse_csv(_download(synthetic)).session_date == dt.date(2025, 3, 5)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"today":"2025-02-30"}', "day is out of range"),
        ('{"today":20250222, "faults":["http_520"]}', None),
        ('{"faults":["no_such_fault"]}', "unknown fault 'no_such_fault'; there are http_520"),
        ('{"faults":"http_520"}', "`faults` is a list"),
        ('{"faults":[{"fault":"http_520","times":0}]}', "`times`"),
        ('{"faults":[{"fault":"slow_page","seconds":"long"}]}', "`seconds`"),
        ('{"faults":[{"fault":"http_520","on":["moon"]}]}', "one or more of data, download, page"),
        ('{"faults":[{"fault":"http_520","when":"now"}]}', "'when'"),
        ('{"faults":[520]}', "a fault is a name"),
        ('{"day":"2025-02-22"}', "the body is an object"),
        ("[]", "the body is an object"),
        ("{", "Expecting"),
    ],
)
def test_a_wrong_control_is_refused_and_changes_nothing(synthetic: StandIn, body: str, complaint: str | None) -> None:
    answer = requests.put(f"{synthetic.url}/_stand_in", data=body, timeout=TIMEOUT_S)

    if complaint is None:  # a date may come as any text that ISO 8601 allows
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]
    assert synthetic.today == SATURDAY
    assert synthetic.fault_book.as_json() == []


def test_a_fault_hits_as_often_as_told_and_where_told(synthetic: StandIn) -> None:
    synthetic.set(faults=[{"fault": "http_520", "times": 2, "on": ["download"]}])

    assert _get(synthetic, "/indexPage/day/IBOV").status_code == 200
    statuses = [_call(synthetic, "GetDownloadPortfolioDay", index="IBOV").status_code for _ in range(3)]

    assert statuses == [520, 520, 200]
    assert synthetic.fault_book.as_json() == []


@pytest.mark.parametrize("asked", ["page", "data"])
def test_a_site_that_is_down_may_redirect_to_an_error_page(synthetic: StandIn, asked: str) -> None:
    synthetic.set(faults=[{"fault": "redirect_to_error_page", "times": 1}])
    answer = (
        _call(synthetic, "GetPortfolioDay", index="IBOV") if asked == "data" else _get(synthetic, "/indexPage/day/IBOV")
    )

    assert answer.status_code == 302
    assert "text/html" in _get(synthetic, answer.headers["Location"]).headers["Content-Type"]


def test_faults_of_the_file_do_what_they_say(synthetic: StandIn) -> None:
    whole = _download(synthetic, segment="2")
    spoilt = {}
    for name in ("truncated_csv", "wrong_totals", "renamed_columns", "code_view_only", "date_far_off"):
        synthetic.set(faults=[name])
        spoilt[name] = _download(synthetic, segment="2")

    assert whole.startswith(spoilt["truncated_csv"])
    assert not spoilt["truncated_csv"].endswith(b"\n")
    totals = [
        int(re.findall(rb"Total;;;;([\d.]+)", file)[0].replace(b".", b"")) for file in (whole, spoilt["wrong_totals"])
    ]
    assert totals[1] == totals[0] + 1
    assert spoilt["renamed_columns"] == whole.replace("Qtde. Teórica".encode("iso-8859-1"), b"Quantidade", 1)
    assert spoilt["code_view_only"] == synthetic_csv("IBOV", MONDAY, View.CODE)
    assert parse_csv(spoilt["date_far_off"]).session_date == dt.date(2028, 2, 24)


def test_the_download_is_in_double_quotes_unless_it_is_bare(synthetic: StandIn) -> None:
    quoted = _call(synthetic, "GetDownloadPortfolioDay", index="IBOV").text
    synthetic.set(faults=["bare_base64"])
    bare = _call(synthetic, "GetDownloadPortfolioDay", index="IBOV").text

    assert quoted == f'"{bare}"'


def test_html_and_an_empty_table_come_with_status_200(synthetic: StandIn) -> None:
    synthetic.set(faults=["html_instead_of_data"])
    answer = _call(synthetic, "GetPortfolioDay", index="IBOV")
    assert (answer.status_code, answer.text[:15]) == (200, "<!doctype html>")

    synthetic.set(faults=["empty_table"])
    assert _data(synthetic)["results"] == []
    assert _data(synthetic)["header"]["date"] == "24/02/25"


def test_a_download_that_never_ends_ends_with_the_stand_in() -> None:
    with running_stand_in(today=SATURDAY) as stand_in:
        stand_in.set(faults=["download_never_ends"])
        question = base64.b64encode(b'{"index":"IBOV"}').decode()
        url = f"{stand_in.url}/indexProxy/indexCall/GetDownloadPortfolioDay/{question}"
        answer = requests.get(url, timeout=TIMEOUT_S, stream=True)
        assert answer.status_code == 200
    # Leaving the block waits for the thread that was answering, so this line is reached only if it ended.
    with pytest.raises(requests.RequestException):
        answer.content  # noqa: B018 - reading the rest of the answer is what fails


@pytest.mark.parametrize("path", ["/robots.txt", "/", "/indexPage/day/NOPE", "/indexProxy/indexCall/Other/e30="])
def test_what_b3_does_not_have_is_not_found(synthetic: StandIn, path: str) -> None:
    assert _get(synthetic, path).status_code == 404


@pytest.mark.parametrize("question", ["%%%", "e30=", "W10=", base64.b64encode(b'{"index":"NOPE"}').decode()])
def test_a_question_that_is_none_is_a_bad_request(synthetic: StandIn, question: str) -> None:
    assert _get(synthetic, f"/indexProxy/indexCall/GetPortfolioDay/{question}").status_code == 400


def test_requests_are_counted(synthetic: StandIn) -> None:
    _get(synthetic, "/indexPage/day/IBOV?language=pt-br")
    _get(synthetic, "/indexPage/day/IBOV?language=pt-br")

    assert synthetic.requests == ["GET /indexPage/day/IBOV"] * 2
    counts = requests.get(f"{synthetic.url}/_stand_in", timeout=TIMEOUT_S).json()["requests"]
    assert counts == {"GET /indexPage/day/IBOV": 2}


def test_it_listens_on_this_machine_only(synthetic: StandIn) -> None:
    assert synthetic.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_and_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "IBOVDia_24-02-25.csv").write_bytes(synthetic_csv("IBOV", MONDAY, View.CODE))
    command = [sys.executable, "-m", "local.b3_stand_in", "--sessions", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], 30)
        assert readable
        url = process.stdout.readline().strip()
        with requests.Session() as session:  # an idle connection must not keep the server from ending
            assert session.get(f"{url}/indexPage/day/IBOV", timeout=TIMEOUT_S).status_code == 200
            os.kill(process.pid, number)
            _, errors = process.communicate(timeout=10)

    assert process.returncode == 0
    assert errors == ""


def test_the_command_explains_itself_and_refuses_a_folder_that_is_none() -> None:
    shown, refused = (
        subprocess.run(
            [sys.executable, "-m", "local.b3_stand_in", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        for arguments in (["--help"], ["--sessions", "/no/such"])
    )

    assert shown.returncode == 0
    assert all(name in shown.stdout for name in FAULT_TYPES)
    assert refused.returncode == 2
    assert "/no/such is not a folder" in refused.stderr
