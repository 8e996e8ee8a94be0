-- Which shares moved the index on a day, and by how many points?
-- session_date: the last session up to it whose trading day is stored, null for the latest.
-- contribution_pp is the part of the index's change in percent. cumulative_points adds up from the largest gain to the
-- largest loss, and index_contribution_total_points is the sum of all. unexplained_points is what that lacks of
-- index_change_points: dividends and rebalances, which move the Redutor, missing sessions, contributions that are null.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code,
        CAST(NULL AS DATE) AS session_date
),

chosen AS (
    SELECT
        MAX(sessions.session_year) AS session_year,
        MAX(sessions.session_date) AS session_date
    FROM sessions
    INNER JOIN parameters ON sessions.index_code = parameters.index_code
    WHERE sessions.trades IS NOT NULL
        AND sessions.session_date <= COALESCE(parameters.session_date, sessions.session_date)
),

contributions AS (
    SELECT
        holdings.*,
        SUM(holdings.index_contribution_points) OVER () AS index_contribution_total_points,
        SUM(holdings.index_contribution_points) OVER (
            ORDER BY holdings.index_contribution_points DESC NULLS LAST, holdings.ticker
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS cumulative_points,
        ROW_NUMBER() OVER (
            ORDER BY holdings.index_contribution_points DESC NULLS LAST, holdings.ticker
        ) AS place
    FROM holdings
    INNER JOIN parameters ON holdings.index_code = parameters.index_code
    INNER JOIN chosen
        ON holdings.session_year = chosen.session_year AND holdings.session_date = chosen.session_date
)

SELECT
    contributions.session_date,
    contributions.place,
    contributions.ticker,
    contributions.company,
    contributions.participation_pct,
    contributions.close_price_brl,
    contributions.index_contribution_points,
    contributions.cumulative_points,
    100 * contributions.index_contribution_points / sessions.previous_index_level AS contribution_pp,
    sessions.previous_index_level,
    sessions.index_level,
    sessions.index_change_points,
    contributions.index_contribution_total_points,
    sessions.index_change_points - contributions.index_contribution_total_points AS unexplained_points
FROM contributions
INNER JOIN sessions
    ON contributions.index_code = sessions.index_code
        AND contributions.session_year = sessions.session_year
        AND contributions.session_date = sessions.session_date
ORDER BY place
