"""A range in a process of its own: killed in the middle and executed again, or terminated in the middle."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster.testing import RunScript, ScriptedLume, Stage
from tests.dagster.attempt import Attempt
from tests.dagster.test_survival import FLOW, MAPPED, killed

BATCHES = ("a", "b", "c", "d", "e", "f")
ASSETS = ("run", "rejects", "mapped")
ENDLESS = RunScript([Stage("TRANSFORMING", seconds=3600), "SUCCEEDED"], MAPPED.metadata, MAPPED.mapped)


@pytest.fixture
def lume() -> Iterator[ScriptedLume]:
    with ScriptedLume(MAPPED, flows=[FLOW]) as scripted:
        yield scripted


def a_range(storage: Path, lume: ScriptedLume, of: str | None = None, dies: bool = False) -> Attempt:
    return Attempt(
        storage,
        lume.url,
        of=of,
        batches=BATCHES,
        killed_after=("ASSET_MATERIALIZATION", 8) if dies else None,
    )


def told(storage: Path) -> tuple[list[Counter[tuple[str, str]]], list[Counter[tuple[str, str]]]]:
    """For each Dagster run, oldest first: how often it made each asset of a batch, and told each check."""
    made, checks = [], []
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        for run in reversed(instance.get_runs()):
            made.append(Counter[tuple[str, str]]())
            checks.append(Counter[tuple[str, str]]())
            for entry in instance.all_logs(run.run_id):
                event = entry.dagster_event
                if event is None:
                    continue
                if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                    made[-1][event.asset_key.path[-1], str(event.partition)] += 1
                if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                    check = event.asset_check_evaluation_data
                    checks[-1][check.check_name, str(check.partition)] += 1
    return made, checks


def test_a_killed_range_is_gone_on_with_and_only_what_is_missing_is_touched(
    lume: ScriptedLume, storage: Path
) -> None:
    assert a_range(storage, lume, dies=True).run() == -9
    before = len(lume.run_ids)
    assert a_range(storage, lume, of=killed(storage)).run() == 0
    (first, second), (_, checks) = told(storage)
    assert first.total() == 8
    assert first + second == dict.fromkeys(((asset, batch) for asset in ASSETS for batch in BATCHES), 1)
    assert set(checks.values()) == {1}
    assert {batch for _, batch in checks} == set(BATCHES)
    assert 0 < before <= len(lume.run_ids) == len(BATCHES)


def test_a_termination_in_the_middle_cancels_all_runs_under_way(lume: ScriptedLume, storage: Path) -> None:
    lume.next_run(MAPPED)
    for _ in BATCHES[1:]:
        lume.next_run(ENDLESS)
    hold = lume.hold("GET", f"/v1/runs/run_{len(BATCHES):026d}")
    process = a_range(storage, lume).start()
    hold.wait()
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        (run,) = instance.get_runs(limit=1)
        instance.report_run_canceling(run)
        assert process.pid
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        (run,) = instance.get_runs(limit=1)
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert Counter(lume.status(run_id) for run_id in lume.run_ids) == {"SUCCEEDED": 1, "FAILED": 5}
