"""What an operation asks of its driver.

Operations are generators that do no input or output: they yield effects and are sent what came of them.
So each rule of the client is written once, for the blocking and the asynchronous client alike.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from lume_dagster.urls import without_credentials

T = TypeVar("T")


@dataclass(frozen=True)
class HttpRequest:
    """Asks for one HTTP exchange. Answered with :class:`HttpReply` or :class:`TransportFailure`.

    Attributes:
        method: HTTP method.
        url: Whole URL, quoted.
        headers: Headers besides those of every request.
        body: Body, if any; that of a file is read while it is sent, anew with each try.
        timeout: Seconds that reading or writing may stall.
    """

    method: str
    url: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = None

    @property
    def label(self) -> str:
        """The request in a few words, for messages."""
        return f"{self.method} {without_credentials(self.url)}"


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
class Call:
    """Asks for a call that may block, such as reading a file. Answered with what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Together:
    """Asks for operations side by side. Answered with what they end in, in their order.

    Attributes:
        operations: The operations; the first that fails ends the others.
        at_once: How many are under way at one time.
    """

    operations: tuple[Operation[Any], ...]
    at_once: int


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hands items to whoever iterates over a stream."""

    items: tuple[T, ...]


Effect: TypeAlias = HttpRequest | Sleep | Call | Together

# A generator that ends in a T, and one that ends in nothing and emits Ts on its way.
Operation: TypeAlias = Generator[Effect, Any, T]
Stream: TypeAlias = Generator[Effect | Emit[T], Any, None]
