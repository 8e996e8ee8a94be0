-- One row per index: its latest session.
SELECT
    sessions.index_code,
    sessions.session_date,
    sessions.holdings,
    sessions.companies,
    sessions.theoretical_quantity,
    sessions.reductor,
    sessions.turnover_pct,
    sessions.is_rebalance
FROM sessions
JOIN (
    SELECT
        index_code,
        MAX(session_date) AS session_date
    FROM sessions
    GROUP BY index_code
) AS latest
    ON sessions.index_code = latest.index_code
    AND sessions.session_date = latest.session_date
