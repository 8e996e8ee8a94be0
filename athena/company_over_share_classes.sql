-- Which companies are in the index with several share classes, and how is their participation divided?
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
    holdings.ticker,
    holdings.share_class,
    holdings.theoretical_quantity,
    holdings.participation_pct,
    holdings.company_share_classes,
    holdings.company_participation_pct,
    CAST(
        CAST(100 * holdings.participation_pct AS DECIMAL(9, 3)) / NULLIF(holdings.company_participation_pct, 0)
        AS DECIMAL(6, 3)
    ) AS share_of_company_pct
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN chosen
    ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
WHERE holdings.company_share_classes > 1
ORDER BY company_participation_pct DESC, company, participation_pct DESC, ticker
