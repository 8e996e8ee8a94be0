"""Other ways to write `portfolio`: each in a process of its own that waits, started and warm, for files of rows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.awswrangler_python import awswrangler_python
from benchmarks.way_loop import Target
from bovespa.errors import BovespaError
from local.cloud import PROJECT, Cloud
from local.spark_process import start_worker

Write = Callable[[Path], None]
"""Writes the rows of one Parquet file and makes them visible."""

_TIMEOUT_S = 3600.0
_STOP_TIMEOUT_S = 10.0


class WayFailed(BovespaError):
    """One of the other ways could not write; the message shows its last words."""

    code = "way_failed"


@contextlib.contextmanager
def with_arrow(cloud: Cloud, target: Target) -> Iterator[Write]:
    """Write with pyarrow's datasets, in our environment."""
    with _process(sys.executable, "benchmarks.way_arrow", cloud, target) as write:
        yield write


@contextlib.contextmanager
def with_awswrangler(cloud: Cloud, target: Target) -> Iterator[Write]:
    """Write with awswrangler, in its own environment."""
    with _process(str(awswrangler_python()), "benchmarks.way_awswrangler", cloud, target) as write:
        yield write


@contextlib.contextmanager
def with_spark(cloud: Cloud, target: Target) -> Iterator[Write]:
    """Write with Spark's own writer, in a Spark that has started and is set up as the job's is."""
    script = Path(__file__).with_name("way_spark.py")
    with spark_scripts(cloud) as run:
        yield lambda rows: run(script, [*_options(target), "--rows", str(rows)])


@contextlib.contextmanager
def spark_scripts(cloud: Cloud) -> Iterator[Callable[[Path, Sequence[str]], None]]:
    """Start Spark as it is for the job; what is yielded runs a script with its arguments there, as often as is wanted.

    Scripts raise `WayFailed` with their last words.
    """
    with tempfile.TemporaryDirectory(prefix="bench-spark-") as folder:
        log = Path(folder) / "script.log"
        with contextlib.closing(start_worker(cloud.endpoint_url, Path(folder))) as worker:

            def run(script: Path, argv: Sequence[str]) -> None:
                request = {"script": str(script), "argv": list(argv), "py_files": [], "environ": {}, "log": str(log)}
                deadline = time.monotonic() + _TIMEOUT_S
                error = worker.run(request, deadline=deadline, stopped=threading.Event())
                if error is not None:
                    words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise WayFailed(f"{script.name}: {error}\n{words}")

            # The worker answers when Spark is up, and what a script takes is not to hold its start.
            run(Path(__file__).with_name("way_loop.py"), [])
            yield run


WAYS: Mapping[str, Callable[[Cloud, Target], contextlib.AbstractContextManager[Write]]] = {
    "pyarrow": with_arrow,
    "awswrangler": with_awswrangler,
    "spark": with_spark,
}


@contextlib.contextmanager
def _process(python: str, module: str, cloud: Cloud, target: Target) -> Iterator[Write]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))}
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603 - our own scripts
            [python, "-m", module, *_options(target)],
            cwd=PROJECT,
            env={**environ, **cloud.aws_environment, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both were asked for")
        sink, source = process.stdin, process.stdout

        def wait_for(word: str) -> None:
            line = source.readline()
            if not line or json.loads(line) != {"done": word}:
                process.wait(_STOP_TIMEOUT_S)
                words.seek(0)
                raise WayFailed(f"{module} ended with {process.returncode}: {words.read().decode()[-2000:]}")

        def write(rows: Path) -> None:
            sink.write(f"{rows}\n")
            sink.flush()
            wait_for("written")

        try:
            wait_for("ready")
            yield write
        finally:
            with contextlib.suppress(BrokenPipeError):
                sink.close()
            source.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
            process.kill()
            process.wait()


def _options(target: Target) -> list[str]:
    return [word for name, value in asdict(target).items() for word in (f"--{name}", value)]
