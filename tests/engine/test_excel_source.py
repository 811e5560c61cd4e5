"""Workbooks: typed cells, sheets, headers, and what is no workbook."""

# ruff: noqa: DTZ001 - a workbook knows no zones

from __future__ import annotations

import os
import struct
import subprocess
import threading
import time
import zipfile
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from lume_dagster.engine import BatchError, CancelledError, Engine, parse_flow
from lume_dagster.engine import excel_source as excel_module
from tests.engine.conftest import Outcome, Run, document, one_field

TEXT: dict[str, Any] = {"type": ["string", "null"]}
Rows = list[list[Any]]


def workbook(path: Path, rows: Rows, name: str = "Data", more: dict[str, Rows] | None = None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, content in {name: rows, **(more or {})}.items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(row)
    book.save(path)
    return path.read_bytes()


def texts(run: Run, content: bytes, columns: list[str], name: str = "batch.xlsx", **source: Any) -> Outcome:
    return run(
        document(dict.fromkeys(columns, TEXT), {column: {"extract": column} for column in columns}, **source),
        content,
        name,
    )


CELLS: list[tuple[Any, str | None]] = [
    (12, "12"),
    (12.0, "12"),
    (12.5, "12.5"),
    (-0.0, "0"),
    (1e20, "1e+20"),
    (0.1, "0.1"),
    (True, "true"),
    ("007", "007"),
    (" a ", " a "),
    ("=1+1 is text", "=1+1 is text"),
    (date(2013, 2, 3), "2013-02-03"),
    (datetime(2013, 2, 3, 10, 5, 0, 500000), "2013-02-03T10:05:00.500000"),
    (clock(10, 5), "10:05:00"),
    (timedelta(hours=30, minutes=15), "30:15:00"),
    ("#N/A", "#N/A"),
    ("#DIV/0!", "#DIV/0!"),
    ("<b>'; DROP TABLE x</b>\u202e\U0001f469", "<b>'; DROP TABLE x</b>\u202e\U0001f469"),
    (None, None),
    ("", None),
]


def test_the_texts_of_cells(run: Run, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    columns = [f"c{number}" for number in range(len(CELLS))]
    book.active.append(columns)
    for number, (value, _) in enumerate(CELLS, 1):
        cell = book.active.cell(2, number, value)
        if isinstance(value, str) and value.startswith("="):
            cell.data_type = "s"
    book.save(tmp_path / "x.xlsx")
    outcome = texts(run, (tmp_path / "x.xlsx").read_bytes(), columns)
    assert outcome.mapped == [dict(zip(columns, (text for _, text in CELLS), strict=True))]


def test_typed_cells_meet_the_cast_rules(run: Run, tmp_path: Path) -> None:
    rows = [
        ["n", "d", "at"],
        [3, date(2013, 2, 3), datetime(2013, 2, 3)],
        [3.5, "2013-02-30", datetime(2013, 2, 3, 1)],
    ]
    properties = {
        "n": {"type": "integer"},
        "d": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time-local"},
    }
    flow = document(properties, {name: {"extract": name} for name in properties})
    outcome = run(flow, workbook(tmp_path / "x.xlsx", rows), "batch.xlsx")
    assert outcome.mapped == [{"n": 3, "d": date(2013, 2, 3), "at": datetime(2013, 2, 3)}]
    assert outcome.errors == {2: [("n", "type", "3.5"), ("d", "format", "2013-02-30")]}
    assert outcome.rejects[0]["source_record"] == '{"n":"3.5","d":"2013-02-30","at":"2013-02-03T01:00:00"}'
    assert outcome.result.format == "excel"


def test_an_error_is_not_an_empty_cell(run: Run, tmp_path: Path) -> None:
    rows = [["a", "b"], ["#REF!", 1], [None, 2]]
    content = workbook(tmp_path / "x.xlsx", [["z"]], "first", {"Data & more": rows})
    flow = one_field({"type": ["number", "null"]}, {"extract": "a"}, sheet="Data & more", ignore=["b"])
    outcome = run(flow, content, "batch.xlsx")
    assert outcome.errors == {1: [("x", "type", "#REF!")]}
    assert outcome.mapped == [{"x": None}]


def test_a_formula_gives_its_last_result(run: Run, tmp_path: Path) -> None:
    workbook(tmp_path / "x.xlsx", [["a"], ["=6*7"]])
    parts = {}
    with zipfile.ZipFile(tmp_path / "x.xlsx") as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b"<v />", b"<v>42</v>").replace(b"<v></v>", b"<v>42</v>")
    with zipfile.ZipFile(tmp_path / "y.xlsx", "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    assert texts(run, (tmp_path / "y.xlsx").read_bytes(), ["a"]).mapped == [{"a": "42"}]


def test_sheets_and_headers(run: Run, tmp_path: Path) -> None:
    rows: Rows = [
        ["Report of today"],
        [],
        ["a", None, 2013],
        ["1", None, 5],
        [None, None, None],
        ["2"],
        ["3", "stray", 1],
    ]
    content = workbook(tmp_path / "x.xlsx", [["a", "2013"], ["first", 1]], "One", {"Two": rows})
    assert texts(run, content, ["a", "2013"]).mapped == [{"a": "first", "2013": "1"}]
    for sheet in ("Two", 2):
        outcome = texts(run, content, ["a", "2013"], sheet=sheet, header_row=3)
        assert outcome.mapped == [{"a": "1", "2013": "5"}, {"a": "2", "2013": None}]
        assert outcome.errors == {3: [(None, "unparsable", None)]}
        assert outcome.rejects[0]["source_record"] == '{"raw":"[\\"3\\", \\"stray\\", \\"1\\"]"}'
        assert "no name in the header" in outcome.rejects[0]["errors"][0]["message"]


@pytest.mark.parametrize(
    ("rows", "source", "message"),
    [
        ([["a"], ["1"]], {"sheet": "Nope"}, "no sheet 'Nope'; set source.sheet to one of 'Data'"),
        ([["a"], ["1"]], {"sheet": 2}, "no sheet 2; the workbook has 'Data'"),
        ([["a"], ["1"]], {"header_row": 5}, "has 2 rows, and the header is looked for in row 5"),
        ([[], ["a"]], {}, "row 1 of the sheet 'Data' is empty"),
        ([["a", "b", "a"], ["1"]], {}, "names the column 'a' more than once"),
        ([["a"]], {}, "no record after it"),
        ([["b"], ["1"]], {}, "of the columns that the flow reads none is there"),
    ],
)
def test_what_the_flow_does_not_say(
    run: Run, tmp_path: Path, rows: Rows, source: dict[str, Any], message: str
) -> None:
    with pytest.raises(BatchError, match=message):
        texts(run, workbook(tmp_path / "x.xlsx", rows), ["a"], **source)


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600]
)
def test_what_is_no_workbook(run: Run, content: bytes) -> None:
    with pytest.raises(BatchError, match=r"file is empty|no workbook that can be read"):
        texts(run, content, ["a"])


def test_an_encrypted_workbook(run: Run) -> None:
    with pytest.raises(BatchError, match="is encrypted; save it without a password"):
        texts(run, encrypted_workbook(), ["a"])


def encrypted_workbook() -> bytes:
    """A compound file with the stream that an encrypted workbook has, and nothing but zeros in it."""
    end, in_fat, free = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9L109L", 0, 1, 1, 0, 4096, end, 0, end, 0, 0, *[free] * 108)
    table = struct.pack("<128L", in_fat, end, *range(3, 10), end, *[free] * 118)
    directory = b""
    for title, kind, child, start, size in (
        ("Root Entry", 5, 1, end, 0),
        ("EncryptedPackage", 2, free, 2, 4096),
    ):
        name = (title + "\0").encode("utf-16-le")
        directory += name.ljust(64, b"\0") + struct.pack("<HBBLLL", len(name), kind, 1, free, free, child)
        directory += bytes(36) + struct.pack("<LQ", start, size)
    return header + table + directory.ljust(512, b"\0") + bytes(4096)


def test_a_broken_workbook(run: Run, tmp_path: Path) -> None:
    content = workbook(tmp_path / "x.xlsx", [["a"], *([[str(n)] for n in range(500)])])
    with pytest.raises(BatchError, match="no workbook that can be read"):
        texts(run, content[: len(content) // 2], ["a"])


def test_a_cell_far_out_ends_the_batch_and_not_the_process(run: Run, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "a"
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(BatchError, match="within 2 GB of memory"):
        texts(run, (tmp_path / "x.xlsx").read_bytes(), ["a"])


def test_what_unpacks_to_too_much(run: Run, tmp_path: Path) -> None:
    content = bytearray(workbook(tmp_path / "x.xlsx", [["a"], ["1"]]))
    size_in_directory = content.index(b"PK\x01\x02") + 24
    content[size_in_directory : size_in_directory + 4] = (1100 << 20).to_bytes(4, "little")
    with pytest.raises(BatchError, match=r"unpacks to 110[0-9] MB"):
        texts(run, bytes(content), ["a"])


def test_a_file_that_is_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_module, "_MAX_BYTES", 1 << 20)
    with pytest.raises(BatchError, match="larger than 1 MB"):
        texts(run, os.urandom(2 << 20), ["a"])


def test_cancelling_ends_the_reader(engine: Engine, work: Path) -> None:
    flow = parse_flow(one_field(TEXT, {"extract": "a"}), name="x", version="v1")
    workbook(work / "x.xlsx", [["a"], *([[n] for n in range(1000)])])
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        engine.ingest(flow, str(work / "x.xlsx"), work, cancel)
    assert time.monotonic() - started < 5
    assert [path.name for path in work.iterdir()] == ["x.xlsx"]
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in found.splitlines() if str(work) in line]
