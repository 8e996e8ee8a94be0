-- Which shares make up the index today, by participation?
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
WHERE index_code = 'IBOV'
    AND session_date = (SELECT MAX(session_date) FROM portfolio WHERE index_code = 'IBOV')
ORDER BY participation_rank
