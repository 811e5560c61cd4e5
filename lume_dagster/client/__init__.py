"""A client of Lume: it creates runs, waits for them and reads what they made.

It talks to any Lume over HTTP, hosted or embedded, and knows neither Dagster nor the embedded service.
:class:`LumeClient` blocks, :class:`AsyncLumeClient` does not; they have the same methods. :func:`run`,
:func:`run_status` and :func:`flow` speak through one client for the whole program, which :func:`init` makes. All of
these are imported when they are first used: httpx takes its time, and who only declares assets does not need it.
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
    from lume_dagster.client.default import flow, init, run, run_status
    from lume_dagster.client.flow_diff import FlowChange, FlowDiff, diff_flow_versions
    from lume_dagster.client.handles import AsyncFlowHandle, AsyncRunHandle, FlowHandle, Processed, RunHandle

_LATE = {
    "AsyncFlowHandle": "handles",
    "AsyncLumeClient": "client",
    "AsyncRunHandle": "handles",
    "FlowChange": "flow_diff",
    "FlowDiff": "flow_diff",
    "FlowHandle": "handles",
    "LumeClient": "client",
    "Processed": "handles",
    "RunHandle": "handles",
    "diff_flow_versions": "flow_diff",
    "flow": "default",
    "init": "default",
    "run": "default",
    "run_status": "default",
}

__all__ = [
    "AlreadySucceededError",
    "ApiError",
    "AsyncFlowHandle",
    "AsyncLumeClient",
    "AsyncRunHandle",
    "AuthenticationError",
    "ClientSettings",
    "ErrorCount",
    "FlowChange",
    "FlowDiff",
    "FlowHandle",
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
    "Processed",
    "RecordError",
    "RejectRecord",
    "ResultKind",
    "RowCounts",
    "RunError",
    "RunFailedError",
    "RunHandle",
    "RunPerformance",
    "RunStatus",
    "RunTimeoutError",
    "SourceSummary",
    "TargetLocations",
    "Timekeeper",
    "ValidationSummary",
    "diff_flow_versions",
    "flow",
    "init",
    "run",
    "run_status",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
