"""The engine as a whole: cancelling, full disks, threads, limits, pages."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import BatchError, CancelledError, Engine, EngineError, EngineSettings, parse_flow
from tests.engine.conftest import document

FLOW = parse_flow(
    document(
        {"id": {"type": "integer", "isPrimaryKey": True}, "t": {"type": "string", "maxLength": 5}},
        {"id": {"extract": "id"}, "t": {"concat": ["a", "b"]}},
    ),
    name="test",
    version="v1",
)


def write(path: Path, rows: int) -> str:
    path.write_text("id,a,b\n" + "".join(f"{row},{row % 97},{row % 1500}\n" for row in range(rows)))
    return str(path)


def test_pages_anywhere_in_the_source_order(engine: Engine, work: Path) -> None:
    result = engine.transform(FLOW, engine.ingest(FLOW, write(work / "x.csv", 300_000), work), work)
    assert result.mapped_rows + result.rejected_rows == result.source_rows == 300_000
    assert result.mapped_rows > 130_000, "more than one row group"
    middle = result.mapped_rows // 2
    page = engine.results_page(result.mapped_path, middle, 3)
    assert len(page) == 3
    assert page == pq.read_table(result.mapped_path).slice(middle, 3).to_pylist()
    assert engine.results_page(result.mapped_path, result.mapped_rows - 1, 10) == [
        pq.read_table(result.mapped_path).slice(result.mapped_rows - 1).to_pylist()[0]
    ]
    assert engine.results_page(result.mapped_path, result.mapped_rows, 10) == []
    assert result.samples == engine.results_page(result.rejects_path, 0, 20)
    assert len(result.samples) == min(20, result.rejected_rows)
    with pytest.raises(EngineError, match=r"nothing\.parquet: No such file"):
        engine.results_page(work / "nothing.parquet", 0, 1)


def test_pages_are_json(engine: Engine, work: Path) -> None:
    values: dict[str, Any] = {
        "d": pa.array(["2013-02-03"]).cast(pa.date32()),
        "u": pa.array([1_359_885_600_500_000], pa.timestamp("us", "UTC")),
        "l": pa.array([1_359_885_600_000_000], pa.timestamp("us")),
        "t": pa.array([36_000_000_000], pa.time64("us")),
        "n": pa.array([float("nan")]),
        'we"ird': pa.array([1.5]),
    }
    pq.write_table(pa.table(values), work / "mapped.parquet")
    assert engine.results_page(work / "mapped.parquet", 0, 10) == [
        {"d": "2013-02-03", "u": "2013-02-03T10:00:00.5Z", "l": "2013-02-03T10:00:00", "t": "10:00:00", "n": None,
         'we"ird': 1.5}
    ]  # fmt: skip


def test_the_stored_input_can_be_mapped_again(engine: Engine, work: Path) -> None:
    staged = engine.ingest(FLOW, write(work / "x.csv", 10), work)
    again = engine.open_stage(work / "source.parquet", FLOW)
    assert again == staged
    other = parse_flow(
        document({"x": {"type": "string"}}, {"x": {"extract": "aa"}}), name="other", version="v1"
    )
    with pytest.raises(BatchError, match=r"none is there \('aa'\)"):
        engine.open_stage(work / "source.parquet", other)
    with pytest.raises(BatchError, match="no longer there"):
        engine.open_stage(work / "gone.parquet", FLOW)
    pq.write_table(pa.table({"a": pa.array([1], pa.duration("s"))}), work / "other.parquet")
    with pytest.raises(BatchError, match="no stored input"):
        engine.open_stage(work / "other.parquet", FLOW)


def test_a_parquet_batch_is_stored_as_it_is_and_can_be_mapped_again(engine: Engine, work: Path) -> None:
    flow = parse_flow(
        document({"x": {"type": "integer"}}, {"x": {"extract": "a"}}), name="kept", version="v1"
    )
    batch = work / "batch.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), batch)
    staged = engine.ingest(flow, str(batch), work)
    assert staged.path.read_bytes() == batch.read_bytes()
    batch.unlink()
    again = engine.open_stage(work / "source.parquet", flow)
    assert again == staged
    assert engine.transform(flow, again, work).mapped_rows == 2


def test_cancel_while_mapping_leaves_nothing(engine: Engine, work: Path) -> None:
    staged = engine.ingest(FLOW, write(work / "x.csv", 1_500_000), work)
    out = work / "out"
    out.mkdir()
    cancel = threading.Event()
    threading.Timer(0.15, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        engine.transform(FLOW, staged, out, cancel)
    assert time.monotonic() - started < 1.5
    assert list(out.iterdir()) == []
    assert engine.transform(FLOW, staged, out).source_rows == 1_500_000, "the engine goes on working"


def test_several_threads_at_once(engine: Engine, work: Path) -> None:
    def one(number: int) -> tuple[int, int]:
        folder = work / str(number)
        folder.mkdir()
        staged = engine.ingest(FLOW, write(folder / "x.csv", 1_000 * number), folder)
        result = engine.transform(FLOW, staged, folder, threading.Event())
        return result.source_rows, result.mapped_rows + result.rejected_rows

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(1, 13)))
    assert found == [(1_000 * number, 1_000 * number) for number in range(1, 13)]


def test_an_engine_without_directories_reaches_those_of_the_call(tmp_path: Path) -> None:
    with Engine() as engine:
        staged = engine.ingest(FLOW, write(tmp_path / "x.csv", 10), tmp_path)
        result = engine.transform(FLOW, staged, tmp_path)
        assert engine.results_page(result.mapped_path, 0, 1) == [{"id": 0, "t": "00"}]


def test_directories_outside_are_refused(engine: Engine, work: Path, tmp_path: Path) -> None:
    staged = engine.ingest(FLOW, write(work / "x.csv", 10), work)
    with pytest.raises(EngineError, match="outside the directories"):
        engine.transform(FLOW, staged, tmp_path)


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = Engine(EngineSettings(directories=(tmp_path,)))
    staged = engine.ingest(FLOW, write(tmp_path / "x.csv", 1), tmp_path)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.transform(FLOW, staged, tmp_path)


def test_a_directory_that_is_not_there(engine: Engine, work: Path) -> None:
    with pytest.raises(EngineError, match="No such file"):
        engine.ingest(FLOW, write(work / "x.csv", 1), work / "missing")
    staged = engine.ingest(FLOW, write(work / "x.csv", 1), work)
    with pytest.raises(EngineError, match="missing"):
        engine.transform(FLOW, staged, work / "missing")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from lume_dagster.engine import Engine, EngineError
from tests.engine.test_engine import FLOW

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, stage_limit, out_limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Engine() as engine:
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (stage_limit, resource.RLIM_INFINITY))
        staged = engine.ingest(FLOW, str(folder / "x.csv"), folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (out_limit, resource.RLIM_INFINITY))
        engine.transform(FLOW, staged, folder)
    except EngineError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("stage_limit", "out_limit", "left"), [(50_000, -1, []), (-1, 50_000, ["source.parquet"])]
)
def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, stage_limit: int, out_limit: int, left: list[str]
) -> None:
    write(tmp_path / "x.csv", 200_000)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(stage_limit), str(out_limit)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*left, "x.csv"])


def test_a_small_memory_limit_spills(tmp_path: Path) -> None:
    settings = EngineSettings(directories=(tmp_path,), memory_limit="100MB", threads=1)
    with Engine(settings) as engine:
        staged = engine.ingest(FLOW, write(tmp_path / "x.csv", 600_000), tmp_path)
        result = engine.transform(FLOW, staged, tmp_path)
    assert result.mapped_rows + result.rejected_rows == 600_000
