-- Which sessions of which indexes does the lake hold, year by year?
-- from_date, to_date: the first and the last day, null for no bound.
-- sessions_missed adds up what is known to be missing, and long_gaps are the sessions before which more is missing than
-- that, or nothing is stored.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

with_sectors AS (
    SELECT DISTINCT index_code, session_year, session_date FROM sectors
)

SELECT
    sessions.index_code,
    sessions.session_year,
    COUNT(*) AS sessions,
    COUNT(with_sectors.session_date) AS sessions_with_sectors,
    MIN(sessions.session_date) AS first_session_date,
    MAX(sessions.session_date) AS last_session_date,
    COALESCE(SUM(sessions.sessions_missed), 0) AS sessions_missed,
    COUNT_IF(sessions.previous_session_date IS NULL) AS long_gaps
FROM sessions
LEFT JOIN with_sectors
    ON sessions.index_code = with_sectors.index_code
        AND sessions.session_year = with_sectors.session_year
        AND sessions.session_date = with_sectors.session_date
CROSS JOIN parameters
WHERE sessions.session_year BETWEEN COALESCE(YEAR(parameters.from_date), sessions.session_year)
        AND COALESCE(YEAR(parameters.to_date), sessions.session_year)
    AND sessions.session_date BETWEEN COALESCE(parameters.from_date, sessions.session_date)
        AND COALESCE(parameters.to_date, sessions.session_date)
GROUP BY sessions.index_code, sessions.session_year
ORDER BY index_code, session_year
