"""A few Spark processes that several local clouds share.

A new JVM needs twenty seconds of CPU until it runs the job at its usual speed: as much as ten runs. Whoever starts many
clouds, as the tests do, starts a pool and names its socket in `LOCAL_SPARK_POOL`. Every local cloud that starts with
that variable has its runs made there, as its own job's role, and has their logs. Without it, a cloud has its own Spark.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.spark_process import LOOK_S, RunStopped, SparkWorker, Stop, WorkerLost, start_worker

POOL_VARIABLE = "LOCAL_SPARK_POOL"
"""Names the socket of a pool to every cloud that is started."""

_NOWHERE = "http://127.0.0.1:9"
"""The cloud of a process until a run names its own."""


class PooledSpark:
    """One cloud's way to a pool; it has what `local.spark_process.SparkWorker` has.

    Args:
        path: Of the pool's socket. The pool gets one more process ready, until it has started as many as it may have.
    """

    has_ended = False

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(path))

    def fits(self, _request: Mapping[str, Any]) -> bool:
        """Whether it can run the request: the pool has, or starts, a process for any."""
        return True

    def run(self, request: Mapping[str, Any], *, deadline: float, stopped: Stop) -> str | None:
        """Run one script; as `local.spark_process.SparkWorker.run`."""
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            readable, _, _ = select.select([self._connection], [], [], LOOK_S)
            if readable:
                part = self._connection.recv(1 << 16)
                if not part:
                    raise WorkerLost("the pool of Spark processes has ended")
                answer += part
            elif stopped.is_set():
                raise RunStopped
            elif time.monotonic() > deadline:
                raise TimeoutError
        outcome = json.loads(answer)
        if "lost" in outcome:
            raise WorkerLost(outcome["lost"])
        error: str | None = outcome["error"]
        return error

    def close(self) -> None:
        """Leave the pool; a run under way ends with its process."""
        self._connection.close()


class SparkPool:
    """Serves runs until it is closed.

    Args:
        size: The most processes at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._folder = Path(tempfile.mkdtemp(prefix="bovespa-spark-"))
        self._changed = threading.Condition()
        self._idle: list[SparkWorker] = []
        self._started = 0
        """Processes there are, at work or not."""
        self._ever_started = 0
        self._served: dict[SparkWorker, list[Mapping[str, str]]] = {}
        """AWS's variables of the clouds that each has served, the last one at the end."""
        self._closing = threading.Event()
        self.path = self._folder / "socket"
        pool = self

        class Calls(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                pool._serve(self)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 32

        self._server = Server(str(self.path), Calls)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="spark-pool")
        self._thread.start()

    def close(self) -> None:
        """End every process and forget the socket; runs under way are lost to their clouds."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        with self._changed:
            # Whoever is at work sees it, and ends its process itself.
            self._changed.wait_for(lambda: self._started == len(self._idle))
            for worker in self._idle:
                worker.close()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, calls: socketserver.StreamRequestHandler) -> None:
        """Answer one cloud's runs until it hangs up."""
        caller = _Caller(calls.connection, self._closing)
        with self._changed:
            # Those that ended are replaced when somebody has to wait for one, not before.
            if self._ever_started < self._size and not self._closing.is_set():
                self._idle.append(self._start())
        # A cloud may end in the middle of a word, or before its answer.
        with contextlib.suppress(ConnectionError, RunStopped):
            for line in calls.rfile:
                try:
                    outcome: dict[str, str | None] = {"error": self._run(json.loads(line), caller)}
                except WorkerLost as lost:
                    outcome = {"lost": str(lost)}
                calls.wfile.write(json.dumps(outcome).encode() + b"\n")

    def _run(self, request: dict[str, Any], caller: _Caller) -> str | None:
        worker = self._take(request, caller)
        try:
            # How long a run may take is for its cloud to say, by hanging up.
            error = worker.run(request, deadline=float("inf"), stopped=caller)
        except BaseException:
            # It is lost, or in the middle of something.
            worker.close()
            with self._changed:
                self._forget(worker)
            raise
        with self._changed:
            served = self._served[worker]
            if request["environ"] in served:
                served.remove(request["environ"])
            served.append(request["environ"])
            self._idle.append(worker)
            self._changed.notify()
        return error

    def _take(self, request: Mapping[str, Any], caller: _Caller) -> SparkWorker:
        """Return a process that can run *request*, when one is free.

        Raises:
            RunStopped: The caller hung up, or the pool was closed.
        """
        with self._changed:
            while not caller.is_set():
                for worker in [one for one in self._idle if one.has_ended]:
                    self._end(worker)
                fitting = [one for one in self._idle if one.fits(request)]
                if fitting:
                    # One that has served the same cloud has Python processes for it; if last, the job's clients, too.
                    chosen = max(fitting, key=lambda one: self._familiarity(one, request["environ"]))
                    self._idle.remove(chosen)
                    return chosen
                if self._started == self._size and self._idle:
                    self._end(self._idle[0])
                if self._started < self._size:
                    return self._start()
                self._changed.wait(LOOK_S)
        raise RunStopped

    def _start(self) -> SparkWorker:
        self._started += 1
        self._ever_started += 1
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        worker = start_worker(_NOWHERE, folder)
        self._served[worker] = []
        return worker

    def _familiarity(self, worker: SparkWorker, environ: Mapping[str, str]) -> int:
        served = self._served[worker]
        return (environ in served) + (served[-1:] == [environ])

    def _end(self, idle: SparkWorker) -> None:
        self._idle.remove(idle)
        idle.close()
        self._forget(idle)

    def _forget(self, worker: SparkWorker) -> None:
        self._started -= 1
        del self._served[worker]
        self._changed.notify_all()


class _Caller:
    """A cloud that waits for its run, as long as it is there and the pool is."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection, self._closing = connection, closing

    def is_set(self) -> bool:
        """Whether nobody waits any more."""
        # Nobody sends a second run before the first is answered: what can be read now is the end.
        hung_up, _, _ = select.select([self._connection], [], [], 0)
        return self._closing.is_set() or bool(hung_up)
