"""The Glue job: raw sessions and trading days in, refined partitions out, registered in the catalog.

    job.py --sessions IBOV/2025-02-03,trading/2025-02-03[,...]|import:ID|all
        --raw_bucket NAME --refined_bucket NAME --database NAME [--correlation_id ID]

Plain PySpark and boto3, no DynamicFrame: the same file runs on AWS Glue 5.1 and under `pyspark==3.5.6`.

A run reads what was asked for and the windows of 21 trading sessions around it, recomputes the sessions and trading
days whose window something of it enters, and replaces those whole. What it writes depends only on the raw objects, so
order, repetition and simultaneous runs do not matter: a run that finds, when it is done, that a raw object has changed
since it looked starts over, so the last writer has always seen the newest objects.

`all` is the rebuild: it also removes what has no raw object any more, and merges past years of the compact tables.

What is where: subjects.py and window.py say what to read and what to write, write.py reads and writes it, transport.py
is the way into Spark and out of it, refine.py and the `.sql` files are the tables, publish.py makes them visible.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bovespa.correlation import is_correlation_id
from bovespa.log_lines import JsonFormatter
from bovespa.session_state import (
    ALL_SESSIONS,
    CORRELATION_ID_ARGUMENT,
    REFINED_BUCKET_ARGUMENT,
    SESSIONS_ARGUMENT,
)
from glue.lake import ObjectMoved, s3_client
from glue.publish import Publisher
from glue.raw_reader import UnexpectedRawSchema
from glue.subjects import (
    Named,
    Plan,
    parse_subjects,
    plan,
    subjects_of,
    versions_within_reach,
)
from glue.write import Written, write

log = logging.getLogger("glue.job")

_MAX_ATTEMPTS = 5


class RawKeepsChanging(RuntimeError):
    """Raw objects changed during every attempt; run the sessions again when the import is over."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the run was asked to do."""

    sessions: Named
    """The sessions and trading days whose raw objects changed, or the import that changed them; None means all."""
    raw_bucket: str
    refined_bucket: str
    database: str
    run_id: str
    correlation_id: str
    """What follows the sessions; the run's own id where nobody gave one."""


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the job's arguments; Glue adds some of its own, which are left alone.

    Raises:
        InvalidRequest: `--sessions` names nothing.
    """
    parser = argparse.ArgumentParser(prog="job.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        SESSIONS_ARGUMENT,
        required=True,
        help=f"IBOV/2025-02-03,trading/2025-02-03[,...], 'import:ID', or {ALL_SESSIONS!r} for a rebuild",
    )
    parser.add_argument("--raw_bucket", required=True)
    parser.add_argument(REFINED_BUCKET_ARGUMENT, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument(CORRELATION_ID_ARGUMENT, help="id of the request, command or import that the run belongs to")
    parser.add_argument("--JOB_RUN_ID", default="local", help="set by Glue")
    known, _glue_own = parser.parse_known_args(argv)
    return Arguments(
        parse_subjects(known.sessions),
        known.raw_bucket,
        known.refined_bucket,
        known.database,
        run_id=known.JOB_RUN_ID,
        correlation_id=known.correlation_id if is_correlation_id(known.correlation_id) else known.JOB_RUN_ID,
    )


def run(spark: SparkSession, arguments: Arguments) -> Written:
    """Refine what was asked for until what was written rests on the newest raw objects.

    Raises:
        RawKeepsChanging: Raw objects changed during each of the attempts.
    """
    s3 = s3_client()
    subjects = subjects_of(
        arguments.sessions, s3, raw_bucket=arguments.raw_bucket, refined_bucket=arguments.refined_bucket
    )
    publisher = Publisher(
        spark,
        arguments.refined_bucket,
        arguments.database,
        run_id=arguments.run_id,
        correlation_id=arguments.correlation_id,
    )
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        before = versions_within_reach(subjects, s3, arguments.raw_bucket)
        planned = plan(subjects, before)
        try:
            written = _refine(spark, arguments, planned, publisher)
        except (ObjectMoved, UnexpectedRawSchema, PySparkException):
            # What was read may have been replaced or deleted since it was listed; a worker's error comes as Spark's.
            if versions_within_reach(subjects, s3, arguments.raw_bucket) == before:
                raise
        else:
            if versions_within_reach(subjects, s3, arguments.raw_bucket) == before:
                publisher.acknowledge(planned, written)
                return written
        log.warning("raw objects changed during the run; starting over", extra={"attempt": attempt})
    raise RawKeepsChanging(
        f"Raw objects changed during each of {_MAX_ATTEMPTS} attempts; run these sessions again later."
    )


def _refine(spark: SparkSession, arguments: Arguments, planned: Plan, publisher: Publisher) -> Written:
    log.info(
        "refining",
        extra={
            "sessions_read": len(planned.sessions_read),
            "sessions_written": len(planned.sessions),
            "sessions_gone": len(planned.sessions_gone),
            "trading_days_read": len(planned.trading_days_read),
            "trading_days_written": len(planned.trading_days),
            "trading_days_gone": len(planned.trading_days_gone),
        },
    )
    started_s = time.perf_counter()
    written = write(spark, planned, raw_bucket=arguments.raw_bucket, refined_bucket=arguments.refined_bucket)
    log.info(
        "written",
        extra={
            "sessions": len(written.sessions),
            "trading_days": len(written.trading_days),
            "elapsed_ms": round((time.perf_counter() - started_s) * 1000),
        },
    )
    publisher.publish(planned, written, merge_past_years=arguments.sessions is None)
    return written


def configure_logging(arguments: Arguments) -> None:
    """Log one JSON object a line to standard error, each with what the run belongs to."""
    handler = logging.StreamHandler()
    fields = {"correlation_id": arguments.correlation_id, "job_run_id": arguments.run_id}
    handler.setFormatter(JsonFormatter("bovespa-refine", fields))
    # A process may have run before: its handler would write under the id of that run.
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def main(argv: Sequence[str]) -> None:
    """Run the job as Glue does."""
    arguments = parse_arguments(argv)
    configure_logging(arguments)
    spark = SparkSession.builder.appName("bovespa-refine").getOrCreate()
    log.info("started", extra={"refined_bucket": arguments.refined_bucket, "database": arguments.database})
    try:
        run(spark, arguments)
    except Exception:
        # Glue keeps one line of it; here it stands under the id that leads to it.
        log.exception("failed")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
