-- Who was the largest, the second largest, ... of the index, session by session?
-- from_date, to_date: the first and the last day, null for no bound.
-- top: down to which rank.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date,
        5 AS top
)

SELECT
    holdings.session_date,
    holdings.participation_rank,
    holdings.ticker,
    holdings.company,
    holdings.participation_pct,
    holdings.participation_rank_change
FROM holdings
INNER JOIN parameters ON holdings.index_code = parameters.index_code
WHERE holdings.participation_rank <= parameters.top
    AND holdings.session_year BETWEEN COALESCE(YEAR(parameters.from_date), holdings.session_year)
        AND COALESCE(YEAR(parameters.to_date), holdings.session_year)
    AND holdings.session_date BETWEEN COALESCE(parameters.from_date, holdings.session_date)
        AND COALESCE(parameters.to_date, holdings.session_date)
ORDER BY session_date, participation_rank
