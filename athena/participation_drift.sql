-- What did a day's prices make of the participations?
-- session_date: the last session up to it whose trading day is stored, null for the latest.
-- participation_pct is that of the opening, as B3 published it, closing_participation_pct that of the closes.
-- relative_drift_pct is the drift in percent of the participation: how much the share gained on the index.
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
    WHERE sessions.trades IS NOT NULL
        AND sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
),

weighed AS (
    SELECT
        holdings.*,
        CASE
            WHEN holdings.closing_participation_pct IS NOT NULL
                THEN ROW_NUMBER() OVER (ORDER BY holdings.closing_participation_pct DESC, holdings.ticker)
        END AS closing_rank
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN chosen
        ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
)

SELECT
    session_date,
    ticker,
    company,
    participation_pct,
    closing_participation_pct,
    participation_drift_pp,
    100 * participation_drift_pp / NULLIF(participation_pct, 0) AS relative_drift_pct,
    participation_rank,
    closing_rank,
    participation_rank - closing_rank AS ranks_won
FROM weighed
ORDER BY ABS(participation_drift_pp) DESC NULLS LAST, ticker
