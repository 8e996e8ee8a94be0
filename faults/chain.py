"""The faults between the raw bucket and SQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.runs import no_events
from faults.files import session_of
from faults.matrix import ChainFault
from faults.scene import Scene, refined_puts, require, until
from local.cloud_faults import CloudFault
from local.spark_process import run_of_the_checkout, start_worker


def _killed_on_a_new_session(scene: Scene) -> None:
    first = scene.files.first
    scene.hold(refined_puts(scene), after=10)
    session = scene.store(first)
    until(lambda: scene.faults.hits() > 0, "the job at its eleventh object")
    scene.kill_spark()
    error = scene.wait_until_failed(session)
    require("WorkerLost" in error, f"the run failed otherwise: {error}")
    scene.mend()
    scene.repair(session)


def _killed_on_a_correction(scene: Scene) -> None:
    files = scene.files
    session = scene.store(files.first)
    scene.wait_until_refined(session)
    known = {run["Id"] for run in scene.runs(session)}
    scene.hold(refined_puts(scene), after=len(files.corrected.holdings) // 2)
    scene.store(files.corrected)
    until(lambda: scene.faults.hits() > 0, "the job in the middle of its objects")
    scene.kill_spark()
    scene.wait_until_failed(session, but=known)
    scene.mend()
    scene.repair(session)


def _duplicate_and_out_of_order_events(scene: Scene) -> None:
    files = scene.files
    with no_events(scene.cloud):
        first, second = scene.store(files.first), scene.store(files.second)
        scene.store(files.corrected)
    for session in (second, first, second, first):
        scene.deliver(session)
    scene.wait_until_refined(first, second)
    scene.see(f"{len(scene.runs(first)) + len(scene.runs(second))} runs")


def _event_of_a_deleted_object(scene: Scene) -> None:
    files = scene.files
    with no_events(scene.cloud):
        first, second = scene.store(files.first), scene.store(files.second)
    scene.cloud.client("s3").delete_object(Bucket=scene.cloud.outputs["RawBucketName"], Key=first.raw_key)
    scene.deliver(second)
    scene.deliver(first)
    scene.wait_until_refined(second)
    until(lambda: [run["JobRunState"] for run in scene.runs(first)] == ["SUCCEEDED"], f"the run of {first}")
    # B3's bytes are still there.
    scene.repair(first, second)


def _two_runs_at_once(scene: Scene) -> None:
    files = scene.files
    session = scene.store(files.first)
    scene.wait_until_refined(session)
    before = len(scene.runs(session))
    with no_events(scene.cloud):
        scene.store(files.corrected)
    scene.hold(refined_puts(scene))
    with TemporaryDirectory(prefix="bovespa-faults-") as folder, ThreadPoolExecutor(1) as pool:
        # Glue runs jobs beside each other; the local one has one Spark, so the second run brings its own.
        other = pool.submit(_run_beside, scene, str(session), Path(folder))
        scene.run(session)
        try:
            until(lambda: other.done() or scene.faults.hits() > 16, "both runs at their objects")
        finally:
            scene.mend()
        error = other.result()
    require(error is None, f"the second run failed: {error}")
    scene.wait_until_refined(session)
    scene.see(f"{len(scene.runs(session)) - before} run of Glue and one beside it")


def _run_beside(scene: Scene, sessions: str, folder: Path) -> str | None:
    worker = start_worker(scene.cloud.endpoint_url, folder)
    request = run_of_the_checkout(scene.cloud.outputs, sessions, folder / "run.log")
    try:
        return worker.run(request, deadline=monotonic() + 120, stopped=threading.Event())
    except TimeoutError:
        return "not over after 120 s"
    finally:
        worker.close()


def _glue_is_full(scene: Scene) -> None:
    scene.spoil("AWSGlue.StartJobRun", status=400, code="ConcurrentRunsExceededException", times=3)
    session = scene.store(scene.files.first)
    scene.wait_until_refined(session)
    require(scene.faults.hits() == 3, f"Glue refused {scene.faults.hits()} times")
    scene.see("three refusals, then a run")


def _glue_throttles(scene: Scene) -> None:
    scene.spoil("AWSGlue.StartJobRun", status=400, code="ThrottlingException", times=3)
    session = scene.store(scene.files.first)
    scene.wait_until_refined(session)
    require(scene.faults.hits() == 3, f"Glue refused {scene.faults.hits()} times")
    scene.see("three refusals, then a run")


def _glue_stays_away(scene: Scene) -> None:
    sqs, queue = scene.cloud.client("sqs"), scene.cloud.outputs["FailedEventsQueueUrl"]
    scene.spoil("AWSGlue.StartJobRun", status=400, code="AccessDeniedException")
    session = scene.store(scene.files.first)

    def waiting() -> int:
        name = "ApproximateNumberOfMessages"
        return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])

    until(lambda: waiting() == 1, "the event in the dead-letter queue")
    scene.mend()
    require(not scene.runs(session), "a run was started")
    listed = scene.redrive("--list").stdout
    require("AccessDenied" in listed, f"redrive --list does not say why the event waits: {listed[:400]}")
    done = scene.redrive()
    require(done.returncode == 0, f"redrive ended with {done.returncode}: {done.stderr[-400:]}")
    scene.wait_until_refined(session)
    require(waiting() == 0, "the event is in the queue still")
    scene.see("replayed, one run")


def _second_batch_refused(scene: Scene) -> None:
    scene.spoil("AWSGlue.BatchCreatePartition", status=400, code="OperationTimeoutException", after=1)
    session = scene.store(scene.files.first)
    error = scene.wait_until_failed(session)
    require("OperationTimeout" in error, f"the run failed otherwise: {error}")
    scene.mend()
    scene.repair(session)


def _storage_slows_down(scene: Scene) -> None:
    refusal = {"status": 503, "code": "SlowDown"}
    raw = scene.cloud.outputs["RawBucketName"]
    scene.faults.set(
        *(
            CloudFault.parse({"call": call, "after": after, "times": times, "answer": refusal})
            for call, after, times in (
                (refined_puts(scene), 5, 12),
                (f"GET /{raw}/portfolio/index_code={scene.index_code}/.*", 0, 3),
                (f"PUT /{raw}/portfolio/index_code={scene.index_code}/.*", 0, 2),
            )
        )
    )
    session = scene.store(scene.files.first)
    scene.wait_until_refined(session)
    require(scene.faults.hits() == 17, f"{scene.faults.hits()} of 17 answers were 503")
    require(len(scene.runs(session)) == 1, "more than one run")
    scene.see("17 answers 503, one run")


def _replaced(scene: Scene) -> None:
    files = scene.files
    session = scene.store(files.first)
    scene.wait_until_refined(session)
    scene.store(files.second)
    scene.wait_until_refined(session_of(files.second))
    started = monotonic()
    scene.store(files.corrected)
    scene.wait_until_refined(session)
    scene.see(f"{1000 * (monotonic() - started):.0f} ms from PUT to receipt")


CHAIN_FAULTS = (
    ChainFault(
        "killed-new",
        "IBXL",
        "Spark killed (-9) after 10 objects of a new session",
        "run failed, nothing visible, doctor --repair finishes",
        lambda files: (files.first,),
        _killed_on_a_new_session,
    ),
    ChainFault(
        "killed-correction",
        "ICO2",
        "Spark killed (-9) in the middle of the objects of a correction",
        "run failed, each ticker old or new, doctor --repair finishes",
        lambda files: (files.first, files.corrected),
        _killed_on_a_correction,
        mixed_until_repair=True,
    ),
    ChainFault(
        "events",
        "AGFS",
        "events of a correction and a later session delivered twice, the later session first",
        "the same rows as in order and once",
        lambda files: (files.first, files.second, files.corrected),
        _duplicate_and_out_of_order_events,
    ),
    ChainFault(
        "deleted",
        "IBHB",
        "the event of an object that was deleted since",
        "nothing visible, no failure, doctor --repair makes it anew from B3's bytes",
        lambda files: (files.first, files.second),
        _event_of_a_deleted_object,
    ),
    ChainFault(
        "glue-full",
        "GPTW",
        "StartJobRun answers ConcurrentRunsExceededException three times",
        "the function asks again and starts the run",
        lambda files: (files.first,),
        _glue_is_full,
    ),
    ChainFault(
        "glue-throttles",
        "IBSD",
        "StartJobRun answers ThrottlingException three times",
        "the function asks again and starts the run",
        lambda files: (files.first,),
        _glue_throttles,
    ),
    ChainFault(
        "slow-down",
        "MLCX",
        "S3 answers 503 SlowDown to 14 PUTs and 3 GETs",
        "asked again, one run, no repair",
        lambda files: (files.first,),
        _storage_slows_down,
    ),
    ChainFault(
        "replaced",
        "IBBC",
        "none: a correction replaces a session under a reader",
        "old, then new; mixed as shortly as the store allows",
        lambda files: (files.first, files.second, files.corrected),
        _replaced,
    ),
    ChainFault(
        "second-batch",
        "IGNM",
        "BatchCreatePartition refuses from its second call on",
        "run failed, no receipt, doctor --repair finishes",
        lambda files: (files.first,),
        _second_batch_refused,
        mixed_until_repair=True,
    ),
    ChainFault(
        "two-runs",
        "IDVR",
        "two runs of one correction write at once",
        "the new rows, once",
        lambda files: (files.first, files.corrected),
        _two_runs_at_once,
    ),
    ChainFault(
        "dead-letter",
        "IFIL",
        "StartJobRun refuses every time",
        "the event waits in the dead-letter queue with its reason, redrive replays it",
        lambda files: (files.first,),
        _glue_stays_away,
    ),
)
