"""Stop what blocks in another library as soon as the caller wants so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lume_dagster.engine.stage import Cancel

_WATCH_SECONDS = 0.05


@contextmanager
def interrupting(interrupt: Callable[[], object], cancel: Cancel | None) -> Iterator[None]:
    """Interrupt as soon as the flag is set, again and again: an interrupt between two statements is lost.

    Args:
        interrupt: Stops what is under way; called from another thread.
        cancel: The flag.
    """
    if cancel is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if cancel.is_set():
                interrupt()

    watcher = threading.Thread(target=watch, name="lume-engine-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
