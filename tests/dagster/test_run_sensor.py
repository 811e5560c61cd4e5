"""The run sensor: what another client of the same Lume has run becomes materializations and checks, once."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pytest

from lume_dagster import build_lume_run_sensor
from lume_dagster.client import LumeClient
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.sensors.partitions import partition_key_of
from tests.dagster.conftest import GOOD, MAPPED, PARTITIONS, RUN, Pipeline, failed_checks, materialized


class Sensor:
    """The sensor of a pipeline, and its cursor."""

    def __init__(self, pipeline: Pipeline, **options: object) -> None:
        self.pipeline = pipeline
        self.cursor: str | None = None
        self.definition = build_lume_run_sensor(
            **{
                "flow_version": "people:v1",
                "partitions_def": PARTITIONS,
                "source_path": str(pipeline.folder / "{partition_key}.csv"),
            }
            | options  # type: ignore[arg-type]
        )

    def tick(self) -> list[tuple[str | None, Mapping[str, str]]]:
        with dg.build_sensor_context(
            self.pipeline.instance,
            cursor=self.cursor,
            resources={"lume": self.pipeline.lume},
            definitions=dg.Definitions.merge(
                self.pipeline.definitions, dg.Definitions(sensors=[self.definition])
            ),
        ) as context:
            result = self.definition.evaluate_tick(context)
        self.cursor = result.cursor
        return [
            (request.partition_key, {ADOPT_RUN_TAG: request.tags[ADOPT_RUN_TAG]})
            for request in result.run_requests or ()
        ]


def run_outside(pipeline: Pipeline, partition: str, *, force: bool = False) -> str:
    client: LumeClient = pipeline.lume.client
    return client.wait(
        client.run("people:v1", str(pipeline.folder / f"{partition}.csv"), force_rerun=force)
    ).id


def test_a_run_of_another_client_becomes_materializations_and_checks_once(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    assert sensor.tick() == []
    run_id = run_outside(pipeline, "a")
    ((partition, tags),) = sensor.tick()
    assert (partition, tags) == ("a", {ADOPT_RUN_TAG: run_id})
    assert sensor.tick() == []

    result = pipeline.materialize("a", tags=dict(tags))
    assert result.success
    assert {RUN, MAPPED} <= materialized(result)
    published = pipeline.latest(MAPPED, "a")
    assert published is not None
    assert published.metadata["lume/run_id"].value == run_id
    assert pipeline.runs("a") == [run_id]
    assert sensor.tick() == []


def test_a_failed_run_of_another_client_is_taken_as_it_is(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    sensor.tick()
    run_id = run_outside(pipeline, "d")
    ((_, tags),) = sensor.tick()
    result = pipeline.materialize("d", tags=dict(tags))
    assert not result.success
    assert "status" in failed_checks(result)
    assert pipeline.runs("d") == [run_id]


def test_only_the_latest_run_of_a_batch_is_taken(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    sensor.tick()
    run_outside(pipeline, "a")
    latest = run_outside(pipeline, "a", force=True)
    assert sensor.tick() == [("a", {ADOPT_RUN_TAG: latest})]


def test_a_run_that_dagster_has_started_or_taken_already_is_not_asked_for(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    sensor.tick()
    pipeline.materialize("a")
    run_outside(pipeline, "b")
    pipeline.materialize("b")
    assert sensor.tick() == []


def test_runs_before_the_first_look_are_taken_on_request(pipeline: Pipeline) -> None:
    run_id = run_outside(pipeline, "a")
    assert Sensor(pipeline).tick() == []
    assert Sensor(pipeline, earlier_runs=True).tick() == [("a", {ADOPT_RUN_TAG: run_id})]


def test_a_rerun_of_a_stored_input_belongs_to_the_batch_of_that_input(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline, earlier_runs=True)
    client = pipeline.lume.client
    again = client.wait(client.run("people:v1", f"run:{run_outside(pipeline, 'a')}"))
    assert [tags[ADOPT_RUN_TAG] for partition, tags in sensor.tick() if partition == "a"][-1] == again.id


def test_more_runs_than_a_tick_may_ask_for_follow_at_the_next(pipeline: Pipeline) -> None:
    pipeline.write("e", GOOD)
    ids = [run_outside(pipeline, partition) for partition in ("a", "b", "e")]
    sensor = Sensor(pipeline, earlier_runs=True, max_runs_per_tick=2)
    asked = [[tags[ADOPT_RUN_TAG] for _, tags in sensor.tick()] for _ in range(3)]
    assert sorted(asked[0] + asked[1]) == sorted(ids)
    assert [len(tick) for tick in asked] == [2, 1, 0]


def test_a_batch_that_is_no_partition_is_passed_over(pipeline: Pipeline) -> None:
    pipeline.write("stranger", GOOD)
    run_outside(pipeline, "stranger")
    assert Sensor(pipeline, earlier_runs=True).tick() == []


def test_a_run_of_another_flow_version_is_not_adopted(pipeline: Pipeline) -> None:
    run_id = run_outside(pipeline, "a")
    result = pipeline.materialize("a", tags={ADOPT_RUN_TAG: "run_unknown"})
    assert not result.success
    assert pipeline.runs("a") == [run_id]


@pytest.mark.parametrize(
    ("template", "path", "key"),
    [
        ("in/{partition_key}.csv", "in/2013-01-01.csv", "2013-01-01"),
        ("in/{partition_key}/{partition_key}.csv", "in/a/a.csv", "a"),
        ("in/{partition_key}/{partition_key}.csv", "in/a/b.csv", None),
        ("in/{partition_key}.csv", "out/a.csv", None),
        ("in/{partition_key}.csv", "in/.csv", None),
        ("fixed.csv", "fixed.csv", None),
        ("a+b/{partition_key}", "a+b/x", "x"),
    ],
)
def test_the_partition_of_a_source_path(template: str, path: str, key: str | None) -> None:
    assert partition_key_of(template, path) == key
