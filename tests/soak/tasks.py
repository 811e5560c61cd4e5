"""Batches on their way through disturbed launches, until they have a verdict that nothing disturbed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import dagster as dg

from tests.soak.worker import LAUNCH_TAG, TASK_TAG, Launch

EVENTS = (
    "ASSET_OBSERVATION",
    "ASSET_MATERIALIZATION",
    "ASSET_CHECK_EVALUATION",
    "STEP_START",
    "STEP_SUCCESS",
)
DISTURBANCES = ("killed after an event", "killed", "terminated", "evicted")
MOST_LAUNCHES = 14
STUCK_SECONDS = 180
_HEADER = "ID,Full Name,Mail\n"


@dataclass(frozen=True)
class Kind:
    """What a batch is made to be, and what has to become of it."""

    name: str
    rows: int
    bad: int
    failed_checks: frozenset[str] = frozenset()
    is_published: bool = True

    @property
    def maps(self) -> bool:
        return self.bad < self.rows

    def text(self) -> str:
        good = "".join(f"{number},Ada,ada@example.com\n" for number in range(1, self.rows - self.bad + 1))
        return _HEADER + good + "x,Bob,\n" * self.bad


KINDS = (
    Kind("good", 12, 0),
    Kind("good", 3, 0),
    Kind("partly bad", 200, 1),
    Kind("warned of", 20, 3, frozenset({"reject_rate"})),
    Kind("stopped by the audit", 6, 3, frozenset({"reject_rate"}), is_published=False),
    Kind("unusable", 4, 4, frozenset({"status"}), is_published=False),
)
_WEIGHTS = (4, 4, 3, 2, 2, 1)


def drawn_kinds(keys: Sequence[str], seed: int) -> dict[str, Kind]:
    drawn = random.Random(seed).choices(KINDS, _WEIGHTS, k=len(keys))
    return dict(zip(keys, drawn, strict=True))


@dataclass
class Lane:
    """A Dagster instance, a Lume, and batches of one of the two ways to run them.

    Attributes:
        name: Names it.
        storage: Folder of the Dagster instance.
        environment: Which Lume, and where the batches are.
        backfill: How ranges are run.
        kinds: What each batch is made to be.
        forces: How often a rerun of a batch was asked for.
        disturbed: How often each disturbance came to pass.
        unsettled: Tasks that came to no verdict.
        stuck: Launches that did not end.
    """

    name: str
    storage: Path
    environment: Mapping[str, str]
    backfill: str
    kinds: Mapping[str, Kind]
    forces: Counter[str] = field(default_factory=Counter)
    disturbed: Counter[str] = field(default_factory=Counter)
    unsettled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def tasks(self, size: int, seed: int) -> Iterator[Task]:
        keys = list(self.kinds)
        for number, begin in enumerate(range(0, len(keys), size)):
            yield Task(
                f"{self.name}-{number}",
                self,
                keys[begin : begin + size],
                random.Random(f"{seed} {number} {self.name}"),
            )


@dataclass
class Task:
    """A batch, or a range of them, that is launched until it has its verdict."""

    id: str
    lane: Lane
    keys: Sequence[str]
    random: random.Random

    def carry_out(self) -> None:
        disturbances: list[str | None] = [
            self.random.choice(DISTURBANCES) for _ in range(self.random.choice((0, 1, 1, 2)))
        ]
        disturbances.append(None)
        forced_at = len(disturbances) - 1 if self.random.random() < 0.15 else None
        if forced_at is not None:
            disturbances.insert(self.random.randrange(len(disturbances)), None)
        parent: str | None = None
        with dg.DagsterInstance.local_temp(str(self.lane.storage)) as instance:
            for number in range(MOST_LAUNCHES):
                disturbance = disturbances[number] if number < len(disturbances) else None
                force = number == forced_at
                if force:
                    parent = None
                    self.lane.forces.update(self.keys)
                run, undisturbed = self._launch(instance, number, disturbance, parent, force)
                is_last = number >= len(disturbances) - 1 and (forced_at is None or number >= forced_at)
                if is_last and undisturbed and run and self._is_settled(instance):
                    return
                # An attempt that failed by itself is launched anew; one that was cut off is, or is re-executed.
                again = run is not None and not run.is_success and self.random.random() < 0.7
                parent = run.run_id if run and again and not (undisturbed and parent) else None
        self.lane.unsettled.append(self.id)

    def _launch(
        self,
        instance: dg.DagsterInstance,
        number: int,
        disturbance: str | None,
        parent: str | None,
        force: bool,
    ) -> tuple[dg.DagsterRun | None, bool]:
        launch = Launch(
            id=f"{self.id}-{number}",
            task=self.id,
            storage=self.lane.storage,
            environment=dict(self.lane.environment),
            partitions=(self.keys[0], self.keys[-1]),
            backfill=self.lane.backfill,
            force_rerun=force,
            of=parent,
            killed_after=(self.random.choice(EVENTS), self.random.randint(1, 2 * len(self.keys)))
            if disturbance == "killed after an event"
            else None,
            executor="multiprocess" if self.random.random() < 0.1 else "in_process",
        )
        process = launch.start()
        disturbed = disturbance is not None and self._disturb(instance, launch, process, disturbance)
        process.join(STUCK_SECONDS)
        if process.exitcode is None:
            self.lane.stuck.append(launch.id)
            process.kill()
            process.join()
        disturbed |= (launch.storage / f"killed-{launch.id}").exists()
        if disturbed and disturbance:
            self.lane.disturbed[disturbance] += 1
        run = self._run_of(instance, launch)
        if run is not None and not run.is_finished:  # as the daemon does, when it finds a worker dead
            if run.status is dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run)
            else:
                instance.report_run_failed(run)
            run = self._run_of(instance, launch)
        return run, not disturbed and process.exitcode in (0, 1)

    def _disturb(
        self, instance: dg.DagsterInstance, launch: Launch, process: ForkServerProcess, how: str
    ) -> bool:
        if how == "killed after an event":
            return False
        while process.is_alive() and (
            (run := self._run_of(instance, launch)) is None or run.status is not dg.DagsterRunStatus.STARTED
        ):
            time.sleep(0.05)
        time.sleep(self.random.random() * (0.8 if len(self.keys) == 1 else 4.0))
        run = self._run_of(instance, launch)
        if run is None or run.is_finished or not process.is_alive():
            return False
        if how == "terminated":
            instance.report_run_canceling(run)
        (process.kill if how == "killed" else process.terminate)()
        return True

    def _run_of(self, instance: dg.DagsterInstance, launch: Launch) -> dg.DagsterRun | None:
        found = instance.get_runs(dg.RunsFilter(tags={LAUNCH_TAG: launch.id}), limit=1)
        return found[0] if found else None

    def _is_settled(self, instance: dg.DagsterInstance) -> bool:
        """Whether Dagster was told a verdict of each batch that no disturbance made."""
        verdicts: dict[tuple[str, str], dg.AssetCheckEvaluation] = {}
        for run in reversed(instance.get_runs(dg.RunsFilter(tags={TASK_TAG: self.id}))):
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
                if entry.dagster_event is not None:
                    told = entry.dagster_event.asset_check_evaluation_data
                    verdicts[told.partition or "", told.check_name] = told
        for key in self.keys:
            status = verdicts.get((key, "status"))
            if status is None:
                return False
            if not status.passed:
                if status.metadata["status"].value != "FAILED" or "cancelled" in (status.description or ""):
                    return False
            elif (key, "rows_reconcile") not in verdicts:
                return False
        return True
