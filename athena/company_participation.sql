-- Which companies weigh most in the index on a session, over all their share classes?
-- session_date: null means the latest session.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
)
SELECT
    company,
    COUNT(*) AS share_classes,
    SUM(theoretical_quantity) AS theoretical_quantity,
    SUM(participation_pct) AS participation_pct
FROM portfolio
WHERE index_code = (SELECT index_code FROM parameters)
    AND session_date = COALESCE(
        (SELECT session_date FROM parameters),
        (SELECT MAX(session_date) FROM sessions WHERE index_code = (SELECT index_code FROM parameters))
    )
GROUP BY company
ORDER BY participation_pct DESC, company
