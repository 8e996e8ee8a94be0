"""States read from real buckets and real runs of a Glue job."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from bovespa.errors import StorageUnavailable
from bovespa.layout import Receipt, Session
from bovespa.portfolio_csv import parse_csv
from bovespa.records import Provenance
from bovespa.session_state import SESSIONS_ARGUMENT, State
from local.synthetic import synthetic_csv
from s3_bucket_manager.manager import RawStore
from s3_bucket_manager.session_states import SessionStates
from tests.until import until

DAYS = [dt.date(2025, 2, day) for day in (17, 18, 19, 20, 21, 24)]
SESSIONS = [Session("IBOV", day) for day in DAYS]
SCRIPT = """
import os, threading
pause = threading.Event()
while not os.path.exists(os.environ["gate"]):
    pause.wait(0.02)
raise SystemExit(open(os.environ["gate"]).read())
"""
"""A run that lasts until its gate exists, and then fails with what stands there, if anything does."""


@pytest.fixture
def job(s3: Any, glue: Any, raw_bucket: str) -> str:
    name = f"job-{uuid.uuid4().hex}"
    s3.put_object(Bucket=raw_bucket, Key=f"scripts/{name}.py", Body=SCRIPT.encode())
    glue.create_job(
        Name=name,
        Role="arn:aws:iam::000000000000:role/glue",
        Command={"Name": "pythonshell", "ScriptLocation": f"s3://{raw_bucket}/scripts/{name}.py"},
    )
    return name


@pytest.fixture
def states(s3: Any, glue: Any, raw_bucket: str, refined_bucket: str, job: str) -> SessionStates:
    return SessionStates(s3, glue, raw_bucket=raw_bucket, refined_bucket=refined_bucket, glue_job=job)


def store(s3: Any, bucket: str, session: Session) -> str:
    """Store one session and return the version of its object."""
    content = synthetic_csv(session.index_code, session.session_date)
    now = dt.datetime.now(dt.UTC)
    provenance = Provenance(session.index_code, "x.csv", "https://b3.test", now, "page")
    RawStore(s3, bucket).store(parse_csv(content), content, provenance)
    version: str = s3.head_object(Bucket=bucket, Key=session.raw_key)["ETag"].strip('"')
    return version


def put_receipt(s3: Any, bucket: str, session: Session, version: str) -> None:
    s3.put_object(Bucket=bucket, Key=Receipt(session, version).key, Body=b"{}")


def start(glue: Any, job: str, gate: Path, *sessions: Session) -> str:
    arguments = {SESSIONS_ARGUMENT: ",".join(map(str, sessions)), "--gate": str(gate)}
    run_id: str = glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]
    return run_id


def in_glue(glue: Any, job: str, run_id: str, state: str) -> bool:
    return bool(glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]["JobRunState"] == state)


def test_a_session_goes_from_missing_to_refined(
    *, s3: Any, glue: Any, states: SessionStates, raw_bucket: str, refined_bucket: str, job: str, tmp_path: Path
):
    session, gate = SESSIONS[0], tmp_path / "gate"
    assert states.of(session)[0].state is State.MISSING
    version = store(s3, raw_bucket, session)
    found, facts = states.of(session)
    assert (found.state, facts["view"]) == (State.STORED, "sector")
    assert int(facts["rows"]) == len(parse_csv(synthetic_csv("IBOV", DAYS[0])).holdings)
    run_id = start(glue, job, gate, SESSIONS[3], session)
    found, _ = states.of(session)
    assert (found.state, found.run and found.run.run_id) == (State.REFINING, run_id)
    gate.write_text("out of memory", encoding="utf-8")
    until(lambda: in_glue(glue, job, run_id, "FAILED"))
    found, _ = states.of(session)
    assert found.state is State.FAILED
    assert found.run is not None
    assert "out of memory" in (found.run.error or "")
    put_receipt(s3, refined_bucket, session, "0af1")
    assert states.of(session)[0].state is State.FAILED, "a receipt of another version proves nothing"
    put_receipt(s3, refined_bucket, session, version)
    assert states.of(session)[0].state is State.REFINED


def test_a_period_shows_every_stored_session_with_its_state(
    *, s3: Any, glue: Any, states: SessionStates, raw_bucket: str, refined_bucket: str, job: str, tmp_path: Path
):
    refined, refining, failed, stored = SESSIONS[1:5]
    versions = {session: store(s3, raw_bucket, session) for session in SESSIONS}
    store(s3, raw_bucket, Session("SMLL", DAYS[1]))
    s3.put_object(Bucket=raw_bucket, Key=refined.raw_key.replace(".parquet", ".bak"), Body=b"")
    put_receipt(s3, refined_bucket, refined, "0af1")
    put_receipt(s3, refined_bucket, refined, versions[refined])
    shut, open_gate = tmp_path / "shut", tmp_path / "open"
    open_gate.write_text("broken", encoding="utf-8")
    failed_id = start(glue, job, open_gate, failed)
    start(glue, job, shut, refining)
    until(lambda: in_glue(glue, job, failed_id, "FAILED"))
    try:
        found = states.between("IBOV", DAYS[1], DAYS[4])
    finally:
        shut.write_text("", encoding="utf-8")
    assert [(one.session, one.state) for one in found] == [
        (refined, State.REFINED),
        (refining, State.REFINING),
        (failed, State.FAILED),
        (stored, State.STORED),
    ]


def test_a_period_costs_two_listings_and_one_question_to_glue(s3: Any, raw_bucket: str, refined_bucket: str, job: str):
    for session in SESSIONS[:3]:
        store(s3, raw_bucket, session)
    calls: list[str] = []
    own_s3, own_glue = boto3.client("s3"), boto3.client("glue")
    for client in (own_s3, own_glue):
        client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    states = SessionStates(own_s3, own_glue, raw_bucket=raw_bucket, refined_bucket=refined_bucket, glue_job=job)
    assert len(states.between("IBOV", dt.date(2024, 2, 1), dt.date(2025, 3, 1))) == 3
    assert calls == ["ListObjectsV2", "ListObjectsV2", "GetJobRuns"]
    calls.clear()
    assert states.between("SMLL", dt.date(2024, 2, 1), dt.date(2025, 3, 1)) == []
    assert calls == ["ListObjectsV2"]


def test_a_missing_bucket_is_no_missing_session(s3: Any, glue: Any, refined_bucket: str, job: str):
    states = SessionStates(s3, glue, raw_bucket="nobody-made-this", refined_bucket=refined_bucket, glue_job=job)
    with pytest.raises(StorageUnavailable, match="BOVESPA_RAW_BUCKET"):
        states.of(SESSIONS[0])
    with pytest.raises(StorageUnavailable, match="BOVESPA_RAW_BUCKET"):
        states.between("IBOV", DAYS[0], DAYS[1])
