"""The Athena notebooks on this machine: a cloud with sessions in it, a kernel with its tables, pages to look at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bovespa.errors import BovespaError
from local.aws_environment import aws_environment
from local.cloud import PROJECT, running_cloud
from local.jupyter import (
    AsyncKernelManager,
    CellExecutionError,
    DeadKernelError,
    KernelSpecManager,
    NotebookClient,
    nbformat,
)
from local.notebook_lake import (
    fill,
    require_sessions,
    synthetic_days,
    synthetic_trading_days,
    write_synthetic_sessions,
    write_synthetic_trading_days,
)
from local.notebook_pages import write_pages
from local.notebook_spark import running_spark
from local.spark_settings import PYTHON_ENVIRON

NOTEBOOKS = PROJECT / "notebooks"
OUTPUT = PROJECT / "build" / "notebooks"

_KERNEL = "bovespa"
_START_TIMEOUT_S = 180
_CELL_TIMEOUT_S = 300
_END_TIMEOUT_S = 15.0


class NotebookFailed(BovespaError):
    """A notebook could not be executed; the message names the notebook, the cell and the reason."""

    code = "notebook_failed"


def run_notebooks(
    sessions: Path | None,
    output: Path,
    *,
    endpoint_url: str | None = None,
    notebooks: Sequence[Path] = (),
    report: Callable[[str], None],
) -> list[Path]:
    """Execute notebooks, each in a kernel of its own, and write their pages and figures.

    Args:
        sessions: B3's CSV files, and its records of trading days if there are any; None for an invented history.
        output: Folder for what is written, made if missing.
        endpoint_url: A cloud that runs already and whose tables are read as they are; None starts one and fills it.
        notebooks: Which to execute, in order; none means all of the project's.
        report: Receives a line for each step.

    Returns:
        The files written.

    Raises:
        CloudDidNotStart: The cloud did not come up.
        ConfigurationError: Java is missing.
        LakeNotFilled: The sessions could not be imported or refined.
        NotebookFailed: A cell raised; the pages of the notebooks before it are written.
        SparkDidNotStart: The notebooks' Spark did not come up.
    """
    # What Jupyter says about itself at the level of warnings is of no use to who waits for pages.
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    if sessions is not None and endpoint_url is None:
        require_sessions(sessions)
    paths = notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    output.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        work_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bovespa-notebooks-")))
        if endpoint_url is None:
            cloud = stack.enter_context(running_cloud())
            endpoint_url = cloud.endpoint_url
            report(f"cloud at {endpoint_url}, stack deployed")
            if sessions is None:
                sessions = work_dir / "sessions"
                sessions.mkdir()
                write_synthetic_sessions(sessions, synthetic_days())
                write_synthetic_trading_days(sessions, synthetic_trading_days())
            report(f"{fill(cloud, sessions, report)} sessions refined in one run")
        spark_dir = work_dir / "spark"
        spark_dir.mkdir()
        started = time.monotonic()
        variables = {**aws_environment(endpoint_url), **stack.enter_context(running_spark(endpoint_url, spark_dir))}
        report(f"Spark has the tables after {time.monotonic() - started:.1f} s")
        written: list[Path] = []
        for path in paths:
            started = time.monotonic()
            notebook = execute(path, variables, work_dir)
            written += write_pages(notebook, path.stem, output)
            report(f"{path.name} executed in {time.monotonic() - started:.1f} s")
    return written


def execute(path: Path, variables: Mapping[str, str], work_dir: Path) -> Any:
    """Execute a notebook in a kernel of its own and return it with its outputs.

    Args:
        path: The notebook; it is not changed.
        variables: For the environment: with which the kernel reaches Spark, and its cells the cloud.
        work_dir: Folder for what the kernel leaves behind.

    Raises:
        NotebookFailed: A cell raised or took too long, or the kernel ended.
    """
    notebook = nbformat.read(path, as_version=4)
    kernel_dir = Path(tempfile.mkdtemp(prefix=f"{path.stem}-", dir=work_dir))
    try:
        _run_in_a_thread(_execute(notebook, variables, kernel_dir))
    except CellExecutionError as error:
        raise NotebookFailed(f"{path.name}, {_failed_cell(notebook)}: {error.ename}: {error.evalue}") from error
    except (DeadKernelError, RuntimeError, TimeoutError) as error:
        words = (kernel_dir / "kernel.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise NotebookFailed(f"{path.name}, {_failed_cell(notebook)}: {error}\n{words}") from error
    return notebook


def _run_in_a_thread(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run *coroutine* to its end; if this thread is told to stop meanwhile, cancel it and let it clean up.

    Not in this thread, because nbclient would take the signals there for itself, and a kernel could outlive it.
    """
    loop = asyncio.new_event_loop()
    try:
        with ThreadPoolExecutor(max_workers=1) as threads:
            task = loop.create_task(coroutine)
            running = threads.submit(loop.run_until_complete, task)
            try:
                running.result()
            except BaseException:
                loop.call_soon_threadsafe(task.cancel)
                raise
    finally:
        loop.close()


async def _execute(notebook: Any, variables: Mapping[str, str], kernel_dir: Path) -> None:
    manager = _kernel_manager(kernel_dir)
    with (kernel_dir / "kernel.log").open("wb") as log:
        await manager.start_kernel(env=_environment(variables, kernel_dir), cwd=str(kernel_dir), stdout=log, stderr=log)
        # The kernel leads a group of its own, in which is whatever its cells start.
        group: int = getattr(manager.provisioner, "pgid")  # noqa: B009 - only the local provisioner has one
        client = NotebookClient(
            notebook, km=manager, startup_timeout=_START_TIMEOUT_S, timeout=_CELL_TIMEOUT_S, record_timing=False
        )
        try:
            await client.async_execute()
        finally:
            if client.kc is not None:
                # nbclient closes its connections only to kernels that it has started itself.
                client.kc.stop_channels()
            await manager.shutdown_kernel()
            _end_group(group)


def _kernel_manager(kernel_dir: Path) -> AsyncKernelManager:
    """A manager that knows one kernel, ours, and leaves its connection file in *kernel_dir*."""
    spec_dir = kernel_dir / "kernels" / _KERNEL
    spec_dir.mkdir(parents=True)
    command = [sys.executable, "-m", "local.notebook_kernel", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Athena's PySpark, on this machine", "language": "python"}
    (spec_dir / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return AsyncKernelManager(
        kernel_name=_KERNEL,
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(spec_dir.parent)], ensure_native_kernel=False),
        connection_file=str(kernel_dir / "connection.json"),
    )


def _environment(variables: Mapping[str, str], kernel_dir: Path) -> Mapping[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOVESPA_"))},
        **variables,
        "PYTHONPATH": str(PROJECT),
        **PYTHON_ENVIRON,
        # Athena's kernel shows a figure when it is told to, not whenever a cell ends.
        "MPLBACKEND": "agg",
        # Neither a person's profile nor history has a part in this, and nothing of it stays.
        "IPYTHONDIR": str(kernel_dir / "ipython"),
        "TMPDIR": str(kernel_dir),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _end_group(group: int) -> None:
    """Wait for what the kernel's cells started, and end it if it stays."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    pause = threading.Event()
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            pause.wait(0.05)
        os.killpg(group, signal.SIGKILL)


def _failed_cell(notebook: Any) -> str:
    """Say which cell was the last to run, by its place among the notebook's cells and its first words."""
    started = [place for place, cell in enumerate(notebook.cells, 1) if cell.get("execution_count") is not None]
    failed = [place for place, cell in enumerate(notebook.cells, 1) if _raised(cell.get("outputs", ()))]
    place = (failed or started or [0])[-1]
    if not place:
        return "before its first cell"
    lines = notebook.cells[place - 1].source.strip().splitlines()
    return f"cell {place} ({lines[0] if lines else 'empty'})"


def _raised(outputs: Sequence[Mapping[str, Any]]) -> bool:
    return any(output["output_type"] == "error" for output in outputs)
