"""One attempt at a batch in a process of its own, which can be told to kill itself after an event."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import dagster as dg

from lume_dagster import LumeChecks, LumeIOManager, LumeResource, build_lume_assets

JOB = "people"
WRITE = "people__v1__run"
LUME_URL, ON_INTERRUPT, RETRIES = "TESTS_LUME_URL", "TESTS_ON_INTERRUPT", "TESTS_RETRIES"
EXECUTOR, DEATH, BATCHES = "TESTS_EXECUTOR", "TESTS_DEATH", "TESTS_BATCHES"

EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}

# What a process would import only once it is at work: each of many would wait for it.
IMPORTED_LATE = (
    "alembic.command",
    "dagster._core.instance.factory",
    "dagster._core.launcher.sync_in_memory_run_launcher",
    "dagster._core.remote_representation.code_location",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.sqlite_storage",
    "httpcore",
    "lume_dagster.client.client",
    "upath.implementations.local",
)

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])
for name in IMPORTED_LATE:
    import_module(name)


def job_of_people(
    lume: LumeResource,
    *,
    batches: Sequence[str],
    source_path: str,
    checks: LumeChecks,
    backfill: Any,
    executor: str,
    retry_policy: dg.RetryPolicy | None = None,
) -> dg.JobDefinition:
    """The job of all assets of people:v1."""
    definitions = dg.Definitions.merge(
        build_lume_assets(
            flow_version="people:v1",
            partitions_def=dg.StaticPartitionsDefinition(batches),
            source_path=source_path,
            checks=checks,
            retry_policy=retry_policy,
            backfill=backfill,
        ),
        dg.Definitions(
            jobs=[dg.define_asset_job(JOB, executor_def=EXECUTORS[executor])],
            resources={"lume": lume, "lume_io_manager": LumeIOManager(lume=lume)},
        ),
    )
    return definitions.resolve_job_def(JOB)


def people_job() -> dg.JobDefinition:
    """The job, from a Lume at the address in the environment."""
    if death := os.environ.get(DEATH):
        die_after_an_event(*death.split())
    on_interrupt: Any = os.environ[ON_INTERRUPT]
    retries = int(os.environ[RETRIES])
    batches = os.environ[BATCHES].split()
    return job_of_people(
        LumeResource(
            base_url=os.environ[LUME_URL],
            on_interrupt=on_interrupt,
            request_timeout_seconds=30,
            outage_budget_seconds=10,
        ),
        batches=batches,
        source_path="{partition_key}.csv",
        checks=LumeChecks(output_schema="off"),
        retry_policy=dg.RetryPolicy(max_retries=retries) if retries else None,
        backfill="single_run" if len(batches) > 1 else "multi_run",
        executor=os.environ[EXECUTOR],
    )


@dataclass(frozen=True)
class Attempt:
    """A launch of the batch, or a re-execution from failure.

    Attributes:
        storage: Folder of the Dagster instance.
        lume_url: Address of the Lume.
        force_rerun: Whether a rerun is forced; of a re-execution, by a change of its config.
        of: The Dagster run that is executed again, if it is one.
        killed_after: Type and number of the event after which the process that told it kills itself.
        on_interrupt: What becomes of the Lume run on a termination.
        retries: How often the step's retry policy tries again.
        executor: Whether steps run in this process, or each in one of its own.
        batches: The batch; or several, as a range in one step.
    """

    storage: Path
    lume_url: str
    force_rerun: bool = False
    of: str | None = None
    killed_after: tuple[str, int] | None = None
    on_interrupt: str = "cancel"
    retries: int = 0
    executor: str = "in_process"
    batches: tuple[str, ...] = ("a",)

    def start(self) -> ForkServerProcess:
        process = _processes.Process(target=_carry_out, args=(self,))
        process.start()
        return process

    def run(self) -> int | None:
        """The exit code of the process, once it has ended."""
        process = self.start()
        process.join(60)
        return process.exitcode


def _carry_out(attempt: Attempt) -> None:
    os.environ |= {
        LUME_URL: attempt.lume_url,
        ON_INTERRUPT: attempt.on_interrupt,
        RETRIES: str(attempt.retries),
        EXECUTOR: attempt.executor,
        BATCHES: " ".join(attempt.batches),
    }
    if attempt.killed_after:
        event_type, number = attempt.killed_after
        os.environ[DEATH] = f"{event_type} {number} {attempt.storage / 'killed'}"
    config = {"ops": {WRITE: {"config": {"force_rerun": True}}}} if attempt.force_rerun else {}
    with dg.DagsterInstance.local_temp(str(attempt.storage)) as instance:
        options: dict[str, Any] = {"tags": _partition_tags(attempt.batches), "run_config": config}
        if attempt.of:
            parent = instance.get_run_by_id(attempt.of)
            assert parent is not None
            options = {  # as the daemon does: with the tags and the config of the run that failed
                "tags": dict(parent.tags),
                "run_config": config or parent.run_config,
                "reexecution_options": dg.ReexecutionOptions.from_failure(attempt.of, instance),
            }
        result = dg.execute_job(dg.reconstructable(people_job), instance=instance, **options)
    os._exit(0 if result.success else 1)


def _partition_tags(batches: tuple[str, ...]) -> dict[str, str]:
    if len(batches) == 1:
        return {"dagster/partition": batches[0]}
    return {
        "dagster/asset_partition_range_start": batches[0],
        "dagster/asset_partition_range_end": batches[-1],
    }


def die_after_an_event(event_type: str, number: str, marker: str) -> None:
    """Lets this process, or a step's process that it starts, kill itself after an event; once for each marker."""
    handle, seen = dg.DagsterInstance.handle_new_event, Counter[str]()

    def handle_and_die(self: dg.DagsterInstance, event: Any, **options: Any) -> None:
        handle(self, event, **options)
        if event.is_dagster_event:
            seen[event.dagster_event_type.value] += 1
            if seen[event_type] == int(number) and not Path(marker).exists():
                Path(marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)

    dg.DagsterInstance.handle_new_event = handle_and_die  # type: ignore[method-assign]
