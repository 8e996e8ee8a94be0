-- Which members of the index are traded more, and which less, than their participation says?
-- session_date: the last session up to it whose trading day is stored, null for the latest.
-- A ratio of 1 is trading in proportion to the participation, 2 is twice as much, 0 none at all. It is null beside
-- a participation of 0.000. trades_to_participation counts trades, volume_to_participation money.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
),

chosen AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.trades IS NOT NULL
        AND sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
)

SELECT
    holdings.session_date,
    holdings.ticker,
    holdings.company,
    holdings.participation_pct,
    holdings.trades,
    holdings.index_trades_pct,
    holdings.index_trades_pct / NULLIF(holdings.participation_pct, 0) AS trades_to_participation,
    holdings.volume_brl,
    holdings.index_volume_pct,
    holdings.index_volume_pct / NULLIF(holdings.participation_pct, 0) AS volume_to_participation
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN chosen
    ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
ORDER BY trades_to_participation DESC NULLS LAST, ticker
