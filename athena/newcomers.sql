-- Which shares entered the index lately, and how have they done since?
-- session_date: the last stored session up to it, null for the latest. sessions: how many stored sessions to look back
-- over.
-- participation_pct is of that last session, null for a share that has left again.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date,
        21 AS sessions
),

numbered AS (
    SELECT
        sessions.session_year,
        sessions.session_date,
        ROW_NUMBER() OVER (ORDER BY sessions.session_date DESC) - 1 AS sessions_since
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
),

current_holdings AS (
    SELECT
        holdings.ticker,
        holdings.participation_pct,
        holdings.participation_rank
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN numbered
        ON holdings.session_year = numbered.session_year AND holdings.session_date = numbered.session_date
    WHERE numbered.sessions_since = 0
)

SELECT
    stays.first_session_date AS entry_session_date,
    stays.previous_session_date AS compared_session_date,
    numbered.sessions_since,
    stays.ticker,
    stays.company,
    CASE WHEN stays.stay_number = 1 THEN 'entered' ELSE 're_entered' END AS movement,
    stays.first_participation_pct AS entry_participation_pct,
    current_holdings.participation_pct,
    current_holdings.participation_rank
FROM membership_stays AS stays
INNER JOIN parameters ON stays.index_code = parameters.index_code
INNER JOIN numbered
    ON stays.first_session_date = numbered.session_date AND numbered.sessions_since < parameters.sessions
LEFT JOIN current_holdings ON stays.ticker = current_holdings.ticker
WHERE stays.previous_session_date IS NOT NULL
ORDER BY entry_session_date DESC, ticker
