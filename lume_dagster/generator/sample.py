"""A sample of the source: a batch that the engine has staged, with the different texts of each column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine import BatchError, Engine, FlowVersion, StagedBatch, parse_flow
from lume_dagster.engine.parquet_source import canonical_texts
from lume_dagster.generator.profile import Profile, profile_table

_MAX_ROWS = 200_000
_KEPT_SHOWN = 3
_LOOKED_AT_BYTES = 1 << 16
_NO_TEXT = re.compile("[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\ufffd]")
"""Characters that no text holds, unlike tabs and line breaks, which the names of columns in workbooks do."""


@dataclass(frozen=True)
class Sample:
    """A staged batch as a table of texts.

    Attributes:
        name: What the batch is called.
        batch: The stage.
        table: Its records as texts, those that could not be parsed left out; at most the first 200,000.
        source: The `source` of a flow version that reads it; only what differs from the defaults.
        is_stage: The batch is known by its stage only: it is the stored input of a run.
        label: What messages call the batch, if other than its name.
    """

    name: str
    batch: StagedBatch
    table: pa.Table
    source: Mapping[str, Any]
    is_stage: bool = False
    label: str | None = None

    @cached_property
    def profile(self) -> Profile:
        """What its columns hold."""
        return profile_table(self.table)

    def counts(self, column: str) -> Counter[str]:
        """How often each text of a column stands there; absent values do not count."""
        counted = pc.value_counts(self.table.column(column).combine_chunks().drop_null())
        return Counter({item["values"]: item["counts"] for item in counted.to_pylist()})

    def shown(self, column: str) -> tuple[str, ...]:
        """The first different texts of a column, for people."""
        found: dict[str, None] = {}
        for text in self.table.column(column).slice(0, 1000).to_pylist():
            if text is not None:
                found[text] = None
            if len(found) == _KEPT_SHOWN:
                break
        return tuple(found)


def probe(source: Mapping[str, Any]) -> FlowVersion:
    """A flow version that reads a batch and none of its columns.

    Args:
        source: How the batch is written, as a flow file says it.

    Raises:
        FlowError: It says something that is not possible.
    """
    nothing = {"type": "object", "properties": {"nothing": {"type": ["string", "null"]}}}
    document = {
        "source": dict(source),
        "target_schema": nothing,
        "mapper": {"nothing": {"constant": None}},
    }
    return parse_flow(document, name="sample", version="v1", path="<sample>")


def read_sample(
    engine: Engine, path: str, source: Mapping[str, Any], folder: Path, label: str | None = None
) -> Sample:
    """Stage a batch, and read it as a sample.

    The encoding of a text file is found out if `source` does not say it, and written down in the result.

    Args:
        engine: Reads the batch.
        path: The batch.
        source: How it is written, as a flow file says it; empty for what its extension tells.
        folder: An existing folder for the stage.
        label: What messages call the batch; its path if not given.

    Raises:
        BatchError: The batch cannot be read; the message says why.
        FlowError: `source` says something that is not possible.
    """
    asked = dict(source) if "encoding" in source else {**source, "encoding": "detect"}
    try:
        batch = engine.ingest(probe(asked), path, folder, name=label)
    except BatchError as error:
        if _holds_nul(path):
            raise BatchError(f"{error}. It holds NUL bytes: it is no text file") from error
        raise
    if (odd := next(filter(_NO_TEXT.search, batch.columns), None)) is not None:
        raise BatchError(
            f"{label or path}: the names of columns hold control characters, as {odd[:40]!r} does; is it a text file?"
        )
    written = dict(source)
    if "encoding" not in source and batch.info.encoding not in (None, "utf-8"):
        written["encoding"] = batch.info.encoding
    return Sample(path, batch, _texts(batch), written, label=label)


def _holds_nul(path: str) -> bool:
    """Whether the beginning of a file of this machine is that of no text."""
    try:
        with Path(path).open("rb") as file:
            return b"\0" in file.read(_LOOKED_AT_BYTES)
    except (OSError, ValueError):  # a URI, or a name that no file can have
        return False


def open_sample(engine: Engine, stage: Path) -> Sample:
    """Read the stored input of an earlier run as a sample.

    Args:
        engine: Reads it.
        stage: The stored input.

    Raises:
        BatchError: The file is no stage, or a column holds what is no text and no plain value.
    """
    batch = engine.open_stage(stage, probe({}))
    return Sample(str(stage), batch, _texts(batch), {}, is_stage=True)


def _texts(batch: StagedBatch) -> pa.Table:
    with pq.ParquetFile(batch.path) as file:
        typed = batch.info.types is not None
        names = list(batch.columns) if typed else [f"c{index}" for index in range(len(batch.columns))]
        parts, rows = [], 0
        for part in file.iter_batches(columns=names if typed else ["unparsable", *names]):
            whole = part if typed else part.filter(pc.is_null(part.column("unparsable")))
            columns = [whole.column(name) for name in names]
            if typed:
                columns = [
                    canonical_texts(column, str(batch.path), name)
                    for column, name in zip(columns, names, strict=True)
                ]
            parts.append(pa.RecordBatch.from_arrays([column.cast(pa.string()) for column in columns], names))
            rows += whole.num_rows
            if rows >= _MAX_ROWS:
                break
    schema = pa.schema([(name, pa.string()) for name in names])
    return pa.Table.from_batches(parts, schema).rename_columns(list(batch.columns))
