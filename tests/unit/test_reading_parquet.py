"""Reading Parquet: alone in its thread, because a process that ends while Arrow's threads run aborts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROJECT = Path(__file__).parents[2]

SCRIPT = """
import os, sys
from {module} import {function}
content = sys.stdin.buffer.read()
before = len(os.listdir("/proc/self/task"))
rows = {function}(content)
print(rows.num_rows, len(os.listdir("/proc/self/task")) - before, "pandas" in sys.modules)
"""

READERS = [("glue.parquet", "read_parquet"), ("s3_bucket_manager.parquet_files", "read_table")]


@pytest.mark.parametrize(("module", "function"), READERS)
def test_reading_starts_no_thread_and_loads_no_pandas(module: str, function: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    # Many columns: Arrow hands them out to threads, where it may.
    pq.write_table(pa.table({f"column_{number}": list(range(90)) for number in range(20)}), path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=module, function=function)],
        cwd=PROJECT,
        input=path.read_bytes(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.decode().split()) == (0, ["90", "0", "False"]), done.stderr.decode()
