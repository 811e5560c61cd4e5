"""Load the mapped records of a batch into a table of a DuckDB file; see `table_target`."""

# ruff: noqa: S608 - all texts in these statements are literals and names made by sql.py
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lume_dagster.engine.batch_table import BATCH, FLOW, RUN, BatchName, refuse_earlier, refuse_lacking
from lume_dagster.engine.document import TargetSpec
from lume_dagster.engine.duckdb_database import open_duckdb
from lume_dagster.engine.sql import identifier
from lume_dagster.engine.stage import Cancel, check_cancel

_CHUNK_ROWS = 65_536
_WAIT_SECONDS = 0.1
_RECORDS = "lume_records"
_writers = threading.Lock()
"""Of this process one run at a time writes; those of others wait for the file."""


def load_duckdb_table(
    target: TargetSpec, place: str, mapped: Path, name: BatchName, cancel: Cancel | None
) -> None:
    """Put the mapped records of a batch into a table, with the types they have in Parquet.

    Args:
        target: The connection and the table.
        place: The option that names the connection, for messages.
        mapped: The mapped records, a Parquet file.
        name: Whose they are.
        cancel: Stops the work; the table then stays as it was.

    Raises:
        BatchError: The database refuses, or the table is not what is needed.
        UnavailableError: Someone else has the file open.
        CancelledError: The caller's flag is set.
    """
    table = ".".join(identifier(part) for part in (target.table or "").split("."))
    with (
        _writing(cancel),
        open_duckdb(target.connection_env or "", place, cancel, read_only=False) as connection,
        pq.ParquetFile(mapped) as file,
    ):
        connection.begin()
        _create(connection, table, file.schema_arrow)
        there = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
        refuse_lacking([*file.schema_arrow.names, *name.columns], there, target.table or "")
        whose = f"{FLOW} = $flow AND {BATCH} = $batch"
        batch = {"flow": name.flow, "batch": name.batch}
        (latest,) = connection.execute(f"SELECT max({RUN}) FROM {table} WHERE {whose}", batch).fetchall()[0]
        refuse_earlier(name, latest, target.table or "")
        connection.execute(f"DELETE FROM {table} WHERE {whose}", batch)
        for records in file.iter_batches(_CHUNK_ROWS):
            check_cancel(cancel)
            connection.register(_RECORDS, pa.Table.from_batches([records]))
            connection.execute(
                f"INSERT INTO {table} BY NAME SELECT *, $flow AS {FLOW}, $batch AS {BATCH}, $run AS {RUN}"
                f" FROM {_RECORDS}",
                {**batch, "run": name.run},
            )
            connection.unregister(_RECORDS)
        check_cancel(cancel)
        connection.commit()


def _create(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> None:
    connection.register(_RECORDS, schema.empty_table())
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table} AS SELECT *, ''::VARCHAR AS {FLOW}, ''::VARCHAR AS {BATCH},"
        f" ''::VARCHAR AS {RUN} FROM {_RECORDS} LIMIT 0"
    )
    connection.unregister(_RECORDS)


@contextmanager
def _writing(cancel: Cancel | None) -> Iterator[None]:
    while not _writers.acquire(timeout=_WAIT_SECONDS):
        check_cancel(cancel)
    try:
        yield
    finally:
        _writers.release()
