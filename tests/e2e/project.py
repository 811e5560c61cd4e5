"""A project in a folder of its own, the processes that work in it, and what is asked of a running Dagster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import httpx

from lume_dagster import LumeResource
from lume_dagster.client import LumeRun
from tests.conftest import PEOPLE_FLOW, PEOPLE_GOOD, PROJECT

BIN = Path(sys.executable).parent
PEOPLE_DAMAGED = "ID,Full Name,Mail\n1,Ada,ada@example.com\nx,Bob,\n"
PEOPLE_BATCHES = {name: PEOPLE_DAMAGED if name.endswith("2") else PEOPLE_GOOD for name in
                  ("a1", "a2", "a3", "b1", "b2", "b3")}  # fmt: skip

# All steps in the process of their run, as a process each costs seconds of imports.
_ONE_PROCESS = """
defs = dg.Definitions.merge(defs, dg.Definitions(executor=dg.in_process_executor))
"""
# Runs start at once instead of within five seconds, and no more of them than two cores can carry.
_FASTER = """
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1, max_concurrent_runs: 3}
run_monitoring: {enabled: true, poll_interval_seconds: 1}
run_retries: {enabled: true, max_retries: 0}
"""

Found = TypeVar("Found")


def wait_for(
    find: Callable[[], Found | None],
    what: str,
    *,
    of: subprocess.Popen[bytes] | None = None,
    seconds: float = 60,
    every: float = 0.2,
) -> Found:
    """What `find` finds, as soon as it finds something.

    It is in vain after so many seconds, and as soon as the process `of` which it is expected has ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        ended = of is not None and of.poll() is not None
        if found := find():
            return found
        if ended or time.monotonic() > deadline:
            raise AssertionError(
                f"{'the process ended without' if ended else f'{seconds:g} s without'} {what}"
            )
        time.sleep(every)


def kill_group(process: subprocess.Popen[bytes], *, at_once: bool = False) -> None:
    """Ends a process and all that it has started, asking first unless `at_once`."""
    for number, patience in () if at_once else ((signal.SIGTERM, 10),):
        _signal(process, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    _signal(process, signal.SIGKILL)
    process.wait(10)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


@dataclass(frozen=True)
class Project:
    """A copy of the example's project."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls, folder: Path, *, extra_config: str = "", variables: Mapping[str, str] | None = None
    ) -> Project:
        """The project's own files, in an empty folder with an empty Dagster and an empty Lume."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("definitions.py", "workspace.yaml", "pyproject.toml"):
            shutil.copy(PROJECT / name, folder)
        for name in ("flows", "examples"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        project = cls(folder, variables or {})
        project.dagster_home.mkdir()
        (project.dagster_home / "dagster.yaml").write_text(
            (PROJECT / "dagster.yaml").read_text() + extra_config
        )
        return project

    @classmethod
    def make_site(cls, folder: Path, lume_url: str) -> Project:
        """The project with a second code location, `people`, for a webserver and a daemon.

        Its flow `orders` runs in a Lume at another address.
        """
        project = cls.make(folder, extra_config=_FASTER, variables={"TESTS_LUME_URL": lume_url})
        with (folder / "definitions.py").open("a") as definitions:
            definitions.write(_ONE_PROCESS)
        for name in ("people", "arrivals"):
            (folder / "flows" / name).mkdir()
            (folder / "flows" / name / "v1.yaml").write_text(PEOPLE_FLOW)
        incoming = folder / "data" / "incoming" / "people"
        incoming.mkdir(parents=True)
        for name, text in PEOPLE_BATCHES.items():
            (incoming / f"{name}.csv").write_text(text)
        shutil.copy(Path(__file__).parent / "people_location.py", folder)
        (folder / "people.yaml").write_text(
            "load_from:\n  - python_file: {relative_path: people_location.py, location_name: people}\n"
        )
        return project

    @property
    def dagster_home(self) -> Path:
        return self.folder / ".dagster"

    @property
    def lume_home(self) -> Path:
        return self.folder / ".lume"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process without any Dagster or Lume of its own."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "LUME_"))
        }
        return own | {
            "DAGSTER_HOME": str(self.dagster_home),
            "LUME_HOME": str(self.lume_home),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "200",
            **self.variables,
        }

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """A process in the project's folder, the head of a group of its own; what it says goes to the file `log`."""
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self, log: str) -> str:
        return (self.folder / log).read_text(errors="replace")

    def run(self, *command: str, log: str = "command.log", seconds: float = 120) -> tuple[int, str]:
        """Exit code and output of a command."""
        process = self.start(*command, log=log)
        try:
            process.wait(seconds)
        finally:
            kill_group(process, at_once=True)
        return process.returncode, self.said(log)

    def make_tables(self) -> None:
        """Makes the tables of Dagster's storage, which two first processes would trip over."""
        with self.instance() as instance:
            instance.get_runs(limit=1)
            instance.all_instigator_state()
            instance.fetch_run_status_changes(dg.DagsterEventType.RUN_SUCCESS, limit=1)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.dagster_home)) as instance:
            yield instance

    def latest(self, asset: str, partition: str) -> Mapping[str, Any] | None:
        """The metadata of the latest materialization of a partition."""
        with self.instance() as instance:
            found = instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    asset_key=dg.AssetKey.from_user_string(asset), asset_partitions=[partition]
                ),
                limit=1,
            ).records
        materialization = found[0].asset_materialization if found else None
        return materialization and {name: held.value for name, held in materialization.metadata.items()}

    def check_result(self, asset: str, check: str, partition: str) -> bool | None:
        """Whether the latest check of a partition passed; None if there is no result of it."""
        key = dg.AssetCheckKey(dg.AssetKey.from_user_string(asset), check)
        with self.instance() as instance:
            for entry in instance.event_log_storage.get_asset_check_execution_history(key, limit=1000):
                event = entry.event and entry.event.dagster_event
                if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                    found = event.asset_check_evaluation_data
                    if found.partition == partition:
                        return found.passed
        return None

    def materialized(self, asset: str) -> set[str]:
        """The partitions of an asset that were ever materialized."""
        with self.instance() as instance:
            return set(instance.get_materialized_partitions(dg.AssetKey.from_user_string(asset)))

    def lume_runs(self, source_path: str | None = None) -> Sequence[LumeRun]:
        """The runs of this project's Lume, newest first."""
        lume = LumeResource(home=str(self.lume_home), flows=str(self.folder / "flows"))
        with lume.client as client:
            return list(client.iter_runs(source_path=source_path))


class Webserver:
    """What is asked of a running webserver, by GraphQL as its pages do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._http.close()

    def ask(self, query: str, **variables: Any) -> Any:
        """The one field that a query asks for."""
        answer = self._http.post("/graphql", json={"query": query, "variables": variables}).json()
        assert not answer.get("errors"), answer["errors"]
        (field,) = answer["data"].values()
        return field

    def locations(self) -> dict[str, str | None]:
        """The code locations: their names, and as what they were loaded."""
        found = self.ask(
            "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"
        )
        return {
            entry["name"]: (entry["locationOrLoadError"] or {}).get("__typename")
            for entry in found["locationEntries"]
        }

    def is_healthy(self, daemon: str) -> bool:
        """Whether a part of the daemon, such as BACKFILL, gives signs of life."""
        instance = self.ask(
            "query ($type: String) { instance { daemonHealth { daemonStatus(daemonType: $type) { healthy } } } }",
            type=daemon,
        )
        return bool(instance["daemonHealth"]["daemonStatus"]["healthy"])

    def launch(
        self,
        location: str,
        partition: str,
        *assets: str,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Launches one run; returns its id."""
        launched = self.ask(
            """mutation ($params: ExecutionParams!) {
                launchRun(executionParams: $params) {
                    __typename
                    ... on LaunchRunSuccess { run { runId } }
                    ... on PythonError { message }
                    ... on RunConfigValidationInvalid { errors { message } }
                }
            }""",
            params={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": "__repository__",
                    "jobName": "__ASSET_JOB",
                    "assetSelection": _paths(assets),
                },
                "runConfigData": config or {},
                "executionMetadata": {
                    "tags": [
                        {"key": key, "value": value}
                        for key, value in {"dagster/partition": partition, **(tags or {})}.items()
                    ]
                },
            },
        )
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Presses Terminate."""
        ended = self.ask(
            """mutation ($id: String!) {
                terminateRun(runId: $id) { __typename ... on PythonError { message } }
            }""",
            id=run_id,
        )
        assert ended["__typename"] == "TerminateRunSuccess", ended

    def run_ended(self, run_id: str, *, seconds: float = 90) -> str:
        """How a run ended, once it has."""
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

        def ended() -> str | None:
            status = str(self.ask(query, id=run_id)["status"])
            return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

        return wait_for(ended, f"the end of run {run_id}", seconds=seconds)

    def messages(self, run_id: str) -> str:
        """What a run's steps failed with, and their causes."""
        run = self.ask(
            """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
                ... on ExecutionStepFailureEvent {
                    error { message causes { message } } failureMetadata { description }
                }
            } } } }""",
            id=run_id,
        )
        return str([event for event in run["events"] if event])

    def backfill(
        self, partitions: Sequence[str], *assets: str, config: Mapping[str, Any] | None = None
    ) -> str:
        """Launches a backfill; returns its id."""
        launched = self.ask(
            """mutation ($params: LaunchBackfillParams!) {
                launchPartitionBackfill(backfillParams: $params) {
                    __typename
                    ... on LaunchBackfillSuccess { backfillId }
                    ... on PythonError { message }
                    ... on RunConfigValidationInvalid { errors { message } }
                }
            }""",
            params={"assetSelection": _paths(assets), "partitionNames": list(partitions)}
            | ({"runConfigData": config} if config else {}),
        )
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def backfill_ended(
        self, backfill_id: str, *, seconds: float = 120
    ) -> tuple[str, dict[str, dict[str, int]]]:
        """How a backfill ended, and for each asset how many of its partitions ended how."""
        query = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
            status
            assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
                assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
            } } }
        } } }"""

        def ended() -> Any:
            found = self.ask(query, id=backfill_id)
            return found if found["status"].startswith(("COMPLETED", "FAILED", "CANCELED")) else None

        found = wait_for(ended, f"the end of backfill {backfill_id}", seconds=seconds)
        counts = {
            "/".join(asset.pop("assetKey")["path"]): asset
            for asset in found["assetBackfillData"]["assetBackfillStatuses"]
        }
        return found["status"], counts

    def automate(self, location: str, *, on: bool) -> None:
        """Turns the automation sensor of a code location on or off."""
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "sensorName": "default_automation_condition_sensor",
        }
        if on:
            started = self.ask(
                """mutation ($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
                    __typename ... on Sensor { sensorState { status } } } }""",
                selector=selector,
            )
            assert started["sensorState"]["status"] == "RUNNING", started
            return
        sensor = self._sensor(selector)
        self.ask(
            "mutation ($id: String!) { stopSensor(id: $id) { __typename } }", id=sensor["sensorState"]["id"]
        )

    def ticks(self, location: str) -> Sequence[Mapping[str, Any]]:
        """The ended ticks of the automation sensor, the latest first: when each began, and what it asked for."""
        ticks = self._sensor(
            {
                "repositoryLocationName": location,
                "repositoryName": "__repository__",
                "sensorName": "default_automation_condition_sensor",
            }
        )["sensorState"]["ticks"]
        return [tick for tick in ticks if tick["status"] in {"SUCCESS", "SKIPPED"}]

    def tick_that_says(self, location: str, sensor: str, text: str) -> float | None:
        """When (Unix seconds) a sensor ticked and gave a reason that holds a text; None as long as it has not."""
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "sensorName": sensor,
        }
        ticks = self._sensor(selector)["sensorState"]["ticks"]
        return next((tick["timestamp"] for tick in ticks if text in (tick["skipReason"] or "")), None)

    def _sensor(self, selector: Mapping[str, str]) -> Any:
        return self.ask(
            """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
                sensorState { id status ticks(limit: 100) {
                    tickId status timestamp skipReason requestedAssetKeys { path }
                } }
            } } }""",
            selector=selector,
        )


def _paths(assets: Sequence[str]) -> list[dict[str, list[str]]]:
    return [{"path": asset.split("/")} for asset in assets]
