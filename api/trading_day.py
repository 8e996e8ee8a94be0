"""`GET /tradingDay`: B3's record of one trading day goes into the raw bucket."""

from __future__ import annotations

import time

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.parameters import parse_date, query, require_get
from api.places import Places
from api.trading_ingestion import TradingDayIngestion


def trading_day_blueprint(ingestion: TradingDayIngestion, places: Places) -> Blueprint:
    """Return the route that fetches and stores one trading day, while there is one of *places*."""
    blueprint = Blueprint("trading_day", __name__)

    @blueprint.get("/tradingDay")
    def trading_day() -> ResponseReturnValue:
        require_get()
        started_s = time.perf_counter()
        given = query("date")
        day = parse_date(given["date"]) if "date" in given else None
        with places.taken():
            ingested = ingestion.run(day)
        return {**ingested.as_json(), "elapsed_ms": round((time.perf_counter() - started_s) * 1000)}

    return blueprint
