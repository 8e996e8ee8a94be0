"""The dependency arrows, and what may not happen on import, read from the sources.

    app -> api, scrap, s3_bucket_manager -> bovespa <- lambda_handler, glue
    app -> maintenance -> s3_bucket_manager, bovespa

`local`, `benchmarks`, `load`, `attacks` and `faults` may use everything. Nothing else uses those, `app` or
`infrastructure`, but that `load` and `faults` measure with what `benchmarks` has.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

PRODUCT = ("bovespa", "api", "app", "scrap", "maintenance", "s3_bucket_manager", "lambda_handler", "glue")

USES = {
    "bovespa": set(),
    "api": {"bovespa"},
    "scrap": {"bovespa"},
    "s3_bucket_manager": {"bovespa"},
    "maintenance": {"s3_bucket_manager", "bovespa"},
    "lambda_handler": {"bovespa"},
    "glue": {"bovespa"},
    "app": {"api", "scrap", "maintenance", "s3_bucket_manager", "bovespa"},
    "infrastructure": {"bovespa"},
    "local": {*PRODUCT, "infrastructure"},
    "benchmarks": {*PRODUCT, "infrastructure", "local"},
    "load": {"benchmarks", "local", "bovespa"},
    "attacks": {"api", "local", "bovespa"},
    "faults": {"s3_bucket_manager", "infrastructure", "local", "benchmarks", "bovespa"},
}
"""Which of our packages each may import, besides itself."""

IN_THE_CLOUD = {"bovespa": set(), "lambda_handler": {"boto3", "botocore", "aws_lambda_powertools"}}
"""What a package may import that is neither ours nor the standard library; those not named here may import anything."""

REACHES_OUT = {
    *(
        "boto3.client",
        "boto3.resource",
        "boto3.Session",
        "boto3.session.Session",
        "os.getenv",
        "os.environ.get",
        "open",
    ),
    *("logging.basicConfig", "SparkSession.builder.getOrCreate", "webdriver.Chrome", "create_app", "dt.datetime.now"),
    *("dt.date.today", "datetime.now", "date.today", "time.time", "subprocess.run", "subprocess.Popen"),
}
"""Calls that read the environment, the clock, a file, or reach something else: never while a module is imported."""


def sources(package: str) -> list[Path]:
    module = PROJECT / f"{package}.py"
    return [module] if module.exists() else sorted((PROJECT / package).rglob("*.py"))


EVERY_SOURCE = [
    pytest.param(package, path, id=path.relative_to(PROJECT).as_posix())
    for package in USES
    for path in sources(package)
]
PRODUCT_SOURCES = [parameter for parameter in EVERY_SOURCE if parameter.values[0] in PRODUCT]


def imported(path: Path) -> set[str]:
    """The first parts of the names of all modules that *path* imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(path.parent.name if node.level else (node.module or "").partition(".")[0])
    return found


def run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what Python evaluates while it imports the module: not the bodies of functions, nor the main guard."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("__name__ == '__main__'", "TYPE_CHECKING"):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*child.args.defaults, *filter(None, child.args.kw_defaults)]
            yield from run_on_import(ast.Tuple([*child.decorator_list, *defaults]))
            continue
        yield child
        yield from run_on_import(child)


def reached_on_import(tree: ast.AST) -> set[str]:
    """What a module reads or reaches when it is imported, by the names that it uses for it."""
    nodes = list(run_on_import(tree))
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    methods = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    lookups = {ast.unparse(node.value) for node in nodes if isinstance(node, ast.Subscript)}
    found = (calls & REACHES_OUT) | (methods & {"read_text", "read_bytes", "write_text", "mkdir", "getOrCreate"})
    return found | (lookups & {"os.environ"})


@pytest.mark.parametrize(("package", "path"), EVERY_SOURCE)
def test_every_import_follows_the_arrows(package: str, path: Path) -> None:
    assert imported(path) & set(USES) <= USES[package] | {package}


@pytest.mark.parametrize("package", IN_THE_CLOUD)
def test_what_is_zipped_for_the_function_needs_only_what_lambda_has_or_the_zip_brings(package: str) -> None:
    assert sources(package)
    for path in sources(package):
        others = imported(path) - set(USES) - sys.stdlib_module_names
        assert others <= IN_THE_CLOUD[package], path


@pytest.mark.parametrize(("package", "path"), PRODUCT_SOURCES)
def test_importing_reaches_nothing(package: str, path: Path) -> None:
    assert reached_on_import(ast.parse(path.read_text(encoding="utf-8"))) == set(), package


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("client = boto3.client('s3')", {"boto3.client"}),
        ("class A:\n    name = os.environ['X']", {"os.environ"}),
        ("def f(now=dt.datetime.now()): ...", {"dt.datetime.now"}),
        ("TEXT = Path('a').read_text()", {"read_text"}),
        ("spark = SparkSession.builder.appName('x').getOrCreate()", {"getOrCreate"}),
        ("def f():\n    return boto3.client('s3')", set()),
        ("def f(environ=os.environ): ...", set()),
        ("if __name__ == '__main__':\n    open('x')", set()),
        ("f = lambda: open('x')", set()),
        ("def f(*, now=lambda: dt.datetime.now()): ...", set()),
        ("@decorated(open('x'))\ndef f(): ...", {"open"}),
    ],
)
def test_the_rule_tells_import_from_call(code: str, found: set[str]) -> None:
    assert reached_on_import(ast.parse(code)) == found


KEY = re.compile(r"(?:index_code|session_date|session_year|ticker)=|^(?:source|portfolio|quarantine|receipts|imports)/")


def keys_spelled(tree: ast.AST) -> list[str]:
    """The strings of a module that spell a key or a part of one; docstrings and comments may show what they want."""
    docstrings = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in texts if node not in docstrings and KEY.search(node.value)]


@pytest.mark.parametrize(("package", "path"), PRODUCT_SOURCES)
def test_only_the_layout_spells_keys(package: str, path: Path) -> None:
    found = keys_spelled(ast.parse(path.read_text(encoding="utf-8")))
    assert bool(found) == (path == PROJECT / "bovespa" / "layout.py"), (package, found)


@pytest.mark.parametrize(("package", "path"), PRODUCT_SOURCES)
def test_no_code_names_a_region(package: str, path: Path) -> None:
    assert re.findall(r"\b(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d\b", path.read_text(encoding="utf-8")) == [], package


def test_every_run_that_we_start_waits_for_its_turn() -> None:
    """The emulator does not read what a run asks for, and on AWS a run that does not ask is refused."""
    started = [
        (path.name, any(word.arg is None and ast.unparse(word.value) == "QUEUED" for word in node.keywords))
        for package in (*PRODUCT, "infrastructure")
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "start_job_run"
    ]
    assert sorted(started) == [("doctor.py", True), ("lambda_handler.py", True), ("refine_run.py", True)]


def test_every_package_of_the_project_has_an_arrow() -> None:
    packages = {path.parent.name for path in PROJECT.glob("*/__init__.py")} | {
        path.stem for path in PROJECT.glob("*.py")
    }
    assert packages - {"tests"} == set(USES)


def test_every_package_is_checked_for_types_and_for_security() -> None:
    modules = {PROJECT / package if (PROJECT / package).is_dir() else PROJECT / f"{package}.py" for package in USES}
    ours = {path.name for path in modules}
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(settings["tool"]["mypy"]["files"]) == ours
    (sources,) = re.findall(r"^SOURCES := (.+)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(sources.split()) == ours


def test_no_two_test_modules_have_one_name() -> None:
    """Pytest imports them by their base name, and refuses the second one, but only when both are collected."""
    names = [path.name for path in (PROJECT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
