"""Reads what a run wrote: the files where they can be reached, else page by page through Lume."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lume_dagster.client import LumeClient, LumeRun
from lume_dagster.client.models import ResultKind
from lume_dagster.target_schema import target_fields

REJECTS_SCHEMA = pa.schema(
    {
        "row_number": pa.int64(),
        "source_record": pa.string(),
        "errors": pa.list_(pa.struct(dict.fromkeys(("field", "type", "message", "value"), pa.string()))),
    }
)


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


def read_output(client: LumeClient, run: LumeRun, kind: ResultKind) -> pa.Table:
    """A run's output as an Arrow table.

    Args:
        client: The Lume of the run, asked for the pages where the file cannot be reached.
        run: The run.
        kind: Mapped records, or rejects.

    Raises:
        LumeError: The file cannot be reached, and Lume does not give the pages either.
    """
    file = output_file(run, kind)
    if file is not None:
        return file.read()
    return _mapped_table(client, run) if kind == "mapped" else _rejects_table(client, run)


def _mapped_table(client: LumeClient, run: LumeRun) -> pa.Table:
    # Answers carry dates and times as text; the target schema tells what they are.
    fields = target_fields(client.flow_version(run.flow_version).target_schema)
    records = list(client.iter_results(run, "mapped"))
    return pa.table(
        {
            field.name: _array([record.get(field.name) for record in records], field.arrow_type)
            for field in fields
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


def _rejects_table(client: LumeClient, run: LumeRun) -> pa.Table:
    rejects = [
        reject.model_dump() | {"source_record": json.dumps(reject.source_record)}
        for reject in client.iter_results(run, "rejects")
    ]
    return pa.Table.from_pylist(rejects, schema=REJECTS_SCHEMA)
