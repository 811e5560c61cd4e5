"""The operations of the embedded Lume, as its HTTP interface offers them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from lume_dagster.engine import Engine
from lume_dagster.generator.sample import Sample, open_sample, probe, read_sample
from lume_dagster.service.changes import RunChanges
from lume_dagster.service.corrections import Corrector, keep_corrected, read_corrected, run_to_correct
from lume_dagster.service.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotReadyError,
    UnavailableError,
)
from lume_dagster.service.executor import STORED_INPUT_PREFIX, RunExecutor
from lume_dagster.service.files import MAPPED, REJECTS, RunFiles
from lume_dagster.service.flow_creation import flow_from_sample
from lume_dagster.service.flows import FlowCatalog
from lume_dagster.service.language_model import LanguageModel
from lume_dagster.service.leases import LeaseWatch
from lume_dagster.service.models import (
    CorrectionInfo,
    CorrectRun,
    CreateFlow,
    CreateFlowRun,
    CreateRun,
    Flow,
    FlowList,
    FlowVersionInfo,
    MapperInfo,
    Page,
    Run,
    RunInfo,
    RunMetadata,
    TargetLocations,
    Upload,
)
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.status import RunStatus
from lume_dagster.service.store import Correction, NewRun, RunRecord, RunStore
from lume_dagster.service.uploads import Incoming, Uploads

ResultKind = Literal["mapped", "rejects"]

MAX_WAIT_SECONDS = 60.0
_OTHER_PROCESS_POLL_SECONDS = 0.25
_CANCEL_CONFIRM_SECONDS = 5.0


@dataclass(frozen=True)
class _Work:
    """What works on runs: opened with the first request that is about runs."""

    store: RunStore
    executor: RunExecutor
    leases: LeaseWatch


class LumeService:
    """Runs of flow versions, over one home.

    The home is made, and the store opened, with the first request that is about runs: who only reads flow versions
    writes nothing.

    Args:
        settings: The home, the flows, and how much of the machine the engine may use.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._flows = FlowCatalog(settings.flows)
        self._files = RunFiles(settings)
        self._uploads = Uploads(settings)
        self._changes = RunChanges()
        self._opening = threading.Lock()
        self._opened: _Work | None = None

    @property
    def _work(self) -> _Work:
        with self._opening:
            if self._opened is None:
                store = RunStore(self.settings.database_url)
                executor = RunExecutor(self.settings, store, self._files, self._uploads, self._changes.notify)
                self._opened = _Work(
                    store, executor, LeaseWatch(store, executor.works_on, self.settings.lease_seconds)
                )
                self._files.sweep(is_over=store.is_over, without_results=store.without_results())
                self._uploads.sweep()
            return self._opened

    def flows(self) -> FlowList:
        """All flows with their versions."""
        return FlowList(
            items=[Flow(name=name, versions=found) for name, found in self._flows.versions().items()]
        )

    def flow_version(self, flow_version: str) -> FlowVersionInfo:
        """One flow version.

        Raises:
            InvalidRequestError: The name is not of the form NAME:vN, or the file is not a valid flow version.
            NotFoundError: There is none of this name.
        """
        flow = self._flows.load(flow_version)
        return FlowVersionInfo(
            name=flow.name,
            version=flow.version,
            flow_version=flow.flow_version,
            description=flow.description,
            fingerprint=flow.fingerprint,
            target_schema=flow.target_schema,
            lineage=flow.lineage,
            source=flow.source.model_dump(mode="json"),
            mapper=flow.mapper,
            target=flow.target.model_dump(mode="json"),
            rules=flow.rules,
        )

    def create_run(self, request: CreateRun, idempotency_key: str | None = None) -> tuple[Run, bool]:
        """Starts a run of a batch, or answers with the one under way.

        Returns:
            The run, and whether this call started it.

        Raises:
            AlreadySucceededError: The batch was mapped before, and `force_rerun` is not set.
            FlowChangedError: The file of the flow version was edited after its first use.
            IdempotencyKeyReusedError: The key belongs to another request.
            InvalidRequestError: The flow version's name or file is not valid.
            NotFoundError: There is no such flow version.
            UnavailableError: The home or its store cannot be used.
        """
        flow = self._flows.load(request.flow_version)
        self._sweep_lost()
        record, created = self._work.store.create(
            NewRun(request.flow_version, request.source_path, request.force_rerun, request.run_metadata),
            fingerprint=flow.fingerprint,
            owner=self._work.executor.owner,
            idempotency_key=idempotency_key,
        )
        if created:
            self._work.executor.submit(record, flow)
        return self._document(record), created

    def create_flow_run(
        self, name: str, request: CreateFlowRun, idempotency_key: str | None = None
    ) -> tuple[Run, bool]:
        """Starts a run of a flow on records that come along, or on a batch that is named.

        Returns and raises what `create_run` does.
        """
        flow_version = f"{name}:{request.version}" if request.version else self._flows.newest(name)
        self._flows.path(flow_version)  # Else records would be kept for a flow that is not there.
        source_path = request.source_path or self._uploads.keep_records(request.source_data or [])
        return self.create_run(
            CreateRun(
                flow_version=flow_version,
                source_path=source_path,
                force_rerun=request.force_rerun,
                run_metadata=request.run_metadata,
            ),
            idempotency_key,
        )

    def create_flow(self, request: CreateFlow, idempotency_key: str | None = None) -> tuple[Run, bool]:
        """Makes the first version of a flow out of a sample, and runs it on that.

        Returns:
            The run, and whether this call started it.

        Raises:
            FlowExistsError: There is a flow of this name.
            IdempotencyKeyReusedError: The key belongs to another request.
            InvalidRequestError: The name, the target schema or the sample is not valid, or the language model of the
                settings cannot be asked.
            NoMapperError: No mapper could be made that maps any record of the sample.
            UnavailableError: The home, its store or the folder of the flows cannot be used.
        """
        flow_version = f"{request.name}:v1"
        known = self._work.store.by_key(idempotency_key) if idempotency_key else None
        if known is not None:
            if known.flow_version != flow_version:
                raise IdempotencyKeyReusedError(
                    f"the Idempotency-Key was used for another request, which made run {known.id}",
                    run_id=known.id,
                )
            return self._document(known), False
        self._flows.check_free(flow_version)
        if self.settings.language_model_fault:
            raise InvalidRequestError(self.settings.language_model_fault)
        source_path = request.source_path or self._uploads.keep_records(request.source_data or [])
        text = flow_from_sample(
            lambda engine, folder: self.sample(engine, source_path, request.source, folder),
            request,
            LanguageModel(model) if (model := self.settings.language_model) else None,
        )
        self._flows.create(flow_version, text)
        return self.create_run(
            CreateRun(flow_version=flow_version, source_path=source_path, run_metadata=request.run_metadata),
            idempotency_key,
        )

    def sample(self, engine: Engine, source_path: str, source: Mapping[str, Any], folder: Path) -> Sample:
        """Reads a batch as a sample.

        Args:
            engine: Reads it.
            source_path: Names the batch, as it does for a run.
            source: How it is written, as a flow file says it.
            folder: An existing folder for what is read.

        Raises:
            BatchError: It cannot be read.
            FlowError: `source` says something that is not possible.
            InvalidRequestError: It is the stored input of a run, which is read already, and `source` says how.
        """
        if source_path.startswith(STORED_INPUT_PREFIX):
            if source:
                raise InvalidRequestError(
                    f"{source_path}: the stored input of a run was read by its flow; leave out "
                    + ", ".join(f"source.{key}" for key in source)
                )
            return open_sample(engine, self._work.executor.stored_input(source_path))
        found = self._uploads.find(source_path, probe(source))
        return read_sample(engine, found.path, source, folder, found.name)

    def correct_run(self, run_id: str, request: CorrectRun) -> tuple[Run, bool]:
        """Maps the batch of a run again, with some of its rejects corrected.

        The new run holds the whole batch, and stands for it from then on.

        Args:
            run_id: The run whose rejects were corrected; or one that was corrected before.
            request: The corrected records.

        Returns:
            The run that holds the corrections, and whether this call started it: not, if they change nothing.

        Raises:
            FlowChangedError: The file of the flow version was edited after its first use.
            InvalidRequestError: A record was not rejected, or a column is not there.
            NotFoundError: There is no such run.
            NotReadyError: The run has not ended, or has no rejects.
            SupersededError: The batch was run anew since.
            UnavailableError: The home or its store cannot be used.
        """
        self._sweep_lost()
        store = self._work.store
        asked = store.get(run_id)
        flow = self._flows.load(asked.flow_version)
        base, under_way = run_to_correct(store, asked)
        known = store.correction(base.id)
        earlier = read_corrected(self._uploads, known.corrected) if known and known.corrected else {}
        corrector = Corrector(self._work.executor.engine, self._files)
        corrected = corrector.merged(base, flow, earlier, request.records)
        if corrected == earlier and under_way is None:
            return self._document(base), False
        correction = Correction(base.id, None, keep_corrected(self._uploads, corrected), len(corrected))
        record, created = store.create(
            NewRun(base.flow_version, base.source_path, False, request.run_metadata, correction),
            fingerprint=flow.fingerprint,
            owner=self._work.executor.owner,
        )
        if created:
            self._work.executor.submit(record, flow)
        return self._document(record), created

    def open_upload(self) -> Incoming:
        """A place for a file that is being handed over.

        Raises:
            UnavailableError: The home cannot be written to.
        """
        return self._uploads.open()

    def keep_upload(self, incoming: Incoming, name: str) -> tuple[Upload, bool]:
        """Keeps a file that has arrived as a whole.

        Returns:
            What names it from now on, and whether its content is new here.

        Raises:
            UnavailableError: The home cannot be written to.
        """
        source_path, is_new = self._uploads.keep_file(incoming, name)
        return Upload(source_path=source_path, bytes=incoming.size, sha256=incoming.digest), is_new

    def run(self, run_id: str) -> Run:
        """One run, as it stands.

        Raises:
            NotFoundError: There is none of this id.
        """
        return self._document(self._work.store.get(run_id))

    async def wait_for_run(self, run_id: str, seconds: float, until: Literal["change", "final"]) -> Run:
        """One run, as soon as its status has changed (or is final), at the latest after `seconds`.

        Raises:
            NotFoundError: There is none of this id.
        """
        deadline = time.monotonic() + min(seconds, MAX_WAIT_SECONDS)
        with self._changes.listen(run_id) as changed:
            run = first = await asyncio.to_thread(self._work.store.get, run_id)
            while not run.status.is_final and (until == "final" or run.status is first.status):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                await _wait(changed, min(left, _OTHER_PROCESS_POLL_SECONDS))
                await asyncio.to_thread(self._sweep_lost)
                run = await asyncio.to_thread(self._work.store.get, run_id)
        return await asyncio.to_thread(self._document, run)

    def runs(
        self,
        *,
        flow_version: str | None,
        source_path: str | None,
        statuses: Sequence[RunStatus],
        page: int,
        size: int,
    ) -> Page[Run]:
        """A page of the runs that match, newest first."""
        self._sweep_lost()
        records, total = self._work.store.find(
            flow_version=flow_version, source_path=source_path, statuses=statuses, page=page, size=size
        )
        return _page(self._documents(records), total, page, size)

    def results(self, run_id: str, kind: ResultKind, page: int, size: int) -> Page[dict[str, Any]]:
        """A page of what a run wrote, in the order of the source.

        Raises:
            NotFoundError: There is no such run.
            NotReadyError: The run has not ended, or ended without results.
        """
        record = self._work.store.get(run_id)
        if record.outcome is None:
            raise NotReadyError(
                f"run {run_id} is {record.status.value} and has no results"
                + (f": {record.error_message}" if record.error_message else " yet; wait for its end"),
                run_id=run_id,
            )
        file, counted = (MAPPED, "mapped") if kind == "mapped" else (REJECTS, "rejected")
        total = int(record.outcome["rows"][counted])
        path = self._files.path(run_id, file)
        if not path.is_file():
            raise UnavailableError(f"the file {path} of run {run_id} is gone; force a rerun of its batch")
        items = self._work.executor.engine.results_page(path, (page - 1) * size, size)
        return _page(items, total, page, size)

    async def cancel(self, run_id: str) -> Run:
        """Cancels a run, and waits a short while for it to end. A run that has ended is left as it is.

        Raises:
            NotFoundError: There is no such run.
        """
        await asyncio.to_thread(self._work.store.get, run_id)
        await asyncio.to_thread(self._work.store.request_cancel, run_id)
        self._work.executor.cancel(run_id)
        return await self.wait_for_run(run_id, _CANCEL_CONFIRM_SECONDS, "final")

    def close(self) -> None:
        """Ends the runs of this process as cancelled, and closes the store."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.executor.close()
            opened.store.close()

    def _sweep_lost(self) -> None:
        for run_id in self._work.leases.observe():
            self._files.discard(run_id)
            self._changes.notify(run_id)

    def _document(self, record: RunRecord) -> Run:
        return self._documents([record])[0]

    def _documents(self, records: Sequence[RunRecord]) -> list[Run]:
        corrections = self._work.store.corrections([record.id for record in records])
        return [self._document_of(record, corrections.get(record.id)) for record in records]

    def _document_of(self, record: RunRecord, correction: Correction | None) -> Run:
        outcome = dict(record.outcome or {})
        return Run(
            id=record.id,
            flow_version=record.flow_version,
            source_path=record.source_path,
            status=record.status.value,
            metadata=RunMetadata(
                run=RunInfo(
                    run_id=record.id,
                    flow_version=record.flow_version,
                    source_path=record.source_path,
                    status=record.status.value,
                    created_at=record.created_at,
                    started_at=record.started_at,
                    finished_at=record.finished_at,
                    duration_seconds=_seconds_between(record.started_at, record.finished_at),
                    forced=record.forced,
                ),
                mapper=MapperInfo(
                    version=record.flow_version.partition(":")[2], fingerprint=record.fingerprint
                ),
                rows=outcome.get("rows"),
                validation=outcome.get("validation"),
                source=outcome.get("source"),
                performance=outcome.get("performance"),
                target_locations=self._locations(record, outcome) if outcome else None,
                checksums=outcome.get("checksums"),
                error_message=record.error_message,
                corrects=_correction_info(correction, "corrects"),
                undoes=_correction_info(correction, "undoes"),
                run_metadata=dict(record.run_metadata),
            ),
        )

    def _locations(self, record: RunRecord, outcome: Mapping[str, Any]) -> TargetLocations:
        has_mapped = record.status.has_succeeded
        return TargetLocations(
            mapped=str(self._files.path(record.id, MAPPED)) if has_mapped else None,
            rejects=str(self._files.path(record.id, REJECTS)),
            table=outcome.get("table") if has_mapped else None,
        )


def _correction_info(
    correction: Correction | None, side: Literal["corrects", "undoes"]
) -> CorrectionInfo | None:
    run_id = correction and (correction.corrects if side == "corrects" else correction.undoes)
    return CorrectionInfo(run_id=run_id, records=correction.records) if correction and run_id else None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return
    event.clear()


def _page(items: list[Any], total: int, page: int, size: int) -> Page[Any]:
    return Page(items=items, total=total, page=page, size=size, pages=math.ceil(total / size))


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (_parse(end) - _parse(start)).total_seconds())  # clocks are set back now and then


def _parse(time_text: str) -> datetime:
    return datetime.strptime(time_text, "%Y-%m-%dT%H:%M:%S.%f%z")
