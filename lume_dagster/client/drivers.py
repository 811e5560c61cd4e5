"""The only places that do input and output: they perform the effects that operations ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import httpx

from lume_dagster.client.effects import (
    Emit,
    HttpReply,
    HttpRequest,
    Operation,
    Sleep,
    Stream,
    TransportFailure,
)
from lume_dagster.client.settings import ClientSettings

T = TypeVar("T")

# Each wait holds a connection: with a limit, many waits would keep a create or a cancel waiting, and of many that
# end together most would have to connect anew.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


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


def to_httpx(request: HttpRequest, settings: ClientSettings) -> dict[str, Any]:
    """The arguments that httpx takes for a request."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "content": request.body,
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
        self, api_key: str | None, settings: ClientSettings, transport: httpx.BaseTransport | None
    ) -> None:
        self._settings = settings
        self._http = httpx.Client(headers=standing_headers(api_key), limits=_LIMITS, transport=transport)

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

    def _perform(self, effect: HttpRequest | Sleep) -> HttpReply | TransportFailure | None:
        if isinstance(effect, Sleep):
            self._settings.timekeeper.sleep(effect.seconds)
            return None
        try:
            return from_httpx(self._http.request(**to_httpx(effect, self._settings)))
        except httpx.RequestError as error:
            return from_httpx(error)


class AsyncDriver:
    """Performs operations in the calling task."""

    def __init__(
        self, api_key: str | None, settings: ClientSettings, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(headers=standing_headers(api_key), limits=_LIMITS, transport=transport)

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

    async def _perform(self, effect: HttpRequest | Sleep) -> HttpReply | TransportFailure | None:
        if isinstance(effect, Sleep):
            await self._settings.timekeeper.async_sleep(effect.seconds)
            return None
        try:
            return from_httpx(await self._http.request(**to_httpx(effect, self._settings)))
        except httpx.RequestError as error:
            return from_httpx(error)
