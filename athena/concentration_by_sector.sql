-- How much does each sector weigh, and how concentrated is it in itself?
-- session_date: the last stored session up to it, null for the latest.
-- Sectors that B3 left out come from the nearest session that names them (view holdings_with_sectors), for
-- filled_holdings tickers. A null sector is what no session names. sector_hhi is 10000 where one share is the whole
-- sector.
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
    WHERE sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
),

by_sector AS (
    SELECT
        shares.session_date,
        shares.sector,
        COUNT(*) AS holdings,
        COUNT(DISTINCT shares.company) AS companies,
        COUNT_IF(shares.is_sector_filled) AS filled_holdings,
        CAST(SUM(shares.participation_pct) AS DECIMAL(6, 3)) AS participation_pct,
        MIN_BY(shares.ticker, shares.participation_rank) AS largest_ticker,
        MAX(shares.participation_pct) AS largest_participation_pct,
        SUM(shares.participation_pct * shares.participation_pct) AS squares
    FROM holdings_with_sectors AS shares
    INNER JOIN parameters ON shares.index_code = parameters.index_code
    INNER JOIN chosen ON shares.session_year = chosen.session_year AND shares.session_date = chosen.session_date
    GROUP BY shares.session_date, shares.sector
)

SELECT
    session_date,
    sector,
    holdings,
    companies,
    filled_holdings,
    participation_pct,
    largest_ticker,
    largest_participation_pct,
    CAST(CAST(10000 * squares AS DECIMAL(24, 6)) / NULLIF(participation_pct * participation_pct, 0) AS DECIMAL(12, 6))
        AS sector_hhi
FROM by_sector
ORDER BY participation_pct DESC, sector
