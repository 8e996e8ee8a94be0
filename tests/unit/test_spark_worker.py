"""The local Spark rehearses what the job will ask of it."""

from __future__ import annotations

from glue.transport import OF_FEW_ROWS
from local.spark_worker import AS_FEW_ROWS_ARE_REFINED


def test_it_rehearses_under_the_jobs_own_settings() -> None:
    assert AS_FEW_ROWS_ARE_REFINED.items() <= OF_FEW_ROWS.items()
