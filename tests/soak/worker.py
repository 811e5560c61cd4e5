"""One launch of one batch or of a range, in a process of its own that can be killed."""

import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import dagster as dg

from lume_dagster import LumeChecks, LumeResource
from tests.dagster.attempt import die_after_an_event, job_of_people

STEPS = {"multi_run": "people__v1__run", "single_run": "people__v1__batches"}
BACKFILL, FOLDER, BATCHES, EXECUTOR = "SOAK_BACKFILL", "SOAK_FOLDER", "SOAK_BATCHES", "SOAK_EXECUTOR"
LAUNCH_TAG, TASK_TAG = "soak/launch", "soak/task"

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def partition_keys(count: int) -> list[str]:
    return [f"{number:05}" for number in range(count)]


def people_job() -> dg.JobDefinition:
    """The job of all assets of people:v1, from the Lume that the environment names."""
    return job_of_people(
        LumeResource(max_concurrent_runs=6, request_timeout_seconds=20, outage_budget_seconds=30),
        batches=partition_keys(int(os.environ[BATCHES])),
        source_path=os.environ[FOLDER] + "/{partition_key}.csv",
        # The files of a Lume over HTTP are on this machine all the same: the schema can be checked.
        checks=LumeChecks(reject_rate_error=0.4),
        backfill=os.environ[BACKFILL],
        executor=os.environ[EXECUTOR],
    )


@dataclass(frozen=True)
class Launch:
    """A launch, or a re-execution of one.

    Attributes:
        id: Names it in the instance.
        task: Names what it belongs to.
        storage: Folder of the Dagster instance.
        environment: Which Lume, and where the batches are.
        partitions: The batch, or the first and the last of a range.
        backfill: How ranges are run.
        force_rerun: Whether a rerun is forced.
        of: The Dagster run that is executed again, if it is one.
        killed_after: Type and number of the event after which the process that told it kills itself.
        executor: Whether steps run in this process, or each in one of its own.
    """

    id: str
    task: str
    storage: Path
    environment: dict[str, str]
    partitions: tuple[str, str]
    backfill: str
    force_rerun: bool = False
    of: str | None = None
    killed_after: tuple[str, int] | None = None
    executor: str = "in_process"

    def start(self) -> ForkServerProcess:
        process = _processes.Process(target=_carry_out, args=(self,))
        process.start()
        return process


def _carry_out(launch: Launch) -> None:
    os.environ |= launch.environment | {BACKFILL: launch.backfill, EXECUTOR: launch.executor}
    log = os.open(launch.storage / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    if launch.killed_after:
        event_type, number = launch.killed_after
        die_after_an_event(event_type, str(number), str(launch.storage / f"killed-{launch.id}"))
    first, last = launch.partitions
    batch = (
        {"dagster/partition": first}
        if launch.backfill == "multi_run"
        else {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    )
    config = {"ops": {STEPS[launch.backfill]: {"config": {"force_rerun": launch.force_rerun}}}}
    with dg.DagsterInstance.local_temp(str(launch.storage)) as instance:
        options: dict[str, Any] = {"run_config": config}
        tags = {**batch, LAUNCH_TAG: launch.id, TASK_TAG: launch.task}
        if launch.of:
            parent = instance.get_run_by_id(launch.of)
            assert parent is not None
            tags = {**parent.tags, **tags}
            options = {
                "run_config": parent.run_config,
                "reexecution_options": dg.ReexecutionOptions.from_failure(launch.of, instance),
            }
        result = dg.execute_job(dg.reconstructable(people_job), instance=instance, tags=tags, **options)
    os._exit(0 if result.success else 1)
