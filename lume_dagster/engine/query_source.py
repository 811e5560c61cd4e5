"""Read the result of a database query into a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lume_dagster.engine.canonical import canonical_text
from lume_dagster.engine.database import interrupting_connection, is_duckdb, open_database
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.duckdb_database import open_duckdb
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.parquet_source import canonical_texts
from lume_dagster.engine.query import bindable, dollar_bindable
from lume_dagster.engine.stage import (
    Cancel,
    StageInfo,
    check_cancel,
    compare_columns,
    row_numbers,
    writing_stage,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHUNK_ROWS = 8_192
_PLACE = "source.connection_env"
_Result = tuple[tuple[str, ...], Iterator[list[pa.Array]]]
"""The columns of a query's result, and its chunks as texts, column by column."""


def stage_query(
    source_path: str, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> tuple[StageInfo, tuple[str, ...], tuple[str, ...]]:
    """Read what the flow's query finds for a batch into a stage.

    Args:
        source_path: Names the batch; bound as `:source_path`.
        source: The connection and the query.
        flow_columns: The columns the flow reads.
        stage: Where to write the stage.
        cancel: Stops the query, and the work between two chunks of rows.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The database refuses, or the result is not what the flow says.
        UnavailableError: The database is in use or lost; another try may succeed.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    name, variable = f"batch {source_path!r}", source.connection_env or ""
    read = _from_duckdb if is_duckdb(variable, _PLACE) else _from_sqlalchemy
    with read(source, source_path, name, cancel) as (columns, chunks):
        if len(set(columns)) != len(columns):
            raise BatchError(f"{name}: the query names a column twice; give one another name with AS")
        missing, unexpected = compare_columns(name, columns, flow_columns, source)
        size = 0
        with writing_stage(stage, len(columns)) as writer:
            for texts in chunks:
                check_cancel(cancel)
                size += sum(array.nbytes for array in texts)
                writer.write(row_numbers(writer.rows + 1, len(texts[0])), texts)
            if not writer.rows and not source.allow_empty:
                raise BatchError(
                    f"{name}: the query finds no record; set source.allow_empty: true if that can be"
                )
            info = StageInfo(columns, "query", None, writer.rows, 0, size)
            writer.finish(info)
    return info, missing, unexpected


@contextmanager
def _from_sqlalchemy(
    source: SourceSpec, source_path: str, name: str, cancel: Cancel | None
) -> Iterator[_Result]:
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    variable = source.connection_env or ""
    with open_database(variable, _PLACE, cancel) as database, database.connect() as connection:
        _read_only(connection)
        with interrupting_connection(connection, cancel):
            result = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK_ROWS).execute(
                sa.text(bindable(source.query or "")), {"source_path": source_path}
            )
            columns = tuple(result.keys())
            yield (
                columns,
                (
                    [
                        _texts(values, name, column)
                        for values, column in zip(zip(*rows, strict=True), columns, strict=True)
                    ]
                    for rows in result.partitions(_CHUNK_ROWS)
                ),
            )


@contextmanager
def _from_duckdb(source: SourceSpec, source_path: str, name: str, cancel: Cancel | None) -> Iterator[_Result]:
    with open_duckdb(source.connection_env or "", _PLACE, cancel, read_only=True) as connection:
        found = connection.sql(dollar_bindable(source.query or ""), params={"source_path": source_path})
        columns = tuple(found.columns)
        reader: pa.RecordBatchReader = found.to_arrow_reader(_CHUNK_ROWS)
        with reader:
            yield (
                columns,
                (
                    [
                        canonical_texts(array, name, column)
                        for array, column in zip(batch.columns, columns, strict=True)
                    ]
                    for batch in reader
                    if batch.num_rows
                ),
            )


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
