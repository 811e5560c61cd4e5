"""Checks executed without materializing anything: no new Lume run, whatever they find."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster import FieldLimits, LumeChecks, VolumeCheck
from tests.conftest import PEOPLE_FLOW, PROJECT
from tests.dagster.conftest import (
    AUDIT,
    HALF_BAD,
    MAPPED,
    REJECTS,
    RUN,
    WRITE,
    Pipeline,
    failed_checks,
    failure,
    materialized,
)

ALL = dg.AssetSelection.checks_for_assets(RUN, MAPPED)


def check_alone(
    pipeline: Pipeline, partition: str | None, selection: dg.AssetSelection = ALL
) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("only_checks", selection)
    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(jobs=[job]))
    return definitions.resolve_job_def("only_checks").execute_in_process(
        instance=pipeline.instance,
        tags={"dagster/partition": partition} if partition else None,
        raise_on_error=False,
    )


def names(result: dg.ExecuteInProcessResult) -> set[str]:
    return {check.check_name for check in result.get_asset_check_evaluations()}


def test_all_checks_can_be_executed_alone(pipeline: Pipeline) -> None:
    pipeline.options["checks"] = LumeChecks(
        reject_rate_error=0.4, volume=VolumeCheck(), fields={"id": FieldLimits(warn=0.1)}
    )
    pipeline.materialize("a")
    result = check_alone(pipeline, "a")
    assert result.success
    assert names(result) == {
        "status",
        "rows_reconcile",
        "reject_rate",
        "schema",
        "source_drift",
        "volume",
        "field_id",
    }
    assert materialized(result) == set()
    assert len(pipeline.runs("a")) == 1
    for check in result.get_asset_check_evaluations():
        assert (check.partition, check.passed) == ("a", True)
        assert check.target_materialization_data is not None


@pytest.mark.parametrize("name", ["reject_rate", "schema"])
def test_one_check_can_be_executed_alone(pipeline: Pipeline, name: str) -> None:
    pipeline.materialize("a")
    result = check_alone(pipeline, "a", dg.AssetSelection.checks(dg.AssetCheckKey(MAPPED, name)))
    assert names(result) == {name}
    assert len(pipeline.runs("a")) == 1


def test_the_status_can_be_checked_alone(pipeline: Pipeline) -> None:
    pipeline.materialize("b")
    result = check_alone(pipeline, "b", dg.AssetSelection.checks(dg.AssetCheckKey(RUN, "status")))
    assert result.success
    assert names(result) == {"status"}
    assert pipeline.count(RUN, "b") == len(pipeline.runs("b")) == 1


def test_a_stricter_threshold_shows_without_taking_back_what_is_published(pipeline: Pipeline) -> None:
    pipeline.write("a", HALF_BAD)
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.6)
    assert pipeline.materialize("a").success
    pipeline.options["checks"] = LumeChecks(reject_rate_error=0.4)
    result = check_alone(pipeline, "a")
    assert failed_checks(result) == {"reject_rate"}
    assert pipeline.count(MAPPED, "a") == len(pipeline.runs("a")) == 1


@pytest.mark.parametrize("key", [RUN, MAPPED])
def test_a_batch_that_was_never_run_says_so(pipeline: Pipeline, key: dg.AssetKey) -> None:
    result = check_alone(pipeline, "a", dg.AssetSelection.checks_for_assets(key))
    assert not result.success
    assert "materialize people/run first" in failure(result, WRITE if key == RUN else AUDIT)
    assert pipeline.runs("a") == []


@pytest.mark.parametrize("key", [RUN, MAPPED])
def test_checks_of_no_batch_say_how_to_choose_one(pipeline: Pipeline, key: dg.AssetKey) -> None:
    result = check_alone(pipeline, None, dg.AssetSelection.checks_for_assets(key))
    assert not result.success
    assert "dagster/partition" in failure(result, WRITE if key == RUN else AUDIT)


@pytest.mark.parametrize("key", [RUN, REJECTS])
def test_a_run_is_not_materialized_without_its_rejects(pipeline: Pipeline, key: dg.AssetKey) -> None:
    result = pipeline.materialize("a", key)
    assert not result.success
    assert "materialize both" in failure(result, WRITE)
    assert pipeline.runs("a") == []


def test_a_job_of_checks_alone_runs_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "flows" / "people").mkdir(parents=True)
    (tmp_path / "flows" / "people" / "v1.yaml").write_text(PEOPLE_FLOW)
    (tmp_path / "a.csv").write_text(HALF_BAD)
    page = (PROJECT / "docs" / "checks.md").read_text()
    nightly = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1]
    (documented,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (tmp_path / "location.py").write_text(nightly + LOCATION)
    (tmp_path / "dagster_home").mkdir()
    (tmp_path / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path / "dagster_home"),
        "LUME_HOME": str(tmp_path / ".lume"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }

    def execute(job: str, limit: float) -> subprocess.CompletedProcess[str]:
        command = shlex.split(documented.replace("nightly_checks", job))
        assert command[:3] == ["dagster", "job", "execute"]
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env={**environment, "LIMIT": str(limit)},
            capture_output=True,
            text=True,
            check=False,
        )

    written = execute("write", 0.6)
    assert written.returncode == 0, written.stderr
    for limit, code in ((0.6, 0), (0.4, 1)):
        checked = execute("nightly_checks", limit)
        assert checked.returncode == code, checked.stderr
        assert "1 of 2 rows were rejected: 50.00%" in checked.stderr + checked.stdout
    assert len(list((tmp_path / ".lume" / "runs").iterdir())) == 1


LOCATION = """\
import os

import dagster as dg

from lume_dagster import LumeChecks, LumeIOManager, LumeResource, build_lume_assets

lume = LumeResource()
defs = dg.Definitions.merge(
    build_lume_assets(
        flow_version="people:v1",
        partitions_def=dg.StaticPartitionsDefinition(["a"]),
        source_path="{partition_key}.csv",
        checks=LumeChecks(reject_rate_error=float(os.environ["LIMIT"])),
    ),
    dg.Definitions(
        jobs=[
            dg.define_asset_job("write", dg.AssetSelection.all()),
            nightly,
        ],
        resources={"lume": lume, "lume_io_manager": LumeIOManager(lume=lume)},
        executor=dg.in_process_executor,
    ),
)
"""
