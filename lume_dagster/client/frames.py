"""What a run wrote, as one table: its file where that can be reached, else its pages put together.

The one module of the client that needs pyarrow; it is imported where a table is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lume_dagster.client.models import LumeRun, RejectRecord, ResultKind, json_type_of

REJECTS_SCHEMA = pa.schema(
    {
        "row_number": pa.int64(),
        "source_record": pa.string(),
        "errors": pa.list_(pa.struct(dict.fromkeys(("field", "type", "message", "value"), pa.string()))),
    }
)
_SOURCE_COLUMNS = b"lume/source_columns"
_RUN_ID = b"lume/run_id"
_ARROW_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_ARROW_FORMATS = {
    "date": pa.date32(),
    "date-time": pa.timestamp("us", tz="UTC"),
    "date-time-local": pa.timestamp("us"),
    "time-local": pa.time64("us"),
}


@dataclass(frozen=True)
class OutputFile:
    """A Parquet file that a run wrote, reachable from here."""

    filesystem: pafs.FileSystem
    path: str

    def rows(self) -> int:
        """The number of rows that the file holds, by its footer."""
        return int(self._metadata().num_rows)

    def schema(self) -> pa.Schema:
        """The columns of the file and their types."""
        return self._metadata().schema.to_arrow_schema()

    def read(self) -> pa.Table:
        """The whole file."""
        return pq.read_table(self.path, filesystem=self.filesystem)

    def _metadata(self) -> pq.FileMetaData:
        return pq.read_metadata(self.path, filesystem=self.filesystem)


def output_file(run: LumeRun, kind: ResultKind) -> OutputFile | None:
    """The file of a run's output, or None where this process cannot reach it or it is no Parquet file."""
    locations = run.target_locations
    uri = getattr(locations, kind) if locations else None
    if uri is None:
        return None
    try:
        if "://" in uri:
            filesystem, path = pafs.FileSystem.from_uri(uri)
        else:
            filesystem, path = pafs.LocalFileSystem(), uri
        file = OutputFile(filesystem, path)
        file.rows()
    except (OSError, pa.ArrowException, ImportError):
        return None
    return file


def read_file(run: LumeRun, kind: ResultKind) -> pa.Table | None:
    """The table of a run's output file, or None where there is none to be reached."""
    file = output_file(run, kind)
    return file.read() if file else None


def arrow_type_of(schema: Mapping[str, Any]) -> pa.DataType | None:
    """The type of a property's column; None where this version does not know."""
    json_type, stated = json_type_of(schema), schema.get("format")
    if json_type == "object":
        members = [(name, arrow_type_of(member)) for name, member in schema.get("properties", {}).items()]
        return None if any(kind is None for _, kind in members) else pa.struct(members)
    if json_type == "array":
        items = arrow_type_of(schema.get("items", {}))
        return None if items is None else pa.list_(items)
    if json_type == "string" and stated in _ARROW_FORMATS:
        return _ARROW_FORMATS[stated]
    return _ARROW_TYPES.get(json_type)


def mapped_table(records: Sequence[Mapping[str, Any]], target_schema: Mapping[str, Any]) -> pa.Table:
    """The table of mapped records. Answers carry dates and times as text; the target schema tells what they are."""
    properties: Mapping[str, Any] = target_schema.get("properties", {})
    return pa.table(
        {
            name: _array([record.get(name) for record in records], arrow_type_of(schema))
            for name, schema in properties.items()
        }
    )


def _array(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    """JSON values as an array of a type. Arrow itself casts no texts within objects and lists."""
    if kind is None:
        return pa.array(values)
    if pa.types.is_struct(kind):
        members = [
            _array([None if value is None else value.get(member.name) for value in values], member.type)
            for member in kind
        ]
        absent = pa.array([value is None for value in values], pa.bool_())
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=absent)
    if pa.types.is_list(kind):
        ends = list(accumulate((len(value or ()) for value in values), initial=0))
        starts = [None if value is None else start for value, start in zip(values, ends, strict=False)]
        items = [item for value in values for item in value or ()]
        return pa.ListArray.from_arrays(
            pa.array([*starts, ends[-1]], pa.int32()), _array(items, kind.value_type)
        )
    return pa.array(values).cast(kind)


def rejects_table(rejects: Sequence[RejectRecord]) -> pa.Table:
    """The table of rejects."""
    rows = [reject.model_dump() | {"source_record": json.dumps(reject.source_record)} for reject in rejects]
    return pa.Table.from_pylist(rows, schema=REJECTS_SCHEMA)


def with_origin(rejects: pa.Table, run: LumeRun) -> pa.Table:
    """Rejects that tell in their schema's metadata of which run and source they are; the records do not show it."""
    columns = run.source.columns if run.source else ()
    told = {_SOURCE_COLUMNS: json.dumps(columns).encode(), _RUN_ID: run.id.encode()}
    return rejects.replace_schema_metadata((rejects.schema.metadata or {}) | told)


def source_columns(rejects: pa.Table) -> tuple[str, ...]:
    """The columns of the source that rejects came from; none where `with_origin` has not told."""
    return tuple(json.loads((rejects.schema.metadata or {}).get(_SOURCE_COLUMNS, b"[]")))


def origin_run_id(rejects: pa.Table) -> str | None:
    """The run that rejects are of; None where `with_origin` has not told."""
    told = (rejects.schema.metadata or {}).get(_RUN_ID)
    return None if told is None else told.decode()


def converter(frame: str) -> Callable[[pa.Table], Any]:
    """What makes a frame of a table: `arrow`, `pandas` or `polars`.

    Raises:
        ValueError: It is none of these.
        ImportError: The library is not installed.
    """
    if frame == "arrow":
        return lambda table: table
    if frame not in ("pandas", "polars"):
        raise ValueError(f"a frame is made by 'pandas', 'polars' or 'arrow', not {frame!r}")
    try:
        library = import_module(frame)
    except ImportError as error:
        raise ImportError(f"a {frame} frame needs {frame}: install 'lume-dagster[{frame}]'") from error
    if frame == "pandas":
        return lambda table: table.to_pandas()
    from_arrow: Callable[[pa.Table], Any] = library.from_arrow
    return from_arrow
