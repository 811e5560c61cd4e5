from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.service.errors import (
    AlreadySucceededError,
    FlowChangedError,
    IdempotencyKeyReusedError,
    NotFoundError,
    UnavailableError,
)
from lume_dagster.service.status import ACTIVE, FINAL, RunStatus, predecessors
from lume_dagster.service.store import NewRun, RunRecord, RunStore

FINGERPRINT = "f" * 64


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lume.db'}"


@pytest.fixture
def store(url: str) -> RunStore:
    return RunStore(url)


def new(source_path: str = "day.csv", *, force: bool = False) -> NewRun:
    return NewRun("people:v1", source_path, force, {"by": "test"})


def create(store: RunStore, run: NewRun | None = None, key: str | None = None) -> tuple[RunRecord, bool]:
    return store.create(run or new(), fingerprint=FINGERPRINT, owner="me", idempotency_key=key)


def end(store: RunStore, run: RunRecord, status: RunStatus) -> None:
    assert store.advance(run.id, run.owner, status)


def test_a_second_create_answers_with_the_active_run(store: RunStore) -> None:
    first, created = create(store)
    second, created_again = create(store, new(force=True))
    assert (created, created_again) == (True, False)
    assert second.id == first.id


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.PARTIAL_FAILED])
def test_a_mapped_batch_is_refused_unless_forced(store: RunStore, status: RunStatus) -> None:
    first, _ = create(store)
    end(store, first, status)
    with pytest.raises(AlreadySucceededError, match=first.id) as refused:
        create(store)
    assert refused.value.members["run_id"] == first.id
    forced, created = create(store, new(force=True))
    assert created
    assert forced.id != first.id
    assert forced.forced


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CRASHED])
def test_a_new_run_may_start_after_a_failed_one_also_when_an_earlier_one_succeeded(
    store: RunStore, status: RunStatus
) -> None:
    first, _ = create(store)
    end(store, first, RunStatus.SUCCEEDED)
    forced, _ = create(store, new(force=True))
    end(store, forced, status)
    retry, created = create(store)
    assert created
    assert not retry.forced


def test_an_idempotency_key_gives_the_same_run_also_when_forced_and_ended(store: RunStore) -> None:
    first, _ = create(store, new(force=True), key="k")
    end(store, first, RunStatus.SUCCEEDED)
    again, created = create(store, new(force=True), key="k")
    assert (again.id, created) == (first.id, False)


def test_an_idempotency_key_is_not_taken_for_another_request(store: RunStore) -> None:
    create(store, key="k")
    with pytest.raises(IdempotencyKeyReusedError):
        create(store, new("other.csv"), key="k")


def test_a_changed_flow_is_refused_and_told_to_become_the_next_version(store: RunStore) -> None:
    create(store)
    with pytest.raises(FlowChangedError, match=r"people/v2\.yaml"):
        store.create(new("other.csv"), fingerprint="0" * 64, owner="me")


def test_batches_and_versions_are_told_apart(store: RunStore) -> None:
    ids = {create(store, new(path))[0].id for path in ("a", "b", "A", "a ")}
    assert len(ids) == 4


@given(steps=st.lists(st.sampled_from(list(RunStatus)), max_size=12))
def test_a_run_only_goes_forward(tmp_path_factory: pytest.TempPathFactory, steps: list[RunStatus]) -> None:
    store = RunStore(f"sqlite:///{tmp_path_factory.mktemp('s') / 'lume.db'}")
    run, _ = create(store)
    seen = [run.status]
    for status in steps:
        moved = store.advance(run.id, "me", status)
        assert moved == (seen[-1] in predecessors(status))
        seen.append(store.get(run.id).status)
    order = [*ACTIVE, RunStatus.SUCCEEDED]
    ranks = [order.index(RunStatus.SUCCEEDED if status in FINAL else status) for status in seen]
    assert ranks == sorted(ranks)
    finals = [status for status in seen if status.is_final]
    assert len(set(finals)) <= 1
    store.close()


def test_only_the_owner_moves_a_run(store: RunStore) -> None:
    run, _ = create(store)
    assert not store.advance(run.id, "another", RunStatus.PENDING)
    assert store.get(run.id).status is RunStatus.CREATED


def test_a_run_is_not_given_up_if_its_lease_was_renewed_meanwhile(store: RunStore) -> None:
    run, _ = create(store)
    store.beat("me", [run.id])
    assert not store.crash(run.id, heartbeat=run.heartbeat, error_message="lost")
    assert store.crash(run.id, heartbeat=run.heartbeat + 1, error_message="lost")
    assert not store.advance(run.id, "me", RunStatus.SUCCEEDED)
    assert store.get(run.id).status is RunStatus.CRASHED


def test_runs_are_found_newest_first_page_by_page(store: RunStore) -> None:
    made = [create(store, new(f"{number}.csv"))[0].id for number in range(7)]
    pages = [store.find(page=page, size=3) for page in (1, 2, 3, 4)]
    assert [run.id for runs, _ in pages for run in runs] == made[::-1]
    assert {total for _, total in pages} == {7}
    found, total = store.find(source_path="4.csv", flow_version="people:v1", statuses=[RunStatus.CREATED])
    assert ([run.id for run in found], total) == ([made[4]], 1)


def test_an_unknown_run_is_not_found(store: RunStore) -> None:
    with pytest.raises(NotFoundError, match="run_x"):
        store.get("run_x")


def _create_in_a_process(url: str, start: Barrier, ids: SimpleQueue[str]) -> None:
    store = RunStore(url)
    start.wait(60)
    ids.put(create(store)[0].id)


def test_many_processes_create_one_run_of_a_batch(url: str) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    start, ids = processes.Barrier(32), processes.SimpleQueue()
    started = [processes.Process(target=_create_in_a_process, args=(url, start, ids)) for _ in range(32)]
    for process in started:
        process.start()
    created = {ids.get() for _ in started}
    for process in started:
        process.join()
    assert len(created) == 1
    assert RunStore(url).find()[1] == 1


def test_threads_create_one_run_of_a_batch(store: RunStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: create(store)[0].id, range(64)))
    assert len(ids) == 1


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="LUME_HOME"):
        RunStore(f"sqlite:///{tmp_path / 'file' / 'home' / 'lume.db'}")


def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lume.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        RunStore(f"sqlite:///{path}")
    assert path.read_bytes() == b"this is no database" * 100


def test_the_password_of_a_store_is_in_no_message() -> None:
    with pytest.raises(UnavailableError) as error:
        RunStore("sqlite://user:hunter2@host//nowhere/lume.db?mode=ro")
    assert "hunter2" not in str(error.value)


def test_the_database_is_in_wal_mode(store: RunStore, tmp_path: Path) -> None:
    create(store)
    assert sqlite3.connect(tmp_path / "lume.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)
