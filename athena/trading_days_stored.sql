-- Which stored sessions have their trading day, and which lack it?
-- from_date, to_date: the first and the last day, null for no bound. Also trading days on which no session is stored.
-- indexes counts those that are stored for the day, indexes_with_level those whose level could be recomputed. That is
-- fewer where a share has no close. Participations are compared only where the trading day before is stored, too.
WITH parameters AS (
    SELECT
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

portfolios AS (
    SELECT
        session_date,
        COUNT(*) AS indexes,
        COUNT(index_level) AS indexes_with_level,
        COUNT(participations_compared) AS indexes_compared_with_the_day_before
    FROM sessions
    GROUP BY session_date
),

market AS (
    SELECT
        session_date,
        COUNT(*) AS papers,
        SUM(trades) AS trades,
        SUM(volume_brl) AS volume_brl
    FROM trading
    GROUP BY session_date
),

days AS (
    SELECT
        COALESCE(portfolios.session_date, market.session_date) AS session_date,
        market.session_date IS NOT NULL AS is_trading_day_stored,
        COALESCE(portfolios.indexes, 0) AS indexes,
        COALESCE(portfolios.indexes_with_level, 0) AS indexes_with_level,
        COALESCE(portfolios.indexes_compared_with_the_day_before, 0) AS indexes_compared_with_the_day_before,
        market.papers,
        market.trades,
        market.volume_brl
    FROM portfolios
    FULL JOIN market ON portfolios.session_date = market.session_date
)

SELECT
    days.session_date,
    days.is_trading_day_stored,
    days.indexes,
    days.indexes_with_level,
    days.indexes_compared_with_the_day_before,
    days.papers,
    days.trades,
    days.volume_brl
FROM days
CROSS JOIN parameters
WHERE days.session_date BETWEEN COALESCE(parameters.from_date, days.session_date)
    AND COALESCE(parameters.to_date, days.session_date)
ORDER BY session_date
