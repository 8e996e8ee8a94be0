"""Athena's SQL has Athena's answers: expected texts are worked out by hand from Trino's documentation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from local.athena_server.errors import StatementFailed
from local.athena_server.queries import View
from local.athena_server.run import Answer, run_query
from local.athena_server.scope import TableUse
from local.athena_server.sql_types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    VARCHAR,
    SqlType,
    array,
    common_type,
    decimal,
    hive_name,
    hive_type,
    java_double,
)


@dataclass
class InMemory:
    columns: tuple[tuple[str, SqlType], ...]
    rows: list[tuple[Any, ...]]
    keys: tuple[str, ...] = ()


# One share a row; ETER3 has neither sector nor quantity.
SHARES = InMemory(
    (
        ("ticker", VARCHAR),
        ("sector", VARCHAR),
        ("quantity", BIGINT),
        ("share", decimal(6, 3)),
        ("since", DATE),
        ("rank_no", INTEGER),
    ),
    [
        ("PETR4", "Petróleo", 400, Decimal("7.125"), dt.date(2024, 2, 29), 2),
        ("VALE3", "Mineração", 300, Decimal("10.500"), dt.date(2025, 1, 31), 1),
        ("PRIO3", "Petróleo", 100, Decimal("2.375"), dt.date(2025, 2, 3), 3),
        ("ETER3", None, None, None, None, None),
    ],
    keys=("since",),
)
TABLES: dict[str, InMemory | View] = {
    "shares": SHARES,
    "nothing": InMemory((("x", BIGINT), ("d", decimal(6, 3))), []),
    "oil": View(
        "db",
        "SELECT ticker AS code, quantity FROM shares WHERE sector = 'Petróleo'",
        (("code", VARCHAR), ("quantity", BIGINT)),
    ),
}


def run(sql: str, started: Callable[[object], None] = lambda _connection: None) -> Answer:
    def load(use: TableUse) -> pa.Table:
        columns = list(zip(*use.table.rows, strict=True)) or [()] * len(use.table.columns)
        arrays = [pa.array(column, kind.arrow) for column, (_, kind) in zip(columns, use.table.columns, strict=True)]
        return pa.table(arrays, names=[f"c{number}" for number in range(len(arrays))])

    return run_query(
        sql, "db", lambda database, name: TABLES.get(name) if database == "db" else None, load, started=started
    )


def values(sql: str) -> list[str]:
    """Return the values of a query of one row, joined with its types by `typed`."""
    (row,) = run(f"SELECT {sql}").rows
    return ["NULL" if value is None else value for value in row]


def refusal(sql: str) -> str:
    with pytest.raises(StatementFailed) as caught:
        run(sql)
    return str(caught.value)


# Expression, type and text.
EXPRESSIONS = [
    # Integers divide to integers, truncated towards zero; the remainder has the sign of the dividend.
    ("7 / 2", "integer", "3"),
    ("-7 / 2", "integer", "-3"),
    ("7 / -2", "integer", "-3"),
    ("-7 % 3", "integer", "-1"),
    ("7 % -3", "integer", "1"),
    ("mod(-7, 3)", "integer", "-1"),
    ("10000000000 / 3", "bigint", "3333333333"),
    ("2147483647 + BIGINT_ONE", "bigint", "2147483648"),
    ("7e0 / 2", "double", "3.5"),
    ("1e0 / 0", "double", "Infinity"),
    # Decimals: precision and scale of the documentation's table.
    ("1.5", "decimal(2,1)", "1.5"),
    ("0.05", "decimal(2,2)", "0.05"),
    (".5", "decimal(1,1)", "0.5"),
    ("DECIMAL '12'", "decimal(2,0)", "12"),
    ("DECIMAL '-1.50'", "decimal(3,2)", "-1.50"),
    ("1.5 + 2.25", "decimal(4,2)", "3.75"),
    ("1.5 - 2.25", "decimal(4,2)", "-0.75"),
    ("1.5 * 2.25", "decimal(5,3)", "3.375"),
    ("1 / 3.0", "decimal(12,1)", "0.3"),
    ("2 / 3.00", "decimal(14,2)", "0.67"),
    ("-2 / 3.00", "decimal(14,2)", "-0.67"),
    ("0.125 / 1", "decimal(3,3)", "0.125"),
    ("7.5 % 2", "decimal(2,1)", "1.5"),
    ("-7.5 % 2.0", "decimal(2,1)", "-1.5"),
    ("CAST(1 AS decimal(38,0)) / 3", "decimal(38,0)", "0"),
    ("1.5 + 1", "decimal(12,1)", "2.5"),
    ("1.5 + 1e0", "double", "2.5"),
    # Rounding is half away from zero.
    ("round(2.5)", "decimal(2,0)", "3"),
    ("round(-2.5)", "decimal(2,0)", "-3"),
    ("round(1.2355, 3)", "decimal(6,4)", "1.2360"),
    ("round(123.45, -1)", "decimal(6,2)", "120.00"),
    ("round(2.5e0)", "double", "3.0"),
    ("round(-2.5e0)", "double", "-3.0"),
    ("round(3.14159e0, 2)", "double", "3.14"),
    ("round(7)", "integer", "7"),
    ("floor(-1.5)", "decimal(2,0)", "-2"),
    ("ceil(1.2)", "decimal(2,0)", "2"),
    ("truncate(-1.57)", "decimal(1,0)", "-1"),
    ("truncate(1.57, 1)", "decimal(3,2)", "1.50"),
    ("abs(-1.50)", "decimal(3,2)", "1.50"),
    ("sign(-3.5)", "decimal(1,0)", "-1"),
    ("power(2, 10)", "double", "1024.0"),
    ("sqrt(2.25)", "double", "1.5"),
    # Casts.
    ("CAST(2.5 AS integer)", "integer", "3"),
    ("CAST(-2.5 AS bigint)", "bigint", "-3"),
    ("CAST(2.5e0 AS integer)", "integer", "3"),
    ("CAST(1.005e0 AS decimal(5,2))", "decimal(5,2)", "1.01"),
    ("CAST('1.005' AS decimal(5,2))", "decimal(5,2)", "1.01"),
    ("CAST('1.5' AS decimal)", "decimal(38,0)", "2"),
    ("CAST(1.125 AS decimal(4,2))", "decimal(4,2)", "1.13"),
    ("CAST(' 1.5 ' AS double)", "double", "1.5"),
    ("CAST('2025-2-3' AS date)", "date", "2025-02-03"),
    ("CAST(DATE '2025-02-03' AS varchar)", "varchar", "2025-02-03"),
    ("CAST(1.50 AS varchar)", "varchar", "1.50"),
    ("CAST(100e0 AS varchar)", "varchar", "1.0E2"),
    ("CAST(true AS varchar)", "varchar", "true"),
    ("CAST(true AS integer)", "integer", "1"),
    ("CAST('T' AS boolean)", "boolean", "true"),
    ("CAST(TIMESTAMP '2025-02-03 23:59:59' AS date)", "date", "2025-02-03"),
    ("CAST(TIMESTAMP '2025-02-03 23:59:59.5' AS varchar)", "varchar", "2025-02-03 23:59:59.5"),
    ("CAST(ARRAY['1', '2'] AS array(integer))", "array(integer)", "[1, 2]"),
    ("try_cast('1.5' AS integer)", "integer", "NULL"),
    ("try_cast('12' AS integer)", "integer", "12"),
    ("try(1 / 0)", "integer", "NULL"),
    ("coalesce(try(1 / 0), 5)", "integer", "5"),
    # Doubles are written as Java writes them.
    ("1e7", "double", "1.0E7"),
    ("1234567e0", "double", "1234567.0"),
    ("1e-3", "double", "0.001"),
    ("1.5e-4", "double", "1.5E-4"),
    # NULL and choice.
    ("NULL", "unknown", "NULL"),
    ("NULL + 1", "integer", "NULL"),
    ("coalesce(NULL, 1, 2.5)", "decimal(11,1)", "1.0"),
    ("nullif(1, 1)", "integer", "NULL"),
    ("if(1 > 2, 'a')", "varchar(1)", "NULL"),
    ("if(1 < 2, 'a', 'b')", "varchar(1)", "a"),
    ("greatest(1, NULL, 3)", "integer", "NULL"),
    ("greatest(1, 2.5)", "decimal(11,1)", "2.5"),
    ("least('b', 'a')", "varchar(1)", "a"),
    ("CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "varchar", "two"),
    ("CASE WHEN NULL THEN 1 ELSE 2.5 END", "decimal(11,1)", "2.5"),
    ("1 IS DISTINCT FROM NULL", "boolean", "true"),
    ("NULL IS NOT NULL", "boolean", "false"),
    ("1 IN (2, NULL)", "boolean", "NULL"),
    ("2 NOT IN (1, 3)", "boolean", "true"),
    ("2 BETWEEN 1 AND 3", "boolean", "true"),
    ("NULL AND false", "boolean", "false"),
    # Texts.
    ("'a' || 'b' || NULL", "varchar", "NULL"),
    ("concat('a', 'b', 'c')", "varchar", "abc"),
    ("'a' < 'B'", "boolean", "false"),
    ("'Z' < 'á'", "boolean", "true"),
    ("length('Ação')", "bigint", "4"),
    ("upper('ação')", "varchar", "AÇÃO"),
    ("substr('hello', 2, 3)", "varchar", "ell"),
    ("substr('hello', -3)", "varchar", "llo"),
    ("substr('hello', 0)", "varchar", ""),
    ("substr('hello', -9)", "varchar", ""),
    ("strpos('hello', 'l')", "bigint", "3"),
    ("position('lo' IN 'hello')", "bigint", "4"),
    ("lpad('7', 3, '0')", "varchar", "007"),
    ("rpad('hello', 2, '.')", "varchar", "he"),
    ("trim(' \t x ')", "varchar", "x"),
    ("replace('a.b.c', '.', '-')", "varchar", "a-b-c"),
    ("split('a,,b', ',')", "array(varchar)", "[a, , b]"),
    ("split_part('a,b', ',', 3)", "varchar", "NULL"),
    ("starts_with('PETR4', 'PETR')", "boolean", "true"),
    ("'100%' LIKE '100!%' ESCAPE '!'", "boolean", "true"),
    ("'100x' LIKE '100!%' ESCAPE '!'", "boolean", "false"),
    ("'a\\b' LIKE 'a\\b'", "boolean", "true"),
    ("'abc' LIKE 'A%'", "boolean", "false"),
    ("regexp_like('xPETR4', '[A-Z]{4}\\d')", "boolean", "true"),
    ("regexp_extract('PETR4 F', '([A-Z]+)(\\d+)', 2)", "varchar", "4"),
    ("regexp_extract('x', '\\d')", "varchar", "NULL"),
    ("regexp_replace('1a 2b', '(\\d)([ab])', '$2$1')", "varchar", "a1 b2"),
    ("regexp_replace('a1b', '\\d')", "varchar", "ab"),
    ("regexp_extract_all('a1b22', '\\d+')", "array(varchar)", "[1, 22]"),
    ("format('%s has %,d at %.2f%%', 'VALE3', 1234567, 10.125)", "varchar", "VALE3 has 1,234,567 at 10.13%"),
    ("format('%05d|%-4s|%4s|%2$s', 42, 'ab', 'cd')", "varchar", "00042|ab  |  cd|ab"),
    ("format('%s %s %s', true, 1e10, DATE '2025-02-03')", "varchar", "true 1.0E10 2025-02-03"),
    ("format('%.1f %.0f', 0.25, 2.5e0)", "varchar", "0.3 3"),
    # Dates stay dates.
    ("date_add('day', 3, DATE '2025-02-27')", "date", "2025-03-02"),
    ("date_add('month', 1, DATE '2025-01-31')", "date", "2025-02-28"),
    ("date_add('quarter', -1, DATE '2025-05-31')", "date", "2025-02-28"),
    ("date_add('year', 1, DATE '2024-02-29')", "date", "2025-02-28"),
    ("date_add('hour', 1, TIMESTAMP '2025-01-31 23:30:00')", "timestamp(0)", "2025-02-01 00:30:00.000"),
    ("DATE '2025-01-31' + INTERVAL '1' MONTH", "date", "2025-02-28"),
    ("DATE '2025-03-01' - INTERVAL '1' DAY", "date", "2025-02-28"),
    ("date_diff('day', DATE '2025-02-28', DATE '2025-03-01')", "bigint", "1"),
    ("date_diff('day', DATE '2025-03-01', DATE '2025-02-28')", "bigint", "-1"),
    ("date_diff('week', DATE '2025-01-01', DATE '2025-01-14')", "bigint", "1"),
    ("date_diff('month', DATE '2025-01-31', DATE '2025-02-27')", "bigint", "0"),
    ("date_diff('month', DATE '2025-01-31', DATE '2025-02-28')", "bigint", "1"),
    ("date_diff('year', DATE '2024-03-01', DATE '2025-02-28')", "bigint", "0"),
    ("date_diff('hour', TIMESTAMP '2025-01-01 10:00:00', TIMESTAMP '2025-01-02 09:59:59')", "bigint", "23"),
    ("date_trunc('month', DATE '2025-02-18')", "date", "2025-02-01"),
    ("date_trunc('week', DATE '2025-02-16')", "date", "2025-02-10"),
    ("date_trunc('quarter', DATE '2025-06-30')", "date", "2025-04-01"),
    ("date_trunc('hour', TIMESTAMP '2025-02-03 10:59:00')", "timestamp(0)", "2025-02-03 10:00:00.000"),
    ("date_format(DATE '2025-02-03', '%Y-%m-%d %W %e %j')", "varchar", "2025-02-03 Monday 3 034"),
    ("date_format(TIMESTAMP '2025-02-03 15:04:05', '%h:%i:%s %p, %b %y')", "varchar", "03:04:05 PM, Feb 25"),
    ("format_datetime(DATE '2025-02-03', 'yyyy-MM-dd EEE ''w''w')", "varchar", "2025-02-03 Mon w6"),
    ("day_of_week(DATE '2025-02-16')", "bigint", "7"),
    ("dow(DATE '2025-02-17')", "bigint", "1"),
    ("week(DATE '2024-12-30')", "bigint", "1"),
    ("year_of_week(DATE '2024-12-30')", "bigint", "2025"),
    ("quarter(DATE '2025-05-01')", "bigint", "2"),
    ("extract(YEAR FROM DATE '2025-05-01')", "bigint", "2025"),
    ("last_day_of_month(DATE '2024-02-03')", "date", "2024-02-29"),
    ("date('2025-02-03') = DATE '2025-02-03'", "boolean", "true"),
    ("DATE '2025-02-03' < TIMESTAMP '2025-02-03 00:00:01'", "boolean", "true"),
    # Arrays and maps.
    ("ARRAY[1, 2.5, NULL]", "array(decimal(11,1))", "[1.0, 2.5, null]"),
    ("ARRAY['a', 'b'][2]", "varchar", "b"),
    ("element_at(ARRAY['a', 'b'], -1)", "varchar", "b"),
    ("element_at(ARRAY['a'], 2)", "varchar", "NULL"),
    ("cardinality(ARRAY[1, 2])", "bigint", "2"),
    ("contains(ARRAY[1, NULL], 2)", "boolean", "NULL"),
    ("contains(ARRAY[1, NULL], 1)", "boolean", "true"),
    ("array_join(ARRAY[1, NULL, 3], '-')", "varchar", "1-3"),
    ("array_max(ARRAY[1, NULL])", "integer", "NULL"),
    ("ARRAY[1] || ARRAY[2]", "array(integer)", "[1, 2]"),
    ("MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "map(varchar, integer)", "{a=1, b=2}"),
    ("MAP(ARRAY['a'], ARRAY[1])['a']", "integer", "1"),
    ("element_at(MAP(ARRAY['a'], ARRAY[1]), 'b')", "integer", "NULL"),
    ("map_keys(MAP(ARRAY[1, 2], ARRAY['x', 'y']))", "array(integer)", "[1, 2]"),
]


@pytest.mark.parametrize(("expression", "kind", "text"), EXPRESSIONS, ids=[each[0] for each in EXPRESSIONS])
def test_an_expression_has_trinos_type_and_value(expression: str, kind: str, text: str) -> None:
    answer = run(f"SELECT {expression.replace('BIGINT_ONE', 'CAST(1 AS bigint)')} AS x")
    assert [["NULL" if value is None else value for value in row] for row in answer.rows] == [[text]]
    found = str(answer.columns[0][1])
    assert found == kind or (kind == "varchar" and found.startswith("varchar(")) or found.replace("(1)", "") == kind


QUERIES = [
    (
        "SELECT count(*), count(sector), count(DISTINCT sector), sum(quantity), avg(quantity) FROM shares",
        ["4|3|2|800|266.6666666666667"],
    ),
    ("SELECT sum(share), avg(share), min(share), max(share) FROM shares", ["20.000|6.667|2.375|10.500"]),
    ("SELECT sum(x), avg(d), count(*), count(x), max(x), array_agg(x) FROM nothing", ["NULL|NULL|0|0|NULL|NULL"]),
    ("SELECT sum(x) FROM nothing GROUP BY x", []),
    ("SELECT ticker FROM shares ORDER BY share", ["PRIO3", "PETR4", "VALE3", "ETER3"]),
    ("SELECT ticker FROM shares ORDER BY share DESC", ["VALE3", "PETR4", "PRIO3", "ETER3"]),
    ("SELECT ticker FROM shares ORDER BY share DESC NULLS FIRST OFFSET 1 LIMIT 2", ["VALE3", "PETR4"]),
    ("SELECT ticker FROM shares ORDER BY 1 FETCH FIRST 2 ROWS ONLY", ["ETER3", "PETR4"]),
    ("SELECT -quantity AS quantity FROM shares ORDER BY quantity LIMIT 1", ["-400"]),
    ("SELECT ticker FROM shares WHERE sector <> 'Petróleo'", ["VALE3"]),
    ("SELECT ticker FROM shares WHERE NOT (quantity > 100)", ["PRIO3"]),
    (
        "SELECT sector, count(*) AS n FROM shares GROUP BY sector HAVING count(*) >= 1 ORDER BY n DESC, sector",
        ["Petróleo|2", "Mineração|1", "NULL|1"],
    ),
    ("SELECT sector, sum(share) FROM shares GROUP BY 1 ORDER BY sum(share) DESC LIMIT 1", ["Mineração|10.500"]),
    (
        "SELECT sector, grouping(sector), sum(quantity) FROM shares GROUP BY ROLLUP (sector) ORDER BY 2, 1",
        ["Mineração|0|300", "Petróleo|0|500", "NULL|0|NULL", "NULL|1|800"],
    ),
    (
        (
            "SELECT sector, rank_no, count(*) FROM shares WHERE rank_no < 3 GROUP BY GROUPING SETS "
            "((sector), (rank_no), ()) "
            "ORDER BY 3 DESC, 1, 2"
        ),
        ["NULL|NULL|2", "Mineração|NULL|1", "Petróleo|NULL|1", "NULL|1|1", "NULL|2|1"],
    ),
    ("SELECT count(*) FROM (SELECT 1 FROM shares GROUP BY CUBE (sector, rank_no))", ["12"]),
    (
        (
            "SELECT ticker, row_number() OVER (ORDER BY share DESC), "
            "rank() OVER (PARTITION BY sector ORDER BY share DESC), "
            "sum(quantity) OVER (ORDER BY ticker ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM shares ORDER BY 1"
        ),
        ["ETER3|4|1|NULL", "PETR4|2|1|400", "PRIO3|3|2|500", "VALE3|1|1|400"],
    ),
    (
        (
            "SELECT ticker, lag(ticker) OVER (ORDER BY ticker), lead(ticker, 2, '-') OVER (ORDER BY ticker), "
            "last_value(sector) IGNORE NULLS OVER (ORDER BY ticker DESC) FROM shares ORDER BY 1"
        ),
        [
            "ETER3|NULL|PRIO3|Petróleo",
            "PETR4|ETER3|VALE3|Petróleo",
            "PRIO3|PETR4|-|Petróleo",
            "VALE3|PRIO3|-|Mineração",
        ],
    ),
    (
        (
            "SELECT ticker, sum(quantity) OVER (ORDER BY since RANGE BETWEEN "
            "INTERVAL '7' DAY PRECEDING AND CURRENT ROW) "
            "FROM shares WHERE since IS NOT NULL ORDER BY since"
        ),
        ["PETR4|400", "VALE3|300", "PRIO3|400"],
    ),
    (
        "SELECT sector, sum(quantity), sum(sum(quantity)) OVER () FROM shares GROUP BY sector ORDER BY 1",
        ["Mineração|300|800", "Petróleo|500|800", "NULL|NULL|800"],
    ),
    ("SELECT avg(share) OVER () FROM shares LIMIT 1", ["6.667"]),
    (
        (
            "SELECT max_by(ticker, share), min_by(ticker, share), count_if(quantity > 100), bool_and(quantity > 0), "
            "arbitrary(sector) IS NOT NULL FROM shares"
        ),
        ["VALE3|PRIO3|2|true|true"],
    ),
    ("SELECT max_by(sector, length(ticker)) FROM shares WHERE ticker = 'ETER3'", ["NULL"]),
    ("SELECT sum(quantity) FILTER (WHERE sector = 'Petróleo') FROM shares", ["500"]),
    (
        "SELECT array_agg(ticker ORDER BY share DESC), listagg(ticker, '; ') WITHIN GROUP (ORDER BY ticker) "  # noqa: ISC004
        "FROM shares",
        ["[VALE3, PETR4, PRIO3, ETER3]|ETER3; PETR4; PRIO3; VALE3"],
    ),
    ("SELECT array_agg(quantity ORDER BY quantity) FROM shares", ["[100, 300, 400, null]"]),
    ("SELECT map_agg(ticker, quantity)['VALE3'], element_at(map_agg(ticker, quantity), 'X') FROM shares", ["300|NULL"]),
    ("SELECT approx_percentile(quantity, 0.5), approx_distinct(sector) FROM shares", ["300|2"]),
    # A decimal widens to real, the narrowest type that this function takes.
    ("SELECT CAST(approx_percentile(share + 0.003, 0.5) AS double) FROM shares", ["7.127999782562256"]),
    ("SELECT approx_percentile(CAST(share + 0.003 AS double), 0.5) FROM shares", ["7.128"]),
    ("SELECT stddev(quantity), var_pop(quantity) FROM shares WHERE quantity <= 300", ["141.4213562373095|10000.0"]),
    ("SELECT stddev(quantity) FROM shares WHERE quantity = 300", ["NULL"]),
    (
        (
            "SELECT u.x, u.n FROM shares CROSS JOIN UNNEST(ARRAY[quantity, 0]) WITH ORDINALITY AS u (x, n) "
            "WHERE ticker = 'VALE3' ORDER BY n"
        ),
        ["300|1", "0|2"],
    ),
    ("SELECT * FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t (n, s) ORDER BY n", ["1|a", "2|NULL"]),
    ("SELECT k, v FROM UNNEST(MAP(ARRAY['a', 'b'], ARRAY[1, 2])) AS t (k, v) ORDER BY k", ["a|1", "b|2"]),
    ("SELECT * FROM (VALUES (1, 'a'), (2.5, NULL)) AS t (n, s) ORDER BY n", ["1.0|a", "2.5|NULL"]),
    ("VALUES 1, 2", ["1", "2"]),
    ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1", ["1", "2"]),
    ("SELECT sector FROM shares EXCEPT SELECT 'Mineração' ORDER BY 1", ["Petróleo", "NULL"]),
    ("SELECT sector FROM shares INTERSECT SELECT NULL", ["NULL"]),
    ("SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1", ["1.0", "2.5"]),
    (
        (
            "WITH a AS (SELECT sector, count(*) AS n FROM shares GROUP BY sector), b (top) AS (SELECT max(n) FROM a) "
            "SELECT sector FROM a JOIN b ON n = top"
        ),
        ["Petróleo"],
    ),
    ("WITH shares AS (SELECT 1 AS x) SELECT * FROM shares", ["1"]),
    ("SELECT code FROM oil ORDER BY quantity DESC", ["PETR4", "PRIO3"]),
    (
        "SELECT s.ticker, o.code FROM shares s LEFT JOIN oil o ON o.code = s.ticker ORDER BY 1",
        ["ETER3|NULL", "PETR4|PETR4", "PRIO3|PRIO3", "VALE3|NULL"],
    ),
    ("SELECT * FROM (VALUES 1, 2) a (x) FULL JOIN (VALUES 2, 3) b (x) USING (x) ORDER BY x", ["1", "2", "3"]),
    (
        (
            "SELECT ticker FROM shares s WHERE quantity = (SELECT max(quantity) FROM shares i "
            "WHERE i.sector = s.sector) ORDER BY 1"
        ),
        ["PETR4", "VALE3"],
    ),
    ("SELECT ticker FROM shares WHERE ticker NOT IN (SELECT code FROM oil) ORDER BY 1", ["ETER3", "VALE3"]),
    (
        "SELECT ticker FROM shares s WHERE EXISTS (SELECT 1 FROM oil WHERE code = s.ticker) ORDER BY 1",
        ["PETR4", "PRIO3"],
    ),
    ("SELECT DISTINCT sector FROM shares ORDER BY sector DESC", ["Petróleo", "Mineração", "NULL"]),
    (
        "SELECT year(since), sum(share) FROM shares GROUP BY year(since) ORDER BY year(since)",
        ["2024|7.125", "2025|12.875", "NULL|NULL"],
    ),
    ("SELECT S.TICKER FROM DB.SHARES S WHERE S.QUANTITY = 300", ["VALE3"]),
    ("SELECT shares.ticker, db.shares.quantity FROM db.shares WHERE quantity = 300;", ["VALE3|300"]),
    ("SELECT share / quantity, quantity / 7 FROM shares WHERE ticker = 'VALE3'", ["0.035|42"]),
    ("SELECT ticker FROM shares WHERE share * 100 / 20 = 52.5", ["VALE3"]),
]


@pytest.mark.parametrize(("sql", "expected"), QUERIES, ids=[each[0][:90] for each in QUERIES])
def test_a_query_has_trinos_rows(sql: str, expected: list[str]) -> None:
    rows = run(sql).rows
    assert ["|".join("NULL" if value is None else value for value in row) for row in rows] == expected


REFUSALS = [
    ("SELECT nothing FROM shares", "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"),
    ("SELECT ticker\nFROM shares\nWHERE absent = 1", "COLUMN_NOT_FOUND: line 3:7"),
    ("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.db.nowhere' does not exist"),
    ("SELECT foo(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'foo' not registered"),
    (
        "SELECT list_aggregate(ARRAY[1], 'sum')",
        "FUNCTION_NOT_FOUND: line 1:8: Function 'list_aggregate' not registered",
    ),
    ("SELECT strftime(DATE '2025-02-03', '%Y')", "Function 'strftime' not registered"),
    ("SELECT json_extract('{}', '$')", "not supported by the local Athena: the function json_extract"),
    ("SELECT transform(ARRAY[1], x -> x + 1)", "not supported by the local Athena: the function transform"),
    ("SELECT * FROM read_parquet('x')", "not supported by the local Athena"),
    ("SELECT * FROM 'x.parquet'", "mismatched input 'x.parquet'"),
    ("SELECT 1 AS 'x'", "SYNTAX_ERROR"),
    ("SELECT ticker 'x' FROM shares", "SYNTAX_ERROR"),
    ("SELECT * EXCLUDE (ticker) FROM shares", "not supported by the local Athena"),
    ("SELECT 1::integer", "SYNTAX_ERROR: line 1:9: mismatched input '::'"),
    ("PRAGMA version", "SYNTAX_ERROR: line 1:1: mismatched input 'PRAGMA'"),
    ("FROM shares SELECT ticker", "mismatched input 'FROM'"),
    ("SELECT FROM shares", "mismatched input 'FROM'"),
    ("SELECT ticker, FROM shares", "mismatched input 'FROM'"),
    ("SELECT ticker FROM shares LIMIT 2 OFFSET 1", "mismatched input 'OFFSET'"),
    ("SELECT ticker FROM shares QUALIFY row_number() OVER () = 1", "SYNTAX_ERROR"),
    ("SELECT ticker FROM shares WHERE ticker ILIKE 'p%'", "SYNTAX_ERROR"),
    ("SELECT DISTINCT ON (sector) ticker FROM shares", "not supported"),
    ("SELECT ticker FROM shares GROUP BY ALL", "not supported|SYNTAX_ERROR|COLUMN_NOT_FOUND"),
    ("SELECT count(*) FROM shares TABLESAMPLE BERNOULLI (10)", "not supported"),
    ("SELECT count(*) FROM shares NATURAL JOIN oil", "not supported"),
    ("SELECT a b c", "SYNTAX_ERROR: line 1:"),
    ("SELECT since = '2025-02-03' FROM shares", "TYPE_MISMATCH: line 1:8: Cannot apply operator: date = varchar(10)"),
    ("SELECT '1' + 1", "TYPE_MISMATCH: line 1:8: Cannot apply operator: varchar(1) + integer"),
    ("SELECT sum(ticker) FROM shares", "Unexpected parameters (varchar) for function sum"),
    ("SELECT upper(1)", "Unexpected parameters (integer) for function upper"),
    ("SELECT if(1, 2)", "must be boolean (actual integer)"),
    ("SELECT ticker FROM shares WHERE quantity", "WHERE clause must be boolean"),
    ("SELECT ticker, count(*) FROM shares", "EXPRESSION_NOT_AGGREGATE"),
    ("SELECT ticker AS t FROM shares GROUP BY t", "COLUMN_NOT_FOUND"),
    ("SELECT ticker AS t FROM shares WHERE t = 'x'", "COLUMN_NOT_FOUND"),
    ("SELECT ticker FROM shares WHERE count(*) > 1", "cannot contain aggregations"),
    ("SELECT ticker FROM shares WHERE row_number() OVER () = 1", "Window functions"),
    ("SELECT ticker FROM shares a, shares b", "AMBIGUOUS_NAME"),
    ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
    ("SELECT quantity % 0 FROM shares", "DIVISION_BY_ZERO"),
    ("SELECT 1.5 / 0", "DIVISION_BY_ZERO"),
    ("SELECT 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE"),
    ("SELECT CAST('1.5' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast '1.5' to INTEGER"),
    ("SELECT CAST(' 1' AS bigint)", "INVALID_CAST_ARGUMENT"),
    ("SELECT DATE '2025-02-30'", "Value cannot be cast to date: 2025-02-30"),
    ("SELECT ARRAY[1][2]", "INVALID_FUNCTION_ARGUMENT: Array subscript"),
    ("SELECT MAP(ARRAY['a'], ARRAY[1])['b']", "INVALID_FUNCTION_ARGUMENT: Key not present in map"),
    ("SELECT (SELECT ticker FROM shares)", "SUBQUERY_MULTIPLE_ROWS"),
    ("SELECT date_add('hour', 1, DATE '2025-02-03')", "'hour' is not a valid DATE field"),
    ("SELECT date_format(DATE '2025-02-03', '%U')", "%U not supported in date format string"),
    ("SELECT format('%d', 1.5)", "Invalid format string"),
    ("SELECT format('%x', 255)", "not supported by the local Athena: %x in format()"),
    ("SELECT regexp_like('a', '\\p{L}')", "not supported by the local Athena: the regular expression"),
    ("SELECT current_timestamp", "not supported"),
    ("SELECT DISTINCT sector FROM shares ORDER BY ticker", "ORDER BY expressions must appear in select list"),
    ("SELECT ticker FROM shares ORDER BY 2", "ORDER BY position 2 is not in select list"),
    ("SELECT 1 UNION SELECT 'a'", "incompatible types: integer, varchar(1)"),
    ("SELECT x.ticker FROM shares", "COLUMN_NOT_FOUND"),
    ("SELECT shares.ticker FROM shares s", "COLUMN_NOT_FOUND"),
    # A name of the answer hides the table of that name in ORDER BY.
    ("SELECT count(*) AS shares, ticker FROM shares GROUP BY ticker ORDER BY shares.ticker", "not of type ROW"),
    ("SELECT sector AS shares FROM shares ORDER BY lower(shares.ticker)", "Expression shares is not of type ROW"),
    ("SELECT 1; DROP TABLE shares", "mismatched input ';'"),
]


@pytest.mark.parametrize(("sql", "reason"), REFUSALS, ids=[each[0][:90] for each in REFUSALS])
def test_what_athena_refuses_is_refused_with_the_reason(sql: str, reason: str) -> None:
    message = refusal(sql)
    assert any(part in message for part in reason.split("|")), message


def test_columns_without_a_name_are_numbered_and_the_others_keep_theirs() -> None:
    answer = run('SELECT 1, ticker, quantity AS Total, 2 AS "a b" FROM shares')
    assert [name for name, _ in answer.columns] == ["_col0", "ticker", "Total", "a b"]


def test_a_table_may_be_named_in_order_by_where_no_column_of_the_answer_is_called_so() -> None:
    named = run("SELECT ticker AS share FROM shares ORDER BY shares.share DESC, shares.ticker LIMIT 1")
    assert named.rows == [["VALE3"]]
    within = run(
        "SELECT ticker, 1 AS shares FROM shares s "
        "ORDER BY (SELECT max(shares.quantity) FROM shares WHERE shares.ticker = s.ticker), ticker LIMIT 1"
    )
    assert within.rows == [["PRIO3", "1"]]


def test_today_is_today_in_utc() -> None:
    before = dt.datetime.now(dt.UTC).date()
    ((today,),) = run("SELECT current_date").rows
    assert today in {str(before), str(dt.datetime.now(dt.UTC).date())}


def test_two_queries_at_once_see_nothing_of_each_others_tables() -> None:
    within: list[Answer] = []
    answer = run(
        "SELECT ticker, ROUND(share, 1) FROM shares WHERE rank_no = 1",
        lambda _connection: within.append(run("SELECT COUNT(*), MAX(ROUND(d, 1)) FROM nothing")),
    )
    assert [each.rows for each in within] == [[["0", None]]]
    assert answer.rows == [["VALE3", "10.500"]]


def test_a_view_whose_columns_changed_is_stale() -> None:
    TABLES["stale"] = View("db", "SELECT ticker FROM shares", (("ticker", BIGINT),))
    assert "VIEW_IS_STALE" in refusal("SELECT * FROM stale")


def test_a_view_that_refers_to_itself_is_refused() -> None:
    TABLES["endless"] = View("db", "SELECT * FROM endless", (("x", BIGINT),))
    assert "refers to itself" in refusal("SELECT * FROM endless")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (100.0, "100.0"), (9999999.0, "9999999.0"), (1e7, "1.0E7"),
        (1.5e300, "1.5E300"), (0.001, "0.001"), (0.00099, "9.9E-4"), (-12.25, "-12.25"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_doubles_are_written_as_java_writes_them(value: float, text: str) -> None:
    assert java_double(value) == text


def test_types_of_the_catalog_come_back_as_they_were() -> None:
    for text in ("string", "bigint", "decimal(24,8)", "array<string>", "map<string,int>", "struct<a:int,b:string>"):
        assert hive_name(hive_type(text)) == text
    assert hive_type("varchar(10)") == VARCHAR
    with pytest.raises(StatementFailed, match="not supported"):
        hive_type("uniontype<int>")


def test_types_widen_as_trino_widens_them_and_no_further() -> None:
    assert common_type(INTEGER, BIGINT) == BIGINT
    assert common_type(BIGINT, decimal(6, 3)) == decimal(22, 3)
    assert common_type(decimal(6, 3), DOUBLE) == DOUBLE
    assert common_type(decimal(38, 0), decimal(3, 2)) == decimal(38, 2)
    assert common_type(array(INTEGER), array(BIGINT)) == array(BIGINT)
    assert common_type(VARCHAR, DATE) is None
    assert common_type(BOOLEAN, INTEGER) is None
