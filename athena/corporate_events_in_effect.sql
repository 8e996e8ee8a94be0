-- Which shares have a corporate event in effect, and since when?
-- session_date: the last stored session up to it, null for the latest.
-- in_effect_since and sessions_in_effect are of the unbroken run of stored sessions with the same event.
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
),

numbered AS (
    SELECT
        sessions.session_year,
        sessions.session_date,
        ROW_NUMBER() OVER (ORDER BY sessions.session_date) AS session_number
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
),

flagged AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.corporate_event,
        holdings.participation_pct,
        holdings.session_date,
        -- The same number for all sessions of a run.
        numbered.session_number - ROW_NUMBER() OVER (
            PARTITION BY holdings.ticker, holdings.corporate_event ORDER BY numbered.session_number
        ) AS run_number
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN numbered
        ON holdings.session_year = numbered.session_year AND holdings.session_date = numbered.session_date
    WHERE holdings.corporate_event IS NOT NULL
)

SELECT
    chosen.session_date,
    flagged.ticker,
    MAX_BY(flagged.company, flagged.session_date) AS company,
    flagged.corporate_event,
    MIN(flagged.session_date) AS in_effect_since,
    COUNT(*) AS sessions_in_effect,
    MAX_BY(flagged.participation_pct, flagged.session_date) AS participation_pct
FROM flagged
INNER JOIN chosen ON flagged.session_date <= chosen.session_date
GROUP BY chosen.session_date, flagged.ticker, flagged.corporate_event, flagged.run_number
HAVING MAX(flagged.session_date) = chosen.session_date
ORDER BY ticker
