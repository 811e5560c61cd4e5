"""Read the result of a database query into a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lume_dagster.engine.canonical import canonical_text
from lume_dagster.engine.database import open_database
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.query import bindable
from lume_dagster.engine.stage import Cancel, StageInfo, check_cancel, compare_columns, writing_stage

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHUNK_ROWS = 8_192
_PLACE = "source.connection_env"


def stage_query(
    source_path: str, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> tuple[StageInfo, tuple[str, ...], tuple[str, ...]]:
    """Read what the flow's query finds for a batch into a stage.

    Args:
        source_path: Names the batch; bound as `:source_path`.
        source: The connection and the query.
        flow_columns: The columns the flow reads.
        stage: Where to write the stage.
        cancel: Stops the work between two chunks of rows.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The database refuses, or the result is not what the flow says.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    name = f"batch {source_path!r}"
    with open_database(source.connection_env or "", _PLACE) as database, database.connect() as connection:
        _read_only(connection)
        statement = sa.text(bindable(source.query or ""))
        result = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK_ROWS).execute(
            statement, {"source_path": source_path}
        )
        columns = tuple(result.keys())
        if len(set(columns)) != len(columns):
            raise BatchError(f"{name}: the query names a column twice; give one another name with AS")
        missing, unexpected = compare_columns(name, columns, flow_columns, source)
        size = 0
        with writing_stage(stage, len(columns)) as writer:
            for rows in result.partitions(_CHUNK_ROWS):
                check_cancel(cancel)
                texts = [
                    _texts(values, name, column)
                    for values, column in zip(zip(*rows, strict=True), columns, strict=True)
                ]
                size += sum(array.nbytes for array in texts)
                first = writer.rows + 1
                writer.write(pa.array(range(first, first + len(rows)), pa.int64()), texts)
            if not writer.rows and not source.allow_empty:
                raise BatchError(
                    f"{name}: the query finds no record; set source.allow_empty: true if that can be"
                )
            info = StageInfo(columns, "query", None, writer.rows, 0, size)
            writer.finish(info)
    return info, missing, unexpected


def _read_only(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    else:
        connection.execution_options(postgresql_readonly=True)


def _texts(values: tuple[Any, ...], name: str, column: str) -> pa.Array:
    try:
        return pa.array([canonical_text(value) for value in values], pa.string())
    except TypeError as error:
        raise BatchError(
            f"{name}: the column {column!r} holds values of the type {error}, which is not read; "
            "cast it in the query"
        ) from error
