"""`GET /bovespaDay`: the session that B3 offers now goes into the raw bucket."""

from __future__ import annotations

import time

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.ingestion import Ingestion
from api.parameters import query, require_get
from api.places import Places
from bovespa.indexes import DEFAULT_INDEX_CODE, require_index_code


def bovespa_day_blueprint(ingestion: Ingestion, places: Places) -> Blueprint:
    """Return the route that fetches and stores one index, while there is one of *places*."""
    blueprint = Blueprint("bovespa_day", __name__)

    @blueprint.get("/bovespaDay")
    def bovespa_day() -> ResponseReturnValue:
        require_get()
        started_s = time.perf_counter()
        index_code = require_index_code(query("index").get("index", DEFAULT_INDEX_CODE))
        with places.taken():
            ingested = ingestion.run(index_code)
        return {**ingested.as_json(), "elapsed_ms": round((time.perf_counter() - started_s) * 1000)}

    return blueprint
