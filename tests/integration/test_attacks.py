"""The table of `make attack`, but for what takes long, against an API over the object store of the tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial

import pytest
from werkzeug.security import generate_password_hash

from attacks.__main__ import EVERY, GROUPS, perform
from attacks.table import Attack, Outcome
from attacks.target import Target, running_target
from local.aws_environment import aws_environment
from local.cloud import client


@pytest.fixture(scope="module")
def target(object_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    s3 = client("s3", object_store)
    buckets = {purpose: f"{purpose}-{uuid.uuid4().hex}" for purpose in ("raw", "refined")}
    for bucket in buckets.values():
        s3.create_bucket(Bucket=bucket)
    with running_target(
        aws_environment(object_store),
        endpoint_url=object_store,
        raw_bucket=buckets["raw"],
        refined_bucket=buckets["refined"],
        work_dir=tmp_path_factory.mktemp("attacked-api"),
        # Some milliseconds a check, still many times what an answer without one takes.
        hashed=partial(generate_password_hash, method="scrypt:8192:8:1"),
    ) as running:
        yield running


@pytest.mark.parametrize("group", GROUPS)
def test_no_attack_gets_in(group: str, target: Target):
    attacks = [attack for attack in EVERY if attack.group == group and not attack.is_slow]
    results = perform(attacks, target)
    assert len(results) >= 1
    assert [result for result in results if result.verdict != "held"] == []


def test_an_attack_that_is_not_answered_has_got_in(target: Target):
    def broken(_target: Target) -> Outcome:
        raise ConnectionResetError

    (result,) = perform([Attack("x", "y", "z", "200", broken)], target)
    assert (result.verdict, result.seen) == ("GOT IN", "no answer: ConnectionResetError")
    assert target.leak(f"x {target.secret} y") == "a key"
