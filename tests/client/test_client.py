from __future__ import annotations

import asyncio
import inspect
from typing import Any

import httpx
import pytest

import lume_dagster.client as public
from lume_dagster.client import (
    AlreadySucceededError,
    AsyncLumeClient,
    AuthenticationError,
    InvalidRequestError,
    LumeClient,
    LumeUnavailableError,
    NotFoundError,
)
from lume_dagster.testing import Fault, RunScript, ScriptedLume

FLOW = {
    "name": "air traffic",
    "version": "v1",
    "flow_version": "air traffic:v1",
    "fingerprint": "abc",
    "target_schema": {"type": "object"},
    "lineage": {"carrier": ["carrier", "airline"]},
}


def test_both_clients_have_the_same_surface() -> None:
    def surface(kind: type) -> dict[str, list[inspect.Parameter]]:
        return {
            name: list(inspect.signature(member).parameters.values())
            for name, member in vars(kind).items()
            if inspect.isfunction(member) and not name.startswith("_")
        }

    assert surface(LumeClient) == surface(AsyncLumeClient)
    assert {"run", "run_status", "wait", "runs", "iter_runs", "results"} <= surface(LumeClient).keys()


def test_all_is_public() -> None:
    assert all(hasattr(public, name) for name in public.__all__)


def test_a_batch_from_beginning_to_end(client: Any, lume: ScriptedLume) -> None:
    rows = {"source": 3, "mapped": 2, "rejected": 1}
    lume.next_run(
        RunScript(
            ["CREATED", "TRANSFORMING", "PARTIAL_FAILED"],
            metadata={"rows": rows},
            mapped=[{"n": 1}, {"n": 2}],
            rejects=[{"row_number": 3, "source_record": {"n": "x"}, "errors": [{"type": "type"}]}],
        )
    )
    run = client.run("flights:v1", "day-1.csv", run_metadata={"who": "me"})
    assert (run.is_active, run.flow_version, run.source_path) == (True, "flights:v1", "day-1.csv")
    with pytest.raises(InvalidRequestError, match="not final"):
        client.results(run)
    run = client.wait(run)
    assert run.partial_failed
    assert run.rows
    assert run.rows.model_dump() == rows
    assert run.run_metadata == {"who": "me"}
    assert client.results(run).items == ({"n": 1}, {"n": 2})
    assert [reject.row_number for reject in client.iter_results(run, "rejects")] == [3]


def test_an_active_batch_is_answered_with_its_run(client: Any) -> None:
    assert client.run("f:v1", "s").id == client.run("f:v1", "s").id


def test_a_succeeded_batch_is_refused_unless_forced(client: Any, lume: ScriptedLume) -> None:
    first = client.wait(client.run("f:v1", "s"))
    with pytest.raises(AlreadySucceededError) as error:
        client.run("f:v1", "s")
    assert error.value.run_id == first.id
    assert client.run("f:v1", "s", force_rerun=True).id != first.id


def test_cancel(client: Any, lume: ScriptedLume) -> None:
    run = client.run("f:v1", "s")
    lume.inject(Fault.lost_answer(), path="/cancel")
    cancelled = client.cancel(run)
    assert cancelled.failed
    assert cancelled.error_message == "cancelled by the caller"
    assert client.cancel(run.id) == cancelled


def test_flows(connect: Any) -> None:
    with ScriptedLume(flows=[FLOW]) as lume:
        client = connect(lume.url)
        assert [(flow.name, flow.versions) for flow in client.flows()] == [("air traffic", ("v1",))]
        version = client.flow_version("air traffic:v1")
        assert version.lineage == {"carrier": ("carrier", "airline")}
        assert (version.fingerprint, version.mapper) == ("abc", {})
        with pytest.raises(NotFoundError):
            client.flow_version("air traffic:v2")


def test_healthz_asks_once(client: Any, lume: ScriptedLume) -> None:
    assert client.healthz().status == "ok"
    lume.inject(Fault.status(503))
    with pytest.raises(LumeUnavailableError):
        client.healthz()
    assert len(lume.requests) == 2


def test_a_wrong_key_is_told_without_being_shown(connect: Any) -> None:
    with ScriptedLume(api_key="right") as lume:
        with pytest.raises(AuthenticationError, match="LUME_API_KEY") as error:
            connect(lume.url, "wr0ng").flows()
        assert "wr0ng" not in str(error.value)
        assert connect(lume.url, "right").flows() == ()


def test_a_create_that_stays_unanswered_tells_how_to_find_the_run(client: Any, lume: ScriptedLume) -> None:
    lume.inject(Fault.lost_answer(), times=1_000)
    with pytest.raises(LumeUnavailableError, match=r"same call with idempotency_key='[0-9a-f-]+' finds it"):
        client.run("f:v1", "s")
    assert len(lume.run_ids) == 1


@pytest.mark.parametrize("kind", [LumeClient, AsyncLumeClient])
def test_repr_shows_no_key(kind: type) -> None:
    client = kind("https://lume.example.com/", "s3cret")
    assert repr(client) == f"{kind.__name__}('https://lume.example.com')"
    assert client.base_url == "https://lume.example.com"


def test_a_transport_may_carry_the_requests() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "ok", "version": "1"})

    with LumeClient("http://embedded", transport=httpx.MockTransport(answer)) as client:
        assert client.healthz().version == "1"

    async def ask() -> str:
        async with AsyncLumeClient("http://embedded", transport=httpx.MockTransport(answer)) as client:
            return (await client.healthz()).status

    assert asyncio.run(ask()) == "ok"


def test_many_waits_share_one_event_loop() -> None:
    async def main(url: str) -> set[str]:
        async with AsyncLumeClient(url) as client:
            runs = await asyncio.gather(*(client.run("f:v1", str(n)) for n in range(10)))
            ended = await asyncio.gather(*(client.wait(run) for run in runs))
            return {run.id for run in ended if run.succeeded}

    with ScriptedLume() as lume:
        assert asyncio.run(main(lume.url)) == set(lume.run_ids)


def test_a_cancelled_task_stops_waiting() -> None:
    async def main(url: str, run_id: str) -> None:
        async with AsyncLumeClient(url) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.wait(run_id, poll_interval=60), 0.1)

    with ScriptedLume(RunScript(["RUNNING"])) as lume:
        asyncio.run(main(lume.url, lume.add_run()))
