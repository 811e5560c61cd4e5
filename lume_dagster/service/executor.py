"""The worker of a process: carries out the runs that this process created, and keeps their leases."""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ulid import ULID

from lume_dagster.engine import (
    BatchError,
    BatchResult,
    CancelledError,
    Engine,
    EngineError,
    EngineSettings,
    FlowVersion,
    StagedBatch,
)
from lume_dagster.service.corrections import read_corrected
from lume_dagster.service.errors import NotFoundError
from lume_dagster.service.files import MAPPED, SOURCE, RunFiles
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.status import RunStatus
from lume_dagster.service.store import RunRecord, RunStore, utc_now
from lume_dagster.service.uploads import Uploads

_logger = logging.getLogger(__name__)

STORED_INPUT_PREFIX = "run:"
_BEATS_PER_LEASE = 5
_MOST_FREQUENT_REASONS = 3
_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class _LeaseLostError(Exception):
    """The run was given up by another process; what this one still does for it is void."""


class RunExecutor:
    """Works on runs in threads of this process.

    Args:
        settings: The home, and how much of the machine the engine may use.
        store: The store of the runs.
        files: The files of the runs.
        uploads: What callers have handed over.
        on_change: Called with the id of a run whose status has changed.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        store: RunStore,
        files: RunFiles,
        uploads: Uploads,
        on_change: Callable[[str], None],
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{ULID()}"
        self._settings = settings
        self._store = store
        self._files = files
        self._uploads = uploads
        self._on_change = on_change
        self._engine = Engine(
            EngineSettings(
                directories=files.folders,
                memory_limit=settings.memory_limit,
                threads=settings.threads,
                temp_directory=files.open_spill(),
            )
        )
        self._workers = ThreadPoolExecutor(settings.max_concurrent_runs, thread_name_prefix="lume-run")
        self._cancels: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def engine(self) -> Engine:
        """The engine of this process."""
        return self._engine

    def submit(self, run: RunRecord, flow: FlowVersion) -> None:
        """Queues a run that this process has created."""
        with self._lock:
            self._cancels[run.id] = threading.Event()
            if self._heart is None:
                self._heart = threading.Thread(target=self._keep_leases, name="lume-leases", daemon=True)
                self._heart.start()
        try:
            self._advance(run.id, RunStatus.PENDING)
            self._workers.submit(self._work, run, flow)
        except BaseException:
            # Nobody renews its lease from here on, so that it ends as CRASHED.
            with self._lock:
                self._cancels.pop(run.id, None)
            raise

    def works_on(self, run_id: str) -> bool:
        """Whether a run is queued or under way in this process."""
        with self._lock:
            return run_id in self._cancels

    def cancel(self, run_id: str) -> None:
        """Stops a run at its next step, if this process works on it."""
        with self._lock:
            cancel = self._cancels.get(run_id)
        if cancel is not None:
            cancel.set()

    def close(self) -> None:
        """Ends the work on all runs of this process; those under way end as cancelled."""
        with self._lock:
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel.set()
        self._workers.shutdown(wait=True)
        self._stop.set()
        if self._heart is not None:
            self._heart.join()
        self._engine.close()
        self._files.close_spill()

    def _keep_leases(self) -> None:
        while not self._stop.wait(self._settings.lease_seconds / _BEATS_PER_LEASE):
            try:
                with self._lock:
                    under_way = list(self._cancels)
                mine = self._store.beat(self.owner, under_way)
            except Exception:
                _logger.exception("the leases of this process's Lume runs could not be renewed; trying again")
                continue
            for run in mine:
                if run.cancel_requested:
                    self.cancel(run.id)

    def _work(self, run: RunRecord, flow: FlowVersion) -> None:
        cancel = self._cancels[run.id]
        try:
            self._carry_out(run, flow, cancel)
        except BatchError as error:
            self._fail(run, str(error))
        except CancelledError:
            self._fail(run, "cancelled on request; nothing of the batch was published")
        except _LeaseLostError:
            _logger.warning("Lume run %s was given up by another process; its work is discarded", run.id)
            self._files.discard(run.id)
        except Exception as error:
            _logger.exception("Lume run %s crashed", run.id)
            self._finish(run, RunStatus.CRASHED, error_message=_crash_message(error))
        finally:
            with self._lock:
                self._cancels.pop(run.id, None)

    def _carry_out(self, run: RunRecord, flow: FlowVersion, cancel: threading.Event) -> None:
        seconds: dict[str, float] = {}
        if cancel.is_set():
            raise CancelledError("the run was cancelled before it started")
        staging = self._files.open_staging(run.id)

        with self._stage(run, RunStatus.SYNCING_SOURCE, seconds, started_at=utc_now()):
            staged = self._ingest(run, flow, staging, cancel)
        with self._stage(run, RunStatus.TRANSFORMING, seconds):
            result = self._engine.transform(flow, staged, staging, cancel)
        batch = self._batch(run)
        file_name = self._uploads.file_name(batch)
        with self._stage(run, RunStatus.SYNCING_TARGET, seconds):
            checksums = self._files.publish(run.id)
            status, message = _verdict(result)
            if status.has_succeeded:
                # After the files, as the last step: what is left is to say so, and a run that dies before it can
                # leaves the whole new batch, which the next run replaces.
                mapped = self._files.path(run.id, MAPPED)
                self._engine.load_target(flow, mapped, batch, run.id, cancel)

        outcome = _outcome(flow, result, seconds, checksums, file_name)
        self._finish(run, status, error_message=message, outcome=outcome)

    @contextmanager
    def _stage(
        self, run: RunRecord, status: RunStatus, seconds: dict[str, float], **columns: Any
    ) -> Iterator[None]:
        if not self._advance(run.id, status, **columns):
            raise _LeaseLostError
        started = time.perf_counter()
        yield
        seconds[status.value] = round(time.perf_counter() - started, 6)

    def _ingest(
        self, run: RunRecord, flow: FlowVersion, staging: Path, cancel: threading.Event
    ) -> StagedBatch:
        correction = self._store.correction(run.id)
        if correction is not None and correction.corrects and correction.corrected:
            stage = self._engine.open_stage(self._files.path(correction.corrects, SOURCE), flow)
            corrected = read_corrected(self._uploads, correction.corrected)
            return self._engine.correct(stage, corrected, staging, cancel)
        if not run.source_path.startswith(STORED_INPUT_PREFIX):
            found = self._uploads.find(run.source_path, flow)
            return self._engine.ingest(found.flow, found.path, staging, cancel, name=found.name)
        os.link(self.stored_input(run.source_path), staging / SOURCE)
        return self._engine.open_stage(staging / SOURCE, flow, name=run.source_path)

    def stored_input(self, source_path: str) -> Path:
        """The input that an earlier run has kept.

        Args:
            source_path: `run:RUN_ID`.

        Raises:
            BatchError: There is no such run, or it keeps none.
        """
        earlier = source_path.removeprefix(STORED_INPUT_PREFIX)
        try:
            stored = self._files.path(self._store.get(earlier).id, SOURCE)
        except NotFoundError as error:
            raise BatchError(f"source_path {source_path!r}: {error}") from error
        if not stored.is_file():
            raise BatchError(f"run {earlier} keeps no input that could be run again")
        return stored

    def _batch(self, run: RunRecord) -> str:
        """The batch of a run; of one on a stored input that of the run which stored it."""
        batch = run.source_path
        while batch.startswith(STORED_INPUT_PREFIX):
            batch = self._store.get(batch.removeprefix(STORED_INPUT_PREFIX)).source_path
        return batch

    def _fail(self, run: RunRecord, message: str) -> None:
        self._finish(run, RunStatus.FAILED, error_message=message)

    def _finish(self, run: RunRecord, status: RunStatus, **columns: Any) -> None:
        if not columns.get("outcome"):
            self._files.discard(run.id)
        try:
            ended = self._advance(run.id, status, **columns)
        except Exception:
            # Nobody renews its lease from here on, so that it ends as CRASHED.
            _logger.exception("the end of Lume run %s could not be stored", run.id)
            ended = False
        if not ended:
            self._files.discard(run.id)

    def _advance(self, run_id: str, status: RunStatus, **columns: Any) -> bool:
        moved = self._store.advance(run_id, self.owner, status, **columns)
        self._on_change(run_id)
        return moved


def _verdict(result: BatchResult) -> tuple[RunStatus, str | None]:
    """The final status of a run that went through, and what its error message says."""
    if result.rejected_rows == 0:
        return RunStatus.SUCCEEDED, None
    if result.mapped_rows:
        return RunStatus.PARTIAL_FAILED, None
    most_frequent = sorted(result.by_type.items(), key=lambda item: -item[1])[:_MOST_FREQUENT_REASONS]
    reasons = ", ".join(f"{kind} ({count})" for kind, count in most_frequent)
    message = (
        f"no record of the batch could be mapped: all {result.rejected_rows} were rejected, most often for {reasons}; "
        "see the rejects, and whether this is the batch that the flow version was made for"
    )
    return RunStatus.FAILED, message


def _outcome(
    flow: FlowVersion,
    result: BatchResult,
    seconds: dict[str, float],
    checksums: dict[str, str],
    file_name: str | None,
) -> dict[str, Any]:
    """What is kept of a run that went through, as its metadata tells it."""
    total = sum(seconds.values())
    return {
        "rows": {
            "source": result.source_rows,
            "mapped": result.mapped_rows,
            "rejected": result.rejected_rows,
        },
        "validation": {
            "by_type": dict(result.by_type),
            "by_field": {field: dict(kinds) for field, kinds in result.by_field.items()},
            "samples": list(result.samples),
        },
        "source": {
            "file_name": file_name,
            "format": result.format,
            "encoding": result.encoding,
            "columns": list(result.columns),
            "missing": list(result.missing),
            "unexpected": list(result.unexpected),
        },
        "performance": {
            "stage_seconds": seconds,
            "rows_per_second": round(result.source_rows / total, 1) if total else None,
            "bytes_read": result.bytes_read,
            "bytes_written": result.bytes_written,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT_BYTES,
        },
        "checksums": checksums,
        "table": flow.target.table,
    }


def _crash_message(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk of the embedded Lume's home is full; make room, and run the batch again"
    return str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
