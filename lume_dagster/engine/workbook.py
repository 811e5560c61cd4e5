"""Read one sheet of a workbook as texts. A program of its own: `python -m lume_dagster.engine.workbook FILE OPTIONS`.

A workbook is read as a whole, and the room that a sheet takes is that of all cells up to the last one, empty or not: a
small file can ask for any amount of memory, and the library that reads it then ends the process. So the process is
not the caller's, and its memory is limited. It prints JSON, a value a line: the names of the columns, then for each
record a list of their texts or, if it is none, an object with what is wrong. If the workbook cannot be read, the last
line is an object with `error`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import python_calamine as calamine

from lume_dagster.engine.canonical import canonical_text

_UNPACKED_LIMIT = 1 << 30
_CHUNK = 1 << 20
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
"""The name of the stream that holds an encrypted .xlsx file; the library knows it only by the file's extension."""
_CELL = re.compile("([A-Z]{1,3})([0-9]{1,7})")


class WorkbookProblem(Exception):  # noqa: N818 - the message for an error of the batch
    """The workbook cannot be read as the flow says; the message says why."""


def main() -> None:
    """Read the workbook that the arguments name, and print it."""
    path, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (options["memory_bytes"],) * 2)
    try:
        for line in _read(path, options["sheet"], options["header_row"]):
            sys.stdout.write(json.dumps(line) + "\n")
    except WorkbookProblem as problem:
        sys.stdout.write(json.dumps({"error": str(problem)}) + "\n")
    except MemoryError:
        os.abort()


def _read(path: Path, wanted: str | int | None, header_row: int) -> Iterator[Any]:
    _check_size(path)
    try:
        workbook = calamine.CalamineWorkbook.from_path(path)
        name = _sheet(workbook, wanted)
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        for (row, column), text in _errors(path, name):
            if row < len(rows) and column < len(rows[row]):
                rows[row][column] = text
    except (calamine.CalamineError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        if isinstance(error, calamine.PasswordError) or _ENCRYPTED in path.read_bytes():
            raise WorkbookProblem("the workbook is encrypted; save it without a password") from error
        raise WorkbookProblem(
            f"this is no workbook that can be read ({error}); set source.format if it is another"
        ) from error
    yield from _records(rows, name, header_row)


def _check_size(path: Path) -> None:
    """Refuse what unpacks to more than anyone wants in memory; the library asks nobody."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as parts:
        size = sum(part.file_size for part in parts.infolist())
    if size > _UNPACKED_LIMIT:
        raise WorkbookProblem(
            f"the workbook unpacks to {size >> 20} MB, and more than {_UNPACKED_LIMIT >> 20} MB are not read; "
            "write it as CSV or Parquet"
        )


def _sheet(workbook: calamine.CalamineWorkbook, wanted: str | int | None) -> str:
    """The name of the sheet that is wanted: by its name or its number, or the first."""
    sheets = [
        sheet.name for sheet in workbook.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet
    ]
    shown = ", ".join(map(repr, sheets[:20])) or "none"
    if isinstance(wanted, str):
        if wanted not in sheets:
            raise WorkbookProblem(f"there is no sheet {wanted!r}; set source.sheet to one of {shown}")
        return wanted
    number = wanted or 1
    if number > len(sheets):
        raise WorkbookProblem(f"there is no sheet {number}; the workbook has {shown}")
    return sheets[number - 1]


def _errors(path: Path, sheet: str) -> Iterator[tuple[tuple[int, int], str]]:
    """The cells of an .xlsx file that hold an error, with its text; the library gives them as empty."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as parts:
        if (name := _part(parts, sheet)) is None or not _holds_errors(parts, name):
            return
        with parts.open(name) as part:
            for _, element in ElementTree.iterparse(part):  # noqa: S314
                if element.tag == f"{_MAIN}c" and element.get("t") == "e":
                    place = _CELL.fullmatch(element.get("r", ""))
                    if place is not None:
                        yield (
                            (int(place[2]) - 1, _column(place[1])),
                            element.findtext(f"{_MAIN}v") or "#ERROR",
                        )
                if element.tag == f"{_MAIN}row":
                    element.clear()


def _part(parts: zipfile.ZipFile, sheet: str) -> str | None:
    """The part of an .xlsx file that holds a sheet."""
    names = set(parts.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return None
    workbook = ElementTree.fromstring(parts.read("xl/workbook.xml"))  # noqa: S314
    relations = ElementTree.fromstring(parts.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    for element in workbook.iter(f"{_MAIN}sheet"):
        if element.get("name") == sheet:
            target = targets.get(element.get(_RELATION), "")
            found = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            return found if found in names else None
    return None


def _holds_errors(parts: zipfile.ZipFile, name: str) -> bool:
    with parts.open(name) as part:
        before = b""
        while chunk := part.read(_CHUNK):
            if b't="e"' in before + chunk or b"t='e'" in before + chunk:
                return True
            before = chunk[-4:]
    return False


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _records(rows: Sequence[Sequence[Any]], sheet: str, header_row: int) -> Iterator[Any]:
    if len(rows) < header_row:
        raise WorkbookProblem(
            f"the sheet {sheet!r} has {len(rows)} rows, and the header is looked for in row {header_row}; "
            "set source.header_row"
        )
    names = [_text(cell, moments=False) for cell in rows[header_row - 1]]
    columns = [index for index, name in enumerate(names) if name is not None]
    if not columns:
        raise WorkbookProblem(
            f"row {header_row} of the sheet {sheet!r} is empty; set source.header_row to its header"
        )
    yield [names[index] for index in columns]
    records = [row for row in rows[header_row:] if any(cell != "" for cell in row)]
    moments = [
        any(isinstance(row[index], datetime) for row in records if index < len(row))
        for index in range(len(names))
    ]
    for row in records:
        texts = [_text(cell, moments=column) for cell, column in zip(row, moments, strict=False)]
        texts += [None] * (len(names) - len(texts))
        if any(text is not None and names[index] is None for index, text in enumerate(texts)):
            yield {"raw": json.dumps(texts, ensure_ascii=False)}
        else:
            yield [texts[index] for index in columns]


def _text(cell: Any, *, moments: bool) -> str | None:
    """The canonical text of a cell.

    Args:
        cell: What the library gives.
        moments: The column holds dates with times; the library gives one at midnight as a date.
    """
    if cell == "":
        return None
    if isinstance(cell, timedelta):
        hours, seconds = divmod(cell // timedelta(seconds=1), 3600)
        return f"{hours:02}:{time(0, seconds // 60, seconds % 60, cell.microseconds).isoformat()[3:]}"
    if moments and isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - a workbook knows no zones
    return canonical_text(cell)


if __name__ == "__main__":
    main()
