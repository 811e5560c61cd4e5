"""Load the mapped records of a batch into a table of a database, in place of what it held of that batch.

Three columns of the table say whose a record is: `lume_flow` (the flow's name, without its version), `lume_batch` (the
batch) and `lume_run` (the run that wrote it). One transaction deletes the records of the flow's batch and inserts the
new ones, so that whoever reads the table sees the old batch or the new one, whatever happens on the way.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lume_dagster.engine.batch_table import BATCH, FLOW, RUN, BatchName, refuse_earlier, refuse_lacking
from lume_dagster.engine.canonical import canonical_text
from lume_dagster.engine.database import interrupting_connection, is_duckdb, open_database
from lume_dagster.engine.document import TargetSpec
from lume_dagster.engine.duckdb_target import load_duckdb_table
from lume_dagster.engine.sql import identifier
from lume_dagster.engine.stage import Cancel, check_cancel

if TYPE_CHECKING:
    import sqlalchemy as sa

_CHUNK_ROWS = 5_000
_COPY_ROWS = 65_536
_PLACE = "target.connection_env"


def load_table(target: TargetSpec, mapped: Path, name: BatchName, cancel: Cancel | None) -> None:
    """Put the mapped records of a batch into the target's table, which is made if it is not there.

    Args:
        target: The connection and the table.
        mapped: The mapped records, a Parquet file.
        name: Whose they are.
        cancel: Stops the work; the table then stays as it was.

    Raises:
        BatchError: The database refuses, the table has not the columns of the target schema, or a later run has
            written the batch already.
        UnavailableError: The database is in use or lost; another try may succeed.
        CancelledError: The caller's flag is set.
    """
    variable = target.connection_env or ""
    if is_duckdb(variable, _PLACE):
        load_duckdb_table(target, _PLACE, mapped, name, cancel)
        return
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    with open_database(variable, _PLACE, cancel) as database, database.connect() as connection:
        with interrupting_connection(connection, cancel), pq.ParquetFile(mapped) as file:
            _begin(connection, name)
            table = _table(connection, target.table or "", file.schema_arrow)
            own = sa.and_(table.c[FLOW] == name.flow, table.c[BATCH] == name.batch)
            latest = connection.scalar(sa.select(sa.func.max(table.c[RUN])).where(own))
            refuse_earlier(name, latest, target.table or "")
            connection.execute(sa.delete(table).where(own))
            if connection.dialect.name == "sqlite":
                _insert(connection, table, file, name, cancel)
            else:
                _copy(connection, table, file, name, cancel)
        check_cancel(cancel)
        connection.commit()


def _insert(
    connection: sa.Connection, table: sa.Table, file: pq.ParquetFile, name: BatchName, cancel: Cancel | None
) -> None:
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    for batch in file.iter_batches(_CHUNK_ROWS):
        check_cancel(cancel)
        if batch.num_rows:
            columns = [[_value(value) for value in column.to_pylist()] for column in batch.columns]
            records = [
                dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)
            ]
            connection.execute(sa.insert(table), [record | name.columns for record in records])


def _copy(
    connection: sa.Connection, table: sa.Table, file: pq.ParquetFile, name: BatchName, cancel: Cancel | None
) -> None:
    """Insert by PostgreSQL's COPY, as CSV in which only nulls are not quoted."""
    columns = ", ".join(identifier(column) for column in (*file.schema_arrow.names, *name.columns))
    named = ".".join(identifier(part) for part in (table.schema, table.name) if part)
    driver: Any = connection.connection.driver_connection
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    with driver.cursor() as cursor, cursor.copy(f"COPY {named} ({columns}) FROM STDIN (FORMAT csv)") as copy:
        for batch in file.iter_batches(_COPY_ROWS):
            check_cancel(cancel)
            records = pa.Table.from_batches([batch])
            for index, column in enumerate(records.schema):
                if pa.types.is_nested(column.type):
                    texts = [_value(value) for value in records.column(index).to_pylist()]
                    records = records.set_column(index, column.name, pa.array(texts, pa.string()))
            for column_name, value in name.columns.items():
                records = records.append_column(column_name, pa.repeat(value, records.num_rows))
            chunk = pa.BufferOutputStream()
            pyarrow.csv.write_csv(records, chunk, options)
            copy.write(memoryview(chunk.getvalue()))


def _begin(connection: sa.Connection, name: BatchName) -> None:
    """Start a transaction that no other run of the batch can pass."""
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    if connection.dialect.name == "sqlite":
        # Else the driver starts a transaction only at the first change, and none for CREATE TABLE.
        driver: Any = connection.connection.driver_connection
        driver.isolation_level = None
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        key = sa.func.hashtextextended(f"{name.flow}\n{name.batch}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _table(connection: sa.Connection, named: str, schema: pa.Schema) -> sa.Table:
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    namespace, _, table_name = named.rpartition(".")
    is_sqlite = connection.dialect.name == "sqlite"
    table = sa.Table(
        table_name,
        sa.MetaData(),
        *(sa.Column(column.name, _sql_type(column.type, is_sqlite)) for column in schema),
        *(sa.Column(column, sa.Text, nullable=False) for column in (FLOW, BATCH, RUN)),
        schema=namespace or None,
    )
    sa.Index(f"ix_{table_name}_lume_batch", table.c[FLOW], table.c[BATCH])
    inspector = sa.inspect(connection)
    if not inspector.has_table(table_name, namespace or None):
        table.create(connection)
        return table
    there = {column["name"] for column in inspector.get_columns(table_name, namespace or None)}
    refuse_lacking((column.name for column in table.columns), there, named)
    return table


def _sql_type(kind: pa.DataType, is_sqlite: bool) -> Any:  # noqa: PLR0911 - one a type
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    if pa.types.is_integer(kind):
        return sa.BigInteger()
    if pa.types.is_floating(kind):
        return sa.Double()
    if pa.types.is_boolean(kind):
        return sa.Boolean()
    if pa.types.is_date(kind):
        return sa.Date()
    if pa.types.is_time(kind):
        return sa.Time()
    if pa.types.is_timestamp(kind) and not (kind.tz and is_sqlite):
        return sa.DateTime(timezone=kind.tz is not None)
    return sa.Text()


def _value(value: Any) -> Any:
    """A value as SQLite takes it; objects and lists as the JSON text that every table keeps."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=canonical_text)
    if isinstance(value, datetime) and value.tzinfo is not None:
        # SQLite has no instants: kept as the text that they have in results.
        return canonical_text(value)
    return value
