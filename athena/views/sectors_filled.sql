-- One row per index, session, sector and subsector: as sectors, but over holdings_with_sectors.
-- The tickers without a sector make one row, so that a session always adds up to 100.
SELECT
    session_date,
    sector,
    subsector,
    CAST(COUNT(*) AS INTEGER) AS holdings,
    CAST(COUNT(DISTINCT company) AS INTEGER) AS companies,
    SUM(theoretical_quantity) AS theoretical_quantity,
    CAST(SUM(participation_pct) AS DECIMAL(6, 3)) AS participation_pct,
    CAST(
        ROW_NUMBER() OVER (
            PARTITION BY index_code, session_date
            ORDER BY SUM(participation_pct) DESC, sector ASC NULLS LAST, subsector ASC NULLS LAST
        ) AS INTEGER
    ) AS participation_rank,
    CAST(COUNT_IF(is_sector_filled) AS INTEGER) AS filled_holdings,
    CAST(SUM(CASE WHEN is_sector_filled THEN participation_pct ELSE 0 END) AS DECIMAL(6, 3))
        AS filled_participation_pct,
    index_code,
    session_year
FROM holdings_with_sectors
GROUP BY index_code, session_year, session_date, sector, subsector
