"""A question to Athena with the names that the local cloud's stack has."""

from __future__ import annotations

from typing import Any

import infrastructure.athena
from infrastructure.athena import Answer, QueryFailed

__all__ = ["Answer", "QueryFailed", "ask"]

DATABASE = "bovespa"
WORKGROUP = "bovespa"


def ask(client: Any, sql: str, *, database: str = DATABASE, workgroup: str = WORKGROUP) -> Answer:
    """Run *sql* as `infrastructure.athena.ask` does.

    Raises:
        QueryFailed: Athena refused it, failed, or needed more than ten minutes.
    """
    return infrastructure.athena.ask(client, sql, database=database, workgroup=workgroup)
