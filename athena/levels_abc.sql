-- How many shares make up the levels A (up to 50 percent), B (up to 80) and C?
-- session_date: the last stored session up to it, null for the latest.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
),

chosen AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
)

SELECT
    holdings.session_date,
    holdings.participation_level,
    COUNT(*) AS holdings,
    SUM(holdings.participation_pct) AS participation_pct,
    MAX(holdings.participation_pct) AS largest_participation_pct,
    MIN(holdings.participation_pct) AS smallest_participation_pct,
    MIN_BY(holdings.ticker, holdings.participation_rank) AS first_ticker,
    MAX_BY(holdings.ticker, holdings.participation_rank) AS last_ticker
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN chosen
    ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
GROUP BY holdings.session_date, holdings.participation_level
ORDER BY participation_level
