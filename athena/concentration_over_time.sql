-- How concentrated is the index, session by session?
-- from_date, to_date: the first and the last day, null for no bound.
-- concentration_hhi runs from 10000 / holdings (all equal) to 10000 (one share). The change is null behind a long gap.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

ordered AS (
    SELECT
        sessions.*,
        LAG(sessions.concentration_hhi) OVER (ORDER BY sessions.session_date) AS hhi_before
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
)

SELECT
    ordered.session_date,
    ordered.holdings,
    ordered.concentration_hhi,
    CASE
        WHEN ordered.previous_session_date IS NOT NULL THEN ordered.concentration_hhi - ordered.hhi_before
    END AS concentration_hhi_change,
    ordered.effective_holdings,
    ordered.top_1_participation_pct,
    ordered.top_5_participation_pct,
    ordered.top_10_participation_pct
FROM ordered
CROSS JOIN parameters
WHERE ordered.session_year BETWEEN COALESCE(YEAR(parameters.from_date), ordered.session_year)
        AND COALESCE(YEAR(parameters.to_date), ordered.session_year)
    AND ordered.session_date BETWEEN COALESCE(parameters.from_date, ordered.session_date)
        AND COALESCE(parameters.to_date, ordered.session_date)
ORDER BY session_date
