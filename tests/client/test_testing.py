from __future__ import annotations

import os
import threading

import httpx
import pytest

from lume_dagster.client import InvalidRequestError, LumeClient
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage

ORDER = {"flow_version": "f:v1", "source_path": "s"}


def statuses(lume: ScriptedLume, run_id: str, count: int) -> list[str]:
    return [httpx.get(f"{lume.url}/v1/runs/{run_id}").json()["status"] for _ in range(count)]


def test_stages_are_counted_in_requests() -> None:
    with ScriptedLume(RunScript(["CREATED", Stage("RUNNING", polls=2), "SUCCEEDED"])) as lume:
        seen = statuses(lume, lume.add_run(), 5)
    assert seen == ["CREATED", "RUNNING", "RUNNING", "SUCCEEDED", "SUCCEEDED"]


def test_stages_are_timed() -> None:
    clock = [0.0]
    with ScriptedLume(
        RunScript([Stage("RUNNING", seconds=5), "SUCCEEDED"]), monotonic=lambda: clock[0]
    ) as lume:
        run_id = lume.add_run()
        clock[0] = 4.9
        assert statuses(lume, run_id, 2) == ["RUNNING", "RUNNING"]
        clock[0] = 5.0
        assert statuses(lume, run_id, 1) == ["SUCCEEDED"]


@pytest.mark.parametrize(("until", "status"), [("change", "TRANSFORMING"), ("final", "SUCCEEDED")])
def test_a_request_is_held_until_what_it_asks_for(until: str, status: str) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    stages = [Stage("PENDING", seconds=1), Stage("TRANSFORMING", seconds=1), "SUCCEEDED"]
    with ScriptedLume(RunScript(stages), monotonic=lambda: clock[0], sleep=sleep) as lume:
        answer = httpx.get(f"{lume.url}/v1/runs/{lume.add_run()}", params={"wait": 5, "until": until})
    assert answer.json()["status"] == status
    assert answer.headers["preference-applied"] == "wait=5"


def test_a_hold_ends_when_its_seconds_are_over_or_the_run_is_cancelled() -> None:
    with ScriptedLume(RunScript([Stage("RUNNING", seconds=60), "SUCCEEDED"])) as lume:
        url = f"{lume.url}/v1/runs/{lume.add_run()}"
        assert httpx.get(url, params={"wait": "0.05", "until": "final"}).json()["status"] == "RUNNING"
        timer = threading.Timer(0.05, httpx.post, [f"{url}/cancel"])
        timer.start()
        assert httpx.get(url, params={"wait": 5, "until": "final"}).json()["status"] == "FAILED"
        timer.join()


def test_without_long_poll_nothing_is_held_or_promised() -> None:
    with ScriptedLume(RunScript([Stage("RUNNING", seconds=60), "SUCCEEDED"]), long_poll=False) as lume:
        answer = httpx.get(f"{lume.url}/v1/runs/{lume.add_run()}", params={"wait": 5})
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(("heeds", "second"), [(True, 200), (False, 201)])
def test_idempotency_keys(heeds: bool, second: int) -> None:
    with ScriptedLume(RunScript(["SUCCEEDED"]), idempotency_keys=heeds) as lume:
        order = {**ORDER, "force_rerun": True}
        codes = [
            httpx.post(f"{lume.url}/v1/runs", json=order, headers={"idempotency-key": "k"}).status_code
            for _ in range(2)
        ]
        assert codes == [201, second]
        assert len(lume.run_ids) == (1 if heeds else 2)
        if heeds:
            other = httpx.post(f"{lume.url}/v1/runs", json=ORDER, headers={"idempotency-key": "k"})
            assert other.json()["type"] == "urn:lume:problem:idempotency-key-reused"


def test_a_failed_batch_may_run_again() -> None:
    with ScriptedLume(RunScript(["CRASHED"])) as lume:
        codes = [httpx.post(f"{lume.url}/v1/runs", json=ORDER).status_code for _ in range(2)]
    assert codes == [201, 201]


def test_faults_hit_the_requests_they_are_meant_for() -> None:
    with ScriptedLume() as lume:
        lume.inject(Fault.status(503), method="POST", path="/v1/runs")
        lume.inject(Fault.html(), path="/healthz")
        lume.inject(Fault.slow(0.05), path="/flows")
        assert httpx.get(f"{lume.url}/v1/runs").status_code == 200
        assert httpx.post(f"{lume.url}/v1/runs", json=ORDER).status_code == 503
        assert lume.run_ids == []
        assert "text/html" in httpx.get(f"{lume.url}/healthz").headers["content-type"]
        assert httpx.get(f"{lume.url}/v1/flows").elapsed.total_seconds() >= 0.05


@pytest.mark.parametrize(
    ("fault", "runs"), [(Fault.reset(), 0), (Fault.lost_answer(), 1), (Fault.half_body(), 1)]
)
def test_broken_connections(fault: Fault, runs: int) -> None:
    with ScriptedLume() as lume:
        lume.inject(fault)
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{lume.url}/v1/runs", json=ORDER)
        assert len(lume.run_ids) == runs


def test_requests_are_recorded() -> None:
    with ScriptedLume() as lume:
        httpx.post(f"{lume.url}/v1/runs?x=1", json=ORDER, headers={"X-Mine": "yes"})
        httpx.get(f"{lume.url}/healthz")
        (request,) = lume.asked("POST")
    assert (request.path, request.query, request.body) == ("/v1/runs", {"x": "1"}, ORDER)
    assert request.headers["x-mine"] == "yes"


def test_an_order_without_a_batch_is_refused() -> None:
    with ScriptedLume() as lume:
        assert httpx.post(f"{lume.url}/v1/runs", json={}).status_code == 422


@pytest.mark.parametrize("processed", [False, True])
def test_a_request_is_held_before_or_after_it_takes_effect(processed: bool) -> None:
    with ScriptedLume() as lume:
        hold = lume.hold("POST", "/v1/runs", processed=processed)
        asking = threading.Thread(target=httpx.post, args=(f"{lume.url}/v1/runs",), kwargs={"json": ORDER})
        asking.start()
        hold.wait()
        assert len(lume.run_ids) == processed
        assert httpx.get(f"{lume.url}/healthz").status_code == 200
        hold.release()
        asking.join()
        assert len(lume.run_ids) == 1


def test_a_hold_that_nobody_meets_says_so() -> None:
    with ScriptedLume() as lume, pytest.raises(TimeoutError, match=r"0\.01 s"):
        lume.hold("POST").wait(0.01)


def test_a_run_can_be_ended_and_looked_at_from_outside() -> None:
    with ScriptedLume(RunScript([Stage("RUNNING", seconds=60), "SUCCEEDED"])) as lume:
        runs = [lume.add_run(source_path=str(number)) for number in range(2)]
        assert [lume.status(run) for run in runs] == ["RUNNING", "RUNNING"]
        lume.finish(runs[0])
        lume.finish(runs[1], RunScript(["PARTIAL_FAILED"], mapped=[{"n": 1}], rejects=[{}, {}]))
        assert [lume.status(run) for run in runs] == ["SUCCEEDED", "PARTIAL_FAILED"]
        metadata = httpx.get(f"{lume.url}/v1/runs/{runs[1]}").json()["metadata"]
    assert metadata["rows"] == {"source": 3, "mapped": 1, "rejected": 2}


def test_the_fixture_is_where_definitions_look_for_a_lume(scripted_lume: ScriptedLume) -> None:
    assert os.environ["LUME_BASE_URL"] == scripted_lume.url
    scripted_lume.add_flow("f:v1", {"type": "object"})
    answer = httpx.get(f"{scripted_lume.url}/v1/flows/f/versions/v1").json()
    assert answer == {
        "name": "f",
        "version": "v1",
        "flow_version": "f:v1",
        "target_schema": {"type": "object"},
    }


def correct(lume: ScriptedLume, run_id: str, row: int, name: str) -> httpx.Response:
    records = [{"row_number": row, "values": {"name": name}}]
    return httpx.post(f"{lume.url}/v1/runs/{run_id}/corrections", json={"records": records})


def test_corrections_are_a_run_of_their_own_once() -> None:
    reject = {"row_number": 2, "source_record": {"name": "x"}, "errors": []}
    with ScriptedLume() as lume:
        first = lume.add_run(script=RunScript(["PARTIAL_FAILED"], mapped=[{"id": 1}], rejects=[reject]))
        lume.next_run(RunScript(["CRASHED"]))
        lume.next_run(RunScript([Stage("PENDING", seconds=60), "SUCCEEDED"], mapped=[{"id": 1}, {"id": 2}]))
        assert correct(lume, first, 2, "x").json()["id"] == first
        crashed = correct(lume, first, 2, "Bob")
        second = correct(lume, first, 2, "Bob")
        early = correct(lume, first, 2, "Bo")
        lume.end_run(second.json()["id"])
        again = correct(lume, first, 2, "Bob")
        refused = correct(lume, first, 3, "Cy")
        lume.add_run(script=RunScript(["SUCCEEDED"]))
        late = correct(lume, first, 2, "Bo")
    assert (crashed.status_code, second.status_code, again.status_code) == (201, 201, 200)
    assert again.json()["id"] == second.json()["id"]
    assert again.json()["metadata"]["corrects"] == {"run_id": first, "records": 1}
    assert (early.status_code, early.json()["type"]) == (409, "urn:lume:problem:not-ready")
    assert (refused.status_code, "row 3 was not rejected" in refused.json()["title"]) == (422, True)
    assert (late.status_code, late.json()["type"]) == (409, "urn:lume:problem:superseded")


def test_a_created_flow_is_there_once() -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    with ScriptedLume(RunScript(mapped=[{"id": 1}])) as lume, LumeClient(lume.url) as client:
        lume.inject(Fault.lost_answer(), method="POST")
        run = client.create_flow("people", schema, source_data=[{"ID": "1"}]).wait()
        assert (run.flow_version, run.status, lume.run_ids) == ("people:v1", "SUCCEEDED", [run.id])
        assert client.flow_version("people:v1").target_schema == schema
        assert [flow.name for flow in client.flows()] == ["people"]
        with pytest.raises(InvalidRequestError, match="people is there already") as refused:
            client.create_flow("people", schema, "people.csv")
        assert (refused.value.status_code, refused.value.problem.type) == (
            409,
            "urn:lume:problem:flow-exists",
        )
        first = client.create_flow("orders", schema, "orders.csv", idempotency_key="k")
        assert client.create_flow("orders", schema, "orders.csv", idempotency_key="k").id == first.id
        with pytest.raises(InvalidRequestError, match="another request"):
            client.create_flow("orders", {}, "orders.csv", idempotency_key="k")
        for order in ({}, {"name": "x", "target_schema": {}}, {"name": "x", "source_path": "a"}, []):
            assert httpx.post(f"{lume.url}/v1/flows", json=order).status_code == 422
