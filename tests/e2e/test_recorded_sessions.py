"""Every column of every row of the 54 recorded sessions, and of one with its trading days, against the reckoning.

One run over all has refined them.
"""

from __future__ import annotations

from tests import reckoning
from tests.compact_reckoning import sector_rows
from tests.e2e.conftest import StoredHistory
from tests.trading_reckoning import refined_rows, session_rows, trading_rows


def test_one_run_over_all_recorded_sessions_gives_every_value(recorded_history: StoredHistory) -> None:
    lake, contents, trading_days = recorded_history.lake, recorded_history.contents, recorded_history.trading_days
    rows = lake.rows("TRUE")
    assert rows == refined_rows(contents, trading_days)
    assert lake.table("holdings", "index_code", "session_date", "ticker") == {
        key: row | {"session_year": key[1][:4]} for key, row in rows.items()
    }
    assert lake.table("sessions", "index_code", "session_date") == session_rows(contents, trading_days)
    assert lake.table("trading", "session_date", "ticker") == trading_rows(trading_days)
    sectors = lake.table("sectors", "index_code", "session_date", "sector", "subsector")
    assert sectors == sector_rows(contents)
    assert len({key[:2] for key in sectors}) == 7, "B3 gave seven of the recorded sessions by sector"
    assert len(rows) == sum(len(reckoning.read(content).rows) for content in contents) == 4678 + 82
    changed = {
        key: (row["theoretical_quantity_change"], row["quantity_change_cause"])
        for key, row in rows.items()
        if row["quantity_change_cause"] is not None
    }
    # Among the 25 consecutive sessions of 2025-02-03 to 2025-03-11 only ITSA4's is a change, as FACTS says: from
    # 5.778.248.950 to 5.857.796.242. The others lie beside gaps in the recordings.
    assert changed == {
        ("IBOV", "2025-02-03", "EQTL3"): ("4282293", "corporate_action"),
        ("IBOV", "2025-02-18", "ITSA4"): ("79547292", "corporate_action"),
        ("IBOV", "2026-03-24", "SBSP3"): ("1000404", "corporate_action"),
        ("IBRA", "2021-07-01", "BPAC11"): ("781487382", "corporate_action"),
        ("IBRA", "2021-07-01", "CVCB3"): ("25071089", "corporate_action"),
    }
    assert rows["IBOV", "2025-02-18", "ITSA4"]["theoretical_quantity"] == "5857796242"
