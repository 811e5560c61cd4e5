"""Read pages of a result file as JSON-ready records."""

# ruff: noqa: S608 - all texts in these statements are literals and names made by sql.py
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lume_dagster.engine.errors import EngineError
from lume_dagster.engine.sql import identifier, literal
from lume_dagster.engine.stage import os_reason

_RECORD_COLUMN = "source_record"


def read_page(cursor: duckdb.DuckDBPyConnection, path: Path, offset: int, limit: int) -> list[dict[str, Any]]:
    """Some records of a result file, in its order.

    Args:
        cursor: Reaches the file.
        path: `mapped.parquet` or `rejects.parquet`.
        offset: Records to skip.
        limit: Records to read at most.

    Returns:
        Records of JSON values. Dates and times are ISO 8601 texts, those with a zone in UTC with a `Z`; a float that
        is not finite is null; `source_record` is an object.

    Raises:
        EngineError: The file cannot be read.
    """
    try:
        schema = pq.read_schema(path)
    except OSError as error:
        raise EngineError(f"{path}: {os_reason(error)}") from error
    except pa.ArrowInvalid as error:
        raise EngineError(f"{path}: this is no Parquet file: {error}") from error
    columns = ", ".join(_json_ready(column) for column in schema)
    cursor.execute(
        f"SELECT {columns} FROM read_parquet({literal(str(path.resolve()))}, file_row_number = true)"
        f" WHERE file_row_number BETWEEN {int(offset)} AND {int(offset) + int(limit) - 1} ORDER BY file_row_number"
    )
    names = schema.names
    return [
        {name: _value(name, value) for name, value in zip(names, row, strict=True)}
        for row in cursor.fetchall()
    ]


def _json_ready(column: pa.Field) -> str:
    """The SQL of a column as something that needs no more than `_value` to be JSON."""
    name = identifier(column.name)
    if pa.types.is_timestamp(column.type):
        zone = " || 'Z'" if column.type.tz else ""
        moment = f"make_timestamp(epoch_us({name}))" if column.type.tz else name
        return f"replace(CAST({moment} AS VARCHAR), ' ', 'T'){zone} AS {name}"
    if pa.types.is_date(column.type) or pa.types.is_time(column.type) or pa.types.is_decimal(column.type):
        return f"CAST({name} AS VARCHAR) AS {name}"
    return name


def _value(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if name == _RECORD_COLUMN and isinstance(value, str):
        return json.loads(value)
    return value
