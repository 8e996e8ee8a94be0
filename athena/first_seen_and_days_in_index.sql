-- Since when is each share in the index, and on how many stored sessions?
-- Shares that left are listed too. A share in the first stored session may have been in the index for longer.
WITH parameters AS (
    SELECT
        'IBOV' AS index_code
)

SELECT
    history.ticker,
    history.company,
    history.first_session_date,
    history.last_session_date,
    history.sessions,
    history.presence_pct,
    history.stays,
    history.is_current
FROM ticker_history AS history
INNER JOIN parameters ON history.index_code = parameters.index_code
ORDER BY first_session_date, ticker
