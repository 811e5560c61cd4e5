"""A sensor that turns new batches into partitions and runs, and replaced ones into forced reruns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import dagster as dg

from lume_dagster.config import FORCE_RERUN_TAG
from lume_dagster.sensors.batch_round import BatchRound, BatchState, Wanted, partitions_under_way
from lume_dagster.sensors.batches import BatchSource
from lume_dagster.sensors.partitions import add_requests, is_partition

if TYPE_CHECKING:
    from dagster._core.definitions.asset_selection import CoercibleToAssetSelection

CHANGED_TAG = "lume/batch_changed"


def build_lume_batch_sensor(
    *,
    name: str,
    batches: BatchSource,
    partitions_def: dg.PartitionsDefinition,
    target: CoercibleToAssetSelection | dg.JobDefinition,
    minimum_interval_seconds: int = 30,
    max_runs_per_tick: int = 100,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that asks for a run of each new batch, once, and for a forced rerun of each that has changed since.

    A batch that is still arriving is waited for, one that comes late is taken like any other, and one that is
    replaced while its run is under way waits for the end of that run. With dynamic partitions the batch becomes
    a partition; with any others, a key that is no partition (yet) is passed over, and the tick says so.

    Args:
        name: Name of the sensor.
        batches: Where to look: `BatchFiles` or `BatchQuery`.
        partitions_def: The partitions of the assets; dynamic ones need a name.
        target: What to run for a batch, such as the assets of a flow version.
        minimum_interval_seconds: How often to look.
        max_runs_per_tick: How many runs to ask for at once; the others follow at the next ticks.
        default_status: Whether the sensor runs as soon as it is deployed.

    Example:
        ```python
        build_lume_batch_sensor(
            name="new_flights",
            batches=BatchFiles("data/incoming/flights/{partition_key}.csv"),
            partitions_def=days,
            target=dg.AssetSelection.groups("flights"),
        )
        ```
    """

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        round_ = BatchRound(
            BatchState.read(context.cursor),
            now=time.time(),
            settle_seconds=batches.settle_seconds,
            limit=max_runs_per_tick,
            is_partition=lambda key: is_partition(partitions_def, key),
            under_way=lambda: partitions_under_way(context.instance, name),
        )
        for key, mark in sorted(batches.find().items()):
            round_.see(key, mark)
        for wanted in round_.wanted:
            if wanted.changed:
                context.log.info(
                    f"batch {wanted.key!r} has changed since its run was asked for: a forced rerun is"
                )
        return dg.SensorResult(
            run_requests=[_run_request(wanted, name) for wanted in round_.wanted],
            dynamic_partitions_requests=add_requests(
                context.instance, partitions_def, (wanted.key for wanted in round_.wanted)
            ),
            skip_reason=None if round_.wanted else round_.summary(str(batches)),
            cursor=round_.next_state.written(),
        )

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=look,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        description=f"Asks for a run of each new batch in {batches}, and for a forced rerun of a replaced one.",
        default_status=default_status,
    )


def _run_request(wanted: Wanted, sensor: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=wanted.run_key(sensor),
        partition_key=wanted.key,
        tags={FORCE_RERUN_TAG: "true", CHANGED_TAG: "true"} if wanted.changed else {},
    )
