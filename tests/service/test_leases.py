from __future__ import annotations

from pathlib import Path

import pytest

from lume_dagster.service.leases import LeaseWatch
from lume_dagster.service.status import RunStatus
from lume_dagster.service.store import NewRun, RunRecord, RunStore


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(f"sqlite:///{tmp_path / 'lume.db'}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(store: RunStore, clock: Clock) -> LeaseWatch:
    return LeaseWatch(store, lambda run_id: store.get(run_id).owner == "watcher", 10.0, clock)


def run_of(store: RunStore, owner: str) -> RunRecord:
    run, _ = store.create(NewRun("people:v1", owner, False, {}), fingerprint="f", owner=owner)
    return run


def test_a_run_without_a_sign_of_life_is_given_up(store: RunStore, watch: LeaseWatch, clock: Clock) -> None:
    run = run_of(store, "dead")
    assert watch.observe() == []
    clock.now += 9.9
    assert watch.observe() == []
    clock.now += 0.1
    assert watch.observe() == [run.id]
    crashed = store.get(run.id)
    assert crashed.status is RunStatus.CRASHED
    assert "no sign of life" in (crashed.error_message or "")


def test_a_run_whose_lease_is_renewed_is_not(store: RunStore, watch: LeaseWatch, clock: Clock) -> None:
    run = run_of(store, "alive")
    for _ in range(20):
        assert watch.observe() == []
        store.beat("alive", [run.id])
        clock.now += 9
    assert store.get(run.id).status is RunStatus.CREATED


def test_a_process_does_not_give_up_its_own_runs(store: RunStore, watch: LeaseWatch, clock: Clock) -> None:
    run_of(store, "watcher")
    watch.observe()
    clock.now += 1000
    assert watch.observe() == []


def test_a_watcher_that_slept_gives_nobody_up_at_its_first_look(store: RunStore, clock: Clock) -> None:
    run_of(store, "alive")
    clock.now += 1000
    assert LeaseWatch(store, lambda _: False, 10.0, clock).observe() == []
