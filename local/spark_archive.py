"""The class archive that halves the start of Spark's JVM: built once for each Java and each set of jars.

    python -m local.spark_archive

A JVM that maps classes already parsed and verified (application class-data sharing) starts Spark in about half the
time. The archive lies in the virtual environment and goes with it. Without it everything works, only slower.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from local.spark_settings import require_java, s3a_jars

_BUILD_TIMEOUT_S = 180.0


def archive_path() -> Path:
    """Return where the archive of this Java and these jars lies, whether it is built or not."""
    java = subprocess.run([require_java(), "-version"], capture_output=True, check=True)  # noqa: S603
    spec = importlib.util.find_spec("pyspark")
    folder = Path(spec.origin).parent / "jars" if spec and spec.origin else Path()
    jars = [*sorted(folder.glob("*.jar")), *s3a_jars()]
    listing = "\n".join(f"{jar} {jar.stat().st_size}" for jar in jars)
    digest = hashlib.sha256(java.stderr + listing.encode()).hexdigest()[:16]
    return Path(sys.prefix) / f"spark-classes-{digest}.jsa"


def build(path: Path) -> None:
    """Run Spark's rehearsal once and keep the classes it loaded at *path*.

    Raises:
        RuntimeError: The JVM wrote no archive; the message shows its last words.
    """
    # Imported here, because they lead back to this module.
    from local.cloud import running_cloud  # noqa: PLC0415
    from local.glue_runs import start_worker  # noqa: PLC0415

    for outdated in path.parent.glob("spark-classes-*.jsa"):
        outdated.unlink()
    with (
        tempfile.TemporaryDirectory(prefix="bovespa-archive-") as folder,
        running_cloud(deployed=False, warm=False) as cloud,
    ):
        work_dir = Path(folder)
        unfinished = path.with_suffix(".part")
        worker = start_worker(cloud.endpoint_url, work_dir, class_option=f"-XX:ArchiveClassesAtExit={unfinished}")
        worker.finish(_BUILD_TIMEOUT_S)
        if not unfinished.exists():
            words = (work_dir / "spark.log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"The JVM wrote no class archive:\n{words}")
        unfinished.rename(path)


def main() -> None:
    """Build the archive unless it is there."""
    path = archive_path()
    if path.exists():
        return
    sys.stderr.write("building Spark's class archive, once (about 20 s)\n")
    build(path)


if __name__ == "__main__":
    main()
