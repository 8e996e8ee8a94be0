-- How was a paper traded, day by day?
-- ticker: empty is the paper with the most trades on the latest trading day.
-- from_date, to_date: the first and the last day, null for no bound. A day without a trade has no row.
-- Prices are not adjusted: a split or a dividend is a change of the price, and corporate_event tells.
WITH parameters AS (
    SELECT
        '' AS ticker,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

latest AS (
    SELECT
        MAX(session_year) AS session_year,
        MAX(session_date) AS session_date
    FROM trading
),

most_traded AS (
    SELECT trading.ticker
    FROM trading
    INNER JOIN latest
        ON trading.session_year = latest.session_year AND trading.session_date = latest.session_date
    ORDER BY trading.trades DESC, trading.volume_brl DESC, trading.ticker
    LIMIT 1
),

wanted AS (
    SELECT ticker FROM parameters WHERE ticker <> ''
    UNION ALL
    SELECT most_traded.ticker
    FROM most_traded
    INNER JOIN parameters ON parameters.ticker = ''
)

SELECT
    trading.session_date,
    trading.ticker,
    trading.company,
    trading.corporate_event,
    trading.open_price_brl,
    trading.high_price_brl,
    trading.low_price_brl,
    trading.close_price_brl,
    trading.average_price_brl,
    trading.previous_close_price_date,
    trading.price_change_pct,
    trading.trades,
    trading.transaction_frequency,
    trading.traded_quantity,
    trading.volume_brl,
    trading.market_volume_pct
FROM trading
INNER JOIN wanted ON trading.ticker = wanted.ticker
CROSS JOIN parameters
WHERE trading.session_year BETWEEN COALESCE(YEAR(parameters.from_date), trading.session_year)
        AND COALESCE(YEAR(parameters.to_date), trading.session_year)
    AND trading.session_date BETWEEN COALESCE(parameters.from_date, trading.session_date)
        AND COALESCE(parameters.to_date, trading.session_date)
ORDER BY session_date
