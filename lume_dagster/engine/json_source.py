"""Read JSON records into a stage: lines that are objects each, or one array of objects.

The text of a member's value: a text as it is, a number as it is written, `true` and `false`; null is absent; a
nested value is JSON text without blanks, its numbers as they are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lume_dagster.engine.batch_file import BatchFile
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.json_path import ABSENT, parse_path, resolve, root
from lume_dagster.engine.json_path import Path as JsonPath
from lume_dagster.engine.stage import Cancel, StageInfo, StageWriter, compare_columns, writing_stage
from lume_dagster.engine.text_stream import Utf8Stream, encoding_of

_MAX_RECORD = 16 * 1024 * 1024
_MAX_COLUMNS = 10_000
_MAX_DEPTH = 100
_CHUNK_ROWS = 8_192
_CHUNK_BYTES = 16 * 1024 * 1024
_BLANK = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")

Read = tuple[StageInfo, tuple[str, ...], tuple[str, ...]]


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _DefectError(ValueError):
    """A text that is no record, and why."""


@dataclass(frozen=True)
class _Raw:
    """One record as it is written, and what it says if it says anything."""

    text: str
    record: dict[str, Any] | None
    defect: str = ""


def repeated_member(members: Sequence[tuple[str, Any]]) -> str | None:
    """The first name that an object of JSON has more than once, if there is one."""
    if len({name for name, _ in members}) == len(members):
        return None
    names = [name for name, _ in members]
    return next(name for name in names if names.count(name) > 1)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := repeated_member(members)) is not None:
        raise _DefectError(f"the member {twice!r} stands there twice")
    return dict(members)


def _no_constant(text: str) -> Any:
    raise _DefectError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant
)


def stage_json_lines(
    file: BatchFile, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> Read:
    """Read a file of JSON lines into a stage. A line that is no object becomes a record that cannot be parsed.

    Args:
        file: The file.
        source: How to read it.
        flow_columns: The columns and paths the flow reads.
        stage: Where to write the stage.
        cancel: Stops the work between two blocks.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The file is not what the flow says.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    return _stage(file, source, flow_columns, stage, cancel, "jsonl", _lines)


def stage_json(
    file: BatchFile, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> Read:
    """Read a file that is one JSON array of objects, or one object, into a stage.

    Args and errors are those of `stage_json_lines`; but of an array that breaks off or is no JSON nothing is read.
    """
    return _stage(file, source, flow_columns, stage, cancel, "json", _items)


def _stage(
    file: BatchFile,
    source: SourceSpec,
    flow_columns: tuple[str, ...],
    stage: Path,
    cancel: Cancel | None,
    name: str,
    records_of: Callable[[Utf8Stream, str], Iterator[_Raw]],
) -> Read:
    encoding = encoding_of(file, source.encoding, cancel)
    paths = {column: path for column in flow_columns if (path := parse_path(column)) is not None}
    columns = _Columns(file.name, paths)
    while True:
        with file.open_plain() as plain:
            records = records_of(Utf8Stream(plain, file.name, encoding, cancel), file.name)
            first = _chunk(records)
            columns.learn(first)
            known = columns.names
            with writing_stage(stage, len(known)) as writer:
                unparsable = _write(first, records, columns, writer)
                if columns.names == known:
                    info = StageInfo(known, name, encoding, writer.rows, unparsable, plain.bytes_read)
                    if not info.rows and not source.allow_empty:
                        raise BatchError(
                            f"{file.name}: there is no record in it; set source.allow_empty: true if that can be"
                        )
                    found = known if info.rows > unparsable else flow_columns
                    missing, unexpected = compare_columns(file.name, found, flow_columns, source)
                    writer.finish(info)
                    return info, missing, _without_roots(unexpected, paths)
        if not file.is_rereadable:
            raise BatchError(
                f"{file.name}: a later record has members that the first ones have not, and a pipe cannot be read "
                "a second time; write the batch to a file"
            )


def _without_roots(unexpected: tuple[str, ...], paths: dict[str, JsonPath]) -> tuple[str, ...]:
    read = {root(path) for path in paths.values()}
    return tuple(name for name in unexpected if name not in read)


class _Columns:
    """The columns of a batch as its records show them: their members, and the paths that lead somewhere.

    A member that is named like a path goes before the path.
    """

    def __init__(self, name: str, paths: dict[str, JsonPath]) -> None:
        self._name = name
        self._paths = paths
        self._found: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._found)

    def learn(self, raws: list[_Raw]) -> None:
        """Take up what these records have and none before had."""
        for raw in raws:
            if raw.record is None:
                continue
            if not raw.record.keys() <= self._found.keys():
                self._found.update(dict.fromkeys(raw.record))
            for column, path in self._paths.items():
                if column not in self._found and resolve(raw.record, path) is not ABSENT:
                    self._found[column] = None
        if len(self._found) > _MAX_COLUMNS:
            raise BatchError(
                f"{self._name}: the records have more than {_MAX_COLUMNS} different members; "
                "are keys of data the names of members?"
            )

    def value(self, record: dict[str, Any], column: str) -> Any:
        value = record.get(column, ABSENT)
        if value is ABSENT and (path := self._paths.get(column)) is not None:
            return resolve(record, path)
        return value


def _write(first: list[_Raw], records: Iterator[_Raw], columns: _Columns, writer: StageWriter) -> int:
    """Write the records, as long as they have no new columns; then only learn. Returns how many are unparsable."""
    known, unparsable = columns.names, 0
    chunk = first
    while chunk:
        if columns.names == known:
            start = writer.rows + 1
            bad = [
                (number, raw.text, raw.defect)
                for number, raw in enumerate(chunk, start)
                if raw.record is None
            ]
            good = [(number, raw.record) for number, raw in enumerate(chunk, start) if raw.record is not None]
            numbers = pa.array([number for number, _ in good], pa.int64())
            arrays = [
                pa.array([_text(columns.value(record, name)) for _, record in good], pa.string())
                for name in known
            ]
            if bad:
                writer.write_mixed(numbers, arrays, bad)
            else:
                writer.write(numbers, arrays)
            unparsable += len(bad)
        chunk = _chunk(records)
        columns.learn(chunk)
    return unparsable


def _chunk(records: Iterator[_Raw]) -> list[_Raw]:
    chunk: list[_Raw] = []
    size = 0
    for raw in records:
        chunk.append(raw)
        size += len(raw.text)
        if len(chunk) == _CHUNK_ROWS or size > _CHUNK_BYTES:
            break
    return chunk


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is ABSENT or value is None:
        return None
    return _json(value)


def _json(value: Any) -> str:
    """The JSON text of a value."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_json(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _raw(text: str, value: Any) -> _Raw:
    """What a JSON value is as a record."""
    if not isinstance(value, dict):
        return _Raw(text, None, "is no JSON object")
    if any("\0" in name for name in value):
        return _Raw(text, None, "the name of a member holds a NUL character")
    if text.count("{") + text.count("[") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        return _Raw(text, None, f"is nested deeper than {_MAX_DEPTH} levels")
    if ("\\ud" in text or "\\uD" in text) and _SURROGATE.search(_json(value)):
        return _Raw(text, None, "a text is not valid Unicode (a lone surrogate)")
    return _Raw(text, value)


def _depth(value: dict[str, Any]) -> int:
    """The levels of nesting; counted without recursion, which deep values would exhaust."""
    depth, level = 0, list[Any]([value])
    while level:
        depth += 1
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list))
        ]
    return depth


def _lines(stream: Utf8Stream, name: str) -> Iterator[_Raw]:
    rest, number = b"", 0
    while piece := stream.chunk():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if not line.isspace() and line:
                yield _line(line.decode())
        if len(rest) > _MAX_RECORD:
            raise BatchError(
                f"{name}, line {number + 1}: the line does not end within {_MAX_RECORD >> 20} MB; "
                "set source.format: json if the file is one array"
            )
    if rest.strip():
        yield _line(rest.decode())


def _line(line: str) -> _Raw:
    line = line.rstrip("\r")
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return _Raw(line, None, f"is no JSON: {error.msg} at character {error.pos + 1}")
    except _DefectError as error:
        return _Raw(line, None, str(error))
    except RecursionError:
        return _Raw(line, None, "is nested too deeply")
    return _raw(line, value)


def _items(stream: Utf8Stream, name: str) -> Iterator[_Raw]:
    """The items of an array, or one object."""
    text = _Text(stream, name)
    if text.next() == "{":
        yield text.value()
        if text.next():
            raise BatchError(
                f"{name}: there is more after the first object; set source.format: jsonl if each line is a record"
            )
        return
    if text.next() != "[":
        raise BatchError(f"{name}: this is no JSON array of objects; set source.format if it is another")
    text.skip()
    while text.next() != "]":
        yield text.value()
        if text.next() == ",":
            text.skip()
            if text.next() == "]":
                raise text.error("there is a comma with nothing after it")
        elif text.next() != "]":
            raise text.error(
                "the array breaks off" if not text.next() else "there is no comma between two items"
            )
    text.skip()
    if text.next():
        raise text.error("there is more after the end of the array")


class _Text:
    """The text of a file with a place in it, of which only a piece is held."""

    def __init__(self, stream: Utf8Stream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._text = ""
        self._at = 0
        self._items = 0

    def next(self) -> str:
        """The character at the place, blanks skipped; empty at the end."""
        while True:
            blanks = _BLANK.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._at += 1

    def error(self, said: str) -> BatchError:
        return BatchError(f"{self._name}, after item {self._items}: {said}")

    def value(self) -> _Raw:
        """The value at the place, which is then behind it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():
                    break
            except _DefectError as error:
                value, end = error, self._end()
                break
            except RecursionError as error:
                raise self.error("the next item is nested too deeply") from error
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _MAX_RECORD:
                    raise self.error(f"the next item does not end within {_MAX_RECORD >> 20} MB") from error
                if not self._more():
                    raise self.error(f"the next item is no JSON: {error.msg}") from error
        text = self._text[self._at : end]
        self._at = end
        self._items += 1
        return _Raw(text, None, str(value)) if isinstance(value, _DefectError) else _raw(text, value)

    def _end(self) -> int:
        """Where a value ends that is JSON but for what our decoder refuses."""
        while True:
            try:
                return json.JSONDecoder().raw_decode(self._text, self._at)[1]
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _MAX_RECORD or not self._more():
                    raise self.error(f"the next item is no JSON: {error.msg}") from error

    def _more(self) -> bool:
        piece = self._stream.chunk()
        if not piece:
            return False
        self._text = self._text[self._at :] + piece.decode()
        self._at = 0
        return True
