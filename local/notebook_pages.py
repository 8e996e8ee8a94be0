"""What a person looks at: an executed notebook as one HTML file that needs no network, and each figure as a PNG."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

HELPER_TAG = "helper"
"""Cells with this tag define functions; the page leaves their code out, the notebook has it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that an executed notebook shows."""

    name: str
    """What its file is called; empty if the notebook does not name it."""
    title: str
    axes: tuple[dict[str, Any], ...]
    """Title, labels and visibility of each of its axes."""
    png: bytes


def figures(notebook: Any) -> Iterator[Figure]:
    """Yield the figures of an executed notebook, in order."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            picture = output.get("data", {}).get("image/png")
            if picture is not None:
                described = output["metadata"].get("figure", {})
                axes = tuple(dict(one) for one in described.get("axes", ()))
                yield Figure(described.get("name", ""), described.get("title", ""), axes, base64.b64decode(picture))


def printed(notebook: Any) -> str:
    """Return what the cells of an executed notebook printed."""
    texts = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == "stdout"
    ]
    return "".join(texts)


def write_pages(notebook: Any, name: str, folder: Path) -> list[Path]:
    """Write `<name>.html` and `<name>-<figure>.png` for each figure.

    Args:
        notebook: An executed notebook.
        name: Of the notebook, without its suffix.
        folder: Where to write; must exist.

    Returns:
        The files, the page first.
    """
    page = folder / f"{name}.html"
    page.write_text(_html(notebook, name), encoding="utf-8")
    written = [page]
    for position, figure in enumerate(figures(notebook), start=1):
        path = folder / f"{name}-{figure.name or position}.png"
        path.write_bytes(figure.png)
        written.append(path)
    return written


def _html(notebook: Any, name: str) -> str:
    settings = Config()
    settings.HTMLExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_input_tags = {HELPER_TAG}
    # The page shall look the same on a machine without a network: nothing of it comes from elsewhere.
    settings.HTMLExporter.mathjax_url = settings.HTMLExporter.require_js_url = settings.HTMLExporter.mermaid_js_url = ""
    body, _ = HTMLExporter(config=settings, template_name="classic").from_notebook_node(
        notebook, resources={"metadata": {"name": name}}
    )
    return str(body)
