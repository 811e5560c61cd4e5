"""Tables as targets, in real databases: each record once, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lume_dagster.engine import database as database_module
from lume_dagster.engine import duckdb_database as duckdb_module
from lume_dagster.service.models import CorrectRun, CreateRun, RecordCorrection, Run
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.status import ACTIVE
from tests.conftest import PEOPLE_FLOW
from tests.engine.databases import PASSWORD, postgres_url

__all__ = ["postgres_url"]

TARGET = "target: {format: table, connection_env: PEOPLE_URL, table: people}\n"
SELECT = "SELECT id, name, lume_batch, lume_run FROM people ORDER BY lume_batch, id"
Rows = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgresql", "duckdb"])
def rows(
    request: pytest.FixtureRequest, tmp_path: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> Rows:
    """Reads the table that people:v1 writes."""
    if request.param == "duckdb":
        return _rows_of_duckdb(tmp_path / "target.duckdb", flows, monkeypatch)
    if request.param == "sqlite":
        url = native = f"sqlite:///{tmp_path}/target.db"
    else:
        url = request.getfixturevalue("postgres_url")
        native = url.replace("postgresql:", "postgresql+psycopg:")
    (flows / "people" / "v1.yaml").write_text(PEOPLE_FLOW + TARGET)
    monkeypatch.setenv("PEOPLE_URL", url)
    database = sa.create_engine(native, poolclass=sa.NullPool)
    with database.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS people"))

    def read() -> list[tuple[Any, ...]]:
        if not sa.inspect(database).has_table("people"):
            return []
        with database.connect() as connection:
            found = connection.execute(sa.text(SELECT))
            return [tuple(row) for row in found]

    return read


def _rows_of_duckdb(path: Path, flows: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    (flows / "people" / "v1.yaml").write_text(PEOPLE_FLOW + TARGET)
    monkeypatch.setenv("PEOPLE_URL", f"duckdb:///{path}")

    def read() -> list[tuple[Any, ...]]:
        if not path.exists():
            return []
        with duckdb.connect(str(path)) as connection:
            tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            return connection.execute(SELECT).fetchall() if tables else []

    return read


def complete(service: LumeService, path: Path | str, **options: Any) -> Run:
    run, _ = service.create_run(CreateRun(flow_version="people:v1", source_path=str(path), **options))
    return asyncio.run(service.wait_for_run(run.id, 30, "final"))


def test_forced_reruns_leave_each_record_once(
    service: LumeService, people: Path, tmp_path: Path, rows: Rows
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("ID,Full Name,Mail\n1,Zoe,\n")
    complete(service, other)
    first = complete(service, people)
    assert first.metadata.target_locations is not None
    last = [complete(service, people, force_rerun=True) for _ in range(5)][-1]
    assert [(row[0], row[1], row[3]) for row in rows() if row[2] == str(people)] == [
        (1, "Ada", last.id),
        (2, "Bob", last.id),
    ]
    assert [row[1] for row in rows() if row[2] == str(other)] == ["Zoe"]
    again = complete(service, f"run:{last.id}")
    assert [row[3] for row in rows() if row[2] == str(people)] == [again.id] * 2


def test_a_batch_that_fails_leaves_the_table_as_it_was(
    service: LumeService, people: Path, rows: Rows
) -> None:
    complete(service, people)
    before = rows()
    people.write_text("ID,Full Name,Mail\nx,,\n")
    assert complete(service, people, force_rerun=True).status == "FAILED"
    assert rows() == before


def test_a_correction_writes_its_batch_anew_and_no_other(
    service: LumeService, people: Path, tmp_path: Path, rows: Rows
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("ID,Full Name,Mail\n1,Zoe,\n")
    beside = complete(service, other)
    first = complete(service, people)
    batch = [row[:2] for row in rows() if row[2] == str(people)]
    corrected, created = correct(service, first, {3: {"ID": "3"}})
    assert created
    assert rows() == sorted(
        [
            (1, "Zoe", str(other), beside.id),
            *((*row, str(people), corrected.id) for row in (*batch, (3, name_of(people, 3)))),
        ],
        key=lambda row: (row[2], row[0]),
    )
    before = rows()
    again, created = correct(service, first, {3: {"ID": "3"}})
    assert (again.id, created) == (corrected.id, False)
    assert rows() == before
    forced = complete(service, people, force_rerun=True)
    assert [row for row in rows() if row[2] == str(people)] == [
        (*row, str(people), forced.id) for row in batch
    ]


def correct(service: LumeService, run: Run, records: dict[int, dict[str, str | None]]) -> tuple[Run, bool]:
    asked = CorrectRun(
        records=[RecordCorrection(row_number=row, values=values) for row, values in records.items()]
    )
    corrected, created = service.correct_run(run.id, asked)
    return asyncio.run(service.wait_for_run(corrected.id, 30, "final")), created


def name_of(batch: Path, row: int) -> str:
    return batch.read_text().splitlines()[row].split(",")[1]


def test_what_the_database_refuses_fails_the_run(
    service: LumeService, people: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEOPLE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:9/x")
    failed = complete(service, people)
    assert failed.status == "FAILED"
    assert "target.connection_env: the database of PEOPLE_URL says" in (failed.metadata.error_message or "")
    assert PASSWORD not in (failed.metadata.error_message or "")
    assert rows() == []


def test_a_table_without_our_columns(service: LumeService, people: Path, rows: Rows) -> None:
    create = "CREATE TABLE people (id BIGINT, name TEXT, lume_batch TEXT, lume_run TEXT)"
    native = os.environ["PEOPLE_URL"].replace("postgresql:", "postgresql+psycopg:")
    if native.startswith("duckdb"):
        with duckdb.connect(native.removeprefix("duckdb:///")) as file:
            file.execute(create)
    else:
        with sa.create_engine(native, poolclass=sa.NullPool).begin() as connection:
            connection.execute(sa.text(create))
    failed = complete(service, people)
    assert "people has no column 'email', 'lume_flow'" in (failed.metadata.error_message or "")


KILLED = """
import asyncio, sys
from lume_dagster.service.models import CreateRun
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.status import ACTIVE
service = LumeService(ServiceSettings(home=sys.argv[1], flows=sys.argv[2], lease_seconds=1.0))
run, _ = service.create_run(CreateRun(flow_version="people:v1", source_path=sys.argv[3], force_rerun=True))
while True:
    run = asyncio.run(service.wait_for_run(run.id, 30, "change"))
    print(run.status, flush=True)
"""


def wait_until_lost(service: LumeService) -> None:
    deadline = time.monotonic() + 20
    while service.runs(flow_version=None, source_path=None, statuses=[*ACTIVE], page=1, size=1).total:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_kill_while_writing_leaves_the_old_batch_or_the_new_one(
    service: LumeService, settings: ServiceSettings, people: Path, rows: Rows
) -> None:
    people.write_text("ID,Full Name,Mail\n" + "".join(f"{number},Ada,\n" for number in range(1, 20_001)))
    complete(service, people)
    for delay in (0.0, 0.1, 0.4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(settings.home), str(settings.flows), str(people)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() not in ("CREATED", "PENDING", "SYNCING_SOURCE", "TRANSFORMING"):
                break
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = rows()
        assert [row[0] for row in found] == list(range(1, 20_001))
        assert len({row[3] for row in found}) == 1, "records of one run only"
        wait_until_lost(service)
    last = complete(service, people, force_rerun=True)
    assert last.status == "SUCCEEDED"
    assert {row[3] for row in rows()} == {last.id}
    assert len(rows()) == 20_000


def test_a_table_that_is_locked_crashes_the_run_so_that_it_is_tried_again(
    service: LumeService, people: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["PEOPLE_URL"]
    if url.startswith("postgresql"):
        monkeypatch.setenv("PEOPLE_URL", f"{url}&options=-c%20lock_timeout%3D200")
    monkeypatch.setattr(database_module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(duckdb_module, "CONNECT_SECONDS", 0.2)
    complete(service, people)
    with locked(url):
        crashed = complete(service, people, force_rerun=True)
    assert crashed.status == "CRASHED"
    assert "target.connection_env: the database of PEOPLE_URL says" in (crashed.metadata.error_message or "")
    assert complete(service, people, force_rerun=True).status == "PARTIAL_FAILED"


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the table of a database."""
    if url.startswith("duckdb"):
        with duckdb.connect(url.removeprefix("duckdb:///")):
            yield
        return
    database = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    with database.connect() as connection:
        sqlite = url.startswith("sqlite")
        connection.exec_driver_sql("BEGIN EXCLUSIVE" if sqlite else "LOCK TABLE people")
        yield


NASTY = {
    "quote": 'it\'s "quoted"; DROP TABLE nasty; --',
    "lines": "a\r\nb\nc,d\te\\N\\.",
    "empty": "",
    "unicode": "\u202e<b>\U0001f469\u200d\U0001f467</b> e\u0301",
    "long": "x" * 1_000_000,
}


def test_values_arrive_in_the_table_as_they_are(
    service: LumeService, flows: Path, tmp_path: Path, rows: Rows
) -> None:
    flow = flows / "nasty" / "v1.yaml"
    flow.parent.mkdir()
    flow.write_text(NASTY_FLOW + TARGET.replace("people}", "nasty}"))
    batch = tmp_path / "nasty.parquet"
    records = [
        {"id": name, "text": text, "n": 0.1, "at": "2013-02-03T10:00:00.5+02:00"}
        for name, text in NASTY.items()
    ]
    pq.write_table(
        pa.Table.from_pylist([*records, {"id": "null", "text": None, "n": None, "at": None}]), batch
    )
    run, _ = service.create_run(CreateRun(flow_version="nasty:v1", source_path=str(batch)))
    run = asyncio.run(service.wait_for_run(run.id, 30, "final"))
    assert run.status == "SUCCEEDED", run.metadata.error_message
    assert run.metadata.target_locations is not None
    assert run.metadata.target_locations.table == "nasty"
    found = {row["id"]: row for row in whole_table("nasty")}
    assert {name: row["text"] for name, row in found.items()} == NASTY | {"null": None}
    first, last = found["quote"], found["null"]
    assert (first["n"], first['a "b'], str(first["on"])) == (0.1, True, "2013-02-03")
    assert "2013-02-03" in str(first["at"])
    nested = json.loads(first["o"]) if isinstance(first["o"], str) else first["o"]
    assert nested == {"t": ["quote", "x"]}
    assert (last["n"], last["at"]) == (None, None)


def whole_table(name: str) -> list[dict[str, Any]]:
    url = os.environ["PEOPLE_URL"]
    if url.startswith("duckdb"):
        with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
            found = connection.sql(f"SELECT * FROM {name}").to_arrow_table().to_pylist()
            connection.execute(f"DROP TABLE {name}")
            return found
    database = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    with database.begin() as connection:
        rows = [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {name}"))]
        connection.execute(sa.text(f"DROP TABLE {name}"))
    return rows


NASTY_FLOW = """
source: {null_values: []}
target_schema:
  type: object
  properties:
    id: {type: string}
    text: {type: [string, "null"]}
    n: {type: [number, "null"]}
    'a "b': {type: boolean}
    on: {type: string, format: date}
    at: {type: [string, "null"], format: date-time}
    clock: {type: string, format: time-local}
    o: {type: object, properties: {t: {type: array, items: {type: string}}}}
mapper:
  id: {extract: id}
  text: {extract: text}
  n: {extract: n}
  'a "b': {constant: true}
  on: {constant: 2013-02-03}
  at: {extract: at}
  clock: {constant: "10:00:00.5"}
  o.t: {list: [id, {text: x}]}
"""
