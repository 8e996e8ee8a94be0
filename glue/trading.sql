-- Table trading, in Spark SQL: one row a trading day and ticker of the cash market.
--
-- Input views
--   raw_trading : raw rows of every stored trading day of the window, as B3 recorded them
--              (session_date, ticker, company, share_class, ..., close_price_brl, trades, volume_brl, quotation_factor)
--   market_calendar : one row a trading day of the window, stored or not
--              (session_date, day_number, is_stored, follows_stored, is_output)
--
-- As in compared.sql, a window of 21 is 21 trading days of B3's calendar, stored or not. A day on which a ticker did
-- not trade has no row of it.
--
-- Of the last 21 days is what is of all days until this one and not of those until 21 days before. Spark goes through such
-- frames once; a frame that slides it would reckon anew for each row, and these are all rows of the market.
--
-- Quotients of whole numbers are rounded half up by (2 * a + b) DIV (2 * b), exactly, however long they are. Spark's own
-- division would keep few decimals of long numbers, and be rounded a second time by the cast.

WITH observed AS (
    SELECT
        session_date,
        day_number,
        is_output,
        COUNT(*) OVER (ORDER BY day_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW) AS trading_days_observed
    FROM market_calendar
    WHERE is_stored
),

compared AS (
    SELECT
        raw_trading.*,
        observed.is_output,
        observed.trading_days_observed,
        SUM(raw_trading.trades) OVER of_market AS market_trades,
        CAST(SUM(raw_trading.volume_brl) OVER of_market AS DECIMAL(18, 2)) AS market_volume_brl,
        COUNT(*) OVER until_this_day - COUNT(*) OVER until_21_days_before AS traded_days,
        SUM(raw_trading.trades) OVER until_this_day
        - COALESCE(SUM(raw_trading.trades) OVER until_21_days_before, 0) AS window_trades,
        observed.day_number,
        LAG(observed.day_number) OVER until_this_day AS last_day_number,
        LAG(raw_trading.close_price_brl) OVER until_this_day AS last_close_price_brl,
        LAG(raw_trading.session_date) OVER until_this_day AS last_close_price_date
    FROM raw_trading
    INNER JOIN observed ON raw_trading.session_date = observed.session_date
    WINDOW
        of_market AS (PARTITION BY raw_trading.session_date),
        until_this_day AS (PARTITION BY raw_trading.ticker ORDER BY observed.day_number),
        until_21_days_before AS (
            PARTITION BY raw_trading.ticker
            ORDER BY observed.day_number RANGE BETWEEN UNBOUNDED PRECEDING AND 21 PRECEDING
        )
),

priced AS (
    SELECT
        *,
        CASE WHEN last_day_number >= day_number - 20 THEN last_close_price_brl END AS previous_close_price_brl,
        CASE WHEN last_day_number >= day_number - 20 THEN last_close_price_date END AS previous_close_price_date
    FROM compared
)

SELECT
    session_date,
    ticker,
    company,
    share_class,
    corporate_event,
    listing_segment,
    bdi_code,
    isin,
    open_price_brl,
    high_price_brl,
    low_price_brl,
    average_price_brl,
    close_price_brl,
    trades,
    traded_quantity,
    volume_brl,
    quotation_factor,
    CAST(
        CAST((200000000 * trades + market_trades) DIV (2 * market_trades) AS DECIMAL(9, 0)) * 0.000001 AS DECIMAL(9, 6)
    ) AS market_trades_pct,
    CAST(
        CAST((200000000 * volume_brl + market_volume_brl) DIV (2 * market_volume_brl) AS DECIMAL(9, 0)) * 0.000001
        AS DECIMAL(9, 6)
    ) AS market_volume_pct,
    CAST(trading_days_observed AS INT) AS trading_days_observed,
    CAST(traded_days AS INT) AS traded_days,
    CAST(
        CAST((2000000 * window_trades + traded_days) DIV (2 * traded_days) AS DECIMAL(18, 0)) * 0.000001
        AS DECIMAL(18, 6)
    ) AS average_trades,
    CAST(
        CAST((2000000 * trades * traded_days + window_trades) DIV (2 * window_trades) AS DECIMAL(12, 0)) * 0.000001
        AS DECIMAL(12, 6)
    ) AS transaction_frequency,
    previous_close_price_brl,
    previous_close_price_date,
    -- The sign by itself, because DIV cuts off towards zero.
    CAST(
        CASE WHEN close_price_brl < previous_close_price_brl THEN -1 ELSE 1 END
        * CAST(
            (200000000 * ABS(close_price_brl - previous_close_price_brl) + previous_close_price_brl)
            DIV (2 * previous_close_price_brl) AS DECIMAL(15, 0)
        ) * 0.000001 AS DECIMAL(15, 6)
    ) AS price_change_pct
FROM priced
WHERE is_output
