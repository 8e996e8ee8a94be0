"""What writing a session costs the API's process."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT

SCRIPT = """
import datetime as dt, sys
from local.synthetic import synthetic_portfolio
from s3_bucket_manager.parquet_files import to_parquet_bytes
from s3_bucket_manager.raw_parquet import portfolio_table

to_parquet_bytes(portfolio_table(synthetic_portfolio("IBOV", dt.date(2025, 2, 3)), {}))
sys.exit("pandas" in sys.modules)
"""


def test_writing_a_session_imports_no_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, check=False, timeout=60)
    assert done.returncode == 0
