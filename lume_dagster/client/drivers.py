"""The only places that do input and output: they perform the effects that operations ask for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from lume_dagster.client.effects import (
    Call,
    Effect,
    Emit,
    HttpReply,
    HttpRequest,
    Operation,
    Sleep,
    Stream,
    Together,
    TransportFailure,
)
from lume_dagster.client.settings import ClientSettings

T = TypeVar("T")

# Each wait holds a connection: with a limit, many waits would keep a create or a cancel waiting, and of many that
# end together most would have to connect anew.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)
_CHUNK_BYTES = 1 << 18


def standing_headers(api_key: str | None) -> dict[str, str]:
    """The headers of every request."""
    try:
        release = version("lume-dagster")
    except PackageNotFoundError:
        release = "unknown"
    headers = {
        "user-agent": f"lume-dagster/{release}",
        "accept": "application/json, application/problem+json",
    }
    return {**headers, "lume-api-key": api_key} if api_key else headers


def certificates(base_url: str) -> ssl.SSLContext | bool:
    """What httpx checks certificates by. To load all authorities takes its time, and plain HTTP asks for none."""
    # The proxy that the environment names may have a certificate as well.
    if urlsplit(base_url).scheme == "https" or getproxies():
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts nobody


def to_httpx(request: HttpRequest, settings: ClientSettings) -> dict[str, Any]:
    """The arguments that httpx takes for a request, but for the body."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "timeout": httpx.Timeout(request.timeout, connect=settings.connect_timeout),
        "follow_redirects": False,
    }


def from_httpx(outcome: httpx.Response | httpx.RequestError) -> HttpReply | TransportFailure:
    """What came of a request, in the terms of the operations."""
    if isinstance(outcome, httpx.Response):
        headers = {name.lower(): value for name, value in outcome.headers.items()}
        return HttpReply(outcome.status_code, headers, outcome.content)
    text = str(outcome)
    lasting = (
        isinstance(outcome, (httpx.LocalProtocolError, httpx.UnsupportedProtocol))
        or "CERTIFICATE_VERIFY_FAILED" in text
    )
    return TransportFailure(
        f"{type(outcome).__name__}: {text}" if text else type(outcome).__name__, not lasting
    )


class SyncDriver:
    """Performs operations in the calling thread."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        settings: ClientSettings,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._settings = settings
        self._http = httpx.Client(
            headers=standing_headers(api_key),
            limits=_LIMITS,
            transport=transport,
            verify=certificates(base_url),
        )

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return what it ends in."""
        answer = None
        while True:
            try:
                effect = operation.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._perform(effect)

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Perform a stream as far as its items are asked for."""
        answer = None
        while True:
            try:
                effect = stream.send(answer)
            except StopIteration:
                return
            if isinstance(effect, Emit):
                yield from effect.items
                answer = None
            else:
                answer = self._perform(effect)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            self._settings.timekeeper.sleep(effect.seconds)
            return None
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, Together):
            return self._together(effect)
        try:
            return from_httpx(self._request(effect))
        except httpx.RequestError as error:
            return from_httpx(error)

    def _request(self, request: HttpRequest) -> httpx.Response:
        told = to_httpx(request, self._settings)
        if not isinstance(request.body, Path):
            return self._http.request(**told, content=request.body)
        with request.body.open("rb") as file:
            return self._http.request(**told, content=file)

    def _together(self, effect: Together) -> tuple[Any, ...]:
        with ThreadPoolExecutor(effect.at_once, thread_name_prefix="lume-client") as threads:
            under_way = [threads.submit(self.run, operation) for operation in effect.operations]
            try:
                return tuple(future.result() for future in under_way)
            finally:
                threads.shutdown(wait=False, cancel_futures=True)


class AsyncDriver:
    """Performs operations in the calling task."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        settings: ClientSettings,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(
            headers=standing_headers(api_key),
            limits=_LIMITS,
            transport=transport,
            verify=certificates(base_url),
        )

    async def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return what it ends in."""
        answer = None
        while True:
            try:
                effect = operation.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self._perform(effect)

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Perform a stream as far as its items are asked for."""
        answer = None
        while True:
            try:
                effect = stream.send(answer)
            except StopIteration:
                return
            if isinstance(effect, Emit):
                for item in effect.items:
                    yield item
                answer = None
            else:
                answer = await self._perform(effect)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            await self._settings.timekeeper.async_sleep(effect.seconds)
            return None
        if isinstance(effect, Call):
            return await asyncio.to_thread(effect.function)
        if isinstance(effect, Together):
            return await self._together(effect)
        try:
            return from_httpx(await self._request(effect))
        except httpx.RequestError as error:
            return from_httpx(error)

    async def _request(self, request: HttpRequest) -> httpx.Response:
        told = to_httpx(request, self._settings)
        if not isinstance(request.body, Path):
            return await self._http.request(**told, content=request.body)
        size = (await asyncio.to_thread(request.body.stat)).st_size
        told["headers"] = {**told["headers"], "content-length": str(size)}
        return await self._http.request(**told, content=_chunks_of(request.body))

    async def _together(self, effect: Together) -> tuple[Any, ...]:
        turn = asyncio.Semaphore(effect.at_once)

        async def run(operation: Operation[Any]) -> Any:
            async with turn:
                return await self.run(operation)

        under_way = [asyncio.ensure_future(run(operation)) for operation in effect.operations]
        try:
            return tuple(await asyncio.gather(*under_way))
        finally:
            for task in under_way:
                task.cancel()


async def _chunks_of(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file, read without blocking the event loop, whichever loop asks for them."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
