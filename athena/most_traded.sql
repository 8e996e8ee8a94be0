-- Which papers of the whole cash market were traded most on a day?
-- session_date: the last stored trading day up to it, null for the latest. top: how many, by the number of trades.
-- transaction_frequency is how many times its usual number of trades that is, volume_place the place by money.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS session_date,
        20 AS top
),

chosen AS (
    SELECT
        MAX(trading.session_year) AS session_year,
        MAX(trading.session_date) AS session_date
    FROM trading
    CROSS JOIN parameters
    WHERE trading.session_date <= COALESCE(parameters.session_date, trading.session_date)
),

numbered AS (
    SELECT
        trading.*,
        ROW_NUMBER() OVER (ORDER BY trading.trades DESC, trading.volume_brl DESC, trading.ticker) AS place,
        ROW_NUMBER() OVER (ORDER BY trading.volume_brl DESC, trading.trades DESC, trading.ticker) AS volume_place
    FROM trading
    INNER JOIN chosen
        ON trading.session_year = chosen.session_year AND trading.session_date = chosen.session_date
)

SELECT
    numbered.session_date,
    numbered.place,
    numbered.ticker,
    numbered.company,
    numbered.share_class,
    numbered.trades,
    numbered.market_trades_pct,
    numbered.transaction_frequency,
    numbered.traded_quantity,
    numbered.volume_brl,
    numbered.market_volume_pct,
    numbered.volume_place,
    numbered.close_price_brl,
    numbered.price_change_pct
FROM numbered
INNER JOIN parameters ON numbered.place <= parameters.top
ORDER BY place
