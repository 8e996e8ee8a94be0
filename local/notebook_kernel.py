"""The kernel that the local notebooks run in: IPython with what an Athena notebook finds there.

    python -m local.notebook_kernel -f CONNECTION_FILE

`spark` is a Spark session over the tables of the cloud that AWS's variables name, and `%matplot plt` shows the current
figure. `local.notebooks` starts it.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import boto3
from ipykernel.kernelapp import IPKernelApp
from IPython.display import publish_display_data

from local.athena import DATABASE
from local.notebook_tables import session_with_tables


def show_figure(pyplot: Any) -> None:
    """Show the current figure, as `%matplot plt` does on Athena, and say in the output's metadata what is in it."""
    figure = pyplot.gcf()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    described = {
        "name": figure.get_label(),
        "title": _title(figure),
        "axes": [
            {"title": axes.get_title(loc="left"), "x": axes.get_xlabel(), "y": axes.get_ylabel(), "shown": axes.axison}
            for axes in figure.get_axes()
        ],
    }
    publish_display_data(
        {"image/png": picture.getvalue(), "text/plain": described["title"]},
        metadata={"figure": described, "image/png": {"alt": described["title"]}},
    )


def _title(figure: Any) -> str:
    suptitle = figure._suptitle  # noqa: SLF001 - get_suptitle is newer than what Athena has, and the tests compare
    return "" if suptitle is None else str(suptitle.get_text())


def main() -> None:
    """Run the kernel until it is told to stop."""
    spark = session_with_tables(boto3.client("glue"), DATABASE)
    app = IPKernelApp.instance(user_ns={"spark": spark})
    app.initialize(sys.argv[1:])
    shell: Any = app.shell

    def matplot(name: str) -> None:
        show_figure(shell.user_ns[name.strip()])

    shell.register_magic_function(matplot, "line", "matplot")
    try:
        app.start()
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
