"""Alerts: one for each batch with which something went wrong, and none for what a retry mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster import LumeAlert, LumeChecks, LumeResource, build_lume_alerts
from tests.dagster.conftest import MAPPED, Pipeline


class Sensor:
    """The alerts of a pipeline, and their cursor."""

    def __init__(self, pipeline: Pipeline, **options: object) -> None:
        self.pipeline = pipeline
        self.told: list[LumeAlert] = []
        self.refuses: Callable[[LumeAlert], bool] = lambda _: False
        self.cursor: str | None = None
        self.definition = build_lume_alerts(
            flow_version="people:v1",
            notify=self._notify,
            webserver_url="http://dagster/",
            **options,  # type: ignore[arg-type]
        )
        self.tick()

    def _notify(self, _: dg.SensorEvaluationContext, alert: LumeAlert) -> None:
        if self.refuses(alert):
            raise ConnectionError("no network")
        self.told.append(alert)

    def tick(self) -> list[LumeAlert]:
        self.told.clear()
        result = self.definition(dg.build_sensor_context(self.pipeline.instance, cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return list(self.told)


def test_a_stopped_audit_is_told_once_with_its_figures(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    pipeline.lume = LumeResource(
        home=pipeline.lume.home, flows=pipeline.lume.flows, run_url="https://lume.example.com/runs/{run_id}"
    )
    result = pipeline.materialize("b")
    (alert,) = sensor.tick()
    (run_id,) = pipeline.runs("b")
    assert (alert.kind, alert.partition, alert.lume_run_id) == ("audit_failed", "b", run_id)
    assert alert.title == "people:v1 b: the audit failed"
    assert "reject_rate" in alert.summary
    assert alert.source_path == str(pipeline.folder / "b.csv")
    assert (alert.figures["source_rows"], alert.figures["rejected_rows"]) == (2, 1)
    assert alert.lume_run_url == f"https://lume.example.com/runs/{run_id}"
    assert alert.dagster_run_url == f"http://dagster/runs/{result.run_id}"
    assert all(part in alert.text for part in (alert.title, alert.summary, run_id, "rejected_rows 1"))
    assert sensor.tick() == []


def test_a_good_batch_and_what_happened_before_the_first_look_are_not_told(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    sensor = Sensor(pipeline, rejects_above=0.4)
    pipeline.materialize("a")
    assert sensor.tick() == []


def test_a_failed_run_is_told_with_its_own_id_and_not_that_of_an_earlier_one(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    sensor = Sensor(pipeline)
    (pipeline.folder / "a.csv").unlink()
    pipeline.materialize("a", write={"force_rerun": True})
    (alert,) = sensor.tick()
    assert (alert.kind, alert.partition) == ("run_failed", "a")
    assert alert.lume_run_id == pipeline.runs("a")[0]
    assert "a.csv" in alert.summary


def test_a_batch_of_which_nothing_could_be_mapped_is_told_once(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    pipeline.materialize("c")
    assert [(alert.kind, alert.figures["rejected_rows"]) for alert in sensor.tick()] == [("run_failed", 1)]


def test_rejects_above_a_level_are_told_also_where_the_audit_lets_them_pass(pipeline: Pipeline) -> None:
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.9)
    strict, lenient = Sensor(pipeline, rejects_above=0.4), Sensor(pipeline, rejects_above=0.5)
    assert pipeline.materialize("b").success
    (alert,) = strict.tick()
    assert (alert.kind, alert.summary) == ("rejects", "50.00% of the records were rejected, more than 40.00%")
    assert lenient.tick() == []


def test_an_audit_alone_is_told_with_the_run_that_it_judged(pipeline: Pipeline) -> None:
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.9)
    pipeline.materialize("b")
    sensor = Sensor(pipeline)
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.4)
    pipeline.materialize("b", MAPPED)
    (alert,) = sensor.tick()
    assert (alert.kind, alert.lume_run_id) == ("audit_failed", pipeline.runs("b")[0])


def test_a_step_that_fails_before_there_is_a_run_is_told(pipeline: Pipeline, tmp_path: Path) -> None:
    sensor = Sensor(pipeline)
    pipeline.lume = LumeResource(home=str(tmp_path / "other"), flows=str(tmp_path / "none"))
    pipeline.materialize("a")
    (alert,) = sensor.tick()
    assert (alert.kind, alert.partition, alert.lume_run_id) == ("error", "a", None)
    assert "people:v1" in alert.summary


def test_a_step_that_fails_after_the_run_was_judged_is_told(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    assert not pipeline.materialize("a", audit={"admit": True}).success
    (alert,) = sensor.tick()
    assert (alert.kind, alert.partition) == ("error", "a")
    assert "say in `reason` why the batch is admitted" in alert.summary


def test_what_fails_downstream_of_a_good_batch_is_not_told(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    (pipeline.folder / "a.review.csv").mkdir()
    assert not pipeline.materialize("a").success
    assert sensor.tick() == []


def test_a_run_that_dagster_will_retry_is_not_told(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    pipeline.materialize("c", tags={"dagster/will_retry": "true"})
    assert sensor.tick() == []


def test_an_alert_that_could_not_be_told_is_told_at_a_later_tick(pipeline: Pipeline) -> None:
    sensor = Sensor(pipeline)
    pipeline.materialize("b")
    pipeline.materialize("c")
    sensor.refuses = lambda alert: alert.partition == "c"
    assert [alert.partition for alert in sensor.tick()] == ["b"]
    with pytest.raises(ConnectionError):
        sensor.tick()
    sensor.refuses = lambda _: False
    assert [alert.partition for alert in sensor.tick()] == ["c"]


def test_a_share_that_is_none_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(ValueError, match="give a share from 0 to 1"):
        Sensor(pipeline, rejects_above=5)
