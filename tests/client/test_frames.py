from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lume_dagster.client import ApiError, AsyncLumeClient, InvalidRequestError, LumeClient
from lume_dagster.client.frames import output_file
from lume_dagster.service import ServiceSettings, open_embedded
from lume_dagster.testing import Fault, RunScript, ScriptedLume
from tests.conftest import PROJECT

FLOW = {"name": "p", "version": "v1", "flow_version": "p:v1", "target_schema": {}}
FLIGHTS = (
    b"year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    b"origin,dest,air_time,distance,hour,minute,time_hour\n"
    b"2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z\n"
    b"2013,1,1,NA,1630,NA,NA,1815,NA,EV,4308,N18120,EWR,RDU,NA,416,16,30,2013-01-01T21:00:00Z\n"
)
NESTED_FLOW = """
target_schema:
  type: object
  properties:
    o:
      type: [object, "null"]
      properties:
        day: {type: [string, "null"], format: date}
        tags: {type: [array, "null"], items: {type: string}}
    l: {type: [array, "null"], items: {type: string, format: date-time}}
mapper:
  o.day: {extract: a}
  o.tags: {list: [a]}
  l: {split: {from: b, by: ";"}}
"""


@pytest.mark.parametrize("kind", ["mapped", "rejects"])
def test_pages_make_the_same_table_as_the_file(kind: Any, tmp_path: Path) -> None:
    batch = tmp_path / "2013-01-01.csv"
    batch.write_bytes(FLIGHTS)
    embedded = open_embedded(ServiceSettings(home=tmp_path / "home", flows=PROJECT / "flows"))
    with LumeClient("http://lume.test", transport=embedded) as client:
        run = client.wait(client.run("flights:v1", str(batch)))
        from_file = client.results_frame(run, kind, "arrow")
        unreachable = run.model_copy(update={"metadata": {**run.metadata, "target_locations": None}})
        from_pages = client.results_frame(unreachable, kind, "arrow")
    assert from_file.num_rows == 1
    assert [plain(row) for row in from_pages.to_pylist()] == [plain(row) for row in from_file.to_pylist()]
    assert from_pages.schema.names == from_file.schema.names
    if kind == "mapped":
        assert from_pages.schema.types == from_file.schema.types


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose record is compared by its content, not by how the JSON is spaced."""
    return row | {"source_record": json.loads(row["source_record"])} if "source_record" in row else row


def test_no_records_still_have_columns() -> None:
    flow = {
        "name": "p",
        "version": "v1",
        "flow_version": "p:v1",
        "target_schema": {
            "properties": {"id": {"type": "integer"}, "on": {"type": "string", "format": "date"}}
        },
    }
    with ScriptedLume(RunScript(["SUCCEEDED"]), flows=[flow]) as lume, LumeClient(lume.url) as client:
        run = client.wait(client.run("p:v1", "x"))
        assert client.results_frame(run, "mapped", "arrow").schema == pa.schema(
            {"id": pa.int64(), "on": pa.date32()}
        )
        assert client.results_frame(run, "rejects", "arrow").num_rows == 0


@pytest.mark.parametrize("location", [None, "/nowhere/x.parquet", "ftp://x/y", "no file at all"])
def test_what_cannot_be_reached_is_no_file(location: str | None) -> None:
    script = RunScript(["SUCCEEDED"], {"target_locations": {"mapped": location}})
    with ScriptedLume(script) as lume, LumeClient(lume.url) as client:
        assert output_file(client.wait(client.run("p:v1", "x")), "mapped") is None


def test_pages_are_got_side_by_side_and_kept_in_order(tmp_path: Path) -> None:
    mapped = [{"id": number} for number in range(1_234)]
    flow = {**FLOW, "target_schema": {"properties": {"id": {"type": "integer"}}}}
    with ScriptedLume(RunScript(["SUCCEEDED"], mapped=mapped), flows=[flow]) as lume:
        run_id = lume.add_run("p:v1")
        # The second page comes last.
        lume.inject(Fault.slow(0.3), path="/results", times=2)
        started = time.monotonic()
        with LumeClient(lume.url) as client:
            frame = client.results_frame(run_id, frame="pandas")
        assert list(frame["id"]) == list(range(1_234))
        assert time.monotonic() - started < 2
        assert len(lume.asked("GET", "/results")) == 13

        async def ask() -> Any:
            async with AsyncLumeClient(lume.url) as client:
                return await client.results_frame(run_id, frame="polars")

        assert asyncio.run(ask())["id"].to_list() == list(range(1_234))


@pytest.mark.parametrize("fault", [Fault.status(404), Fault.status(200, b'{"items": 7}')])
def test_a_page_that_is_missing_is_an_error(fault: Fault) -> None:
    script = RunScript(["SUCCEEDED"], mapped=[{"id": number} for number in range(1_000)])
    with ScriptedLume(script, flows=[FLOW]) as lume, LumeClient(lume.url) as client:
        run_id = lume.add_run("p:v1")
        client.results(run_id)
        lume.inject(fault, path="/results", times=3)
        with pytest.raises(ApiError):
            client.results_frame(run_id)


def test_a_run_under_way_has_no_frame() -> None:
    with ScriptedLume(RunScript(["TRANSFORMING"]), flows=[FLOW]) as lume, LumeClient(lume.url) as client:
        run = client.run("p:v1", "x")
        with pytest.raises(InvalidRequestError, match="not final"):
            client.results_frame(run)


def test_an_unknown_library_or_kind_is_told_before_anything_is_asked() -> None:
    with ScriptedLume(flows=[FLOW]) as lume, LumeClient(lume.url) as client:
        with pytest.raises(ValueError, match="'pandas', 'polars' or 'arrow', not 'dask'"):
            client.results_frame("run_x", frame="dask")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'mapped' or 'rejects', not 'both'"):
            client.results_frame("run_x", "both")  # type: ignore[arg-type]
        assert lume.requests == []


def test_objects_and_arrays_from_pages_are_those_of_the_file(tmp_path: Path) -> None:
    flow = tmp_path / "flows" / "nested" / "v1.yaml"
    flow.parent.mkdir(parents=True)
    flow.write_text(NESTED_FLOW)
    batch = tmp_path / "batch.csv"
    batch.write_text("a,b\n2013-02-03,2013-02-03T10:00:00Z;2013-02-03T10:00:00.5Z\n,\n")
    embedded = open_embedded(ServiceSettings(home=tmp_path / "home", flows=flow.parent.parent))
    with LumeClient("http://lume.test", transport=embedded) as client:
        run = client.wait(client.run("nested:v1", str(batch)))
        from_file = client.results_frame(run, "mapped", "arrow")
        unreachable = run.model_copy(update={"metadata": {**run.metadata, "target_locations": None}})
        assert client.results_frame(unreachable, "mapped", "arrow").equals(from_file)
    assert [row["o"] for row in from_file.to_pylist()] == [
        {"day": date(2013, 2, 3), "tags": ["2013-02-03"]},
        None,
    ]
    assert [len(row["l"] or ()) for row in from_file.to_pylist()] == [2, 0]


def test_a_library_that_is_missing_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with (
        LumeClient("http://lume.test") as client,
        pytest.raises(ImportError, match=r"lume-dagster\[polars\]"),
    ):
        client.results_frame("run_x", frame="polars")
