"""What the notebooks need of Jupyter, imported in a fifth of the time.

Jupyter's format is checked by jsonschema, which builds a grammar of international addresses as it is imported, if a
package that has one is installed (the tool that writes the SBOM brings it). No notebook holds such an address. Without
the package, jsonschema leaves out this one check.
"""

from __future__ import annotations

import sys

# To whoever imports it from now on, Python says that there is none.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat  # noqa: E402
from jupyter_client.kernelspec import KernelSpecManager  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError, DeadKernelError  # noqa: E402

__all__ = [
    "AsyncKernelManager",
    "CellExecutionError",
    "DeadKernelError",
    "KernelSpecManager",
    "NotebookClient",
    "nbformat",
]
