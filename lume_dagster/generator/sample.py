"""A sample of the source: a batch that the engine has staged, with the different texts of each column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine import BatchError, Engine, FlowVersion, StagedBatch, parse_flow
from lume_dagster.engine.engine import format_of
from lume_dagster.engine.parquet_source import canonical_texts
from lume_dagster.generator.nested import Nested, find_nested
from lume_dagster.generator.profile import ColumnProfile, Kind, Profile, profile_column, profile_table

_MAX_ROWS = 200_000
_KEPT_SHOWN = 3
_LOOKED_AT_BYTES = 1 << 16
_OTHER_DELIMITERS = ";\t|"
_FEW, _MANY = 0.05, 0.5
"""Shares of the records that cannot be parsed: with the right delimiter, and with a wrong one."""
_NESTING = ("json", "jsonl", "parquet")
_TEXT_FORMATS = ("csv", "json", "jsonl")
_WITH_HEADER = ("csv", "excel")
_MOST_NAMED = 20
_DATA = frozenset({
    Kind.INTEGER, Kind.NUMBER, Kind.QUANTITY, Kind.DATE, Kind.DATE_TIME, Kind.TIME, Kind.EMAIL, Kind.URI, Kind.UUID,
})  # fmt: skip
_LABEL = re.compile(r"(?:19|20)[0-9]{2}|[0-9]{1,2}")
"""Years and small numbers, as columns are named in tables of figures."""
_NO_HEADER = "the header looks like a record"
_REMEDY = "a batch needs a row with the names of its columns, and that row is no record"
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
        nested: Which of its columns hold nested values.
        unread: Columns of the batch that are left out, as they hold no texts.
        label: What messages call the batch, if other than its name.
    """

    name: str
    batch: StagedBatch
    table: pa.Table
    source: Mapping[str, Any]
    is_stage: bool = False
    nested: Nested = field(default_factory=Nested)
    unread: tuple[str, ...] = ()
    label: str | None = None

    @cached_property
    def profile(self) -> Profile:
        """What its columns hold."""
        return profile_table(self.table)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What people have to know of it: what of it is not read, or may be read wrongly."""
        notes = []
        if self.unread:
            notes.append(f"not read, as they hold no texts: {', '.join(self.unread[:_MOST_NAMED])}")
        if self.is_headless:
            # What stands there may be values of a record, which no message may hold.
            shown = ", ".join(map(str, self._named_like_values[:_MOST_NAMED]))
            notes.append(f"{_NO_HEADER}: what it names column {shown} is written like a value; {_REMEDY}")
        return tuple(notes)

    @property
    def is_headless(self) -> bool:
        """Whether the names of its columns may be values of its first record."""
        return bool(self._named_like_values)

    @cached_property
    def _named_like_values(self) -> tuple[int, ...]:
        """The places, from 1, of columns whose names are of the kind of their values, as those of a record are."""
        if self.batch.info.format not in _WITH_HEADER:
            return ()
        found = [
            column for column in self.profile.columns if column.kind in _DATA and _is_like_values(column)
        ]
        if len(found) > 1 and all(_LABEL.fullmatch(column.name) for column in found):
            return ()
        return tuple(column.position + 1 for column in found)

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


def probe(source: Mapping[str, Any], columns: Sequence[str] = ()) -> FlowVersion:
    """A flow version that reads a batch, and of its columns only those that are named.

    Args:
        source: How the batch is written, as a flow file says it.
        columns: Columns or paths; a batch may lack them.

    Raises:
        FlowError: It says something that is not possible.
    """
    text = {"type": ["string", "null"]}
    read: dict[str, Any] = {f"f{place}": {"extract": column} for place, column in enumerate(columns)}
    document = {
        "source": {**source, "optional": [*source.get("optional", ()), *columns]}
        if columns
        else dict(source),
        "target_schema": {"type": "object", "properties": dict.fromkeys(read or ["nothing"], text)},
        "mapper": read or {"nothing": {"constant": None}},
    }
    return parse_flow(document, name="sample", version="v1", path="<sample>")


def read_sample(
    engine: Engine, path: str, source: Mapping[str, Any], folder: Path, label: str | None = None
) -> Sample:
    """Stage a batch, and read it as a sample.

    The encoding of a text file and the delimiter of a CSV file are found out if `source` does not say them, and written
    down in the result. What lies in the objects of JSON and Parquet is read by its path, as columns of the sample.

    Args:
        engine: Reads the batch.
        path: The batch.
        source: How it is written, as a flow file says it; empty for what its extension tells.
        folder: An existing folder for the stage.
        label: What messages call the batch; its path if not given.

    Raises:
        BatchError: The batch cannot be read, or has no record; the message says why.
        FlowError: `source` says something that is not possible.
    """
    asked = dict(source) if "encoding" in source else {**source, "encoding": "detect"}
    asked["allow_empty"] = True  # so that one is told here, and as what it is
    written = dict(source)
    try:
        batch = engine.ingest(probe(asked), path, folder, name=label)
        if batch.info.format == "csv" and "delimiter" not in source:
            batch, found = _delimited(engine, path, asked, batch, folder, label)
            written |= found
    except BatchError as error:
        if format_of(path, probe(asked).source) in _TEXT_FORMATS and _holds_nul(path):
            raise BatchError(f"{error}. It holds NUL bytes: it is no text file") from error
        raise
    if (odd := next(filter(_NO_TEXT.search, batch.columns), None)) is not None:
        raise BatchError(
            f"{label or path}: the names of columns hold control characters, as {odd[:40]!r} does; is it a text file?"
        )
    if not batch.rows:
        raise BatchError(
            f"{label or path}: there is a header and no record after it; a sample needs some records"
        )
    if "encoding" not in source and batch.info.encoding not in (None, "utf-8"):
        written["encoding"] = batch.info.encoding
    left_out = tuple(column for column in batch.unexpected if column not in batch.columns)
    absent = source.get("null_values", ())
    table = _texts(batch, absent)
    nested = find_nested(table)
    if nested.paths and batch.info.format in _NESTING:
        batch = engine.ingest(probe({**asked, **written}, nested.paths), path, folder, name=label)
        table = _texts(batch, absent)
        nested = replace(find_nested(table), longest=nested.longest)
    return Sample(path, batch, table, written, nested=nested, unread=left_out, label=label)


def open_sample(engine: Engine, stage: Path) -> Sample:
    """Read the stored input of an earlier run as a sample.

    Args:
        engine: Reads it.
        stage: The stored input.

    Raises:
        BatchError: The file is no stage, or a column holds what is no text and no plain value.
    """
    batch = engine.open_stage(stage, probe({}))
    table = _texts(batch)
    return Sample(str(stage), batch, table, {}, is_stage=True, nested=find_nested(table))


def _holds_nul(path: str) -> bool:
    """Whether the beginning of a file of this machine is that of no text."""
    try:
        with Path(path).open("rb") as file:
            return b"\0" in file.read(_LOOKED_AT_BYTES)
    except (OSError, ValueError):  # a URI, or a name that no file can have
        return False


def _delimited(
    engine: Engine, path: str, source: Mapping[str, Any], batch: StagedBatch, folder: Path, label: str | None
) -> tuple[StagedBatch, dict[str, str]]:
    """A CSV batch that was read with commas, read with the delimiter that its header and its records speak for.

    Raises:
        BatchError: They speak for more than one.
    """
    if len(batch.columns) > 1 and batch.info.unparsable <= _MANY * batch.rows:
        return batch, {}
    likely: dict[str, StagedBatch] = {}
    for place, delimiter in enumerate(_OTHER_DELIMITERS):
        if not any(delimiter in name for name in batch.columns):
            continue
        (other := folder / f"delimiter-{place}").mkdir(exist_ok=True)
        try:
            read = engine.ingest(probe({**source, "delimiter": delimiter}), path, other, name=label)
        except BatchError:
            continue
        if len(read.columns) > len(batch.columns) and read.info.unparsable <= _FEW * read.rows:
            likely[delimiter] = read
    if len(likely) > 1:
        raise BatchError(
            f"{label or path}: the columns may be split by {' or '.join(map(repr, likely))}; set source.delimiter"
        )
    return next(((read, {"delimiter": delimiter}) for delimiter, read in likely.items()), (batch, {}))


def _is_like_values(column: ColumnProfile) -> bool:
    kind = profile_column(column.name, 0, [column.name]).kind
    return kind is column.kind or {kind, column.kind} == {Kind.INTEGER, Kind.NUMBER}


def _texts(batch: StagedBatch, absent: Sequence[str] = ()) -> pa.Table:
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
    table = pa.Table.from_batches(parts, schema)
    if absent:
        nothing = pa.array(absent, pa.string())
        table = pa.table(
            [pc.if_else(pc.is_in(column, nothing), None, column) for column in table.columns], schema=schema
        )
    return table.rename_columns(list(batch.columns))
