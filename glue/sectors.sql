-- Table sectors, in Spark SQL: one row an index, session, sector and subsector, where B3 published sectors.
--
-- Input views
--   refined : the rows of transformations.sql, every holding of the sessions that this run writes
--   raw_holdings : see compared.sql; the session before the first written one is in raw_holdings
--
-- A spelling that is not known has neither sector nor subsector: such holdings make one row, so that a session always adds
-- up to 100, and nulls must meet in the joins (<=>).

WITH grouped AS (
    SELECT
        index_code,
        session_date,
        previous_session_date,
        sector,
        subsector,
        COUNT(*) AS holdings,
        -- COUNT(DISTINCT) would group twice as often.
        SIZE(COLLECT_SET(company)) AS companies,
        SUM(theoretical_quantity) AS theoretical_quantity,
        SUM(participation_pct) AS participation_pct
    FROM refined
    WHERE sector_as_published IS NOT NULL
    GROUP BY index_code, session_date, previous_session_date, sector, subsector
),

before AS (
    SELECT
        index_code,
        session_date,
        sector,
        subsector,
        SUM(participation_pct) AS participation_pct
    FROM raw_holdings
    WHERE sector_label IS NOT NULL
    GROUP BY index_code, session_date, sector, subsector
),

published_before AS (
    SELECT DISTINCT index_code, session_date FROM before
)

SELECT
    grouped.index_code,
    grouped.session_date,
    grouped.sector,
    grouped.subsector,
    CAST(grouped.holdings AS INT) AS holdings,
    CAST(grouped.companies AS INT) AS companies,
    CAST(grouped.theoretical_quantity AS BIGINT) AS theoretical_quantity,
    CAST(grouped.participation_pct AS DECIMAL(6, 3)) AS participation_pct,
    CAST(
        CASE
            WHEN published_before.session_date IS NOT NULL
                THEN grouped.participation_pct - COALESCE(before.participation_pct, 0)
        END AS DECIMAL(6, 3)
    ) AS participation_change_pp,
    CAST(
        ROW_NUMBER() OVER (
            PARTITION BY grouped.index_code, grouped.session_date
            ORDER BY grouped.participation_pct DESC, grouped.sector ASC NULLS LAST, grouped.subsector ASC NULLS LAST
        ) AS INT
    ) AS participation_rank,
    grouped.previous_session_date
FROM grouped
LEFT JOIN published_before
    ON grouped.index_code = published_before.index_code
        AND grouped.previous_session_date = published_before.session_date
LEFT JOIN before
    ON grouped.index_code = before.index_code
        AND grouped.previous_session_date = before.session_date
        AND grouped.sector <=> before.sector
        AND grouped.subsector <=> before.subsector
