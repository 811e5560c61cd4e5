"""Drives the Lume runs of many batches at once, in an event loop of a thread of its own.

Waiting costs a socket, and no thread. Dagster is spoken to by the step's own thread alone: it takes the news from
here one by one, and is the thread that an interrupt reaches.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from lume_dagster.assets.run_handler import Ask, Drive, Remember, Wait
from lume_dagster.client import LumeError, LumeRun

if TYPE_CHECKING:
    from typing_extensions import Self

    from lume_dagster.client import AsyncLumeClient

T = TypeVar("T")
A = TypeVar("A")

_logger = logging.getLogger("lume_dagster")

# What a create or a cancel under way gets, when all is to stop.
_GRACE_SECONDS = 10.0

# In which order news are handed over: runs wait to be stored, ended ones have time.
_FIRST, _WHEN_THERE_IS_TIME, _LAST = range(3)

# To tell of an ended run takes the processor from the loop. When many end together, their successors are begun first.
_PATIENCE_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.01


@dataclass(frozen=True)
class Started:
    """A batch has its run. The run is waited for only after `stored` was called: by then a retry must find it."""

    partition: str
    run: LumeRun
    stored: Callable[[], None]


@dataclass(frozen=True)
class UnderWay:
    """The run of a batch is waited for, whether it is a new one or that of an earlier attempt."""

    partition: str


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A batch has come to its end, one way or the other.

    Attributes:
        partition: The batch.
        run: Its ended run, unless there is an error.
        audit: What the audit made of the run, unless there is an error.
        error: Why the batch has no ended run, or no audit.
    """

    partition: str
    run: LumeRun | None = None
    audit: T | None = None
    error: Exception | None = None


News: TypeAlias = Started | UnderWay | Ended[T]


@dataclass(order=True, frozen=True)
class _Ranked(Generic[T]):
    rank: int
    number: int
    at: float = field(compare=False)
    news: News[T] | BaseException | None = field(compare=False)


class ConcurrentRuns(Generic[T]):
    """The Lume runs of many batches. Use it as a context manager, and iterate over `news`.

    Args:
        open_client: Opens the client that drives the runs.
        drives: For each batch, its way to its ended run.
        audit: Called with the batch and its ended run, in one of a few worker threads.
        at_once: How many runs are under way at once.
        wait_timeout: Seconds to wait for a run.
    """

    def __init__(
        self,
        open_client: Callable[[], AsyncLumeClient],
        drives: Mapping[str, Drive],
        audit: Callable[[str, LumeRun], T],
        *,
        at_once: int,
        wait_timeout: float,
    ) -> None:
        self._open_client = open_client
        self._waiting = iter(drives.items())
        self._workers = min(at_once, len(drives))
        self._audit = audit
        self._wait_timeout = wait_timeout
        self._news: queue.PriorityQueue[_Ranked[T]] = queue.PriorityQueue()
        self._number = itertools.count()
        self._asks = 0
        self._active: dict[str, LumeRun] = {}
        self._waits: set[asyncio.Future[Any]] = set()
        self._audits: set[asyncio.Task[None]] = set()
        self._cancels = False
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="lume-runs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(cancel=False)

    def news(self, *, at_least_every: float) -> Iterator[News[T] | None]:
        """What happens, until every batch has ended.

        Args:
            at_least_every: Seconds after which None is yielded if nothing has happened.
        """
        while True:
            try:
                ranked = self._news.get(timeout=at_least_every)
            except queue.Empty:
                yield None
                continue
            if self._has_time(ranked):
                self._news.put(ranked)
                time.sleep(_LOOK_AGAIN_SECONDS)
                continue
            told = ranked.news
            if told is None:
                return
            if isinstance(told, BaseException):
                raise told
            yield told

    def stop(self, *, cancel: bool) -> list[LumeRun]:
        """Starts no more runs, and waits for none of those under way.

        Args:
            cancel: Whether Lume is asked to end them.

        Returns:
            The runs that were under way; if they were to be cancelled, as Lume answered to it.
        """
        if self._thread.is_alive():
            self._cancels = cancel
            with suppress(RuntimeError):  # the loop has just come to its end
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        return list(self._active.values())

    def _has_time(self, ranked: _Ranked[T]) -> bool:
        """Whether runs are just being begun, and this can wait for it."""
        waited = time.monotonic() - ranked.at
        return ranked.rank == _WHEN_THERE_IS_TIME and self._asks > 0 and waited < _PATIENCE_SECONDS

    def _run_loop(self) -> None:
        end: BaseException | None = None
        try:
            self._loop.run_until_complete(self._drive())
        except BaseException as error:  # noqa: BLE001 - handed over to the step's thread
            end = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._tell(_LAST, end)

    async def _drive(self) -> None:
        async with self._open_client() as client:
            workers = [asyncio.ensure_future(self._work(client)) for _ in range(self._workers)]
            all_done = asyncio.gather(*workers)
            stop = asyncio.ensure_future(self._stop.wait())
            waited: set[asyncio.Future[Any]] = {all_done, stop}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                self._stopping = True
                for wait in self._waits:
                    wait.cancel()
                await asyncio.wait({all_done}, timeout=_GRACE_SECONDS)
                all_done.cancel()
                if self._cancels:
                    await asyncio.gather(*(self._cancel(client, *item) for item in self._active.items()))
                return
            stop.cancel()
            await all_done
            await asyncio.gather(*self._audits)

    async def _work(self, client: AsyncLumeClient) -> None:
        for partition, drive in self._waiting:
            try:
                run = await self._driven(client, partition, drive)
            except asyncio.CancelledError:
                if self._stopping:
                    return
                raise
            except Exception as error:  # noqa: BLE001 - told of this batch, the others go on
                self._tell(_WHEN_THERE_IS_TIME, Ended(partition, error=error))
            else:
                # The audit may ask Lume as well; meanwhile the next batch has its turn.
                audit = asyncio.ensure_future(self._audited(partition, run))
                self._audits.add(audit)
                audit.add_done_callback(self._audits.discard)
            self._active.pop(partition, None)
            if self._stopping:
                return

    async def _driven(self, client: AsyncLumeClient, partition: str, drive: Drive) -> LumeRun:
        try:
            wish = next(drive)
            while True:
                answer: Any = None
                try:
                    if isinstance(wish, Remember):
                        self._active[partition] = wish.run
                        await self._stored(partition, wish.run)
                    elif isinstance(wish, Wait):
                        self._active[partition] = wish.run
                        self._tell(_FIRST, UnderWay(partition))
                        answer = await self._waited_for(client.wait(wish.run, timeout=self._wait_timeout))
                    else:
                        answer = await self._asked(wish, client)
                except LumeError as error:
                    wish = drive.throw(error)
                else:
                    wish = drive.send(answer)
        except StopIteration as end:
            run: LumeRun = end.value
            return run

    async def _asked(self, ask: Ask, client: AsyncLumeClient) -> Any:
        self._asks += 1
        try:
            return await ask.call(client)
        finally:
            self._asks -= 1

    async def _stored(self, partition: str, run: LumeRun) -> None:
        stored: asyncio.Future[None] = self._loop.create_future()

        def set_stored() -> None:
            if not stored.done():
                stored.set_result(None)

        def go_on() -> None:
            self._loop.call_soon_threadsafe(set_stored)

        self._tell(_FIRST, Started(partition, run, go_on))
        await self._waited_for(stored)

    async def _waited_for(self, wait: Awaitable[A]) -> A:
        """Waits for something that is given up when all is to stop."""
        future = asyncio.ensure_future(wait)
        if self._stopping:
            future.cancel()
        self._waits.add(future)
        try:
            return await future
        finally:
            self._waits.discard(future)

    async def _audited(self, partition: str, run: LumeRun) -> None:
        try:
            audit = await asyncio.to_thread(self._audit, partition, run)
        except Exception as error:  # noqa: BLE001 - told of this batch, the others go on
            self._tell(_WHEN_THERE_IS_TIME, Ended(partition, run, error=error))
        else:
            self._tell(_WHEN_THERE_IS_TIME, Ended(partition, run, audit))

    async def _cancel(self, client: AsyncLumeClient, partition: str, run: LumeRun) -> None:
        try:
            self._active[partition] = await client.cancel(run, timeout=_GRACE_SECONDS)
        except LumeError as error:
            _logger.warning("%s could not be cancelled, and may go on: %s", run.label, error)

    def _tell(self, rank: int, news: News[T] | BaseException | None) -> None:
        self._news.put(_Ranked(rank, next(self._number), time.monotonic(), news))
