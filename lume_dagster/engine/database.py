"""Databases that a flow reads from or writes to: their URLs stand in environment variables, never in a flow file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lume_dagster.engine.errors import BatchError

if TYPE_CHECKING:
    from sqlalchemy import Engine as Database

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SUPPORTED = ("sqlite", "postgresql+psycopg")
_CONNECT_SECONDS = 10


@contextmanager
def open_database(variable: str, place: str) -> Iterator[Database]:
    """Open the database whose SQLAlchemy URL an environment variable holds.

    Args:
        variable: The variable's name.
        place: The option of the flow file that names it, for messages.

    Raises:
        BatchError: The variable is not set or holds no such URL, or the database refuses. No message holds the
            password.
    """
    try:
        import sqlalchemy as sa  # noqa: PLC0415 - an extra
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
        from sqlalchemy.pool import NullPool  # noqa: PLC0415
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
        url = sa.engine.make_url(text)
    except SQLAlchemyError:
        raise BatchError(f"{place}: the environment variable {variable} holds no database URL") from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername not in _SUPPORTED:
        raise BatchError(f"{place}: {variable} names a {url.drivername} database; use postgresql or sqlite")
    waits = "timeout" if url.drivername == "sqlite" else "connect_timeout"
    try:
        database = sa.create_engine(url, poolclass=NullPool, connect_args={waits: _CONNECT_SECONDS})
    except ImportError as error:
        raise BatchError(
            f"{place}: needs the package {error.name}; install 'lume-dagster[postgres]'"
        ) from error
    try:
        yield database
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in {url.password, text} - {None, ""}:
            said = said.replace(str(secret), "***")
        raise BatchError(f"{place}: the database of {variable} says: {said}") from None
    finally:
        database.dispose()
