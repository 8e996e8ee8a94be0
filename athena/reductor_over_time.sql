-- How did the Redutor (the divisor of the index) move?
-- from_date, to_date: the first and the last day, null for no bound.
-- The last column is the change since the first session that is shown.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

shown AS (
    SELECT
        sessions.session_date,
        sessions.reductor,
        sessions.reductor_change_pct,
        sessions.is_rebalance,
        FIRST_VALUE(sessions.reductor) OVER (ORDER BY sessions.session_date) AS first_reductor
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.session_year BETWEEN COALESCE(YEAR(parameters.from_date), sessions.session_year)
            AND COALESCE(YEAR(parameters.to_date), sessions.session_year)
        AND sessions.session_date BETWEEN COALESCE(parameters.from_date, sessions.session_date)
            AND COALESCE(parameters.to_date, sessions.session_date)
)

SELECT
    session_date,
    reductor,
    reductor_change_pct,
    is_rebalance,
    CAST(100 * (reductor / first_reductor - 1) AS DECIMAL(16, 6)) AS reductor_change_since_first_pct
FROM shown
ORDER BY session_date
