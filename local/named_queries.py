"""The named queries that a workgroup has, for those who ask by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from bovespa.errors import InvalidRequest
from infrastructure.athena_queries import InvalidQueryFile, NamedQuery, parse_query
from infrastructure.publish import is_deployed, saved_queries
from local.athena import WORKGROUP


class UnknownQuery(InvalidRequest):
    """No named query has the name; the message says which exist."""

    code = "unknown_query"


def queries_of(athena: Any, workgroup: str = WORKGROUP) -> tuple[NamedQuery, ...]:
    """Return the named queries of *workgroup* by name: those that deploy published, and everybody else's.

    One that is not in the format of `athena/` has no parameters. Of two with one name, the deployed one is returned.
    """
    found: dict[str, NamedQuery] = {}
    for saved in sorted(saved_queries(athena, workgroup), key=lambda saved: (saved["Name"], is_deployed(saved))):
        name, text = saved["Name"], saved["QueryString"].strip() + "\n"
        try:
            found[name] = parse_query(name, text, name)
        except InvalidQueryFile:
            found[name] = NamedQuery(name, str(saved.get("Description", "")), text, ())
    return tuple(found.values())


def named(queries: Sequence[NamedQuery], name: str) -> NamedQuery:
    """Return the one of *queries* that has this name.

    Raises:
        UnknownQuery: None has.
    """
    for query in queries:
        if query.name == name:
            return query
    names = [query.name for query in queries]
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    raise UnknownQuery(f"There is no named query {name!r}.{meant} There are: {', '.join(names) or 'none'}.")
