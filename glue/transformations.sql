-- The refined portfolio, in Spark SQL. The last SELECT is the table: every column, its type and its order.
--
-- Input views
--   holdings : raw rows of every stored session of the window, as B3 published them
--              (index_code, session_date, ticker, company, share_class, corporate_event, listing_segment, sector_label,
--               theoretical_quantity, participation_pct, total_theoretical_quantity, reductor)
--   calendar : one row a trading session of the window, stored or not
--              (index_code, session_date, session_number, is_stored, is_output, next_rebalance_date)
--
-- A window of "21 sessions" is 21 trading sessions of B3's calendar, the current one included, of which the lake may
-- hold fewer: session_number counts trading sessions, so RANGE 20 PRECEDING never reaches further back than that.

WITH observed AS (
    SELECT
        index_code,
        session_date,
        session_number,
        is_output,
        next_rebalance_date,
        COUNT(*) OVER last_21_sessions AS sessions_observed,
        MAX(session_date) OVER before_this_session AS previous_session_date
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

present AS (
    SELECT
        holdings.*,
        observed.is_output,
        observed.next_rebalance_date,
        observed.sessions_observed,
        observed.previous_session_date,
        COUNT(*) OVER (
            PARTITION BY holdings.index_code, holdings.ticker
            ORDER BY observed.session_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
        ) AS sessions_present
    FROM holdings
    INNER JOIN observed
        ON holdings.index_code = observed.index_code AND holdings.session_date = observed.session_date
),

ranked AS (
    SELECT
        present.*,
        COUNT(*) OVER of_company AS company_share_classes,
        SUM(theoretical_quantity) OVER of_company AS company_theoretical_quantity,
        SUM(participation_pct) OVER of_company AS company_participation_pct,
        ROW_NUMBER() OVER by_participation AS participation_rank,
        SUM(participation_pct) OVER by_participation AS cumulative_participation_pct
    FROM present
    WHERE is_output
    WINDOW
        of_company AS (PARTITION BY index_code, session_date, company),
        by_participation AS (
            PARTITION BY index_code, session_date
            ORDER BY participation_pct DESC, ticker
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
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
    theoretical_quantity,
    participation_pct,
    total_theoretical_quantity AS index_theoretical_quantity,
    reductor,
    CAST(company_share_classes AS INT) AS company_share_classes,
    CAST(company_theoretical_quantity AS BIGINT) AS company_theoretical_quantity,
    CAST(company_participation_pct AS DECIMAL(6, 3)) AS company_participation_pct,
    previous_session_date,
    DATEDIFF(session_date, previous_session_date) AS days_since_previous_session,
    next_rebalance_date,
    DATEDIFF(next_rebalance_date, session_date) AS days_to_next_rebalance,
    CAST(sessions_observed AS INT) AS sessions_observed,
    CAST(sessions_present AS INT) AS sessions_present,
    CAST(CAST(100 * sessions_present AS DECIMAL(9, 0)) / sessions_observed AS DECIMAL(6, 3)) AS presence_frequency_pct,
    CAST(participation_rank AS INT) AS participation_rank,
    CAST(cumulative_participation_pct AS DECIMAL(6, 3)) AS cumulative_participation_pct,
    CASE
        WHEN cumulative_participation_pct <= 50 THEN 'A'
        WHEN cumulative_participation_pct <= 80 THEN 'B'
        ELSE 'C'
    END AS participation_level
FROM ranked
