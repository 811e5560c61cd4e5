"""A worker that dies at any moment: what is left is one Lume run, one materialization of each asset, one verdict."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lume_dagster.testing import RunScript, ScriptedLume, Stage
from tests.dagster.attempt import Attempt

ASSETS = {"people/run", "people/rejects", "people/mapped"}
CHECKS = {"status", "rows_reconcile", "reject_rate", "source_drift"}
MAPPED = RunScript(
    ["PENDING", "SUCCEEDED"],
    metadata={"rows": {"source": 1, "mapped": 1, "rejected": 0}},
    mapped=[{"id": 1, "name": "Ada"}],
)
ENDLESS = RunScript([Stage("TRANSFORMING", seconds=3600), "SUCCEEDED"])
FLOW = {
    "flow_version": "people:v1",
    "target_schema": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    },
}
# Each moment takes seconds: all of them are for a machine with time.
THOROUGH = os.environ.get("LUME_TESTS_THOROUGH") == "1"
MOMENTS = [("ASSET_MATERIALIZATION", 1), ("ASSET_MATERIALIZATION", 3), ("ASSET_CHECK_EVALUATION", 4)]
STEP_MOMENTS = [("ASSET_CHECK_EVALUATION", 1)]
REQUESTS = {
    "submitting": ("POST", "/v1/runs", False),
    "submitted": ("POST", "/v1/runs", True),
}
if THOROUGH:
    MOMENTS += [
        ("STEP_START", 1),
        ("ASSET_OBSERVATION", 1),
        ("ASSET_MATERIALIZATION", 2),
        ("ASSET_CHECK_EVALUATION", 1),
        ("STEP_SUCCESS", 1),
        ("ASSET_CHECK_EVALUATION", 2),
        ("ASSET_CHECK_EVALUATION", 3),
    ]
    STEP_MOMENTS += [("ASSET_OBSERVATION", 1), ("ASSET_MATERIALIZATION", 1), ("STEP_SUCCESS", 1)]
    REQUESTS |= {
        "before the submit": ("GET", "/v1/runs", False),
        "waiting": ("GET", "/v1/runs/run_", True),
        "ended": ("GET", "/v1/flows", True),
    }


@pytest.fixture(params=[False, True] if THOROUGH else [False], ids=lambda heeds: f"keys {heeds}")
def lume(request: pytest.FixtureRequest) -> Iterator[ScriptedLume]:
    with ScriptedLume(MAPPED, flows=[FLOW], idempotency_keys=request.param) as scripted:
        yield scripted


def killed(storage: Path) -> str:
    """The Dagster run that was killed last, once Dagster has noticed it, as the daemon does."""
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        run = instance.get_runs(limit=1)[0]
        assert run.status is dg.DagsterRunStatus.STARTED
        instance.report_run_failed(run)
    return run.run_id


def latest(storage: Path) -> str:
    """The Dagster run that was launched last."""
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        return instance.get_runs(limit=1)[0].run_id


def told(storage: Path) -> tuple[Counter[str], Counter[tuple[str, str]], set[str]]:
    """How often each asset was materialized; how often each check was told of by each Dagster run; and those that
    pass at last, on the latest materialization."""
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        made: Counter[str] = Counter()
        checks: Counter[tuple[str, str]] = Counter()
        passing: set[str] = set()
        for run in reversed(instance.get_runs()):
            for entry in instance.all_logs(run.run_id):
                event = entry.dagster_event
                if event is None:
                    continue
                if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                    made[event.asset_key.to_user_string()] += 1
                if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                    evaluation: Any = event.asset_check_evaluation_data
                    checks[evaluation.check_name, run.run_id] += 1
                    target = evaluation.target_materialization_data
                    latest = instance.fetch_materializations(evaluation.asset_key, limit=1).records[0]
                    if evaluation.passed and target.storage_id == latest.storage_id:
                        passing.add(evaluation.check_name)
        return made, checks, passing


def with_an_end(attempt: Attempt, lume: ScriptedLume, run_id: str, script: RunScript) -> int | None:
    """The exit code of an attempt during which a Lume run ends: once it is waited for."""
    hold = lume.hold("GET", f"/v1/runs/{run_id}")
    process = attempt.start()
    hold.wait()
    lume.finish(run_id, script)
    hold.release()
    process.join(60)
    return process.exitcode


def assert_told_once(storage: Path) -> None:
    made, checks, passing = told(storage)
    assert made == dict.fromkeys(ASSETS, 1)
    assert set(checks.values()) == {1}
    assert passing == CHECKS


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_after_an_event(lume: ScriptedLume, storage: Path, moment: tuple[str, int]) -> None:
    assert Attempt(storage, lume.url, killed_after=moment).run() == -9
    assert Attempt(storage, lume.url, of=killed(storage)).run() == 0
    assert len(lume.run_ids) == 1
    assert_told_once(storage)


@pytest.mark.parametrize("moment", STEP_MOMENTS, ids=str)
def test_a_step_that_is_killed_is_tried_again_in_the_same_run(
    lume: ScriptedLume, storage: Path, moment: tuple[str, int]
) -> None:
    attempt = Attempt(storage, lume.url, killed_after=moment, executor="multiprocess", retries=1)
    assert attempt.run() == 0
    assert (storage / "killed").exists()
    assert len(lume.run_ids) == 1
    assert_told_once(storage)


@pytest.mark.parametrize("point", REQUESTS.values(), ids=REQUESTS)
def test_killed_in_the_middle_of_a_request(
    lume: ScriptedLume, storage: Path, point: tuple[str, str, bool]
) -> None:
    earlier = lume.add_run("people:v1", "a.csv", RunScript(["SUCCEEDED"]))
    method, path, processed = point
    hold = lume.hold(method, path, processed=processed)
    process = Attempt(storage, lume.url, force_rerun=True).start()
    hold.wait()
    process.kill()
    process.join()
    assert Attempt(storage, lume.url, of=killed(storage)).run() == 0
    _, forced = lume.run_ids
    assert_told_once(storage)
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        (made,) = instance.fetch_materializations(dg.AssetKey(["people", "mapped"]), limit=9).records
    assert made.asset_materialization
    assert made.asset_materialization.tags
    assert made.asset_materialization.tags["lume/run_id"] == forced != earlier


def test_each_explicit_force_forces_once_and_a_retry_of_a_crash_does_not(
    lume: ScriptedLume, storage: Path
) -> None:
    lume.next_run(RunScript(["CRASHED"]))
    assert Attempt(storage, lume.url, force_rerun=True).run() == 1
    assert Attempt(storage, lume.url, of=latest(storage)).run() == 0
    assert Attempt(storage, lume.url, force_rerun=True).run() == 0
    created = {request.headers["idempotency-key"]: request.body for request in lume.asked("POST")}
    assert [body["force_rerun"] for body in created.values()] == [True, False, True]
    assert len(lume.run_ids) == 3


def test_a_fresh_launch_goes_on_with_the_run_that_a_killed_one_has_left(
    lume: ScriptedLume, storage: Path
) -> None:
    lume.next_run(ENDLESS)
    hold = lume.hold("GET", "/v1/runs/run_", processed=True)
    process = Attempt(storage, lume.url).start()
    hold.wait()
    process.kill()
    process.join()
    (left,) = lume.run_ids
    assert with_an_end(Attempt(storage, lume.url), lume, left, MAPPED) == 0
    assert lume.run_ids == [left]
    assert_told_once(storage)


def test_an_attempt_that_was_given_up_and_lives_tells_nothing(lume: ScriptedLume, storage: Path) -> None:
    hold = lume.hold("GET", "/v1/flows", processed=True)
    orphan = Attempt(storage, lume.url).start()
    hold.wait()
    assert Attempt(storage, lume.url, of=killed(storage)).run() == 0
    hold.release()
    orphan.join()
    assert orphan.exitcode == 1
    assert len(lume.run_ids) == 1
    assert_told_once(storage)


def test_a_run_that_died_with_its_worker_is_begun_anew_by_the_one_retry(
    lume: ScriptedLume, storage: Path
) -> None:
    """As the embedded Lume's does."""
    lume.next_run(ENDLESS)
    hold = lume.hold("POST", "/v1/runs", processed=True)
    process = Attempt(storage, lume.url).start()
    hold.wait()
    process.kill()
    process.join()
    (left,) = lume.run_ids
    again = Attempt(storage, lume.url, of=killed(storage))
    assert with_an_end(again, lume, left, RunScript(["CRASHED"])) == 0
    assert len(lume.run_ids) == 2
    assert_told_once(storage)
