-- Which companies weigh most in the index, over all their share classes?
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
    holdings.company,
    COUNT(*) AS share_classes,
    ARRAY_JOIN(ARRAY_AGG(holdings.ticker ORDER BY holdings.ticker), ', ') AS tickers,
    SUM(holdings.theoretical_quantity) AS theoretical_quantity,
    SUM(holdings.participation_pct) AS participation_pct
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN chosen
    ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
GROUP BY holdings.session_date, holdings.company
ORDER BY participation_pct DESC, company
