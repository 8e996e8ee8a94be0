-- One row per index, session and ticker: holdings, with the sectors that B3 left out.
-- Where B3 gave the view by code (sector_as_published is null), sector and subsector are of the nearest session in
-- days, of any index, that names them for this ticker: of two as near it is the earlier, of two indexes on one day the
-- first by code. A spelling that nobody knows is not filled: B3 did name a sector. What has no such session stays null.
WITH marked AS (
    -- One row a ticker and day, whatever the number of indexes. known_date is the day, if a sector is known on it.
    SELECT
        ticker,
        session_date,
        MAX(CASE WHEN sector IS NOT NULL THEN session_date END) AS known_date,
        MIN(CASE WHEN sector IS NOT NULL THEN index_code END) AS known_index_code
    FROM holdings
    GROUP BY ticker, session_date
),

around AS (
    SELECT
        ticker,
        session_date,
        MAX(known_date) OVER (
            PARTITION BY ticker ORDER BY session_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS earlier_date,
        MIN(known_date) OVER (
            PARTITION BY ticker ORDER BY session_date ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS later_date
    FROM marked
),

nearest AS (
    SELECT
        ticker,
        session_date,
        CASE
            WHEN earlier_date IS NULL THEN later_date
            WHEN later_date IS NULL THEN earlier_date
            WHEN DATE_DIFF('day', earlier_date, session_date) <= DATE_DIFF('day', session_date, later_date)
                THEN earlier_date
            ELSE later_date
        END AS sector_session_date
    FROM around
),

filled AS (
    SELECT
        nearest.ticker,
        nearest.session_date,
        nearest.sector_session_date,
        source.sector,
        source.subsector
    FROM nearest
    INNER JOIN marked ON nearest.ticker = marked.ticker AND nearest.sector_session_date = marked.session_date
    INNER JOIN holdings AS source
        ON marked.ticker = source.ticker
            AND marked.session_date = source.session_date
            AND marked.known_index_code = source.index_code
)

SELECT
    holdings.session_date,
    holdings.ticker,
    holdings.company,
    holdings.share_class,
    holdings.corporate_event,
    holdings.listing_segment,
    holdings.sector_as_published,
    CASE WHEN filled.ticker IS NULL THEN holdings.sector ELSE filled.sector END AS sector,
    CASE WHEN filled.ticker IS NULL THEN holdings.subsector ELSE filled.subsector END AS subsector,
    holdings.theoretical_quantity,
    holdings.theoretical_quantity_change,
    holdings.quantity_change_cause,
    holdings.participation_pct,
    holdings.participation_change_pp,
    holdings.index_theoretical_quantity,
    holdings.reductor,
    holdings.company_share_classes,
    holdings.company_theoretical_quantity,
    holdings.company_participation_pct,
    holdings.previous_session_date,
    holdings.days_since_previous_session,
    holdings.sessions_missed,
    holdings.last_rebalance_date,
    holdings.days_since_rebalance,
    holdings.next_rebalance_date,
    holdings.days_to_next_rebalance,
    holdings.weekday,
    holdings.quarter,
    holdings.sessions_observed,
    holdings.sessions_present,
    holdings.presence_frequency_pct,
    holdings.membership,
    holdings.participation_rank,
    holdings.participation_rank_change,
    holdings.cumulative_participation_pct,
    holdings.participation_level,
    holdings.trades,
    holdings.transaction_frequency,
    holdings.index_trades_pct,
    holdings.volume_brl,
    holdings.index_volume_pct,
    holdings.close_price_brl,
    holdings.close_price_date,
    holdings.market_value_brl,
    holdings.closing_participation_pct,
    holdings.participation_drift_pp,
    holdings.index_contribution_points,
    filled.ticker IS NOT NULL AS is_sector_filled,
    CASE
        WHEN filled.ticker IS NOT NULL THEN filled.sector_session_date
        WHEN holdings.sector IS NOT NULL THEN holdings.session_date
    END AS sector_session_date,
    holdings.index_code,
    holdings.session_year
FROM holdings
LEFT JOIN filled
    ON holdings.ticker = filled.ticker
        AND holdings.session_date = filled.session_date
        AND holdings.sector_as_published IS NULL
