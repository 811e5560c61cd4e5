"""A client of Lume: it creates runs, waits for them and reads what they made.

It talks to any Lume over HTTP, hosted or embedded, and knows neither Dagster nor the embedded service.
:class:`LumeClient` blocks, :class:`AsyncLumeClient` does not; they have the same methods. They are imported when they
are first used: httpx takes its time, and who only declares assets does not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lume_dagster.client.errors import (
    AlreadySucceededError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    LumeError,
    LumeUnavailableError,
    NotFoundError,
    Problem,
    RunError,
    RunFailedError,
    RunTimeoutError,
)
from lume_dagster.client.models import (
    ErrorCount,
    FlowInfo,
    FlowVersionInfo,
    Health,
    LumeRun,
    Page,
    RecordError,
    RejectRecord,
    ResultKind,
    RowCounts,
    RunPerformance,
    RunStatus,
    SourceSummary,
    TargetLocations,
    ValidationSummary,
)
from lume_dagster.client.settings import ClientSettings, Timekeeper

if TYPE_CHECKING:
    from lume_dagster.client.client import AsyncLumeClient, LumeClient

__all__ = [
    "AlreadySucceededError",
    "ApiError",
    "AsyncLumeClient",
    "AuthenticationError",
    "ClientSettings",
    "ErrorCount",
    "FlowInfo",
    "FlowVersionInfo",
    "Health",
    "InvalidRequestError",
    "LumeClient",
    "LumeError",
    "LumeRun",
    "LumeUnavailableError",
    "NotFoundError",
    "Page",
    "Problem",
    "RecordError",
    "RejectRecord",
    "ResultKind",
    "RowCounts",
    "RunError",
    "RunFailedError",
    "RunPerformance",
    "RunStatus",
    "RunTimeoutError",
    "SourceSummary",
    "TargetLocations",
    "Timekeeper",
    "ValidationSummary",
]


def __getattr__(name: str) -> Any:
    if name not in ("AsyncLumeClient", "LumeClient"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.client"), name)
