"""What Athena knows beside queries: SHOW, DESCRIBE, and views."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.athena_server.errors import StatementFailed, not_supported

_NAME = r'(?:"[^"]+"|`[^`]+`|[A-Za-z_][A-Za-z0-9_]*)'
_TABLE = rf"(?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)"
_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"


@dataclass(frozen=True)
class Statement:
    """A statement that is no query."""

    kind: str
    database: str | None = None
    table: str = ""
    query: str = ""
    """What a view is made of."""
    pattern: str | None = None
    flag: bool = False
    """OR REPLACE, or IF EXISTS."""


_FORMS: tuple[tuple[str, str], ...] = (
    ("show_partitions", rf"show\s+partitions\s+{_TABLE}"),
    ("show_tables", rf"show\s+tables(?:\s+in\s+(?P<database>{_NAME}))?(?:\s+'(?P<pattern>[^']*)')?"),
    ("show_views", rf"show\s+views(?:\s+in\s+(?P<database>{_NAME}))?(?:\s+like\s+'(?P<pattern>[^']*)')?"),
    ("show_databases", r"show\s+(?:databases|schemas)"),
    ("show_columns", rf"show\s+columns\s+(?:in|from)\s+{_TABLE}"),
    ("show_create_view", rf"show\s+create\s+view\s+{_TABLE}"),
    ("describe", rf"(?:describe|desc)\s+{_TABLE}"),
    ("drop_view", rf"drop\s+view(?P<flag>\s+if\s+exists)?\s+{_TABLE}"),
    ("create_view", rf"create(?P<flag>\s+or\s+replace)?\s+view\s+{_TABLE}\s+as\b(?P<query>.*)"),
)
_REFUSED = (
    "insert",
    "delete",
    "update",
    "merge",
    "unload",
    "create",
    "alter",
    "msck",
    "explain",
    "analyze",
    "prepare",
    "execute",
    "deallocate",
    "vacuum",
    "optimize",
    "show",
    "drop",
    "describe",
    "desc",
    "truncate",
    "call",
    "grant",
)


def parse_statement(text: str) -> Statement | None:
    """Return the statement *text*, or None if it must be a query.

    Raises:
        StatementFailed: It is a statement that the local Athena does not run.
    """
    body = re.sub(rf"^{_SPACE}", "", text, flags=re.DOTALL).rstrip().rstrip(";").rstrip()
    for kind, form in _FORMS:
        match = re.fullmatch(form, body, re.IGNORECASE | re.DOTALL)
        if match is None:
            continue
        groups = match.groupdict()
        *rest, table = _parts(groups.get("table") or "")
        if len(rest) > 2 or (len(rest) == 2 and rest[0] != "awsdatacatalog"):
            raise StatementFailed("SYNTAX_ERROR", f"line 1:1: mismatched input '{groups['table']}'")
        database = rest[-1] if rest else _parts(groups.get("database") or "")[-1] or None
        query = (groups.get("query") or "").strip()
        return Statement(kind, database, table, query, groups.get("pattern"), bool(groups.get("flag")))
    word = re.match(r"[A-Za-z]*", body)
    first = word.group().lower() if word else ""
    if first in _REFUSED:
        raise not_supported(f"the statement {' '.join(body.split()[:3]).upper()}")
    return None


def _parts(name: str) -> list[str]:
    return [part.strip('"`').lower() for part in re.findall(_NAME, name)] or [""]


def matches(pattern: str | None, name: str) -> bool:
    """Tell whether *name* fits a pattern of SHOW TABLES: `*` is any text, `|` separates patterns."""
    if pattern is None:
        return True
    parts = (re.escape(part).replace(r"\*", ".*") for part in pattern.lower().split("|"))
    return any(re.fullmatch(part, name) is not None for part in parts)
