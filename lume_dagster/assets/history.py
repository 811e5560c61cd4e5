"""What the Dagster instance knows of earlier batches and earlier attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from lume_dagster.assets.attempts import lineage
from lume_dagster.assets.metadata import RUN_ID, SOURCE_ROWS, latest_materialization
from lume_dagster.client import LumeRun

_EARLIER_BATCHES = 50

# An asset, or one of its checks by name.
Subject = tuple[dg.AssetKey, str | None]


def run_id_of(instance: dg.DagsterInstance, run_key: dg.AssetKey, partition: str) -> str:
    """The Lume run that the latest materialization of a partition of the run asset stands for.

    Raises:
        dagster.Failure: There is none.
    """
    materialization = latest_materialization(instance, run_key, partition)
    run_id = materialization.metadata.get(RUN_ID) if materialization else None
    if run_id is None:
        raise dg.Failure(
            f"there is no Lume run of partition {partition!r} yet; materialize {run_key.to_user_string()} first",
            allow_retries=False,
        )
    return str(run_id.value)


def latest_record(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition: str
) -> dg.EventLogRecord | None:
    """The stored event of the latest materialization of a partition of an asset; None if there is none."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=[partition]), limit=1
    ).records
    return found[0] if found else None


class EarlierRows:
    """Source rows of the latest run of each batch; read once, when they are first asked for.

    Args:
        instance: The instance.
        run_key: The asset of the runs.
        partitions_def: Its partitions.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        run_key: dg.AssetKey,
        partitions_def: dg.PartitionsDefinition | None = None,
    ) -> None:
        self._instance = instance
        self._run_key = run_key
        self._windows = (
            partitions_def if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) else None
        )
        self._rows: dict[str, tuple[str, int]] | None = None

    def beside(self, partition: str, run: LumeRun) -> list[int]:
        """Source rows of the batches before, the latest first.

        In time partitions these are the time windows before this one, in others those that were run before.

        Args:
            partition: The batch that is left out.
            run: A run that is left out, whatever its batch.
        """
        if self._rows is None:
            self._rows = self._read(self._before(partition))
        others = reversed(
            [key for key, (run_id, _) in self._rows.items() if key != partition and run_id != run.id]
        )
        if self._windows is None:
            return [self._rows[key][1] for key in others]
        starts = {key: self._windows.time_window_for_partition_key(key).start for key in (partition, *others)}
        before = [key for key, start in starts.items() if start < starts[partition]]
        return [self._rows[key][1] for key in sorted(before, key=starts.__getitem__, reverse=True)]

    def add(self, partition: str, run: LumeRun) -> None:
        """Counts a run that has been materialized since."""
        if self._rows is not None and run.rows is not None:
            self._rows.pop(partition, None)
            self._rows[partition] = (run.id, run.rows.source)

    def _before(self, partition: str) -> list[str] | None:
        """The keys of the time windows before a partition; None where partitions are no time windows."""
        if self._windows is None:
            return None
        keys: list[str] = []
        window = self._windows.time_window_for_partition_key(partition)
        while len(keys) < _EARLIER_BATCHES:
            earlier = self._windows.get_prev_partition_window(window.start)
            if earlier is None or earlier.start >= window.start:
                break
            window = earlier
            keys.append(self._windows.get_partition_key_for_timestamp(window.start.timestamp()))
        return keys

    def _read(self, partitions: Sequence[str] | None) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        records = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=self._run_key, asset_partitions=partitions),
            limit=_EARLIER_BATCHES,
        ).records
        for record in reversed(records):
            materialization = record.asset_materialization
            counted = materialization.metadata.get(SOURCE_ROWS) if materialization else None
            if materialization is None or materialization.partition is None or counted is None:
                continue
            found.pop(materialization.partition, None)
            run_id = str(materialization.metadata[RUN_ID].value)
            found[materialization.partition] = (run_id, int(str(counted.value)))
        return found


@dataclass(frozen=True)
class Told:
    """What has been told of a batch.

    Attributes:
        dagster_run_id: By which Dagster run.
        lume_run_id: Of which Lume run, if it is a materialization.
        evaluation: What was told, if it is the result of a check.
    """

    dagster_run_id: str
    lume_run_id: str | None = None
    evaluation: dg.AssetCheckEvaluation | None = None

    @property
    def stops(self) -> bool:
        """Whether it keeps the batch from going further."""
        check = self.evaluation
        return check is not None and not check.passed and check.severity is dg.AssetCheckSeverity.ERROR


class Attempts:
    """What this Dagster run, and those that it re-executes, have told of each batch so far.

    Read from the event logs once. A retry goes on from it: it finds the Lume runs again, and does not repeat itself.

    Args:
        instance: The instance.
        run: The Dagster run.
        run_key: The asset of the runs, on which their start is observed.
    """

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun, run_key: dg.AssetKey) -> None:
        self.run_ids: dict[str, str] = {}
        self._told: dict[tuple[Subject, str], Told] = {}
        for run_id in lineage(instance, run):
            for entry in instance.all_logs(
                run_id,
                of_type={
                    dg.DagsterEventType.ASSET_OBSERVATION,
                    dg.DagsterEventType.ASSET_MATERIALIZATION,
                    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
                },
            ):
                if entry.dagster_event is not None:
                    self._take(run_id, entry.dagster_event, run_key)

    def told(self, subject: Subject, partition: str) -> Told | None:
        """What was told last."""
        return self._told.get((subject, partition))

    def has_finished(self, subjects: Sequence[Subject], partition: str) -> bool:
        """Whether all of this was told of a batch, and nothing in it stands in its way."""
        told = [self.told(subject, partition) for subject in subjects]
        return all(one is not None and not one.stops for one in told)

    def _take(self, run_id: str, event: dg.DagsterEvent, run_key: dg.AssetKey) -> None:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if check.partition is not None:
                self._told[(check.asset_key, check.check_name), check.partition] = Told(
                    run_id, evaluation=check
                )
        elif event.partition is not None and event.asset_key is not None:
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                tags = event.step_materialization_data.materialization.tags or {}
                self._told[(event.asset_key, None), event.partition] = Told(run_id, tags.get(RUN_ID))
            elif event.asset_key == run_key:
                observed = event.asset_observation_data.asset_observation.metadata.get(RUN_ID)
                if observed is not None:
                    self.run_ids[event.partition] = str(observed.value)
