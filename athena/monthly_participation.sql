-- How did each share's participation develop over the months of a year?
-- year: 0 is the latest stored. Each column is the month's last stored session, null for a share that was not in it, or
-- a month without sessions.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        0 AS year
),

chosen AS (
    SELECT MAX(sessions.session_year) AS session_year
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE parameters.year IN (0, sessions.session_year)
),

month_ends AS (
    SELECT
        sessions.session_year,
        MONTH(sessions.session_date) AS month,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    INNER JOIN chosen ON sessions.session_year = chosen.session_year
    GROUP BY sessions.session_year, MONTH(sessions.session_date)
),

by_month AS (
    SELECT
        holdings.session_year,
        holdings.ticker,
        MAX_BY(holdings.company, holdings.session_date) AS company,
        MAP_AGG(month_ends.month, holdings.participation_pct) AS participations_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN month_ends
        ON holdings.session_year = month_ends.session_year AND holdings.session_date = month_ends.session_date
    GROUP BY holdings.session_year, holdings.ticker
)

SELECT
    session_year,
    ticker,
    company,
    ELEMENT_AT(participations_pct, 1) AS january_pct,
    ELEMENT_AT(participations_pct, 2) AS february_pct,
    ELEMENT_AT(participations_pct, 3) AS march_pct,
    ELEMENT_AT(participations_pct, 4) AS april_pct,
    ELEMENT_AT(participations_pct, 5) AS may_pct,
    ELEMENT_AT(participations_pct, 6) AS june_pct,
    ELEMENT_AT(participations_pct, 7) AS july_pct,
    ELEMENT_AT(participations_pct, 8) AS august_pct,
    ELEMENT_AT(participations_pct, 9) AS september_pct,
    ELEMENT_AT(participations_pct, 10) AS october_pct,
    ELEMENT_AT(participations_pct, 11) AS november_pct,
    ELEMENT_AT(participations_pct, 12) AS december_pct
FROM by_month
ORDER BY ticker
