"""The notebooks as they are committed: no outputs, nothing that Athena's Spark lacks, one palette."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.conftest import PROJECT

NAMES = sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb"))
EVERY_NOTEBOOK = pytest.mark.parametrize("name", NAMES)

IMPORTS = {"datetime", "matplotlib", "numpy", "pandas", "IPython"}
"""What Athena's Spark has without pip; IPython only where it is the kernel."""

SPARK_METHODS = {"sql", "collect", "columns"}
"""What the notebooks call of Spark's API: all of it is in Spark 3.2, and in Spark Connect."""

SQL_FUNCTIONS = {"ABS", "COUNT", "DATEDIFF", "MAX", "ROW_NUMBER"}
SQL_WORDS = {"AND", "AS", "BY", "IN", "OVER", "PARTITION", "FROM", "WHERE", "SELECT", "WITH", "DATE", "BETWEEN"}
PARTITION_KEYS = {
    "portfolio": ("index_code", "session_date"),
    "holdings": ("index_code",),
    "sessions": ("index_code", "session_year"),
    "trading": ("session_year",),
}


@cache
def read(name: str) -> Any:
    # Not every process that collects tests shall wait for it.
    from local.jupyter import nbformat  # noqa: PLC0415

    notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def python(source: str) -> str:
    """A cell without the lines that are magics."""
    return "\n".join("" if line.startswith("%") else line for line in source.splitlines())


def trees(notebook: Any) -> list[ast.Module]:
    # Athena's PySpark engine version 3 runs Python 3.9.
    return [ast.parse(python(source), feature_version=(3, 9)) for source in code_cells(notebook)]


def nodes(notebook: Any) -> list[ast.AST]:
    return [node for tree in trees(notebook) for node in ast.walk(tree)]


def queries(notebook: Any) -> list[str]:
    texts = [node.value for node in nodes(notebook) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if "bovespa." in text]


def test_there_are_the_three_notebooks() -> None:
    assert {"index_today", "index_over_time", "trading_day"} <= set(NAMES)


@EVERY_NOTEBOOK
def test_a_notebook_is_committed_without_outputs_and_says_how_to_run_it(name: str) -> None:
    notebook = read(name)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
    first, parameters = notebook.cells[:2]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert "Athena" in first.source
    assert parameters.source.startswith('# Parameters\nINDEX_CODE = "IBOV"\n')


@EVERY_NOTEBOOK
def test_nothing_is_installed_and_only_what_athena_has_is_imported(name: str) -> None:
    notebook = read(name)
    lines = [line.strip() for source in code_cells(notebook) for line in source.splitlines()]
    assert {line for line in lines if line.startswith(("%", "!"))} == {"%matplot plt"}
    assert not any("pip" in line.split() for line in lines)
    imported = set()
    for node in nodes(notebook):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= IMPORTS


@EVERY_NOTEBOOK
def test_spark_is_asked_only_what_spark_3_2_understands(name: str) -> None:
    notebook = read(name)
    uses = [node for node in nodes(notebook) if isinstance(node, ast.Attribute)]
    assert {use.attr for use in uses if isinstance(use.value, ast.Name) and use.value.id == "spark"} == {"sql"}
    of_answers = {use.attr for use in uses if ast.unparse(use.value) in ("answer", "spark.sql")}
    assert of_answers <= SPARK_METHODS
    called = {word.upper() for text in queries(notebook) for word in re.findall(r"\b([A-Za-z_]+)\s*\(", text)}
    assert called - SQL_WORDS - {"FOLLOWED", "ROWS_OF_PERIOD"} <= SQL_FUNCTIONS


@EVERY_NOTEBOOK
def test_every_query_names_partition_keys(name: str) -> None:
    asked = queries(read(name))
    assert len(asked) >= 3
    for text in asked:
        for table in re.findall(r"FROM bovespa\.(\w+)", text):
            for key in PARTITION_KEYS[table]:
                assert re.search(rf"\b{key} (=|BETWEEN)", text), text


def test_the_helpers_are_the_same_in_every_notebook() -> None:
    shared = {
        name: [cell.source for cell in read(name).cells if "same cell is in every notebook" in cell.source]
        for name in NAMES
    }
    assert all(len(cells) == 1 for cells in shared.values())
    assert len({cells[0] for cells in shared.values()}) == 1


@EVERY_NOTEBOOK
def test_colours_come_from_the_one_palette(name: str) -> None:
    helpers, *others = sorted(code_cells(read(name)), key=lambda source: "same cell is in every" not in source)
    palette = set(re.findall(r"#[0-9A-Fa-f]{6}\b", helpers))
    assert len(palette) == 12
    for source in others:
        assert set(re.findall(r"#[0-9A-Fa-f]{6}\b", source)) == set()
        named = re.findall(r"\bcolor=\"(\w+)\"|\bfacecolor=\"(\w+)\"", source)
        assert {one or other for one, other in named} <= {"none"}


@EVERY_NOTEBOOK
def test_every_figure_has_a_name_and_its_cell_ends_with_the_magic(name: str) -> None:
    drawing = [source for source in code_cells(read(name)) if re.search(r"= new_figure\(", source)]
    assert len(drawing) >= 3
    assert all(source.rstrip().endswith("\n%matplot plt") for source in drawing)
    names = [re.search(r'new_figure\(\s*"([a-z-]+)"', source) for source in drawing]
    assert all(names)
    assert len({match[1] for match in names if match}) == len(drawing)


def test_a_kernel_without_the_magic_gets_one(capsys: pytest.CaptureFixture[str]) -> None:
    """SageMaker Unified Studio runs IPython without `%matplot`: the notebook brings its own."""
    (helpers,) = [source for source in code_cells(read("index_today")) if "same cell is in every" in source]
    shell = InteractiveShell.instance()
    try:
        assert "matplot" not in shell.magics_manager.magics["line"]
        shell.run_cell(helpers, silent=True).raise_error()
        shown = 'new_figure("a", "b", "c")\n%matplot plt\nassert plt.get_fignums() == []'
        shell.run_cell(shown, silent=True).raise_error()
        assert "Figure" in capsys.readouterr().out
    finally:
        InteractiveShell.clear_instance()


@pytest.mark.parametrize("text", ["PETR4", "Dotted: a rebalanced portfolio", "\u2212(Ação)", "ONE"])
@pytest.mark.parametrize("bold", [False, True])
def test_a_text_is_as_wide_as_its_outline(text: str, *, bold: bool) -> None:
    from matplotlib.textpath import TextPath  # noqa: PLC0415 - not every process that collects tests shall wait for it

    (helpers,) = [source for source in code_cells(read("index_today")) if "same cell is in every" in source]
    names: dict[str, Any] = {}
    exec(compile(helpers, "helpers", "exec"), names)  # noqa: S102 - our own cell
    weight = "bold" if bold else "normal"
    outline = TextPath((0, 0), text, size=9.5, prop={"family": "DejaVu Sans", "weight": weight})
    assert names["width_of"](text, 9.5, bold) == outline.get_extents().width
    assert names["width_of"](" ", 9.5, bold) == 0


def test_tiles_of_the_treemap_have_exactly_their_area_and_do_not_overlap() -> None:
    (layout,) = [source for source in code_cells(read("index_today")) if "def squarified" in source]
    names: dict[str, Any] = {"INK": "#222222", "PAPER": "#FFFFFF", "width_of": lambda text, size: len(text) * size}
    exec(compile(layout, "layout", "exec"), names)  # noqa: S102 - our own cell
    values = [10.924, 4.652, 4.332, 4.3, 3.0, 1.5, 1.5, 0.4, 0.2, 0.001]
    tiles = names["squarified"](values, 5.0, 7.0, 300.0, 200.0)
    assert [tile[2] * tile[3] for tile in tiles] == pytest.approx([60000 * value / sum(values) for value in values])
    for place, (x, y, width, height) in enumerate(tiles):
        assert (x, y) >= (5.0 - 1e-9, 7.0 - 1e-9)
        assert x + width <= 305.0 + 1e-9
        assert y + height <= 207.0 + 1e-9
        for other_x, other_y, other_width, other_height in tiles[place + 1 :]:
            across = min(x + width, other_x + other_width) - max(x, other_x)
            along = min(y + height, other_y + other_height) - max(y, other_y)
            assert across <= 1e-9 or along <= 1e-9
    assert names["tint"]("#0072B2", 1.0) == "#0072B2"
    assert (names["ink_on"]("#F0E442"), names["ink_on"]("#0072B2")) == ("#222222", "#FFFFFF")


def test_pictures_of_the_documentation_are_small_and_shown() -> None:
    pictures = sorted((PROJECT / "docs" / "images").glob("*.png"))
    documents = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in documents)
    assert pictures
    for path in pictures:
        assert Path(path).stat().st_size < 150_000
        assert f"images/{path.name})" in text
