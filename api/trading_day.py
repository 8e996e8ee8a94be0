"""`GET /tradingDay`: B3's record of one trading day goes into the raw bucket."""

from __future__ import annotations

import time

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.parameters import parse_date, query
from api.trading_ingestion import TradingDayIngestion


def trading_day_blueprint(ingestion: TradingDayIngestion) -> Blueprint:
    """Return the route that fetches and stores one trading day."""
    blueprint = Blueprint("trading_day", __name__)

    @blueprint.get("/tradingDay")
    def trading_day() -> ResponseReturnValue:
        started_s = time.perf_counter()
        given = query("date")
        ingested = ingestion.run(parse_date(given["date"]) if "date" in given else None)
        return {**ingested.as_json(), "elapsed_ms": round((time.perf_counter() - started_s) * 1000)}

    return blueprint
