"""What the engine's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import BatchResult, Engine, EngineSettings, parse_flow


def one_field(schema: dict[str, Any], entry: dict[str, Any], **source: Any) -> dict[str, Any]:
    """A flow document with one target field, `x`."""
    return document({"x": schema}, {"x": entry}, **source)


def document(properties: dict[str, Any], mapper: dict[str, Any], **source: Any) -> dict[str, Any]:
    """A flow document whose target fields are all optional unless their type says otherwise."""
    return {"source": source, "target_schema": {"type": "object", "properties": properties}, "mapper": mapper}


class Outcome:
    """What became of a batch, read back."""

    def __init__(self, result: BatchResult) -> None:
        self.result = result
        self.mapped = pq.read_table(result.mapped_path).to_pylist()
        self.rejects = pq.read_table(result.rejects_path).to_pylist()

    @property
    def errors(self) -> dict[int, list[tuple[str | None, str, str | None]]]:
        """Field, type and value of the errors, by row number."""
        return {
            row["row_number"]: [(error["field"], error["type"], error["value"]) for error in row["errors"]]
            for row in self.rejects
        }


class Run(Protocol):
    """Maps the content of a batch by a flow document."""

    def __call__(
        self, document: dict[str, Any], content: str | bytes, name: str = "batch.csv"
    ) -> Outcome: ...


@pytest.fixture(scope="session")
def engine_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def engine(engine_root: Path) -> Iterator[Engine]:
    with Engine(EngineSettings(directories=(engine_root,), memory_limit="500MB")) as engine:
        yield engine


@pytest.fixture
def work(engine_root: Path, request: pytest.FixtureRequest) -> Path:
    """A fresh directory that the engine may reach."""
    number = len(list(engine_root.iterdir()))
    folder = engine_root / f"work{number}"
    folder.mkdir()
    return folder


@pytest.fixture
def run(engine: Engine, work: Path) -> Run:
    def run(document: dict[str, Any], content: str | bytes, name: str = "batch.csv") -> Outcome:
        batch = work / name
        batch.write_bytes(content.encode() if isinstance(content, str) else content)
        flow = parse_flow(document, name="test", version="v1")
        return Outcome(engine.transform(flow, engine.ingest(flow, str(batch), work), work))

    return run
