"""Waiting for a run: by long poll where Lume offers it, else by polling with backoff."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol

from lume_dagster.client.effects import Operation, Sleep
from lume_dagster.client.errors import RunTimeoutError
from lume_dagster.client.models import LumeRun
from lume_dagster.client.retry import full_jitter
from lume_dagster.client.settings import ClientSettings

Until = Literal["change", "final"]

_SHORTEST_PAUSE = 1.0

# A long run is asked for more and more seldom, so that its length costs few requests, and is noticed in proportion.
_LONGEST_PAUSE_SHARE = 0.1


class AskStatus(Protocol):
    """Asks once how a run is."""

    def __call__(self, *, hold: int, until: Until, time_left: float) -> Operation[tuple[LumeRun, bool]]:
        """Return the run, and whether the server offers to hold the request.

        Args:
            hold: Whole seconds to ask the server to hold the request; 0 for an answer at once.
            until: What ends the hold early.
            time_left: Seconds until the wait is over.
        """


def wait_until_final(
    ask: AskStatus,
    settings: ClientSettings,
    *,
    timeout: float,
    poll_interval: float | None = None,
    on_status: Callable[[LumeRun], None] | None = None,
) -> Operation[LumeRun]:
    """Wait until a run is final.

    Args:
        ask: Asks once how the run is.
        settings: Hold of a long poll, pauses between polls.
        timeout: Seconds to wait. The run is asked for at least once, and once more when they are over.
        poll_interval: Seconds between polls. None means a long poll or backoff.
        on_status: Called with the run at the first look, and whenever its status has changed.

    Raises:
        RunTimeoutError: The run was still active after ``timeout``.
        ValueError: ``timeout`` or ``poll_interval`` is out of range.
    """
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    if poll_interval is not None and not poll_interval > 0:
        raise ValueError(f"poll_interval must be more than 0 seconds, not {poll_interval!r}")
    time = settings.timekeeper
    began = time.monotonic()
    deadline = began + timeout
    long_poll = poll_interval is None and settings.long_poll_seconds > 0
    until: Until = "change" if on_status else "final"
    seen: set[str] = set()
    status: str | None = None
    polls = 0
    while True:
        asked_at = time.monotonic()
        time_left = max(0.0, deadline - asked_at)
        # The first status is wanted at once where changes are: a held request would keep it back.
        first_look = on_status is not None and status is None
        hold = math.floor(min(settings.long_poll_seconds, time_left)) if long_poll and not first_look else 0
        run, holds = yield from ask(hold=hold, until=until, time_left=time_left)
        if on_status and run.status != status:
            on_status(run)
        if run.is_final:
            return run
        now = time.monotonic()
        if now >= deadline or time_left == 0:
            raise RunTimeoutError(run, timeout)
        status, is_news = run.status, run.status not in seen
        seen.add(run.status)
        if hold:
            long_poll = holds
        if poll_interval is not None:
            pause = poll_interval
        elif long_poll:
            # A server that does not hold as it says must not be asked without end.
            pause = 0.0 if is_news else max(0.0, _SHORTEST_PAUSE - (now - asked_at))
        else:
            longest = max(settings.poll_max_seconds, _LONGEST_PAUSE_SHARE * (now - began))
            jitter = full_jitter(polls, settings.poll_initial_seconds, longest, time.uniform())
            pause = max(_SHORTEST_PAUSE, jitter)
            polls += 1
        if pause > 0:
            yield Sleep(min(pause, deadline - now))
