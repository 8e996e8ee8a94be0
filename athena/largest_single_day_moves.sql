-- Which were the largest changes of a participation from one session to the next?
-- from_date, to_date: the first and the last day, null for no bound.
-- Only between sessions that follow each other in B3's calendar. top: how many.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date,
        20 AS top
),

numbered AS (
    SELECT
        holdings.session_date,
        holdings.ticker,
        holdings.company,
        holdings.participation_pct,
        holdings.participation_change_pp,
        holdings.quantity_change_cause,
        ROW_NUMBER() OVER (
            ORDER BY ABS(holdings.participation_change_pp) DESC, holdings.session_date, holdings.ticker
        ) AS place
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    WHERE holdings.sessions_missed = 0
        AND holdings.participation_change_pp IS NOT NULL
        AND holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
            AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
        AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
            AND COALESCE(parameters.to_date, holdings.session_date)
)

SELECT
    numbered.place,
    numbered.session_date,
    numbered.ticker,
    numbered.company,
    numbered.participation_pct - numbered.participation_change_pp AS participation_before_pct,
    numbered.participation_pct AS participation_after_pct,
    numbered.participation_change_pp,
    numbered.quantity_change_cause
FROM numbered
INNER JOIN parameters ON numbered.place <= parameters.top
ORDER BY place
