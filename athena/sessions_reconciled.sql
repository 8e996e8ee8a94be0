-- Does every stored session add up to the totals that B3 published with it?
-- from_date, to_date: the first and the last day, null for no bound.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    holdings.index_code,
    holdings.session_date,
    COUNT(*) AS holdings,
    SUM(holdings.theoretical_quantity) AS theoretical_quantity,
    SUM(holdings.participation_pct) AS participation_pct,
    SUM(holdings.theoretical_quantity) = MAX(holdings.index_theoretical_quantity)
        AND SUM(holdings.participation_pct) = 100 AS is_reconciled
FROM holdings
CROSS JOIN parameters
WHERE holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
GROUP BY holdings.index_code, holdings.session_date
ORDER BY index_code, session_date
