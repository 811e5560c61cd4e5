"""Wakes those who wait for a run, from whichever thread the run changes in."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class RunChanges:
    """Tells the event loops of this process that a run has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    def notify(self, run_id: str) -> None:
        """Wakes all who listen to this run. May be called from any thread."""
        with self._lock:
            for loop, event in self._waiting.get(run_id, ()):
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listen(self, run_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change of this run, for as long as the context lasts."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting[run_id].add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._waiting[run_id].discard(entry)
                if not self._waiting[run_id]:
                    del self._waiting[run_id]
