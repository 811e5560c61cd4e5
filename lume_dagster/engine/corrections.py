"""Corrections of single records of a batch: what they change, and the stage that holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine.parquet_source import canonical_texts
from lume_dagster.engine.stage import Cancel, StagedBatch, check_cancel, row_numbers, writing_stage

Values: TypeAlias = Mapping[str, str | None]
"""The texts of some source columns; None where there is none."""

_RAW = "raw"
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class StagedRecord:
    """A record as it stands in a stage.

    Attributes:
        values: The texts of all source columns.
        raw: The text of a line that is no record, else None.
    """

    values: Values
    raw: str | None

    def changes(self, values: Values) -> dict[str, str | None]:
        """Those of the values that are not the record's. An empty text and none are the same: a CSV has but one."""
        own = {**self.values, _RAW: self.raw} if self.raw is not None else self.values
        return {name: value for name, value in values.items() if (value or "") != (own.get(name) or "")}


def read_records(staged: StagedBatch, numbers: Collection[int]) -> dict[int, StagedRecord]:
    """The records of these row numbers, as far as the batch has them."""
    wanted = pa.array(sorted(numbers), pa.int64())
    found: dict[int, StagedRecord] = {}
    for table in _tables(staged):
        for row in table.filter(pc.is_in(table["row_number"], wanted)).to_pylist():
            values = {name: row[f"c{index}"] for index, name in enumerate(staged.columns)}
            found[row["row_number"]] = StagedRecord(values, row["unparsable"])
    return found


def correct_stage(
    staged: StagedBatch, corrections: Mapping[int, Values], stage: Path, cancel: Cancel | None
) -> StagedBatch:
    """Write a stage once more, with some of its records corrected.

    Args:
        staged: The stage to correct.
        corrections: The new texts, by row number. Columns that are not named stay as they are; a line that was no
            record becomes one.
        stage: Where to write.
        cancel: Stops the work between two pieces.

    Raises:
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    columns = staged.columns
    wanted = pa.array(sorted(corrections), pa.int64())
    mended = 0
    with writing_stage(stage, len(columns)) as writer:
        for piece in _tables(staged):
            check_cancel(cancel)
            is_corrected = pc.is_in(piece["row_number"], wanted).combine_chunks()
            mended += pc.sum(pc.and_(is_corrected, pc.is_valid(piece["unparsable"]))).as_py() or 0
            table = _corrected(piece, is_corrected, columns, corrections, is_csv=staged.info.format == "csv")
            is_whole = pc.is_null(table["unparsable"])
            whole = table.filter(is_whole).combine_chunks()
            numbers = _array(whole["row_number"])
            texts = [_array(whole[f"c{index}"]) for index in range(len(columns))]
            broken = table.filter(pc.invert(is_whole)).select(table.column_names[:3])
            if broken.num_rows:
                writer.write_mixed(numbers, texts, list(zip(*broken.to_pydict().values(), strict=True)))
            else:
                writer.write(numbers, texts)
        info = replace(staged.info, types=None, unparsable=staged.info.unparsable - mended)
        writer.finish(info)
    return StagedBatch(stage, info, staged.missing, staged.unexpected)


def _corrected(
    table: pa.Table,
    is_corrected: pa.Array,
    columns: tuple[str, ...],
    corrections: Mapping[int, Values],
    *,
    is_csv: bool,
) -> pa.Table:
    numbers = table["row_number"].filter(is_corrected).to_pylist()
    if not numbers:
        return table
    for index, name in enumerate(columns):
        old = table[f"c{index}"].filter(is_corrected).to_pylist()
        new = [
            _kept(corrections[number].get(name, text), is_csv=is_csv)
            for number, text in zip(numbers, old, strict=True)
        ]
        table = _replaced(table, f"c{index}", is_corrected, new)
    for name in ("unparsable", "unparsable_reason"):
        table = _replaced(table, name, is_corrected, [None] * len(numbers))
    return table


def _kept(text: str | None, *, is_csv: bool) -> str | None:
    """A text as the stage keeps it: that of a CSV file has none where a cell is empty."""
    return (text or None) if is_csv else text


def _replaced(table: pa.Table, name: str, where: pa.Array, texts: list[str | None]) -> pa.Table:
    column = pc.replace_with_mask(_array(table[name]), where, pa.array(texts, pa.string()))
    return table.set_column(table.column_names.index(name), name, column)


def _tables(staged: StagedBatch) -> Iterator[pa.Table]:
    """The stage piece by piece, as one of texts is built, whatever it is."""
    names = ["row_number", "unparsable", "unparsable_reason", *(f"c{i}" for i in range(len(staged.columns)))]
    first = 1
    with pq.ParquetFile(staged.path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            if staged.info.types is None:
                yield pa.Table.from_batches([batch]).select(names)
                continue
            none = pa.nulls(batch.num_rows, pa.string())
            texts = [
                canonical_texts(array, str(staged.path), name).cast(pa.string())
                for array, name in zip(batch.columns, staged.columns, strict=True)
            ]
            yield pa.table([row_numbers(first, batch.num_rows), none, none, *texts], names=names)
            first += batch.num_rows


def _array(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
