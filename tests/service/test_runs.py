from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import Engine
from lume_dagster.service.errors import (
    AlreadySucceededError,
    FlowChangedError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    UnavailableError,
)
from lume_dagster.service.models import CreateRun, Run
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.store import RunStore
from tests.conftest import PEOPLE_GOOD


def start(service: LumeService, path: Path | str, **options: Any) -> Run:
    return service.create_run(CreateRun(flow_version="people:v1", source_path=str(path), **options))[0]


def end(service: LumeService, run: Run) -> Run:
    return asyncio.run(service.wait_for_run(run.id, 30, "final"))


def complete(service: LumeService, path: Path | str, **options: Any) -> Run:
    return end(service, start(service, path, **options))


def left_behind(settings: ServiceSettings) -> list[str]:
    staged = settings.staging_dir
    return [str(path) for path in staged.rglob("*")] if staged.exists() else []


def test_a_batch_is_mapped_and_its_rejects_kept(
    service: LumeService, settings: ServiceSettings, people: Path
) -> None:
    run = complete(service, people, run_metadata={"ticket": 7})
    assert run.status == "PARTIAL_FAILED"
    told = run.metadata
    assert told.rows is not None
    assert (told.rows.source, told.rows.mapped, told.rows.rejected) == (4, 2, 2)
    assert told.validation is not None
    assert told.validation.by_field == {"id": {"type": 1}, "name": {"required": 1}, "email": {"format": 1}}
    assert told.run_metadata == {"ticket": 7}
    assert told.performance is not None
    assert set(told.performance.stage_seconds) == {"SYNCING_SOURCE", "TRANSFORMING", "SYNCING_TARGET"}
    assert told.target_locations is not None
    assert told.target_locations.mapped is not None
    assert pq.read_table(told.target_locations.mapped).to_pylist() == [
        {"id": 1, "name": "Ada", "email": "ada@example.com"},
        {"id": 2, "name": "Bob", "email": None},
    ]
    assert pq.read_metadata(told.target_locations.rejects).num_rows == 2
    assert left_behind(settings) == []
    assert sorted(path.name for path in (settings.runs_dir / run.id).iterdir()) == [
        "mapped.parquet",
        "rejects.parquet",
        "source.parquet",
    ]


def test_a_wholly_mapped_batch_succeeds(service: LumeService, people: Path) -> None:
    people.write_text(PEOPLE_GOOD)
    assert complete(service, people).status == "SUCCEEDED"


def test_a_batch_of_rejects_only_fails_and_keeps_them(service: LumeService, people: Path) -> None:
    people.write_text("ID,Full Name,Mail\nx,,\n")
    run = complete(service, people)
    assert run.status == "FAILED"
    assert "no record of the batch could be mapped" in (run.metadata.error_message or "")
    assert run.metadata.target_locations is not None
    assert run.metadata.target_locations.mapped is None
    assert service.results(run.id, "rejects", 1, 10).items[0]["row_number"] == 1


def test_a_batch_that_cannot_be_read_fails_and_may_be_run_again(
    service: LumeService, settings: ServiceSettings, tmp_path: Path
) -> None:
    path = tmp_path / "later.csv"
    failed = complete(service, path)
    assert failed.status == "FAILED"
    assert "later.csv" in (failed.metadata.error_message or "")
    assert not (settings.runs_dir / failed.id).exists()
    path.write_text(PEOPLE_GOOD)
    assert complete(service, path).status == "SUCCEEDED"


def test_forced_reruns_leave_earlier_output_and_the_same_content(service: LumeService, people: Path) -> None:
    first = complete(service, people)
    with pytest.raises(AlreadySucceededError):
        start(service, people)
    reruns = [complete(service, people, force_rerun=True) for _ in range(5)]
    assert len({run.id for run in [first, *reruns]}) == 6
    assert {json.dumps(run.metadata.checksums) for run in [first, *reruns]} == {
        json.dumps(first.metadata.checksums)
    }
    assert first.metadata.target_locations is not None
    assert Path(first.metadata.target_locations.rejects).is_file()


def test_the_stored_input_of_a_run_can_be_run_again(service: LumeService, people: Path) -> None:
    first = complete(service, people)
    people.unlink()
    again = complete(service, f"run:{first.id}")
    assert again.metadata.error_message is None
    assert again.status == "PARTIAL_FAILED"
    assert again.metadata.checksums == first.metadata.checksums


def test_a_run_without_stored_input_cannot_be_run_again(service: LumeService) -> None:
    run = complete(service, "run:run_of_nobody")
    assert run.status == "FAILED"
    assert "run_of_nobody" in (run.metadata.error_message or "")


@pytest.mark.parametrize("path", ["run:../../../etc", "run:/etc/passwd", "run:..", "run:"])
def test_a_stored_input_lies_in_the_home(service: LumeService, path: str) -> None:
    run = complete(service, path)
    assert run.status == "FAILED"
    assert "no run" in (run.metadata.error_message or "")


def test_a_flow_file_edited_after_use_is_refused(service: LumeService, people: Path, flows: Path) -> None:
    complete(service, people)
    file = flows / "people" / "v1.yaml"
    file.write_text("# a remark changes nothing\n" + file.read_text())
    complete(service, people, force_rerun=True)
    file.write_text(file.read_text().replace("maxLength: 10", "maxLength: 11"))
    with pytest.raises(FlowChangedError, match=r"people/v2\.yaml"):
        start(service, people, force_rerun=True)


@pytest.mark.parametrize(
    ("flow_version", "error", "message"),
    [
        ("peple:v1", NotFoundError, "did you mean 'people'"),
        ("people:v2", NotFoundError, "it has v1"),
        ("people", InvalidRequestError, "NAME:vN"),
        ("../people:v1", InvalidRequestError, "NAME:vN"),
    ],
)
def test_an_unknown_flow_version_is_named_with_what_there_is(
    service: LumeService, flow_version: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        service.create_run(CreateRun(flow_version=flow_version, source_path="x"))


def test_a_faulty_flow_file_is_told_with_its_fault(service: LumeService, flows: Path) -> None:
    file = flows / "people" / "v1.yaml"
    file.write_text(file.read_text().replace("format: email", "format: phone"))
    with pytest.raises(InvalidRequestError, match=r"v1\.yaml.*phone"):
        service.flow_version("people:v1")


def test_a_run_under_way_has_no_results_yet(service: LumeService, people: Path, slow: None) -> None:
    run = start(service, people)
    with pytest.raises(NotReadyError):
        service.results(run.id, "mapped", 1, 10)
    assert asyncio.run(service.cancel(run.id)).status == "FAILED"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that take until they are cancelled to be read."""
    ingest = Engine.ingest

    def wait_and_ingest(
        self: Engine, flow: Any, source_path: Any, stage_dir: Any, cancel: Any = None, **options: Any
    ) -> Any:
        cancel.wait(30)
        return ingest(self, flow, source_path, stage_dir, cancel, **options)

    monkeypatch.setattr(Engine, "ingest", wait_and_ingest)


def test_a_cancelled_run_fails_and_leaves_nothing(
    service: LumeService, settings: ServiceSettings, people: Path, slow: None
) -> None:
    run = start(service, people)
    cancelled = asyncio.run(service.cancel(run.id))
    assert cancelled.status == "FAILED"
    assert "cancelled" in (cancelled.metadata.error_message or "")
    assert left_behind(settings) == []
    assert asyncio.run(service.cancel(run.id)) == cancelled


def test_a_queued_run_can_be_cancelled(settings: ServiceSettings, people: Path, slow: None) -> None:
    service = LumeService(settings.model_copy(update={"max_concurrent_runs": 1}))
    first, queued = start(service, people), start(service, people.with_name("other.csv"))
    asyncio.run(_cancel_both(service, first, queued))
    assert end(service, queued).status == "FAILED"
    service.close()


async def _cancel_both(service: LumeService, first: Run, queued: Run) -> None:
    await asyncio.gather(service.cancel(queued.id), service.cancel(first.id))


def test_another_process_can_cancel_a_run(settings: ServiceSettings, people: Path, slow: None) -> None:
    owner, other = LumeService(settings), LumeService(settings)
    run = start(owner, people)
    assert asyncio.run(other.cancel(run.id)).status == "FAILED"
    owner.close()
    other.close()


def test_closing_cancels_what_is_under_way(settings: ServiceSettings, people: Path, slow: None) -> None:
    service = LumeService(settings)
    run = start(service, people)
    service.close()
    assert LumeService(settings).run(run.id).status == "FAILED"


def test_an_internal_error_crashes_the_run(
    service: LumeService, settings: ServiceSettings, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("a fault of our own")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "transform", explode)
        run = complete(service, people)
    assert run.status == "CRASHED"
    assert "a fault of our own" in (run.metadata.error_message or "")
    assert left_behind(settings) == []
    assert complete(service, people).status == "PARTIAL_FAILED"


def test_a_run_that_could_not_be_queued_does_not_block_its_batch(
    settings: ServiceSettings, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky, other = LumeService(settings), LumeService(settings)

    def locked(*_: object, **__: object) -> bool:
        raise UnavailableError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "advance", locked)
        with pytest.raises(UnavailableError):
            start(unlucky, people)
    assert end(other, start(other, people)).status == "CRASHED"
    assert complete(other, people).status == "PARTIAL_FAILED"
    unlucky.close()
    other.close()


def test_nor_does_it_in_a_process_that_is_alone(
    settings: ServiceSettings, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = LumeService(settings)
    request = CreateRun(flow_version="people:v1", source_path=str(people))

    def locked(*_: object, **__: object) -> bool:
        raise UnavailableError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "advance", locked)
        with pytest.raises(UnavailableError):
            service.create_run(request, "key")
    assert end(service, service.create_run(request, "key")[0]).status == "CRASHED"
    assert complete(service, people).status == "PARTIAL_FAILED"
    service.close()


def test_the_message_about_a_file_without_header_holds_no_value(service: LumeService, people: Path) -> None:
    people.write_text("7,Ada,secret-address\n")
    message = complete(service, people).metadata.error_message or ""
    assert "header missing" in message
    assert "secret-address" not in message


def test_a_deeply_nested_record_is_a_reject(service: LumeService, people: Path, flows: Path) -> None:
    batch = people.with_suffix(".jsonl")
    good = '{"ID": 1, "Full Name": "Ada", "Mail": null, "x": %s}'
    batch.write_text("\n".join(good % ("[" * depth + "]" * depth) for depth in (1, 90, 450, 900, 5000)))
    flow = flows / "people" / "v2.yaml"
    flow.write_text((flows / "people" / "v1.yaml").read_text().replace(", isPrimaryKey: true", ""))
    run = end(service, service.create_run(CreateRun(flow_version="people:v2", source_path=str(batch)))[0])
    assert run.metadata.rows is not None
    assert (run.metadata.rows.mapped, run.metadata.rows.rejected) == (2, 3)


def test_a_waiter_is_told_of_each_change(service: LumeService, people: Path, slow: None) -> None:
    run = start(service, people)

    async def follow() -> list[str]:
        seen = [(await service.wait_for_run(run.id, 0, "change")).status]
        task = asyncio.create_task(service.wait_for_run(run.id, 30, "final"))
        await asyncio.sleep(0.1)
        await service.cancel(run.id)
        seen.append((await task).status)
        return seen

    assert asyncio.run(follow())[-1] == "FAILED"


def test_a_wait_ends_with_its_time(service: LumeService, people: Path, slow: None) -> None:
    run = start(service, people)
    started = time.monotonic()
    assert asyncio.run(service.wait_for_run(run.id, 0.3, "final")).status != "FAILED"
    assert 0.25 < time.monotonic() - started < 5
    asyncio.run(service.cancel(run.id))


_RUN_AND_HANG = """
import sys, time
from pathlib import Path
from lume_dagster.engine import Engine
from lume_dagster.service.models import CreateRun
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings

home, flows, batch, stage = sys.argv[1:]
original = getattr(Engine, stage)

def then_hang(self, *arguments, **options):
    original(self, *arguments, **options)
    print("hanging", flush=True)
    time.sleep(600)

setattr(Engine, stage, then_hang)
service = LumeService(ServiceSettings(home=Path(home), flows=Path(flows), lease_seconds=1.0))
run, _ = service.create_run(CreateRun(flow_version="people:v1", source_path=batch))
print(run.id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def hang(settings: ServiceSettings, people: Path) -> Callable[[str], tuple[subprocess.Popen[str], str]]:
    """Starts a process that hangs in the middle of a run; returns it and the id of the run."""

    def begin(stage: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _RUN_AND_HANG,
                str(settings.home),
                str(settings.flows),
                str(people),
                stage,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = {process.stdout.readline().strip(), process.stdout.readline().strip()}
        return process, next(line for line in lines if line.startswith("run_"))

    return begin


@pytest.mark.parametrize("stage", ["ingest", "transform"])
def test_a_killed_process_leaves_a_consistent_store(
    stage: str,
    hang: Callable[[str], tuple[subprocess.Popen[str], str]],
    settings: ServiceSettings,
    people: Path,
) -> None:
    process, run_id = hang(stage)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left_behind(settings)

    service = LumeService(settings)
    attached = start(service, people)
    assert attached.id == run_id
    crashed = end(service, attached)
    assert crashed.status == "CRASHED"
    assert "nothing of the batch was published" in (crashed.metadata.error_message or "")
    assert left_behind(settings) == []
    assert not (settings.runs_dir / run_id).exists()
    retried = complete(service, people)
    assert (retried.status, retried.id != run_id) == ("PARTIAL_FAILED", True)
    service.close()


def test_two_processes_work_in_one_home(
    hang: Callable[[str], tuple[subprocess.Popen[str], str]], settings: ServiceSettings, people: Path
) -> None:
    process, run_id = hang("ingest")
    service = LumeService(settings)
    other = people.with_name("other.csv")
    other.write_text(PEOPLE_GOOD)
    assert complete(service, other).status == "SUCCEEDED"
    time.sleep(2 * settings.lease_seconds)
    service.runs(flow_version=None, source_path=None, statuses=[], page=1, size=10)
    assert service.run(run_id).status == "SYNCING_SOURCE", "a process that lives keeps its lease"
    process.kill()
    process.wait()
    service.close()


def test_a_process_that_was_given_up_discards_its_work(
    service: LumeService, settings: ServiceSettings, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = Engine.transform

    def lose_the_lease(self: Engine, *arguments: Any) -> Any:
        result = transform(self, *arguments)
        store = service._work.store
        record = store.active()[0]
        assert store.crash(record.id, heartbeat=record.heartbeat, error_message="given up")
        return result

    monkeypatch.setattr(Engine, "transform", lose_the_lease)
    run = complete(service, people)
    assert run.status == "CRASHED"
    time.sleep(0.2)
    assert left_behind(settings) == []
    assert not (settings.runs_dir / run.id).exists()


def test_abandoned_staging_is_swept_by_the_next_user(settings: ServiceSettings, people: Path) -> None:
    first = LumeService(settings)
    run = complete(first, people)
    first.close()
    leftover = settings.staging_dir / run.id
    leftover.mkdir(parents=True)
    (leftover / "mapped.parquet").write_bytes(b"half")
    service = LumeService(settings)
    service.run(run.id)
    assert left_behind(settings) == []
    assert service.run(run.id).metadata.target_locations is not None
    assert service.results(run.id, "mapped", 1, 10).total == 2


def test_a_home_that_cannot_be_written_is_named(settings: ServiceSettings, people: Path) -> None:
    # Not even root may write below /proc.
    nowhere = settings.model_copy(update={"home": Path("/proc/lume")})
    with pytest.raises(UnavailableError, match=r"/proc/lume.*LUME_HOME"):
        start(LumeService(nowhere), people)


@pytest.fixture
def tiny_home(settings: ServiceSettings) -> Iterator[ServiceSettings]:
    """A home on a file system of one megabyte."""
    settings.home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(settings.home)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield settings
    subprocess.run(["umount", "--lazy", str(settings.home)], check=True)


def test_a_full_disk_crashes_the_run_and_loses_nothing(tiny_home: ServiceSettings, people: Path) -> None:
    service = LumeService(tiny_home)
    earlier = complete(service, people)
    big = people.with_name("big.csv")
    big.write_text(
        "ID,Full Name,Mail\n"
        + "".join(f"{number},{number:x},{hash(str(number)):x}@example.com\n" for number in range(1, 100_000))
    )
    crashed = complete(service, big)
    assert crashed.status == "CRASHED"
    assert "No space left" in (crashed.metadata.error_message or "")
    assert left_behind(tiny_home) == []
    assert service.results(earlier.id, "mapped", 1, 10).total == 2
    assert complete(service, people, force_rerun=True).status == "PARTIAL_FAILED"
    service.close()


def test_reading_flows_makes_no_home(service: LumeService, settings: ServiceSettings) -> None:
    assert [flow.name for flow in service.flows().items] == ["flights", "people"]
    assert service.flow_version("people:v1").lineage["name"] == ["Full Name"]
    assert not settings.home.exists()
