-- What happened to a share in the index, session by session?
-- ticker: empty is the largest share of the latest session.
-- from_date, to_date: the first and the last day, null for no bound.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        '' AS ticker,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

latest AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
),

wanted AS (
    SELECT ticker FROM parameters WHERE ticker <> ''
    UNION ALL
    SELECT holdings.ticker
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN latest
        ON holdings.session_year = latest.session_year AND holdings.session_date = latest.session_date
    WHERE parameters.ticker = '' AND holdings.participation_rank = 1
)

SELECT
    holdings.session_date,
    holdings.ticker,
    holdings.company,
    holdings.share_class,
    holdings.corporate_event,
    holdings.membership,
    holdings.theoretical_quantity,
    holdings.theoretical_quantity_change,
    holdings.quantity_change_cause,
    holdings.participation_pct,
    holdings.participation_change_pp,
    holdings.participation_rank,
    holdings.participation_rank_change,
    holdings.sessions_missed
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
INNER JOIN wanted ON holdings.ticker = wanted.ticker
WHERE holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
ORDER BY session_date, ticker
