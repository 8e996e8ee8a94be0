-- Which shares won or lost the most participation between two sessions?
-- to_date: the last stored session up to it, null for the latest.
-- from_date: the last stored session up to it and before the other, null for the one just before the other.
-- A share that entered comes from 0 percent, one that left goes to 0 percent. top: how many.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date,
        10 AS top
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
),

before AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.participation_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN first_session
        ON holdings.session_year = first_session.session_year AND holdings.session_date = first_session.session_date
),

after AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.participation_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN last_session
        ON holdings.session_year = last_session.session_year AND holdings.session_date = last_session.session_date
),

compared AS (
    SELECT
        COALESCE(after.ticker, before.ticker) AS ticker,
        COALESCE(after.company, before.company) AS company,
        CASE
            WHEN before.ticker IS NULL THEN 'entered'
            WHEN after.ticker IS NULL THEN 'left'
            ELSE 'stayed'
        END AS movement,
        before.participation_pct AS participation_before_pct,
        after.participation_pct AS participation_after_pct,
        COALESCE(after.participation_pct, 0) - COALESCE(before.participation_pct, 0) AS participation_change_pp
    FROM before
    FULL JOIN after ON before.ticker = after.ticker
),

numbered AS (
    SELECT
        *,
        ROW_NUMBER() OVER (ORDER BY ABS(participation_change_pp) DESC, ticker) AS place
    FROM compared
)

SELECT
    first_session.session_date AS from_session_date,
    last_session.session_date AS to_session_date,
    numbered.ticker,
    numbered.company,
    numbered.movement,
    numbered.participation_before_pct,
    numbered.participation_after_pct,
    numbered.participation_change_pp
FROM numbered
INNER JOIN parameters ON numbered.place <= parameters.top
-- Without an earlier session there is nothing to compare with.
INNER JOIN first_session ON first_session.session_date IS NOT NULL
CROSS JOIN last_session
ORDER BY place
