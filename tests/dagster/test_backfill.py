import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from lume_dagster import LumeChecks, LumeIOManager, LumeResource, VolumeCheck, build_lume_assets
from lume_dagster.assets.progress import Progress
from lume_dagster.client import AsyncLumeClient
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage
from tests.dagster.conftest import GOOD, MAPPED, PARTITIONS, REJECTS, RUN, Pipeline

BATCHES = "people__v1__batches"
STATUS = dg.AssetCheckKey(RUN, "status")
ASSETS = (RUN, REJECTS, MAPPED)
ALL = PARTITIONS.get_partition_keys()


def launch(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *,
    first: str = "a",
    last: str = "e",
    selection: list[dg.AssetKey] | None = None,
    checks: list[dg.AssetCheckKey] | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    again_of: dg.DagsterRun | None = None,
) -> dg.DagsterRun:
    """One Dagster run of a range of partitions; in this process."""
    job = dg.Definitions.merge(definitions, dg.Definitions(executor=dg.in_process_executor))
    subset = job.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(ASSETS if selection is None else selection),
        asset_check_selection=None if checks is None else set(checks),
    )
    run = instance.create_run_for_job(
        subset,
        run_config={"ops": {BATCHES: {"config": dict(config or {})}}},
        tags={
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
            **(tags or {}),
        },
        asset_selection=subset.asset_selection,
        root_run_id=again_of and (again_of.root_run_id or again_of.run_id),
        parent_run_id=again_of and again_of.run_id,
    )
    execute_run(InMemoryJob(subset), run, instance)
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    return stored


def events(
    instance: dg.DagsterInstance, run: dg.DagsterRun, *types: dg.DagsterEventType
) -> list[dg.DagsterEvent]:
    return [
        entry.dagster_event
        for entry in instance.all_logs(run.run_id, of_type=set(types))
        if entry.dagster_event is not None
    ]


def materialized(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[tuple[dg.AssetKey, str]]:
    return [
        (event.asset_key, event.partition)
        for event in events(instance, run, dg.DagsterEventType.ASSET_MATERIALIZATION)
        if event.asset_key is not None and event.partition is not None
    ]


def failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterEvent:
    (event,) = events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    return event


def reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    data = failure(instance, run).step_failure_data
    return (data.user_failure_data and data.user_failure_data.description) or str(data.error)


def lines(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(run.run_id) if entry.dagster_event is None]


@pytest.fixture
def backfill(pipeline: Pipeline) -> Pipeline:
    pipeline.options["backfill"] = "single_run"
    for partition in ("d", "e"):
        pipeline.write(partition, GOOD)
    return pipeline


# What a run takes or when it was, and what it is called
_OWN = {"lume/run_id", "run_id", "dagster/uri", "timestamp", "lume/started", "lume/finished"}


def told(instance: dg.DagsterInstance, partition: str) -> list[Any]:
    """What the instance was told of a batch by its latest Dagster run(s), without what differs from run to run."""
    found: list[Any] = []
    for run in reversed(instance.get_runs()):
        for event in events(
            instance,
            run,
            dg.DagsterEventType.ASSET_MATERIALIZATION,
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        ):
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                made = event.step_materialization_data.materialization
                if made.partition == partition:
                    tags = {
                        name: value
                        for name, value in (made.tags or {}).items()
                        if not name.startswith("dagster/input_")
                        and (made.asset_key != RUN or "version" not in name)
                    }
                    names = sorted(name for name in (made.tags or {}))
                    tags.pop("lume/run_id")
                    found.append((made.asset_key, _plain(made.metadata), tags, names))
            else:
                check = event.asset_check_evaluation_data
                if check.partition == partition:
                    found.append(
                        (
                            check.asset_check_key,
                            check.passed,
                            check.severity,
                            check.blocking,
                            _without_ids(check.description or ""),
                            _plain(check.metadata),
                            check.target_materialization_data is not None,
                        )
                    )
    return found


def _plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {
        name: type(value).__name__ if _varies(name) else value
        for name, value in metadata.items()
        if name not in _OWN
    }


def _varies(name: str) -> bool:
    return "seconds" in name or name in ("lume/rows_per_second", "lume/peak_memory_bytes", "error_message")


def _without_ids(text: str) -> str:
    return " ".join("RUN" if word.startswith("run_") else word for word in text.split())


def test_a_range_tells_of_each_batch_what_a_run_of_its_own_would(
    backfill: Pipeline, tmp_path: Path, flows: Path
) -> None:
    many = backfill
    assert launch(many.definitions, many.instance).status is dg.DagsterRunStatus.FAILURE
    with dg.DagsterInstance.ephemeral() as instance:
        lume = LumeResource(home=str(tmp_path / "other"), flows=str(flows))
        one = Pipeline(many.folder, lume, instance)
        for partition in ALL:
            one.materialize(partition, *ASSETS)
        for partition in ALL:
            ours, theirs = told(many.instance, partition), told(instance, partition)
            assert ours == theirs
            assert len(ours) == {"b": 7, "c": 3}.get(partition, 8)
        for key in ASSETS:
            both = [
                {p: record.event_log_entry.run_id for p in ALL for record in _records(i, key, p)}
                for i in (many.instance, instance)
            ]
            assert both[0].keys() == both[1].keys()


def _records(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> list[dg.EventLogRecord]:
    return list(
        instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=10
        ).records
    )


def test_good_batches_are_published_and_bad_ones_listed(backfill: Pipeline) -> None:
    run = launch(backfill.definitions, backfill.instance)
    assert {p for key, p in materialized(backfill.instance, run) if key == MAPPED} == {"a", "d", "e"}
    assert {p for key, p in materialized(backfill.instance, run) if key == REJECTS} == set(ALL)
    said = reason(backfill.instance, run)
    assert said.startswith("2 of 5 batches went no further")
    assert "b: the audit stopped the batch" in said
    assert "reject_rate: 1 of 2 rows were rejected" in said
    assert "c: nothing to publish" in said
    data = failure(backfill.instance, run).step_failure_data.user_failure_data
    assert data is not None
    table = data.metadata["lume/failed_batches"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["batch"] for record in table.records] == ["b", "c"]


def test_each_check_speaks_of_the_materialization_of_its_own_batch(backfill: Pipeline) -> None:
    run = launch(backfill.definitions, backfill.instance)
    for event in events(backfill.instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        assert check.partition is not None
        latest = _records(backfill.instance, check.asset_key, check.partition)
        target = check.target_materialization_data
        assert (target and target.storage_id) == (latest[0].storage_id if latest else None)


def test_what_is_downstream_in_the_same_run_begins_when_all_are_good(backfill: Pipeline) -> None:
    seen: list[str] = []

    @dg.asset(deps=[MAPPED], partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def after(context: dg.AssetExecutionContext) -> None:
        seen.extend(context.partition_keys)

    definitions = dg.Definitions.merge(backfill.definitions, dg.Definitions(assets=[after]))
    selection = [*ASSETS, after.key]
    assert launch(definitions, backfill.instance, first="d", selection=selection).is_success
    assert seen == ["d", "e"]
    made = materialized(backfill.instance, backfill.instance.get_runs()[0])
    assert sorted(p for key, p in made if key == MAPPED) == ["d", "e"]
    assert not launch(definitions, backfill.instance, selection=selection).is_success
    assert seen == ["d", "e"]
    # In a run of its own it reaches the good ones, as the batches are loaded one by one.
    assert backfill.latest(MAPPED, "a") is not None
    assert backfill.latest(MAPPED, "b") is None


def test_a_re_execution_touches_only_what_is_missing(backfill: Pipeline) -> None:
    first = launch(backfill.definitions, backfill.instance)
    backfill.options["checks"] = LumeChecks(reject_rate_error=0.6)
    backfill.write("c", GOOD)
    second = launch(backfill.definitions, backfill.instance, again_of=first)
    assert second.is_success
    assert set(materialized(backfill.instance, second)) == {(MAPPED, "b"), *((key, "c") for key in ASSETS)}
    assert len(materialized(backfill.instance, second)) == 4
    assert [len(backfill.runs(p)) for p in ALL] == [1, 1, 2, 1, 1]
    assert any("an earlier attempt has finished 3 more" in line for line in lines(backfill.instance, second))
    third = launch(backfill.definitions, backfill.instance, again_of=second)
    assert third.is_success
    assert materialized(backfill.instance, third) == []
    # Dagster expects the check results of each run, and holds those that it does not get for skipped.
    for run in (second, third):
        checked = [
            (check.check_name, check.partition)
            for event in events(backfill.instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            for check in [event.asset_check_evaluation_data]
        ]
        assert len(checked) == len(set(checked)) == 5 * len(ALL)


def test_a_new_launch_takes_the_runs_there_are(backfill: Pipeline) -> None:
    launch(backfill.definitions, backfill.instance, first="d")
    second = launch(backfill.definitions, backfill.instance, first="d")
    assert second.is_success
    assert len(materialized(backfill.instance, second)) == 6
    assert [len(backfill.runs(p)) for p in ("d", "e")] == [1, 1]


@pytest.mark.parametrize("how", [{"config": {"force_rerun": True}}, {"tags": {"lume/force_rerun": "true"}}])
def test_a_range_is_forced_once_and_not_by_its_re_execution(backfill: Pipeline, how: dict[str, Any]) -> None:
    launch(backfill.definitions, backfill.instance)
    second = launch(backfill.definitions, backfill.instance, **how)
    assert [len(backfill.runs(p)) for p in ALL] == [2] * 5
    launch(backfill.definitions, backfill.instance, **how, again_of=second)
    assert [len(backfill.runs(p)) for p in ALL] == [2, 2, 3, 2, 2]  # c failed, so that it is run, not forced
    assert backfill.lume.client.run_status(backfill.runs("c")[0]).forced is False


def test_the_mapped_output_or_its_checks_alone_need_no_new_run(backfill: Pipeline) -> None:
    launch(backfill.definitions, backfill.instance)
    backfill.options["checks"] = LumeChecks(reject_rate_error=0.6)
    audited = launch(backfill.definitions, backfill.instance, first="a", last="b", selection=[MAPPED])
    assert audited.is_success
    assert sorted(materialized(backfill.instance, audited), key=str) == [(MAPPED, "a"), (MAPPED, "b")]
    backfill.options["checks"] = LumeChecks(reject_rate_error=0.4)
    checked = launch(
        backfill.definitions,
        backfill.instance,
        first="a",
        last="b",
        selection=[],
        checks=[dg.AssetCheckKey(MAPPED, "reject_rate"), STATUS],
    )
    assert checked.is_success
    assert materialized(backfill.instance, checked) == []
    results = {
        (check.check_name, check.partition, check.passed)
        for event in events(backfill.instance, checked, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        for check in [event.asset_check_evaluation_data]
    }
    assert results == {
        ("reject_rate", "a", True),
        ("reject_rate", "b", False),
        ("status", "a", True),
        ("status", "b", True),
    }
    assert [len(backfill.runs(p)) for p in ALL] == [1] * 5


@pytest.mark.parametrize("check", [STATUS, dg.AssetCheckKey(MAPPED, "reject_rate")], ids=["run", "mapped"])
def test_checks_alone_over_a_range_tell_of_each_batch_that_was_run(
    backfill: Pipeline, check: dg.AssetCheckKey
) -> None:
    instance = backfill.instance
    launch(backfill.definitions, instance, last="b")
    checked = launch(backfill.definitions, instance, last="c", selection=[], checks=[check])
    assert "c: there is no Lume run of partition 'c' yet" in reason(instance, checked)
    told = [
        event.asset_check_evaluation_data
        for event in events(instance, checked, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ]
    assert {one.asset_check_key for one in told} == {check}
    assert {one.partition: one.passed for one in told} == {"a": True, "b": check == STATUS}
    for one in told:
        latest = _records(instance, one.asset_key, one.partition or "")
        target = one.target_materialization_data
        assert (target and target.storage_id) == (latest[0].storage_id if latest else None)
    assert materialized(instance, checked) == []
    assert [len(backfill.runs(p)) for p in ("a", "b", "c")] == [1, 1, 0]


def test_batches_without_a_run_cannot_be_audited_and_say_so(backfill: Pipeline) -> None:
    run = launch(backfill.definitions, backfill.instance, first="d", selection=[MAPPED])
    assert "d: there is no Lume run of partition 'd' yet" in reason(backfill.instance, run)
    assert "e: there is no Lume run" in reason(backfill.instance, run)


def test_stopped_batches_can_be_admitted(backfill: Pipeline) -> None:
    launch(backfill.definitions, backfill.instance)
    config = {"admit": True, "reason": "the partner knows"}
    run = launch(backfill.definitions, backfill.instance, last="b", selection=[MAPPED], config=config)
    assert run.is_success
    admitted = backfill.latest(MAPPED, "b")
    assert admitted is not None
    assert admitted.metadata["lume/admitted"].value == "the partner knows"
    without = launch(backfill.definitions, backfill.instance, selection=[MAPPED], config={"admit": True})
    assert "admit is set without a reason" in reason(backfill.instance, without)


def test_volume_in_a_range_counts_the_batches_of_the_range(backfill: Pipeline) -> None:
    backfill.options["checks"] = LumeChecks(volume=VolumeCheck(at_least=2, level="error"))
    backfill.lume = LumeResource(home=backfill.lume.home, flows=backfill.lume.flows, max_concurrent_runs=1)
    for partition in ("b", "c"):
        backfill.write(partition, GOOD)
    backfill.write("e", "ID,Full Name,Mail\n" + "".join(f"{number},P,\n" for number in range(1, 30)))
    run = launch(backfill.definitions, backfill.instance)
    assert "1 of 5 batches went no further" in reason(backfill.instance, run)
    assert "e: " in reason(backfill.instance, run)
    assert "the median of" in reason(backfill.instance, run)


def test_the_step_holds_the_pool(backfill: Pipeline) -> None:
    for options, pool in (({}, "lume"), ({"pool": "partners"}, "partners"), ({"pool": None}, None)):
        for mode, name in (("single_run", BATCHES), ("multi_run", "people__v1__run")):
            backfill.options = {"backfill": mode, **options}
            job = backfill.definitions.resolve_implicit_global_asset_job_def()
            assert job.get_node_named(name).definition.pool == pool  # type: ignore[attr-defined]


# Against a scripted Lume


FLOW = {
    "name": "people",
    "version": "v1",
    "flow_version": "people:v1",
    "fingerprint": "f",
    "target_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
}
MAPS = {"rows": {"source": 2, "mapped": 2, "rejected": 0}}
DAYS = dg.StaticPartitionsDefinition([f"{number:04}" for number in range(60)])


@pytest.fixture
def scripted() -> Iterator[ScriptedLume]:
    script = RunScript(
        [Stage("TRANSFORMING", seconds=0.2), "SUCCEEDED"], metadata=MAPS, mapped=[{"id": 1}, {"id": 2}]
    )
    with ScriptedLume(script, flows=[FLOW]) as lume:
        yield lume


def of_sixty(lume: LumeResource, **options: Any) -> dg.Definitions:
    return dg.Definitions.merge(
        build_lume_assets(
            flow_version="people:v1",
            partitions_def=DAYS,
            source_path="{partition_key}.csv",
            backfill="single_run",
            **options,
        ),
        dg.Definitions(resources={"lume": lume, "lume_io_manager": LumeIOManager(lume=lume)}),
    )


def creates(scripted: ScriptedLume) -> list[Any]:
    return [request.body for request in scripted.asked("POST", "/v1/runs") if request.path == "/v1/runs"]


def cancelled(scripted: ScriptedLume) -> set[str]:
    return {request.path.split("/")[3] for request in scripted.asked("POST", "/cancel")}


def test_runs_are_under_way_at_once_as_many_as_the_resource_says(
    scripted: ScriptedLume, backfill: Pipeline
) -> None:
    lume = LumeResource(base_url=scripted.url, max_concurrent_runs=7)
    under_way: list[int] = []
    answer = scripted.answer

    def counted(request: Any) -> Any:
        given = answer(request)
        under_way.append(sum(not scripted.is_final(run_id) for run_id in scripted.run_ids))
        return given

    scripted.answer = counted  # type: ignore[method-assign]
    assert launch(of_sixty(lume), backfill.instance, first="0000", last="0027").is_success
    assert max(under_way) == 7
    assert len(scripted.run_ids) == 28


def test_every_id_is_stored_before_the_run_is_asked_for(
    scripted: ScriptedLume, backfill: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown: list[str] = []
    wait = AsyncLumeClient.wait

    async def checked(client: AsyncLumeClient, run: Any, **options: Any) -> Any:
        observed = backfill.instance.fetch_observations(RUN, limit=100).records
        ids = {record.asset_observation.metadata["lume/run_id"].value for record in observed}  # type: ignore[union-attr]
        unknown.extend({run.id} - ids)
        return await wait(client, run, **options)

    monkeypatch.setattr(AsyncLumeClient, "wait", checked)
    lume = LumeResource(base_url=scripted.url)
    assert launch(of_sixty(lume), backfill.instance, first="0000", last="0014").is_success
    assert unknown == []


def test_a_batch_that_lume_refuses_or_crashes_leaves_the_others_alone(
    scripted: ScriptedLume, backfill: Pipeline
) -> None:
    scripted.next_run(RunScript([Stage("RUNNING", seconds=0.1), "CRASHED"], {"error_message": "out of luck"}))
    scripted.inject(Fault.status(422, json.dumps({"title": "no such batch"}).encode()), method="POST")
    lume = LumeResource(base_url=scripted.url, max_concurrent_runs=3)
    run = launch(of_sixty(lume), backfill.instance, first="0000", last="0009")
    said = reason(backfill.instance, run)
    assert "2 of 10 batches went no further" in said
    assert "no such batch" in said
    assert "out of luck" in said
    assert len({p for key, p in materialized(backfill.instance, run) if key == MAPPED}) == 8


def test_a_create_that_takes_long_keeps_nobody_from_telling_of_ended_batches(
    scripted: ScriptedLume, backfill: Pipeline
) -> None:
    held = scripted.hold("POST", "/v1/runs")
    told = []

    def release() -> None:
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and len(told) < 4:
            records = backfill.instance.fetch_materializations(MAPPED, limit=10).records
            told[:] = [record.partition_key for record in records]
            time.sleep(0.05)
        held.release()

    releasing = threading.Thread(target=release)
    releasing.start()
    lume = LumeResource(base_url=scripted.url, max_concurrent_runs=2)
    assert launch(of_sixty(lume), backfill.instance, first="0000", last="0004").is_success
    releasing.join()
    assert len(told) == 4


def test_a_retry_of_the_step_goes_on_with_what_crashed(scripted: ScriptedLume, backfill: Pipeline) -> None:
    scripted.next_run(RunScript([Stage("RUNNING", seconds=0.1), "CRASHED"], {"error_message": "out of luck"}))
    lume = LumeResource(base_url=scripted.url)
    definitions = of_sixty(lume, retry_policy=dg.RetryPolicy(max_retries=1))
    run = launch(definitions, backfill.instance, first="0000", last="0009")
    assert run.is_success
    assert len(creates(scripted)) == 11
    made = materialized(backfill.instance, run)
    assert len(made) == len(set(made)) == 30


def test_runs_of_an_earlier_attempt_count_as_under_way_and_begin_anew_when_they_crash(
    scripted: ScriptedLume, backfill: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = RunScript([Stage("TRANSFORMING", seconds=3600), "CRASHED"])
    for _ in range(2):
        scripted.next_run(endless)
    lume = LumeResource(base_url=scripted.url, outage_budget_seconds=10)
    seen: list[str] = []

    def evict(progress: Progress, partition: str) -> None:
        seen.append(partition)
        if len(seen) == 2:
            raise dg.DagsterExecutionInterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "started", evict)
        first = launch(of_sixty(lume), backfill.instance, first="0000", last="0001")
    told: list[str] = []
    started = Progress.started

    def end_when_all_are_under_way(progress: Progress, partition: str) -> None:
        started(progress, partition)
        told.append(progress.line())
        if len(told) == 2:
            for run_id in scripted.run_ids:
                scripted.end_run(run_id)

    monkeypatch.setattr(Progress, "started", end_when_all_are_under_way)
    second = launch(of_sixty(lume), backfill.instance, first="0000", last="0001", again_of=first)
    assert second.is_success
    assert "2 under way" in told[1]
    assert [scripted.status(run_id) for run_id in scripted.run_ids] == [*["CRASHED"] * 2, *["SUCCEEDED"] * 2]


@pytest.mark.parametrize(
    ("terminated", "on_interrupt", "cancels"),
    [(True, "cancel", True), (True, "leave", False), (False, "cancel", False)],
    ids=["terminated", "terminated, to be left", "evicted"],
)
def test_an_interrupt_ends_or_leaves_all_runs_under_way_and_none_is_lost(
    scripted: ScriptedLume,
    backfill: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    terminated: bool,
    on_interrupt: Any,
    cancels: bool,
) -> None:
    endless = RunScript(
        [Stage("TRANSFORMING", seconds=3600), "SUCCEEDED"], MAPS, mapped=[{"id": 1}, {"id": 2}]
    )
    for _ in range(6):
        scripted.next_run(endless)
    for _ in range(2):  # the interrupt comes while two creates are under way
        scripted.inject(Fault(), times=3, method="POST")
        scripted.inject(Fault.slow(0.7), method="POST")
    started = []

    def interrupt(progress: Progress, partition: str) -> None:
        started.append(partition)
        if len(started) == 4:
            (stored,) = backfill.instance.get_runs()
            if terminated:
                backfill.instance.report_run_canceling(stored)
            raise dg.DagsterExecutionInterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "started", interrupt)
        lume = LumeResource(base_url=scripted.url, on_interrupt=on_interrupt, max_concurrent_runs=6)
        run = launch(of_sixty(lume), backfill.instance, first="0000", last="0009")
    assert run.status is (dg.DagsterRunStatus.CANCELED if terminated else dg.DagsterRunStatus.FAILURE)
    assert len(scripted.run_ids) == 6
    assert cancelled(scripted) == (set(scripted.run_ids) if cancels else set())
    assert not any(thread.name == "lume-runs" for thread in threading.enumerate())
    if not terminated:
        for run_id in scripted.run_ids:
            scripted.end_run(run_id)
        later = launch(of_sixty(lume), backfill.instance, first="0000", last="0009", again_of=run)
        assert later.is_success
        assert len({body["source_path"] for body in creates(scripted)}) == 10
        assert len(scripted.run_ids) == 10
