"""What a person looks at: an executed notebook as one HTML file that needs no network, and each figure as a PNG."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image
from pygments.formatters import HtmlFormatter
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
    """Write `<name>.html`, `<name>-<figure>.png` for each figure, and `<name>.ipynb` with its outputs.

    Args:
        notebook: An executed notebook.
        name: Of the notebook, without its suffix.
        folder: Where to write; must exist.

    Returns:
        The files, the page first.
    """
    # With nbconvert it takes a second to import, which only those who write pages shall wait for.
    from local.jupyter import nbformat  # noqa: PLC0415

    page = folder / f"{name}.html"
    page.write_text(_html(notebook, name), encoding="utf-8")
    executed = folder / f"{name}.ipynb"
    nbformat.write(notebook, executed)
    written = [page, executed]
    for position, figure in enumerate(figures(notebook), start=1):
        path = folder / f"{name}-{figure.name or position}.png"
        path.write_bytes(_small(figure.png))
        written.append(path)
    return written


def _small(png: bytes) -> bytes:
    """Return the picture with a palette of 256 colours, which a chart does not exceed by much: a third of the size."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _html(notebook: Any, name: str) -> str:
    body, _ = _exporter().from_notebook_node(notebook, resources={"metadata": {"name": name}})
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    return _PAGE.substitute(title=html.escape(_title(notebook) or name), colours=colours, body=body)


@cache
def _exporter() -> Any:
    """What makes the body of every page: its templates are compiled once."""
    from nbconvert.exporters import HTMLExporter  # noqa: PLC0415 - as above

    settings = Config()
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_input_tags = {HELPER_TAG}
    # Only the body comes from Jupyter: its own pages load scripts from elsewhere, and these shall need no network.
    exporter = HTMLExporter(
        config=settings, template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, embed_images=True
    )
    exporter.register_preprocessor("nbconvert.preprocessors.TagRemovePreprocessor", enabled=True)
    return exporter


def _title(notebook: Any) -> str:
    first = notebook.cells[0].source.splitlines() if notebook.cells else []
    return first[0].lstrip("# ") if first else ""


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { max-width: 1120px; margin: 2rem auto; padding: 0 1rem; color: #222; font: 16px/1.5 sans-serif; }
img { max-width: 100%; }
pre { font: 13px/1.45 monospace; overflow-x: auto; margin: 0; padding: 0.6rem 0.8rem; }
.highlight { background: #f7f7f7; border-left: 3px solid #ddd; margin: 0.5rem 0; }
.anchor-link { display: none; }
$colours
</style>
</head>
<body>
$body
</body>
</html>
""")
