"""What can go wrong on B3's site, on demand."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a request asks for."""

    PAGE = "page"
    DATA = "data"
    DOWNLOAD = "download"
    TRADING_DAY = "trading_day"


_ENDPOINTS = frozenset({Kind.DATA, Kind.DOWNLOAD})
_EVERYTHING = frozenset(Kind)
_FILES = frozenset({Kind.DOWNLOAD, Kind.TRADING_DAY})


@dataclass(frozen=True, slots=True)
class FaultType:
    """A fault that the stand-in knows."""

    meaning: str
    hits: frozenset[Kind]
    """The kinds of request that it spoils."""
    default_seconds: float | None = None
    """How long it lasts, for faults that last; None means for ever."""


FAULT_TYPES: Mapping[str, FaultType] = {
    "http_520": FaultType("Cloudflare's error 520 instead of an answer", _EVERYTHING),
    "redirect_to_error_page": FaultType("302 to an error page", _EVERYTHING),
    "html_instead_of_data": FaultType(
        "the endpoints answer 200 with an HTML page", frozenset({*_ENDPOINTS, Kind.TRADING_DAY})
    ),
    "empty_table": FaultType("the data call answers with a header and no row", frozenset({Kind.DATA})),
    "slow_page": FaultType("the data call takes `seconds`", frozenset({Kind.DATA}), 3.0),
    "overlay_stays": FaultType("the overlay covers the controls `seconds` longer, or for ever", frozenset({Kind.PAGE})),
    "download_never_ends": FaultType("half the download's answer, then silence", _FILES),
    "download_breaks_off": FaultType("half the download's answer, then the end", _FILES),
    "endpoint_gone": FaultType("the endpoint is not there any more: 404", _ENDPOINTS),
    "not_published": FaultType("the trading day is not there", frozenset({Kind.TRADING_DAY})),
    "download_stalls": FaultType("the browser saves half the file itself, then silence", frozenset({Kind.PAGE})),
    "truncated_csv": FaultType("the file ends in the middle of a row", frozenset({Kind.DOWNLOAD})),
    "truncated_record": FaultType("the trading day ends in the middle of a record", frozenset({Kind.TRADING_DAY})),
    "wrong_totals": FaultType("the footer's total quantity, or the trailer's count, is one too high", _FILES),
    "renamed_columns": FaultType("the heading says `Quantidade` for `Qtde. Teórica`", frozenset({Kind.DOWNLOAD})),
    "code_view_only": FaultType("who asks for sectors gets the code view", _ENDPOINTS),
    "no_download_link": FaultType("the form has no Download link", frozenset({Kind.PAGE})),
    "no_segment": FaultType("the form has no select#segment", frozenset({Kind.PAGE})),
    "no_heading": FaultType("the form has no h2", frozenset({Kind.PAGE})),
    "date_far_off": FaultType("page and file show a session three years ahead", _ENDPOINTS),
    "date_far_behind": FaultType("page and file show a session of three years ago", _ENDPOINTS),
    "bare_base64": FaultType("the download is not in double quotes; as good as with them", frozenset({Kind.DOWNLOAD})),
    "page_without_form": FaultType("the page loads its data and shows no form", frozenset({Kind.PAGE})),
}


class BadFault(ValueError):
    """What was given is no fault that there is; the message says what would be."""


@dataclass(slots=True)
class Fault:
    """A fault that is set, and how many requests it still hits."""

    name: str
    hits: frozenset[Kind]
    seconds: float | None
    times: int | None

    @classmethod
    def parse(cls, given: object) -> Fault:
        """Read `"http_520"` or `{"fault":"http_520","times":1,"seconds":2.5,"on":["download"]}`.

        `times` is the number of requests that it hits (default: all), `seconds` how long it lasts where it lasts, `on`
        the kinds of request among those that it can hit (default: all of them).

        Raises:
            BadFault: *given* is neither.
        """
        if isinstance(given, str):
            given = {"fault": given}
        name = given.get("fault") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(name, str):
            raise BadFault(f'a fault is a name or an object like {{"fault":"http_520","times":1}}, not {given!r}')
        if name not in FAULT_TYPES:
            raise BadFault(f"unknown fault {name!r}; there are {', '.join(FAULT_TYPES)}")
        unknown = sorted(set(given) - {"fault", "times", "seconds", "on"})
        if unknown:
            raise BadFault(f"a fault has no {', '.join(map(repr, unknown))}; there are times, seconds and on")
        fault_type = FAULT_TYPES[name]
        times = given.get("times")
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise BadFault(f"`times` is a whole number from 1, not {times!r}")
        seconds = given.get("seconds", fault_type.default_seconds)
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
            raise BadFault(f"`seconds` is a number from 0, not {seconds!r}")
        return cls(name, _kinds(name, given.get("on")), seconds, times)

    def as_json(self) -> dict[str, object]:
        """Return what is left of it, in the form that `parse` reads."""
        return {
            "fault": self.name,
            "on": sorted(self.hits),
            **({} if self.seconds is None else {"seconds": self.seconds}),
            **({} if self.times is None else {"times": self.times}),
        }


def _kinds(name: str, given: object) -> frozenset[Kind]:
    possible = FAULT_TYPES[name].hits
    if given is None:
        return possible
    names = [given] if isinstance(given, str) else given
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(kind, str) and kind in possible for kind in names)
    ):
        raise BadFault(f"`on` of {name} is one or more of {', '.join(sorted(possible))}, not {given!r}")
    return frozenset(map(Kind, names))


@dataclass(slots=True)
class FaultBook:
    """The faults that are set, used up by the requests that they hit."""

    _faults: list[Fault] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Set *faults* and forget those set before."""
        with self._turn:
            self._faults = list(faults)

    def take(self, kind: Kind) -> dict[str, Fault]:
        """Return what spoils this request, by name, and count it."""
        with self._turn:
            taken = {fault.name: fault for fault in self._faults if kind in fault.hits and fault.times != 0}
            for fault in taken.values():
                if fault.times is not None:
                    fault.times -= 1
            return taken

    def as_json(self) -> list[dict[str, object]]:
        """Return the faults that still hit something."""
        with self._turn:
            return [fault.as_json() for fault in self._faults if fault.times != 0]
