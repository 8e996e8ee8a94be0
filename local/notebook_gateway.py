"""How a notebook's kernel gets a session in another process's Spark: PySpark's own way to a JVM that runs already."""

from __future__ import annotations

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession


def gateway_variables(spark: SparkSession) -> dict[str, str]:
    """Return the variables with which another process's PySpark starts no JVM, but talks to that of *spark*."""
    reached = spark.sparkContext._gateway.gateway_parameters  # type: ignore[union-attr]  # noqa: SLF001
    return {"PYSPARK_GATEWAY_PORT": str(reached.port), "PYSPARK_GATEWAY_SECRET": reached.auth_token}


def attached_session() -> SparkSession:
    """Return a new session of the Spark that the environment names: with its tables, and nothing of other sessions."""
    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    jvm = gateway.jvm
    context = jvm.JavaSparkContext.fromSparkContext(jvm.org.apache.spark.SparkContext.getOrCreate())
    python = SparkContext(gateway=gateway, jsc=context, conf=SparkConf(_jconf=context.getConf()))
    return SparkSession(python, jvm.SparkSession.getDefaultSession().get().newSession())
