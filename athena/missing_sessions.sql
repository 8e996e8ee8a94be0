-- Between which stored sessions of the index does the lake lack sessions?
-- from_date, to_date: the first and the last day, null for no bound.
-- sessions_missed is by B3's calendar, which the job knows and SQL does not. It is null where more than 20 are missing,
-- and weekdays_between, which counts holidays too, is then the most it can be. Nothing here can tell of a session
-- before the first stored one or after the latest.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

ordered AS (
    SELECT
        sessions.*,
        LAG(sessions.session_date) OVER (ORDER BY sessions.session_date) AS date_before
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
),

gaps AS (
    SELECT
        *,
        DATE_DIFF('day', date_before, session_date) AS days_between,
        DAY_OF_WEEK(date_before) AS weekday_before
    FROM ordered
    WHERE date_before IS NOT NULL AND COALESCE(sessions_missed, 21) > 0
)

SELECT
    gaps.date_before AS last_session_date_before,
    gaps.session_date AS first_session_date_after,
    gaps.days_between,
    -- The days in between, less their Saturdays and Sundays: whole weeks, as / cuts the rest off.
    gaps.days_between - 1
        - ((gaps.weekday_before + gaps.days_between) / 7 - (gaps.weekday_before + 1) / 7)
        - ((gaps.weekday_before + gaps.days_between - 1) / 7 - gaps.weekday_before / 7) AS weekdays_between,
    gaps.sessions_missed
FROM gaps
CROSS JOIN parameters
WHERE gaps.session_year BETWEEN COALESCE(YEAR(parameters.from_date), gaps.session_year)
        AND COALESCE(YEAR(parameters.to_date), gaps.session_year)
    AND gaps.session_date BETWEEN COALESCE(parameters.from_date, gaps.session_date)
        AND COALESCE(parameters.to_date, gaps.session_date)
ORDER BY first_session_date_after
