"""Drives one Lume run for one batch: create or re-attach, wait, cancel on a user's termination."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lume_dagster.client import AlreadySucceededError, LumeError, LumeRun, NotFoundError
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.resource import LumeResource

_TAG_PREFIX = "lume/run."
_MAX_TAG_NAME = 63


class LumeRunHandler:
    """The Lume run of one batch, from within a Dagster step.

    The id of the run is stored with the Dagster run before the first wait, as a tag and as an observation of
    `asset_key`, so that a retry of any kind finds the run again: an active one is re-attached, one that mapped
    the batch is harvested, and only for a failed or crashed one another is created.

    Args:
        context: The step.
        lume: The Lume.
        flow_version: The flow version to run.
        source_path: What names the batch.
        asset_key: The asset on which the run's start is observed.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lume: LumeResource,
        *,
        flow_version: str,
        source_path: str,
        asset_key: dg.AssetKey,
    ) -> None:
        self._context = context
        self._lume = lume
        self._flow_version = flow_version
        self._source_path = source_path
        self._asset_key = asset_key

    def complete(self, *, force_rerun: bool) -> LumeRun:
        """Brings the batch to the end of its run.

        Args:
            force_rerun: Whether to run it again if Lume has mapped it before. Heeded once: a retry harvests
                or re-attaches what the first attempt forced.

        Returns:
            The ended run, whatever its status.

        Raises:
            LumeError: Lume refused the request or could not be reached, or the wait was too long.
        """
        self._context.log.info(f"using {self._lume.connection}")
        run = self._adopted() or self._find() or self._create(force_rerun=force_rerun)
        if run.is_final:
            return run
        with self._cancelled_on_termination(run):
            return self._lume.client.wait(
                run, timeout=self._lume.wait_timeout_seconds, on_status=self._log_status
            )

    @property
    def _tag(self) -> str:
        name = f"{_TAG_PREFIX}{self._flow_version.replace(':', '.')}"
        if len(name) <= _MAX_TAG_NAME:
            return name
        return _TAG_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _adopted(self) -> LumeRun | None:
        """The run that somebody else started and this step is to take, however it ended."""
        adopted = self._context.run.tags.get(ADOPT_RUN_TAG)
        if adopted is None or self._context.retry_number or self._earlier_run_id():
            return None
        run = self._lume.client.run_status(adopted)
        if run.flow_version != self._flow_version:
            raise LumeError(
                f"the tag {ADOPT_RUN_TAG} names {run.label}, but this step runs {self._flow_version}; name a run of it"
            )
        self._remember(run)
        self._context.log.info(f"{run.label} was started elsewhere; it is taken as it is, {run.status}")
        return run

    def _find(self) -> LumeRun | None:
        """The run of an earlier attempt, if it is one to go on with."""
        earlier = self._earlier_run_id()
        if earlier is None:
            return None
        try:
            run = self._lume.client.run_status(earlier)
        except NotFoundError:
            self._context.log.warning(f"Lume does not know run {earlier} of an earlier attempt any more")
            return None
        if run.failed or run.source_path != self._source_path:
            return None
        self._context.log.info(f"going on with {run.label}, {run.status}, of an earlier attempt")
        return run

    def _create(self, *, force_rerun: bool) -> LumeRun:
        earlier = self._earlier_run_id()
        force = force_rerun and earlier is None
        try:
            run = self._lume.client.run(
                self._flow_version,
                self._source_path,
                run_metadata=self._run_metadata(),
                force_rerun=force,
                idempotency_key=self._idempotency_key(earlier, force=force),
            )
        except AlreadySucceededError as error:
            return self._existing(error, forced_before=force_rerun and not force)
        self._remember(run)
        if run.failed and earlier is None:
            # An earlier attempt made it, and died before it could remember it.
            return self._create(force_rerun=force_rerun)
        self._context.log.info(f"{run.label} is {run.status}{', forced' if force else ''}")
        return run

    def _existing(self, error: AlreadySucceededError, *, forced_before: bool) -> LumeRun:
        if error.run_id is None:
            raise error
        if forced_before:
            raise LumeError(
                f"the rerun of {self._source_path!r} that this step forced has failed, and Lume keeps the earlier "
                f"run {error.run_id}; launch the batch again with force_rerun: true"
            ) from error
        if self._lume.on_existing == "fail":
            raise LumeError(
                f"{error} (on_existing is 'fail'; set it to 'reuse' to take that run's results, or launch with "
                "force_rerun: true)"
            ) from error
        run = self._lume.client.run_status(error.run_id)
        self._context.log.info(
            f"{run.label} has mapped this batch before ({run.status}); its results are taken"
        )
        return run

    def _earlier_run_id(self) -> str | None:
        # The stored run has what an earlier attempt of this step wrote; the context's is as it was at the start.
        stored = self._context.instance.get_run_by_id(self._context.run.run_id)
        return (stored or self._context.run).tags.get(self._tag)

    def _remember(self, run: LumeRun) -> None:
        self._context.instance.add_run_tags(self._context.run.run_id, {self._tag: run.id})
        self._context.log_event(
            dg.AssetObservation(
                self._asset_key,
                partition=self._context.partition_key,
                metadata={"lume/run_id": run.id, "lume/status": run.status},
            )
        )

    @property
    def _root_run_id(self) -> str:
        return self._context.run.root_run_id or self._context.run.run_id

    def _run_metadata(self) -> dict[str, str]:
        return {
            # Part of the request that the Idempotency-Key names: the same for every re-execution.
            "dagster_run_id": self._root_run_id,
            "dagster_job": self._context.job_name,
            "dagster_partition": self._context.partition_key,
        }

    def _idempotency_key(self, earlier: str | None, *, force: bool) -> str:
        parts = [self._root_run_id, self._flow_version, self._source_path, str(force), earlier or ""]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _log_status(self, run: LumeRun) -> None:
        self._context.log.info(f"Lume run {run.id} is {run.status}")

    @contextmanager
    def _cancelled_on_termination(self, run: LumeRun) -> Iterator[None]:
        try:
            yield
        except dg.DagsterExecutionInterruptedError:
            if self._lume.on_interrupt == "cancel" and self._is_being_terminated():
                cancelled = self._lume.client.cancel(run)
                self._context.log.info(f"terminated: {cancelled.label} is {cancelled.status}")
            else:
                self._context.log.info(f"interrupted: {run.label} goes on, and a retry will find it again")
            raise

    def _is_being_terminated(self) -> bool:
        stored = self._context.instance.get_run_by_id(self._context.run.run_id)
        return stored is not None and stored.status is dg.DagsterRunStatus.CANCELING
