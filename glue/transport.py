"""How rows come into Spark and leave it: those of few sessions through the driver, those of many on Spark's workers.

What reads and writes objects are functions from batches of rows to batches of rows, and do not know where they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from glue.schema import Columns, arrow_schema, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Step = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]
"""Reads or writes objects: what `DataFrame.mapInArrow` takes."""

Row = tuple[Any, ...]
"""The values of one row, in the order of its columns."""

OF_FEW_ROWS = {
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
    # As they are, of any size: rows that are part of a plan are converted twice more.
    "spark.sql.execution.arrow.localRelationThreshold": "0",
    "spark.sql.shuffle.partitions": "1",
    # Spark takes rows that it has not counted for the most there can be, and shuffles them around each join, even where
    # all are in one task. Told that they are few, it shuffles none. No broadcast of them is worth a job.
    "spark.sql.defaultSizeInBytes": "1000",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    # What the optimizer finds out about so many columns takes it longer than the rows, and saves none of them.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.subexpressionElimination.enabled": "false",
    # Nor do they repay the Java that Spark would write and compile for each plan: a second and a half of a first run.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Spark's settings under which `ThroughDriver` works."""


class Transport(Protocol):
    """A way for rows into Spark and out of it."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Spark's settings for its queries."""

    def frame(self, rows: Sequence[Row], columns: Columns) -> DataFrame:
        """Return *rows*, at least one, as a frame of *columns*."""

    def read(self, wanted: Sequence[Row], requested: Columns, reader: Step, columns: Columns) -> DataFrame:
        """Return what *reader* makes of *wanted*; it is read once, however often its rows are used.

        Args:
            wanted: At least one row.
            requested: The columns of *wanted*.
            reader: Reads objects.
            columns: Those of the rows that it returns.
        """

    def apply(self, wanted: Sequence[Row], requested: Columns, step: Step, columns: Columns) -> list[Mapping[str, Any]]:
        """Return what *step* makes of *wanted*, like `read`, but as plain rows."""

    def keep(self, frame: DataFrame) -> DataFrame:
        """Return *frame* so that its rows are computed once, however often they are used."""

    def write(self, frame: DataFrame, keys: Sequence[str], writer: Step, columns: Columns) -> list[Mapping[str, Any]]:
        """Return what *writer* makes of *frame*.

        Args:
            frame: The rows to be written.
            keys: Columns; all rows in which they are equal reach *writer* together.
            writer: Writes objects.
            columns: Those of the rows that it returns.
        """


class ThroughDriver(Transport):
    """For few rows: one task computes them, and the driver's own process reads and writes their objects."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    @property
    def settings(self) -> Mapping[str, str]:
        """As `Transport.settings`."""
        return OF_FEW_ROWS

    def frame(self, rows: Sequence[Row], columns: Columns) -> DataFrame:
        """As `Transport.frame`."""
        return self._as_frame([_batch(rows, columns)], columns)

    def read(self, wanted: Sequence[Row], requested: Columns, reader: Step, columns: Columns) -> DataFrame:
        """As `Transport.read`, at once."""
        return self._as_frame(reader([_batch(wanted, requested)]), columns)

    def apply(
        self,
        wanted: Sequence[Row],
        requested: Columns,
        step: Step,
        columns: Columns,  # noqa: ARG002 - Arrow's rows know them
    ) -> list[Mapping[str, Any]]:
        """As `Transport.apply`."""
        return _rows(step([_batch(wanted, requested)]))

    def keep(self, frame: DataFrame) -> DataFrame:
        """As `Transport.keep`."""
        # Cached rows could be computed again if their machine is lost, but every query on them is planned with all that
        # they came from, which takes longer than the rows. These are cut off from it; if their machine is lost, the run
        # fails and is started again.
        # All in one task, which Spark no longer knows of what was joined; it would shuffle them before each use.
        return frame.coalesce(1).localCheckpoint(eager=False)

    def write(
        self,
        frame: DataFrame,
        keys: Sequence[str],  # noqa: ARG002 - all rows come together
        writer: Step,
        columns: Columns,  # noqa: ARG002 - Arrow's rows know them
    ) -> list[Mapping[str, Any]]:
        """As `Transport.write`."""
        # Private to PySpark before its version 4; what is public, `toPandas`, makes floats of integers beside nulls.
        return _rows(writer(frame.coalesce(1)._collect_as_arrow()))  # noqa: SLF001

    def _as_frame(self, batches: Iterable[pa.RecordBatch], columns: Columns) -> DataFrame:
        import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415 - Spark's workers import this module, too

        # One chunk a column, because Spark takes no other; Arrow's own values inside pandas, so that none is converted.
        table = pa.Table.from_batches(batches, arrow_schema(columns)).combine_chunks()
        rows = table.to_pandas(types_mapper=pd.ArrowDtype)
        return self._spark.createDataFrame(rows, spark_schema(columns)).coalesce(1)


class OnWorkers(Transport):
    """For many rows: Spark's Python workers read and write their objects, each of them whole sessions.

    Args:
        spark: The session.
        tasks: Over how many the rows are spread.
    """

    def __init__(self, spark: SparkSession, tasks: int) -> None:
        self._spark = spark
        self._tasks = tasks

    @property
    def settings(self) -> Mapping[str, str]:
        """As `Transport.settings`."""
        # Spark's default of 200 is for far more rows.
        return {"spark.sql.shuffle.partitions": str(self._tasks)}

    def frame(self, rows: Sequence[Row], columns: Columns) -> DataFrame:
        """As `Transport.frame`."""
        return self._spark.createDataFrame(rows, spark_schema(columns)).coalesce(1)

    def read(self, wanted: Sequence[Row], requested: Columns, reader: Step, columns: Columns) -> DataFrame:
        """As `Transport.read`, when its rows are used."""
        frame = self._spark.createDataFrame(wanted, spark_schema(requested))
        return self.keep(frame.mapInArrow(reader, spark_schema(columns)))

    def apply(self, wanted: Sequence[Row], requested: Columns, step: Step, columns: Columns) -> list[Mapping[str, Any]]:
        """As `Transport.apply`."""
        frame = self._spark.createDataFrame(wanted, spark_schema(requested)).repartition(self._tasks)
        return _plain(frame.mapInArrow(step, spark_schema(columns)))

    def keep(self, frame: DataFrame) -> DataFrame:
        """As `Transport.keep`."""
        return frame.persist()

    def write(self, frame: DataFrame, keys: Sequence[str], writer: Step, columns: Columns) -> list[Mapping[str, Any]]:
        """As `Transport.write`."""
        return _plain(frame.repartition(self._tasks, *keys).mapInArrow(writer, spark_schema(columns)))


def _batch(rows: Sequence[Row], columns: Columns) -> pa.RecordBatch:
    schema = arrow_schema(columns)
    return pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _rows(batches: Iterable[pa.RecordBatch]) -> list[Mapping[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def _plain(frame: DataFrame) -> list[Mapping[str, Any]]:
    return [row.asDict() for row in frame.collect()]
