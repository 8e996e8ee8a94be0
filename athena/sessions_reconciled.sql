-- Does every stored session add up to the totals that B3 published with it?
SELECT
    index_code,
    session_date,
    COUNT(*) AS holdings,
    SUM(theoretical_quantity) AS theoretical_quantity,
    SUM(participation_pct) AS participation_pct,
    SUM(theoretical_quantity) = MAX(index_theoretical_quantity) AND SUM(participation_pct) = 100 AS is_reconciled
FROM portfolio
GROUP BY index_code, session_date
ORDER BY index_code, session_date
