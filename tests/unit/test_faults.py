"""The parts of `make faults` that need no pipeline: the layer that spoils calls, the reader's judgement, the images."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from bovespa.portfolio_csv import parse_csv
from faults.__main__ import COLUMNS, row
from faults.b3 import B3_FAULTS
from faults.chain import CHAIN_FAULTS
from faults.files import Files, bytes_of
from faults.image import Image, differences, row_of
from faults.matrix import Outcome
from faults.reader import Watch
from local.cloud_faults import BadCloudFault, CloudFault, CloudFaultBook, with_faults

FILES = Files.of("AGFS")
DAY = FILES.first.session_date


def shown(portfolio: Any, *, leave_out: int = 0) -> list[dict[str, Any]]:
    rows = [
        {
            "session_date": str(portfolio.session_date),
            "ticker": one.ticker,
            "theoretical_quantity": one.theoretical_quantity,
            "participation_pct": f"{one.participation_pct:.3f}",
        }
        for one in portfolio.holdings
    ]
    return rows[leave_out:]


def watching() -> Watch:
    watch = Watch()
    watch.allow(FILES.first)
    watch.allow(FILES.corrected)
    return watch


def test_a_reader_may_see_nothing_then_the_old_then_the_new() -> None:
    watch = watching()
    for number, rows in enumerate(([], shown(FILES.first), shown(FILES.corrected))):
        watch.check(rows, asked_s=number)
    assert (watch.wrong, watch.mixed_s, watch.is_mixed_still, watch.answers) == ([], 0, False, 3)


def test_a_mix_is_no_wrong_row_and_lasts_until_the_first_whole_answer() -> None:
    watch = watching()
    mixed = [*shown(FILES.first)[:5], *shown(FILES.corrected)[5:]]
    watch.check(mixed, asked_s=1)
    assert watch.is_mixed_still
    watch.check(mixed, asked_s=2)
    watch.check(shown(FILES.corrected), asked_s=3.5)
    assert (watch.wrong, watch.mixed_s, watch.is_mixed_still) == ([], 2.5, False)


def test_a_part_of_a_session_is_a_mix() -> None:
    watch = watching()
    watch.check(shown(FILES.first, leave_out=1), asked_s=1)
    assert watch.is_mixed_still


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*shown(FILES.first), shown(FILES.first)[0]], "stands twice"),
        ([shown(FILES.first)[0] | {"theoretical_quantity": 1}, *shown(FILES.first)[1:]], "as in no file"),
        (shown(FILES.second), "as in no file"),
        ([], "was there and is gone"),
    ],
)
def test_a_wrong_answer_is_noticed(rows: list[dict[str, Any]], said: str) -> None:
    watch = watching()
    watch.check(shown(FILES.first), asked_s=1)
    watch.check(rows, asked_s=2)
    assert said in watch.wrong[0]


def test_images_differ_by_each_row_and_key_and_count() -> None:
    one, other = (
        row_of({"index_code": "AGFS", "session_date": DAY, "ticker": ticker, "x": None}) for ticker in ("A", "B")
    )
    untroubled = Image({"portfolio": Counter([one, other])}, frozenset({"a", "b"}))
    assert differences(untroubled, untroubled) == differences(untroubled, Image({}, frozenset({"a", "b"})))
    found = differences(Image({"portfolio": Counter([one, one])}, frozenset({"b", "c"})), untroubled)
    assert found.lost == ("raw object a", f"row of portfolio AGFS/{DAY}/B")
    assert found.wrong == ("raw object c", f"row of portfolio AGFS/{DAY}/A")


def test_the_files_of_a_fault_are_sound_and_the_correction_changes_every_row() -> None:
    old, new = ({one.ticker: one for one in file.holdings} for file in (FILES.first, FILES.corrected))
    assert len(old) == len(new) + 1
    assert all(old[ticker] != one for ticker, one in new.items())
    assert sum(one.theoretical_quantity for one in new.values()) == FILES.corrected.total_theoretical_quantity
    assert sum(one.participation_pct for one in new.values()) == sum(one.participation_pct for one in old.values())
    assert parse_csv(bytes_of(FILES.corrected)) == FILES.corrected


def test_no_two_faults_share_a_name_or_an_index() -> None:
    every = [*CHAIN_FAULTS, *B3_FAULTS]
    assert len({one.name for one in every}) == len({one.index_code for one in every}) == len(every)


def test_the_table_tells_what_was_lost_and_wrong() -> None:
    good = Outcome("a", "b", "c", "d", (), (), 1.0)
    bad = Outcome("a", "b", "c", "d", ("x", "y"), ("z",), 1.0)
    assert good.is_good
    assert not bad.is_good
    assert row(good) == ("a", "b", "c", "d", "nothing", "nothing")
    assert row(bad)[4:] == ("x; y", "z")
    assert len(COLUMNS) == len(row(good))


# ------------------------------------------------------------------------------------------------- the cloud's faults

SLOW = {"call": "PUT /b/.*", "answer": {"status": 503, "code": "SlowDown"}}


@pytest.mark.parametrize(
    "given",
    [
        "PUT",
        {"call": "PUT"},
        {"call": "(", "hold": True},
        {**SLOW, "hold": True},
        {**SLOW, "times": -1},
        {**SLOW, "often": 3},
        {"call": "PUT", "answer": {"status": 200, "code": "OK"}},
        {"call": "PUT", "answer": 503},
    ],
)
def test_what_is_no_fault_is_refused(given: object) -> None:
    with pytest.raises(BadCloudFault):
        CloudFault.parse(given)


def test_a_fault_reads_what_it_writes() -> None:
    for given in ({**SLOW, "after": 2, "times": 3}, {"call": "GET .*", "hold": True}):
        fault = CloudFault.parse(given)
        assert CloudFault.parse(fault.as_json()) == fault


def test_a_fault_hits_after_and_as_often_as_it_says() -> None:
    book = CloudFaultBook()
    book.replace([CloudFault.parse({**SLOW, "after": 1, "times": 2})])
    hits = [book.take("PUT /b/key") is not None for _ in range(5)]
    assert hits == [False, True, True, False, False]
    assert book.take("PUT /other/key") is None


class Caller:
    """Calls an ASGI application as the server does."""

    def __init__(self) -> None:
        self.served: list[bytes] = []
        self.app = with_faults(self._app)

    async def _app(self, _scope: Any, receive: Any, send: Any) -> None:
        self.served.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def call(self, method: str, path: str, body: bytes = b"", *, target: str = "", leave: bool = False) -> Any:
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            if not leave:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"x-amz-target", target.encode())] if target else []
        await self.app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
        return (sent[0]["status"], sent[1]["body"]) if sent else None

    async def set(self, *faults: object) -> Any:
        return await self.call("PUT", "/_faults", json.dumps({"faults": faults}).encode())


def test_a_refused_call_gets_awss_own_form_and_reaches_nothing() -> None:
    async def scenario() -> None:
        caller = Caller()
        glue = {"call": "AWSGlue.StartJobRun", "answer": {"status": 400, "code": "ThrottlingException"}}
        assert (await caller.set(SLOW, glue))[0] == 200
        status, body = await caller.call("PUT", "/b/key", b"x")
        assert (status, b"<Code>SlowDown</Code>" in body) == (503, True)
        status, body = await caller.call("POST", "/", b"{}", target="AWSGlue.StartJobRun")
        assert (status, json.loads(body)["__type"]) == (400, "ThrottlingException")
        assert caller.served == []
        assert await caller.call("GET", "/b/key") == (200, b"done")
        shown = json.loads((await caller.call("GET", "/_faults"))[1])
        assert [one["hits"] for one in shown["faults"]] == [1, 1]
        assert (await caller.set({"call": 1}))[0] == 400

    asyncio.run(scenario())


def test_a_held_call_goes_on_when_released_unless_its_sender_is_gone() -> None:
    async def scenario() -> None:
        caller = Caller()
        await caller.set({"call": "PUT .*", "hold": True})
        held = asyncio.create_task(caller.call("PUT", "/b/key", b"patient"))
        gone = asyncio.create_task(caller.call("PUT", "/b/key", b"gone", leave=True))
        assert await gone is None
        assert caller.served == []
        await caller.set()
        assert await held == (200, b"done")
        assert caller.served == [b"patient"]

    asyncio.run(scenario())
