from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lume_dagster.client import (
    AsyncLumeClient,
    LumeClient,
    LumeRun,
    NotFoundError,
    RunFailedError,
    RunHandle,
    RunTimeoutError,
)
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage

FLOWS = [
    {"name": "people", "version": version, "flow_version": f"people:{version}"}
    for version in ("v1", "v2", "v9", "v10")
]
LATER_SUCCEEDED = RunScript(
    ["CREATED", "TRANSFORMING", "SUCCEEDED"], {"rows": {"source": 1, "mapped": 1, "rejected": 0}}
)
FOREVER = RunScript(["CREATED", "TRANSFORMING"])


def test_a_run_is_renewed_in_place() -> None:
    with ScriptedLume(LATER_SUCCEEDED) as lume, LumeClient(lume.url) as client:
        run = client.run("people:v1", "x")
        assert (run.status, run.rows) == ("CREATED", None)
        assert run.refresh() is run
        assert run.status == "CREATED"
        assert run.refresh().status == "TRANSFORMING"
        assert run.wait(timeout=10, poll_interval=0.01) is run
        assert run.status == "SUCCEEDED"
        assert run.rows is not None
        assert run == client.run_status(run.id)


def test_an_asynchronous_run_is_renewed_in_place() -> None:
    async def main(url: str) -> None:
        async with AsyncLumeClient(url) as client:
            run = await client.run("people:v1", "x")
            assert (await run.refresh()) is run
            assert (await run.wait(timeout=10, poll_interval=0.01)) is run
            assert run.status == "SUCCEEDED"
            other = await client.run("people:v1", "y")
            await other.cancel()
            assert other.failed

    with ScriptedLume(LATER_SUCCEEDED) as lume:
        asyncio.run(main(lume.url))


def test_a_run_whose_wait_was_too_short_tells_how_far_it_is() -> None:
    async def wait_a_little(url: str) -> str:
        async with AsyncLumeClient(url) as client:
            run = await client.run("people:v1", "y")
            with pytest.raises(RunTimeoutError):
                await run.wait(timeout=0.05, poll_interval=0.01)
            return run.status

    with ScriptedLume(FOREVER) as lume, LumeClient(lume.url) as client:
        run = client.run("people:v1", "x")
        with pytest.raises(RunTimeoutError):
            run.wait(timeout=0.05, poll_interval=0.01)
        assert run.status == "TRANSFORMING"
        assert run.cancel().status == "FAILED"
        assert asyncio.run(wait_a_little(lume.url)) == "TRANSFORMING"


def test_each_run_that_a_client_hands_out_is_a_handle() -> None:
    with ScriptedLume(LATER_SUCCEEDED) as lume, LumeClient(lume.url) as client:
        run_id = lume.add_run("people:v1", "x")
        found = [
            client.run_status(run_id),
            client.runs().items[0],
            next(client.iter_runs()),
            client.wait(run_id),
        ]
        assert [run.refresh().id for run in found] == [run_id] * 4


def test_nobody_else_changes_a_run() -> None:
    with ScriptedLume() as lume, LumeClient(lume.url, "s3cret") as client:
        run = client.run("people:v1", "x")
        with pytest.raises(ValueError, match="frozen"):
            run.status = "SUCCEEDED"  # type: ignore[misc]
        assert isinstance(run, LumeRun)
        assert "s3cret" not in repr(run) + str(run.model_dump())


@pytest.mark.parametrize(("name", "flow_version"), [("people", "people:v10"), ("people:v2", "people:v2")])
def test_a_flow_is_its_newest_version_unless_one_is_named(name: str, flow_version: str) -> None:
    async def ask(url: str) -> str:
        async with AsyncLumeClient(url) as client:
            return (await client.flow(name)).flow_version

    with ScriptedLume(flows=FLOWS) as lume, LumeClient(lume.url) as client:
        flow = client.flow(name)
        assert (flow.name, flow.flow_version, repr(flow)) == (
            "people",
            flow_version,
            f"FlowHandle({flow_version!r})",
        )
        assert flow.create_run(source_path="x").flow_version == flow_version
        assert flow.create_run(source_data=[{"a": 1}]).flow_version == flow_version
        assert asyncio.run(ask(lume.url)) == flow_version


@pytest.mark.parametrize(
    ("name", "told"), [("nobody", "flows there: people"), ("people:v3", "/people/versions/v3")]
)
def test_a_flow_that_is_not_there_is_told(name: str, told: str) -> None:
    with ScriptedLume(flows=FLOWS) as lume:
        client = LumeClient(lume.url)
        with client, pytest.raises(NotFoundError, match=told):
            client.flow(name)


def test_a_run_is_created_on_one_batch() -> None:
    with ScriptedLume(flows=FLOWS) as lume, LumeClient(lume.url) as client:
        flow = client.flow("people")
        for batch in ({}, {"source_data": [], "source_path": "x"}):
            with pytest.raises(ValueError, match="give one of them"):
                flow.create_run(**batch)  # type: ignore[arg-type]
        run = flow.create_run([{"a": 1}], wait=True, run_metadata={"ticket": 7}, idempotency_key="mine")
        assert run.succeeded
        (asked,) = lume.asked("POST", "/v1/flows/people/runs")
        assert asked.headers["idempotency-key"] == "mine"
        assert asked.body["source_data"] == [{"a": 1}]
        assert asked.body["run_metadata"]["ticket"] == 7


def test_data_that_was_processed_before_is_not_processed_again() -> None:
    script = RunScript(
        ["PENDING", "PARTIAL_FAILED"],
        mapped=[{"n": 1}],
        rejects=[{"row_number": 2, "errors": [{"type": "type"}]}],
    )
    with ScriptedLume(script, flows=FLOWS) as lume, LumeClient(lume.url) as client:
        flow = client.flow("people")
        first = flow.process([{"N": "1"}, {"N": "x"}])
        again = flow.process([{"N": "1"}, {"N": "x"}])
        assert first.mapped == again.mapped == [{"n": 1}]
        assert [reject.row_number for reject in again.rejects] == [2]
        assert first.run.id == again.run.id
        assert len(lume.run_ids) == 1


def test_data_none_of_which_is_mapped_is_an_error() -> None:
    failing = RunScript(["FAILED"], {"error_message": "no record could be mapped"})
    with ScriptedLume(failing, flows=FLOWS) as lume, LumeClient(lume.url) as client:
        flow = client.flow("people")
        with pytest.raises(RunFailedError, match="no record could be mapped"):
            flow.process([{"N": "x"}])


def test_processing_has_its_time() -> None:
    with ScriptedLume(RunScript([Stage("TRANSFORMING", seconds=60)]), flows=FLOWS) as lume:
        with LumeClient(lume.url) as client, pytest.raises(RunTimeoutError) as late:
            client.flow("people").process([{"N": "x"}], timeout=0.1)
        assert not isinstance(late.value.run, RunHandle)


def some_frames() -> list[Any]:
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    data = {"ID": [1, 2], "Full Name": ["Ada", None]}
    return [pa.table(data), pd.DataFrame(data), pl.DataFrame(data)]


@pytest.mark.parametrize("frame", some_frames(), ids=lambda frame: type(frame).__module__.partition(".")[0])
def test_a_frame_comes_back_as_the_same_kind_of_frame(frame: Any) -> None:
    schema = {"properties": {"id": {"type": "integer"}, "on": {"type": "string", "format": "date"}}}
    script = RunScript(["SUCCEEDED"], mapped=[{"id": 1, "on": "2013-01-01"}])
    with ScriptedLume(script, flows=[{**FLOWS[0], "target_schema": schema}]) as lume:
        with LumeClient(lume.url) as client:
            result = client.flow("people").process(frame)
        (asked,) = lume.asked("POST", "/v1/flows")
    assert asked.body["source_data"] == [{"ID": 1, "Full Name": "Ada"}, {"ID": 2, "Full Name": None}]
    assert type(result.mapped) is type(frame)
    assert list(result.mapped["id"]) == [1] or result.mapped["id"].to_pylist() == [1]
    assert "date" in str(result.mapped["on"]) or "2013-01-01" in str(result.mapped["on"])


@pytest.mark.parametrize("heeds_keys", [True, False])
def test_a_run_on_records_is_created_once_though_the_answer_is_lost(heeds_keys: bool) -> None:
    with (
        ScriptedLume(FOREVER, flows=FLOWS, idempotency_keys=heeds_keys) as lume,
        LumeClient(lume.url) as client,
    ):
        flow = client.flow("people")
        other = flow.create_run(source_data=[{"a": 0}])
        lume.inject(Fault.lost_answer(), method="POST", path="/runs")
        run = flow.create_run(source_data=[{"a": 1}], force_rerun=True)
        assert lume.run_ids == [other.id, run.id]
