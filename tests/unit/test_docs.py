"""The documents say what is: every setting, code, option, column, path and name in them is held to the code."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import importlib
import inspect
import io
import json
import re
import subprocess
import sys
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

import infrastructure.deploy
from api import errors as api_errors
from api import openapi
from api.problems import KINDS
from bovespa import errors
from bovespa.layout import CompactYear, Receipt, Session, TradingDay, trading_year_source_key
from bovespa.portfolio_csv import parse_csv
from bovespa.session_state import ALL_SESSIONS
from bovespa.settings import Settings
from glue.job import parse_arguments
from glue.schema import REFINED_COLUMNS
from glue.subjects import Subjects
from infrastructure import data_dictionary
from infrastructure.template import TEMPLATE, read
from local.synthetic import synthetic_csv
from local.synthetic_trading import synthetic_cotahist, synthetic_quotes
from maintenance.findings import Kind
from tests import markdown
from tests.conftest import PROJECT
from tests.operator_commands import flask_command

TRANSLATED = {
    "README.md": "README.pt-BR.md",
    "docs/api.md": "docs/api.pt-BR.md",
    "docs/deploy-and-collect.md": "docs/deploy-and-collect.pt-BR.md",
}
"""Documents in English, and the same in Portuguese."""
READMES, APIS, DEPLOYMENTS = TRANSLATED.items()
DOCUMENTS = [
    *(PROJECT / name for name in (*READMES, "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
TEXTS = {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README = TEXTS["README.md"]
RUNBOOK = TEXTS["docs/runbook.md"]
EVERY_DOCUMENT = pytest.mark.parametrize("name", list(TEXTS))
EVERY_README = pytest.mark.parametrize("name", READMES)
EVERY_API = pytest.mark.parametrize("name", APIS)
EVERY_DEPLOYMENT = pytest.mark.parametrize("name", DEPLOYMENTS)
EVERY_TRANSLATION = pytest.mark.parametrize(("english", "portuguese"), TRANSLATED.items())


def table_with(text: str, cell: str) -> dict[str, list[str]]:
    """The rows of the one table whose first column holds *cell*, by their first cell, without backquotes."""
    (found,) = (rows for rows in markdown.tables(text) if any(row[0].startswith(f"`{cell}`") for row in rows))
    return {row[0].strip("`"): row[1:] for row in found[1:]}


# ------------------------------------------------------------------------------------------------- settings, codes


@EVERY_README
def test_the_table_of_settings_has_every_setting_with_its_default(name: str) -> None:
    required, none = {"README.md": ("required", "none"), "README.pt-BR.md": ("obrigatória", "nenhuma")}[name]
    shown = {variable: cells[0] for variable, cells in table_with(TEXTS[name], "BOVESPA_RAW_BUCKET").items()}
    assert shown == {
        f"BOVESPA_{field.name.upper()}": (
            required
            if field.default is dataclasses.MISSING
            else none
            if field.default == ""
            else f"`{field.default:g}`"
            if isinstance(field.default, float)
            else f"`{field.default}`"
        )
        for field in dataclasses.fields(Settings)
    }


@EVERY_API
def test_the_table_of_routes_has_every_route_and_every_parameter_that_is_not_the_path_s(name: str) -> None:
    (rows,) = (rows for rows in markdown.tables(TEXTS[name]) if rows[1][0].startswith("`POST /login`"))
    shown = {}
    for method, url in re.findall(r"`(GET|POST) ([^`]+)`", "".join(row[0] for row in rows[1:])):
        path, _, query = url.partition("?")
        path = re.sub(r"/sessions/IBOV/[\d-]+", "/sessions/{index}/{date}", path)
        shown[method.lower(), path] = [part.partition("=")[0] for part in query.split("&") if part]
    assert shown == {
        (method, path): [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for path, methods in openapi.DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


@EVERY_API
def test_the_table_of_errors_has_every_code_with_its_status_and_its_patience(name: str) -> None:
    shown = {code: (cells[0], cells[2]) for code, cells in table_with(TEXTS[name], "unknown_index").items()}
    assert shown == {
        code: (str(kind.status), f"{kind.retry_after_s} s" if kind.retry_after_s else "")
        for code, kind in KINDS.items()
    }


@EVERY_API
def test_every_code_of_the_error_tree_is_named(name: str) -> None:
    classes = [
        value
        for module in (errors, api_errors)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, errors.BovespaError)
    ]
    leaves = {one.code for one in classes if not any(one in other.__bases__ for other in classes)}
    assert leaves, "the tree was not found"
    named = set(re.findall(r"`(\w+)`", TEXTS[name]))
    assert (leaves | {errors.ConfigurationError.code}) - named == set()


# ------------------------------------------------------------------------------------------------- links and names


@EVERY_DOCUMENT
def test_every_relative_link_leads_somewhere(name: str) -> None:
    broken = []
    for link in markdown.links(TEXTS[name]):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (PROJECT / name).parent / target if target else PROJECT / name
        is_there = path.exists() and PROJECT in [path.resolve(), *path.resolve().parents]
        if not is_there or (anchor and anchor not in markdown.anchors(path.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


def test_the_folders_are_those_of_the_project() -> None:
    shown = {path.rstrip("/") for path in table_with(README, "app.py")}
    ours = {path.parent.name for path in PROJECT.glob("*/__init__.py")} | {
        "app.py",
        "athena",
        "deployment",
        "docs",
        "notebooks",
        "scripts",
        "tests",
    }
    assert shown == ours


def test_each_arrow_of_the_architecture_is_a_function_that_exists() -> None:
    (arrows,) = (rows for rows in markdown.tables(TEXTS["docs/architecture.md"]) if rows[0][1] == "Function")
    assert len(arrows) > 10
    for _, function, _, held_by in arrows[1:]:
        assert callable(resolved(function.strip("`"))), function
        assert (PROJECT / held_by.strip("`")).is_file(), held_by


def test_the_architecture_is_one_page() -> None:
    assert TEXTS["docs/architecture.md"].count("\n") <= 120


def changes() -> dict[str, tuple[str, str]]:
    """What there is to change: where to go, and what tells whoever forgot a part."""
    (rows,) = (
        rows
        for rows in markdown.tables(TEXTS["docs/architecture.md"])
        if rows[0] == ["To", "Go to", "Fails if forgotten"]
    )
    return {to: (where, told_by) for to, where, told_by in rows[1:]}


def linked(cell: str) -> set[str]:
    """The files and folders that a cell of the architecture links to, as paths of the project."""
    paths = [(PROJECT / "docs" / link.partition("#")[0]).resolve() for link in markdown.links(cell)]
    return {path.relative_to(PROJECT).as_posix() for path in paths}


@pytest.mark.parametrize("to", changes())
def test_what_is_to_be_changed_is_where_the_architecture_says(to: str) -> None:
    where, told_by = changes()[to]
    files = [PROJECT / name for name in linked(where) if (PROJECT / name).is_file()]
    texts = [path.read_text(encoding="utf-8") for path in files]
    for name in re.findall(r"`(_?[A-Z][A-Z_]+|Setor|IndexCodes)`", where):
        assert any(re.search(rf"\b{name}\b", text) for text in texts) or name.startswith("AWS_"), name
    known = makefile_recipes()
    assert set(re.findall(r"`make ([a-z]+)`", where)) <= known.keys()
    assert all((PROJECT / name).is_file() for name in linked(told_by))
    assert linked(told_by) or told_by == "the same"


@pytest.mark.parametrize(
    ("to", "metric"),
    [
        ("add a metric of a holding", "participation_rank_change"),
        ("add a metric of a session", "reductor_change_pct"),
        ("add what a trading day says of a holding", "index_contribution_points"),
    ],
)
def test_who_adds_a_metric_is_sent_to_every_place_where_one_stands(to: str, metric: str) -> None:
    """Everywhere but in what only asks for it: queries, notebooks, documents, and the tests of those."""
    only_asks = r"athena/[a-z_]+\.sql|tests/(query_reckoning|unit|integration|e2e)/.*"
    folders = {PROJECT / "athena", PROJECT / "tests", *(path.parent for path in PROJECT.glob("*/__init__.py"))}
    files = [path for one in folders for path in one.rglob("*") if path.suffix in (".py", ".sql", ".toml", ".yaml")]
    texts = {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    names = {name for name, text in texts.items() if re.search(rf"\b{metric}\b", text)}
    stands_in = {name for name in names if not re.fullmatch(only_asks, name)}
    assert len(stands_in) > 4
    assert stands_in - linked(changes()[to][0]) == set()


def resolved(dotted: str) -> Any:
    """The function that a dotted name names: a module, then attributes."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            found: Any = importlib.import_module(".".join(parts[:length]))
            break
    else:
        raise AssertionError(f"no module in {dotted}")
    for part in parts[length:]:
        found = getattr(found, part)
    return found


def test_the_keys_of_the_architecture_are_those_of_the_layout() -> None:
    session = Session("IBOV", dt.date(2025, 2, 3))
    architecture = TEXTS["docs/architecture.md"]
    assert f"`{session.raw_key}`" in architecture
    assert f"`{session.source_key('<sha256>')}`" in architecture
    assert f"`{session.refined_prefix}ticker=PETR4/portfolio.parquet`" in architecture
    assert f"`{Receipt(session, '<raw ETag>').key}`" in architecture
    day = TradingDay(dt.date(2021, 3, 26))
    assert f"`{day.raw_key}`" in architecture
    assert f"`{day.source_key('<sha256>', '.zip')}`" in architecture
    assert f"`{CompactYear.of('holdings', session).key(session.session_date)}`" in architecture
    assert f"`{CompactYear.of('trading', day).key(day.session_date)}`" in architecture
    assert f"`{trading_year_source_key(2021, '<sha256>', '.zip')}`" in architecture


def test_decisions_are_numbered_and_have_their_three_parts() -> None:
    decisions = sorted((PROJECT / "docs" / "adr").iterdir())
    assert len(decisions) > 5
    for number, path in enumerate(decisions, 1):
        title, *parts = markdown.headings(path.read_text(encoding="utf-8"))
        assert path.name.startswith(f"{number:04d}-")
        assert title[1].startswith(f"{number}. ")
        assert [part[1] for part in parts] == ["Context", "Decision", "Consequences"]


# -------------------------------------------------------------------------------------------------------- commands


@cache
def makefile_recipes() -> dict[str, str]:
    """The recipe of each target."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return {match[1]: match[2] for match in re.finditer(r"^([a-z-]+):.*##.*\n((?:\t.*\n?)*)", text, re.MULTILINE)}


@EVERY_DOCUMENT
def test_every_target_of_make_that_is_named_exists(name: str) -> None:
    named = {match for line in markdown.code(TEXTS[name]) for match in re.findall(r"\bmake ([a-z-]+)", line)}
    assert named - makefile_recipes().keys() == set()


def commands(text: str) -> set[tuple[tuple[str, ...], str]]:
    """Each command that a document shows, as (`python` arguments that name it, option or nothing)."""
    found = set()
    for line in markdown.code(text):
        for match in re.finditer(r"(?:python3?|flask) (--app app|-m [\w.]+)([^|;&)]*)", line):
            words = match[2].split()
            start = ("-m", "flask", "--app", "app") if match[1] == "--app app" else tuple(match[1].split())
            has_subcommand = match[1] in ("--app app", "-m local", "-m pip")
            if has_subcommand and words and words[0].isascii() and re.fullmatch(r"[a-z-]+", words[0]):
                start = (*start, words.pop(0))
            found |= {(start, word.partition("=")[0]) for word in ("", *words) if word == "" or word.startswith("--")}
        for target, arguments in re.findall(r"\bmake ([a-z-]+) ARGS=\"([^\"]*)\"", line):
            (module,) = re.findall(r"\$\(PYTHON\) (-m [\w .]+?) \$\(ARGS\)", makefile_recipes()[target])
            options = [word for word in arguments.split() if word.startswith("--")]
            found |= {(tuple(module.split()), option) for option in options}
    return found


COMMANDS = sorted({command for text in TEXTS.values() for command, _ in commands(text)})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_that_is_shown_exists_with_the_options_shown(command: tuple[str, ...]) -> None:
    shown = {option for text in TEXTS.values() for start, option in commands(text) if start == command and option}
    known = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", help_of(command)))
    assert shown - known == set()


def help_of(command: tuple[str, ...]) -> str:
    if command[:4] == ("-m", "flask", "--app", "app"):
        told = flask_command({}, *command[4:], "--help")
        assert told.exit_code == 0, told.stderr
        return told.stdout
    answer = subprocess.run(
        [sys.executable, *command, "--help"], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_commands_that_are_checked_are_the_ones_that_matter() -> None:
    assert {
        ("-m", "local", "up"),
        ("-m", "local", "query"),
        ("-m", "infrastructure.deploy"),
        ("-m", "flask", "--app", "app", "doctor"),
        ("-m", "flask", "--app", "app", "import-csv"),
        ("-m", "flask", "--app", "app", "ingest"),
        ("-m", "flask", "--app", "app", "ingest-trading-day"),
        ("-m", "flask", "--app", "app", "import-cotahist"),
        ("-m", "flask", "--app", "app", "hash-password"),
    } <= set(COMMANDS)


@EVERY_DOCUMENT
def test_every_call_of_aws_exists_with_the_parameters_shown(name: str) -> None:
    session = botocore.session.get_session()
    for line in markdown.code(TEXTS[name]):
        for service, call, rest in re.findall(r"\baws (glue|sqs|s3api|iam|lambda|secretsmanager) ([a-z-]+)(.*)", line):
            model = session.get_service_model("s3" if service == "s3api" else service)
            operations = {xform_name(operation, "-"): operation for operation in model.operation_names}
            assert call in operations, line
            shape = model.operation_model(operations[call]).input_shape
            known = {"--" + xform_name(member, "-") for member in shape.members}
            known |= {"--query", "--output", "--cli-binary-format"}  # those of every call
            shown = set(re.findall(r"(?<=\s)--[a-z-]+", re.sub(r"'[^']*'", "", rest)))
            assert shown - known == set(), line


def test_every_log_group_that_is_named_is_one_of_the_template() -> None:
    resources = read(TEMPLATE.read_text(encoding="utf-8"))["Resources"].values()
    groups = {
        one["Properties"]["LogGroupName"]["Fn::Sub"].replace("${Name}", "bovespa")
        for one in resources
        if one["Type"] == "AWS::Logs::LogGroup"
    }
    named = {match for text in TEXTS.values() for match in re.findall(r"`(/aws[\w/-]+)`", text)}
    assert len(named) > 3
    unknown = {name for name in named if name not in groups and not (name.endswith("/") and any_below(name, groups))}
    assert unknown == set()


def any_below(folder: str, names: set[str]) -> bool:
    return any(name.startswith(folder) for name in names)


def test_the_runs_of_the_runbook_are_understood_by_the_job() -> None:
    runs = re.findall(r"start-job-run --job-run-queuing-enabled --job-name (\S+) --arguments '([^']+)'", RUNBOOK)
    assert len(runs) >= 3
    others = [part for name in ("raw_bucket", "refined_bucket", "database", "table") for part in (f"--{name}", "x")]
    asked = []
    for job, arguments in runs:
        assert job == Settings.glue_job
        given = json.loads(arguments)
        asked.append(parse_arguments([*others, *(part for pair in given.items() for part in pair)]).sessions)
    assert None in asked, f"no run over {ALL_SESSIONS!r}"
    assert Subjects(frozenset({Session("IBOV", dt.date(2025, 2, 3))}), frozenset()) in asked


def test_the_runbook_says_what_every_finding_of_the_doctor_means() -> None:
    assert [name.strip("`") for name in table_with(RUNBOOK, "missing_session")] == [kind.value for kind in Kind]


@EVERY_DEPLOYMENT
def test_the_options_and_outputs_of_the_deployment_are_complete(name: str) -> None:
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer), pytest.raises(SystemExit):
        infrastructure.deploy.main(["--help"])
    known = set(re.findall(r"^  (--[a-z-]+)", answer.getvalue(), re.MULTILINE))
    shown = table_with(TEXTS[name], "--stack")
    assert set(shown) == known
    template = read(TEMPLATE.read_text(encoding="utf-8"))
    packages = {"ArtifactBucket", "LambdaPackageKey", "JobScriptKey", "JobPackageKey"}
    assert set(re.findall(r"`(\w+)`", shown["--parameter"][0])) - {"KEY"} == set(template["Parameters"]) - packages
    (outputs,) = markdown.blocks(TEXTS[name], "json")
    assert list(json.loads(outputs.text)) == list(template["Outputs"])


def test_the_demo_that_is_shown_has_the_totals_of_its_sessions() -> None:
    """The README's numbers are those of the generator: a demo that gives others is not the one that is shown."""
    (demo,) = (block.text for block in markdown.blocks(README, "text") if "holdings" in block.text)
    rows = re.findall(r"│ (\w{4}) +│ ([\d-]+) +│ +(\d+) │ +([\d,]+) │ +([\d.]+) │", demo)
    assert len(rows) == 5
    for index_code, date, holdings, quantity, participation in rows:
        portfolio = parse_csv(synthetic_csv(index_code, dt.date.fromisoformat(date)))
        assert (len(portfolio.holdings), f"{portfolio.total_theoretical_quantity:,}", "100.000") == (
            int(holdings),
            quantity,
            participation,
        )
    last = parse_csv(synthetic_csv("IBOV", dt.date.fromisoformat(rows[-1][1])))
    largest = sorted(last.holdings, key=lambda holding: (-holding.participation_pct, holding.ticker))
    leaders = re.findall(r"│ (\w+) +│ ([^│]+?) +│ (\w+) +│ +(\d) │ +([\d.]+) │", demo)
    assert [(ticker, company, rank, pct) for ticker, company, _, rank, pct in leaders] == [
        (holding.ticker, holding.company, str(rank), str(holding.participation_pct))
        for rank, holding in enumerate(largest[: len(leaders)], 1)
    ]
    assert len(leaders) >= 3


@EVERY_DEPLOYMENT
def test_the_trading_day_that_is_shown_is_that_of_the_generator(name: str) -> None:
    (line,) = (block.text for block in markdown.blocks(TEXTS[name], "text") if "volume_brl" in block.text)
    shown = json.loads(line)
    day = dt.date.fromisoformat(shown["session_date"])
    quotes = synthetic_quotes(day)
    assert (shown["records"], shown["rows"]) == (synthetic_cotahist(day).count(b"\n"), len(quotes))
    assert shown["trades"] == sum(quote.trades for quote in quotes)
    assert shown["volume_brl"] == str(sum(quote.volume_brl for quote in quotes))


# ------------------------------------------------------------------------------------------- the other language


@EVERY_TRANSLATION
def test_the_portuguese_document_has_the_same_structure(english: str, portuguese: str) -> None:
    one, other = TEXTS[english], TEXTS[portuguese]
    assert [level for level, _ in markdown.headings(other)] == [level for level, _ in markdown.headings(one)]
    assert [len(rows) for rows in markdown.tables(other)] == [len(rows) for rows in markdown.tables(one)]


@EVERY_TRANSLATION
def test_the_portuguese_document_shows_the_same_commands_and_answers(english: str, portuguese: str) -> None:
    assert markdown.blocks(TEXTS[portuguese]) == markdown.blocks(TEXTS[english])


def places(name: str) -> set[tuple[str, int | str]]:
    """Where a document leads: to which document in whichever language, and to which of its headings."""
    found: set[tuple[str, int | str]] = set()
    for link in markdown.links(TEXTS[name]):
        target, _, anchor = link.partition("#")
        path = ((PROJECT / name).parent / target).resolve() if target else PROJECT / name
        text = TEXTS.get(path.relative_to(PROJECT).as_posix(), "") if path.is_relative_to(PROJECT) else ""
        found.add((str(path).replace(".pt-BR.", "."), markdown.anchor_order(text).index(anchor) if anchor else ""))
    return found


@EVERY_TRANSLATION
def test_the_portuguese_document_links_to_the_same_places(english: str, portuguese: str) -> None:
    assert places(portuguese) == places(english)


def test_the_first_table_of_the_benchmarks_is_that_of_the_measured_targets() -> None:
    document = TEXTS["docs/benchmarks.md"]
    measured = re.findall(
        r"^│ .+? +│ ([\d.]+ .+?) +│ (at (?:most|least) .+?) +│ (reached|MISSED) +│$", document, re.MULTILINE
    )
    assert len(measured) > 30
    shown = [(figure, target, verdict.strip("*")) for _, figure, target, verdict in markdown.tables(document)[0][1:]]
    assert shown == [(figure, target, verdict.lower()) for figure, target, verdict in measured]


def test_every_document_has_its_place_in_the_readme() -> None:
    linked_to = {link.partition("#")[0] for name in READMES for link in markdown.links(TEXTS[name])}
    top = {name for name in TEXTS if re.fullmatch(r"docs/[^/]+", name)} | {"README.pt-BR.md", "CHANGELOG.md"}
    assert top - linked_to == set()


@EVERY_README
def test_the_readme_is_short(name: str) -> None:
    """Half of what it was when newcomers had to look for what concerns them; what is for few has its own document."""
    assert len(TEXTS[name].encode()) <= 17_600


def test_the_portuguese_picture_differs_in_its_words_only() -> None:
    pictures = [(PROJECT / "docs" / name).read_text(encoding="utf-8") for name in ("flow.svg", "flow.pt-BR.svg")]
    shapes = [re.sub(r">[^<\n]+<", "><", picture) for picture in pictures]
    assert shapes[0] == shapes[1]
    assert pictures[0] != pictures[1]


# -------------------------------------------------------------------------------------------------- the dictionary


def test_the_data_dictionary_is_what_the_generator_writes() -> None:
    document = TEXTS["docs/data-dictionary.md"]
    template, notes = (path.read_text(encoding="utf-8") for path in (TEMPLATE, data_dictionary.NOTES))
    assert data_dictionary.updated(document, template, notes) == document, "run: make dictionary"


@EVERY_README
def test_the_summary_of_the_columns_names_only_columns(name: str) -> None:
    known = {column for column, _ in REFINED_COLUMNS}
    named = {column for cell in table_with(TEXTS[name], "company") for column in re.findall(r"\w+_\w+", cell)}
    assert named
    assert named - known == set()
