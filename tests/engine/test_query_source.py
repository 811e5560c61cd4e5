"""Batches that a query finds in a real database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lume_dagster.engine import BatchError, Engine, FlowError, parse_flow
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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
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
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no function that writes")
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
     (f"mysql://u:{PASSWORD}@h/d", "use postgresql or sqlite")],
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
