-- Table sessions, in Spark SQL: one row an index and session.
--
-- Input views
--   refined : the rows of transformations.sql, every holding of the sessions that this run writes
--   raw_holdings : see compared.sql; the session before the first written one is in it

WITH summed AS (
    SELECT
        index_code,
        session_date,
        COUNT(*) AS holdings,
        -- COUNT(DISTINCT) would group twice as often.
        SIZE(COLLECT_SET(company)) AS companies,
        SUM(theoretical_quantity) AS theoretical_quantity,
        MAX(reductor) AS reductor,
        CAST(SUM(participation_pct * participation_pct) AS DECIMAL(12, 6)) AS concentration_hhi,
        SUM(CASE WHEN participation_rank <= 1 THEN participation_pct END) AS top_1_participation_pct,
        SUM(CASE WHEN participation_rank <= 5 THEN participation_pct END) AS top_5_participation_pct,
        SUM(CASE WHEN participation_rank <= 10 THEN participation_pct END) AS top_10_participation_pct,
        COUNT_IF(membership IN ('entered', 're_entered')) AS entries,
        COUNT_IF(membership = 'stayed') AS stayed,
        COALESCE(SUM(CASE WHEN membership IN ('entered', 're_entered') THEN participation_pct END), 0) AS entered_pct,
        COALESCE(SUM(participation_pct - participation_change_pp), 0) AS stayed_before_pct,
        COALESCE(SUM(ABS(participation_change_pp)), 0) AS stayed_moved_pp,
        COUNT_IF(theoretical_quantity_change <> 0) AS quantity_changes,
        COUNT_IF(quantity_change_cause = 'corporate_action') AS corporate_actions,
        COUNT(corporate_event) AS corporate_events,
        -- The same on every row of a session.
        MAX(previous_session_date) AS previous_session_date,
        MAX(days_since_previous_session) AS days_since_previous_session,
        MAX(sessions_missed) AS sessions_missed,
        MAX(last_rebalance_date) AS last_rebalance_date,
        MAX(days_since_rebalance) AS days_since_rebalance,
        MAX(next_rebalance_date) AS next_rebalance_date,
        MAX(days_to_next_rebalance) AS days_to_next_rebalance,
        MAX(weekday) AS weekday,
        MAX(quarter) AS quarter,
        MAX(sessions_observed) AS sessions_observed
    FROM refined
    GROUP BY index_code, session_date
),

before AS (
    SELECT
        index_code,
        session_date AS previous_session_date,
        COUNT(*) AS holdings_before,
        SUM(participation_pct) AS participation_before_pct,
        MAX(reductor) AS reductor_before
    FROM raw_holdings
    GROUP BY index_code, session_date
)

SELECT
    index_code,
    session_date,
    CAST(holdings AS INT) AS holdings,
    CAST(companies AS INT) AS companies,
    CAST(theoretical_quantity AS BIGINT) AS theoretical_quantity,
    reductor,
    -- Narrowed before the division, or Spark would keep too few of its decimals.
    CAST(
        100 * (CAST(CAST(reductor AS DECIMAL(20, 8)) / CAST(reductor_before AS DECIMAL(20, 8)) AS DECIMAL(28, 14)) - 1)
        AS DECIMAL(12, 6)
    ) AS reductor_change_pct,
    concentration_hhi,
    CAST(CAST(10000 AS DECIMAL(5, 0)) / concentration_hhi AS DECIMAL(9, 3)) AS effective_holdings,
    CAST(top_1_participation_pct AS DECIMAL(6, 3)) AS top_1_participation_pct,
    CAST(top_5_participation_pct AS DECIMAL(6, 3)) AS top_5_participation_pct,
    CAST(top_10_participation_pct AS DECIMAL(6, 3)) AS top_10_participation_pct,
    CASE WHEN previous_session_date IS NOT NULL THEN CAST(entries AS INT) END AS entries,
    CAST(holdings_before - stayed AS INT) AS exits,
    -- Half of what the stayed moved, the entered brought, and the departed took along.
    CAST(
        (stayed_moved_pp + entered_pct + (participation_before_pct - stayed_before_pct)) * 0.5 AS DECIMAL(7, 4)
    ) AS turnover_pct,
    CASE WHEN previous_session_date IS NOT NULL THEN CAST(quantity_changes AS INT) END AS quantity_changes,
    CASE WHEN previous_session_date IS NOT NULL THEN CAST(corporate_actions AS INT) END AS corporate_actions,
    CAST(corporate_events AS INT) AS corporate_events,
    session_date = last_rebalance_date AS is_rebalance,
    previous_session_date,
    days_since_previous_session,
    sessions_missed,
    last_rebalance_date,
    days_since_rebalance,
    next_rebalance_date,
    days_to_next_rebalance,
    weekday,
    quarter,
    sessions_observed
FROM summed
LEFT JOIN before USING (index_code, previous_session_date)
