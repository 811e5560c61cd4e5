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
    columns = ", ".join(
        f"{_json_ready(identifier(column.name), column.type)} AS {identifier(column.name)}"
        for column in schema
    )
    cursor.execute(
        f"SELECT {columns} FROM read_parquet({literal(str(path.resolve()))}, file_row_number = true)"
        f" WHERE file_row_number BETWEEN {int(offset)} AND {int(offset) + int(limit) - 1} ORDER BY file_row_number"
    )
    names = schema.names
    return [
        {name: _value(name, value) for name, value in zip(names, row, strict=True)}
        for row in cursor.fetchall()
    ]


def read_row_numbers(path: Path) -> frozenset[int]:
    """The row numbers of a file of rejects.

    Raises:
        EngineError: The file cannot be read.
    """
    try:
        return frozenset(pq.read_table(path, columns=["row_number"])["row_number"].to_pylist())
    except OSError as error:
        raise EngineError(f"{path}: {os_reason(error)}") from error


def _json_ready(value: str, kind: pa.DataType, level: int = 0) -> str:
    """The SQL of a value as something that needs no more than `_value` to be JSON."""
    if pa.types.is_timestamp(kind):
        zone = " || 'Z'" if kind.tz else ""
        moment = f"make_timestamp(epoch_us({value}))" if kind.tz else value
        return f"replace(CAST({moment} AS VARCHAR), ' ', 'T'){zone}"
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_decimal(kind):
        return f"CAST({value} AS VARCHAR)"
    if pa.types.is_struct(kind):
        members = ", ".join(
            f"{identifier(member.name)} := "
            f"{_json_ready(f'struct_extract({value}, {literal(member.name)})', member.type, level)}"
            for member in kind
        )
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({members}) END"
    if pa.types.is_list(kind):
        item = f"item{level}"
        return f"list_transform({value}, lambda {item}: {_json_ready(item, kind.value_type, level + 1)})"
    return value


def _value(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if name == _RECORD_COLUMN and isinstance(value, str):
        return json.loads(value)
    return value
