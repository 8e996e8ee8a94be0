-- Which sectors won and lost participation between two sessions?
-- to_date: the last stored session up to it, null for the latest.
-- from_date: the last stored session up to it and before the other, null for the one just before the other.
-- Sectors that B3 left out come from the nearest session that names them (view holdings_with_sectors):
-- filled_before_pct and filled_after_pct are the participation of which that is so. A null sector is what no session
-- names.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

last_session AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.session_date <= COALESCE(parameters.to_date, sessions.session_date)
),

first_session AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    INNER JOIN last_session ON sessions.session_date < last_session.session_date
    WHERE sessions.session_date <= COALESCE(parameters.from_date, sessions.session_date)
)

SELECT
    first_session.session_date AS from_session_date,
    last_session.session_date AS to_session_date,
    sectors_filled.sector,
    SUM(CASE WHEN sectors_filled.session_date = first_session.session_date THEN participation_pct ELSE 0 END)
        AS participation_before_pct,
    SUM(CASE WHEN sectors_filled.session_date = last_session.session_date THEN participation_pct ELSE 0 END)
        AS participation_after_pct,
    SUM(
        CASE
            WHEN sectors_filled.session_date = last_session.session_date THEN participation_pct
            ELSE -participation_pct
        END
    ) AS participation_change_pp,
    SUM(CASE WHEN sectors_filled.session_date = first_session.session_date THEN filled_participation_pct ELSE 0 END)
        AS filled_before_pct,
    SUM(CASE WHEN sectors_filled.session_date = last_session.session_date THEN filled_participation_pct ELSE 0 END)
        AS filled_after_pct
FROM sectors_filled
INNER JOIN parameters ON sectors_filled.index_code = parameters.index_code
CROSS JOIN first_session
CROSS JOIN last_session
WHERE sectors_filled.session_year IN (first_session.session_year, last_session.session_year)
    AND sectors_filled.session_date IN (first_session.session_date, last_session.session_date)
    AND first_session.session_date IS NOT NULL
GROUP BY first_session.session_date, last_session.session_date, sectors_filled.sector
ORDER BY participation_change_pp DESC, sector
