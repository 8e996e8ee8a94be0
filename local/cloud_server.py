"""The process of the local cloud: the AWS emulator with real Spark behind its Glue.

    python -m local.cloud_server --port N [--data DIR] --work DIR

Use `local.cloud.running_cloud`, which starts it, waits until it answers and stops it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import threading
from pathlib import Path

SERVICES = "athena,cloudformation,events,glue,iam,lambda,logs,monitoring,s3,scheduler,secretsmanager,sns,sqs,sts"


def main() -> None:
    """Serve until SIGTERM or SIGINT; then save the state, if it is kept, and leave no process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--data", type=Path, help="keep buckets and state here; without it they last as long as the process"
    )
    parser.add_argument("--work", type=Path, required=True, help="scratch folder of Spark runs and their logs")
    parser.add_argument("--cold", action="store_true", help="start Spark with the first run instead of now")
    parser.add_argument(
        "--spark-pool", type=Path, metavar="SOCKET", help="use the Spark of this pool (local.spark_pool)"
    )
    parser.add_argument("--requests", type=Path, metavar="FILE", help="write a line here for each request")
    parser.add_argument("--faults", action="store_true", help="let PUT /_faults spoil calls (local.cloud_faults)")
    parser.add_argument("--seeding", action="store_true", help="let PUT /_seed put many things (local.seeding)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The emulator reads its environment when it is imported, so this comes first.
    os.environ.update(_emulator_environ(arguments.port, arguments.data, arguments.work))
    asyncio.run(
        _serve(
            arguments.port,
            arguments.work,
            warm=not arguments.cold,
            spark_pool=arguments.spark_pool,
            is_kept=arguments.data is not None,
            requests=arguments.requests,
            faults=arguments.faults,
            seeding=arguments.seeding,
        )
    )


def _emulator_environ(port: int, data: Path | None, work_dir: Path) -> dict[str, str]:
    environ = {
        "BIND_HOST": "127.0.0.1",  # the emulator's default is every interface
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": SERVICES,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        # Requests are signed and policies hold; the key in the environment is the account's own.
        "AUTH": "true",
        # AWS waits one minute, then two, before a failed call is tried again.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        # The Lambda process inherits this.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    keep = "0" if data is None else "1"
    folder = data or work_dir
    return environ | {
        "S3_PERSIST": keep,
        "S3_DATA_DIR": str(folder / "s3"),
        "PERSIST_STATE": keep,
        "STATE_DIR": str(folder / "state"),
    }


async def _serve(
    port: int,
    work_dir: Path,
    *,
    warm: bool,
    spark_pool: Path | None,
    is_kept: bool,
    requests: Path | None,
    faults: bool,
    seeding: bool,
) -> None:
    from ministack.app import app  # noqa: PLC0415 - after the environment is set

    # The emulator has read it; the Lambda process would inherit it, and its logger would leave out what AWS keeps.
    del os.environ["LOG_LEVEL"]

    from local import cloud_templates, glue_catalog, lambda_events, s3_listing  # noqa: PLC0415
    from local.athena_server import engine, named_queries  # noqa: PLC0415
    from local.cloud_faults import with_faults  # noqa: PLC0415
    from local.cloud_state import StateKeeper, saving  # noqa: PLC0415
    from local.enforcement import over_tls  # noqa: PLC0415
    from local.glue_runs import GlueSparkRunner, install  # noqa: PLC0415
    from local.http_server import serve  # noqa: PLC0415
    from local.request_log import logged  # noqa: PLC0415
    from local.seeding import with_seeding  # noqa: PLC0415

    runner = GlueSparkRunner(endpoint_url=f"http://127.0.0.1:{port}", work_dir=work_dir, pool=spark_pool)
    install(runner)
    partitions = glue_catalog.install()
    s3_listing.install()
    cloud_templates.install()
    lambda_events.install()
    engine.install()
    named_queries.install()
    if warm:
        threading.Thread(target=runner.warm_up, daemon=True).start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)

    async def stopped() -> None:
        await stop.wait()
        # Before the emulator saves its state: a run that is under way now ends as stopped, not as running for ever.
        await asyncio.to_thread(runner.close)

    served = over_tls(app)
    async with contextlib.AsyncExitStack() as stack:
        if is_kept:
            keeper = StateKeeper(Path(os.environ["STATE_DIR"]))
            served = keeper.watching(served)
            await stack.enter_async_context(saving(keeper))
        if seeding:
            served = with_seeding(served, partitions)
        if faults:
            # Outside of what checks signatures, because the operator who spoils a call signs nothing.
            served = with_faults(served)
        if requests is not None:
            # Line by line, so that a request is counted before it is answered.
            served = logged(served, stack.enter_context(requests.open("a", encoding="utf-8", buffering=1)))
        await serve(served, port, until=stopped())


if __name__ == "__main__":
    main()
