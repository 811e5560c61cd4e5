"""One adapter over both clients, and a clock that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from lume_dagster.client import AsyncLumeClient, ClientSettings, LumeClient, Timekeeper
from lume_dagster.testing import ScriptedLume


class VirtualClock:
    def __init__(self, uniform: float = 0.5) -> None:
        self.seconds = 0.0
        self.sleeps: list[float] = []
        self.uniform = uniform

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2013, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def settings(self, **changes: Any) -> ClientSettings:
        keeper = Timekeeper(
            monotonic=self.monotonic,
            now=self.now,
            uniform=lambda: self.uniform,
            sleep=self.sleep,
            async_sleep=self.async_sleep,
        )
        return ClientSettings(timekeeper=keeper, **changes)


class Blocking:
    """An asynchronous client, called as the blocking one is."""

    def __init__(self, client: AsyncLumeClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member):
            return member

        def call(*args: Any, **options: Any) -> Any:
            outcome = member(*args, **options)
            if inspect.isasyncgen(outcome):
                return self._drain(outcome)
            return self._loop.run_until_complete(outcome)

        return call

    def _drain(self, items: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(items.__anext__())
            except StopAsyncIteration:
                return

    def dispose(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="session")
def make_clock() -> type[VirtualClock]:
    return VirtualClock


@pytest.fixture
def lume(clock: VirtualClock) -> Iterator[ScriptedLume]:
    with ScriptedLume(monotonic=clock.monotonic, sleep=clock.pass_time) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[Callable[..., Any]]:
    """Make a client of either kind for a URL; `key` and settings may be told."""
    made: list[Any] = []

    def make(url: str, key: str | None = None, **settings: Any) -> Any:
        if request.param == "sync":
            made.append(LumeClient(url, key, settings=clock.settings(**settings)))
        else:
            made.append(Blocking(AsyncLumeClient(url, key, settings=clock.settings(**settings))))
        return made[-1]

    yield make
    for client in made:
        client.close() if isinstance(client, LumeClient) else client.dispose()


@pytest.fixture
def client(connect: Callable[..., Any], lume: ScriptedLume) -> Any:
    return connect(lume.url)
