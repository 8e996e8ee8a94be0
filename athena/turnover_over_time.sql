-- How much did the index turn over, month by month?
-- from_date, to_date: the first and the last day, null for no bound.
-- Prices alone turn an index over a little every day. The largest and the median are of the month's sessions, and
-- sessions_not_compared are those without a stored session in the 20 before, whose turnover nobody knows.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    DATE_FORMAT(sessions.session_date, '%Y-%m') AS month,
    COUNT(*) AS sessions,
    SUM(sessions.turnover_pct) AS turnover_pct,
    MAX(sessions.turnover_pct) AS largest_turnover_pct,
    APPROX_PERCENTILE(CAST(sessions.turnover_pct AS DOUBLE), 0.5) AS approx_median_turnover_pct,
    SUM(sessions.entries) AS entries,
    SUM(sessions.exits) AS exits,
    COUNT_IF(sessions.turnover_pct IS NULL) AS sessions_not_compared
FROM sessions
INNER JOIN parameters ON sessions.index_code = parameters.index_code
WHERE sessions.session_year BETWEEN COALESCE(YEAR(parameters.from_date), sessions.session_year)
        AND COALESCE(YEAR(parameters.to_date), sessions.session_year)
    AND sessions.session_date BETWEEN COALESCE(parameters.from_date, sessions.session_date)
        AND COALESCE(parameters.to_date, sessions.session_date)
GROUP BY DATE_FORMAT(sessions.session_date, '%Y-%m')
ORDER BY month
