"""What the tests of drafts use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lume_dagster.engine import Engine
from lume_dagster.generator.drafting import Draft, Drafter
from lume_dagster.generator.sample import read_sample
from lume_dagster.generator.trial import Trial, try_draft

Drafting = Callable[..., tuple[Draft, Trial]]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@pytest.fixture
def drafted(engine: Engine, tmp_path: Path) -> Drafting:
    def make(batch: Path | str | bytes, properties: dict[str, Any], **source: Any) -> tuple[Draft, Trial]:
        path = tmp_path / "sample.csv"
        if isinstance(batch, Path):
            path = batch
        else:
            path.write_bytes(batch if isinstance(batch, bytes) else batch.encode())
        sample = read_sample(engine, str(path), source, tmp_path)
        schema = {"type": "object", "properties": properties}
        return try_draft(engine, Drafter(sample, schema).draft("a draft"), sample)

    return make
