"""An embedded Lume that is killed, or whose home goes bad: what the next user of the home finds."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lume_dagster.client import ApiError, LumeClient, LumeUnavailableError
from lume_dagster.engine import Engine
from lume_dagster.service import open_embedded, store
from lume_dagster.service.errors import AlreadySucceededError, UnavailableError, UnusableHomeError
from lume_dagster.service.files import RunFiles
from lume_dagster.service.models import CreateRun, Run
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.store import RunStore

# Where a process kills itself: before and after each of these steps of a run.
STEPS: list[tuple[Any, str]] = [
    (RunStore, "create"),
    (RunStore, "advance"),
    (RunFiles, "open_staging"),
    (Engine, "ingest"),
    (Engine, "transform"),
    (RunFiles, "publish"),
    (Engine, "load_target"),
]
POINTS = [(owner, name, after) for owner, name in STEPS for after in (False, True)]
RANDOM_KILLS = 40 if os.environ.get("LUME_TESTS_THOROUGH") == "1" else 8

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def _run_and_die(settings: ServiceSettings, batch: Path, point: tuple[Any, str, bool] | None) -> None:
    if point:
        owner, name, after = point
        step = getattr(owner, name)

        def step_and_die(*arguments: Any, **options: Any) -> Any:
            if not after:
                os.kill(os.getpid(), signal.SIGKILL)
            step(*arguments, **options)
            return os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, step_and_die)
    end(LumeService(settings), start(LumeService(settings), batch))


def start(service: LumeService, batch: Path, **options: Any) -> Run:
    return service.create_run(CreateRun(flow_version="people:v1", source_path=str(batch), **options))[0]


def end(service: LumeService, run: Run) -> Run:
    return asyncio.run(service.wait_for_run(run.id, 30, "final"))


def batches(folder: Path, count: int) -> list[Path]:
    people = "".join(f"{number},Ada,ada@example.com\n" for number in range(1, 20_000))
    paths = [folder / f"{number}.csv" for number in range(count)]
    for path in paths:
        path.write_text("ID,Full Name,Mail\n" + people)
    return paths


def assert_whole(settings: ServiceSettings, service: LumeService, paths: list[Path]) -> None:
    """Each batch has one run that mapped it, whole; nothing else is left but runs that crashed."""
    assert list(settings.staging_dir.iterdir()) == []
    kept = {folder.name for folder in settings.runs_dir.iterdir()}
    for path in paths:
        runs = service.runs(
            flow_version="people:v1", source_path=str(path), statuses=[], page=1, size=50
        ).items
        assert [run.status for run in runs[1:]] == ["CRASHED"] * (len(runs) - 1)
        assert runs[0].status == "SUCCEEDED"
        assert service.results(runs[0].id, "mapped", 1, 1).total == 19_999
        kept.remove(runs[0].id)
    assert kept == set()
    with closing(sqlite3.connect(settings.home / "lume.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def recover(service: LumeService, paths: list[Path]) -> None:
    """As the next user: each batch is asked for until there is a run that mapped it."""
    left = list(paths)
    for _ in range(3):
        begun = []
        for path in left:
            try:
                begun.append((path, start(service, path)))
            except AlreadySucceededError:
                continue
        left = [path for path, run in begun if end(service, run).status == "CRASHED"]
    assert left == []


def test_killed_at_every_step_of_a_run(settings: ServiceSettings, tmp_path: Path) -> None:
    paths = batches(tmp_path, len(POINTS))
    # So long that no process, however slow, takes another's run for crashed before that comes to its point.
    patient = settings.model_copy(update={"lease_seconds": 60.0})
    dying = [
        _processes.Process(target=_run_and_die, args=(patient, path, point))
        for path, point in zip(paths, POINTS, strict=True)
    ]
    for some in (dying[n : n + 4] for n in range(0, len(dying), 4)):
        for process in some:
            process.start()
        for process in some:
            process.join()
    assert {process.exitcode for process in dying} == {-signal.SIGKILL}
    service = LumeService(settings)
    recover(service, paths)
    assert_whole(settings, service, paths)
    service.close()


def test_killed_at_random(settings: ServiceSettings, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    paths = batches(tmp_path, RANDOM_KILLS)
    for some in (paths[n : n + 4] for n in range(0, len(paths), 4)):
        dying = [_processes.Process(target=_run_and_die, args=(settings, path, None)) for path in some]
        for process in dying:
            process.start()
        time.sleep(chance.uniform(0.1, 1.5))
        for process in dying:
            process.kill()
        for process in dying:
            process.join()
    service = LumeService(settings)
    recover(service, paths)
    assert_whole(settings, service, paths)
    service.close()


def test_a_clock_that_is_set_back_breaks_no_run(
    settings: ServiceSettings, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = LumeService(settings), LumeService(settings)
    ingest = Engine.ingest

    def set_back(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(store, "utc_now", lambda: "1999-12-31T23:00:00.000000Z")
        monkeypatch.setattr(time, "time", lambda: 0.0)
        deadline = time.monotonic() + 2 * settings.lease_seconds
        while time.monotonic() < deadline:
            other.runs(flow_version=None, source_path=None, statuses=[], page=1, size=1)
            time.sleep(0.05)
        return ingest(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "ingest", set_back)
        run = end(owner, start(owner, people))
    assert run.status == "PARTIAL_FAILED"
    assert run.metadata.run.duration_seconds == 0
    later = end(owner, start(owner, people, force_rerun=True))
    newest = other.runs(flow_version=None, source_path=str(people), statuses=[], page=1, size=1).items[0]
    assert newest.id == later.id
    owner.close()
    other.close()


@pytest.fixture
def mounted(settings: ServiceSettings) -> Iterator[ServiceSettings]:
    """A home on a file system of its own, of four megabytes."""
    settings.home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(settings.home)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield settings
    subprocess.run(["umount", "--lazy", str(settings.home)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def start_many(service: LumeService, folder: Path) -> None:
    for number in range(100):
        start(service, folder / f"{number}.csv")


def test_a_disk_without_room_for_the_store_is_told_and_loses_nothing(
    mounted: ServiceSettings, people: Path
) -> None:
    service = LumeService(mounted)
    earlier = end(service, start(service, people))
    filler = mounted.home / "filler"
    with pytest.raises(OSError, match="No space"):
        fill(filler)
    with pytest.raises(UnavailableError, match="database or disk is full") as full:
        start_many(service, people.parent)
    assert not isinstance(full.value, UnusableHomeError)
    assert service.results(earlier.id, "mapped", 1, 10).total == 2
    filler.unlink()
    service.close()
    after = LumeService(mounted)
    assert after.run(earlier.id) == earlier
    assert end(after, start(after, people, force_rerun=True)).status == "PARTIAL_FAILED"
    after.close()


def test_a_home_that_became_read_only_is_told_at_once_and_loses_nothing(
    mounted: ServiceSettings, people: Path
) -> None:
    service = LumeService(mounted)
    earlier = end(service, start(service, people))
    service.close()
    subprocess.run(["mount", "-o", "remount,ro", str(mounted.home)], check=True)
    with (
        LumeClient("http://lume", transport=open_embedded(mounted)) as client,
        pytest.raises(ApiError, match=r"lume\.db.*(readonly|unable to open).*writable") as error,
    ):
        client.run("people:v1", str(people))
    assert not isinstance(error.value, LumeUnavailableError)
    subprocess.run(["mount", "-o", "remount,rw", str(mounted.home)], check=True)
    with LumeClient("http://lume", transport=open_embedded(mounted)) as client:
        assert client.run_status(earlier.id).partial_failed


def test_a_store_that_is_damaged_is_told_at_once_and_left_as_it_is(
    settings: ServiceSettings, people: Path
) -> None:
    service = LumeService(settings)
    earlier = end(service, start(service, people))
    service.close()
    path = settings.home / "lume.db"
    whole = path.read_bytes()
    damaged = whole[:4096] + os.urandom(len(whole) - 4096)
    path.write_bytes(damaged)
    with (
        LumeClient("http://lume", transport=open_embedded(settings)) as client,
        pytest.raises(ApiError, match=r"lume\.db.*malformed.*damaged"),
    ):
        client.run_status(earlier.id)
    assert path.read_bytes() == damaged
    assert sorted(file.name for file in (settings.runs_dir / earlier.id).iterdir()) == [
        "mapped.parquet",
        "rejects.parquet",
        "source.parquet",
    ]
    path.write_bytes(whole)
    restored = LumeService(settings)
    assert restored.run(earlier.id) == earlier
    restored.close()
