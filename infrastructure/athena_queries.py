"""The named queries and views of `athena/`, read strictly: what deploy publishes is what the files say.

A query file is `athena/<name>.sql`: a title line `-- <question>?`, perhaps more comments, then one SELECT or WITH
statement. If it has parameters, its first CTE is `parameters`, with one line `<literal> AS <name>` each. A view file is
`athena/views/<name>.sql`: a title line `-- One row per <what>.`, then the SELECT that the view is.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bovespa.errors import BovespaError, InvalidRequest

QUERIES = Path(__file__).resolve().parent.parent / "athena"
VIEWS = QUERIES / "views"

Kind = Literal["text", "date", "whole"]

KINDS: Mapping[str, Kind] = {
    "index_code": "text",
    "ticker": "text",
    "session_date": "date",
    "from_date": "date",
    "to_date": "date",
    "year": "whole",
    "sessions": "whole",
    "top": "whole",
    "least_trades": "whole",
}
"""Every parameter that a query may have: one name for one thing, in all of them."""

NULL = "null"
"""How a caller says that a date is not given."""

_LARGEST = 2**31 - 1  # a literal beyond it would be a bigint, and the query another one
_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}", re.ASCII)
_TEXT = r"'(?:[^']|'')*'"
_TITLE = re.compile(r"-- (?P<title>\S.*)\n")
# Comments and quoted things, so that what they say is not taken for SQL.
_QUIET = re.compile(rf"--[^\n]*|/\*.*?\*/|{_TEXT}|\"(?:[^\"]|\"\")*\"", re.DOTALL)
_COMMENTS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_PARAMETERS = re.compile(r"WITH parameters AS \(\n    SELECT\n(?P<lines>(?: {8}[^\n]*\n)+)\),?\n")
_LINE = re.compile(
    rf"(?P<literal>(?P<text>{_TEXT})|DATE '(?P<date>[^']*)'|(?P<null>CAST\(NULL AS DATE\))|(?P<whole>[0-9]+))"
    r" AS (?P<name>\w+)(?P<comma>,?) *(?:--.*)?"
)


class InvalidQueryFile(BovespaError):
    """A file of `athena/` breaks its format; the message names the file and says what to change."""

    code = "invalid_query_file"


class InvalidParameter(InvalidRequest):
    """A query was given a parameter that it does not have, or a value of another kind."""

    code = "invalid_parameter"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of a query's `parameters`."""

    name: str
    kind: Kind
    default: str | None
    """The value as a caller would give it; None for a date that is null."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A question with a name."""

    name: str
    question: str
    """One line, ending in a question mark."""
    sql: str
    """The whole text of the file."""
    parameters: tuple[Parameter, ...]

    def with_values(self, values: Mapping[str, str]) -> str:
        """Return the SQL with the literals of these parameters replaced; the others stay as they are.

        Args:
            values: Texts by parameter name: any text, a date like 2025-02-03 or `null`, a whole number.

        Raises:
            InvalidParameter: The query has no such parameter, or the value is of another kind.
        """
        kinds = {parameter.name: parameter.kind for parameter in self.parameters}
        for name in values:
            if name not in kinds:
                has = f"It has {', '.join(kinds)}." if kinds else "It has none."
                raise InvalidParameter(f"{self.name} has no parameter {name!r}. {has}")
        if not values:
            return self.sql
        new = {name: _LITERALS[kinds[name]](name, value) for name, value in values.items()}
        pieces: list[str] = []
        end = 0
        for line in _parameter_lines(self.sql):
            if line["name"] in new:
                pieces += [self.sql[end : line.start("literal")], new[line["name"]]]
                end = line.end("literal")
        return "".join(pieces) + self.sql[end:]


@dataclass(frozen=True, slots=True)
class View:
    """A view: a SELECT that other queries name like a table."""

    name: str
    description: str
    """One line that says what a row is."""
    select: str
    """The text of the file from the SELECT on."""

    @property
    def statement(self) -> str:
        """What makes the view, or replaces the one that has its name."""
        return f"CREATE OR REPLACE VIEW {self.name} AS\n{self.select}"


def named_queries(folder: Path = QUERIES) -> tuple[NamedQuery, ...]:
    """Return every query of *folder*, by name.

    Raises:
        InvalidQueryFile: A file breaks the format.
    """
    return tuple(parse_query(path.stem, text, str(path)) for path, text in _files(folder))


def parse_query(name: str, text: str, where: str) -> NamedQuery:
    """Return the query that *text* is.

    Args:
        name: Its name, which is its file's without `.sql`.
        text: The whole file.
        where: What an error calls it.

    Raises:
        InvalidQueryFile: It breaks the format.
    """
    title = _checked(name, text, where)
    if not title.endswith("?"):
        raise InvalidQueryFile(f"{where}: the first line must be one question: -- Which ... ?")
    return NamedQuery(name, title, text, tuple(_parameters(text, where)))


def views(folder: Path = VIEWS) -> tuple[View, ...]:
    """Return every view of *folder*, each after the views that it names.

    Raises:
        InvalidQueryFile: A file breaks the format, or views need each other in a circle.
    """
    found = {path.stem: _parse_view(path.stem, text, str(path)) for path, text in _files(folder)}
    # A word is enough: a view that is named without need is only made earlier.
    uses = {name: (words(view.select) & found.keys()) - {name} for name, view in found.items()}
    ordered: dict[str, View] = {}
    while len(ordered) < len(found):
        ready = [name for name in found if name not in ordered and uses[name] <= ordered.keys()]
        if not ready:
            circle = ", ".join(sorted(found.keys() - ordered.keys()))
            raise InvalidQueryFile(f"{folder}: these views name each other, so that none can be first: {circle}")
        ordered |= {name: found[name] for name in ready}
    return tuple(ordered.values())


def words(sql: str) -> frozenset[str]:
    """Return the words of *sql* in lower case, those of comments and quoted texts left out."""
    return frozenset(re.findall(r"\w+", _QUIET.sub(" ", sql).lower()))


def _parse_view(name: str, text: str, where: str) -> View:
    title = _checked(name, text, where)
    if not (title.startswith("One row per ") and title.endswith(".")):
        raise InvalidQueryFile(f"{where}: the first line must say what a row is: -- One row per ... .")
    if _parameter_block(text) is not None:
        raise InvalidQueryFile(f"{where}: a view has no parameters; filter where it is used")
    return View(name, title, _statement(text).rstrip("\n"))


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("*.sql")):
        try:
            # As bytes: reading as text would hide a CR.
            yield path, path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidQueryFile(f"{path}: save it as UTF-8 ({error})") from error


def _checked(name: str, text: str, where: str) -> str:
    """Check what queries and views have in common; return the title."""
    if not _NAME.fullmatch(name):
        raise InvalidQueryFile(f"{where}: name it with small letters, digits and _, like todays_portfolio.sql")
    if "\r" in text or "\t" in text or not text.endswith("\n"):
        raise InvalidQueryFile(f"{where}: end each line with LF, the last one too, and use blanks instead of tabs")
    title = _TITLE.match(text)
    if title is None:
        raise InvalidQueryFile(f"{where}: begin with a title line: -- and one blank before it")
    bare = _QUIET.sub(" ", text)
    if ";" in bare:
        raise InvalidQueryFile(f"{where}: leave out the semicolon; a file holds one statement")
    if re.search(r"'|\"|/\*", bare):
        raise InvalidQueryFile(f"{where}: a quote or a comment is not closed")
    if not re.match(r"\s*(SELECT|WITH)\b", bare):
        raise InvalidQueryFile(f"{where}: after the comments, begin with SELECT or WITH")
    return title["title"].rstrip()


def _statement(text: str) -> str:
    """The text without the comments before the statement."""
    before = _COMMENTS.match(text)
    return text[before.end() if before else 0 :]


def _parameter_block(text: str) -> re.Match[str] | None:
    return _PARAMETERS.match(text, len(text) - len(_statement(text)))


def _parameter_lines(text: str) -> Iterator[re.Match[str]]:
    """The lines of the CTE `parameters`, as matches within *text*; a line that is none ends with a ValueError."""
    block = _parameter_block(text)
    if block is None:
        return
    start = block.start("lines")
    for line in block["lines"].removesuffix("\n").split("\n"):
        if not line.lstrip().startswith("--"):
            match = _LINE.fullmatch(text, start + 8, start + len(line))
            if match is None:
                raise ValueError(line.strip())
            yield match
        start += len(line) + 1


def _parameters(text: str, where: str) -> Iterator[Parameter]:
    if _parameter_block(text) is None:
        if "parameters" in words(text):
            raise InvalidQueryFile(
                f"{where}: parameters must be the first CTE, over lines of its own: WITH parameters AS (, "
                "then SELECT with 4 blanks before it, then each <literal> AS <name> with 8, then )"
            )
        return
    try:
        lines = list(_parameter_lines(text))
    except ValueError as error:
        raise InvalidQueryFile(
            f"{where}: {error} is not like 'IBOV' AS index_code, DATE '2025-02-03' AS from_date, "
            "CAST(NULL AS DATE) AS session_date or 21 AS sessions"
        ) from None
    names = [line["name"] for line in lines]
    if not names or len(set(names)) != len(names):
        raise InvalidQueryFile(f"{where}: give each parameter one line, none of them two, and at least one")
    if [line["comma"] for line in lines] != [","] * (len(lines) - 1) + [""]:
        raise InvalidQueryFile(f"{where}: put a comma after each parameter but the last")
    for line in lines:
        yield _parameter(line, where)


def _parameter(line: re.Match[str], where: str) -> Parameter:
    name = line["name"]
    if name not in KINDS:
        raise InvalidQueryFile(
            f"{where}: {name} is none of the known parameters {', '.join(KINDS)}; a new one goes into KINDS of "
            "infrastructure/athena_queries.py"
        )
    kind = KINDS[name]
    found = {"text": line["text"], "date": line["date"] or line["null"], "whole": line["whole"]}
    if found[kind] is None:
        raise InvalidQueryFile(f"{where}: {name} must be a {_SPELLINGS[kind]}")
    default = None if line["null"] else found[kind]
    if kind == "text":
        default = found["text"][1:-1].replace("''", "'")
    try:
        _LITERALS[kind](name, NULL if default is None else default)
    except InvalidParameter as error:
        raise InvalidQueryFile(f"{where}: {error}") from None
    return Parameter(name, kind, default)


def _text_literal(name: str, value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise InvalidParameter(f"{name} must be text on one line, without control characters.")
    return "'" + value.replace("'", "''") + "'"


def _date_literal(name: str, value: str) -> str:
    if value.lower() == NULL:
        return "CAST(NULL AS DATE)"
    try:
        # fromisoformat alone would take 20250203 and 2025-W06-1, too.
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII) is None:
            raise ValueError(value)  # noqa: TRY301
        return f"DATE '{dt.date.fromisoformat(value)}'"
    except ValueError:
        raise InvalidParameter(f"{name} must be a date like 2025-02-03, or {NULL}: {value!r} is none.") from None


def _whole_literal(name: str, value: str) -> str:
    if re.fullmatch(r"\d{1,10}", value, re.ASCII) is None or int(value) > _LARGEST:
        raise InvalidParameter(f"{name} must be a whole number from 0 to {_LARGEST}: {value!r} is none.")
    return str(int(value))


_LITERALS: Mapping[Kind, Callable[[str, str], str]] = {
    "text": _text_literal,
    "date": _date_literal,
    "whole": _whole_literal,
}
_SPELLINGS: Mapping[Kind, str] = {
    "text": "text, like 'IBOV'",
    "date": "date, like DATE '2025-02-03' or CAST(NULL AS DATE)",
    "whole": "whole number, like 21",
}
