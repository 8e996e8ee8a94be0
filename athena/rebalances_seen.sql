-- Which rebalances lie between stored sessions, and how much changed over them?
-- from_date, to_date: the first and the last day, null for no bound.
-- Counts and turnover are between the last stored session before and the first one since, null where these are more
-- than 20 sessions apart.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

ordered AS (
    SELECT
        sessions.*,
        LAG(sessions.session_date) OVER (ORDER BY sessions.session_date) AS date_before,
        LAG(sessions.holdings) OVER (ORDER BY sessions.session_date) AS holdings_before
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
)

SELECT
    ordered.last_rebalance_date AS rebalance_date,
    ordered.date_before AS from_session_date,
    ordered.session_date AS to_session_date,
    ordered.holdings_before,
    ordered.holdings AS holdings_after,
    ordered.entries,
    ordered.exits,
    ordered.quantity_changes,
    ordered.turnover_pct
FROM ordered
CROSS JOIN parameters
WHERE ordered.date_before < ordered.last_rebalance_date
    AND ordered.session_year BETWEEN COALESCE(YEAR(parameters.from_date), ordered.session_year)
        AND COALESCE(YEAR(parameters.to_date), ordered.session_year)
    AND ordered.session_date BETWEEN COALESCE(parameters.from_date, ordered.session_date)
        AND COALESCE(parameters.to_date, ordered.session_date)
ORDER BY to_session_date
