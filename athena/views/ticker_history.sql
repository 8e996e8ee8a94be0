-- One row per index and ticker that was ever in it: since when, how often, how much.
-- company is the name of the last session. presence_pct is of the index's stored sessions since first_session_date.
WITH stays AS (
    SELECT
        index_code,
        ticker,
        COUNT(*) AS stays,
        BOOL_OR(is_current) AS is_current
    FROM membership_stays
    GROUP BY index_code, ticker
),

numbered AS (
    SELECT
        index_code,
        session_date,
        -- How many stored sessions there are from this one to the latest.
        ROW_NUMBER() OVER (PARTITION BY index_code ORDER BY session_date DESC) AS sessions_since
    FROM sessions
)

SELECT
    holdings.index_code,
    holdings.ticker,
    MAX_BY(holdings.company, holdings.session_date) AS company,
    MIN(holdings.session_date) AS first_session_date,
    MAX(holdings.session_date) AS last_session_date,
    CAST(COUNT(*) AS INTEGER) AS sessions,
    CAST(CAST(100 * COUNT(*) AS DECIMAL(12, 3)) / MAX(numbered.sessions_since) AS DECIMAL(6, 3)) AS presence_pct,
    CAST(MAX(stays.stays) AS INTEGER) AS stays,
    BOOL_OR(stays.is_current) AS is_current,
    MIN(holdings.participation_pct) AS min_participation_pct,
    MAX(holdings.participation_pct) AS max_participation_pct,
    AVG(holdings.participation_pct) AS avg_participation_pct
FROM holdings
INNER JOIN numbered
    ON holdings.index_code = numbered.index_code AND holdings.session_date = numbered.session_date
INNER JOIN stays ON holdings.index_code = stays.index_code AND holdings.ticker = stays.ticker
GROUP BY holdings.index_code, holdings.ticker
