"""The kernel that the local notebooks run in: IPython with what an Athena notebook finds there.

    python -m local.notebook_kernel -f CONNECTION_FILE

`spark` is a session of the Spark that the environment names (`local.notebook_spark`), and `%matplot plt` shows the
current figure. `local.notebooks` starts it.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from IPython.display import publish_display_data

from local.notebook_gateway import attached_session


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
    app = IPKernelApp.instance(user_ns={"spark": attached_session()})
    app.initialize(sys.argv[1:])
    shell: Any = app.shell

    def matplot(name: str) -> None:
        show_figure(shell.user_ns[name.strip()])

    shell.register_magic_function(matplot, "line", "matplot")
    # Spark stays: the next notebook's kernel finds it warm.
    app.start()


if __name__ == "__main__":
    main()
