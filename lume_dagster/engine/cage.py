"""DuckDB connections that reach nothing but the directories they are given."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from lume_dagster.engine.errors import CancelledError, EngineError
from lume_dagster.engine.interrupt import interrupting
from lume_dagster.engine.sql import literal
from lume_dagster.engine.stage import Cancel, check_cancel


class EngineSettings(BaseModel):
    """What an engine may use.

    Attributes:
        directories: Where stages are read and results are written. The engine's connection reaches these and
            nothing else. None given: each operation opens a connection for its own directories, which takes about
            50 ms.
        memory_limit: Memory of the database; what does not fit is spilled to `temp_directory`.
        threads: Threads of the database; by default one a core.
        temp_directory: Where to spill; by default `tmp` in the first of `directories`, else nowhere.
        max_temp_directory_size: How much may be spilled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    directories: tuple[Path, ...] = ()
    memory_limit: str = Field(default="1GB", pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")
    threads: int | None = Field(default=None, ge=1)
    temp_directory: Path | None = None
    max_temp_directory_size: str = Field(default="50GB", pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")


def _open(settings: EngineSettings, directories: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    allowed = ", ".join(literal(f"{directory.resolve()}/") for directory in directories)
    temporary = settings.temp_directory
    if temporary is None and settings.directories:
        temporary = settings.directories[0] / "tmp"
    options = {
        "memory_limit": literal(settings.memory_limit),
        "temp_directory": literal(str(temporary.resolve()) if temporary else ""),
        "max_temp_directory_size": literal(settings.max_temp_directory_size) if temporary else None,
        "threads": str(settings.threads) if settings.threads else None,
        "TimeZone": "'UTC'",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        # The statistics of a Parquet file leave NaN out, and by them DuckDB answers `NaN <= 1` with true.
        "disabled_optimizers": "'statistics_propagation'",
        "allowed_directories": f"[{allowed}]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    for name, value in options.items():
        if value is not None:
            connection.execute(f"SET GLOBAL {name} = {value}")
    return connection


class Cage:
    """Hands out cursors, one a piece of work, on connections that are locked in.

    Safe to use from several threads at once.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._shared: duckdb.DuckDBPyConnection | None = None
        self._closed = False
        atexit.register(self.close)  # DuckDB complains at exit of connections that are still open

    @contextmanager
    def cursor(self, *directories: Path, cancel: Cancel | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that reaches these directories; interrupted when the flag is set.

        Raises:
            EngineError: A directory is none the engine may reach, or the database cannot do its work (a full disk,
                no permission, not enough memory).
            CancelledError: The flag is set.
        """
        check_cancel(cancel)
        with self._connection(directories) as connection:
            cursor = connection.cursor()
            try:
                with interrupting(cursor.interrupt, cancel):
                    yield cursor
            except duckdb.InterruptException as error:
                check_cancel(cancel)
                raise CancelledError("the work was interrupted") from error
            except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.PermissionException) as error:
                raise EngineError(f"the database cannot go on: {_first_line(error)}") from error
            except duckdb.Error as error:
                raise EngineError(f"internal error of the database: {_first_line(error)}") from error
            finally:
                cursor.close()

    @contextmanager
    def _connection(self, directories: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self._settings.directories:
            connection = _open(self._settings, directories)
            try:
                yield connection
            finally:
                connection.close()
            return
        roots = [root.resolve() for root in self._settings.directories]
        for directory in directories:
            if not any(directory.resolve().is_relative_to(root) for root in roots):
                raise EngineError(f"{directory} lies outside the directories of the engine's settings")
        yield self._shared_connection()

    def _shared_connection(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._closed:
                raise EngineError("the engine is closed")
            if self._shared is None:
                self._shared = _open(self._settings, self._settings.directories)
            return self._shared

    def close(self) -> None:
        """Close the shared connection; the cage cannot be used any more."""
        with self._lock:
            self._closed = True
            if self._shared is not None:
                self._shared.close()
                self._shared = None
        atexit.unregister(self.close)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
