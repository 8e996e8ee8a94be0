-- Which shares entered and left the index, and when?
-- from_date, to_date: the first and the last day, null for no bound.
-- Each line is a change between two stored sessions, however far apart (days_between). The first stored session has
-- none.
-- participation_pct is that of the first session after an entry, and of the last before an exit.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

moved AS (
    SELECT
        stays.first_session_date AS session_date,
        stays.previous_session_date AS compared_session_date,
        CASE WHEN stays.stay_number = 1 THEN 'entered' ELSE 're_entered' END AS movement,
        stays.ticker,
        stays.company,
        stays.first_participation_pct AS participation_pct
    FROM membership_stays AS stays
    INNER JOIN parameters ON stays.index_code = parameters.index_code
    WHERE stays.previous_session_date IS NOT NULL
    UNION ALL
    SELECT
        stays.next_session_date AS session_date,
        stays.last_session_date AS compared_session_date,
        'left' AS movement,
        stays.ticker,
        stays.company,
        stays.last_participation_pct AS participation_pct
    FROM membership_stays AS stays
    INNER JOIN parameters ON stays.index_code = parameters.index_code
    WHERE NOT stays.is_current
)

SELECT
    moved.session_date,
    moved.compared_session_date,
    DATE_DIFF('day', moved.compared_session_date, moved.session_date) AS days_between,
    moved.movement,
    moved.ticker,
    moved.company,
    moved.participation_pct
FROM moved
CROSS JOIN parameters
WHERE moved.session_date BETWEEN COALESCE(parameters.from_date, moved.session_date)
        AND COALESCE(parameters.to_date, moved.session_date)
ORDER BY session_date, movement, ticker
