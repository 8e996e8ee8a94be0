"""Where the time of one session goes, from request to row: told by the log lines that carry its correlation id."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from local.cloud import Cloud

Line = Mapping[str, Any]
Moments = Mapping[tuple[str, str], float]
"""When each message was logged, in seconds since the epoch, by service and message."""

_API, _FUNCTION, _JOB = "bovespa-api", "bovespa-start-refine", "bovespa-refine"

LOGGED = (
    ("browser started", _API, "browser started"),
    ("page shown, by sector", _API, "page shown"),
    ("file downloaded", _API, "downloaded"),
    ("browser ended", _API, "browser ended"),
    ("file parsed and proven", _API, "proven"),
    ("raw object stored", _API, "stored session"),
    ("event delivered, run started", _FUNCTION, "started a run"),
    ("job started", _JOB, "started"),
    ("raw objects listed, run planned", _JOB, "refining"),
    ("raw read, rows made, objects written", _JOB, "written"),
    ("partitions registered", _JOB, "registered"),
    ("receipt written", _JOB, "published"),
)
"""What ends each stage: its name, and service and message of the log line.

Spark reads, computes and writes in one go, so that no line can stand between the first raw object read and the last
refined one written.
"""

SEEN = ("refined, says the API", "Athena answered")
"""What ends the last two stages, by the caller's clock: it asks for the state ten times a second, then for the rows."""

STAGES = (*(name for name, _, _ in LOGGED), *SEEN)

_STATIONS = {_API: "API and browser", _FUNCTION: "function", _JOB: "job"}


def stations() -> Mapping[str, str]:
    """Return who tells that a stage is over, by stage."""
    return {name: _STATIONS[service] for name, service, _ in LOGGED} | dict.fromkeys(SEEN, "caller")


class StageNotLogged(RuntimeError):
    """A station did not say what it says of every session; the message names station and line."""


def stages_of(cloud: Cloud, correlation_id: str, *, asked: float, refined: float, visible: float) -> dict[str, float]:
    """Return the seconds of each stage of the session that one request has brought, in order.

    Args:
        cloud: Whose logs are read; the clock is the same for all.
        correlation_id: The request's id, which no other has.
        asked: When the caller asked, in seconds since the epoch.
        refined: When it heard that the session is refined.
        visible: When it had Athena's answer.

    Raises:
        StageNotLogged: A line is missing.
    """
    api = json_lines((cloud.work_dir / "api.log").read_text(encoding="utf-8").splitlines())
    function = json_lines(_function_log(cloud, asked))
    found = dict(moments([*api, *function], correlation_id))
    started = [line for line in function if (line.get("correlation_id"), line["message"]) == (correlation_id, _STARTED)]
    for line in started:
        log = Path(cloud.work_dir / f"run-{line['job_run_id']}.log")
        found |= moments(json_lines(log.read_text(encoding="utf-8").splitlines()), correlation_id)
    return durations(found, asked=asked, refined=refined, visible=visible)


_STARTED = "started a run"


def durations(found: Moments, *, asked: float, refined: float, visible: float) -> dict[str, float]:
    """Return the seconds between what ends one stage and what ends the next.

    A line may be written a moment after what it tells has been seen elsewhere. A stage that ended before the one before
    it takes no time, so that all of them together are what the caller has waited.

    Raises:
        StageNotLogged: A line is missing.
    """
    ends = [asked]
    for name, service, message in LOGGED:
        if (service, message) not in found:
            raise StageNotLogged(f"{service} has not logged {message!r}, which ends {name!r}.")
        ends.append(found[service, message])
    ends += [refined, visible]
    ordered = [min(max(ends[: number + 1]), visible) for number in range(len(ends))]
    return {name: after - before for name, (before, after) in zip(STAGES, pairwise(ordered), strict=True)}


def moments(lines: Iterable[Line], correlation_id: str) -> dict[tuple[str, str], float]:
    """Return when each message was logged first under *correlation_id*."""
    found: dict[tuple[str, str], float] = {}
    for line in lines:
        if line.get("correlation_id") == correlation_id:
            found.setdefault((line["service"], line["message"]), _moment(line["timestamp"]))
    return found


def json_lines(lines: Iterable[str]) -> Sequence[Line]:
    """Return the lines that are JSON objects with a message; what a JVM or Lambda itself says is none."""
    return list(_json_lines(lines))


def _json_lines(lines: Iterable[str]) -> Iterator[Line]:
    for text in lines:
        if text.startswith("{"):
            line = json.loads(text)
            if {"timestamp", "service", "message"} <= line.keys():
                yield line


def _moment(timestamp: str) -> float:
    """Read a timestamp of our own lines, or one of Powertools', which has a comma and no colon in its zone."""
    return dt.datetime.fromisoformat(timestamp.replace(",", ".")).timestamp()


def _function_log(cloud: Cloud, since: float) -> list[str]:
    pages = cloud.client("logs").get_paginator("filter_log_events")
    group = f"/aws/lambda/{cloud.outputs['FunctionName']}"
    found = pages.paginate(logGroupName=group, startTime=int(1000 * since))
    return [line for page in found for event in page["events"] for line in event["message"].splitlines()]
