"""What a report is made from, read from real buckets: the session, its bytes, the session before, its receipt."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from bovespa.errors import SessionNotStored, StorageUnavailable
from bovespa.layout import Receipt, Session, portfolio_index_prefix
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance
from bovespa.session_report import session_report
from bovespa.session_state import State
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.session_evidence import SessionEvidence
from s3_bucket_manager.session_states import SessionStates

DAY = dt.date(2025, 2, 18)
SESSION = Session("IBOV", DAY)
JOB = "none-of-that-name"


@pytest.fixture
def evidence(s3: Any, glue: Any, raw_bucket: str, refined_bucket: str) -> SessionEvidence:
    names = {"raw_bucket": raw_bucket, "refined_bucket": refined_bucket, "glue_job": JOB}
    return SessionEvidence(s3, glue, SessionStates(s3, glue, **names), **names)


def store(s3: Any, bucket: str, day: dt.date) -> bytes:
    content = synthetic_csv("IBOV", day)
    now = dt.datetime(2025, 2, 18, 11, tzinfo=dt.UTC)
    provenance = Provenance("IBOV", "x.csv", "https://b3.test", now, "page", correlation_id=f"of-{day}")
    RawStore(s3, bucket).store(parse_csv(content), content, provenance)
    return content


def put_receipt(s3: Any, raw_bucket: str, refined_bucket: str, content: bytes) -> None:
    """Say that the session is refined; the state of one that is not asks a job that is not there."""
    version = s3.head_object(Bucket=raw_bucket, Key=SESSION.raw_key)["ETag"].strip('"')
    s3.put_object(Bucket=refined_bucket, Key=Receipt(SESSION, version).key, Body=content)


def test_everything_that_is_known_is_read(
    s3: Any, raw_bucket: str, refined_bucket: str, evidence: SessionEvidence
) -> None:
    content = store(s3, raw_bucket, DAY)
    for other in (dt.date(2023, 1, 3), dt.date(2025, 2, 14), dt.date(2025, 2, 19)):
        store(s3, raw_bucket, other)
    told = {"job_run_id": "jr_gone", "correlation_id": "x", "holdings": 1}
    put_receipt(s3, raw_bucket, refined_bucket, json.dumps(told).encode())
    found = evidence.of(SESSION)
    assert (found.state.state, found.portfolio, found.source) == (State.REFINED, parse_csv(content), content)
    assert found.previous == parse_csv(synthetic_csv("IBOV", dt.date(2025, 2, 14)))
    assert (found.receipt, found.run, found.facts["correlation_id"]) == (told, None, f"of-{DAY}")
    assert found.refined_at is not None
    report = session_report(found)
    assert report["changes"]["previous_session_date"] == "2025-02-14"
    assert [check["name"] for check in report["checks"] if check["result"] != "passed"] == ["refined_rows"]


def test_a_session_long_before_is_found_too_and_the_first_has_none(
    s3: Any, raw_bucket: str, refined_bucket: str, evidence: SessionEvidence
) -> None:
    store(s3, raw_bucket, DAY)
    put_receipt(s3, raw_bucket, refined_bucket, b"{}")
    assert evidence.of(SESSION).previous is None
    store(s3, raw_bucket, dt.date(2023, 1, 3))
    s3.put_object(
        Bucket=raw_bucket, Key=f"{portfolio_index_prefix('IBOV')}2025-02-01/notes.txt", Body=b"an operator's file"
    )
    found = evidence.of(SESSION).previous
    assert found is not None
    assert found.session_date == dt.date(2023, 1, 3)


def test_bytes_that_are_gone_and_a_receipt_that_says_nothing_are_no_error(
    s3: Any, raw_bucket: str, refined_bucket: str, evidence: SessionEvidence
) -> None:
    store(s3, raw_bucket, DAY)
    put_receipt(s3, raw_bucket, refined_bucket, b"not json")
    (source,) = [item["Key"] for item in s3.list_objects_v2(Bucket=raw_bucket, Prefix="source/")["Contents"]]
    s3.delete_object(Bucket=raw_bucket, Key=source)
    found = evidence.of(SESSION)
    assert (found.source, found.receipt, found.run) == (None, {}, None)


def test_what_is_not_stored_and_what_is_damaged_say_so(
    s3: Any, raw_bucket: str, refined_bucket: str, evidence: SessionEvidence
) -> None:
    with pytest.raises(SessionNotStored, match=str(SESSION)):
        evidence.of(SESSION)
    s3.put_object(Bucket=raw_bucket, Key=SESSION.raw_key, Body=b"PAR1")
    put_receipt(s3, raw_bucket, refined_bucket, b"{}")
    with pytest.raises(StorageUnavailable, match="doctor --repair"):
        evidence.of(SESSION)
