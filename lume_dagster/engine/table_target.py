"""Load the mapped records of a batch into a table of a database, in place of what it held of that batch.

Three columns of the table say whose a record is: `lume_flow` (the flow's name, without its version), `lume_batch` (the
batch) and `lume_run` (the run that wrote it). One transaction deletes the records of the flow's batch and inserts the
new ones, so that whoever reads the table sees the old batch or the new one, whatever happens on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lume_dagster.engine.database import open_database
from lume_dagster.engine.document import TargetSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.stage import Cancel, check_cancel

if TYPE_CHECKING:
    import sqlalchemy as sa

_CHUNK_ROWS = 5_000
_FLOW, _BATCH, _RUN = "lume_flow", "lume_batch", "lume_run"
_PLACE = "target.connection_env"


@dataclass(frozen=True)
class BatchName:
    """Whose the records of a table are.

    Attributes:
        flow: The flow's name.
        batch: The batch.
        run: The run that writes; a later run has a greater id.
    """

    flow: str
    batch: str
    run: str


def load_table(target: TargetSpec, mapped: Path, name: BatchName, cancel: Cancel | None) -> None:
    """Put the mapped records of a batch into the target's table, which is made if it is not there.

    Args:
        target: The connection and the table.
        mapped: The mapped records, a Parquet file.
        name: Whose they are.
        cancel: Stops the work between two chunks of records; the table then stays as it was.

    Raises:
        BatchError: The database refuses, the table has not the columns of the target schema, or a later run has
            written the batch already.
        CancelledError: The caller's flag is set.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - an extra

    with open_database(target.connection_env or "", _PLACE) as database, database.connect() as connection:
        _begin(connection, name)
        with pq.ParquetFile(mapped) as file:
            table = _table(connection, target.table or "", file.schema_arrow)
            own = sa.and_(table.c[_FLOW] == name.flow, table.c[_BATCH] == name.batch)
            latest = connection.scalar(sa.select(sa.func.max(table.c[_RUN])).where(own))
            if latest is not None and latest > name.run:
                raise BatchError(
                    f"the later run {latest} has written the batch to {target.table}, and is not overwritten; if it "
                    "is not later, set the clocks of the machines right, and force a rerun"
                )
            connection.execute(sa.delete(table).where(own))
            for records in _records(file, connection.dialect.name):
                check_cancel(cancel)
                whose = {_FLOW: name.flow, _BATCH: name.batch, _RUN: name.run}
                connection.execute(sa.insert(table), [{**record, **whose} for record in records])
        check_cancel(cancel)
        connection.commit()


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
        *(sa.Column(column, sa.Text, nullable=False) for column in (_FLOW, _BATCH, _RUN)),
        schema=namespace or None,
    )
    sa.Index(f"ix_{table_name}_lume_batch", table.c[_FLOW], table.c[_BATCH])
    inspector = sa.inspect(connection)
    if not inspector.has_table(table_name, namespace or None):
        table.create(connection)
        return table
    there = {column["name"] for column in inspector.get_columns(table_name, namespace or None)}
    if lacking := [column.name for column in table.columns if column.name not in there]:
        raise BatchError(
            f"target.table: {named} has no column {', '.join(map(repr, lacking))}; "
            "add what is missing to the table, or name another one"
        )
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


def _records(file: pq.ParquetFile, dialect: str) -> Iterator[list[dict[str, Any]]]:
    for batch in file.iter_batches(_CHUNK_ROWS):
        if batch.num_rows:
            columns = [[_value(value, dialect) for value in column.to_pylist()] for column in batch.columns]
            yield [
                dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)
            ]


def _value(value: Any, dialect: str) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if dialect == "sqlite" and isinstance(value, datetime) and value.tzinfo is not None:
        # SQLite has no instants: kept as the text that they have in results.
        return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
    return value
