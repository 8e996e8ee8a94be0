"""The end of a rebuild alone: years of the compact tables merged and shown, by the job's own code.

    merge_years.py --bucket NAME --database NAME --index_code CODE --first YEAR --last YEAR

Run by a Spark worker. The last year is the one under way: it is shown as it is, as in a rebuild.
"""

from __future__ import annotations

import argparse
import sys

from pyspark.sql import SparkSession

from bovespa.layout import COMPACT_TABLE_NAMES, CompactYear
from glue.publish import Publisher


def main(argv: list[str]) -> None:
    """Merge and show the years that *argv* names."""
    parser = argparse.ArgumentParser()
    for name in ("bucket", "database", "index_code"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("first", "last"):
        parser.add_argument(f"--{name}", required=True, type=int)
    given = parser.parse_args(argv)
    years = [
        CompactYear(table, given.index_code, year)
        for table in COMPACT_TABLE_NAMES
        for year in range(given.first, given.last + 1)
    ]
    spark = SparkSession.builder.getOrCreate()
    publisher = Publisher(spark, given.bucket, given.database, run_id="benchmark", correlation_id="benchmark")
    publisher.publish_years(years, merged=[year for year in years if year.session_year < given.last])


if __name__ == "__main__":
    main(sys.argv[1:])
