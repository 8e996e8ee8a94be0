-- In which indexes is a share, and with how much?
-- ticker: empty is the share that is in the most indexes.
-- session_date: the last stored session of each index up to it, null for the latest of each.
WITH parameters AS (
    SELECT
        '' AS ticker,
        CAST(NULL AS DATE) AS session_date
),

chosen AS (
    SELECT
        sessions.index_code,
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    CROSS JOIN parameters
    WHERE sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
    GROUP BY sessions.index_code
),

current_holdings AS (
    SELECT
        holdings.*,
        COUNT(*) OVER (PARTITION BY holdings.ticker) AS indexes
    FROM holdings
    INNER JOIN chosen
        ON holdings.index_code = chosen.index_code
            AND holdings.session_year = chosen.session_year
            AND holdings.session_date = chosen.session_date
),

numbered AS (
    SELECT
        *,
        DENSE_RANK() OVER (ORDER BY indexes DESC, ticker) AS place
    FROM current_holdings
)

SELECT
    numbered.ticker,
    numbered.company,
    numbered.index_code,
    numbered.session_date,
    numbered.participation_pct,
    numbered.participation_rank,
    numbered.theoretical_quantity
FROM numbered
INNER JOIN parameters
    ON numbered.ticker = parameters.ticker OR (parameters.ticker = '' AND numbered.place = 1)
ORDER BY participation_pct DESC, index_code
