"""How the client treats time: limits, backoff, and the clock it reads."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, kw_only=True)
class Timekeeper:
    """Where the client gets time and chance from. Replace it to test waits without waiting.

    Attributes:
        monotonic: Seconds of a clock that never goes back.
        now: The present moment, with a time zone; read for ``Retry-After`` dates.
        uniform: A number in [0, 1), for jitter.
        sleep: Pauses the calling thread for a number of seconds.
        async_sleep: Pauses the calling task for a number of seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _utc_now
    uniform: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Limits and pauses of a client. All durations are in seconds.

    Attributes:
        request_timeout: How long one request may take; a long poll may take its hold on top of it.
        connect_timeout: How long it may take to connect.
        long_poll_seconds: How long the server is asked to hold a request for a run that goes on, in whole
            seconds, at most 60. 0 turns long polling off.
        outage_budget_seconds: How long failures in a row are borne, from the first of them, before
            :class:`~lume_dagster.client.LumeUnavailableError` is raised. 0 means no retries.
        retry_initial_seconds: Upper bound of the pause before the first retry; it doubles with each.
        retry_max_seconds: The most that upper bound grows to.
        poll_initial_seconds: Upper bound of the first pause between polls where the server offers no long
            poll; it doubles with each.
        poll_max_seconds: The most that upper bound grows to, or a tenth of the time waited so far if that is more:
            the requests for a run grow with the logarithm of its length.
        timekeeper: Clock, sleep and random numbers; replaced in tests.

    Raises:
        ValueError: A value is out of its range; the message names it.
    """

    request_timeout: float = 60.0
    connect_timeout: float = 10.0
    long_poll_seconds: int = 30
    outage_budget_seconds: float = 600.0
    retry_initial_seconds: float = 0.5
    retry_max_seconds: float = 30.0
    poll_initial_seconds: float = 5.0
    poll_max_seconds: float = 60.0
    timekeeper: Timekeeper = field(default=Timekeeper(), repr=False)

    def __post_init__(self) -> None:
        for name in (
            "request_timeout",
            "connect_timeout",
            "retry_initial_seconds",
            "retry_max_seconds",
            "poll_initial_seconds",
            "poll_max_seconds",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0 seconds, not {getattr(self, name)!r}")
        if not self.outage_budget_seconds >= 0:
            raise ValueError(f"outage_budget_seconds must be 0 or more, not {self.outage_budget_seconds!r}")
        if not 0 <= self.long_poll_seconds <= 60:
            raise ValueError(f"long_poll_seconds must be between 0 and 60, not {self.long_poll_seconds!r}")
