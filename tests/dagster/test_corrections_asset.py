"""The asset and the sensor that pick up corrected files: each once, and the batch follows."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pyarrow.parquet as pq
import pytest

from lume_dagster import (
    BatchFiles,
    DagsterLumeTranslator,
    LumeAssetProps,
    LumeChecks,
    LumeIOManager,
    LumeResource,
    build_lume_alerts,
    build_lume_assets,
    build_lume_corrections,
)
from lume_dagster.client import LumeError
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.sensors.batches import FoundFile
from lume_dagster.testing import RunScript, ScriptedLume
from tests.dagster.conftest import (
    HALF_BAD,
    MAPPED,
    NAMES,
    PARTITIONS,
    REJECTS,
    RUN,
    Pipeline,
    failure,
    materialized,
)

CORRECTIONS = dg.AssetKey(["people", "corrections"])
STEP = "people__v1__corrections"
CORRECTED = "row_number,reasons,ID,Full Name,Mail\n2,id: is no number,2,Bob,\n"
STILL_BAD = CORRECTED.replace("2,Bob", "y,Bob")


class Desk:
    """Where corrected files are put, with the asset and the sensor that look there, over a pipeline."""

    def __init__(self, pipeline: Pipeline, settle_seconds: float = 0) -> None:
        self.pipeline = pipeline
        self.folder = pipeline.folder / "corrected"
        self.folder.mkdir()
        self.files = BatchFiles(str(self.folder / "{partition_key}.csv"), settle_seconds=settle_seconds)
        self.cursor: str | None = None
        self.said: str | None = None
        self.options: dict[str, Any] = {}

    @property
    def definitions(self) -> dg.Definitions:
        return dg.Definitions.merge(
            self.pipeline.definitions,
            build_lume_corrections(
                flow_version="people:v1", partitions_def=PARTITIONS, files=self.files, **self.options
            ),
        )

    def put(self, partition: str, text: str = CORRECTED) -> Path:
        path = self.folder / f"{partition}.csv"
        path.write_text(text)
        return path

    def tick(self) -> list[dg.RunRequest]:
        definitions = self.definitions
        sensor = definitions.resolve_sensor_def("people_v1_corrections")
        with dg.build_sensor_context(
            self.pipeline.instance,
            cursor=self.cursor,
            resources={"lume": self.pipeline.lume},
            definitions=definitions,
        ) as context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        self.said = result.skip_message
        return list(result.run_requests or ())

    def carry_out(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """What the daemon does with a request, together with what follows by automation."""
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=request.partition_key,
            instance=self.pipeline.instance,
            raise_on_error=False,
            asset_selection=list(request.asset_selection or ()),
            tags=dict(request.tags),
        )

    def follow(self) -> list[tuple[str | None, bool]]:
        """Ticks, and carries out what the sensor asks for: the batches, and whether it was a correction."""
        return [
            (request.partition_key, RUN not in materialized(self.carry_out(request)))
            for request in self.tick()
        ]


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    pipeline.write("b", HALF_BAD)
    pipeline.materialize("b")
    return Desk(pipeline)


def test_a_corrected_file_is_handed_in_once_and_its_batch_follows(desk: Desk) -> None:
    pipeline = desk.pipeline
    assert pipeline.latest(MAPPED, "b") is None
    assert desk.follow() == []
    file = desk.put("b")
    assert desk.follow() == [("b", True)]
    told = pipeline.latest(CORRECTIONS, "b")
    assert told is not None
    reviewed, corrected = reversed(pipeline.runs("b"))
    assert {name: value.value for name, value in told.metadata.items()} == {
        "dagster/uri": str(file),
        "lume/run_id": corrected,
        "lume/corrects": reviewed,
        "lume/outcome": "all 2 records mapped",
        "lume/records_handed_in": 1,
        "lume/corrected_records": 1,
        "lume/rejected_before": 1,
        "lume/rejected_rows": 0,
        "lume/source_path": str(pipeline.folder / "b.csv"),
        "lume/flow_version": "people:v1",
    }

    (request,) = desk.tick()
    assert (request.partition_key, request.tags[ADOPT_RUN_TAG]) == ("b", corrected)
    result = desk.carry_out(request)
    assert result.success
    assert materialized(result) == {RUN, MAPPED, REJECTS, CORRECTIONS}
    again = pipeline.latest(CORRECTIONS, "b")
    assert again is not None
    assert again.metadata == told.metadata
    assert {check.check_name for check in result.get_asset_check_evaluations() if check.passed} >= {
        "status",
        "reject_rate",
    }
    published = pipeline.latest(MAPPED, "b")
    assert published is not None
    assert published.metadata["dagster/partition_row_count"].value == 2
    assert (file.read_text(), pipeline.runs("b")) == (CORRECTED, [corrected, reviewed])
    assert desk.follow() == []


def test_a_file_that_is_replaced_is_handed_in_again(desk: Desk) -> None:
    desk.put("b", STILL_BAD)
    assert desk.follow() == [("b", True)]
    assert desk.follow() == [("b", False)]
    desk.put("b", f"{CORRECTED}\n")
    assert desk.follow() == [("b", True)]
    assert desk.follow() == [("b", False)]
    assert desk.follow() == []
    assert len(desk.pipeline.runs("b")) == 3
    assert desk.pipeline.latest(MAPPED, "b") is not None


def test_a_lost_cursor_hands_nothing_in_twice(desk: Desk) -> None:
    desk.put("b")
    keys = []
    for _ in range(2):
        desk.cursor = None
        for request in (*desk.tick(), *desk.tick()):
            keys.append(request.run_key)
            desk.carry_out(request)
        for request in desk.tick():
            keys.append(request.run_key)
            desk.carry_out(request)
    assert len(set(keys)) == 2  # Dagster starts one run for each
    assert len(desk.pipeline.runs("b")) == 2


def test_a_file_without_changes_starts_nothing(desk: Desk) -> None:
    desk.put("b", HALF_BAD.replace("ID,", "row_number,ID,").replace("1,Ada", "1,1,Ada").replace("x,", "2,x,"))
    assert desk.follow() == [("b", True)]
    assert desk.follow() == []
    assert len(desk.pipeline.runs("b")) == 1


def test_a_bad_file_is_told_and_does_not_stop_the_others(desk: Desk) -> None:
    pipeline = desk.pipeline
    pipeline.write("d", HALF_BAD)
    pipeline.materialize("d")
    desk.put("b", CORRECTED.replace("Mail", "Post"))
    desk.put("d")
    bad, good = desk.tick()
    refused = desk.carry_out(bad)
    assert not refused.success
    assert failure(refused, STEP) == (
        f"the batch 'b' stays as it was: {desk.folder / 'b.csv'}, line 1: columns are missing: 'Mail'; put them back"
    )
    assert materialized(desk.carry_out(good)) == {CORRECTIONS}
    assert desk.follow() == [("d", False)]
    assert (len(pipeline.runs("b")), len(pipeline.runs("d"))) == (1, 2)
    assert pipeline.latest(MAPPED, "d") is not None
    desk.put("b")
    assert desk.follow() == [("b", True)]


def test_a_line_that_could_not_be_parsed_is_filled_in(desk: Desk) -> None:
    pipeline = desk.pipeline
    pipeline.write("d", 'ID,Full Name,Mail\n1,Ada,a@example.com\n"2"x,Bob,b,c,d,e\n')
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.9)
    pipeline.materialize("d")
    review = (pipeline.folder / "d.review.csv").read_text()
    assert "where it has 3,,,," in review
    desk.put("d", review.replace("where it has 3,,,,", "where it has 3,2,Bob,,"))
    assert desk.follow() + desk.follow() == [("d", True), ("d", False)]
    published = pipeline.latest(MAPPED, "d")
    assert published is not None
    assert published.metadata["dagster/partition_row_count"].value == 2


def test_what_lume_refuses_is_told(desk: Desk) -> None:
    desk.put("b", CORRECTED.replace("\n2,", "\n1,"))
    (request,) = desk.tick()
    result = desk.carry_out(request)
    assert "row 1 was not rejected" in failure(result, STEP)
    assert len(desk.pipeline.runs("b")) == 1


def test_a_bad_file_is_an_alert(desk: Desk) -> None:
    told = []
    sensor = build_lume_alerts(flow_version="people:v1", notify=lambda _, alert: told.append(alert))
    with dg.build_sensor_context(desk.pipeline.instance) as context:
        cursor = sensor.evaluate_tick(context).cursor
    desk.put("b", "")
    (request,) = desk.tick()
    desk.carry_out(request)
    with dg.build_sensor_context(desk.pipeline.instance, cursor=cursor) as context:
        sensor.evaluate_tick(context)
    (alert,) = told
    assert (alert.kind, alert.partition) == ("error", "b")
    assert "line 1: columns are missing" in alert.summary


def test_a_bad_file_is_an_alert_also_where_the_batch_s_other_assets_are_materialized(desk: Desk) -> None:
    told = []
    sensor = build_lume_alerts(flow_version="people:v1", notify=lambda _, alert: told.append(alert))
    with dg.build_sensor_context(desk.pipeline.instance) as context:
        cursor = sensor.evaluate_tick(context).cursor
    desk.put("a", "rubbish\n")  # of a good batch, and one whose audit fails
    desk.put("b", "rubbish\n")
    for partition in ("a", "b"):
        desk.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=partition, instance=desk.pipeline.instance, raise_on_error=False
        )
    with dg.build_sensor_context(desk.pipeline.instance, cursor=cursor) as context:
        sensor.evaluate_tick(context)
    assert [(alert.kind, alert.partition) for alert in told] == [
        ("error", "a"),
        ("audit_failed", "b"),
        ("error", "b"),
    ]
    assert told[0].summary.startswith("the batch 'a' stays as it was: ")


class _ThreeKinds(DagsterLumeTranslator):
    """A translator that was written without corrections in mind."""

    def __init__(self, other: str | None = None) -> None:
        super().__init__()
        self._other = other

    def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
        keys = {"run": "r", "mapped": "m", "rejects": "x"}
        key = keys.get(props.kind, self._other) if self._other else keys[props.kind]
        return super().get_asset_spec(props).replace_attributes(key=key)


def test_alerts_ask_a_translator_for_corrections_only_where_there_are_some(desk: Desk) -> None:
    told = []
    sensor = build_lume_alerts(
        flow_version="people:v1", notify=lambda _, alert: told.append(alert), translator=_ThreeKinds()
    )
    with dg.build_sensor_context(desk.pipeline.instance) as context:
        cursor = sensor.evaluate_tick(context).cursor
    definitions = build_lume_assets(
        flow_version="people:v1",
        partitions_def=PARTITIONS,
        source_path=str(desk.pipeline.folder / "{partition_key}.csv"),
        checks=LumeChecks(reject_rate_error=0.4),
        translator=_ThreeKinds(),
    )
    resources = dg.Definitions(
        resources={"lume": desk.pipeline.lume, "lume_io_manager": LumeIOManager(lume=desk.pipeline.lume)}
    )
    job = dg.Definitions.merge(definitions, resources).resolve_implicit_global_asset_job_def()
    job.execute_in_process(partition_key="b", instance=desk.pipeline.instance, raise_on_error=False)
    with dg.build_sensor_context(desk.pipeline.instance, cursor=cursor) as context:
        sensor.evaluate_tick(context)
    assert [alert.kind for alert in told] == ["audit_failed"]


def test_corrections_with_the_key_of_another_asset_are_refused(desk: Desk) -> None:
    desk.options["translator"] = _ThreeKinds("r")
    with pytest.raises(
        dg.DagsterInvalidDefinitionError, match=r"the key r; let the key depend on props\.kind"
    ):
        _ = desk.definitions


def test_a_correction_that_crashed_is_handed_in_again_by_a_retry(desk: Desk) -> None:
    reject = {
        "row_number": 2,
        "source_record": {"ID": "x", "Full Name": "Bob", "Mail": None},
        "errors": [{"field": "id", "type": "type", "message": "no"}],
    }
    bad = RunScript(
        ["PARTIAL_FAILED"],
        {"source": {"columns": ["ID", "Full Name", "Mail"]}},
        mapped=[{"id": 1}],
        rejects=[reject],
    )
    desk.options = {"retry_policy": dg.RetryPolicy(max_retries=1)}
    with ScriptedLume(RunScript(["SUCCEEDED"], mapped=[{"id": 1}, {"id": 2}])) as lume:
        lume.add_flow("people:v1")
        lume.next_run(bad)
        lume.next_run(RunScript(["CRASHED"], {"error_message": "out of memory"}))
        desk.pipeline.lume = LumeResource(base_url=lume.url, outage_budget_seconds=0)
        desk.pipeline.options = {"checks": LumeChecks(output_schema="off", reject_rate_error=0.4)}
        desk.pipeline.materialize("d")
        desk.put("d")
        (request,) = desk.tick()
        result = desk.carry_out(request)
        assert desk.follow() == [("d", False)]
        asked = [taken.body["run_metadata"]["dagster_run_id"] for taken in lume.asked("POST", "/corrections")]
        runs = lume.run_ids
    assert result.success
    assert result.retry_attempts_for_node(STEP) == 1
    assert asked == [result.run_id] * 2
    published = desk.pipeline.latest(MAPPED, "d")
    assert published is not None
    assert (published.metadata["lume/run_id"].value, len(runs)) == (runs[-1], 3)


def test_a_file_that_is_still_being_written_is_waited_for(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("lume_dagster.corrections.definitions.time.time", lambda: now[0])
    desk = Desk(pipeline, settle_seconds=30)
    pipeline.materialize("b")
    asked = []
    for second in range(0, 60, 10):
        if second <= 20:
            desk.put("b", CORRECTED[: second + 20])
        now[0] = 1000.0 + second
        asked.append(len(desk.tick()))
    assert asked == [0, 0, 0, 0, 0, 1]


@dataclass(frozen=True)
class _SlowlyWritten(BatchFiles):
    """Files of which each look but the last finds another part written."""

    writes: list[Callable[[], object]] = field(default_factory=list)

    def look(self, key: str) -> FoundFile | None:
        if self.writes:
            self.writes.pop(0)()
        return super().look(key)


def test_a_launch_by_hand_waits_for_a_file_that_is_still_being_written(desk: Desk) -> None:
    pipeline = desk.pipeline
    whole = "row_number,ID,Mail,Full Name\n2,2,,Bobby\n"
    parts = [partial(desk.put, "b", whole[:end]) for end in (-4, -2, None)]
    desk.files = _SlowlyWritten(desk.files.path, settle_seconds=0.3, writes=parts)
    assert desk.carry_out(dg.RunRequest(partition_key="b", asset_selection=[CORRECTIONS])).success
    run = pipeline.lume.client.run_status(pipeline.runs("b")[0])
    assert "Bobby" in pq.read_table(run.target_locations.mapped).column("name").to_pylist()
    assert len(pipeline.runs("b")) == 2


def test_a_batch_that_follows_leaves_a_newer_file_to_the_sensor(desk: Desk) -> None:
    pipeline = desk.pipeline
    desk.put("b")
    assert desk.follow() == [("b", True)]
    told = pipeline.latest(CORRECTIONS, "b")
    (request,) = desk.tick()
    desk.put("b", CORRECTED[:-6])
    assert desk.carry_out(request).success
    again = pipeline.latest(CORRECTIONS, "b")
    assert told is not None
    assert again is not None
    assert again.metadata == told.metadata
    assert len(pipeline.runs("b")) == 2
    desk.put("b", CORRECTED.replace("Bob", "Bobby"))
    assert desk.follow() == [("b", True)]


def test_a_file_of_no_batch_is_passed_over_until_the_batch_has_run(desk: Desk) -> None:
    desk.pipeline.write("d", HALF_BAD)
    for name in ("d", "stranger"):
        desk.put(name)
    assert desk.follow() == []
    assert "2 are of no batch that was run (d, stranger)" in str(desk.said)
    desk.pipeline.materialize("d")
    assert [request.partition_key for request in desk.tick()] == ["d"]


def test_a_file_that_is_older_than_the_run_of_its_batch_is_refused(desk: Desk) -> None:
    file = desk.put("b")
    desk.pipeline.materialize("b", write={"force_rerun": True})
    (request,) = desk.tick()
    result = desk.carry_out(request)
    newest = desk.pipeline.runs("b")[0]
    assert f"before Lume run {newest} (people:v1 on" in failure(result, STEP)
    assert "correct the rejects of that run, and put them there" in failure(result, STEP)
    assert len(desk.pipeline.runs("b")) == 2
    file.touch()
    assert desk.follow() == [("b", True)]


def test_a_file_that_was_opened_before_its_batch_was_read_anew_and_saved_after_is_refused(desk: Desk) -> None:
    pipeline = desk.pipeline
    first = pipeline.runs("b")[0]
    opened = (pipeline.folder / "b.review.csv").read_text()
    assert f",{first}" in opened
    pipeline.write("b", HALF_BAD.replace("x,Bob", "y,Bea"))
    pipeline.materialize("b", write={"force_rerun": True})
    second = pipeline.runs("b")[0]
    desk.put("b", opened.replace(",x,Bob,", ",2,Bob,"))
    (request,) = desk.tick()
    said = failure(desk.carry_out(request), STEP)
    assert said.startswith(
        f"the batch 'b' stays as it was: {desk.folder / 'b.csv'}, row 2: it is a reject of run {first}"
    )
    assert said.endswith(f"write the file anew from the rejects of run {second}, and correct that one")
    assert len(pipeline.runs("b")) == 2
    desk.put("b", (pipeline.folder / "b.review.csv").read_text().replace(",y,Bea,", ",2,Bea,"))
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]


def test_a_file_of_records_that_were_read_anew_as_they_were_is_taken(desk: Desk) -> None:
    pipeline = desk.pipeline
    opened = (pipeline.folder / "b.review.csv").read_text()
    desk.put("b", opened.replace(",x,Bob,", ",2,Bob,"))
    pipeline.materialize("b", write={"force_rerun": True})
    rerun = pipeline.runs("b")[0]
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]
    told = pipeline.latest(CORRECTIONS, "b")
    assert told is not None
    assert told.metadata["lume/corrects"].value == rerun


def test_a_file_of_another_batch_is_refused(desk: Desk) -> None:
    pipeline = desk.pipeline
    pipeline.write("d", HALF_BAD.replace("x,Bob", "x,Dora"))
    pipeline.materialize("d")
    desk.put("b", (pipeline.folder / "d.review.csv").read_text().replace(",x,Dora,", ",2,Dora,"))
    (request,) = desk.tick()
    said = failure(desk.carry_out(request), STEP)
    assert f"row 2: it is a reject of run {pipeline.runs('d')[0]}" in said
    assert str(pipeline.folder / "d.csv") in said
    assert len(pipeline.runs("b")) == 1


def test_a_file_that_was_handed_in_is_not_again_by_a_backfill(desk: Desk) -> None:
    file = desk.put("b")
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]
    desk.pipeline.materialize("b", write={"force_rerun": True})
    again = dg.RunRequest(partition_key="b", asset_selection=[CORRECTIONS])
    assert desk.carry_out(again).success
    assert len(desk.pipeline.runs("b")) == 3
    told = desk.pipeline.latest(CORRECTIONS, "b")
    assert told is not None
    assert told.metadata["lume/records_handed_in"].value == 0
    file.touch()
    assert desk.carry_out(again).success
    assert len(desk.pipeline.runs("b")) == 4


def test_the_asset_launched_again_before_its_batch_has_followed_tells_the_same(desk: Desk) -> None:
    desk.put("b")
    assert desk.follow() == [("b", True)]
    told = desk.pipeline.latest(CORRECTIONS, "b")
    assert desk.carry_out(dg.RunRequest(partition_key="b", asset_selection=[CORRECTIONS])).success
    again = desk.pipeline.latest(CORRECTIONS, "b")
    assert told is not None
    assert again is not None
    assert again.metadata == told.metadata
    assert len(desk.pipeline.runs("b")) == 2
    requests = desk.tick()
    assert {request.run_key for request in requests} == {
        f"people_v1_corrections:{desk.pipeline.runs('b')[0]}"
    }


def test_batches_of_one_step_follow_too(desk: Desk) -> None:
    desk.pipeline.options["backfill"] = "single_run"
    desk.put("b")
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]
    published = desk.pipeline.latest(MAPPED, "b")
    assert published is not None
    assert published.metadata["lume/run_id"].value == desk.pipeline.runs("b")[0]
    assert len(desk.pipeline.runs("b")) == 2


def test_files_may_lie_in_another_file_system(desk: Desk) -> None:
    memory = fsspec.filesystem("memory")
    desk.files = BatchFiles("memory://corrected/{partition_key}.csv", settle_seconds=0)
    try:
        memory.pipe("/corrected/b.csv", CORRECTED.encode("utf-8-sig"))
        assert desk.follow() + desk.follow() == [("b", True), ("b", False)]
    finally:
        memory.rm("/corrected", recursive=True)
    assert desk.pipeline.latest(MAPPED, "b") is not None


def test_a_correction_that_was_overtaken_by_a_rerun_is_passed_over(desk: Desk) -> None:
    desk.put("b")
    assert desk.follow() == [("b", True)]
    desk.pipeline.materialize("b", write={"force_rerun": True})
    assert desk.follow() == []


def test_a_batch_stays_with_its_correction_when_its_first_run_is_executed_again(desk: Desk) -> None:
    pipeline = desk.pipeline
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.9)
    pipeline.write("d", HALF_BAD)
    first = pipeline.materialize("d", RUN, REJECTS, MAPPED)
    desk.put("d")
    assert desk.follow() + desk.follow() == [("d", True), ("d", False)]
    corrected = pipeline.runs("d")[0]
    stored = pipeline.instance.get_run_by_id(first.run_id)
    assert stored is not None
    again = pipeline.materialize(
        "d",
        RUN,
        REJECTS,
        MAPPED,
        tags={**stored.tags, "dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
    )
    assert again.success
    assert pipeline.runs("d")[0] == corrected
    assert [pipeline.lume_run(key, "d") for key in (RUN, REJECTS, MAPPED)] == [corrected] * 3


def test_a_correction_that_follows_late_does_not_take_the_place_of_a_later_one(desk: Desk) -> None:
    pipeline = desk.pipeline
    desk.put("b", STILL_BAD.replace("Bob", "Bobby"))
    desk.follow()
    (late,) = desk.tick()
    desk.put("b")
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]
    latest = pipeline.runs("b")[0]
    assert late.tags[ADOPT_RUN_TAG] != latest
    assert desk.carry_out(late).success
    assert [pipeline.lume_run(key, "b") for key in (RUN, REJECTS, MAPPED, CORRECTIONS)] == [latest] * 4
    assert desk.follow() == []


def test_a_correction_that_lume_does_not_know_any_more_does_not_stop_the_sensor(desk: Desk) -> None:
    pipeline = desk.pipeline
    desk.put("b")
    assert desk.follow() == [("b", True)]
    pipeline.lume = LumeResource(home=f"{pipeline.lume.home}-anew", flows=pipeline.lume.flows)
    pipeline.materialize("b")
    assert desk.follow() == []
    desk.put("b", f"{CORRECTED}\n")
    assert desk.follow() + desk.follow() == [("b", True), ("b", False)]


def test_more_files_than_a_tick_may_ask_for_follow_at_the_next(desk: Desk) -> None:
    desk.pipeline.write("d", HALF_BAD)
    desk.pipeline.materialize("d")
    desk.put("b")
    desk.put("d")
    desk.options = {"max_runs_per_tick": 1}
    assert [[request.partition_key for request in desk.tick()] for _ in range(3)] == [["b"], ["d"], []]


def test_a_backfill_takes_batches_without_a_file_too(desk: Desk) -> None:
    result = desk.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key="a", instance=desk.pipeline.instance
    )
    assert {CORRECTIONS, NAMES} <= materialized(result)
    told = desk.pipeline.latest(CORRECTIONS, "a")
    assert told is not None
    assert told.metadata["lume/records_handed_in"].value == 0
    assert "dagster/uri" not in told.metadata
    assert desk.follow() == []


def test_a_batch_that_was_never_run_says_so(desk: Desk) -> None:
    desk.put("d")
    result = desk.carry_out(dg.RunRequest(partition_key="d", asset_selection=[CORRECTIONS]))
    assert "there is no Lume run of partition 'd' yet; materialize people/run first" in failure(result, STEP)


def test_a_strange_cursor_is_refused_with_the_remedy(desk: Desk) -> None:
    desk.cursor = "2013-01-01"
    with pytest.raises(dg.DagsterInvariantViolationError, match="clear it on the sensor's page"):
        desk.tick()


@pytest.mark.parametrize("key", ["../b", "a/b", ".b", ""])
def test_a_key_that_is_no_part_of_a_path_opens_no_file(tmp_path: Path, key: str) -> None:
    files = BatchFiles(str(tmp_path / "in" / "{partition_key}.csv"))
    (tmp_path / "in").mkdir()
    (tmp_path / "b.csv").touch()
    with pytest.raises(LumeError, match="has to be one part of a path"), files.open(key):
        pass


def test_a_file_that_cannot_be_read_says_which(tmp_path: Path) -> None:
    files = BatchFiles(str(tmp_path / "{partition_key}.csv"))
    with pytest.raises(LumeError, match=f"cannot read {tmp_path}{os.sep}b.csv"), files.open("b"):
        pass
    assert files.look("b") is None


def test_a_file_system_out_of_reach_says_which_file() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"ftp://127.0.0.1:{closed.getsockname()[1]}/"
        files = BatchFiles(f"{place}{{partition_key}}.csv")
        with pytest.raises(LumeError, match=f"cannot read {place}b.csv"):
            files.look("b")
        with pytest.raises(LumeError, match=f"cannot read {place}b.csv"), files.open("b"):
            pass
