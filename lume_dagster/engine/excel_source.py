"""Read a sheet of a workbook into a stage: each typed cell as its canonical text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from lume_dagster.engine.batch_file import BatchFile
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError, EngineError
from lume_dagster.engine.interrupt import interrupting
from lume_dagster.engine.stage import (
    Cancel,
    StageInfo,
    StageWriter,
    check_cancel,
    compare_columns,
    os_reason,
    writing_stage,
)

_MAX_BYTES = 100 << 20
_MAX_MEMORY = 2 << 30
_CHUNK = 1 << 20
_CHUNK_ROWS = 8_192
_STRAY = "a value lies in a column that has no name in the header"


def stage_excel(
    file: BatchFile, source: SourceSpec, flow_columns: tuple[str, ...], stage: Path, cancel: Cancel | None
) -> tuple[StageInfo, tuple[str, ...], tuple[str, ...]]:
    """Read a sheet of a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods) into a stage.

    A workbook cannot be read piece by piece. It is read in a process of its own, whose memory is limited.

    Args:
        file: The workbook.
        source: Which sheet, and where its header is.
        flow_columns: The columns the flow reads.
        stage: Where to write the stage.
        cancel: Ends that process.

    Returns:
        What the stage holds, and the columns that are missing and unexpected.

    Raises:
        BatchError: The workbook is too large or none, or not what the flow says.
        EngineError: The stage cannot be written.
        CancelledError: The caller's flag is set.
    """
    if find_spec("python_calamine") is None:
        raise BatchError(f"{file.name}: needs the package python-calamine; install 'lume-dagster[excel]'")
    with (
        _copied(file, stage, cancel) as (workbook, size),
        _lines(file.name, workbook, source, cancel) as lines,
    ):
        columns = tuple(next(lines))
        if twice := next((name for name in columns if columns.count(name) > 1), None):
            raise BatchError(f"{file.name}: the header names the column {twice!r} more than once; rename one")
        missing, unexpected = compare_columns(file.name, columns, flow_columns, source)
        with writing_stage(stage, len(columns)) as writer:
            unparsable = 0
            while records := list(islice(lines, _CHUNK_ROWS)):
                check_cancel(cancel)
                unparsable += _write(records, len(columns), writer)
            if not writer.rows and not source.allow_empty:
                raise BatchError(
                    f"{file.name}: there is a header and no record after it; set source.allow_empty: true "
                    "if that can be"
                )
            info = StageInfo(columns, "excel", None, writer.rows, unparsable, size)
            writer.finish(info)
    return info, missing, unexpected


def _write(records: list[Any], width: int, writer: StageWriter) -> int:
    """Write records, those that are lists of texts and those that are none; returns how many are none."""
    numbered = list(enumerate(records, writer.rows + 1))
    good = [(number, record) for number, record in numbered if isinstance(record, list)]
    bad = [(number, record["raw"], _STRAY) for number, record in numbered if isinstance(record, dict)]
    numbers = pa.array([number for number, _ in good], pa.int64())
    columns = [pa.array([record[index] for _, record in good], pa.string()) for index in range(width)]
    if bad:
        writer.write_mixed(numbers, columns, bad)
    else:
        writer.write(numbers, columns)
    return len(bad)


@contextmanager
def _copied(file: BatchFile, stage: Path, cancel: Cancel | None) -> Iterator[tuple[Path, int]]:
    """A copy of the workbook beside the stage, from wherever it lies, and its size."""
    copy = stage.with_name("workbook.tmp")
    try:
        with file.open_plain() as plain, _created(copy) as out:
            while piece := plain.read(_CHUNK):
                check_cancel(cancel)
                out.write(piece)
                if out.tell() > _MAX_BYTES:
                    raise BatchError(
                        f"{file.name}: the workbook is larger than {_MAX_BYTES >> 20} MB, and workbooks are "
                        "read as a whole; write it as CSV or Parquet"
                    )
            if not out.tell():
                raise BatchError(f"{file.name}: the file is empty")
            size = plain.bytes_read
        yield copy, size
    finally:
        copy.unlink(missing_ok=True)


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise EngineError(f"the workbook cannot be copied to {path}: {os_reason(error)}") from error


@contextmanager
def _lines(name: str, workbook: Path, source: SourceSpec, cancel: Cancel | None) -> Iterator[Iterator[Any]]:
    """What the program `workbook` prints of a sheet; it is ended with the context."""
    options = json.dumps(
        {"sheet": source.sheet, "header_row": source.header_row, "memory_bytes": _MAX_MEMORY}
    )
    command = [sys.executable, "-m", "lume_dagster.engine.workbook", str(workbook.resolve()), options]
    with (
        subprocess.Popen(  # noqa: S603 - our own program; the path and the options are arguments
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
        interrupting(process.kill, cancel),
    ):
        try:
            yield _parsed(name, process, cancel)
        finally:
            process.kill()


def _parsed(name: str, process: subprocess.Popen[bytes], cancel: Cancel | None) -> Iterator[Any]:
    for line in process.stdout or ():
        value = json.loads(line)
        if isinstance(value, dict) and "error" in value:
            raise BatchError(f"{name}: {value['error']}")
        yield value
    code = process.wait()
    check_cancel(cancel)
    if code < 0:  # the library ends the process where there is no memory left
        raise BatchError(
            f"{name}: the workbook cannot be read within {_MAX_MEMORY >> 30} GB of memory; are there cells far out in "
            "the sheet? Write it as CSV or Parquet"
        )
    if code:
        raise EngineError(f"{name}: internal error: the program that reads workbooks ended with {code}")
