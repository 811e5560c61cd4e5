"""Which Parquet files can be a stage as they are, and what their columns hold."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from lume_dagster.engine.values import ValueType

_KNOWN: tuple[tuple[Callable[[pa.DataType], bool], ValueType], ...] = (
    (pa.types.is_string, ValueType.TEXT),
    (pa.types.is_large_string, ValueType.TEXT),
    (pa.types.is_integer, ValueType.INTEGER),
    (pa.types.is_float64, ValueType.NUMBER),
    (pa.types.is_boolean, ValueType.BOOLEAN),
    (pa.types.is_date32, ValueType.DATE),
    (lambda kind: kind == pa.timestamp("us"), ValueType.TIMESTAMP),
    (lambda kind: pa.types.is_timestamp(kind) and kind.unit == "us", ValueType.INSTANT),
)
"""The types whose values DuckDB and Arrow read alike and show alike; the first that fits."""
_COMPRESSIONS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"})
_PLACE = "file_row_number"
"""DuckDB's column of the rows' places; a column of this name hides it."""


def column_types(file: pq.ParquetFile) -> tuple[ValueType, ...] | None:
    """The types of a Parquet file's columns; None if a column, or how the file is written, is out of the ordinary.

    Such a file has to be written once more, as texts.
    """
    metadata = file.metadata
    groups = {0, metadata.num_row_groups - 1} if metadata.num_row_groups else ()
    codecs = {
        metadata.row_group(group).column(column).compression
        for group in groups
        for column in range(metadata.num_columns)
    }
    names = {name.casefold() for name in file.schema_arrow.names}
    if not codecs <= _COMPRESSIONS or _PLACE in names:
        return None
    types = tuple(_type_of(field.type) for field in file.schema_arrow)
    known = tuple(kind for kind in types if kind is not None)
    return known if len(known) == len(types) else None


def _type_of(kind: pa.DataType) -> ValueType | None:
    if isinstance(kind, pa.DictionaryType) and not pa.types.is_integer(kind.value_type):
        kind = kind.value_type
    return next((value_type for applies, value_type in _KNOWN if applies(kind)), None)
