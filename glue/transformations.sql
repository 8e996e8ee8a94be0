-- Table portfolio (and, compact, holdings), in Spark SQL. The last SELECT is the table: every column, its type, its order.
--
-- Input views
--   raw_holdings : raw rows of every stored session of the window, as B3 published them, and the names of their sector
--              (index_code, session_date, ticker, company, share_class, corporate_event, listing_segment, sector_label,
--               theoretical_quantity, participation_pct, total_theoretical_quantity, reductor, sector, subsector)
--   calendar : one row a trading session of the window, stored or not
--              (index_code, session_date, session_number, is_stored, is_output, last_rebalance_date, next_rebalance_date)
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
compared AS (
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

written AS (
    SELECT
        *,
        COUNT(*) OVER of_company AS company_share_classes,
        SUM(theoretical_quantity) OVER of_company AS company_theoretical_quantity,
        SUM(participation_pct) OVER of_company AS company_participation_pct,
        CASE WHEN is_comparable THEN theoretical_quantity - theoretical_quantity_before END AS quantity_change
    FROM compared
    WHERE is_output
    WINDOW of_company AS (PARTITION BY index_code, session_date, company)
)

SELECT
    index_code,
    session_date,
    ticker,
    company,
    share_class,
    corporate_event,
    listing_segment,
    sector_label AS sector_as_published,
    sector,
    subsector,
    theoretical_quantity,
    quantity_change AS theoretical_quantity_change,
    CASE
        WHEN quantity_change = 0 THEN NULL
        WHEN quantity_change IS NOT NULL AND last_rebalance_date > previous_session_date THEN 'rebalance'
        WHEN quantity_change IS NOT NULL THEN 'corporate_action'
    END AS quantity_change_cause,
    participation_pct,
    CAST(
        CASE WHEN is_comparable THEN participation_pct - participation_before_pct END AS DECIMAL(6, 3)
    ) AS participation_change_pp,
    total_theoretical_quantity AS index_theoretical_quantity,
    reductor,
    CAST(company_share_classes AS INT) AS company_share_classes,
    CAST(company_theoretical_quantity AS BIGINT) AS company_theoretical_quantity,
    CAST(company_participation_pct AS DECIMAL(6, 3)) AS company_participation_pct,
    previous_session_date,
    DATEDIFF(session_date, previous_session_date) AS days_since_previous_session,
    CAST(sessions_missed AS INT) AS sessions_missed,
    last_rebalance_date,
    DATEDIFF(session_date, last_rebalance_date) AS days_since_rebalance,
    next_rebalance_date,
    DATEDIFF(next_rebalance_date, session_date) AS days_to_next_rebalance,
    WEEKDAY(session_date) + 1 AS weekday,
    QUARTER(session_date) AS quarter,
    CAST(sessions_observed AS INT) AS sessions_observed,
    CAST(sessions_present AS INT) AS sessions_present,
    CAST(CAST(100 * sessions_present AS DECIMAL(9, 0)) / sessions_observed AS DECIMAL(6, 3)) AS presence_frequency_pct,
    CASE
        WHEN previous_session_date IS NULL THEN 'first_session'
        WHEN is_comparable THEN 'stayed'
        WHEN sessions_present > 1 THEN 're_entered'
        ELSE 'entered'
    END AS membership,
    CAST(participation_rank AS INT) AS participation_rank,
    CAST(
        CASE WHEN is_comparable THEN participation_rank_before - participation_rank END AS INT
    ) AS participation_rank_change,
    CAST(cumulative_participation_pct AS DECIMAL(6, 3)) AS cumulative_participation_pct,
    CASE
        WHEN cumulative_participation_pct <= 50 THEN 'A'
        WHEN cumulative_participation_pct <= 80 THEN 'B'
        ELSE 'C'
    END AS participation_level
FROM written
