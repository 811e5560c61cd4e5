"""The asset that hands in corrected rejects, and the sensor that finds them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from lume_dagster.assets.metadata import RUN_ID, latest_materialization
from lume_dagster.assets.translator import (
    FLOW_ASSET_KINDS,
    AssetKind,
    DagsterLumeTranslator,
    flow_asset_spec,
    refuse_same_keys,
    sensor_name,
)
from lume_dagster.client import NotFoundError
from lume_dagster.client.current_run import standing_run
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.corrections.step import correction_step
from lume_dagster.sensors.batch_round import BatchRound, BatchState, partitions_under_way
from lume_dagster.sensors.batches import BatchFiles
from lume_dagster.sensors.partitions import is_known_partition

if TYPE_CHECKING:
    from lume_dagster.client import LumeClient
    from lume_dagster.resource import LumeResource

_CORRECTIONS: AssetKind = "corrections"


def build_lume_corrections(
    *,
    flow_version: str,
    partitions_def: dg.PartitionsDefinition,
    files: BatchFiles,
    name: str | None = None,
    translator: DagsterLumeTranslator | None = None,
    resource_key: str = "lume",
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = "lume",
    minimum_interval_seconds: int = 30,
    max_runs_per_tick: int = 100,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.Definitions:
    """An asset that hands in the corrected rejects of a batch, and a sensor that sees to it when a file is there.

    The asset `FLOW/corrections` reads the file of a batch, as `write_review_csv` wrote it and somebody corrected it,
    and has Lume map the batch again with what it says. A file that cannot be taken fails this asset alone, with the
    line that is at fault: the batch stays as it was. The file itself is never touched.

    The sensor asks for the asset once for each file, and again where a file is replaced; one that is still being
    written is waited for. Once the correction has ended, it asks for a Dagster run in which the batch's other assets
    take its Lume run: materializations, audit and check results. Nothing is mapped a second time.

    Args:
        flow_version: The flow version, `NAME:vN`.
        partitions_def: The partitions that `build_lume_assets` was given.
        files: Where the corrected files lie; another place than where the files to review are written.
        name: Name of the sensor; made of the flow version if not given.
        translator: The translator that `build_lume_assets` was given.
        resource_key: Key of the `LumeResource`.
        retry_policy: How often a crashed run, or a Lume out of reach, is tried again.
        pool: The Dagster pool that the step which hands in corrections takes part in; None for no pool.
        minimum_interval_seconds: How often to look.
        max_runs_per_tick: How many Dagster runs to ask for at once; the others follow at the next ticks.
        default_status: Whether the sensor runs as soon as it is deployed.

    Returns:
        The definitions of the asset and the sensor, to be merged with those of `build_lume_assets`.

    Raises:
        dagster.DagsterInvalidDefinitionError: The translator gives two of the flow version's assets the same key.

    Example:
        ```python
        build_lume_corrections(
            flow_version="flights:v1",
            partitions_def=days,
            files=BatchFiles("data/corrected/flights/{partition_key}.csv"),
        )
        ```
    """
    specs = {
        kind: flow_asset_spec(kind, flow_version, translator) for kind in (*FLOW_ASSET_KINDS, _CORRECTIONS)
    }
    refuse_same_keys(specs.values())
    keys = {kind: specs[kind].key for kind in FLOW_ASSET_KINDS}
    spec = specs[_CORRECTIONS].replace_attributes(deps=[keys["rejects"]], partitions_def=partitions_def)
    watch = _Watch(
        name or sensor_name(flow_version, "corrections"),
        files,
        partitions_def,
        spec.key,
        keys,
        resource_key,
        max_runs_per_tick,
    )
    sensor = dg.SensorDefinition(
        name=watch.name,
        evaluation_fn=watch.look,
        # As a target it would be a job, of whose assets `backfill="single_run"` makes some differ in their policy.
        asset_selection=dg.AssetSelection.assets(spec.key, *keys.values()),
        minimum_interval_seconds=minimum_interval_seconds,
        required_resource_keys={resource_key},
        description=f"Has each corrected file in {files} handed in to {flow_version}, and its batch follow.",
        default_status=default_status,
    )
    step = correction_step(
        spec,
        run_key=keys["run"],
        files=files,
        flow_version=flow_version,
        resource_key=resource_key,
        retry_policy=retry_policy,
        pool=pool,
    )
    return dg.Definitions(assets=[step], sensors=[sensor])


@dataclass(frozen=True)
class _Cursor:
    """What the sensor remembers: the files that it has asked for, and up to which correction batches have followed."""

    files: BatchState
    followed: int

    @classmethod
    def read(cls, text: str | None) -> _Cursor:
        if not text:
            return cls(BatchState(), 0)
        try:
            kept = json.loads(text)
            return cls(BatchState.read(kept["files"]), int(kept["followed"]))
        except (ValueError, KeyError, TypeError, dg.DagsterInvariantViolationError):
            raise dg.DagsterInvariantViolationError(
                "the cursor of this sensor was not written by it; clear it on the sensor's page: files that were "
                "handed in before are then handed in again, which changes nothing"
            ) from None

    def written(self) -> str:
        return json.dumps({"files": self.files.written(), "followed": self.followed})


@dataclass(frozen=True)
class _Watch:
    """Looks for files that are to be handed in, and for corrections that batches are to follow.

    Attributes:
        name: Name of the sensor.
        files: Where the files are.
        partitions_def: The batches.
        key: The asset of the corrections.
        batch_keys: The batch's other assets.
        resource_key: Key of the `LumeResource`.
        limit: How many Dagster runs to ask for in one look.
    """

    name: str
    files: BatchFiles
    partitions_def: dg.PartitionsDefinition
    key: dg.AssetKey
    batch_keys: dict[AssetKind, dg.AssetKey]
    resource_key: str
    limit: int

    def look(self, context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Asks for the Dagster runs that are due."""
        cursor = _Cursor.read(context.cursor)
        lume: LumeResource = getattr(context.resources, self.resource_key)
        followed = cursor.followed
        requests: list[dg.RunRequest] = []
        for record in context.instance.fetch_materializations(
            dg.AssetRecordsFilter(self.key, after_storage_id=followed), limit=self.limit, ascending=True
        ).records:
            followed = record.storage_id
            if (corrected := record.asset_materialization) is not None:
                requests += self._followers(context, lambda: lume.client, corrected)
        round_ = BatchRound(
            cursor.files,
            now=time.time(),
            settle_seconds=self.files.settle_seconds,
            limit=self.limit - len(requests),
            is_partition=lambda key: self._has_run(context.instance, key),
            under_way=lambda: partitions_under_way(context.instance, self.name),
            strangers="are of no batch that was run",
        )
        for key, mark in sorted(self.files.find().items()):
            round_.see(key, mark)
        requests += [
            dg.RunRequest(
                run_key=wanted.run_key(self.name), partition_key=wanted.key, asset_selection=[self.key]
            )
            for wanted in round_.wanted
        ]
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else round_.summary(str(self.files)),
            cursor=_Cursor(round_.next_state, followed).written(),
        )

    def _followers(
        self,
        context: dg.SensorEvaluationContext,
        client: Callable[[], LumeClient],
        corrected: dg.AssetMaterialization,
    ) -> Iterator[dg.RunRequest]:
        """The Dagster run by which a batch follows a correction; none where it has, or the correction is history."""
        partition = corrected.partition
        run_id = str(corrected.metadata[RUN_ID].value) if RUN_ID in corrected.metadata else None
        if partition is None or run_id is None or self._run_of(context.instance, partition) == run_id:
            return
        try:
            run = client().run_status(run_id)
        except NotFoundError:
            context.log.warning(
                f"Lume does not know run {run_id} any more, which corrected the batch {partition!r}: passed over"
            )
            return
        if standing_run(client(), run).id != run_id:
            context.log.info(f"{run.label} does not stand for the batch {partition!r} any more: passed over")
            return
        yield dg.RunRequest(
            run_key=f"{self.name}:{run_id}",
            partition_key=partition,
            # With the corrections once more, as they would else be taken for older than the rejects they come from.
            asset_selection=[*self.batch_keys.values(), self.key],
            tags={ADOPT_RUN_TAG: run_id},
        )

    def _has_run(self, instance: dg.DagsterInstance, key: str) -> bool:
        return is_known_partition(instance, self.partitions_def, key) and bool(self._run_of(instance, key))

    def _run_of(self, instance: dg.DagsterInstance, partition: str) -> str | None:
        """The Lume run that the batch's assets stand for."""
        stands = latest_materialization(instance, self.batch_keys["run"], partition)
        return str(stands.metadata[RUN_ID].value) if stands and RUN_ID in stands.metadata else None
