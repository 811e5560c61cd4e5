"""What an operation asks of its driver.

Operations are generators that do no input or output: they yield effects and are sent what came of them.
So each rule of the client is written once, for the blocking and the asynchronous client alike.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class HttpRequest:
    """Asks for one HTTP exchange. Answered with :class:`HttpReply` or :class:`TransportFailure`.

    Attributes:
        method: HTTP method.
        url: Whole URL, quoted.
        headers: Headers besides those of every request.
        body: JSON body, if any.
        timeout: Seconds that reading or writing may stall.
    """

    method: str
    url: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class HttpReply:
    """An HTTP answer. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class TransportFailure:
    """An exchange that brought no whole answer.

    Attributes:
        reason: What happened.
        passing: Whether it may go by itself, so that trying again makes sense.
    """

    reason: str
    passing: bool


@dataclass(frozen=True)
class Sleep:
    """Asks for a pause of some seconds."""

    seconds: float


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hands items to whoever iterates over a stream."""

    items: tuple[T, ...]


# A generator that ends in a T, and one that ends in nothing and emits Ts on its way.
Operation: TypeAlias = Generator[HttpRequest | Sleep, Any, T]
Stream: TypeAlias = Generator[HttpRequest | Sleep | Emit[T], Any, None]
