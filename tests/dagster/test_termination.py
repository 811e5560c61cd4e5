"""What becomes of the Lume run when its Dagster run is terminated by a user, or its worker evicted."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster.testing import Fault, Hold, ScriptedLume
from tests.dagster.attempt import Attempt
from tests.dagster.test_survival import ENDLESS, FLOW, MAPPED, THOROUGH, assert_told_once


@pytest.fixture(params=[False, True] if THOROUGH else [False], ids=lambda heeds: f"keys {heeds}")
def lume(request: pytest.FixtureRequest) -> Iterator[ScriptedLume]:
    with ScriptedLume(MAPPED, flows=[FLOW], idempotency_keys=request.param) as scripted:
        scripted.next_run(ENDLESS)
        yield scripted


def interrupt(attempt: Attempt, hold: Hold, *, terminated: bool) -> dg.DagsterRunStatus:
    """How a Dagster run ends whose worker gets SIGTERM while a request is held, as a terminated or an evicted one."""
    process = attempt.start()
    hold.wait()
    with dg.DagsterInstance.local_temp(str(attempt.storage)) as instance:
        (run,) = instance.get_runs(limit=1)
        if terminated:
            instance.report_run_canceling(run)
        assert process.pid
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        (run,) = instance.get_runs(limit=1)
        return run.status


def statuses(lume: ScriptedLume) -> list[str]:
    """How the Lume runs are, oldest first."""
    return [lume.status(run_id) for run_id in lume.run_ids]


@pytest.mark.parametrize("retries", [0, 2])
def test_a_termination_cancels_the_run_and_confirms_it(
    lume: ScriptedLume, storage: Path, retries: int
) -> None:
    hold = lume.hold("GET", "/v1/runs/run_")
    lume.inject(Fault.lost_answer(), method="POST", path="/cancel")
    attempt = Attempt(storage, lume.url, retries=retries)
    assert interrupt(attempt, hold, terminated=True) is dg.DagsterRunStatus.CANCELED
    assert statuses(lume) == ["FAILED"]


def test_a_termination_leaves_the_run_where_it_is_told_to(lume: ScriptedLume, storage: Path) -> None:
    hold = lume.hold("GET", "/v1/runs/run_")
    attempt = Attempt(storage, lume.url, on_interrupt="leave")
    assert interrupt(attempt, hold, terminated=True) is dg.DagsterRunStatus.CANCELED
    assert statuses(lume) == ["TRANSFORMING"]
    assert lume.asked("POST", "/cancel") == []


def test_a_termination_while_the_run_is_submitted_leaves_no_orphan(lume: ScriptedLume, storage: Path) -> None:
    hold = lume.hold("POST", "/v1/runs", processed=True)
    assert interrupt(Attempt(storage, lume.url), hold, terminated=True) is dg.DagsterRunStatus.CANCELED
    assert statuses(lume) == ["FAILED"]


@pytest.mark.parametrize("lume", [True], indirect=True, ids=["keys True"])
def test_not_even_if_the_request_is_heard_only_afterwards(lume: ScriptedLume, storage: Path) -> None:
    hold = lume.hold("POST", "/v1/runs")
    assert interrupt(Attempt(storage, lume.url), hold, terminated=True) is dg.DagsterRunStatus.CANCELED
    lume.release()
    time.sleep(0.3)
    assert statuses(lume) == ["FAILED"]


def test_an_eviction_leaves_the_run_and_the_re_execution_finds_it(lume: ScriptedLume, storage: Path) -> None:
    hold = lume.hold("GET", "/v1/runs/run_")
    assert interrupt(Attempt(storage, lume.url), hold, terminated=False) is dg.DagsterRunStatus.FAILURE
    assert statuses(lume) == ["TRANSFORMING"]
    lume.finish(lume.run_ids[0], MAPPED)
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        (evicted,) = instance.get_runs(limit=1)
    assert Attempt(storage, lume.url, of=evicted.run_id).run() == 0
    assert len(lume.run_ids) == 1
    assert_told_once(storage)
