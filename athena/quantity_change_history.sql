-- When did theoretical quantities change, by how much, and why?
-- ticker: empty is every share.
-- from_date, to_date: the first and the last day, null for no bound.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        '' AS ticker,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    holdings.session_date,
    holdings.previous_session_date AS compared_session_date,
    holdings.ticker,
    holdings.company,
    holdings.quantity_change_cause,
    holdings.theoretical_quantity - holdings.theoretical_quantity_change AS quantity_before,
    holdings.theoretical_quantity AS quantity_after,
    holdings.theoretical_quantity_change,
    CAST(
        CAST(100 * holdings.theoretical_quantity_change AS DECIMAL(22, 3))
        / (holdings.theoretical_quantity - holdings.theoretical_quantity_change) AS DECIMAL(12, 3)
    ) AS quantity_change_pct
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
WHERE holdings.quantity_change_cause IS NOT NULL
    AND parameters.ticker IN ('', holdings.ticker)
    AND holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
ORDER BY session_date, ticker
