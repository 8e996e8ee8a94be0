-- View compared, in Spark SQL: every raw holding of the window, beside the ticker's row in the session before.
--
-- Input views
--   raw_holdings : raw rows of every session that is read, as B3 published them, and the names of their sector
--              (index_code, session_date, ticker, company, share_class, corporate_event, listing_segment, sector_label,
--               theoretical_quantity, participation_pct, total_theoretical_quantity, reductor, sector, subsector)
--   calendar : one row a trading session of the window, stored or not
--              (index_code, session_date, session_number, is_stored, is_read, is_output, last_rebalance_date,
--               next_rebalance_date)
--
-- A window of "21 sessions" is 21 trading sessions of B3's calendar, the current one included, of which the lake may
-- hold fewer: session_number counts trading sessions, so RANGE 20 PRECEDING never reaches further back than that.

WITH observed AS (
    SELECT
        index_code,
        session_date,
        session_number,
        is_output,
        last_rebalance_date,
        next_rebalance_date,
        COUNT(*) OVER last_21_sessions AS sessions_observed,
        MAX(session_date) OVER before_this_session AS previous_session_date,
        session_number - MAX(session_number) OVER before_this_session - 1 AS sessions_missed
    FROM calendar
    WHERE is_stored
    WINDOW
        last_21_sessions AS (
            PARTITION BY index_code ORDER BY session_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
        ),
        before_this_session AS (
            PARTITION BY index_code ORDER BY session_number RANGE BETWEEN 20 PRECEDING AND 1 PRECEDING
        )
),

-- Every session of the window, because a rank is compared with the rank of the session before.
ranked AS (
    SELECT
        raw_holdings.*,
        observed.session_number,
        observed.is_output,
        observed.last_rebalance_date,
        observed.next_rebalance_date,
        observed.sessions_observed,
        observed.previous_session_date,
        observed.sessions_missed,
        ROW_NUMBER() OVER by_participation AS participation_rank,
        SUM(raw_holdings.participation_pct) OVER by_participation AS cumulative_participation_pct
    FROM raw_holdings
    INNER JOIN observed
        ON raw_holdings.index_code = observed.index_code AND raw_holdings.session_date = observed.session_date
    WINDOW by_participation AS (
        PARTITION BY raw_holdings.index_code, raw_holdings.session_date
        ORDER BY raw_holdings.participation_pct DESC, raw_holdings.ticker
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),

-- A ticker's last row before this one is comparable only if it is of the session before.
lagged AS (
    SELECT
        *,
        COUNT(*) OVER (
            PARTITION BY index_code, ticker ORDER BY session_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
        ) AS sessions_present,
        COALESCE(LAG(session_date) OVER by_ticker = previous_session_date, FALSE) AS is_comparable,
        LAG(theoretical_quantity) OVER by_ticker AS theoretical_quantity_before,
        LAG(participation_pct) OVER by_ticker AS participation_before_pct,
        LAG(participation_rank) OVER by_ticker AS participation_rank_before
    FROM ranked
    WINDOW by_ticker AS (PARTITION BY index_code, ticker ORDER BY session_number)
),

changed AS (
    SELECT
        *,
        CASE WHEN is_comparable THEN theoretical_quantity - theoretical_quantity_before END AS theoretical_quantity_change,
        CASE
            WHEN NOT is_comparable OR theoretical_quantity = theoretical_quantity_before THEN NULL
            WHEN last_rebalance_date > previous_session_date THEN 'rebalance'
            ELSE 'corporate_action'
        END AS quantity_change_cause
    FROM lagged
)

SELECT
    *,
    -- Those of the window, this session's included. One is the change since the session before it: where that one is not in
    -- the window, too, it does not count, because a run that reads less could not know of it.
    FILTER(
        COLLECT_LIST(
            CASE
                WHEN quantity_change_cause = 'corporate_action'
                    THEN STRUCT(session_date, session_number - sessions_missed - 1 AS previous_session_number)
            END
        ) OVER (
            PARTITION BY index_code, ticker ORDER BY session_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
        ),
        action -> action.previous_session_number >= session_number - 20
    ) AS actions_in_window
FROM changed
