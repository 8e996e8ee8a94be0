-- Table portfolio (and, compact, holdings), in Spark SQL. The last SELECT has the table's own columns, their types and
-- their order, then two for holdings_traded.sql alone, which adds what trading days say.
--
-- Input view
--   compared : the rows of compared.sql

WITH written AS (
    SELECT
        *,
        COUNT(*) OVER of_company AS company_share_classes,
        SUM(theoretical_quantity) OVER of_company AS company_theoretical_quantity,
        SUM(participation_pct) OVER of_company AS company_participation_pct
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
    theoretical_quantity_change,
    quantity_change_cause,
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
    END AS participation_level,
    -- For holdings_traded.sql; not columns of the table.
    session_number,
    actions_in_window
FROM written
