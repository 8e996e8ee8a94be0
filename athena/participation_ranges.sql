-- Between which participations did each share move?
-- from_date, to_date: the first and the last day, null for no bound.
-- Percentiles are exact, by nearest rank: the smallest participation that at least so many percent of the sessions
-- reach.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

placed AS (
    SELECT
        holdings.ticker,
        holdings.company,
        holdings.session_date,
        holdings.participation_pct,
        ROW_NUMBER() OVER (
            PARTITION BY holdings.ticker ORDER BY holdings.participation_pct, holdings.session_date
        ) AS place,
        COUNT(*) OVER (PARTITION BY holdings.ticker) AS sessions
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    WHERE holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
            AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
        AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
            AND COALESCE(parameters.to_date, holdings.session_date)
)

SELECT
    ticker,
    MAX_BY(company, session_date) AS company,
    COUNT(*) AS sessions,
    MIN(participation_pct) AS min_participation_pct,
    -- Between whole numbers / rounds down, and 9 more make it round up.
    MAX(CASE WHEN place = (1 * sessions + 9) / 10 THEN participation_pct END) AS percentile_10_participation_pct,
    MAX(CASE WHEN place = (5 * sessions + 9) / 10 THEN participation_pct END) AS median_participation_pct,
    MAX(CASE WHEN place = (9 * sessions + 9) / 10 THEN participation_pct END) AS percentile_90_participation_pct,
    MAX(participation_pct) AS max_participation_pct,
    AVG(participation_pct) AS avg_participation_pct,
    MAX_BY(participation_pct, session_date) AS last_participation_pct
FROM placed
GROUP BY ticker
ORDER BY max_participation_pct - min_participation_pct DESC, ticker
