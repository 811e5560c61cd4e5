"""The stage: a batch as one Parquet file of texts, whatever it came from; or a batch's own Parquet file as it is.

The columns of the former are positional, so that no name of a user's file ever becomes a name in SQL: `row_number`
(1-based, the record's place in the batch), `unparsable` (the raw text of a line that is no record, else null),
`unparsable_reason`, and `c0` ... `cN` with the texts. What the columns are really called, and where the batch came
from, stands in the file's key-value metadata. By its missing a batch's own file is told.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError, CancelledError, EngineError
from lume_dagster.engine.parquet_types import column_types
from lume_dagster.engine.values import ValueType

_METADATA_KEY = b"lume.stage"
_ROW_GROUP, _SMALL_ROW_GROUP = 122_880, 2_048
_WRITE_BATCH = 16_384
_ROW_GROUP_CELLS = 20_000_000
_ROW_NUMBER = "row_number"
STAGE_FILE = "source.parquet"


class Cancel(Protocol):
    """What tells the engine to stop: a `threading.Event` will do."""

    def is_set(self) -> bool:
        """Whether the work is to stop."""
        ...


def check_cancel(cancel: Cancel | None) -> None:
    """Stop here if the caller wants so.

    Raises:
        CancelledError: The flag is set.
    """
    if cancel is not None and cancel.is_set():
        raise CancelledError("the work was cancelled")


@dataclass(frozen=True)
class StageInfo:
    """What is kept with a stage.

    Attributes:
        columns: The names of the source columns.
        format: csv or parquet.
        encoding: The text encoding of a CSV file.
        rows: Records, those that cannot be parsed included.
        unparsable: How many cannot be parsed.
        bytes_read: Size of what was read.
        types: What the columns hold if the stage is the batch's own Parquet file; None if it is one of texts.
    """

    columns: tuple[str, ...]
    format: str
    encoding: str | None
    rows: int
    unparsable: int
    bytes_read: int
    types: tuple[ValueType, ...] | None = None


@dataclass(frozen=True)
class StagedBatch:
    """A batch that is ready to be mapped by a flow.

    Attributes:
        path: The stage.
        info: What is kept with it.
        missing: Columns the flow may read that the batch does not have; all of them are optional.
        unexpected: Columns of the batch that the flow neither reads nor ignores.
    """

    path: Path
    info: StageInfo
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Records of the batch."""
        return self.info.rows

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the batch's columns."""
        return self.info.columns


def stage_schema(columns: int) -> pa.Schema:
    """The Arrow schema of a stage with so many source columns."""
    return pa.schema(
        [
            pa.field(_ROW_NUMBER, pa.int64(), nullable=False),
            pa.field("unparsable", pa.string()),
            pa.field("unparsable_reason", pa.string()),
            *(pa.field(f"c{index}", pa.string()) for index in range(columns)),
        ]
    )


def row_numbers(first: int, count: int) -> pa.Array:
    """So many row numbers in a row."""
    ones = pa.repeat(_int64(1), count)
    return pc.add(pc.cumulative_sum(ones), _int64(first - 1))


def _int64(value: int) -> pa.Scalar:
    """A scalar out of its bytes: pyarrow imports all of pandas, if it is there, to convert a value of Python's."""
    return pa.Array.from_buffers(pa.int64(), 1, [None, pa.py_buffer(array("q", [value]))])[0]


class StageWriter:
    """Writes a stage; see `writing_stage`.

    A thread encodes one batch while the caller reads the next.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        # A row group is held in memory until it is whole: one of thousands of columns has to be short.
        self._row_group = max(_SMALL_ROW_GROUP, min(_ROW_GROUP, _ROW_GROUP_CELLS // len(schema)))
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="lume-stage")
        self._pending: Future[None] | None = None
        self.rows = 0

    def write(self, row_numbers: pa.Array, columns: Sequence[pa.Array]) -> None:
        """Write records of which each is whole."""
        none = pa.nulls(len(row_numbers), pa.string())
        self._write([row_numbers, none, none, *columns])

    def write_mixed(
        self,
        row_numbers: pa.Array,
        columns: Sequence[pa.Array],
        unparsable: Sequence[tuple[int, str, str]],
    ) -> None:
        """Write records among which lie some that cannot be parsed, in the order of their numbers.

        Args:
            row_numbers: The numbers of the whole records.
            columns: Their texts.
            unparsable: Number, raw text and reason of the others.
        """
        numbers, texts, reasons = zip(*unparsable, strict=True)
        none = pa.nulls(len(row_numbers), pa.string())
        whole = pa.Table.from_arrays([row_numbers, none, none, *columns], schema=self._schema)
        others = pa.nulls(len(numbers), pa.string())
        broken = pa.Table.from_arrays(
            [
                pa.array(numbers, pa.int64()),
                pa.array(texts, pa.string()),
                pa.array(reasons, pa.string()),
                *([others] * len(columns)),
            ],
            schema=self._schema,
        )
        table = pa.concat_tables([whole, broken]).sort_by("row_number").combine_chunks()
        for batch in table.to_batches():
            self._write(batch.columns)

    def _write(self, arrays: Sequence[pa.Array]) -> None:
        batch = pa.RecordBatch.from_arrays(list(arrays), schema=self._schema)
        self._settle()
        self._pending = self._encoder.submit(self._writer.write_batch, batch, row_group_size=self._row_group)
        self.rows += batch.num_rows

    def _settle(self) -> None:
        """Wait for the batch that is under way; one is, at most."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def finish(self, info: StageInfo) -> None:
        """Say what the stage holds; without it the stage is thrown away."""
        self._settle()
        self._writer.add_key_value_metadata({_METADATA_KEY: json.dumps(asdict(info)).encode()})

    def close(self) -> None:
        """Let the batch that is under way end, whatever became of it."""
        self._encoder.shutdown()


@contextmanager
def writing_stage(path: Path, columns: int) -> Iterator[StageWriter]:
    """Write a stage that appears under its name only when it is whole.

    Args:
        path: The stage to write.
        columns: Number of source columns.

    Raises:
        EngineError: It cannot be written.
    """
    schema = stage_schema(columns)
    with (
        whole_stage(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            compression="snappy",
            write_statistics=False,
            write_batch_size=_WRITE_BATCH,
            use_dictionary=[name for name in schema.names if name != _ROW_NUMBER],
            column_encoding={_ROW_NUMBER: "DELTA_BINARY_PACKED"},
        ) as writer,
    ):
        stage = StageWriter(writer, schema)
        try:
            yield stage
        finally:
            stage.close()


@contextmanager
def whole_stage(path: Path) -> Iterator[Path]:
    """Where to write a stage that appears under its name only when it is whole.

    Raises:
        EngineError: It cannot be written.
    """
    partial = path.with_name(path.name + ".tmp")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise EngineError(f"cannot write the stage {path}: {os_reason(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def os_reason(error: OSError) -> str:
    """What an OSError says, in short."""
    return os.strerror(error.errno) if error.errno else str(error)


def open_stage(path: Path, flow_columns: Sequence[str], source: SourceSpec, name: str) -> StagedBatch:
    """Open the stage of an earlier run for a flow.

    Args:
        path: The stage.
        flow_columns: The columns the flow reads.
        source: Says which of them may be missing, and which others may be there.
        name: What messages call it.

    Raises:
        BatchError: The file is no stage, or lacks columns that the flow reads.
    """
    try:
        with pq.ParquetFile(path) as file:
            info = _kept_info(file) or original_info(file, path.stat().st_size)
    except FileNotFoundError as error:
        raise BatchError(f"{name}: the stored input is no longer there") from error
    except (OSError, pa.ArrowInvalid, KeyError, ValueError, TypeError) as error:
        raise BatchError(f"{name}: this is no stored input of a run") from error
    if info is None:
        raise BatchError(f"{name}: this is no stored input of a run")
    return StagedBatch(path, info, *compare_columns(name, info.columns, flow_columns, source))


def _kept_info(file: pq.ParquetFile) -> StageInfo | None:
    kept = (file.metadata.metadata or {}).get(_METADATA_KEY)
    if kept is None:
        return None
    fields: dict[str, Any] = json.loads(kept)
    return StageInfo(**{**fields, "columns": tuple(fields["columns"])})


def original_info(file: pq.ParquetFile, size: int) -> StageInfo | None:
    """What is to be known of a batch's own Parquet file as a stage; None if it cannot be one.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    types = column_types(file)
    if types is None or _METADATA_KEY in (file.metadata.metadata or {}):
        return None
    columns = tuple(file.schema_arrow.names)
    return StageInfo(columns, "parquet", None, file.metadata.num_rows, 0, size, types)


def compare_columns(
    path: str, found: Sequence[str], flow_columns: Sequence[str], source: SourceSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that are missing and those that are unexpected.

    Raises:
        BatchError: A column is missing that is not optional.
    """
    there = set(found)
    missing = tuple(column for column in flow_columns if column not in there)
    needed = [column for column in missing if column not in source.optional]
    if needed:
        unread = {column.casefold(): column for column in found if column not in flow_columns}
        said = []
        for column in needed:
            close = get_close_matches(column.casefold(), unread, n=1, cutoff=0.6)
            said.append(f"{column!r}" + (f" (did you mean {unread[close[0]]!r}?)" if close else ""))
        if not there & {*flow_columns, *source.ignore}:
            # Without a header, the names would be values of the first record, which no message may hold.
            raise BatchError(
                f"{path}: of the columns that the flow reads none is there ({', '.join(map(repr, needed))}), and none "
                f"of its {len(found)} columns is known. Is its header missing?"
            )
        columns = ", ".join(map(repr, list(found)[:50])) + (", ..." if len(found) > 50 else "")
        raise BatchError(
            f"{path}: the flow reads {'columns that are' if len(needed) > 1 else 'a column that is'} not there: "
            f"{', '.join(said)}. The file has {columns}. "
            "Mend the file, or name the column in source.optional if it may be missing"
        )
    known = {*flow_columns, *source.ignore}
    return missing, tuple(column for column in found if column not in known)
