-- Which companies weigh most in the index today, over all their share classes?
SELECT
    company,
    COUNT(*) AS share_classes,
    SUM(theoretical_quantity) AS theoretical_quantity,
    SUM(participation_pct) AS participation_pct
FROM portfolio
WHERE index_code = 'IBOV'
    AND session_date = (SELECT MAX(session_date) FROM portfolio WHERE index_code = 'IBOV')
GROUP BY company
ORDER BY participation_pct DESC, company
