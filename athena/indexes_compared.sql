-- How much of the index is also in each other index that is stored for the same session?
-- session_date: the last stored session up to it that another index has, too, null for the latest such.
-- overlap_pct adds up the smaller of both participations of each share, and active_share_pct is what is left to 100.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
),

shared AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    INNER JOIN sessions AS other
        ON sessions.session_year = other.session_year
            AND sessions.session_date = other.session_date
            AND sessions.index_code <> other.index_code
    WHERE sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
),

own AS (
    SELECT
        holdings.ticker,
        holdings.participation_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN shared
        ON holdings.session_year = shared.session_year AND holdings.session_date = shared.session_date
)

SELECT
    shared.session_date,
    other.index_code AS other_index_code,
    COUNT(*) AS other_holdings,
    COUNT(own.ticker) AS common_holdings,
    COALESCE(SUM(LEAST(own.participation_pct, other.participation_pct)), 0) AS overlap_pct,
    100 - COALESCE(SUM(LEAST(own.participation_pct, other.participation_pct)), 0) AS active_share_pct,
    COALESCE(SUM(own.participation_pct), 0) AS common_participation_pct,
    COALESCE(SUM(CASE WHEN own.ticker IS NOT NULL THEN other.participation_pct END), 0)
        AS other_common_participation_pct
FROM holdings AS other
INNER JOIN shared ON other.session_year = shared.session_year AND other.session_date = shared.session_date
INNER JOIN parameters ON other.index_code <> parameters.index_code
LEFT JOIN own ON other.ticker = own.ticker
GROUP BY shared.session_date, other.index_code
ORDER BY overlap_pct DESC, other_index_code
