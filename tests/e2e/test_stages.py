"""Where the time of a session went is in the logs of all stations, and adds up to what its caller has waited."""

from __future__ import annotations

import datetime as dt

import pytest

from benchmarks.stages import STAGES
from benchmarks.visibility import until_visible
from bovespa.layout import Session
from local.api_client import ApiClient
from local.pipeline import Pipeline


def test_the_stages_of_a_session_are_what_its_caller_has_waited(pipeline: Pipeline) -> None:
    client = ApiClient(pipeline)
    # Three, because the emulator may lose what the function logs.
    for day in (3, 4, 5):
        seen = until_visible(pipeline, client, Session("IVBX", dt.date(2025, 2, day)))
        if seen.stages_s is not None:
            break
    assert seen.stages_s is not None
    assert list(seen.stages_s) == list(STAGES)
    assert sum(seen.stages_s.values()) == pytest.approx(seen.visible_s, abs=0.001)
    assert min(seen.stages_s.values()) >= 0
    # What the caller had in its hands when the API answered was stored by then.
    stored_s = sum(list(seen.stages_s.values())[: STAGES.index("raw object stored") + 1])
    assert 0 < stored_s <= seen.stored_s
