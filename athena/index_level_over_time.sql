-- How did the index move, and do prices and portfolios belong together?
-- from_date, to_date: the first and the last day, null for no bound.
-- Levels are recomputed: sum(close x theoretical_quantity) / Redutor. One is null if its trading day is not stored. A
-- change spans the sessions that are missing before it. index_change_since_first_pct is since the first level shown.
-- participations_reproduced counts those that B3 published exactly as the closes of the day before give them.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS from_date,
        CAST(NULL AS DATE) AS to_date
),

shown AS (
    SELECT
        sessions.*,
        FIRST_VALUE(sessions.index_level) IGNORE NULLS OVER (
            ORDER BY sessions.session_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS first_index_level
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.session_year BETWEEN COALESCE(YEAR(parameters.from_date), sessions.session_year)
            AND COALESCE(YEAR(parameters.to_date), sessions.session_year)
        AND sessions.session_date BETWEEN COALESCE(parameters.from_date, sessions.session_date)
            AND COALESCE(parameters.to_date, sessions.session_date)
)

SELECT
    session_date,
    previous_session_date,
    sessions_missed,
    index_level,
    index_change_points,
    index_change_pct,
    CAST(100 * (index_level - first_index_level) AS DECIMAL(20, 6)) / first_index_level
        AS index_change_since_first_pct,
    holdings,
    holdings_traded,
    trades,
    volume_brl,
    participations_compared,
    participations_reproduced,
    participation_max_difference_pp
FROM shown
ORDER BY session_date
