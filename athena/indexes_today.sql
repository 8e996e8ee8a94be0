-- What does each index look like in its latest stored session?
SELECT
    index_code,
    session_date,
    holdings,
    companies,
    top_1_participation_pct,
    top_10_participation_pct,
    effective_holdings,
    turnover_pct,
    reductor,
    last_rebalance_date,
    next_rebalance_date
FROM latest_sessions
ORDER BY index_code
