"""What one import of many files brought, as the manifest that starts its one Glue run says it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from bovespa import __version__
from bovespa.errors import InvalidRequest, UnexpectedEvent
from bovespa.layout import Import, Session, TradingDay


@dataclass(frozen=True, slots=True)
class ImportManifest:
    """The sessions and trading days whose raw objects an import put; all are there before the manifest is."""

    made_by: Import
    sessions: tuple[Session, ...]
    """Each once, in order."""
    created_at: dt.datetime
    """When the last object was there, aware."""
    code_version: str = __version__
    trading_days: tuple[TradingDay, ...] = ()
    """Each once, in order."""

    def to_json(self) -> bytes:
        """Return the manifest as the raw bucket keeps it."""
        content = {
            "import_id": self.made_by.import_id,
            "created_at": self.created_at.isoformat(),
            "code_version": self.code_version,
            "sessions": list(map(str, self.sessions)),
            "trading_days": list(map(str, self.trading_days)),
        }
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> ImportManifest:
        """Inverse of `to_json`.

        Raises:
            UnexpectedEvent: *content* is no manifest.
        """
        try:
            found = json.loads(content)
            return cls(
                Import.parse(f"{Import.NAME_PREFIX}{found['import_id']}"),
                tuple(Session.parse(text) for text in found["sessions"]),
                dt.datetime.fromisoformat(found["created_at"]),
                found["code_version"],
                # Manifests of before there were trading days do not name any.
                tuple(TradingDay.parse(text) for text in found.get("trading_days", ())),
            )
        except (ValueError, TypeError, KeyError, InvalidRequest) as error:
            raise UnexpectedEvent(f"Not the manifest of an import: {error!r}.") from error
