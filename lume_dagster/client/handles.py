"""Runs and flows that know their Lume: what a client hands out.

A :class:`~lume_dagster.client.LumeRun` is what Lume told at one moment. A handle is one that can look again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import PrivateAttr

from lume_dagster.client.drivers import AsyncDriver, SyncDriver
from lume_dagster.client.effects import Operation
from lume_dagster.client.errors import RunTimeoutError
from lume_dagster.client.models import FlowVersionInfo, LumeRun, Page, RejectRecord
from lume_dagster.client.operations import Operations
from lume_dagster.client.records import kind_of, to_records

if TYPE_CHECKING:
    from typing_extensions import Self

Data = TypeVar("Data")

_WAIT_SECONDS = 3600.0


class _LiveRun(LumeRun):
    """A run whose handle is renewed by being asked for again; nobody else changes it."""

    _operations: Operations = PrivateAttr()

    def _renew(self, told: LumeRun) -> Self:
        # In one step, so that a thread that reads meanwhile sees the run as it was or as it is.
        object.__setattr__(self, "__dict__", dict(told.__dict__))
        return self


class RunHandle(_LiveRun):
    """A run of a :class:`~lume_dagster.client.LumeClient`; :meth:`wait`, :meth:`refresh` and :meth:`cancel` renew it.

    Example:
        ::

            run = client.run("flights:v1", "s3://bucket/2013-01-01.csv")
            run.wait(timeout=600)
            print(run.status, run.rows)
    """

    _driver: SyncDriver = PrivateAttr()

    @classmethod
    def of(cls, told: LumeRun, operations: Operations, driver: SyncDriver) -> RunHandle:
        """The handle of a run that Lume has told of."""
        handle = cls.model_validate(dict(told))
        handle._operations, handle._driver = operations, driver
        return handle

    def wait(self, timeout: float = _WAIT_SECONDS, poll_interval: float | None = None) -> Self:
        """Wait until the run is final, however it ends.

        Args:
            timeout: Seconds to wait.
            poll_interval: Seconds between polls. None asks Lume to hold the request until there is news,
                and polls with growing pauses where it does not offer that.

        Returns:
            The run itself.

        Raises:
            RunTimeoutError: The run is still active after ``timeout``. It goes on in Lume.
            LumeUnavailableError: Lume did not answer within the outage budget, or until the time was over.
        """
        try:
            return self._renew(self._driver.run(self._operations.wait(self.id, timeout, poll_interval, None)))
        except RunTimeoutError as error:
            self._renew(error.run)
            raise

    def wait_for_completion(self, timeout: float = _WAIT_SECONDS, poll_interval: float | None = None) -> Self:
        """The older name of :meth:`wait`."""
        return self.wait(timeout, poll_interval)

    def refresh(self) -> Self:
        """Ask once how the run is, and return the run itself.

        Raises:
            ApiError: There was no usable answer.
        """
        return self._renew(self._driver.run(self._operations.run_status(self.id)))

    def cancel(self, timeout: float | None = None) -> Self:
        """Ask Lume to end the run, and return the run itself. One that is final stays as it is.

        Args:
            timeout: Seconds to wait until the run is final. None returns as soon as Lume has taken the request.

        Raises:
            RunTimeoutError: The run is still active after ``timeout``.
            ApiError: There was no usable answer.
        """
        return self._renew(self._driver.run(self._operations.cancel(self.id, timeout)))


class AsyncRunHandle(_LiveRun):
    """A run of an :class:`~lume_dagster.client.AsyncLumeClient`. Methods are those of :class:`RunHandle`."""

    _driver: AsyncDriver = PrivateAttr()

    @classmethod
    def of(cls, told: LumeRun, operations: Operations, driver: AsyncDriver) -> AsyncRunHandle:
        """The handle of a run that Lume has told of."""
        handle = cls.model_validate(dict(told))
        handle._operations, handle._driver = operations, driver
        return handle

    async def wait(self, timeout: float = _WAIT_SECONDS, poll_interval: float | None = None) -> Self:
        """Wait until the run is final, however it ends, and return the run itself."""
        operation = self._operations.wait(self.id, timeout, poll_interval, None)
        try:
            return self._renew(await self._driver.run(operation))
        except RunTimeoutError as error:
            self._renew(error.run)
            raise

    async def wait_for_completion(
        self, timeout: float = _WAIT_SECONDS, poll_interval: float | None = None
    ) -> Self:
        """The older name of :meth:`wait`."""
        return await self.wait(timeout, poll_interval)

    async def refresh(self) -> Self:
        """Ask once how the run is, and return the run itself."""
        return self._renew(await self._driver.run(self._operations.run_status(self.id)))

    async def cancel(self, timeout: float | None = None) -> Self:
        """Ask Lume to end the run, and return the run itself."""
        return self._renew(await self._driver.run(self._operations.cancel(self.id, timeout)))


@dataclass(frozen=True)
class Processed(Generic[Data]):
    """What became of data that was processed.

    Attributes:
        run: The run that did it, final.
        mapped: The mapped records, in the order of the data and of the same kind: a list of dicts or a frame.
        rejects: The records that were not mapped, with their reasons.
    """

    run: LumeRun
    mapped: Data
    rejects: tuple[RejectRecord, ...]


@dataclass(frozen=True)
class _Flow:
    """One version of a flow, and the requests about it."""

    info: FlowVersionInfo
    _operations: Operations

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.flow_version!r})"

    @property
    def name(self) -> str:
        """Name of the flow."""
        return self.info.name

    @property
    def flow_version(self) -> str:
        """``name:vN``: the version that runs made with this handle use."""
        return self.info.flow_version

    def _create(
        self,
        source_data: Any,
        source_path: str | None,
        run_metadata: Mapping[str, Any] | None,
        force_rerun: bool,
        idempotency_key: str | None,
    ) -> Operation[LumeRun]:
        options = (run_metadata, force_rerun, idempotency_key)
        if source_path is not None and source_data is None:
            return self._operations.run(self.flow_version, source_path, *options)
        if source_path is None and source_data is not None:
            return self._operations.run_on_records(self.flow_version, to_records(source_data), *options)
        raise ValueError("a run is created on source_data or on a source_path: give one of them")

    def _process(self, data: Data, timeout: float) -> Operation[Processed[Data]]:
        kind = kind_of(data)
        run = yield from self._operations.process(self.flow_version, to_records(data), timeout)
        rejects = yield from self._operations.all_results(run, "rejects")
        mapped: Any
        if kind == "records":
            mapped = yield from self._operations.all_results(run, "mapped")
        else:
            mapped = yield from self._operations.results_frame(run, "mapped", kind)
        return Processed(run, mapped, tuple(rejects))


@dataclass(frozen=True, repr=False)
class FlowHandle(_Flow):
    """One version of a flow in the Lume of a :class:`~lume_dagster.client.LumeClient`.

    Attributes:
        info: What Lume tells of the version: target schema, mapper, lineage, fingerprint.
    """

    _driver: SyncDriver

    def create_run(
        self,
        source_data: Any = None,
        source_path: str | None = None,
        wait: bool = False,
        run_metadata: Mapping[str, Any] | None = None,
        force_rerun: bool = False,
        idempotency_key: str | None = None,
    ) -> RunHandle:
        """Create a run on data that is sent along, or on a batch that Lume can read.

        Args:
            source_data: Records: a list of dicts, a pandas or Polars DataFrame or a ``pyarrow.Table``. The same
                records are the same batch.
            source_path: What names the batch, instead.
            wait: Wait until the run is final.
            run_metadata: Attached to the run; anything that JSON can hold.
            force_rerun: Process the batch again although it already succeeded.
            idempotency_key: Calls with the same key get the same run. None makes a new key for this call.

        Raises:
            AlreadySucceededError: The batch was processed before and ``force_rerun`` is not set.
            InvalidRequestError: Lume refuses the request.
            RunTimeoutError: The run was waited for, and is still active after an hour. It goes on in Lume.
            TypeError: The source data is of no kind that can be sent.
            ValueError: A value of it has no place in JSON, or there is no data, or a path beside it.
        """
        operation = self._create(source_data, source_path, run_metadata, force_rerun, idempotency_key)
        run = RunHandle.of(self._driver.run(operation), self._operations, self._driver)
        return run.wait() if wait else run

    def process(self, data: Data, timeout: float = _WAIT_SECONDS) -> Processed[Data]:
        """Map data and return what became of it. Data that was processed before is not processed again.

        Args:
            data: A list of dicts, a pandas or Polars DataFrame or a ``pyarrow.Table``.
            timeout: Seconds to wait for the run.

        Raises:
            RunFailedError: No record could be mapped; the error says why.
            RunTimeoutError: The run is still active after ``timeout``. It goes on in Lume.
            ApiError: Lume refuses the request, or does not answer it.
            TypeError: The data is of no kind that can be sent.
            ValueError: A value of it has no place in JSON; the message names it.
        """
        return self._driver.run(self._process(data, timeout))

    def get_run_results(self, run: LumeRun | str, page: int = 1, size: int = 100) -> Page[dict[str, Any]]:
        """Get one page of the records that a run mapped. Lume gives at most 100 at a time.

        Raises:
            InvalidRequestError: The run is not final.
            ApiError: There was no usable answer.
        """
        return self._driver.run(self._operations.results(run, "mapped", page, size))


@dataclass(frozen=True, repr=False)
class AsyncFlowHandle(_Flow):
    """One version of a flow, for an :class:`~lume_dagster.client.AsyncLumeClient`.

    Methods are those of :class:`FlowHandle`.
    """

    _driver: AsyncDriver

    async def create_run(
        self,
        source_data: Any = None,
        source_path: str | None = None,
        wait: bool = False,
        run_metadata: Mapping[str, Any] | None = None,
        force_rerun: bool = False,
        idempotency_key: str | None = None,
    ) -> AsyncRunHandle:
        """Create a run on data that is sent along, or on a batch that Lume can read."""
        operation = self._create(source_data, source_path, run_metadata, force_rerun, idempotency_key)
        run = AsyncRunHandle.of(await self._driver.run(operation), self._operations, self._driver)
        return await run.wait() if wait else run

    async def process(self, data: Data, timeout: float = _WAIT_SECONDS) -> Processed[Data]:
        """Map data and return what became of it. Data that was processed before is not processed again."""
        return await self._driver.run(self._process(data, timeout))

    async def get_run_results(
        self, run: LumeRun | str, page: int = 1, size: int = 100
    ) -> Page[dict[str, Any]]:
        """Get one page of the records that a run mapped."""
        return await self._driver.run(self._operations.results(run, "mapped", page, size))
