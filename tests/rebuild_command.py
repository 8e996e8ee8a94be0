"""`python -m infrastructure.rebuild` over the lake of a test, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys

from infrastructure.scratch import ScratchNames
from local.cloud import PROJECT
from tests.lake import Lake

SCRATCH = ScratchNames.of("bovespa", account="000000000000", region="us-east-1")


def start(lake: Lake, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "infrastructure.rebuild", *arguments],
        cwd=PROJECT,
        env=dict(os.environ) | lake.cloud.aws_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rebuild(lake: Lake, *arguments: str, answer: str = "") -> tuple[int, str, str]:
    with start(lake, *arguments) as process:
        out, err = process.communicate(answer, timeout=300)
    return process.returncode, out, err


def scratch(lake: Lake) -> list[str]:
    """What there is of a scratch."""
    buckets = [one["Name"] for one in lake.cloud.client("s3").list_buckets()["Buckets"]]
    databases = [one["Name"] for one in lake.cloud.client("glue").get_databases()["DatabaseList"]]
    return [name for name in (*buckets, *databases) if name in (SCRATCH.bucket, SCRATCH.database)]
