-- How many of the largest shares make up 10, 20, ... 100 percent of the index?
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
    reached.participation_pct AS at_least_pct,
    COUNT_IF(holdings.cumulative_participation_pct < reached.participation_pct) + 1 AS holdings,
    MIN(
        CASE
            WHEN holdings.cumulative_participation_pct >= reached.participation_pct
                THEN holdings.cumulative_participation_pct
        END
    ) AS participation_pct
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN chosen
    ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
CROSS JOIN (VALUES 10, 20, 30, 40, 50, 60, 70, 80, 90, 100) AS reached (participation_pct)
GROUP BY holdings.session_date, reached.participation_pct
ORDER BY at_least_pct
