-- How does B3 spell the sectors, and which spellings does nobody know yet?
-- from_date, to_date: the first and the last day, null for no bound.
-- Unknown spellings come first: they belong into bovespa/sectors.py.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    holdings.sector_as_published,
    holdings.sector IS NOT NULL AS is_known,
    holdings.sector,
    holdings.subsector,
    COUNT(DISTINCT holdings.ticker) AS tickers,
    COUNT(DISTINCT holdings.index_code) AS indexes,
    MIN(holdings.session_date) AS first_session_date,
    MAX(holdings.session_date) AS last_session_date
FROM holdings
CROSS JOIN parameters
WHERE holdings.sector_as_published IS NOT NULL
    AND holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
GROUP BY holdings.sector_as_published, holdings.sector, holdings.subsector
ORDER BY is_known, sector_as_published
