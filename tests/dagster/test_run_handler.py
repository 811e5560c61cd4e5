from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from lume_dagster import LumeResource
from lume_dagster.assets.run_handler import LumeRunHandler
from lume_dagster.client import LumeClient, LumeRun
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage

KEY = dg.AssetKey(["people", "run"])
TAG = "lume/run.people.v1"
ENDLESS = RunScript([Stage("RUNNING", seconds=3600), "SUCCEEDED"])


@pytest.fixture
def scripted() -> Iterator[ScriptedLume]:
    with ScriptedLume(RunScript(["PENDING", "SUCCEEDED"])) as lume:
        yield lume


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def drive(
    instance: dg.DagsterInstance,
    lume: LumeResource,
    *,
    force_rerun: bool = False,
    tags: dict[str, str] | None = None,
    source_path: str = "p.csv",
) -> dg.ExecuteInProcessResult:
    @dg.asset(key=KEY, partitions_def=dg.StaticPartitionsDefinition(["a"]))
    def write(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        handler = LumeRunHandler(
            context, lume, flow_version="people:v1", source_path=source_path, asset_key=KEY
        )
        run = handler.complete(force_rerun=force_rerun)
        return dg.MaterializeResult(metadata={"run_id": run.id, "status": run.status})

    return dg.materialize([write], partition_key="a", instance=instance, tags=tags, raise_on_error=False)


def harvested(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.get_asset_materialization_events()
    return str(event.materialization.metadata["run_id"].value)


def creates(scripted: ScriptedLume) -> list[dict[str, Any]]:
    return [request.body for request in scripted.asked("POST", "/v1/runs") if request.path == "/v1/runs"]


def test_an_active_run_of_an_earlier_attempt_is_gone_on_with(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    with LumeClient(scripted.url) as client:
        earlier = client.run("people:v1", "p.csv").id
    result = drive(instance, LumeResource(base_url=scripted.url), tags={TAG: earlier}, force_rerun=True)
    assert harvested(result) == earlier
    assert len(creates(scripted)) == 1


@pytest.mark.parametrize("status", ["FAILED", "CRASHED"])
def test_after_a_failed_run_another_is_created_and_not_forced_again(
    instance: dg.DagsterInstance, scripted: ScriptedLume, status: str
) -> None:
    scripted.next_run(RunScript([status]))
    with LumeClient(scripted.url) as client:
        earlier = client.run("people:v1", "p.csv").id
        client.run_status(earlier)
    result = drive(instance, LumeResource(base_url=scripted.url), tags={TAG: earlier}, force_rerun=True)
    assert harvested(result) != earlier
    assert creates(scripted)[-1]["force_rerun"] is False


@pytest.mark.parametrize("tag", [TAG, ADOPT_RUN_TAG])
def test_a_run_that_another_has_superseded_is_not_brought_back(
    instance: dg.DagsterInstance, scripted: ScriptedLume, tag: str
) -> None:
    with LumeClient(scripted.url) as client:
        earlier = client.wait(client.run("people:v1", "p.csv")).id
        later = client.wait(client.run("people:v1", "p.csv", force_rerun=True)).id
        for script in (RunScript(["FAILED"]), ENDLESS):
            scripted.next_run(script)
            client.run_status(client.run("people:v1", "p.csv", force_rerun=True).id)
    result = drive(instance, LumeResource(base_url=scripted.url), tags={tag: earlier})
    assert harvested(result) == later
    assert len(creates(scripted)) == 4
    (run,) = instance.get_runs()
    assert run.tags[TAG] == later


def test_a_re_execution_that_is_told_to_force_forces_once(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    lume = LumeResource(base_url=scripted.url)
    first = drive(instance, lume)
    forced = drive(instance, lume, tags=re_execution_of(instance, first), force_rerun=True)
    assert harvested(forced) != harvested(first)
    again = drive(instance, lume, tags=re_execution_of(instance, forced), force_rerun=True)
    assert harvested(again) == harvested(forced)
    assert [create["force_rerun"] for create in creates(scripted)] == [False, True]


def re_execution_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The tags that a re-execution has."""
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    root = run.root_run_id or run.run_id
    return {**run.tags, "dagster/parent_run_id": run.run_id, "dagster/root_run_id": root}


def test_a_run_that_lume_does_not_know_any_more_is_created_anew(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    assert drive(instance, LumeResource(base_url=scripted.url), tags={TAG: "run_gone"}).success
    assert len(creates(scripted)) == 1


def test_a_run_of_another_batch_is_not_taken_for_this_one(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    with LumeClient(scripted.url) as client:
        other = client.run("people:v1", "other.csv").id
    result = drive(instance, LumeResource(base_url=scripted.url), tags={TAG: other})
    assert harvested(result) != other


def test_a_lost_answer_makes_no_second_run(instance: dg.DagsterInstance, scripted: ScriptedLume) -> None:
    scripted.inject(Fault.lost_answer(), method="POST", path="/v1/runs")
    assert drive(instance, LumeResource(base_url=scripted.url)).success
    assert len(scripted.run_ids) == 1


def test_a_re_execution_that_lost_the_id_sends_the_same_request(
    instance: dg.DagsterInstance, scripted: ScriptedLume, monkeypatch: pytest.MonkeyPatch
) -> None:
    lume = LumeResource(base_url=scripted.url)
    with monkeypatch.context() as patched:
        patched.setattr(LumeRunHandler, "_remember", _die)
        first = drive(instance, lume)
    assert not first.success
    again = drive(
        instance, lume, tags={"dagster/root_run_id": first.run_id, "dagster/parent_run_id": first.run_id}
    )
    assert harvested(again) == scripted.run_ids[0]
    assert len(scripted.run_ids) == 1


def _die(*_: object) -> None:
    raise RuntimeError("killed")


def test_a_wait_that_is_too_long_says_that_the_run_goes_on(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    scripted.next_run(ENDLESS)
    result = drive(instance, LumeResource(base_url=scripted.url, wait_timeout_seconds=0.2))
    assert not result.success
    data = result.failure_data_for_node("people__run")
    assert data is not None
    assert "goes on in Lume" in str(data.error)


OUTAGES = [
    Fault.status(503),
    Fault.status(429),
    Fault.html(),
    Fault.half_body(),
    Fault.reset(),
    Fault.slow(0.3),
]


@pytest.mark.parametrize("fault", OUTAGES, ids=["503", "429", "a page", "half a body", "resets", "slow"])
def test_an_outage_in_the_middle_of_a_wait_is_borne(
    instance: dg.DagsterInstance, scripted: ScriptedLume, fault: Fault
) -> None:
    scripted.inject(fault, times=2, method="GET", path="/v1/runs/run_")
    lume = LumeResource(base_url=scripted.url, outage_budget_seconds=20, request_timeout_seconds=5)
    assert drive(instance, lume).success
    assert len(scripted.run_ids) == 1


def test_after_the_outage_budget_the_run_goes_on_and_a_re_execution_finds_it(
    instance: dg.DagsterInstance, scripted: ScriptedLume, capfd: pytest.CaptureFixture[str]
) -> None:
    scripted.next_run(ENDLESS)
    scripted.inject(Fault.status(503), times=1_000, method="GET", path="/v1/runs/run_")
    lume = LumeResource(base_url=scripted.url, outage_budget_seconds=0.2)
    first = drive(instance, lume)
    (run_id,) = scripted.run_ids
    data = first.failure_data_for_node("people__run")
    assert data is not None
    assert f"Run {run_id} goes on in Lume" in str(data.error)
    assert "A retry or re-execution of this step finds it again" in capfd.readouterr().err
    assert scripted.asked("POST", "/cancel") == []
    scripted.mend()
    scripted.finish(run_id)
    again = drive(instance, lume, tags=instance.get_runs()[0].tags | {"dagster/parent_run_id": first.run_id})
    assert harvested(again) == run_id
    assert len(scripted.run_ids) == 1


def test_a_key_that_is_refused_in_the_middle_of_a_wait_is_told_at_once(
    instance: dg.DagsterInstance, scripted: ScriptedLume
) -> None:
    scripted.inject(Fault.status(401), method="GET", path="/v1/runs/run_")
    data = drive(instance, LumeResource(base_url=scripted.url)).failure_data_for_node("people__run")
    assert data is not None
    assert "Check the setting api_key (environment variable LUME_API_KEY)" in str(data.error)
    assert scripted.asked("POST", "/cancel") == []


@pytest.mark.parametrize("heeds_keys", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_a_submit_is_one_run_although_each_answer_is_lost(
    instance: dg.DagsterInstance, heeds_keys: bool, force: bool
) -> None:
    with ScriptedLume(idempotency_keys=heeds_keys) as lume:
        for fault in (Fault(code=502), Fault.reset(), Fault.lost_answer()):
            lume.inject(fault, method="POST", path="/v1/runs")
        result = drive(instance, LumeResource(base_url=lume.url, outage_budget_seconds=20), force_rerun=force)
        assert [harvested(result)] == lume.run_ids


@pytest.mark.parametrize(
    ("terminated", "on_interrupt", "cancels"),
    [(True, "cancel", 1), (True, "leave", 0), (False, "cancel", 0)],
    ids=["terminated", "terminated, to be left", "evicted"],
)
def test_an_interrupt_cancels_the_run_only_on_a_user_s_termination(
    instance: dg.DagsterInstance,
    scripted: ScriptedLume,
    monkeypatch: pytest.MonkeyPatch,
    terminated: bool,
    on_interrupt: Any,
    cancels: int,
) -> None:
    scripted.next_run(ENDLESS)

    def interrupt(_client: LumeClient, run: LumeRun, **_options: Any) -> LumeRun:
        (stored,) = instance.get_runs()
        if terminated:
            instance.report_run_canceling(stored)
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(LumeClient, "wait", interrupt)
    assert not drive(instance, LumeResource(base_url=scripted.url, on_interrupt=on_interrupt)).success
    ended = dg.DagsterRunStatus.CANCELED if terminated else dg.DagsterRunStatus.FAILURE
    assert [run.status for run in instance.get_runs()] == [ended]
    assert len(scripted.asked("POST", f"/v1/runs/{scripted.run_ids[0]}/cancel")) == cancels
