"""A user's DuckDB file, on a connection of its own that reaches this file and nothing else.

It has nothing to do with the engine's database, whose cage stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from lume_dagster.engine.database import CONNECT_SECONDS, read_url
from lume_dagster.engine.errors import BatchError, UnavailableError
from lume_dagster.engine.interrupt import interrupting
from lume_dagster.engine.stage import Cancel, check_cancel

_CONFIG = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "1GB",
}
_RETRY_SECONDS = 0.1
_IN_USE = ("Could not set lock", "different configuration")


@contextmanager
def open_duckdb(
    variable: str, place: str, cancel: Cancel | None, *, read_only: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the DuckDB file whose URL, `duckdb:///path/to/file`, an environment variable holds.

    Args:
        variable: The variable's name.
        place: The option of the flow file that names it, for messages.
        cancel: Interrupts what the connection does.
        read_only: The file must be there and is not changed; else it is made if it is not there.

    Raises:
        BatchError: The file is not there or no database, or the database refuses.
        UnavailableError: Someone else has the file open, or changes the same records.
        CancelledError: The flag is set.
    """
    path = read_url(variable, place).database
    if not path or path == ":memory:":
        raise BatchError(f"{place}: {variable} names no file; set it to duckdb:///path/to/file")
    if read_only and not Path(path).is_file():
        raise BatchError(f"{place}: the database of {variable} is not there; see its path")
    said = f"{place}: the database of {variable} says: "
    try:
        connection = _connect(path, cancel, read_only=read_only)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            with interrupting(connection.interrupt, cancel):
                yield connection
        finally:
            connection.close()
    except duckdb.Error as error:
        check_cancel(cancel)
        text = " ".join(str(error).split())
        busy = isinstance(error, duckdb.TransactionException) or any(sign in text for sign in _IN_USE)
        raise (UnavailableError if busy else BatchError)(said + text) from None


def _connect(path: str, cancel: Cancel | None, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Connect; for some seconds again and again if someone else has the file open."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        check_cancel(cancel)
        try:
            return duckdb.connect(path, read_only=read_only, config=dict(_CONFIG))
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            if time.monotonic() > deadline or not any(sign in str(error) for sign in _IN_USE):
                raise
        time.sleep(_RETRY_SECONDS)
