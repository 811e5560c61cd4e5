"""The samples of Lume's own documents, against a scripted Lume and the embedded one, with the same outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lume_dagster.client as lume
from lume_dagster.client import (
    AlreadySucceededError,
    AsyncLumeClient,
    FlowHandle,
    InvalidRequestError,
    LumeClient,
    RunHandle,
)
from lume_dagster.client import default as default_client
from lume_dagster.service import ServiceSettings, open_embedded
from lume_dagster.testing import RunScript, ScriptedLume, Stage
from tests.conftest import PEOPLE, PEOPLE_GOOD

DATA = [
    {"ID": 1, "Full Name": "Ada", "Mail": "ada@example.com"},
    {"ID": 2, "Full Name": "Bob", "Mail": None},
]
MAPPED = [{"id": 1, "name": "Ada", "email": "ada@example.com"}, {"id": 2, "name": "Bob", "email": None}]
FLOW = {"name": "people", "version": "v1", "flow_version": "people:v1"}
FINAL = ["SUCCEEDED", "PARTIAL_FAILED", "FAILED", "CRASHED"]


class Lume:
    """A Lume of either kind, and the batches that there are for it."""

    def __init__(self, folder: Path, scripted: ScriptedLume | None, embedded: ServiceSettings) -> None:
        self._folder = folder
        self._scripted = scripted
        self._embedded = embedded

    def client(self) -> LumeClient:
        if self._scripted:
            return LumeClient(self._scripted.url)
        return LumeClient("http://embedded.test", transport=open_embedded(self._embedded))

    def async_client(self) -> AsyncLumeClient:
        if self._scripted:
            return AsyncLumeClient(self._scripted.url)
        return AsyncLumeClient("http://embedded.test", transport=open_embedded(self._embedded))

    def batch(self, status: str, content: str) -> str:
        """The source path of a batch whose run will end in this status."""
        if self._scripted:
            locations = {"mapped": "s3://out/mapped.parquet", "rejects": "s3://out/rejects.parquet"}
            told: dict[str, Any] = {"target_locations": locations}
            if status == "FAILED":
                told = {"error_message": "there is no such file"}
            stages: list[Stage | str] = ["CREATED", "PENDING", "RUNNING", status]
            self._scripted.next_run(RunScript(stages, told, mapped=MAPPED))
        path = self._folder / f"{status}.csv"
        if content:
            path.write_text(content)
        return str(path)

    def expect_data(self) -> None:
        if self._scripted:
            self._scripted.next_run(RunScript(["CREATED", "PENDING", "SUCCEEDED"], mapped=MAPPED))


@pytest.fixture(params=["scripted", "embedded"])
def home(request: pytest.FixtureRequest, tmp_path: Path, settings: ServiceSettings) -> Iterator[Lume]:
    if request.param == "embedded":
        yield Lume(tmp_path, None, settings)
    else:
        with ScriptedLume(flows=[FLOW]) as server:
            yield Lume(tmp_path, server, settings)


@pytest.fixture
def initialised(home: Lume, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lume]:
    monkeypatch.setattr(default_client, "_client", None)
    with home.client() as client:
        lume.init(client=client)
        yield home


def wait_for_run_completion(run_id: str, max_attempts: int = 10, initial_delay: float = 5) -> RunHandle:
    """The document's own loop, with its names."""
    delay = initial_delay
    for _ in range(max_attempts):
        run = lume.run_status(run_id)
        if run.status in FINAL:
            return run
        time.sleep(delay)
        delay = min(delay * 2, 60)
    raise TimeoutError(f"Run {run.id} did not complete after {max_attempts} attempts.")


def test_forcing_a_rerun(initialised: Lume) -> None:
    batch = initialised.batch("SUCCEEDED", PEOPLE_GOOD)
    first = lume.run(flow_version="people:v1", source_path=batch).wait()
    with pytest.raises(AlreadySucceededError) as refused:
        lume.run(flow_version="people:v1", source_path=batch)
    assert isinstance(refused.value, InvalidRequestError)
    assert refused.value.run_id == first.id
    run = lume.run(flow_version="people:v1", source_path=batch, force_rerun=True)
    assert run.id != first.id
    assert run.wait().status == "SUCCEEDED"


def test_waiting_by_a_loop_of_ones_own(initialised: Lume) -> None:
    initial_run = lume.run("people:v1", initialised.batch("SUCCEEDED", PEOPLE_GOOD))
    final_run = wait_for_run_completion(initial_run.id, initial_delay=0.05)
    assert final_run.id == initial_run.id
    assert final_run.metadata["run"]["run_id"] == initial_run.id


def test_a_loop_of_ones_own_may_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_client, "_client", None)
    with ScriptedLume(RunScript(["PENDING", "RUNNING"])) as server:
        lume.init(base_url=server.url)
        initial_run = lume.run("people:v1", "endless.csv")
        with pytest.raises(TimeoutError, match=f"{initial_run.id} did not complete after 3 attempts"):
            wait_for_run_completion(initial_run.id, max_attempts=3, initial_delay=0.01)


@pytest.mark.parametrize(
    ("status", "content"), [("SUCCEEDED", PEOPLE_GOOD), ("PARTIAL_FAILED", PEOPLE), ("FAILED", "")]
)
def test_handling_partial_failures(initialised: Lume, status: str, content: str) -> None:
    done: list[str] = []
    initial = lume.run("people:v1", initialised.batch(status, content))
    run = wait_for_run_completion(initial.id, initial_delay=0.05)
    if run.status == "SUCCEEDED":
        done.append("report " + run.metadata["target_locations"]["mapped"])
    elif run.status == "PARTIAL_FAILED":
        done.append("report " + run.metadata["target_locations"]["mapped"])
        done.append("review " + run.metadata["target_locations"]["rejects"])
    elif run.status in ["FAILED", "CRASHED"]:
        done.append("alert " + str(run.metadata.get("error_message")))
    assert [task.split()[0] for task in done] == {
        "SUCCEEDED": ["report"],
        "PARTIAL_FAILED": ["report", "review"],
        "FAILED": ["alert"],
    }[status]
    assert all(task.endswith(".parquet") or "no such file" in task for task in done)


def test_processing_data(home: Lume) -> None:
    home.expect_data()

    async def main() -> None:
        async with home.async_client() as client:
            existing_flow = await client.flow("people")
            results = await existing_flow.process(DATA)
            assert results.mapped == MAPPED

    asyncio.run(main())


def test_managing_runs_by_hand(home: Lume) -> None:
    home.expect_data()

    async def main() -> None:
        async with home.async_client() as client:
            flow = await client.flow("people:v1")
            run = await flow.create_run(source_data=DATA, wait=False)
            assert run.status in ("CREATED", "PENDING", "SYNCING_SOURCE", "TRANSFORMING", "SYNCING_TARGET")
            await run.wait_for_completion()
            assert run.status == "SUCCEEDED"
            page = await flow.get_run_results(run, 1, 50)
            assert list(page.items) == MAPPED
            assert (page.total, page.page, page.size, page.pages) == (2, 1, 50, 1)

    asyncio.run(main())


def test_monitoring_by_status(home: Lume) -> None:
    home.expect_data()
    with home.client() as client:
        flow: FlowHandle = client.flow("people")
        run = flow.create_run(source_data=DATA, wait=False)
        while run.status not in (*FINAL, "INCOMPLETE"):
            time.sleep(0.02)
            run.refresh()
        assert run.status == "SUCCEEDED"
        assert list(flow.get_run_results(run).items) == MAPPED


def test_the_data_of_an_earlier_run_and_new_data_can_be_run(home: Lume) -> None:
    batch = home.batch("SUCCEEDED", PEOPLE_GOOD)
    with home.client() as client:
        earlier = client.run("people:v1", batch).wait()
        home.expect_data()
        again = client.run("people:v1", f"run:{earlier.id}").wait()
        assert [*client.iter_results(again)] == [*client.iter_results(earlier)] == MAPPED
        home.expect_data()
        uploaded = client.run("people:v1", client.upload_file(batch)).wait()
        assert uploaded.source_path.startswith("upload:")
        assert [*client.iter_results(uploaded)] == MAPPED
