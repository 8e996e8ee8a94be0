-- Which papers were traded unusually often or unusually seldom on a day?
-- session_date: the last stored trading day up to it, null for the latest. top: how many.
-- Furthest from a transaction_frequency of 1, in times: a tenth of the usual trades is as far as ten times as many.
-- least_trades: papers with fewer trades a day on average are left out, as a single trade is a lot for them. The
-- average is over traded_days of the trading_days_observed. A paper that did not trade at all has no row.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS session_date,
        100 AS least_trades,
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
        ROW_NUMBER() OVER (
            ORDER BY
                GREATEST(trading.trades / trading.average_trades, trading.average_trades / trading.trades) DESC,
                trading.ticker
        ) AS place
    FROM trading
    INNER JOIN chosen
        ON trading.session_year = chosen.session_year AND trading.session_date = chosen.session_date
    INNER JOIN parameters ON trading.average_trades >= parameters.least_trades
)

SELECT
    numbered.session_date,
    numbered.place,
    numbered.ticker,
    numbered.company,
    numbered.trades,
    numbered.average_trades,
    numbered.transaction_frequency,
    numbered.traded_days,
    numbered.trading_days_observed,
    numbered.volume_brl,
    numbered.close_price_brl,
    numbered.price_change_pct,
    numbered.corporate_event
FROM numbered
INNER JOIN parameters ON numbered.place <= parameters.top
ORDER BY place
