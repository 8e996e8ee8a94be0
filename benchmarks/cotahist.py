"""Records of trading days: how fast they are read, beside pandas, and what the import of a year needs in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd  # type: ignore[import-untyped]

from benchmarks.targets import Target
from bovespa.calendar import trading_days
from bovespa.cotahist import ENCODING, LAYOUT, CotahistReader
from bovespa.cotahist_writer import LINE_END, header, trailer
from local.cloud import PROJECT, Cloud, running_cloud
from local.console import Progress, print_table
from local.synthetic_trading import synthetic_records

YEAR = 2021
YEAR_RECORDS = 2_000_000
"""About what a year of B3 has, most of it options."""
COMPARED_RECORDS = 200_000
RECORDS_A_DAY = 8_000
PEAK_BOUND_MB = 250

# `flask`, which says at its end what it needed. The parent cannot ask: to it, a child's peak is at least its own.
_FLASK = """
import atexit, os, sys
from benchmarks.memory import peak_memory_mb
from flask.cli import main
atexit.register(lambda: sys.stderr.write(f"{peak_memory_mb(os.getpid())}\\n"))
main()
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """One run of `flask --app app import-cotahist`."""

    elapsed_s: float
    peak_mb: float
    report: str


def measure(times: int, progress: Progress) -> dict[str, Any]:
    """Measure everything, in a cloud of its own."""
    with tempfile.TemporaryDirectory(prefix="cotahist-bench-") as folder:
        small, year = Path(folder) / f"COTAHIST_A{YEAR}.TXT", Path(folder) / f"COTAHIST_A{YEAR}.ZIP"
        write_year(small, COMPARED_RECORDS)
        cash_market, every_market, with_pandas = (
            [_seconds(lambda: read(small)) for _ in range(times)]  # noqa: B023 - called at once
            for read in (_read_cash_market, _read_every_market, _read_with_pandas)
        )
        progress.say(f"{times} times {COMPARED_RECORDS:,} records of trading days, with ours and with pandas")
        write_year(year, YEAR_RECORDS)
        with running_cloud() as cloud:
            imported = import_files(_environment(cloud), year)
        progress.say(f"a file of {YEAR_RECORDS:,} records imported in {imported.elapsed_s:.0f} s")
        return {
            "cash_market_s": cash_market,
            "every_market_s": every_market,
            "pandas_s": with_pandas,
            "year_records": YEAR_RECORDS,
            "year_zip_mb": year.stat().st_size / 1e6,
            "import_year_s": imported.elapsed_s,
            "import_year_peak_mb": imported.peak_mb,
        }


def show(figures: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    names = {
        "pandas_s": "pandas.read_fwf, every column as text, no check",
        "every_market_s": "our reader, every market",
        "cash_market_s": "our reader, the cash market kept and the others checked",
    }
    rows = [(name, f"{COMPARED_RECORDS / statistics.median(figures[key]):,.0f}") for key, name in names.items()]
    print_table(("what", "records_a_second"), rows, title=f"{COMPARED_RECORDS:,} records of trading days")
    year = (f"{figures['year_records']:,}", f"{figures['year_zip_mb']:.0f}", f"{figures['import_year_s']:.0f}")
    print_table(
        ("records", "zip_mb", "import_s", "peak_mb"),
        [(*year, f"{figures['import_year_peak_mb']:.0f}")],
        title="A yearly file, imported",
    )


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return what was to be reached."""
    ours, theirs = statistics.median(figures["every_market_s"]), statistics.median(figures["pandas_s"])
    return [
        Target("reading every market, beside pandas.read_fwf", theirs / ours, "times", 2, at_least=True),
        Target("peak memory of the import of a year", figures["import_year_peak_mb"], "MB", PEAK_BOUND_MB),
    ]


def write_year(path: Path, records: int, *, days: list[dt.date] | None = None) -> None:
    """Write a synthetic file of many days, a ZIP or a text by its name, record by record.

    Its records are sorted by paper and not by day, which is the worst order for whoever wants the days.

    Args:
        path: Where to.
        records: How many, header and trailer included, rounded down to whole days.
        days: Of which; by default as many trading days of `YEAR` as it takes.
    """
    days = days or list(trading_days(dt.date(YEAR, 1, 1), dt.date(YEAR, 12, 31)))[: max(1, records // RECORDS_A_DAY)]
    papers = _papers((records - 2) // len(days))
    dates = [f"{day:%Y%m%d}".encode() for day in days]
    with _text_file(path) as file:
        file.write(header(days[-1]) + LINE_END)
        for paper in papers:
            file.write(b"".join(b"01" + date + paper for date in dates))
        file.write(trailer(days[-1], len(papers) * len(days) + 2) + LINE_END)


def import_files(environment: Mapping[str, str], *paths: Path) -> Imported:
    """Run the command over *paths*, and return what it cost and printed.

    Args:
        environment: The variables that name the bucket.
        paths: What to import.

    Raises:
        RuntimeError: The command failed.
    """
    started_s = time.perf_counter()
    answer = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", _FLASK, "--app", "app", "import-cotahist", "--json", *map(str, paths)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    elapsed_s = time.perf_counter() - started_s
    if answer.returncode != 0:
        raise RuntimeError(f"{answer.stdout}\n{answer.stderr}"[-2000:])
    return Imported(elapsed_s, float(answer.stderr.splitlines()[-1]), answer.stdout)


def _papers(count: int) -> list[bytes]:
    """What *count* papers did, without type and date: the synthetic cash market, and options for the rest of it."""
    records = [record[10:] + LINE_END for record in synthetic_records(dt.date(YEAR, 3, 26))]
    options = [record for record in records if record[14:17] == b"070"]
    others = count - len(records)
    if others < 0:
        return records[:count]
    # Another name each: four letters, a month, a number.
    return records + [
        record[:2] + f"{number:08}OPTN".encode() + record[14:]
        for number, record in zip(range(others), _endless(options), strict=False)
    ]


def _endless(records: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from records


@contextlib.contextmanager
def _text_file(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.upper() != ".ZIP":
        with path.open("wb") as file:
            yield file
        return
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(path.with_suffix(".TXT").name, "w", force_zip64=True) as file,
    ):
        yield file


def _read_cash_market(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in CotahistReader(file))


def _read_every_market(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in CotahistReader(file, markets=None))


def _read_with_pandas(path: Path) -> int:
    columns = [(field.first - 1, field.last) for field in LAYOUT]
    names = [field.name for field in LAYOUT]
    frame = pd.read_fwf(
        path, colspecs=columns, names=names, skiprows=1, skipfooter=1, encoding=ENCODING, engine="python", dtype=str
    )
    return len(frame)


def _seconds(work: Any) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def _environment(cloud: Cloud) -> dict[str, str]:
    return {
        **cloud.aws_environment,
        "BOVESPA_RAW_BUCKET": cloud.outputs["RawBucketName"],
        "BOVESPA_REFINED_BUCKET": cloud.outputs["RefinedBucketName"],
        "BOVESPA_JWT_SECRET": "not-used-by-an-import-but-required",
        "BOVESPA_USERS": '{"nobody":"scrypt:32768:8:1$a$b"}',
    }
