-- Which of the index's present shares have been in it for the longest without a break?
-- As far as the stored sessions show: longest_gap_days is the longest time that lies between two of them.
-- top: how many. Shares that came on the same day are in order of participation.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        20 AS top
),

numbered AS (
    SELECT
        stays.*,
        ROW_NUMBER() OVER (
            ORDER BY stays.first_session_date, stays.last_participation_pct DESC, stays.ticker
        ) AS place
    FROM membership_stays AS stays
    INNER JOIN parameters ON stays.index_code = parameters.index_code
    WHERE stays.is_current
)

SELECT
    numbered.place,
    numbered.ticker,
    numbered.company,
    numbered.first_session_date,
    DATE_DIFF('day', numbered.first_session_date, numbered.last_session_date) AS days,
    numbered.sessions,
    numbered.longest_gap_days,
    numbered.first_participation_pct,
    numbered.last_participation_pct
FROM numbered
INNER JOIN parameters ON numbered.place <= parameters.top
ORDER BY place
