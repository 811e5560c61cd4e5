"""The two clients. They hold no rules: each method hands an operation to a driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import httpx

from lume_dagster.client.addresses import checked_api_key
from lume_dagster.client.answers import Redactor
from lume_dagster.client.drivers import AsyncDriver, SyncDriver
from lume_dagster.client.handles import AsyncFlowHandle, AsyncRunHandle, FlowHandle, RunHandle
from lume_dagster.client.models import (
    FlowInfo,
    FlowVersionInfo,
    Health,
    LumeRun,
    Page,
    RejectRecord,
    ResultKind,
)
from lume_dagster.client.operations import Operations
from lume_dagster.client.settings import ClientSettings
from lume_dagster.urls import checked_base_url

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULTS = ClientSettings()
_EXAMPLE = "https://lume.example.com"


class LumeClient:
    """Talks to a Lume, and blocks while it does. Safe to share between threads.

    GETs, creates and cancels are tried again on connection trouble, 429 and 5xx, within
    ``settings.outage_budget_seconds``; other refusals are raised at once.

    Args:
        base_url: Address of the Lume, such as ``https://lume.example.com``.
        api_key: API key, sent in the header ``lume-api-key``.
        settings: Limits and pauses.
        transport: How requests are carried, if other than over the network.

    Raises:
        ValueError: ``base_url`` or ``api_key`` is not usable.

    Example:
        ::

            with LumeClient("https://lume.example.com", api_key=os.environ["LUME_API_KEY"]) as client:
                run = client.run("flights:v1", "s3://bucket/2013-01-01.csv")
                run.wait().raise_for_status()
                print(run.rows)
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        settings: ClientSettings = _DEFAULTS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        key = checked_api_key(api_key)
        self._operations = Operations(checked_base_url(base_url, _EXAMPLE), settings, Redactor(key))
        self._driver = SyncDriver(self.base_url, key, settings, transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """Address of the Lume, without a slash at its end."""
        return self._operations.base_url

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def run(
        self,
        flow_version: str,
        source_path: str,
        run_metadata: Mapping[str, Any] | None = None,
        force_rerun: bool = False,
        idempotency_key: str | None = None,
    ) -> RunHandle:
        """Create a run and return at once. A batch that is being processed is answered with its run.

        Args:
            flow_version: ``name:vN``.
            source_path: What names the batch.
            run_metadata: Attached to the run; anything that JSON can hold.
            force_rerun: Process the batch again although it already succeeded.
            idempotency_key: Calls with the same key get the same run, also of a Lume that does not heed the
                header: the key goes along in ``run_metadata``, and the run is looked for by it before another
                is asked for. None makes a new key for this call.

        Raises:
            AlreadySucceededError: The batch was processed before and ``force_rerun`` is not set.
            InvalidRequestError: Lume refuses the request.
            AuthenticationError: Lume refuses the API key.
            LumeUnavailableError: Lume did not answer within the outage budget. The run may exist.
        """
        operation = self._operations.run(
            flow_version, source_path, run_metadata, force_rerun, idempotency_key
        )
        return self._handle(self._driver.run(operation))

    def run_status(self, run: LumeRun | str) -> RunHandle:
        """Ask how a run is.

        Raises:
            NotFoundError: Lume does not know the run.
            ApiError: There was no usable answer.
        """
        return self._handle(self._driver.run(self._operations.run_status(run)))

    def wait(
        self,
        run: LumeRun | str,
        timeout: float = 3600.0,
        poll_interval: float | None = None,
        on_status: Callable[[LumeRun], None] | None = None,
    ) -> RunHandle:
        """Wait until a run is final, however it ends, and return it.

        Args:
            run: The run, or its id.
            timeout: Seconds to wait.
            poll_interval: Seconds between polls. None asks Lume to hold the request until there is news,
                and polls with growing pauses where it does not offer that.
            on_status: Called with the run at the first look, and whenever its status has changed.

        Raises:
            RunTimeoutError: The run is still active after ``timeout``. It goes on in Lume.
            LumeUnavailableError: Lume did not answer within the outage budget, or until the time was over.
            NotFoundError: Lume does not know the run.
        """
        return self._handle(self._driver.run(self._operations.wait(run, timeout, poll_interval, on_status)))

    def runs(
        self,
        flow_version: str | None = None,
        source_path: str | None = None,
        status: str | None = None,
        page: int = 1,
        size: int = 50,
    ) -> Page[RunHandle]:
        """Get one page of the runs that match, newest first.

        Raises:
            ApiError: There was no usable answer.
        """
        operation = self._operations.runs(flow_version, source_path, status, page, size)
        found = self._driver.run(operation)
        handles = tuple(self._handle(run) for run in found.items)
        return Page(items=handles, total=found.total, page=found.page, size=found.size, pages=found.pages)

    def iter_runs(
        self,
        flow_version: str | None = None,
        source_path: str | None = None,
        status: str | None = None,
        size: int = 50,
    ) -> Iterator[RunHandle]:
        """Iterate over the runs that match, newest first, getting pages of ``size`` as they are needed.

        Raises:
            ApiError: There was no usable answer.
        """
        operation = self._operations.iter_runs(flow_version, source_path, status, size)
        return map(self._handle, self._driver.iterate(operation))

    @overload
    def results(
        self, run: LumeRun | str, kind: Literal["mapped"] = "mapped", page: int = 1, size: int = 100
    ) -> Page[dict[str, Any]]: ...

    @overload
    def results(
        self, run: LumeRun | str, kind: Literal["rejects"], page: int = 1, size: int = 100
    ) -> Page[RejectRecord]: ...

    def results(
        self, run: LumeRun | str, kind: ResultKind = "mapped", page: int = 1, size: int = 100
    ) -> Page[Any]:
        """Get one page of the records that a run mapped or rejected. Lume gives at most 100 at a time.

        Raises:
            InvalidRequestError: The run is not final.
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.results(run, kind, page, size))

    @overload
    def iter_results(
        self, run: LumeRun | str, kind: Literal["mapped"] = "mapped", size: int = 100
    ) -> Iterator[dict[str, Any]]: ...

    @overload
    def iter_results(
        self, run: LumeRun | str, kind: Literal["rejects"], size: int = 100
    ) -> Iterator[RejectRecord]: ...

    def iter_results(self, run: LumeRun | str, kind: ResultKind = "mapped", size: int = 100) -> Iterator[Any]:
        """Iterate over all records that a run mapped or rejected, getting pages as they are needed.

        Raises:
            InvalidRequestError: The run is not final.
            ApiError: There was no usable answer, or Lume gave fewer or more records than it promised.
        """
        return self._driver.iterate(self._operations.iter_results(run, kind, size))

    def results_frame(
        self,
        run: LumeRun | str,
        kind: ResultKind = "mapped",
        frame: Literal["pandas", "polars", "arrow"] = "pandas",
    ) -> Any:
        """Get all records that a run mapped or rejected as one frame, in the order of the source.

        The file at the run's target location is read where this process can reach it; else the pages are got,
        several at a time. Columns have the types that the target schema says.

        Args:
            run: The run, or its id.
            kind: Mapped records, or rejects: ``row_number``, ``source_record`` as JSON, and ``errors``.
            frame: A ``pandas.DataFrame``, a ``polars.DataFrame`` or a ``pyarrow.Table``.

        Raises:
            ImportError: The library of the frame is not installed.
            InvalidRequestError: The run is not final.
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.results_frame(run, kind, frame))

    def upload_file(self, path: str | Path) -> str:
        """Hand a file to Lume, which keeps it.

        Returns:
            The source path that names it in :meth:`run`. The same content gets the same one.

        Raises:
            OSError: The file cannot be read.
            InvalidRequestError: Lume takes no file of this size, or none at all.
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.upload_file(path))

    def correct(
        self,
        run: LumeRun | str,
        records: Mapping[int, Mapping[str, str | None]],
        run_metadata: Mapping[str, Any] | None = None,
    ) -> RunHandle:
        """Have a batch mapped again with some of its rejects corrected.

        The new run holds the whole batch, and stands for it from then on.

        Args:
            run: The run whose rejects were corrected, or its id.
            records: The corrected texts by row number and source column; None where there is no value. Columns that
                are not named stay as they are.
            run_metadata: JSON to attach to the run.

        Returns:
            The run that holds the corrections: a new one, or the one there is if they change nothing.

        Raises:
            InvalidRequestError: A record was not rejected, or a column is not there.
            NotFoundError: Lume does not know the run, or takes no corrections.
            ApiError: The batch was run anew since, or there was no usable answer.
        """
        return self._handle(self._driver.run(self._operations.correct(run, records, run_metadata)))

    def cancel(self, run: LumeRun | str, timeout: float | None = None) -> RunHandle:
        """Ask Lume to end a run. A run that is final already is returned as it is.

        Args:
            run: The run, or its id.
            timeout: Seconds to wait until the run is final. None returns as soon as Lume has taken the request.

        Raises:
            NotFoundError: Lume does not know the run.
            RunTimeoutError: The run is still active after ``timeout``.
            ApiError: There was no usable answer.
        """
        return self._handle(self._driver.run(self._operations.cancel(run, timeout)))

    def flows(self) -> tuple[FlowInfo, ...]:
        """List the flows.

        Raises:
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.flows())

    def create_flow(
        self,
        name: str,
        target_schema: Mapping[str, Any],
        source_path: str | None = None,
        source_data: Sequence[Mapping[str, Any]] | None = None,
        description: str = "",
        run_metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> RunHandle:
        """Make a flow out of a sample, and return its first run, of ``NAME:v1`` on that sample, at once.

        Lume generates the mapper and tries it before it answers. Nobody reviews it: the file of the flow version
        marks what is not sure.

        Args:
            name: The flow.
            target_schema: JSON Schema of one target record.
            source_path: What names the sample.
            source_data: The sample's records instead.
            description: What the flow is for.
            run_metadata: Attached to the run; anything that JSON can hold.
            idempotency_key: Calls with the same key get the same run. None makes a new key for this call.
            source: How the batch at `source_path` is written, as `source` of a flow file says it:
                ``{"sheet": "Data", "header_row": 3}``.

        Raises:
            InvalidRequestError: There is a flow of this name, the target schema or the sample is not usable, or no
                mapper could be made.
            AuthenticationError: Lume refuses the API key.
            LumeUnavailableError: Lume did not answer within the outage budget. Flow and run may exist.
        """
        return self._handle(
            self._driver.run(
                self._operations.create_flow(
                    name,
                    target_schema,
                    source_path,
                    source_data,
                    description,
                    run_metadata,
                    idempotency_key,
                    source,
                )
            )
        )

    def flow(self, name: str) -> FlowHandle:
        """Get a handle of a flow: ``flights:v1``, or ``flights`` for its newest version.

        Raises:
            NotFoundError: Lume does not know the flow, or not this version of it.
            ApiError: There was no usable answer.
        """
        return FlowHandle(self._driver.run(self._operations.flow(name)), self._operations, self._driver)

    def flow_version(self, flow_version: str) -> FlowVersionInfo:
        """Describe a flow version, such as ``flights:v1``.

        Raises:
            NotFoundError: Lume does not know the flow version.
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.flow_version(flow_version))

    def healthz(self) -> Health:
        """Ask once, without retries, whether Lume is up.

        Raises:
            ApiError: It is not.
        """
        return self._driver.run(self._operations.healthz())

    def _handle(self, run: LumeRun) -> RunHandle:
        return RunHandle.of(run, self._operations, self._driver)


class AsyncLumeClient:
    """Talks to a Lume without blocking the event loop.

    Methods, their arguments, answers and errors are those of :class:`LumeClient`.

    Args:
        base_url: Address of the Lume, such as ``https://lume.example.com``.
        api_key: API key, sent in the header ``lume-api-key``.
        settings: Limits and pauses.
        transport: How requests are carried, if other than over the network.

    Raises:
        ValueError: ``base_url`` or ``api_key`` is not usable.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        settings: ClientSettings = _DEFAULTS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        key = checked_api_key(api_key)
        self._operations = Operations(checked_base_url(base_url, _EXAMPLE), settings, Redactor(key))
        self._driver = AsyncDriver(self.base_url, key, settings, transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Address of the Lume, without a slash at its end."""
        return self._operations.base_url

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def run(
        self,
        flow_version: str,
        source_path: str,
        run_metadata: Mapping[str, Any] | None = None,
        force_rerun: bool = False,
        idempotency_key: str | None = None,
    ) -> AsyncRunHandle:
        """Create a run and return at once."""
        operation = self._operations.run(
            flow_version, source_path, run_metadata, force_rerun, idempotency_key
        )
        return self._handle(await self._driver.run(operation))

    async def run_status(self, run: LumeRun | str) -> AsyncRunHandle:
        """Ask how a run is."""
        return self._handle(await self._driver.run(self._operations.run_status(run)))

    async def wait(
        self,
        run: LumeRun | str,
        timeout: float = 3600.0,
        poll_interval: float | None = None,
        on_status: Callable[[LumeRun], None] | None = None,
    ) -> AsyncRunHandle:
        """Wait until a run is final, however it ends, and return it."""
        return self._handle(
            await self._driver.run(self._operations.wait(run, timeout, poll_interval, on_status))
        )

    async def runs(
        self,
        flow_version: str | None = None,
        source_path: str | None = None,
        status: str | None = None,
        page: int = 1,
        size: int = 50,
    ) -> Page[AsyncRunHandle]:
        """Get one page of the runs that match, newest first."""
        operation = self._operations.runs(flow_version, source_path, status, page, size)
        found = await self._driver.run(operation)
        handles = tuple(self._handle(run) for run in found.items)
        return Page(items=handles, total=found.total, page=found.page, size=found.size, pages=found.pages)

    async def iter_runs(
        self,
        flow_version: str | None = None,
        source_path: str | None = None,
        status: str | None = None,
        size: int = 50,
    ) -> AsyncIterator[AsyncRunHandle]:
        """Iterate over the runs that match, newest first, getting pages of ``size`` as they are needed."""
        operation = self._operations.iter_runs(flow_version, source_path, status, size)
        async for run in self._driver.iterate(operation):
            yield self._handle(run)

    @overload
    async def results(
        self, run: LumeRun | str, kind: Literal["mapped"] = "mapped", page: int = 1, size: int = 100
    ) -> Page[dict[str, Any]]: ...

    @overload
    async def results(
        self, run: LumeRun | str, kind: Literal["rejects"], page: int = 1, size: int = 100
    ) -> Page[RejectRecord]: ...

    async def results(
        self, run: LumeRun | str, kind: ResultKind = "mapped", page: int = 1, size: int = 100
    ) -> Page[Any]:
        """Get one page of the records that a run mapped or rejected."""
        return await self._driver.run(self._operations.results(run, kind, page, size))

    @overload
    def iter_results(
        self, run: LumeRun | str, kind: Literal["mapped"] = "mapped", size: int = 100
    ) -> AsyncIterator[dict[str, Any]]: ...

    @overload
    def iter_results(
        self, run: LumeRun | str, kind: Literal["rejects"], size: int = 100
    ) -> AsyncIterator[RejectRecord]: ...

    def iter_results(
        self, run: LumeRun | str, kind: ResultKind = "mapped", size: int = 100
    ) -> AsyncIterator[Any]:
        """Iterate over all records that a run mapped or rejected, getting pages as they are needed."""
        return self._driver.iterate(self._operations.iter_results(run, kind, size))

    async def results_frame(
        self,
        run: LumeRun | str,
        kind: ResultKind = "mapped",
        frame: Literal["pandas", "polars", "arrow"] = "pandas",
    ) -> Any:
        """Get all records that a run mapped or rejected as one frame, in the order of the source."""
        return await self._driver.run(self._operations.results_frame(run, kind, frame))

    async def upload_file(self, path: str | Path) -> str:
        """Hand a file to Lume, which keeps it, and return the source path that names it."""
        return await self._driver.run(self._operations.upload_file(path))

    async def correct(
        self,
        run: LumeRun | str,
        records: Mapping[int, Mapping[str, str | None]],
        run_metadata: Mapping[str, Any] | None = None,
    ) -> AsyncRunHandle:
        """Have a batch mapped again with some of its rejects corrected."""
        return self._handle(await self._driver.run(self._operations.correct(run, records, run_metadata)))

    async def cancel(self, run: LumeRun | str, timeout: float | None = None) -> AsyncRunHandle:
        """Ask Lume to end a run."""
        return self._handle(await self._driver.run(self._operations.cancel(run, timeout)))

    async def flows(self) -> tuple[FlowInfo, ...]:
        """List the flows."""
        return await self._driver.run(self._operations.flows())

    async def create_flow(
        self,
        name: str,
        target_schema: Mapping[str, Any],
        source_path: str | None = None,
        source_data: Sequence[Mapping[str, Any]] | None = None,
        description: str = "",
        run_metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> AsyncRunHandle:
        """Make a flow out of a sample, and return its first run at once."""
        operation = self._operations.create_flow(
            name, target_schema, source_path, source_data, description, run_metadata, idempotency_key, source
        )
        return self._handle(await self._driver.run(operation))

    async def flow(self, name: str) -> AsyncFlowHandle:
        """Get a handle of a flow: ``flights:v1``, or ``flights`` for its newest version."""
        info = await self._driver.run(self._operations.flow(name))
        return AsyncFlowHandle(info, self._operations, self._driver)

    async def flow_version(self, flow_version: str) -> FlowVersionInfo:
        """Describe a flow version, such as ``flights:v1``."""
        return await self._driver.run(self._operations.flow_version(flow_version))

    async def healthz(self) -> Health:
        """Ask once, without retries, whether Lume is up."""
        return await self._driver.run(self._operations.healthz())

    def _handle(self, run: LumeRun) -> AsyncRunHandle:
        return AsyncRunHandle.of(run, self._operations, self._driver)
