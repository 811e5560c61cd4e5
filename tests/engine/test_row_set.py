"""Sets of rows that a statement fills."""

from __future__ import annotations

import threading

import duckdb
import pytest

from lume_dagster.engine.row_set import RowSet


def members(cursor: duckdb.DuckDBPyConnection, rows: int) -> list[int]:
    cursor.execute(
        f"SELECT n FROM range(1, {rows + 1}) AS t(n) WHERE get_bit(getvariable('kept'), CAST(n - 1 AS INTEGER)) = 1"
    )
    return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 5000])
def test_rows_are_noted_while_the_others_are_written(rows: int) -> None:
    with duckdb.connect() as cursor:
        odd = RowSet(rows)
        query = f"SELECT n FROM range(1, {rows + 1}) AS t(n) WHERE CASE WHEN n % 2 = 1 THEN"
        with odd.adding(cursor) as add:
            even = cursor.execute(f"{query} {add}(n) ELSE true END").fetchall()
        odd.keep(cursor, "kept")
        assert [row[0] for row in even] == list(range(2, rows + 1, 2))
        assert members(cursor, rows) == list(range(1, rows + 1, 2))
        assert len(odd) == (rows + 1) // 2
        with pytest.raises(duckdb.CatalogException):
            cursor.execute(f"SELECT {add}(1)")


def test_cursors_of_one_connection_fill_sets_of_their_own() -> None:
    rows, found = 200_000, dict[int, int]()
    with duckdb.connect() as connection:

        def fill(divisor: int) -> None:
            multiples = RowSet(rows)
            with connection.cursor() as cursor, multiples.adding(cursor) as add:
                query = f"SELECT count(*) FROM range(1, {rows + 1}) AS t(n) WHERE CASE WHEN n % {divisor} = 0 THEN"
                cursor.execute(f"{query} {add}(n) ELSE true END").fetchall()
            found[divisor] = len(multiples)

        threads = [threading.Thread(target=fill, args=(divisor,)) for divisor in range(2, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {divisor: rows // divisor for divisor in range(2, 8)}
