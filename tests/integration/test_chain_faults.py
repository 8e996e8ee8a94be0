"""The most telling faults of the chain, in the pipeline that is running; `make faults` tries all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import pytest

from bovespa.portfolio import Portfolio
from faults.chain import CHAIN_FAULTS
from faults.files import Files, bytes_of, session_of
from faults.image import Image, image_of, row_of
from faults.matrix import ChainFault, attempt
from local.pipeline import Pipeline
from tests.compact_reckoning import sector_rows, session_rows
from tests.reckoning import refined_rows

pytestmark = pytest.mark.ends_spark

TOLD = ("killed-new", "slow-down", "replaced")
FAULTS = {fault.name: fault for fault in CHAIN_FAULTS}


def reckoned(stored: Sequence[Portfolio]) -> Image:
    """What the lake holds when nothing fails, computed without it."""
    current = [bytes_of(one) for one in {session_of(portfolio): portfolio for portfolio in stored}.values()]
    keys = [session_of(portfolio).raw_key for portfolio in stored]
    keys += [session_of(one).source_key(hashlib.sha256(bytes_of(one)).hexdigest()) for one in stored]
    return Image(
        {
            "portfolio": Counter(
                row_of({"index_code": index, "session_date": day, "ticker": ticker} | row)
                for (index, day, ticker), row in refined_rows(current).items()
            ),
            "sessions": Counter(
                row_of({"index_code": index, "session_date": day} | row)
                for (index, day), row in session_rows(current).items()
            ),
            "sectors": Counter(
                row_of({"index_code": index, "session_date": day, "sector": sector, "subsector": subsector} | row)
                for (index, day, sector, subsector), row in sector_rows(current).items()
            ),
        },
        frozenset(keys),
    )


@pytest.mark.parametrize("fault", [pytest.param(FAULTS[name], id=name) for name in TOLD])
def test_nothing_is_lost_or_wrong_when_it_fails(fault: ChainFault, pipeline: Pipeline) -> None:
    before = image_of(pipeline.cloud, fault.index_code)
    assert not before.raw_keys, "another test of this process has the same index"
    outcome = attempt(fault, pipeline, reckoned(fault.stored(Files.of(fault.index_code))))
    assert (outcome.lost, outcome.wrong) == ((), ()), outcome.seen
