-- What trading days add to table sessions, in Spark SQL: one row an index and session that is written.
--
-- Input views
--   traded : the rows of holdings_traded.sql
--   compared, closes : the rows of compared.sql and closes.sql; the session before the first written one is in both
--
-- How quotients are rounded, and why: see trading.sql.

WITH summed AS (
    SELECT
        index_code,
        session_date,
        MAX(previous_session_date) AS previous_session_date,
        MAX(session_number) AS session_number,
        MAX(day_number) AS day_number,
        CAST((20000 * MAX(index_market_value_brl) + MAX(reductor)) DIV (2 * MAX(reductor)) AS DECIMAL(18, 0)) * 0.0001
            AS index_level,
        MAX(index_trades) AS trades,
        MAX(index_volume_brl) AS volume_brl,
        CASE WHEN MAX(is_stored) THEN COUNT_IF(trades > 0) END AS holdings_traded,
        NULLIF(COUNT(opening_participation_pct), 0) AS participations_compared,
        COUNT_IF(opening_participation_pct = participation_pct) AS participations_reproduced,
        MAX(ABS(opening_participation_pct - participation_pct)) AS participation_max_difference_pp
    FROM traded
    GROUP BY index_code, session_date
),

-- The session before by its own holdings, at the closes of its own day, and as there null after a corporate action; but
-- nothing from before this session's window counts, so that nothing matters to a session more than 20 later.
beside_before AS (
    SELECT
        summed.*,
        compared.ticker AS ticker_before,
        compared.reductor AS reductor_before,
        CASE
            WHEN
                NOT EXISTS(
                    compared.actions_in_window,
                    action -> action.session_date > closes.last_close.session_date
                        AND action.previous_session_number >= summed.session_number - 20
                )
                THEN CAST(
                    closes.last_close.price_brl * CAST(compared.theoretical_quantity AS DECIMAL(18, 0))
                    AS DECIMAL(26, 8)
                )
        END AS market_value_before_brl
    FROM summed
    LEFT JOIN compared
        ON summed.index_code = compared.index_code AND summed.previous_session_date = compared.session_date
    LEFT JOIN closes
        ON compared.session_date = closes.session_date
            AND compared.ticker = closes.ticker
            AND closes.is_stored
            AND closes.last_close.day_number >= summed.day_number - 20
),

valued AS (
    SELECT
        index_code,
        session_date,
        -- The same on every row of a session.
        MAX(index_level) AS index_level,
        MAX(trades) AS trades,
        MAX(volume_brl) AS volume_brl,
        MAX(holdings_traded) AS holdings_traded,
        MAX(participations_compared) AS participations_compared,
        MAX(participations_reproduced) AS participations_reproduced,
        MAX(participation_max_difference_pp) AS participation_max_difference_pp,
        MAX(reductor_before) AS reductor_before,
        CASE
            WHEN COUNT(market_value_before_brl) = COUNT(ticker_before)
                THEN CAST(SUM(market_value_before_brl) AS DECIMAL(26, 8))
        END AS index_market_value_before_brl
    FROM beside_before
    GROUP BY index_code, session_date
),

levels AS (
    SELECT
        *,
        CAST(
            (20000 * index_market_value_before_brl + reductor_before) DIV (2 * reductor_before) AS DECIMAL(18, 0)
        ) * 0.0001 AS previous_index_level
    FROM valued
)

SELECT
    index_code,
    session_date,
    CAST(index_level AS DECIMAL(14, 4)) AS index_level,
    CAST(previous_index_level AS DECIMAL(14, 4)) AS previous_index_level,
    CAST(index_level - previous_index_level AS DECIMAL(14, 4)) AS index_change_points,
    CAST(
        CASE WHEN index_level < previous_index_level THEN -1 ELSE 1 END
        * CAST(
            (200000000 * ABS(index_level - previous_index_level) + previous_index_level)
            DIV (2 * previous_index_level) AS DECIMAL(12, 0)
        ) * 0.000001 AS DECIMAL(12, 6)
    ) AS index_change_pct,
    CAST(trades AS BIGINT) AS trades,
    CAST(volume_brl AS DECIMAL(18, 2)) AS volume_brl,
    CAST(holdings_traded AS INT) AS holdings_traded,
    CAST(participations_compared AS INT) AS participations_compared,
    CAST(CASE WHEN participations_compared IS NOT NULL THEN participations_reproduced END AS INT)
        AS participations_reproduced,
    CAST(participation_max_difference_pp AS DECIMAL(6, 3)) AS participation_max_difference_pp
FROM levels
