"""The table of cast rules in the documentation, each of its cases from each source format."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import Engine, parse_flow
from tests.conftest import PROJECT
from tests.engine.conftest import Outcome, document
from tests.engine.reference import ERROR_OF_CAST, TEMPORAL, cast

Record = dict[str, str]


@cache
def cases() -> dict[str, tuple[list[str], list[str]]]:
    """For each type the texts that are accepted and those that are refused."""
    page = (PROJECT / "docs" / "flow-versions.md").read_text()
    table = page.partition("| type | accepted | refused |\n")[2].partition("\n\n")[0]
    rows = [row.strip("|").split(" | ") for row in table.splitlines()[1:]]
    return {
        row[0].strip(): (re.findall("`([^`]+)`", row[1]), re.findall("`([^`]+)`", "".join(row[2:])))
        for row in rows
    }


def schema(kind: str) -> dict[str, Any]:
    if kind in ("integer", "number", "boolean"):
        return {"type": kind}
    return {"type": "string"} | ({"format": kind} if kind in TEMPORAL else {})


def write_csv(path: Path, record: Record) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(record), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerow(record)


def write_parquet(path: Path, record: Record) -> None:
    pq.write_table(pa.Table.from_pylist([record]), path)


def write_excel(path: Path, record: Record) -> None:
    book = openpyxl.Workbook()
    book.active.append(list(record))
    book.active.append(list(record.values()))
    book.save(path)


WRITERS: dict[str, Callable[[Path, Record], Any]] = {
    "csv": write_csv,
    "jsonl": lambda path, record: path.write_text(json.dumps(record)),
    "json": lambda path, record: path.write_text(json.dumps([record])),
    "parquet": write_parquet,
    "xlsx": write_excel,
}


def mapped(
    engine: Engine, work: Path, name: str, texts: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    """Map one record, of whose fields each is of a type and has a text."""
    record = {f"c{number}": text for number, (_, text) in enumerate(texts)}
    properties = {f"c{number}": schema(kind) for number, (kind, _) in enumerate(texts)}
    source: dict[str, Any] = {}
    batch = work / f"batch.{name}"
    if name == "query":
        monkeypatch.setenv("BATCH_URL", f"sqlite:///{batch}")
        with sqlite3.connect(batch) as database:
            database.execute(f"CREATE TABLE t ({', '.join(record)})")
            database.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(record))})", list(record.values()))
        database.close()
        query = "SELECT * FROM t WHERE :source_path <> ''"
        source = {"format": "query", "connection_env": "BATCH_URL", "query": query}
    else:
        WRITERS[name](batch, record)
    flow = parse_flow(
        document(properties, {column: {"extract": column} for column in record}, **source),
        name="x",
        version="v1",
    )
    return Outcome(engine.transform(flow, engine.ingest(flow, str(batch), work), work))


@pytest.mark.parametrize("name", [*WRITERS, "query"])
def test_every_case_of_the_table(
    engine: Engine, work: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [(kind, text) for kind, (accepted, _) in cases().items() for text in accepted]
    bad = [(kind, text) for kind, (_, refused) in cases().items() for text in refused]
    assert len(good) > 30
    assert len(bad) > 40
    (record,) = mapped(engine, work, name, good, monkeypatch).mapped
    for (kind, text), value in zip(good, record.values(), strict=True):
        expected = cast(text, kind)
        assert type(value) is type(expected), (kind, text)
        assert value == expected, (kind, text)
    (work / f"batch.{name}").unlink()
    if name == "xlsx":  # there a cell of blanks alone is an empty one
        bad = [(kind, text) for kind, text in bad if text.strip()]
    found = mapped(engine, work, name, bad, monkeypatch).errors[1]
    assert found == [
        (f"c{number}", ERROR_OF_CAST.get(kind, "type"), text) for number, (kind, text) in enumerate(bad)
    ]


def test_the_table_names_all_types() -> None:
    assert set(cases()) == {
        "text", "integer", "number", "boolean", "date", "date-time", "date-time-local", "time-local",
    }  # fmt: skip


@pytest.mark.parametrize("name", [*WRITERS, "query"])
def test_hostile_texts_come_through_each_format_as_they_are(
    engine: Engine, work: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        "'); DROP TABLE t; --", 'a"b""c', "../../etc/passwd", "<script>alert(1)</script>", "=cmd|' /C calc'!A0",
        "@SUM(1)", "\U0001f469\u200d\U0001f467", "\u202eabc\u200f", "$$;$1", "{x}", "\\N", "a\tb", "%00",
        "x" * (30_000 if name == "xlsx" else 1_000_000),
    ]  # fmt: skip
    if name != "xlsx":  # where a line break has one form only, and an = at the start is a formula
        texts += ["a\r\nb\rc\nd", "e\u0301\u0000" if name not in ("csv", "query") else "e\u0301", "=1+1"]
    texts = [text for text in texts if name != "xlsx" or not text.startswith("=")]
    (record,) = mapped(engine, work, name, [("text", text) for text in texts], monkeypatch).mapped
    assert list(record.values()) == texts


@pytest.mark.parametrize("name", [*WRITERS, "query"])
def test_null_is_absent_and_an_empty_text_is_what_the_flow_says(
    engine: Engine, work: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = mapped(engine, work, name, [("text", ""), ("text", "x")], monkeypatch)
    assert outcome.errors == {1: [("c0", "required", None)]}


def test_an_excel_date_in_a_column_of_moments_is_midnight(
    engine: Engine, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["at"])
    for moment in (datetime(2012, 2, 29), datetime(2013, 2, 3, 5)):  # noqa: DTZ001
        book.active.append([moment])
    book.save(work / "x.xlsx")
    flow = parse_flow(
        document({"at": schema("date-time-local")}, {"at": {"extract": "at"}}), name="x", version="v1"
    )
    outcome = Outcome(engine.transform(flow, engine.ingest(flow, str(work / "x.xlsx"), work), work))
    assert [row["at"] for row in outcome.mapped] == [datetime(2012, 2, 29), datetime(2013, 2, 3, 5)]  # noqa: DTZ001
