-- One row per index: its latest session, with all that sessions says of it.
WITH latest AS (
    SELECT
        index_code,
        MAX(session_year) AS session_year,
        MAX(session_date) AS session_date
    FROM sessions
    GROUP BY index_code
)

SELECT
    sessions.session_date,
    sessions.holdings,
    sessions.companies,
    sessions.theoretical_quantity,
    sessions.reductor,
    sessions.reductor_change_pct,
    sessions.concentration_hhi,
    sessions.effective_holdings,
    sessions.top_1_participation_pct,
    sessions.top_5_participation_pct,
    sessions.top_10_participation_pct,
    sessions.entries,
    sessions.exits,
    sessions.turnover_pct,
    sessions.quantity_changes,
    sessions.corporate_actions,
    sessions.corporate_events,
    sessions.is_rebalance,
    sessions.previous_session_date,
    sessions.days_since_previous_session,
    sessions.sessions_missed,
    sessions.last_rebalance_date,
    sessions.days_since_rebalance,
    sessions.next_rebalance_date,
    sessions.days_to_next_rebalance,
    sessions.weekday,
    sessions.quarter,
    sessions.sessions_observed,
    sessions.index_level,
    sessions.previous_index_level,
    sessions.index_change_points,
    sessions.index_change_pct,
    sessions.trades,
    sessions.volume_brl,
    sessions.holdings_traded,
    sessions.participations_compared,
    sessions.participations_reproduced,
    sessions.participation_max_difference_pp,
    sessions.index_code,
    sessions.session_year
FROM sessions
INNER JOIN latest
    ON sessions.index_code = latest.index_code
        AND sessions.session_year = latest.session_year
        AND sessions.session_date = latest.session_date
