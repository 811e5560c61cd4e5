"""How far a step with many batches has come, in a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Progress:
    """Counts batches, and says at intervals how many are done, under way and rejected, how fast, and until when.

    Args:
        total: How many batches there are.
        log: Takes a line.
        every: Seconds between two lines.
        monotonic: Clock of the intervals.
        now: Clock of the expected end, in UTC.
    """

    def __init__(
        self,
        total: int,
        log: Callable[[str], None],
        *,
        every: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.every = every
        self._total = total
        self._log = log
        self._monotonic = monotonic
        self._now = now
        self._begun = self._last = monotonic()
        self._under_way: set[str] = set()
        self._done = 0
        self._rejected = 0

    def started(self, partition: str) -> None:
        """Counts a batch as under way."""
        self._under_way.add(partition)

    def ended(self, partition: str, *, rejected: bool) -> None:
        """Counts a batch as done.

        Args:
            partition: The batch.
            rejected: Whether it goes no further.
        """
        self._under_way.discard(partition)
        self._done += 1
        self._rejected += rejected

    def tell(self) -> None:
        """Says it, if it is time to."""
        if self._monotonic() - self._last >= self.every:
            self._last = self._monotonic()
            self._log(self.line())

    def line(self) -> str:
        """How far it has come by now."""
        seconds = max(self._monotonic() - self._begun, 1e-3)
        told = (
            f"{self._done} of {self._total} batches done, {self._rejected} of them rejected, "
            f"{len(self._under_way)} under way; {self._done / seconds * 60:.1f} a minute"
        )
        left = self._total - self._done
        if not self._done or not left:
            return told
        remaining = timedelta(seconds=left * seconds / self._done)
        return f"{told}; expected end {self._now() + remaining:%Y-%m-%d %H:%M:%S} UTC"
