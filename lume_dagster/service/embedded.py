"""Opens the embedded Lume inside the process: its HTTP interface as an httpx transport, without a port."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import AsyncIterator

import httpx
from starlette.concurrency import iterate_in_threadpool

from lume_dagster.service.app import create_app
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings

_logger = logging.getLogger(__name__)


class EmbeddedTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries requests to a service of this process, for synchronous and asynchronous clients alike.

    Args:
        service: The service that answers.
    """

    def __init__(self, service: LumeService) -> None:
        self._service = service
        self._asgi = httpx.ASGITransport(app=create_app(service), raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run_loop, name="lume-embedded", daemon=True).start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carries out a request for an `httpx.Client`."""
        answer = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
        try:
            return answer.result()
        except BaseException:
            answer.cancel()
            raise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carries out a request for an `httpx.AsyncClient`."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._answer(request), self._loop))

    def shut_down(self) -> None:
        """Ends the service. Runs under way end as cancelled, unless the process has let them finish before."""
        self._service.close()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run_loop(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._asgi.handle_async_request(
            httpx.Request(
                request.method, request.url, headers=request.headers, stream=_asynchronous(request.stream)
            )
        )
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())


def _asynchronous(stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.AsyncByteStream:
    return stream if isinstance(stream, httpx.AsyncByteStream) else _Relayed(stream)


class _Relayed(httpx.AsyncByteStream):
    """A body that its sender reads from a file meanwhile: a piece at a time, and not in the event loop."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in iterate_in_threadpool(self._stream):
            yield piece


_open: dict[tuple[int, ServiceSettings], EmbeddedTransport] = {}
_open_lock = threading.Lock()


@atexit.register
def shut_down_embedded() -> None:
    """Ends all that this process has opened; whoever has a client of one needs a new one.

    At exit the interpreter has waited for the workers before, so that the runs of this process have ended.
    """
    with _open_lock:
        opened = [_open.pop(key) for key in list(_open) if key[0] == os.getpid()]
    for transport in opened:
        transport.shut_down()


def open_embedded(settings: ServiceSettings) -> EmbeddedTransport:
    """Opens the embedded Lume, once a process for each settings.

    Runs that this process starts are carried out in its threads. A process that ends by itself finishes them
    first; one that is killed leaves them to end as CRASHED.

    Args:
        settings: Where it keeps its data, and how much of the machine it may use.

    Raises:
        UnavailableError: The home or its store cannot be used.
    """
    absolute = settings.model_copy(
        update={"home": settings.home.absolute(), "flows": settings.flows.absolute()}
    )
    key = (os.getpid(), absolute)
    with _open_lock:
        if key not in _open:
            service = LumeService(absolute)
            _open[key] = EmbeddedTransport(service)
            _logger.info("embedded Lume: data in %s, flows from %s", absolute.home, absolute.flows)
        return _open[key]
