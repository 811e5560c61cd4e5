"""Drives one Lume run for one batch: create or re-attach, wait, cancel on a user's termination."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import dagster as dg

from lume_dagster.client import (
    AlreadySucceededError,
    ApiError,
    ClientSettings,
    LumeClient,
    LumeError,
    LumeRun,
    LumeUnavailableError,
    NotFoundError,
    RunTimeoutError,
)
from lume_dagster.resource import LumeResource

_TAG_PREFIX = "lume/run."
_MAX_TAG_NAME = 63
_CANCEL_SECONDS = 30.0
_FORCE = "dagster_force_rerun"


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
        # The run that is to be cancelled on a termination: how to get it, once a request for it may be under way.
        self._current: Callable[[LumeClient], LumeRun] | None = None

    def complete(self, *, force_rerun: bool) -> LumeRun:
        """Brings the batch to the end of its run.

        Args:
            force_rerun: Whether to run it again if Lume has mapped it before. Heeded once: a retry harvests
                or re-attaches what the first attempt forced.

        Returns:
            The ended run, whatever its status.

        Raises:
            LumeError: Lume refused the request or could not be reached, or the wait was too long.
            dagster.Failure: A user has terminated the Dagster run; its retry policy asks for another attempt.
        """
        self._context.log.info(f"using {self._lume.connection}")
        if self._is_being_terminated():
            raise dg.Failure("the Dagster run is being terminated", allow_retries=False)
        with self._cancelled_on_termination():
            found, is_spent = self._find(force_rerun)
            run = self._wait(found or self._create(force_rerun, is_spent=is_spent))
            if run.crashed and (found is not None or self._is_of_another(run)):
                self._context.log.warning(
                    f"{run.label} crashed; this attempt did not begin it, and begins another"
                )
                run = self._wait(self._create(force_rerun, is_spent=not self._is_of_another(run)))
        return run

    @property
    def _tag(self) -> str:
        name = f"{_TAG_PREFIX}{self._flow_version.replace(':', '.')}"
        if len(name) <= _MAX_TAG_NAME:
            return name
        return _TAG_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _find(self, force_rerun: bool) -> tuple[LumeRun | None, bool]:
        """The run of an earlier attempt, if it is one to go on with, and whether a force is spent already.

        It is not, where the earlier attempts were not told to force: a re-execution whose config was changed.
        """
        is_spent = self._earlier_run_id() is not None
        for find in (self._remembered, self._unremembered):
            run = find()
            if run is None or run.source_path != self._source_path:
                continue
            is_spent = run.run_metadata.get(_FORCE, "true") == "true"
            if not run.failed and (is_spent or not force_rerun):
                self._context.log.info(f"going on with {run.label}, {run.status}, of an earlier attempt")
                return run, is_spent
        return None, is_spent

    def _remembered(self) -> LumeRun | None:
        """The run whose id an earlier attempt has stored."""
        earlier = self._earlier_run_id()
        if earlier is None:
            return None
        self._current = lambda client: client.run_status(earlier)
        try:
            return self._lume.client.run_status(earlier)
        except NotFoundError:
            self._context.log.warning(f"Lume does not know run {earlier} of an earlier attempt any more")
            return None

    def _unremembered(self) -> LumeRun | None:
        """The run that an earlier attempt has begun before it died, without having stored its id."""
        if not (self._context.retry_number or self._context.run.parent_run_id):
            return None
        keys = {self._idempotency_key(*told) for told in product((True, False), repeat=2)}
        try:
            runs = self._lume.client.runs(self._flow_version, self._source_path).items
        except LumeUnavailableError:
            raise
        except ApiError:  # this Lume lists no runs
            return None
        run = next((run for run in runs if run.idempotency_key in keys), None)
        if run is not None:
            self._remember(run)
        return run

    def _create(self, force_rerun: bool, *, is_spent: bool) -> LumeRun:
        """Begins a run, or finds the one there is; forced only if none of this step and its retries was."""
        force = force_rerun and not is_spent
        key = self._idempotency_key(force, force_rerun)

        def create(client: LumeClient) -> LumeRun:
            return client.run(
                self._flow_version,
                self._source_path,
                run_metadata=self._run_metadata(force_rerun),
                force_rerun=force,
                idempotency_key=key,
            )

        self._current = create
        try:
            run = create(self._lume.client)
        except AlreadySucceededError as error:
            self._current = None
            return self._existing(error, forced_before=force_rerun and not force)
        self._remember(run)
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

    def _wait(self, run: LumeRun) -> LumeRun:
        if run.is_final:
            return run
        self._current = lambda _: run
        try:
            return self._lume.client.wait(
                run, timeout=self._lume.wait_timeout_seconds, on_status=self._log_status
            )
        except (LumeUnavailableError, RunTimeoutError):
            self._context.log.warning(
                f"the wait for {run.label} is given up, and the run goes on in Lume. A retry or re-execution of this "
                "step finds it again, and so does another launch of the partition"
            )
            raise

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

    def _run_metadata(self, force_rerun: bool) -> dict[str, str]:
        return {
            # Part of the request that the Idempotency-Key names: the same for every re-execution.
            "dagster_run_id": self._root_run_id,
            "dagster_job": self._context.job_name,
            "dagster_partition": self._context.partition_key,
            # Whether a rerun was asked for, though a retry after the forced run does not force again.
            _FORCE: "true" if force_rerun else "false",
        }

    def _idempotency_key(self, force: bool, force_rerun: bool) -> str:
        earlier = self._earlier_run_id() or ""
        batch = [self._root_run_id, self._flow_version, self._source_path]
        parts = [*batch, str(force), str(force_rerun), earlier]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _is_of_another(self, run: LumeRun) -> bool:
        """Whether a run was begun by neither this Dagster run nor one that it re-executes."""
        return bool(run.run_metadata.get("dagster_run_id", self._root_run_id) != self._root_run_id)

    def _log_status(self, run: LumeRun) -> None:
        self._context.log.info(f"Lume run {run.id} is {run.status}")

    @contextmanager
    def _cancelled_on_termination(self) -> Iterator[None]:
        try:
            yield
        except dg.DagsterExecutionInterruptedError:
            if self._current is not None:
                self._leave_or_cancel(self._current)
            raise

    def _leave_or_cancel(self, current: Callable[[LumeClient], LumeRun]) -> None:
        if self._lume.on_interrupt == "leave" or not self._is_being_terminated():
            self._context.log.info("interrupted: the Lume run goes on, and a retry will find it again")
            return
        settings = ClientSettings(request_timeout=_CANCEL_SECONDS, outage_budget_seconds=_CANCEL_SECONDS)
        try:
            with self._lume.connection.model_copy(update={"settings": settings}).open() as client:
                # A create that was interrupted may have been heard or not: made again it gives the run in either
                # case, and none can begin after it.
                run = client.cancel(current(client), timeout=_CANCEL_SECONDS)
            self._context.log.info(f"terminated: {run.label} is {run.status}")
        except LumeError as error:
            self._context.log.warning(f"terminated, but the Lume run is not cancelled and may go on: {error}")

    def _is_being_terminated(self) -> bool:
        stored = self._context.instance.get_run_by_id(self._context.run.run_id)
        return stored is not None and stored.status is dg.DagsterRunStatus.CANCELING
