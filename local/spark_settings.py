"""How Spark runs on one machine: Java, the S3A jars, and the settings that make `s3://` mean the local cloud.

Everything is handed over in a properties file through `PYSPARK_SUBMIT_ARGS`, so the job script stays the one AWS runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bovespa.errors import ConfigurationError

_CLASSES_LOADED_BY = "a session's run, which needs no Python worker, and a reader that has one"
"""What the class archive was made by (`local.spark_archive`); other words make another archive."""

PYTHON_ENVIRON = {
    "PYSPARK_PYTHON": sys.executable,
    # PySpark asks for distutils, for which setuptools would put a copy of its own, and itself, into the process.
    "SETUPTOOLS_USE_DISTUTILS": "stdlib",
}
"""Variables of every process that uses PySpark."""

_JAR_PATTERNS = ("hadoop-aws-*.jar", "aws-java-sdk-bundle-*.jar")


def require_java() -> Path:
    """Return the `java` that Spark will use.

    Raises:
        ConfigurationError: None is installed; the message says what to install.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        where = f"JAVA_HOME ({home})" if home else "PATH"
        raise ConfigurationError(
            f"No java in {where}. Spark 3.5 needs Java 8, 11 or 17: apt-get install openjdk-17-jre-headless"
        )
    return Path(found)


def s3a_jars() -> list[Path]:
    """Return the jars that teach Spark `s3://`, from the package that carries them.

    Raises:
        ConfigurationError: The package is not installed.
    """
    # The package's own import would start its pyspark integration; only its files are wanted.
    spec = importlib.util.find_spec("sagemaker_pyspark")
    folder = Path(spec.origin).parent / "jars" if spec and spec.origin else Path()
    jars = [jar for pattern in _JAR_PATTERNS for jar in sorted(folder.glob(pattern))]
    if len(jars) != len(_JAR_PATTERNS):
        raise ConfigurationError("The S3A jars are missing: run make setup (requirements-spark-jars.txt).")
    return jars


@cache
def archive_path() -> Path:
    """Return where the class archive of this Java and these jars lies, whether it is built or not."""
    java = subprocess.run([require_java(), "-version"], capture_output=True, check=True)  # noqa: S603
    spec = importlib.util.find_spec("pyspark")
    folder = Path(spec.origin).parent / "jars" if spec and spec.origin else Path()
    jars = [*sorted(folder.glob("*.jar")), *s3a_jars()]
    listing = "\n".join([_CLASSES_LOADED_BY, *(f"{jar} {jar.stat().st_size}" for jar in jars)])
    digest = hashlib.sha256(java.stderr + listing.encode()).hexdigest()[:16]
    return Path(sys.prefix) / f"spark-classes-{digest}.jsa"


def spark_properties(endpoint_url: str, work_dir: Path, *, class_option: str | None = None) -> dict[str, str]:
    """Return Spark's properties for jobs.

    Args:
        endpoint_url: Where the local cloud is.
        work_dir: Folder of scratch files.
        class_option: The JVM's option that reads or writes a class archive; None reads the one that set-up has built.
    """
    jvm_options = " ".join(
        (
            # A run lasts seconds: the second compiler and a parallel collector cost more than they bring.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            # What Spark loads for a run; from a limit that grows step by step, the JVM collects garbage at each step.
            "-XX:MetaspaceSize=192m",
            "-XX:-UsePerfData",  # it leaves a file in /tmp when the JVM is killed
            "-Xshare:auto",
            class_option or f"-XX:SharedArchiveFile={archive_path()}",
            f"-Djava.io.tmpdir={work_dir}",
            f"-Dderby.system.home={work_dir}",
        )
    )
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": os.pathsep.join(map(str, s3a_jars())),
        "spark.driver.extraJavaOptions": jvm_options,
        "spark.local.dir": str(work_dir),
        "spark.python.daemon.module": "local.spark_daemon",
        # SQL's Python workers have this variable, those that take rows from Python have not, and Spark starts a daemon
        # for each set of variables.
        "spark.executorEnv.SPARK_SIMPLIFIED_TRACEBACK": "1",
        "spark.ui.enabled": "false",
        # Each query's plan is written out for the page that is not there: as short as can be.
        "spark.sql.ui.explainMode": "simple",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(work_dir / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "false",
        # A run compiles more plans than the 100 that Spark keeps by default, so the next one would compile all again.
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": endpoint_url,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint_url.startswith("https:")).lower(),
        "spark.hadoop.fs.s3a.aws.credentials.provider": "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
        "spark.hadoop.fs.s3a.bucket.probe": "0",
        "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }


def s3a_properties(environ: Mapping[str, str]) -> dict[str, str]:
    """Return Hadoop's properties with which `s3://` calls as AWS's variables of a session, in *environ*, say."""
    return {
        "fs.s3a.endpoint": environ["AWS_ENDPOINT_URL"],
        "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        "fs.s3a.access.key": environ["AWS_ACCESS_KEY_ID"],
        "fs.s3a.secret.key": environ["AWS_SECRET_ACCESS_KEY"],
        "fs.s3a.session.token": environ["AWS_SESSION_TOKEN"],
    }


def write_properties(properties: dict[str, str], path: Path) -> None:
    """Write *properties* as the Java properties file that `spark-submit --properties-file` reads."""
    lines = [f"{name} {value}" for name, value in sorted(properties.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
