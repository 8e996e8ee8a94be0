"""Log records as lines: one JSON object each for machines, one readable line each for a terminal.

The names of the JSON fields are those of the Lambda function's logger, so that one query finds a session everywhere.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TextIO

from bovespa.correlation import correlation_id

LOG_FORMATS = ("auto", "json", "text")

_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "correlation_id"))


def log_handler(log_format: str, *, service: str, stream: TextIO) -> logging.Handler:
    """Return the handler that an entry point logs with.

    Args:
        log_format: `json`, `text`, or `auto`: text for a terminal, JSON for everything else.
        service: Which program writes the lines.
        stream: Where they go.
    """
    is_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter(service))
    return handler


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, service, logger, message, correlation id, the fields of `extra`."""

    def __init__(self, service: str, fields: Mapping[str, str] = MappingProxyType({})) -> None:
        """Say what stands in every line.

        Args:
            service: Which program writes the lines.
            fields: What else stands in every line, also in those of threads that have no correlation id.
        """
        super().__init__()
        self._service = service
        self._fields = dict(fields)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without an end."""
        line: dict[str, Any] = {
            "timestamp": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (followed := _followed(record)) is not None:
            line["correlation_id"] = followed
        # What every line has comes last: no record speaks for another session.
        line |= {**dict(_extra(record)), **self._fields}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception_name"] = record.exc_info[0].__name__
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, logger, message, then the fields of `extra`, which the standard formatter drops."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, without a traceback."""
        fields = dict(_extra(record))
        if (followed := _followed(record)) is not None:
            fields["correlation_id"] = followed
        return super().formatMessage(record) + "".join(f" {name}={value!r}" for name, value in fields.items())


def _followed(record: logging.LogRecord) -> str | None:
    given: str | None = getattr(record, "correlation_id", None)
    return given or correlation_id()


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(record).items() if name not in _STANDARD)
