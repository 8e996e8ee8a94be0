-- One row per index, ticker and stay: an unbroken run of the index's stored sessions with the ticker in all of them.
-- A stay goes on over sessions that are not stored, however many: longest_gap_days tells how far apart two of its
-- sessions are at most. previous_session_date is the stored session before the stay, null where the history begins,
-- and next_session_date is the stored session after it, null while the stay is current.
WITH numbered AS (
    SELECT
        index_code,
        session_date,
        ROW_NUMBER() OVER (PARTITION BY index_code ORDER BY session_date) AS session_number,
        LAG(session_date) OVER (PARTITION BY index_code ORDER BY session_date) AS previous_session_date,
        LEAD(session_date) OVER (PARTITION BY index_code ORDER BY session_date) AS next_session_date
    FROM sessions
),

present AS (
    SELECT
        holdings.index_code,
        holdings.ticker,
        holdings.company,
        holdings.participation_pct,
        numbered.session_date,
        numbered.previous_session_date,
        numbered.next_session_date,
        -- The same number for all sessions of a stay, and a larger one for the next stay.
        numbered.session_number - ROW_NUMBER() OVER (
            PARTITION BY holdings.index_code, holdings.ticker ORDER BY numbered.session_number
        ) AS absences
    FROM holdings
    INNER JOIN numbered
        ON holdings.index_code = numbered.index_code AND holdings.session_date = numbered.session_date
),

consecutive AS (
    SELECT
        *,
        LAG(session_date) OVER (PARTITION BY index_code, ticker, absences ORDER BY session_date) AS stayed_since_date
    FROM present
)

SELECT
    index_code,
    ticker,
    MAX_BY(company, session_date) AS company,
    CAST(
        ROW_NUMBER() OVER (PARTITION BY index_code, ticker ORDER BY MIN(session_date)) AS INTEGER
    ) AS stay_number,
    MIN(session_date) AS first_session_date,
    MAX(session_date) AS last_session_date,
    CAST(COUNT(*) AS INTEGER) AS sessions,
    CAST(MAX(DATE_DIFF('day', stayed_since_date, session_date)) AS INTEGER) AS longest_gap_days,
    MIN_BY(participation_pct, session_date) AS first_participation_pct,
    MAX_BY(participation_pct, session_date) AS last_participation_pct,
    MIN_BY(previous_session_date, session_date) AS previous_session_date,
    MAX_BY(next_session_date, session_date) AS next_session_date,
    MAX_BY(next_session_date, session_date) IS NULL AS is_current
FROM consecutive
GROUP BY index_code, ticker, absences
