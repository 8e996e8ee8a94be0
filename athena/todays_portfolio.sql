-- Which shares make up the index on a session, by participation?
-- session_date: null means the latest session.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
)
SELECT
    participation_rank,
    ticker,
    company,
    share_class,
    theoretical_quantity,
    participation_pct,
    cumulative_participation_pct,
    participation_level
FROM portfolio
WHERE index_code = (SELECT index_code FROM parameters)
    AND session_date = COALESCE(
        (SELECT session_date FROM parameters),
        (SELECT MAX(session_date) FROM sessions WHERE index_code = (SELECT index_code FROM parameters))
    )
ORDER BY participation_rank
