"""Databases that a flow reads from or writes to: their URLs stand in environment variables, never in a flow file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from lume_dagster.engine.errors import BatchError, UnavailableError
from lume_dagster.engine.interrupt import interrupting
from lume_dagster.engine.stage import Cancel, check_cancel

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy import Engine as Database

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SUPPORTED = ("sqlite", "postgresql+psycopg", "duckdb")
_TRANSIENT_STATES = ("08", "40", "53", "55P03", "57P")
"""How the SQLSTATEs of PostgreSQL start by which another try may succeed: connections, conflicts, locks, resources."""

CONNECT_SECONDS = 10
"""How long to wait for a connection, or for a file that is in use."""


def read_url(variable: str, place: str) -> URL:
    """The URL of a database that an environment variable holds, in SQLAlchemy's form.

    Args:
        variable: The variable's name.
        place: The option of the flow file that names it, for messages.

    Raises:
        BatchError: The variable is not set or holds no such URL. No message holds the URL.
    """
    try:
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - an extra
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415
    except ImportError as error:
        raise BatchError(
            f"{place}: needs the package {error.name}; install 'lume-dagster[embedded]'"
        ) from error
    text = os.environ.get(variable)
    if not text:
        raise BatchError(
            f"{place}: the environment variable {variable} is not set; set it to the database's URL"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise BatchError(f"{place}: the environment variable {variable} holds no database URL") from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername not in _SUPPORTED:
        raise BatchError(
            f"{place}: {variable} names a {url.drivername} database; use postgresql, sqlite or duckdb"
        )
    return url


def is_duckdb(variable: str, place: str) -> bool:
    """Whether a variable names a DuckDB file, which `open_duckdb` opens and not `open_database`.

    Raises:
        BatchError: The variable is not set or holds no URL.
    """
    return read_url(variable, place).drivername == "duckdb"


@contextmanager
def open_database(variable: str, place: str, cancel: Cancel | None) -> Iterator[Database]:
    """Open the SQLite or PostgreSQL database whose SQLAlchemy URL an environment variable holds.

    Args:
        variable: The variable's name.
        place: The option of the flow file that names it, for messages.
        cancel: The flag by which the caller interrupts what the database does.

    Raises:
        BatchError: The variable is not set or holds no such URL, or the database refuses. No message holds the
            password.
        UnavailableError: The database is locked by others or lost; another try may succeed.
        CancelledError: The flag is set.
    """
    url = read_url(variable, place)
    import sqlalchemy as sa  # noqa: PLC0415 - an extra
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    waits = "timeout" if url.drivername == "sqlite" else "connect_timeout"
    try:
        database = sa.create_engine(url, poolclass=NullPool, connect_args={waits: CONNECT_SECONDS})
    except ImportError as error:
        raise BatchError(
            f"{place}: needs the package {error.name}; install 'lume-dagster[postgres]'"
        ) from error
    try:
        yield database
    except (sa.exc.SQLAlchemyError, database.dialect.loaded_dbapi.Error) as error:
        check_cancel(cancel)
        found = getattr(error, "orig", None) or error
        said = " ".join(str(found).split())
        for secret in {url.password, os.environ.get(variable)} - {None, ""}:
            said = said.replace(str(secret), "***")
        kind = UnavailableError if _is_transient(found) else BatchError
        raise kind(f"{place}: the database of {variable} says: {said}") from None
    finally:
        database.dispose()


def _is_transient(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_TRANSIENT_STATES)
    return "is locked" in str(error)


def interrupting_connection(connection: Connection, cancel: Cancel | None) -> AbstractContextManager[None]:
    """Interrupt what a connection does as soon as the flag is set, before the first row of a query as well."""
    driver: Any = connection.connection.driver_connection
    return interrupting(driver.interrupt if connection.dialect.name == "sqlite" else driver.cancel, cancel)
