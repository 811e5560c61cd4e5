"""A sensor that turns new batches into partitions and runs, and replaced ones into forced reruns."""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from lume_dagster.batches import BatchSource
from lume_dagster.config import FORCE_RERUN_TAG
from lume_dagster.partitions import add_requests, is_partition

if TYPE_CHECKING:
    from dagster._core.definitions.asset_selection import CoercibleToAssetSelection

CHANGED_TAG = "lume/batch_changed"

_SHOWN = 5
_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


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
        round_ = _Round(
            _State.read(context.cursor),
            now=time.time(),
            settle_seconds=batches.settle_seconds,
            limit=max_runs_per_tick,
            is_partition=lambda key: is_partition(partitions_def, key),
            under_way=lambda: _partitions_under_way(context.instance, name),
        )
        for key, mark in sorted(batches.find().items()):
            round_.see(key, mark)
        for wanted in round_.wanted:
            if wanted.changed:
                context.log.info(
                    f"batch {wanted.key!r} has changed since its run was asked for: a forced rerun is"
                )
        return dg.SensorResult(
            run_requests=[wanted.run_request(name) for wanted in round_.wanted],
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


@dataclass(frozen=True)
class _Wanted:
    """A run to ask for: of the batch `key` as it is by `mark`, for the `number`th time."""

    key: str
    mark: str
    number: int

    @property
    def changed(self) -> bool:
        return self.number > 1

    def run_request(self, sensor: str) -> dg.RunRequest:
        # Dagster starts one run a key, also where this sensor's cursor is lost after it has asked.
        return dg.RunRequest(
            run_key=f"{sensor}:{self.key}:{self.number}:{self.mark}",
            partition_key=self.key,
            tags={FORCE_RERUN_TAG: "true", CHANGED_TAG: "true"} if self.changed else {},
        )


@dataclass(frozen=True)
class _State:
    """What the sensor remembers.

    Attributes:
        asked: For each batch the mark it had when a run was asked for, and how many runs that makes.
        arriving: For each batch that may not be whole yet its mark, and since when (Unix seconds) it has it.
    """

    asked: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    arriving: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> _State:
        if not cursor:
            return cls()
        try:
            kept = json.loads(zlib.decompress(base64.b64decode(cursor, validate=True)))
            return cls(
                {key: (mark, number) for key, (mark, number) in kept["asked"].items()},
                {key: (mark, since) for key, (mark, since) in kept["arriving"].items()},
            )
        except (binascii.Error, zlib.error, ValueError, KeyError, TypeError, AttributeError):
            raise dg.DagsterInvariantViolationError(
                "the cursor of this sensor was not written by it; clear it on the sensor's page. Batches that it "
                "has asked for before are then taken for new, and those that Lume has mapped are not run again"
            ) from None

    def written(self) -> str:
        # Dagster keeps a copy with every tick: ten thousand batches take some 100 KB of it.
        text = json.dumps({"asked": self.asked, "arriving": self.arriving}, separators=(",", ":"))
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


class _Round:
    """One look at the batches: which of them to ask for, and what to remember."""

    def __init__(
        self,
        state: _State,
        *,
        now: float,
        settle_seconds: float,
        limit: int,
        is_partition: Callable[[str], bool],
        under_way: Callable[[], Collection[str]],
    ) -> None:
        self._state = state
        self._now = now
        self._settle_seconds = settle_seconds
        self._limit = limit
        self._is_partition = is_partition
        self._find_under_way = under_way
        self._under_way: Collection[str] | None = None
        self._arriving: dict[str, tuple[str, float]] = {}
        self._strangers: list[str] = []
        self._known = 0
        self.wanted: list[_Wanted] = []

    def see(self, key: str, mark: str) -> None:
        """Decides on a batch that is there."""
        before, number = self._state.asked.get(key, (None, 0))
        if mark == before:
            self._known += 1
        elif not self._is_partition(key):
            self._strangers.append(key)
        else:
            first_mark, since = self._state.arriving.get(key, (mark, self._now))
            if first_mark != mark or since > self._now:
                since = self._now
            settled = self._now - since >= self._settle_seconds
            if settled and len(self.wanted) < self._limit and not (number and self._is_under_way(key)):
                self.wanted.append(_Wanted(key, mark, number + 1))
            else:
                self._arriving[key] = (mark, since)

    @property
    def next_state(self) -> _State:
        """What to remember after this look."""
        asked = {wanted.key: (wanted.mark, wanted.number) for wanted in self.wanted}
        return _State({**self._state.asked, **asked}, self._arriving)

    def summary(self, place: str) -> str:
        """Why no run is asked for."""
        said = [f"nothing new in {place}: {self._known} batches are known"]
        if self._arriving:
            said.append(f"{len(self._arriving)} may still be arriving ({_some(list(self._arriving))})")
        if self._strangers:
            said.append(f"{len(self._strangers)} are no partitions ({_some(self._strangers)})")
        return "; ".join(said)

    def _is_under_way(self, key: str) -> bool:
        if self._under_way is None:
            self._under_way = self._find_under_way()
        return key in self._under_way


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")


def _partitions_under_way(instance: dg.DagsterInstance, sensor: str) -> set[str]:
    """The partitions for which a run of this sensor has not ended."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": sensor}, statuses=list(_UNDER_WAY)))
    return {run.tags["dagster/partition"] for run in runs if "dagster/partition" in run.tags}
