from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lume_dagster import (
    DagsterLumeTranslator,
    LumeAssetProps,
    LumeChecks,
    LumeIOManager,
    LumeResource,
    VolumeCheck,
    build_lume_assets,
)
from lume_dagster.engine import Engine
from lume_dagster.testing import Fault, RunScript, ScriptedLume
from tests.dagster.conftest import (
    AUDIT,
    GOOD,
    HALF_BAD,
    MAPPED,
    NAMES,
    PARTITIONS,
    REJECTS,
    REVIEW,
    RUN,
    WRITE,
    Pipeline,
    failed_checks,
    failure,
    materialized,
)


def value(materialization: dg.AssetMaterialization | None, name: str) -> Any:
    assert materialization is not None
    return materialization.metadata[name].value


def test_a_good_batch_goes_the_whole_way(pipeline: Pipeline) -> None:
    result = pipeline.materialize("a")
    assert result.success
    assert materialized(result) == {RUN, MAPPED, REJECTS, NAMES, REVIEW}
    assert failed_checks(result) == set()
    assert value(pipeline.latest(NAMES, "a"), "names") == ["Ada", "Bob"]
    run, mapped, rejects = (pipeline.latest(key, "a") for key in (RUN, MAPPED, REJECTS))
    assert value(run, "lume/status") == "SUCCEEDED"
    assert value(mapped, "dagster/partition_row_count") == 2
    assert value(rejects, "dagster/partition_row_count") == 0
    assert value(mapped, "lume/run_id") == value(run, "lume/run_id") == pipeline.runs("a")[0]
    assert [column.name for column in value(mapped, "dagster/column_schema").columns] == [
        "id",
        "name",
        "email",
    ]
    lineage = value(mapped, "dagster/column_lineage").deps_by_column
    assert [dep.column_name for dep in lineage["name"]] == ["Full Name"]


def test_the_checks_of_a_published_batch_speak_of_its_latest_materialization(pipeline: Pipeline) -> None:
    result = pipeline.materialize("a")
    order = [
        event.event_type_value
        for event in result.events_for_node(AUDIT)
        if event.event_type_value in ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION")
    ]
    assert order[0] == "ASSET_MATERIALIZATION"
    for check in result.get_asset_check_evaluations():
        assert check.target_materialization_data is not None
        assert check.partition == "a"


def test_a_batch_that_fails_its_audit_goes_no_further_but_its_rejects_do(pipeline: Pipeline) -> None:
    result = pipeline.materialize("b")
    assert not result.success
    assert materialized(result) == {RUN, REJECTS, REVIEW}
    assert failed_checks(result) == {"reject_rate"}
    assert "1 of 2 rows were rejected: 50.00%, above 40.00%" in failure(result, AUDIT)
    assert value(pipeline.latest(REVIEW, "b"), "rejects") == 1


def test_a_batch_of_rejects_only_is_stopped_and_reviewed(pipeline: Pipeline) -> None:
    result = pipeline.materialize("c")
    assert not result.success
    assert materialized(result) == {RUN, REJECTS, REVIEW}
    assert failed_checks(result) == {"status"}
    assert "no record of the batch could be mapped" in failure(result, AUDIT)


def test_a_batch_that_cannot_be_read_fails_with_the_reason_and_publishes_nothing(pipeline: Pipeline) -> None:
    result = pipeline.materialize("d")
    assert not result.success
    assert materialized(result) == set()
    assert failed_checks(result) == {"status"}
    assert "d.csv" in failure(result, WRITE)
    assert pipeline.runs("d")[0] in failure(result, WRITE)


def test_a_downstream_launched_alone_cannot_reach_a_stopped_batch(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    result = pipeline.materialize("b", NAMES)
    assert not result.success
    assert NAMES not in materialized(result)
    assert "has no published output for partition 'b'" in failure(result, "names")


def test_automation_asks_only_for_published_batches(pipeline: Pipeline) -> None:
    pipeline.materialize("a", RUN, REJECTS, MAPPED)
    pipeline.materialize("b", RUN, REJECTS, MAPPED)

    @dg.asset(deps=[MAPPED], partitions_def=PARTITIONS, automation_condition=dg.AutomationCondition.eager())
    def automated() -> None: ...

    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(assets=[automated]))
    evaluated = dg.evaluate_automation_conditions(definitions, pipeline.instance)
    pipeline.materialize("e")
    pipeline.write("e", HALF_BAD)
    pipeline.materialize("e")
    for _ in range(2):
        evaluated = dg.evaluate_automation_conditions(definitions, pipeline.instance, cursor=evaluated.cursor)
        assert evaluated.get_requested_partitions(automated.key) <= {"a"}
    pipeline.materialize("a", MAPPED)
    evaluated = dg.evaluate_automation_conditions(definitions, pipeline.instance, cursor=evaluated.cursor)
    assert evaluated.get_requested_partitions(automated.key) == {"a"}


def test_materializing_again_takes_the_results_of_the_run_there_is(pipeline: Pipeline) -> None:
    first, second = pipeline.materialize("a"), pipeline.materialize("a")
    assert first.success
    assert second.success
    assert len(pipeline.runs("a")) == 1
    assert pipeline.count(MAPPED, "a") == 2


def test_an_existing_run_can_be_made_an_error(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    pipeline.lume = LumeResource(home=pipeline.lume.home, flows=pipeline.lume.flows, on_existing="fail")
    result = pipeline.materialize("a")
    assert not result.success
    assert "force_rerun: true" in failure(result, WRITE)


@pytest.mark.parametrize(
    "options", [{"write": {"force_rerun": True}}, {"tags": {"lume/force_rerun": "true"}}]
)
def test_a_forced_rerun_starts_one_run_and_leaves_each_record_once(
    pipeline: Pipeline, options: dict[str, Any]
) -> None:
    pipeline.materialize("a")
    before = pipeline.latest(MAPPED, "a")
    assert pipeline.materialize("a", **options).success
    after = pipeline.latest(MAPPED, "a")
    assert len(pipeline.runs("a")) == 2
    assert value(after, "lume/run_id") != value(before, "lume/run_id")
    assert value(pipeline.latest(NAMES, "a"), "names") == ["Ada", "Bob"]
    assert before is not None
    assert after is not None
    assert after.tags is not None
    assert before.tags is not None
    assert after.tags["dagster/data_version"] == before.tags["dagster/data_version"]


def test_a_wrong_force_tag_is_refused(pipeline: Pipeline) -> None:
    result = pipeline.materialize("a", tags={"lume/force_rerun": "yes"})
    assert "write true or false" in failure(result, WRITE)


def test_a_rerun_that_fails_its_audit_leaves_the_earlier_output_in_place(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    published = value(pipeline.latest(MAPPED, "a"), "lume/run_id")
    pipeline.write("a", HALF_BAD)
    assert not pipeline.materialize("a", write={"force_rerun": True}).success
    assert value(pipeline.latest(RUN, "a"), "lume/run_id") != published
    assert value(pipeline.latest(MAPPED, "a"), "lume/run_id") == published
    assert pipeline.materialize("a", NAMES).success
    assert value(pipeline.latest(NAMES, "a"), "names") == ["Ada", "Bob"]


def test_the_audit_can_be_repeated_alone_with_other_thresholds(pipeline: Pipeline) -> None:
    assert not pipeline.materialize("b").success
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.6)
    result = pipeline.materialize("b", MAPPED, NAMES)
    assert result.success
    assert materialized(result) == {MAPPED, NAMES}
    assert len(pipeline.runs("b")) == 1


def test_a_batch_can_be_admitted_by_hand_and_it_shows(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    result = pipeline.materialize("b", MAPPED, NAMES, audit={"admit": True, "reason": "the partner knows"})
    assert result.success
    mapped = pipeline.latest(MAPPED, "b")
    assert value(mapped, "lume/admitted") == "the partner knows"
    assert value(mapped, "lume/overruled_checks") == ["reject_rate"]
    (overruled,) = [
        check for check in result.get_asset_check_evaluations() if check.check_name == "reject_rate"
    ]
    assert overruled.description is not None
    assert "Admitted by hand (the partner knows)" in overruled.description


def test_nothing_is_admitted_without_a_reason(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    result = pipeline.materialize("b", MAPPED, audit={"admit": True})
    assert not result.success
    assert "reason" in failure(result, AUDIT)


def test_a_failed_run_cannot_be_admitted(pipeline: Pipeline) -> None:
    pipeline.materialize("c")
    result = pipeline.materialize("c", MAPPED, audit={"admit": True, "reason": "no"})
    assert not result.success
    assert MAPPED not in materialized(result)


def test_mapped_without_a_run_says_what_to_materialize(pipeline: Pipeline) -> None:
    assert "materialize people/run first" in failure(pipeline.materialize("a", MAPPED), AUDIT)


def test_the_checks_can_be_executed_alone(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    job = dg.define_asset_job("checks_only", selection=dg.AssetSelection.checks_for_assets(MAPPED))
    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(jobs=[job]))
    result = definitions.resolve_job_def("checks_only").execute_in_process(
        instance=pipeline.instance, tags={"dagster/partition": "a"}
    )
    assert {check.check_name for check in result.get_asset_check_evaluations()} == {
        "rows_reconcile",
        "reject_rate",
        "schema",
        "source_drift",
    }
    assert materialized(result) == set()
    assert len(pipeline.runs("a")) == 1


def test_a_crashed_run_is_tried_again_by_the_retry_policy_and_forced_only_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.materialize("a")
    pipeline.options["retry_policy"] = dg.RetryPolicy(max_retries=2)
    attempts = []
    transform = Engine.transform

    def crash_once(self: Engine, *arguments: Any) -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("out of luck")
        return transform(self, *arguments)

    monkeypatch.setattr(Engine, "transform", crash_once)
    result = pipeline.materialize("a", write={"force_rerun": True})
    assert result.success
    newest, crashed, first = (pipeline.lume.client.run_status(run_id) for run_id in pipeline.runs("a"))
    assert [newest.status, crashed.status, first.status] == ["SUCCEEDED", "CRASHED", "SUCCEEDED"]
    assert [newest.forced, crashed.forced] == [False, True]


def test_a_failed_run_is_not_tried_again(pipeline: Pipeline) -> None:
    pipeline.options["retry_policy"] = dg.RetryPolicy(max_retries=2)
    pipeline.materialize("d")
    assert len(pipeline.runs("d")) == 1


def test_the_id_of_the_run_is_kept_with_the_dagster_run_and_observed(pipeline: Pipeline) -> None:
    result = pipeline.materialize("a")
    stored = pipeline.instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.tags["lume/run.people.v1"] == pipeline.runs("a")[0]
    observed = pipeline.instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=RUN, asset_partitions=["a"]), limit=1
    ).records[0]
    assert observed.asset_observation is not None
    assert observed.asset_observation.metadata["lume/run_id"].value == pipeline.runs("a")[0]


def test_a_source_path_can_be_given_at_launch(pipeline: Pipeline) -> None:
    pipeline.write("elsewhere", GOOD)
    path = str(pipeline.folder / "elsewhere.csv")
    assert pipeline.materialize("d", write={"source_path": path}).success
    first = value(pipeline.latest(RUN, "d"), "lume/run_id")
    assert pipeline.materialize("d", write={"source_path": f"run:{first}"}).success
    assert value(pipeline.latest(RUN, "d"), "lume/source_path") == f"run:{first}"


def test_a_source_path_with_credentials_is_refused_at_launch(pipeline: Pipeline) -> None:
    pipeline.options["retry_policy"] = dg.RetryPolicy(max_retries=2)
    result = pipeline.materialize("d", write={"source_path": "s3://key:s3cret@bucket/d.csv"})
    assert "credentials have no place in a source_path" in failure(result, WRITE)
    assert not any("s3cret" in str(event) for event in result.all_node_events)
    assert not result.get_step_success_events()
    assert pipeline.lume.client.runs().total == 0


def test_a_file_that_was_handed_over_can_be_given_at_launch(pipeline: Pipeline, tmp_path: Path) -> None:
    mine = tmp_path / "corrected.csv"
    mine.write_text(GOOD)
    uploaded = pipeline.lume.client.upload_file(mine)
    mine.unlink()
    assert pipeline.materialize("e", write={"source_path": uploaded}).success
    assert value(pipeline.latest(RUN, "e"), "lume/source_path") == uploaded
    assert value(pipeline.latest(RUN, "e"), "lume/source_file") == "corrected.csv"
    assert value(pipeline.latest(NAMES, "e"), "names") == ["Ada", "Bob"]


def test_volume_is_judged_by_earlier_batches(pipeline: Pipeline) -> None:
    pipeline.options["checks"] = LumeChecks(volume=VolumeCheck(at_least=2, level="error"))
    for partition in ("a", "d"):
        pipeline.write(partition, GOOD)
        assert pipeline.materialize(partition).success
    pipeline.write("e", "ID,Full Name,Mail\n" + "".join(f"{number},P,\n" for number in range(1, 30)))
    result = pipeline.materialize("e")
    assert failed_checks(result) == {"volume"}
    assert "29 rows; the median of 2 earlier batches is 2" in failure(result, AUDIT)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"flow_version": "people"}, "NAME:vN"),
        ({"source_path": "batch.csv"}, "same batch for every partition"),
        ({"source_path": "s3://bucket/{partition_key}.csv?secret_key=s3cret"}, "credentials have no place"),
        ({"source_path": "s3://bucket/batch.csv?secret_key=s3cret"}, "credentials have no place"),
    ],
)
def test_faulty_definitions_are_refused(pipeline: Pipeline, options: dict[str, Any], told: str) -> None:
    pipeline.options = options
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=told) as refused:
        _ = pipeline.definitions
    assert "s3cret" not in str(refused.value)


def test_a_translator_changes_keys_and_is_told_of_equal_ones(pipeline: Pipeline) -> None:
    class Prefixed(DagsterLumeTranslator):
        def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
            spec = super().get_asset_spec(props)
            return spec.replace_attributes(key=spec.key.with_prefix("partners"), owners=["team:data"])

    class Same(DagsterLumeTranslator):
        def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
            return super().get_asset_spec(props).replace_attributes(key="same")

    options: dict[str, Any] = {
        "flow_version": "people:v1",
        "partitions_def": PARTITIONS,
        "source_path": lambda key: key,
    }
    resources = dg.Definitions(
        resources={"lume": pipeline.lume, "lume_io_manager": LumeIOManager(lume=pipeline.lume)}
    )
    prefixed = dg.Definitions.merge(build_lume_assets(**options, translator=Prefixed()), resources)
    keys = {spec.key.to_user_string() for spec in prefixed.resolve_all_asset_specs()}
    assert keys == {"partners/people/run", "partners/people/mapped", "partners/people/rejects"}
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=r"props\.kind"):
        build_lume_assets(**options, translator=Same())


def test_the_flow_s_description_schema_and_fingerprint_can_be_known_at_load(pipeline: Pipeline) -> None:
    flow = pipeline.lume.client.flow_version("people:v1")
    pipeline.options["flow"] = flow
    specs = {spec.key: spec for spec in pipeline.definitions.resolve_all_asset_specs()}
    assert specs[MAPPED].code_version == flow.fingerprint
    assert (specs[MAPPED].description or "").startswith("People of a partner.")
    columns = specs[MAPPED].metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == ["id", "name", "email"]
    assert "sensitive" in columns[2].constraints.other


def test_sensitive_values_are_masked_in_the_sample(pipeline: Pipeline) -> None:
    pipeline.write("d", GOOD + "x,Dee,secret-address\n")
    pipeline.materialize("d")
    rejects = pipeline.latest(REJECTS, "d")
    assert rejects is not None
    sample = rejects.metadata["lume/rejects_sample"]
    assert isinstance(sample, dg.TableMetadataValue)
    shown = [record.data for record in sample.records]
    assert [(row["row"], row["field"], row["error"]) for row in shown] == [
        (3, "id", "type"),
        (3, "email", "format"),
    ]
    assert "secret-address" not in str(shown[1])
    assert "secret-address" not in str(rejects)


def launch_range(pipeline: Pipeline, first: str, last: str) -> dg.ExecuteInProcessResult:
    return pipeline.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=pipeline.instance,
        raise_on_error=False,
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )


def test_a_batch_can_be_named_as_a_range_of_one(pipeline: Pipeline) -> None:
    result = launch_range(pipeline, "a", "a")
    assert {RUN, MAPPED, REJECTS} <= materialized(result)
    assert pipeline.latest(MAPPED, "a") is not None


def test_a_run_of_several_batches_is_refused_with_what_to_do(pipeline: Pipeline) -> None:
    result = launch_range(pipeline, "a", "b")
    assert 'launch a run for each batch, or declare the assets with backfill="single_run"' in failure(
        result, WRITE
    )
    assert pipeline.runs("a") == []


def test_assets_that_declare_no_policy_go_along_in_a_backfill(pipeline: Pipeline) -> None:
    graph = pipeline.definitions.resolve_asset_graph()
    # With a policy of our own, even that of one batch a run, Dagster would launch them apart, name each batch as a
    # range, and store check results without their partition.
    assert {graph.get(key).backfill_policy for key in (RUN, REJECTS, MAPPED, NAMES)} == {None}


def test_an_audit_is_tried_again_after_an_outage_and_not_after_its_verdict(pipeline: Pipeline) -> None:
    pipeline.options |= {
        "retry_policy": dg.RetryPolicy(max_retries=2),
        "checks": LumeChecks(output_schema="off", reject_rate_error=0.4),
    }
    reject = {
        "row_number": 2,
        "source_record": {},
        "errors": [{"field": "id", "type": "type", "message": "no"}],
    }
    with ScriptedLume(RunScript(["SUCCEEDED"], mapped=[{"id": 1}])) as lume:
        lume.add_flow("people:v1")
        lume.next_run(RunScript(["SUCCEEDED"], mapped=[{"id": 1}]))
        lume.next_run(RunScript(["PARTIAL_FAILED"], mapped=[{"id": 1}], rejects=[reject]))
        pipeline.lume = LumeResource(base_url=lume.url, outage_budget_seconds=0)
        for partition in ("a", "b"):
            pipeline.materialize(partition, RUN, REJECTS)
        lume.inject(Fault.status(503), path="/v1/runs/run_")
        audited = pipeline.materialize("a", MAPPED)
        stopped = pipeline.materialize("b", MAPPED)
    assert audited.success
    assert audited.retry_attempts_for_node(AUDIT) == 1
    assert failed_checks(stopped) == {"reject_rate"}
    assert stopped.retry_attempts_for_node(AUDIT) == 0
