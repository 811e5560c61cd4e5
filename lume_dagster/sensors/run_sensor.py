"""A sensor that takes Lume runs which were started outside Dagster into Dagster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import dagster as dg

from lume_dagster.assets.metadata import RUN_ID, latest_materialization
from lume_dagster.assets.translator import DagsterLumeTranslator, flow_asset_keys, sensor_name
from lume_dagster.client import LumeClient, LumeRun, NotFoundError
from lume_dagster.client.current_run import current_run
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.sensors.partitions import add_requests, is_partition, partition_key_of

if TYPE_CHECKING:
    from lume_dagster.resource import LumeResource

_STORED_INPUT = "run:"


def build_lume_run_sensor(
    *,
    flow_version: str,
    partitions_def: dg.PartitionsDefinition,
    source_path: str | Callable[[str], str | None],
    name: str | None = None,
    translator: DagsterLumeTranslator | None = None,
    resource_key: str = "lume",
    earlier_runs: bool = False,
    minimum_interval_seconds: int = 30,
    max_runs_per_tick: int = 100,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that sees the runs which another client of the same Lume has started, and takes each of them once.

    For a run that has ended, it asks for a Dagster run of the batch's partition that takes the Lume run as it is:
    its materializations, its audit and its check results are those of a run that Dagster had started. Nothing runs
    in Lume again. Of several runs of a batch only the latest is taken.

    Args:
        flow_version: The flow version, `NAME:vN`.
        partitions_def: The partitions of its assets; dynamic ones need a name.
        source_path: The template that `build_lume_assets` was given, or a function that turns a source path into its
            partition key (None: not one of ours).
        name: Name of the sensor; made of the flow version if not given.
        translator: The translator that `build_lume_assets` was given.
        resource_key: Key of the `LumeResource`.
        earlier_runs: Whether to take those runs too that were started before the sensor's first tick.
        minimum_interval_seconds: How often to look.
        max_runs_per_tick: How many Dagster runs to ask for at once; the others follow at the next ticks.
        default_status: Whether the sensor runs as soon as it is deployed.

    Example:
        ```python
        build_lume_run_sensor(
            flow_version="flights:v1",
            partitions_def=days,
            source_path="data/incoming/flights/{partition_key}.csv",
        )
        ```
    """
    keys = flow_asset_keys(flow_version, translator)
    name = name or sensor_name(flow_version, "runs")
    key_of = source_path if callable(source_path) else _by_template(source_path)

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        lume: LumeResource = getattr(context.resources, resource_key)
        cursor = _Cursor.read(context.cursor)
        if cursor is None:
            newest = lume.client.runs(flow_version, size=1).items
            cursor = _Cursor(newest[0].id if newest and not earlier_runs else None)
        outside = _OutsideRuns(context.instance, lume.client)
        newest_id, ended, active = _seen_since(lume.client, flow_version, cursor)
        requests: list[dg.RunRequest] = []
        strangers = 0
        left: list[str] = []
        for run in ended:
            if not outside.is_one(run):
                continue
            key = key_of(outside.batch(run))
            if key is None or not is_partition(partitions_def, key):
                strangers += 1
                context.log.info(f"{run.label} belongs to no partition and is passed over")
            elif _is_taken(context.instance, keys["run"], key, run):
                continue
            elif len(requests) == max_runs_per_tick:
                left.append(run.id)
            else:
                requests.append(
                    dg.RunRequest(run_key=f"{name}:{run.id}", partition_key=key, tags={ADOPT_RUN_TAG: run.id})
                )
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=add_requests(
                context.instance, partitions_def, (str(request.partition_key) for request in requests)
            ),
            skip_reason=None
            if requests
            else f"no run of {flow_version} was started elsewhere and has ended since the last look; {len(active)} "
            f"are under way, {strangers} belong to no partition",
            cursor=_Cursor(newest_id, (*active, *left)).written(),
        )

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=look,
        target=dg.AssetSelection.assets(*keys.values()),
        minimum_interval_seconds=minimum_interval_seconds,
        required_resource_keys={resource_key},
        description=f"Takes the Lume runs of {flow_version} that were started outside Dagster.",
        default_status=default_status,
    )


@dataclass(frozen=True)
class _Cursor:
    """The newest run that was seen, and those seen that are still to be taken."""

    newest: str | None
    open: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> _Cursor | None:
        if not text:
            return None
        try:
            kept = json.loads(text)
            return cls(kept["newest"], tuple(kept["open"]))
        except (ValueError, KeyError, TypeError):
            raise dg.DagsterInvariantViolationError(
                "the cursor of this sensor was not written by it; clear it on the sensor's page: it then begins "
                "with the runs that are started from now on"
            ) from None

    def written(self) -> str:
        return json.dumps({"newest": self.newest, "open": self.open})


def _seen_since(
    client: LumeClient, flow_version: str, cursor: _Cursor
) -> tuple[str | None, list[LumeRun], list[str]]:
    """The newest run, the ended ones in the order of their start, and the ids of the active ones."""
    newer = list(takewhile(lambda run: run.id != cursor.newest, client.iter_runs(flow_version)))
    runs = [*_still_known(client, cursor.open), *reversed(newer)]
    newest = newer[0].id if newer else cursor.newest
    return newest, [run for run in runs if run.is_final], [run.id for run in runs if not run.is_final]


def _still_known(client: LumeClient, run_ids: tuple[str, ...]) -> Iterator[LumeRun]:
    for run_id in run_ids:
        try:
            yield client.run_status(run_id)
        except NotFoundError:
            continue


class _OutsideRuns:
    """Tells the runs that were started outside this Dagster, and that stand for the present state of their batch."""

    def __init__(self, instance: dg.DagsterInstance, client: LumeClient) -> None:
        self._instance = instance
        self._client = client

    def is_one(self, run: LumeRun) -> bool:
        starter = run.run_metadata.get("dagster_run_id")
        if starter is not None and self._instance.has_run(str(starter)):
            return False
        stands = current_run(self._client, run.flow_version, run.source_path)
        return stands is None or stands.id == run.id

    def batch(self, run: LumeRun) -> str:
        """The batch of a run; of one on the stored input of another run that run's."""
        seen: set[str] = set()
        while run.source_path.startswith(_STORED_INPUT) and run.id not in seen:
            seen.add(run.id)
            try:
                run = self._client.run_status(run.source_path.removeprefix(_STORED_INPUT))
            except NotFoundError:
                break
        return run.source_path


def _is_taken(instance: dg.DagsterInstance, run_key: dg.AssetKey, partition: str, run: LumeRun) -> bool:
    stands = latest_materialization(instance, run_key, partition)
    return stands is not None and RUN_ID in stands.metadata and stands.metadata[RUN_ID].value == run.id


def _by_template(template: str) -> Callable[[str], str | None]:
    return lambda source_path: partition_key_of(template, source_path)
