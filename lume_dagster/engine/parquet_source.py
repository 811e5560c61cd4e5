"""Read a Parquet file into a stage: as it is where the database reads it as we do, else each value as its text.

Either way a typed value stands for its canonical text, and meets the cast rules as such. The canonical text: integers
as digits; whole floats below 2^63 as digits too, others in the shortest form that gives the same float (as Python
writes it: `0.0001`, `1e-05`, `nan`); booleans `true` and `false`; dates `2013-02-03`; times `10:00:00`; timestamps
`2013-02-03T10:00:00`, with a time zone as UTC and a `Z`; decimals of a second only where they are not zero; decimals
with their scale; nested values as JSON. What lies in a nested column is read by its path, as in a JSON record.

A column of durations, or of bytes that are no text, fails the batch if the flow reads it; else it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine.batch_file import BatchFile
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.json_path import ABSENT, EVERY, parse_path, resolve, root
from lume_dagster.engine.json_path import Path as JsonPath
from lume_dagster.engine.stage import (
    Cancel,
    StageInfo,
    check_cancel,
    compare_columns,
    original_info,
    os_reason,
    row_numbers,
    whole_stage,
    writing_stage,
)

_BATCH_ROWS = 65_536
_PIECE = 4 * 1024 * 1024
_ARROWS_OWN = r"e|^-?0\.0000"
"""Texts of floats that Arrow writes otherwise than Python: `1e-7` for `1e-07`, `0.00001` for `1e-05`."""


def stage_parquet(
    file: BatchFile, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> tuple[StageInfo, tuple[str, ...], tuple[str, ...]]:
    """Read a Parquet file into a stage.

    Args:
        file: The file.
        source: How to read it.
        flow_columns: The columns the flow reads.
        stage: Where to write the stage.
        cancel: Stops the work between two batches.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The file is no Parquet file, or not what the flow says.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    path = file.name
    size = file.size
    if not size:
        raise BatchError(f"{path}: the file is empty")
    try:
        parquet = pq.ParquetFile(file.local or file.open_binary())
        schema = parquet.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise BatchError(
            f"{path}: this is no Parquet file ({error}); set source.format if it is another"
        ) from error
    with parquet:
        columns = tuple(schema.names)
        if len(set(columns)) != len(columns):
            raise BatchError(f"{path}: two columns have the same name; rename one")
        places = _places(schema, flow_columns)
        missing, unexpected = compare_columns(
            path, (*columns, *(place.name for place in places)), flow_columns, source
        )
        if not parquet.metadata.num_rows and not source.allow_empty:
            raise BatchError(f"{path}: there is no record in it; set source.allow_empty: true if that can be")
        if original_info(parquet, size) is not None:
            return _keep(file, stage, cancel), missing, unexpected
        left_out = _no_texts(parquet, path, [name for name in columns if name not in flow_columns])
        read = [name for name in columns if name not in left_out]
        if not read:
            raise BatchError(f"{path}: no column holds anything that has a text; write the values as such")
        names = (*read, *(place.name for place in places))
        with writing_stage(stage, len(names)) as writer:
            for batch in _batches(parquet, path, read if left_out else None):
                check_cancel(cancel)
                texts = [canonical_texts(batch.column(name), path, name) for name in read]
                texts += [
                    canonical_texts(place.values(batch.column(root(place.path))), path, place.name)
                    for place in places
                ]
                writer.write(row_numbers(writer.rows + 1, batch.num_rows), texts)
            info = StageInfo(names, "parquet", None, writer.rows, 0, size)
            writer.finish(info)
    taken = {root(place.path) for place in places}
    return info, missing, tuple(name for name in unexpected if name not in taken)


@dataclass(frozen=True)
class _Place:
    """A path that leads to something in a nested column.

    Attributes:
        name: The path as the flow writes it.
        path: Its steps.
        kind: What lies there.
    """

    name: str
    path: JsonPath
    kind: pa.DataType

    def values(self, column: pa.Array) -> pa.Array:
        """What lies there in each value of the column."""
        steps = list(self.path[1:])
        while steps and pa.types.is_struct(column.type):
            column = pc.struct_field(column, str(steps.pop(0))[1:])
        if not steps:
            return column
        found = (resolve(value, tuple(steps)) for value in column.to_pylist())
        return pa.array((None if value is ABSENT else value for value in found), self.kind)


def _places(schema: pa.Schema, flow_columns: Sequence[str]) -> list[_Place]:
    """The paths that a flow reads and that lead somewhere; a column that is named like a path goes before it."""
    found = []
    for name in flow_columns:
        path = parse_path(name)
        if path is None or name in schema.names or root(path) not in schema.names:
            continue
        kind = _type_at(schema.field(root(path)).type, path[1:])
        if kind is not None:
            found.append(_Place(name, path, kind))
    return found


def _type_at(kind: pa.DataType, path: JsonPath) -> pa.DataType | None:
    """What lies at a path in a value of a type; None if nothing does."""
    for at, step in enumerate(path):
        if isinstance(step, int) or step == EVERY:
            if not (
                pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
            ):
                return None
            kind = kind.value_type
            if step == EVERY:
                inner = _type_at(kind, path[at + 1 :])
                return None if inner is None else pa.list_(inner)
        else:
            place = kind.get_field_index(step[1:]) if pa.types.is_struct(kind) else -1
            if place < 0:
                return None
            kind = kind.field(place).type
    return kind


def _no_texts(parquet: pq.ParquetFile, path: str, names: Sequence[str]) -> frozenset[str]:
    """Those of some columns that hold what has no text: durations, or bytes that are no UTF-8."""
    found = set()
    for name in names:
        kind = parquet.schema_arrow.field(name).type
        if pa.types.is_duration(kind):
            found.add(name)
        elif (
            pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
        ):
            try:
                for batch in _batches(parquet, path, [name]):
                    batch.column(name).cast(pa.string())
            except pa.ArrowInvalid:
                found.add(name)
    return frozenset(found)


def _keep(file: BatchFile, stage: Path, cancel: Cancel | None) -> StageInfo:
    """Copy a file to the stage as it is."""
    with whole_stage(stage) as partial:
        with partial.open("wb") as copy:
            for piece in _pieces(file):
                check_cancel(cancel)
                copy.write(piece)
        try:
            with pq.ParquetFile(partial) as parquet:
                info = original_info(parquet, partial.stat().st_size)
        except pa.ArrowException:
            info = None
        if info is None:
            raise BatchError(f"{file.name}: the file was changed while it was read; run the batch again")
    return info


def _pieces(file: BatchFile) -> Iterator[bytes]:
    try:
        with file.open_binary() as source:
            while piece := source.read(_PIECE):
                yield piece
    except OSError as error:
        raise BatchError(f"{file.name}: reading failed: {os_reason(error)}") from error


def _batches(file: pq.ParquetFile, path: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns and list(columns)):
            yield batch
            rows += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise BatchError(f"{path}: cannot be read after record {rows}: {error}") from error


def canonical_texts(array: pa.Array, path: str, name: str) -> pa.Array:
    """The canonical texts of a column's values.

    Args:
        array: The values.
        path: The batch, for messages.
        name: The column, for messages.

    Raises:
        BatchError: The values are of a type that is not read, or bytes that are no text.
    """
    kind = array.type
    if isinstance(array, pa.DictionaryArray):
        return canonical_texts(array.dictionary_decode(), path, name)
    if isinstance(array, pa.ExtensionArray):
        return canonical_texts(array.storage, path, name)
    for applies, texts in _CANONICAL:
        if applies(kind):
            return texts(array)
    if pa.types.is_duration(kind):
        raise BatchError(
            f"{path}: the column {name!r} is of the type {kind}, which is not read; cast it to a number"
        )
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise BatchError(
            f"{path}: the column {name!r} holds bytes that are no UTF-8 text ({error})"
        ) from error


def _float_texts(array: pa.Array) -> pa.Array:
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    whole = pc.and_(pc.equal(array, pc.trunc(array)), pc.less(pc.abs(array), 2.0**63))
    digits = pc.if_else(whole, array, None).cast(pa.int64()).cast(pa.string())
    texts = pc.coalesce(digits, array.cast(pa.string()))
    other = pc.fill_null(pc.match_substring_regex(texts, _ARROWS_OWN), False)
    if not pc.any(other).as_py():
        return texts
    return pc.replace_with_mask(
        texts, other, pa.array([repr(float(text)) for text in pc.filter(texts, other).to_pylist()])
    )


def _trimmed(texts: pa.Array) -> pa.Array:
    """Times without decimals of a second that are all zeros."""
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _timestamp_texts(array: pa.Array) -> pa.Array:
    unit, zone = array.type.unit, array.type.tz
    local = array.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit)) if zone else array
    text = _trimmed(pc.replace_substring(local.cast(pa.string()), " ", "T", max_replacements=1))
    return pc.binary_join_element_wise(text, "Z", "") if zone else text


def _json_texts(array: pa.Array) -> pa.Array:
    texts = (
        None if value is None else json.dumps(value, ensure_ascii=False, default=str)
        for value in array.to_pylist()
    )
    return pa.array(texts, pa.string())


_CANONICAL: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_floating, _float_texts),
    (pa.types.is_date, lambda array: array.cast(pa.date32()).cast(pa.string())),
    (pa.types.is_time, lambda array: _trimmed(array.cast(pa.string()))),
    (pa.types.is_timestamp, _timestamp_texts),
    (pa.types.is_nested, _json_texts),
)
"""Where Arrow's own text is not the canonical one."""
