"""Leases: how a process notices that the process behind a run has died.

The owner of a run counts up its heartbeat. Whoever watches gives the run up when the count has stood still for
the lease by the watcher's own monotonic clock: no two clocks are compared, so no clock step can break a lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from lume_dagster.service.store import RunRecord, RunStore

_logger = logging.getLogger(__name__)


class LeaseWatch:
    """Gives up the runs of dead processes.

    Args:
        store: The store of the runs.
        works_on: Tells of a run id whether this process itself works on that run, so that it is not watched.
        lease_seconds: How long a heartbeat may stand still.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        store: RunStore,
        works_on: Callable[[str], bool],
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._works_on = works_on
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def observe(self) -> list[str]:
        """Looks at all active runs, and ends those as CRASHED whose lease is lost.

        Returns:
            The ids of the runs that this call ended.
        """
        others = [run for run in self._store.active() if not self._works_on(run.id)]
        with self._lock:
            now = self._clock()
            self._seen = {run.id: self._last_change(run, now) for run in others}
            lost = [run for run in others if now - self._seen[run.id][1] >= self._lease_seconds]
        return [run.id for run in lost if self._give_up(run)]

    def _last_change(self, run: RunRecord, now: float) -> tuple[int, float]:
        heartbeat, since = self._seen.get(run.id, (None, now))
        return (run.heartbeat, since if heartbeat == run.heartbeat else now)

    def _give_up(self, run: RunRecord) -> bool:
        message = (
            f"the process that worked on this run ended during {run.status.value} (no sign of life for "
            f"{self._lease_seconds:g} s); nothing of the batch was published, and a new run may start"
        )
        crashed = self._store.crash(run.id, heartbeat=run.heartbeat, error_message=message)
        if crashed:
            _logger.warning("Lume run %s is CRASHED: %s", run.id, message)
        return crashed
