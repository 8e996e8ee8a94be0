-- What trading days add to table portfolio (and holdings), in Spark SQL: one row a holding of the sessions that are written.
--
-- Input views
--   refined : the rows of transformations.sql
--   closes : the rows of closes.sql
--
-- A value is the close times the theoretical quantity. The opening value is that of the last close before the session. A
-- split changes both, so a close from before a corporate action says nothing of the quantity from after it: until the ticker
-- trades again, the value is null. Only in the session of the action itself the opening value is known, by the quantity from
-- before it; but where sessions are missing, it can be unknown on which side of the action the close lies.
--
-- How quotients are rounded, and why: see trading.sql.

WITH valued AS (
    SELECT
        refined.index_code,
        refined.session_date,
        refined.ticker,
        refined.reductor,
        refined.participation_pct,
        refined.previous_session_date,
        refined.session_number,
        closes.day_number,
        closes.is_stored,
        closes.follows_stored,
        closes.traded_days,
        closes.window_trades,
        CASE WHEN closes.is_stored THEN COALESCE(closes.trades, 0) END AS trades,
        CASE WHEN closes.is_stored THEN COALESCE(closes.volume_brl, 0) END AS volume_brl,
        CASE WHEN closes.is_stored THEN closes.last_close.price_brl END AS close_price_brl,
        CASE WHEN closes.is_stored THEN closes.last_close.session_date END AS close_price_date,
        CASE
            WHEN closes.is_stored
                AND NOT EXISTS(
                    refined.actions_in_window, action -> action.session_date > closes.last_close.session_date
                )
                THEN CAST(
                    closes.last_close.price_brl * CAST(refined.theoretical_quantity AS DECIMAL(18, 0))
                    AS DECIMAL(26, 8)
                )
        END AS market_value_brl,
        CAST(
            closes.close_before.price_brl
            * CAST(
                CASE
                    WHEN
                        EXISTS(
                            refined.actions_in_window,
                            action -> action.session_date > closes.close_before.session_date
                                AND action.session_date < refined.session_date
                        ) THEN NULL
                    WHEN COALESCE(refined.quantity_change_cause <> 'corporate_action', TRUE)
                        THEN refined.theoretical_quantity
                    WHEN closes.close_before.session_date <= refined.previous_session_date
                        THEN refined.theoretical_quantity - refined.theoretical_quantity_change
                END AS DECIMAL(18, 0)
            ) AS DECIMAL(26, 8)
        ) AS opening_value_brl
    FROM refined
    INNER JOIN closes ON refined.session_date = closes.session_date AND refined.ticker = closes.ticker
),

-- An index has a value if all its members have.
weighed AS (
    SELECT
        *,
        SUM(trades) OVER of_session AS index_trades,
        CAST(SUM(volume_brl) OVER of_session AS DECIMAL(18, 2)) AS index_volume_brl,
        CASE
            WHEN COUNT(market_value_brl) OVER of_session = COUNT(*) OVER of_session
                THEN CAST(SUM(market_value_brl) OVER of_session AS DECIMAL(26, 8))
        END AS index_market_value_brl,
        -- Participations are published at the closes of the trading day right before, not at older ones.
        CASE
            WHEN follows_stored AND COUNT(opening_value_brl) OVER of_session = COUNT(*) OVER of_session
                THEN CAST(SUM(opening_value_brl) OVER of_session AS DECIMAL(26, 8))
        END AS index_opening_value_brl
    FROM valued
    WINDOW of_session AS (PARTITION BY index_code, session_date)
),

shared AS (
    SELECT
        *,
        CAST(
            CAST(
                (200000000 * market_value_brl + index_market_value_brl) DIV (2 * index_market_value_brl)
                AS DECIMAL(9, 0)
            ) * 0.000001 AS DECIMAL(9, 6)
        ) AS closing_participation_pct,
        CAST(
            CAST(
                (200000 * opening_value_brl + index_opening_value_brl) DIV (2 * index_opening_value_brl)
                AS DECIMAL(6, 0)
            ) * 0.001 AS DECIMAL(6, 3)
        ) AS opening_participation_pct,
        market_value_brl - opening_value_brl AS value_change_brl
    FROM weighed
)

SELECT
    index_code,
    session_date,
    ticker,
    trades,
    CASE
        WHEN is_stored
            THEN CAST(
                CAST(
                    (2000000 * trades * traded_days + window_trades) DIV (2 * NULLIF(window_trades, 0))
                    AS DECIMAL(12, 0)
                ) * 0.000001 AS DECIMAL(12, 6)
            )
    END AS transaction_frequency,
    CAST(
        CAST((200000000 * trades + index_trades) DIV (2 * NULLIF(index_trades, 0)) AS DECIMAL(9, 0)) * 0.000001
        AS DECIMAL(9, 6)
    ) AS index_trades_pct,
    CAST(volume_brl AS DECIMAL(18, 2)) AS volume_brl,
    CAST(
        CAST(
            (200000000 * CAST(volume_brl AS DECIMAL(18, 2)) + index_volume_brl) DIV (2 * NULLIF(index_volume_brl, 0))
            AS DECIMAL(9, 0)
        ) * 0.000001 AS DECIMAL(9, 6)
    ) AS index_volume_pct,
    close_price_brl,
    close_price_date,
    market_value_brl,
    closing_participation_pct,
    CAST(closing_participation_pct - participation_pct AS DECIMAL(9, 6)) AS participation_drift_pp,
    CAST(
        CASE WHEN value_change_brl < 0 THEN -1 ELSE 1 END
        * CAST((20000 * ABS(value_change_brl) + reductor) DIV (2 * reductor) AS DECIMAL(14, 0)) * 0.0001
        AS DECIMAL(14, 4)
    ) AS index_contribution_points,
    -- For sessions_traded.sql; not columns of the table.
    reductor,
    participation_pct,
    previous_session_date,
    session_number,
    day_number,
    is_stored,
    index_trades,
    index_volume_brl,
    index_market_value_brl,
    opening_participation_pct
FROM shared
