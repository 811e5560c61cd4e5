"""What a sensor decides at one look at the batches that are there: which to ask for, and which to wait for."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import dagster as dg

_SHOWN = 5
_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@dataclass(frozen=True)
class Wanted:
    """A run to ask for: of the batch `key` as it is by `mark`, for the `number`th time."""

    key: str
    mark: str
    number: int

    @property
    def changed(self) -> bool:
        """Whether a run was asked for before."""
        return self.number > 1

    def run_key(self, sensor: str) -> str:
        """What Dagster starts one run for, also where the sensor's cursor is lost after it has asked."""
        return f"{sensor}:{self.key}:{self.number}:{self.mark}"


@dataclass(frozen=True)
class BatchState:
    """What the sensor remembers.

    Attributes:
        asked: For each batch the mark it had when a run was asked for, and how many runs that makes.
        arriving: For each batch that may not be whole yet its mark, and since when (Unix seconds) it has it.
    """

    asked: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    arriving: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> BatchState:
        """What `written` made the text of; nothing yet, if there is none.

        Raises:
            dagster.DagsterInvariantViolationError: It was not written by it.
        """
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
        """As text, for a cursor."""
        # Dagster keeps a copy with every tick: ten thousand batches take some 100 KB of it.
        text = json.dumps({"asked": self.asked, "arriving": self.arriving}, separators=(",", ":"))
        return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


class BatchRound:
    """One look at the batches: which of them to ask for, and what to remember.

    Args:
        state: What was remembered.
        now: The time, in Unix seconds.
        settle_seconds: How long a batch has to stay as it is before it is asked for.
        limit: How many to ask for at most.
        is_partition: Whether there is, or may be, such a batch.
        under_way: The batches of which a run that was asked for has not ended.
        strangers: What is said of those that are no such batch.
    """

    def __init__(
        self,
        state: BatchState,
        *,
        now: float,
        settle_seconds: float,
        limit: int,
        is_partition: Callable[[str], bool],
        under_way: Callable[[], Collection[str]],
        strangers: str = "are no partitions",
    ) -> None:
        self._state = state
        self._now = now
        self._settle_seconds = settle_seconds
        self._limit = limit
        self._is_partition = is_partition
        self._find_under_way = under_way
        self._strangers_are = strangers
        self._under_way: Collection[str] | None = None
        self._arriving: dict[str, tuple[str, float]] = {}
        self._strangers: list[str] = []
        self._known = 0
        self.wanted: list[Wanted] = []

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
                self.wanted.append(Wanted(key, mark, number + 1))
            else:
                self._arriving[key] = (mark, since)

    @property
    def next_state(self) -> BatchState:
        """What to remember after this look."""
        asked = {wanted.key: (wanted.mark, wanted.number) for wanted in self.wanted}
        return BatchState({**self._state.asked, **asked}, self._arriving)

    def summary(self, place: str) -> str:
        """Why no run is asked for."""
        said = [f"nothing new in {place}: {self._known} batches are known"]
        if self._arriving:
            said.append(f"{len(self._arriving)} may still be arriving ({_some(list(self._arriving))})")
        if self._strangers:
            said.append(f"{len(self._strangers)} {self._strangers_are} ({_some(self._strangers)})")
        return "; ".join(said)

    def _is_under_way(self, key: str) -> bool:
        if self._under_way is None:
            self._under_way = self._find_under_way()
        return key in self._under_way


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")


def partitions_under_way(instance: dg.DagsterInstance, sensor: str) -> set[str]:
    """The partitions for which a run of this sensor has not ended."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": sensor}, statuses=list(_UNDER_WAY)))
    return {run.tags["dagster/partition"] for run in runs if "dagster/partition" in run.tags}
