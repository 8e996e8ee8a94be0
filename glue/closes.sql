-- View closes, in Spark SQL: what the market knows of every holding, one row a ticker and date of raw_holdings.
--
-- Input views
--   raw_holdings : see compared.sql
--   raw_trading, market_calendar : see trading.sql
--
-- A ticker that does not trade keeps its last close. It is looked for in the window only, so it is not joined to a range of
-- days: the holdings' dates stand among the days on which the ticker traded, and each looks back over its own rows.

WITH asked AS (
    SELECT DISTINCT
        ticker,
        session_date,
        TRUE AS is_asked
    FROM raw_holdings
),

traded AS (
    SELECT
        raw_trading.ticker,
        raw_trading.session_date,
        raw_trading.trades,
        raw_trading.volume_brl,
        raw_trading.close_price_brl
    FROM raw_trading
    LEFT SEMI JOIN raw_holdings ON raw_trading.ticker = raw_holdings.ticker
),

dated AS (
    SELECT
        ticker,
        session_date,
        is_asked,
        day_number,
        is_stored,
        follows_stored,
        trades,
        volume_brl,
        CASE
            WHEN close_price_brl IS NOT NULL
                THEN STRUCT(close_price_brl AS price_brl, session_date AS session_date, day_number AS day_number)
        END AS close
    FROM asked
    FULL OUTER JOIN traded USING (ticker, session_date)
    INNER JOIN market_calendar USING (session_date)
),

seen AS (
    SELECT
        *,
        COUNT(trades) OVER last_21_days AS traded_days,
        SUM(trades) OVER last_21_days AS window_trades,
        LAST_VALUE(close, TRUE) OVER last_21_days AS last_close,
        LAST_VALUE(close, TRUE) OVER before_this_day AS close_before
    FROM dated
    WINDOW
        last_21_days AS (
            PARTITION BY ticker ORDER BY day_number RANGE BETWEEN 20 PRECEDING AND CURRENT ROW
        ),
        before_this_day AS (
            PARTITION BY ticker ORDER BY day_number RANGE BETWEEN 20 PRECEDING AND 1 PRECEDING
        )
)

SELECT
    ticker,
    session_date,
    day_number,
    is_stored,
    follows_stored,
    trades,
    volume_brl,
    traded_days,
    window_trades,
    last_close,
    close_before
FROM seen
WHERE is_asked
