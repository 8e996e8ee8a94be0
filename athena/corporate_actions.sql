-- Which quantities changed between rebalances, and in which indexes was it seen?
-- from_date, to_date: the first and the last day, null for no bound.
-- quantity_ratio is the quantity after over the one before: 2 is a split into two, 0.1 a grouping of ten. It differs
-- between indexes where they count the free float at different times.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
)

SELECT
    holdings.session_date,
    holdings.ticker,
    holdings.company,
    COUNT(*) AS indexes,
    ARRAY_JOIN(ARRAY_AGG(holdings.index_code ORDER BY holdings.index_code), ', ') AS index_codes,
    MIN(holdings.previous_session_date) AS compared_session_date,
    MIN(
        CAST(holdings.theoretical_quantity AS DECIMAL(25, 6))
        / (holdings.theoretical_quantity - holdings.theoretical_quantity_change)
    ) AS min_quantity_ratio,
    MAX(
        CAST(holdings.theoretical_quantity AS DECIMAL(25, 6))
        / (holdings.theoretical_quantity - holdings.theoretical_quantity_change)
    ) AS max_quantity_ratio
FROM holdings
CROSS JOIN parameters
WHERE holdings.quantity_change_cause = 'corporate_action'
    AND holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
GROUP BY holdings.session_date, holdings.ticker, holdings.company
ORDER BY session_date, ticker, company
