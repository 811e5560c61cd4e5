"""Read a CSV file into a stage, with the exact number of each record and the raw text of each bad line."""

from __future__ import annotations

import codecs
import csv
import io
import secrets
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from lume_dagster.engine.batch_file import BatchFile
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.stage import (
    Cancel,
    StageInfo,
    StageWriter,
    compare_columns,
    row_numbers,
    writing_stage,
)
from lume_dagster.engine.text_stream import CHUNK, Utf8Stream, encoding_of

_BLOCK = CHUNK
_MAX_HEADER = 1024 * 1024
_BOM = codecs.BOM_UTF8
_QUOTE, _LINE_BREAKS = ord('"'), b"\r\n"
_OTHER_DELIMITERS = ";\t|,"
_PAUSED_SECONDS = 1.0
"""After so long without another read, pyarrow has read as far ahead as it does."""
_RETURNED_SECONDS = 0.01
"""How long its last read takes to return."""


@dataclass
class _Unparsable:
    """The lines that pyarrow could not make records of, as it meets them."""

    found: deque[tuple[int, str, str]] = field(default_factory=deque)
    total: int = 0
    end: str = ""

    def __call__(self, row: pc.InvalidRow) -> str:
        text = row.text
        if text.endswith(self.end):
            text = text[: -len(self.end)]
            if text == "":
                return "skip"
            reason = "a quote that is opened in this record is never closed"
        else:
            more = "more" if row.actual_columns > row.expected_columns else "fewer"
            reason = (
                f"{more} fields than the header: {row.actual_columns} where it has {row.expected_columns}"
            )
        self.found.append((row.number, text, reason))
        self.total += 1
        return "skip"


class _Input(io.RawIOBase):
    """What pyarrow reads: the records after the header, then an end mark.

    The end mark closes an open quote and has too many fields, so it always comes back as a line that cannot be
    parsed: alone if the file ended well, else with the text of the record whose quote was never closed.
    """

    def __init__(self, stream: Utf8Stream, start: bytes, end: bytes) -> None:
        self._stream = stream
        self._rest = start
        self._at_start = True
        self._end: bytes | None = end
        self._stopped = False
        self._over = threading.Event()
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; exceptions are kept too, as they do not come through pyarrow as they are."""
        if self._stopped:
            self._over.set()
            return b""
        if size < 0:
            size = sys.maxsize
        at_start, self._at_start = self._at_start, False
        if at_start and size // 2 < len(self._rest) <= size:
            # By itself, so that what follows comes in whole chunks, which need not be copied.
            start, self._rest = self._rest, b""
            return start
        pieces, length = ([self._rest], len(self._rest)) if self._rest else ([], 0)
        try:
            while length < size:
                piece = self._stream.chunk()
                if not piece:
                    if self._end is None:
                        break
                    piece, self._end = self._end, None
                pieces.append(piece)
                length += len(piece)
        except BaseException as error:
            self.error = error
            self._over.set()
            raise
        if not pieces:
            self._over.set()
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._rest = data[size:]
        return data[:size]

    def stop(self) -> None:
        """Let pyarrow read no more, and wait until it does not.

        A thread of pyarrow's reads ahead. To take its reader down waits for that thread, with the interpreter's lock
        in hand, for which that thread may wait in turn.
        """
        self._stopped = True
        if not self._over.is_set() and self._over.wait(_PAUSED_SECONDS):
            time.sleep(_RETURNED_SECONDS)


def stage_csv(
    file: BatchFile, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> tuple[StageInfo, tuple[str, ...], tuple[str, ...]]:
    """Read a CSV file into a stage.

    Args:
        file: The file.
        source: How to read it.
        flow_columns: The columns the flow reads.
        stage: Where to write the stage.
        cancel: Stops the work between two blocks.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The file is not what the flow says.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    path = file.name
    encoding = encoding_of(file, source.encoding, cancel)
    with file.open_plain() as plain:
        stream = Utf8Stream(plain, path, encoding, cancel)
        columns, rest = _header(stream, path, source)
        missing, unexpected = _columns(path, columns, flow_columns, source)
        with writing_stage(stage, len(columns)) as writer:
            unparsable = _copy(stream, rest, path, source, len(columns), writer)
            info = StageInfo(columns, "csv", encoding, writer.rows, unparsable, plain.bytes_read)
            if not info.rows and not source.allow_empty:
                raise BatchError(
                    f"{path}: there is a header and no record after it; set source.allow_empty: true "
                    "if that can be"
                )
            writer.finish(info)
    return info, missing, unexpected


def _header(stream: Utf8Stream, path: str, source: SourceSpec) -> tuple[tuple[str, ...], bytes]:
    """The names of the columns, and the bytes that were read beyond them."""
    text = stream.chunk()
    if not text:
        raise BatchError(f"{path}: the file is empty, there is not even a header")
    while (end := _end_of_record(text, source.delimiter)) is None:
        piece = stream.chunk()
        if len(text) > _MAX_HEADER:
            raise BatchError(
                f"{path}: the header does not end within {_MAX_HEADER} bytes; is a quote left open?"
            )
        if not piece:
            end = len(text)
            break
        text += piece
    line = text[:end].decode().strip("\r\n")
    if not line:
        raise BatchError(f"{path}: there is no header, the file holds blank lines only")
    if "\0" in line:
        raise BatchError(
            f"{path}, line 1: the header holds a NUL character; if the file is UTF-16, set source.encoding: detect"
        )
    try:
        names = next(csv.reader([line], delimiter=source.delimiter))
    except csv.Error as error:
        raise BatchError(f"{path}, line 1: the header cannot be read: {error}") from error
    return tuple(names), text[end:]


def _end_of_record(text: bytes, delimiter: str) -> int | None:
    """Where the first record that is not blank ends, its line break included; None if it does not."""
    quoted, at_start, seen = False, True, False
    for at, byte in enumerate(text):
        if byte == _QUOTE and (quoted or at_start):
            quoted, at_start, seen = not quoted, quoted, True
        elif byte in _LINE_BREAKS and not quoted:
            if seen:
                if byte == _LINE_BREAKS[0] and at + 1 == len(text):
                    return None
                return at + 2 if text[at : at + 2] == _LINE_BREAKS else at + 1
        else:
            seen, at_start = True, byte == ord(delimiter)
    return None


def _columns(
    path: str, columns: tuple[str, ...], flow_columns: tuple[str, ...], source: SourceSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    name, times = Counter(columns).most_common(1)[0]
    if times > 1:
        raise BatchError(f"{path}, line 1: the header names the column {name!r} more than once; rename one")
    if len(columns) == 1 and not set(flow_columns) <= {*columns, *source.optional}:
        for delimiter in _OTHER_DELIMITERS:
            if delimiter != source.delimiter and delimiter in columns[0]:
                written = "\\t" if delimiter == "\t" else delimiter
                raise BatchError(
                    f"{path}, line 1: the header is one field with {source.delimiter!r} as the delimiter, "
                    f'but looks split by {delimiter!r}; set source.delimiter: "{written}"'
                )
    return compare_columns(path, columns, flow_columns, source)


def _copy(
    stream: Utf8Stream, start: bytes, path: str, source: SourceSpec, width: int, writer: StageWriter
) -> int:
    """Write the records to the stage; returns how many cannot be parsed."""
    mark = f'{secrets.token_hex(16)}"' + source.delimiter * width
    unparsable = _Unparsable(end=mark)
    # pyarrow drops a byte order mark at its start: give it one to drop, so that no value loses its own.
    data = _Input(stream, _BOM + start, f"\n{mark}\n".encode())
    names = [f"c{index}" for index in range(width)]
    number = 0
    try:
        reader = pc.open_csv(
            pa.PythonFile(data, mode="r"),
            read_options=pc.ReadOptions(use_threads=False, column_names=names, block_size=_BLOCK),
            parse_options=pc.ParseOptions(
                delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=unparsable
            ),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        for batch in reader:
            number = _write_batch(batch, number, unparsable, writer)
    except pa.ArrowInvalid as error:
        if data.error is not None:
            raise data.error from None
        if "straddling" in str(error):
            raise BatchError(
                f"{path}: record {number + 1} or one soon after it does not end within {_BLOCK >> 20} MB; "
                "is a quote opened there and never closed?"
            ) from error
        raise BatchError(f"{path}: cannot be read as CSV after record {number}: {error}") from error
    finally:
        data.stop()
    if unparsable.found:
        empty = [pa.array([], pa.string())] * width
        writer.write_mixed(pa.array([], pa.int64()), empty, list(unparsable.found))
    return unparsable.total


def _write_batch(batch: pa.RecordBatch, number: int, unparsable: _Unparsable, writer: StageWriter) -> int:
    """Write one batch; returns the number of the last record that is written."""
    numbers, bad = _numbers(batch.num_rows, number, unparsable)
    if bad:
        writer.write_mixed(pa.array(numbers, pa.int64()), batch.columns, bad)
    elif batch.num_rows:
        writer.write(row_numbers(number + 1, batch.num_rows), batch.columns)
    return number + len(numbers) + len(bad)


def _numbers(
    rows: int, number: int, unparsable: _Unparsable
) -> tuple[range | list[int], list[tuple[int, str, str]]]:
    """The numbers of a batch's rows: those that no unparsable line took; and the lines that lie between them."""
    bad = []
    last = number + rows
    while unparsable.found and unparsable.found[0][0] <= last:
        bad.append(unparsable.found.popleft())
        last += 1
    if not bad:
        return range(number + 1, last + 1), bad
    taken = {line[0] for line in bad}
    return [candidate for candidate in range(number + 1, last + 1) if candidate not in taken], bad
