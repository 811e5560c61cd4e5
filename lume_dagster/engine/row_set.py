"""A set of row numbers that a statement fills while it runs."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


class RowSet:
    """Rows of a batch, a bit each; safe to fill from the threads of a statement.

    Args:
        rows: Rows of the batch, kept as an attribute; they are numbered from 1.

    So one pass over a batch writes the good rows and leaves the set of the others behind. Without it, a pass of its
    own would have to find them first, and compute every value twice.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._bits = bytearray((rows + 7) // 8)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int.from_bytes(self._bits, "big").bit_count()

    @contextmanager
    def adding(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
        """A function of SQL that puts the row number it is given into the set and answers false.

        Args:
            cursor: Knows the function as long as the context lasts.

        Returns:
            The function's name, another one each time: cursors of one connection share their functions.
        """
        name = f"add_row_{secrets.token_hex(8)}"
        # Called row by row, as a call with a vector costs as much as two thousand of these.
        cursor.create_function(name, self._add, ["BIGINT"], "BOOLEAN", side_effects=True)
        try:
            yield name
        finally:
            cursor.remove_function(name)

    def _add(self, row_number: int) -> bool:
        byte, bit = divmod(row_number - 1, 8)
        with self._lock:
            self._bits[byte] |= 128 >> bit
        return False

    def keep(self, cursor: duckdb.DuckDBPyConnection, variable: str) -> None:
        """Keep the set in a session variable, as a bitstring whose first bit is row 1."""
        cursor.execute(f"SET VARIABLE {variable} = CAST(CAST($1 AS BLOB) AS BIT)", [bytes(self._bits)])
