-- What did the last rebalance change: who entered, who left, whose quantity is another?
-- session_date: the last rebalance up to it, null for the latest. One counts if sessions on both sides of it are
-- stored.
-- It compares the last stored session before the rebalance with the first one since. Where they are far apart, what
-- other rebalances and corporate actions did between them is in it, too.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
),

ordered AS (
    SELECT
        sessions.*,
        LAG(sessions.session_year) OVER (ORDER BY sessions.session_date) AS year_before,
        LAG(sessions.session_date) OVER (ORDER BY sessions.session_date) AS date_before
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
),

last_crossing AS (
    SELECT MAX(ordered.session_date) AS session_date
    FROM ordered
    CROSS JOIN parameters
    WHERE ordered.date_before < ordered.last_rebalance_date
        AND ordered.session_date <= COALESCE(parameters.session_date, ordered.session_date)
),

crossing AS (
    SELECT
        ordered.last_rebalance_date AS rebalance_date,
        ordered.year_before,
        ordered.date_before,
        ordered.session_year,
        ordered.session_date
    FROM ordered
    INNER JOIN last_crossing ON ordered.session_date = last_crossing.session_date
),

before AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.theoretical_quantity,
        holdings.participation_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN crossing
        ON holdings.session_year = crossing.year_before AND holdings.session_date = crossing.date_before
),

after AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.theoretical_quantity,
        holdings.participation_pct
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN crossing
        ON holdings.session_year = crossing.session_year AND holdings.session_date = crossing.session_date
)

SELECT
    crossing.rebalance_date,
    crossing.date_before AS from_session_date,
    crossing.session_date AS to_session_date,
    COALESCE(after.ticker, before.ticker) AS ticker,
    COALESCE(after.company, before.company) AS company,
    CASE
        WHEN before.ticker IS NULL THEN 'entered'
        WHEN after.ticker IS NULL THEN 'left'
        ELSE 'quantity_changed'
    END AS effect,
    before.theoretical_quantity AS quantity_before,
    after.theoretical_quantity AS quantity_after,
    CAST(
        CAST(100 * (after.theoretical_quantity - before.theoretical_quantity) AS DECIMAL(22, 3))
        / before.theoretical_quantity AS DECIMAL(12, 3)
    ) AS quantity_change_pct,
    before.participation_pct AS participation_before_pct,
    after.participation_pct AS participation_after_pct,
    COALESCE(after.participation_pct, 0) - COALESCE(before.participation_pct, 0) AS participation_change_pp
FROM before
FULL JOIN after ON before.ticker = after.ticker
CROSS JOIN crossing
WHERE before.theoretical_quantity IS DISTINCT FROM after.theoretical_quantity
ORDER BY ABS(participation_change_pp) DESC, ticker
