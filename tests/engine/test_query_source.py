"""Batches that a query finds in a real database."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from lume_dagster.engine import BatchError, CancelledError, Engine, FlowError, parse_flow
from lume_dagster.engine import database as database_module
from lume_dagster.engine import duckdb_database as duckdb_module
from lume_dagster.engine.errors import UnavailableError
from lume_dagster.engine.query import QueryProblem, bindable
from tests.engine.conftest import document
from tests.engine.databases import PASSWORD, postgres_url

__all__ = ["postgres_url"]

QUERY = "SELECT * FROM invoices WHERE batch_id = :source_path AND note <> ':source_path; x' ORDER BY id"
FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "amount": {"type": "number"},
    "day": {"type": ["string", "null"], "format": "date"},
}


def flow(query: str = QUERY, **source: Any) -> Any:
    mapper = {name: {"extract": name} for name in FIELDS}
    settings = {"format": "query", "connection_env": "INVOICES_URL", "query": query, **source}
    return parse_flow(document(FIELDS, mapper, **settings), name="x", version="v1")


@pytest.fixture(params=["sqlite", "postgresql", "duckdb"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "duckdb":
        with duckdb.connect(str(tmp_path / "invoices.duckdb")) as file:
            file.execute(
                "CREATE TABLE invoices AS SELECT range AS id, 1.50 AS amount, DATE '2013-02-03' AS day,"
                " CASE WHEN range % 2 = 1 THEN 'b1' ELSE 'b''2' END AS batch_id, 'n' AS note FROM range(20001)"
            )
        monkeypatch.setenv("INVOICES_URL", f"duckdb:///{tmp_path}/invoices.duckdb")
        return f"duckdb:///{tmp_path}/invoices.duckdb"
    if request.param == "sqlite":
        url = native = f"sqlite:///{tmp_path}/invoices.db"
    else:
        url = request.getfixturevalue("postgres_url")
        native = url.replace("postgresql:", "postgresql+psycopg:")
    database = sa.create_engine(native)
    with database.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS invoices"))
        connection.execute(
            sa.text(
                "CREATE TABLE invoices (id BIGINT, amount NUMERIC(10, 2), day DATE, batch_id TEXT, note TEXT)"
            )
        )
        connection.execute(
            sa.text("INSERT INTO invoices VALUES (:id, 1.50, '2013-02-03', :batch, 'n')"),
            [{"id": number, "batch": "b1" if number % 2 else "b'2"} for number in range(20_001)],
        )
    database.dispose()
    monkeypatch.setenv("INVOICES_URL", url)
    return str(url)


def test_the_batch_is_bound_and_streamed(engine: Engine, work: Path, url: str) -> None:
    for batch, rows in (("b1", 10_000), ("b'2", 10_001)):
        result = engine.transform(flow(), engine.ingest(flow(), batch, work), work)
        assert (result.mapped_rows, result.rejected_rows, result.format) == (rows, 0, "query")
    (first,) = engine.results_page(result.mapped_path, 0, 1)
    assert first == {"id": 0, "amount": 1.5, "day": "2013-02-03"}


def test_a_batch_that_is_not_there_is_no_injection(engine: Engine, work: Path, url: str) -> None:
    with pytest.raises(BatchError, match=r"finds no record; set source\.allow_empty"):
        engine.ingest(flow(), "x' OR '1'='1", work)
    assert engine.ingest(flow(allow_empty=True), "x' OR '1'='1", work).rows == 0


def test_what_the_database_refuses_is_told_without_the_password(
    engine: Engine, work: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BatchError, match=r"the database of INVOICES_URL says: .*nowhere"):
        engine.ingest(flow("SELECT * FROM nowhere WHERE a = :source_path"), "b1", work)
    with pytest.raises(BatchError, match="not there: 'amount'"):
        engine.ingest(flow("SELECT id FROM invoices WHERE batch_id = :source_path"), "b1", work)
    if url.startswith("postgresql"):
        monkeypatch.setenv("INVOICES_URL", url.replace(PASSWORD, PASSWORD + "x"))
        with pytest.raises(BatchError, match="password authentication failed") as refused:
            engine.ingest(flow(), "b1", work)
        assert PASSWORD not in str(refused.value)


def test_the_connection_only_reads(engine: Engine, work: Path, url: str) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("the others have no function that writes")
    admin = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with admin.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE OR REPLACE FUNCTION wipe() RETURNS BIGINT LANGUAGE sql AS 'DELETE FROM invoices RETURNING 1'"
            )
        )
    admin.dispose()
    with pytest.raises(BatchError, match="read-only transaction"):
        engine.ingest(
            flow("SELECT wipe() AS id, amount, day FROM invoices WHERE batch_id = :source_path"), "b1", work
        )


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "INVOICES_URL is not set"), ("nonsense " + PASSWORD, "holds no database URL"),
     (f"mysql://u:{PASSWORD}@h/d", "use postgresql, sqlite or duckdb")],
)  # fmt: skip
def test_a_variable_that_is_no_url(
    engine: Engine, work: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    monkeypatch.delenv("INVOICES_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("INVOICES_URL", value)
    with pytest.raises(BatchError, match=said) as refused:
        engine.ingest(flow(), "b1", work)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM x WHERE a = :source_path", "starts with SELECT or WITH"),
        ("SELECT 1; SELECT :source_path", "more than one statement"),
        ("WITH d AS (DELETE FROM x RETURNING *) SELECT * FROM d WHERE a = :source_path", "the word delete"),
        ("SELECT * INTO y FROM x WHERE a = :source_path", "the word into"),
        ("SELECT 1 -- :source_path", "must name the batch"),
        ("SELECT ':source_path'", "must name the batch"),
        ("SELECT :source_path, :other", "the only parameter"),
        ("", "must be one statement"),
    ],
)
def test_queries_that_are_refused(query: str, said: str) -> None:
    with pytest.raises(QueryProblem, match=said):
        bindable(query)
    with pytest.raises(FlowError, match=f"/source/query: .*{said}"):
        flow(query)


def test_texts_names_and_casts_of_a_query_stay() -> None:
    query = """SELECT "update", 'a:b;', x::text, /* :c ; */ $$:d;$$ FROM t WHERE b = :source_path ; -- end"""
    assert bindable(query) == (
        r"""SELECT "update", 'a\:b;', x\:\:text,   $$\:d;$$ FROM t WHERE b = :source_path"""
    )


def test_a_flow_file_never_holds_a_url() -> None:
    with pytest.raises(
        FlowError, match="/source/connection_env: must be the name of an environment"
    ) as refused:
        flow(connection_env=f"postgresql://u:{PASSWORD}@h/d")
    assert PASSWORD not in str(refused.value)
    with pytest.raises(FlowError, match="format: query needs connection_env and query"):
        flow(connection_env=None)


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
    " SELECT max(i) AS id, 1 AS amount, NULL AS day FROM n WHERE :source_path <> ''",
    "postgresql": "SELECT 1 AS id, 1 AS amount, NULL AS day FROM pg_sleep(60) WHERE :source_path <> ''",
    "duckdb": "SELECT count(*) AS id, 1 AS amount, NULL AS day FROM range(1000000) a, range(1000000) b"
    " WHERE a.range <> b.range AND :source_path <> ''",
}


def test_a_query_is_cancelled_before_its_first_row(engine: Engine, work: Path, url: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        engine.ingest(flow(SLOW[url.partition(":")[0]]), "b1", work, cancel)
    assert time.monotonic() - started < 5
    assert not list(work.iterdir())


def test_a_database_that_is_in_use_is_worth_another_try(
    engine: Engine, work: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("postgresql"):
        pytest.skip("readers never wait there")
    monkeypatch.setattr(database_module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(duckdb_module, "CONNECT_SECONDS", 0.2)
    path = url.partition(":///")[2]
    other = sqlite3.connect(path) if url.startswith("sqlite") else duckdb.connect(path)
    other.execute("BEGIN EXCLUSIVE" if url.startswith("sqlite") else "BEGIN")
    with pytest.raises(UnavailableError, match="the database of INVOICES_URL says: "):
        engine.ingest(flow(), "b1", work)
    other.close()
    assert engine.ingest(flow(), "b1", work).rows == 10_000


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd') WHERE :source_path <> ''",
        "SELECT * FROM '/etc/hostname' WHERE :source_path <> ''",
        "SELECT getenv('HOME') AS id, 1 AS amount, NULL AS day WHERE :source_path <> ''",
        "SELECT * FROM glob('/etc/*') WHERE :source_path <> ''",
    ],
)
def test_a_duckdb_file_is_all_that_its_query_reaches(
    engine: Engine, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    monkeypatch.setenv("INVOICES_URL", f"duckdb:///{tmp_path}/x.duckdb")
    with pytest.raises(BatchError, match=r"INVOICES_URL says: (Permission|Catalog) Error"):
        engine.ingest(flow(query), "b1", work)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("duckdb:///", "names no file"),
        ("duckdb:///:memory:", "names no file"),
        ("duckdb:////nowhere/x", "is not there"),
    ],
)
def test_a_duckdb_file_that_is_none(
    engine: Engine, work: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("INVOICES_URL", value)
    with pytest.raises(BatchError, match=said):
        engine.ingest(flow(), "b1", work)


def test_values_of_duckdb_have_their_canonical_texts(
    engine: Engine, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    monkeypatch.setenv("INVOICES_URL", f"duckdb:///{tmp_path}/x.duckdb")
    query = (
        "SELECT 12::DOUBLE a, 1.50 b, TIMESTAMPTZ '2013-02-03 10:00:00+02' c, [1, 2] d, sum(3) e, true f"
        " WHERE :source_path <> ''"
    )
    text = {"type": ["string", "null"]}
    settings = {"format": "query", "connection_env": "INVOICES_URL", "query": query}
    document_of_all = document(
        dict.fromkeys("abcdef", text), {name: {"extract": name} for name in "abcdef"}, **settings
    )
    all_texts = parse_flow(document_of_all, name="x", version="v1")
    result = engine.transform(all_texts, engine.ingest(all_texts, "b", work), work)
    assert engine.results_page(result.mapped_path, 0, 1) == [
        {"a": "12", "b": "1.50", "c": "2013-02-03T08:00:00Z", "d": "[1, 2]", "e": "3", "f": "true"}
    ]
