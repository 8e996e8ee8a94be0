"""The class archive that halves the start of Spark's JVM: built once for each Java and each set of jars.

    python -m local.spark_archive

A JVM that maps classes already parsed and verified (application class-data sharing) starts Spark in about half the
time. The archive lies in the virtual environment and goes with it. Without it everything works, only slower.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import tempfile
import threading
import time
from pathlib import Path

from bovespa.portfolio_csv import serialise_csv
from bovespa.records import Provenance
from local.cloud import Cloud, running_cloud
from local.spark_process import run_of_the_checkout, start_worker
from local.spark_settings import archive_path
from local.synthetic import synthetic_portfolio
from s3_bucket_manager.manager import RawStore

_INDEX_CODE, _SESSION_DATE = "UTIL", dt.date(2025, 2, 3)
_READER = """
import sys
from pyspark.sql import SparkSession

rows = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1])
rows = rows.mapInArrow(lambda batches: batches, rows.schema)
rows.groupBy("ticker").sum("participation_pct").orderBy("ticker").toPandas()
"""
_BUILD_TIMEOUT_S = 180.0


def build(path: Path) -> None:
    """Refine a session with the job itself, read it through a Python worker, and keep the classes loaded at *path*.

    Raises:
        RuntimeError: The run failed, or the JVM wrote no archive; the message shows the last words.
    """
    for outdated in path.parent.glob("spark-classes-*.jsa"):
        outdated.unlink()
    with tempfile.TemporaryDirectory(prefix="bovespa-archive-") as folder, running_cloud(warm=False) as cloud:
        work_dir = Path(folder)
        unfinished = path.with_suffix(".part")
        _store_a_session(cloud)
        log_path, reader = work_dir / "spark.log", work_dir / "reader.py"
        reader.write_text(_READER, encoding="utf-8")
        refined = f"s3://{cloud.outputs['RefinedBucketName']}/portfolio/"
        requests = (
            run_of_the_checkout(cloud.outputs, f"{_INDEX_CODE}/{_SESSION_DATE}", log_path),
            {"script": str(reader), "argv": [refined], "py_files": [], "environ": {}, "log": str(log_path)},
        )
        deadline, error = time.monotonic() + _BUILD_TIMEOUT_S, None
        with contextlib.closing(
            start_worker(cloud.endpoint_url, work_dir, class_option=f"-XX:ArchiveClassesAtExit={unfinished}")
        ) as worker:
            for request in requests:
                error = error or worker.run(request, deadline=deadline, stopped=threading.Event())
            worker.finish(_BUILD_TIMEOUT_S)
        if error is not None or not unfinished.exists():
            words = log_path.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"The JVM wrote no class archive ({error or 'its runs succeeded'}):\n{words}")
        unfinished.rename(path)


def _store_a_session(cloud: Cloud) -> None:
    """Store a session of which Glue does not hear."""
    s3, bucket = cloud.client("s3"), cloud.outputs["RawBucketName"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    portfolio = synthetic_portfolio(_INDEX_CODE, _SESSION_DATE)
    provenance = Provenance(_INDEX_CODE, "", "", dt.datetime.now(dt.UTC), way="class archive")
    RawStore(s3, bucket).store(portfolio, serialise_csv(portfolio), provenance)


def main() -> None:
    """Build the archive unless it is there."""
    path = archive_path()
    if path.exists():
        return
    sys.stderr.write("building Spark's class archive, once (about half a minute)\n")
    build(path)


if __name__ == "__main__":
    main()
