"""Corrections in Dagster: the run of a correction is the batch's run, and a forced rerun says what it undoes."""

from __future__ import annotations

from lume_dagster.client import LumeRun
from lume_dagster.config import ADOPT_RUN_TAG
from tests.dagster.conftest import HALF_BAD, MAPPED, RUN, Pipeline, materialized
from tests.dagster.test_run_sensor import Sensor


def correct(pipeline: Pipeline, partition: str) -> LumeRun:
    client = pipeline.lume.client
    return client.wait(client.correct(pipeline.runs(partition)[0], {2: {"ID": "2"}}))


def told(pipeline: Pipeline, name: str) -> object:
    event = pipeline.latest(RUN, "b")
    assert event is not None
    return event.metadata[name].value if name in event.metadata else None


def test_a_batch_that_was_stopped_is_published_once_it_is_corrected(pipeline: Pipeline) -> None:
    pipeline.write("b", HALF_BAD)
    assert not pipeline.materialize("b").success
    assert pipeline.latest(MAPPED, "b") is None
    corrected = correct(pipeline, "b")
    result = pipeline.materialize("b")
    assert result.success
    assert MAPPED in materialized(result)
    assert told(pipeline, "lume/run_id") == corrected.id
    assert told(pipeline, "lume/corrected_records") == 1
    names = pipeline.latest(MAPPED, "b")
    assert names is not None
    assert names.metadata["dagster/partition_row_count"].value == 2


def test_the_run_sensor_takes_a_correction(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    pipeline.materialize("b")
    sensor.tick()
    corrected = correct(pipeline, "b")
    assert sensor.tick() == [("b", {ADOPT_RUN_TAG: corrected.id})]
    assert sensor.tick() == []


def test_a_forced_rerun_says_what_it_undoes(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    corrected = correct(pipeline, "b")
    pipeline.materialize("b", write={"force_rerun": True})
    assert told(pipeline, "lume/undone_corrections") == (
        f"1 corrected record of run {corrected.id} is not in it; hand its corrections in again"
    )
