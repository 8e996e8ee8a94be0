-- On which weekdays does the index turn over more?
-- from_date, to_date: the first and the last day, null for no bound.
-- Only sessions whose last session before is stored, and no rebalances. A Monday's turnover is that of Friday's prices.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    sessions.weekday,
    DATE_FORMAT(sessions.session_date, '%W') AS weekday_name,
    COUNT(*) AS sessions,
    AVG(sessions.turnover_pct) AS avg_turnover_pct,
    APPROX_PERCENTILE(CAST(sessions.turnover_pct AS DOUBLE), 0.5) AS approx_median_turnover_pct,
    MAX(sessions.turnover_pct) AS max_turnover_pct
FROM sessions
INNER JOIN parameters ON sessions.index_code = parameters.index_code
WHERE sessions.sessions_missed = 0
    AND NOT sessions.is_rebalance
    AND sessions.session_year BETWEEN COALESCE(YEAR(parameters.from_date), sessions.session_year)
        AND COALESCE(YEAR(parameters.to_date), sessions.session_year)
    AND sessions.session_date BETWEEN COALESCE(parameters.from_date, sessions.session_date)
        AND COALESCE(parameters.to_date, sessions.session_date)
GROUP BY sessions.weekday, DATE_FORMAT(sessions.session_date, '%W')
ORDER BY weekday
