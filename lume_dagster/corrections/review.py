"""Rejects as a file that a person can review in a spreadsheet."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from lume_dagster.client.frames import origin_run_id, source_columns
from lume_dagster.whole_file import whole_file

ROW_NUMBER, REASONS, RUN_ID = "row_number", "reasons", "run_id"

_NUMBER = re.compile(r"[+-]?[0-9.,]+")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_DELIMITERS = (",", ";", "\t")
_RAW = "raw"
_LONGEST_CELL = 2**31 - 1
_cell_limit = threading.Lock()


def write_review_csv(rejects: pa.Table, path: Path | str) -> int:
    """Writes a batch's rejects as a CSV file: row number, reasons, and the source's own columns.

    The source's columns are all there, if no reject has them even, so that a line that could not be parsed can be
    filled in. The last column, if the rejects came from Lume as they are, is the run that they are of: row numbers
    alone do not tell whether the source was read anew since. A value that a spreadsheet would take for a formula is
    written behind an apostrophe. The file appears whole or not at all.

    Args:
        rejects: The rejects as `LumeIOManager` or `LumeClient.results_frame` loads them, one row a record.
        path: The file; its folder is made if need be.

    Returns:
        The number of rejects written.

    Raises:
        ValueError: A value cannot be written: a NUL under Python 3.10, or what is no Unicode.
        OSError: The file cannot be written.
    """
    rows = [
        reject | {"source_record": source_record(reject["source_record"])} for reject in rejects.to_pylist()
    ]
    headings = _headings([*source_columns(rejects), *(name for row in rows for name in row["source_record"])])
    origin = {} if (run_id := origin_run_id(rejects)) is None else {RUN_ID: _cell(run_id)}
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [ROW_NUMBER, REASONS, *headings.values(), *origin], restval="")
        writer.writeheader()
        for row in rows:
            cells = {headings[name]: _cell(value) for name, value in row["source_record"].items()}
            cells |= {ROW_NUMBER: row["row_number"], REASONS: _cell(_reasons(row["errors"]))} | origin
            try:
                writer.writerow(cells)
            except csv.Error as error:
                raise ValueError(f"row {row['row_number']} cannot be written to {target}: {error}") from error
    return len(rows)


@dataclass(frozen=True)
class Review:
    """What a file of `write_review_csv` says, after somebody has corrected it.

    Attributes:
        records: The values of each record, by row number and source column; an empty cell is None.
        run_ids: The run that each record is a reject of, by row number; None where the file does not say.
    """

    records: Mapping[int, Mapping[str, str | None]]
    run_ids: Mapping[int, str | None]


def read_review_csv(file: TextIO, name: str, columns: Sequence[str]) -> Review:
    """Reads a file of `write_review_csv` back, after somebody has corrected it.

    The columns of the reasons and of the run may be gone, and so may rows, whose records then stay rejected. Cells
    may be parted by commas, semicolons or tabs, as spreadsheets write them.

    Args:
        file: The file, opened as `utf-8-sig` with its line ends as they are.
        name: What messages call it.
        columns: The source's columns, as the run tells them.

    Raises:
        ValueError: The file is not of this form; the message names the line.
        OSError: The file cannot be read.
    """
    with _long_cells():
        return _read(file, name, {heading: column for column, heading in _headings(columns).items()})


def _read(file: TextIO, name: str, fields: Mapping[str, str]) -> Review:
    """Reads a file whose headings, those of `fields`, stand for source columns."""
    found: dict[int, dict[str, str | None]] = {}
    run_ids: dict[int, str | None] = {}
    try:
        first = file.readline()
        rows = csv.reader(chain([first], file), delimiter=_delimiter(first), strict=True)
        header = next(rows, [])
        _check_header(name, header, fields)
        for cells in rows:
            if not any(cells):
                continue
            where = f"{name}, line {rows.line_num}"
            if len(cells) != len(header):
                raise ValueError(f"{where}: it has {len(cells)} cells, and the header has {len(header)}")
            row = dict(zip(header, cells, strict=True))
            number = row[ROW_NUMBER]
            if not (number.isascii() and number.isdecimal() and int(number)):
                raise ValueError(f"{where}: row_number is {number[:20]!r}; leave it as it was")
            if int(number) in found:
                raise ValueError(f"{where}: row {number} is there a second time; leave one")
            found[int(number)] = {fields[field]: _value(row[field]) for field in fields}
            run_ids[int(number)] = _value(row.get(RUN_ID, ""))
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: this is no UTF-8 text; save the file as CSV UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{name}, line {rows.line_num}: {error}") from error
    return Review(found, run_ids)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lifts the limit of the csv module on a cell's length, which is the process's: one file after another."""
    with _cell_limit:
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _delimiter(header: str) -> str:
    """The delimiter by which the row number has a column of its own; names of columns may hold the others."""

    def fitness(delimiter: str) -> tuple[bool, int]:
        try:
            cells = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return False, 0
        return ROW_NUMBER in cells, len(cells)

    return max(_DELIMITERS, key=fitness)


def _check_header(path: str, header: Sequence[str], names: Mapping[str, str]) -> None:
    twice = [name for name in header if header.count(name) > 1]
    unknown = [name for name in header if name not in {ROW_NUMBER, REASONS, RUN_ID, _RAW, *names}]
    missing = [name for name in (ROW_NUMBER, *names) if name not in header]
    if twice:
        raise ValueError(f"{path}, line 1: the column {twice[0]!r} is there twice; leave one")
    if missing:
        raise ValueError(
            f"{path}, line 1: columns are missing: {', '.join(map(repr, missing))}; put them back"
        )
    if unknown:
        raise ValueError(
            f"{path}, line 1: the batch has no column {', '.join(map(repr, unknown))}; take it out of the file"
        )


def source_record(record: str | Mapping[str, Any]) -> dict[str, Any]:
    """The source record of a reject, which tables hold as JSON."""
    return dict(json.loads(record) if isinstance(record, str) else record)


def _headings(columns: Iterable[str]) -> dict[str, str]:
    """What each source column is called in the file."""
    found: dict[str, str] = {}
    taken = {ROW_NUMBER, REASONS, RUN_ID}
    for column in dict.fromkeys(columns):
        heading = _cell(column)
        while heading in taken:
            heading = f"source {heading}"
        taken.add(heading)
        found[column] = heading
    return found


def _reasons(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{error['field']}: {error['message']}" if error["field"] else str(error["message"])
        for error in errors
    )


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if _is_formula(text) else text


def _value(cell: str) -> str | None:
    """What `_cell` made the cell from; no value and an empty one are the same in a CSV."""
    return (cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell) or None


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a text for a formula, or `_cell` could have made it from one."""
    return text.lstrip("'").startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text)
