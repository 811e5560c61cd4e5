"""Drives one Lume run for one batch: create or re-attach, wait, cancel on a user's termination.

How a batch comes to its ended run is written once, as a generator that asks for what is to be done: a step of one
batch does it with a blocking client, a step of many with an asynchronous one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product, takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from lume_dagster.assets.metadata import RUN_ID, STATUS, undone_corrections
from lume_dagster.client import (
    AlreadySucceededError,
    ApiError,
    ClientSettings,
    LumeError,
    LumeRun,
    LumeUnavailableError,
    NotFoundError,
    RunTimeoutError,
)
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.resource import LumeResource
from lume_dagster.urls import refuse_credentials

if TYPE_CHECKING:
    from lume_dagster.client import AsyncLumeClient, LumeClient

_TAG_PREFIX = "lume/run."
_MAX_TAG_NAME = 63
CANCEL_SECONDS = 30.0
_FORCE = "dagster_force_rerun"


@dataclass(frozen=True)
class Ask:
    """Asks Lume something. Answered with what it says, or with a `LumeError` thrown.

    Attributes:
        call: Asks a client, blocking or asynchronous: their methods are the same.
        is_for_run: Whether it may begin the run of the batch, and made again gives that run.
    """

    call: Callable[[LumeClient | AsyncLumeClient], Any]
    is_for_run: bool = True


@dataclass(frozen=True)
class Remember:
    """Asks to store the id of the run, so that a retry finds it."""

    run: LumeRun


@dataclass(frozen=True)
class Wait:
    """Asks to wait for the run. Answered with the ended run, or with a `LumeError` thrown."""

    run: LumeRun


Wish: TypeAlias = Ask | Remember | Wait
# Comes to the ended run of a batch; or, on the way there, to a run or None.
Drive: TypeAlias = Generator[Wish, Any, LumeRun]
_Search: TypeAlias = Generator[Wish, Any, LumeRun | None]


class LumeRunHandler:
    """The Lume run of one batch, from within a Dagster step.

    The id of the run is stored with the Dagster run before the first wait, as a tag and as an observation of
    `asset_key`, so that a retry of any kind finds the run again: an active one is re-attached, one that mapped
    the batch is harvested, and only for a failed or crashed one another is created. Where another run has mapped
    the batch since, a correction for instance, that one is harvested.

    Args:
        context: The step.
        lume: The Lume.
        flow_version: The flow version to run.
        source_path: What names the batch.
        asset_key: The asset on which the run's start is observed.
        partition: The batch; that of the step if not given.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lume: LumeResource,
        *,
        flow_version: str,
        source_path: str,
        asset_key: dg.AssetKey,
        partition: str | None = None,
    ) -> None:
        self._context = context
        self._lume = lume
        self._flow_version = flow_version
        self._source_path = source_path
        self._asset_key = asset_key
        self._partition = context.partition_key if partition is None else partition
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
        refuse_if_terminated(self._context)
        with self._cancelled_on_termination():
            return self._perform(self.drive(force_rerun=force_rerun))

    def correct(self, run: LumeRun, records: Mapping[int, Mapping[str, str | None]]) -> LumeRun:
        """Hands in the corrected rejects of a run, and brings the run that holds them to its end.

        An attempt that is made again hands in the same, and gets the same run.

        Args:
            run: The run whose rejects were corrected.
            records: Their corrected texts by row number and source column.

        Returns:
            The ended run, whatever its status.

        Raises:
            LumeError: Lume refused the corrections or could not be reached, or the wait was too long.
            dagster.Failure: A user has terminated the Dagster run.
        """
        self._context.log.info(f"using {self._lume.connection}")
        refuse_if_terminated(self._context)
        with self._cancelled_on_termination():
            return self._perform(self._correction(run, records))

    def drive(self, *, force_rerun: bool) -> Drive:
        """The way of the batch to its ended run, as `complete` goes it."""
        if (adopted := (yield from self._adopted())) is not None:
            return (yield from self._wait(adopted))
        try:
            refuse_credentials(self._source_path)
        except ValueError as error:
            raise LumeError(str(error)) from None
        found, is_spent = yield from self._find(force_rerun)
        run = yield from self._wait(found or (yield from self._create(force_rerun, is_spent=is_spent)))
        if run.crashed and (found is not None or self._is_of_another(run)):
            self._log(f"{run.label} crashed; this attempt did not begin it, and begins another")
            created = yield from self._create(force_rerun, is_spent=not self._is_of_another(run))
            run = yield from self._wait(created)
        return run

    def remember(self, run: LumeRun) -> None:
        """Stores the id of the run with the Dagster run, as an observation."""
        self._earlier_run_id = run.id
        self._context.log_event(
            dg.AssetObservation(
                self._asset_key,
                partition=self._partition,
                metadata={RUN_ID: run.id, STATUS: run.status},
            )
        )

    def _perform(self, drive: Drive) -> LumeRun:
        try:
            wish = next(drive)
            while True:
                try:
                    answer = self._perform_one(wish)
                except LumeError as error:
                    self._current = None
                    wish = drive.throw(error)
                else:
                    wish = drive.send(answer)
        except StopIteration as end:
            run: LumeRun = end.value
            return run

    def _perform_one(self, wish: Wish) -> Any:
        if isinstance(wish, Remember):
            return self._remember(wish.run)
        if isinstance(wish, Ask):
            if wish.is_for_run:
                self._current = wish.call
            return wish.call(self._lume.client)
        run = wish.run
        self._current = lambda _: run
        return self._lume.client.wait(
            run, timeout=self._lume.wait_timeout_seconds, on_status=self._log_status
        )

    @property
    def _tag(self) -> str:
        name = f"{_TAG_PREFIX}{self._flow_version.replace(':', '.')}"
        if len(name) <= _MAX_TAG_NAME:
            return name
        return _TAG_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _adopted(self) -> _Search:
        """The run that somebody else started and this step is to take, however it ended; or one that came after it."""
        adopted = self._context.run.tags.get(ADOPT_RUN_TAG)
        if adopted is None or self._context.retry_number or self._earlier_run_id:
            return None
        run: LumeRun = yield Ask(lambda lume: lume.run_status(adopted))
        if run.flow_version != self._flow_version:
            raise LumeError(
                f"the tag {ADOPT_RUN_TAG} names {run.label}, but this step runs {self._flow_version}; name a run of it"
            )
        standing = yield from self._standing(run)
        if standing is run:
            yield Remember(run)
            self._log(f"{run.label} was started elsewhere; it is taken as it is, {run.status}")
        return standing

    def _find(self, force_rerun: bool) -> Generator[Wish, Any, tuple[LumeRun | None, bool]]:
        """The run of an earlier attempt, if it is one to go on with, and whether a force is spent already.

        It is not, where the earlier attempts were not told to force: a re-execution whose config was changed.
        """
        is_spent = self._earlier_run_id is not None
        for find in (self._remembered, self._unremembered):
            run = yield from find()
            if run is None or run.source_path != self._source_path:
                continue
            is_spent = run.run_metadata.get(_FORCE, "true") == "true"
            if not run.failed and (is_spent or not force_rerun):
                self._log(f"going on with {run.label}, {run.status}, of an earlier attempt")
                return (yield from self._standing(run)), is_spent
        return None, is_spent

    def _standing(self, run: LumeRun) -> Drive:
        """The run itself, or the latest one that has mapped its batch since it ended."""
        if not run.is_final:
            return run
        runs = yield from self._listed(run.source_path)
        later = takewhile(lambda other: other.id != run.id, runs)
        mapped = next((other for other in later if other.is_final and not other.failed), None)
        if mapped is None:
            return run
        yield Remember(mapped)
        self._log(
            f"{mapped.label} has mapped the batch since; its results are taken, and not those of run {run.id}"
        )
        return mapped

    def _listed(self, source_path: str) -> Generator[Wish, Any, Sequence[LumeRun]]:
        """The latest runs of a batch, newest first; none if this Lume lists no runs."""
        try:
            page = yield Ask(lambda client: client.runs(self._flow_version, source_path), is_for_run=False)
        except LumeUnavailableError:
            raise
        except ApiError:
            return ()
        runs: Sequence[LumeRun] = page.items
        return runs

    def _remembered(self) -> _Search:
        """The run whose id an earlier attempt has stored."""
        earlier = self._earlier_run_id
        if earlier is None:
            return None
        try:
            run: LumeRun = yield Ask(lambda client: client.run_status(earlier))
        except NotFoundError:
            self._log(f"Lume does not know run {earlier} of an earlier attempt any more")
            return None
        return run

    def _unremembered(self) -> _Search:
        """The run that an earlier attempt has begun before it died, without having stored its id."""
        if not (self._context.retry_number or self._context.run.parent_run_id):
            return None
        keys = {self._idempotency_key(*told) for told in product((True, False), repeat=2)}
        runs = yield from self._listed(self._source_path)
        run = next((run for run in runs if run.idempotency_key in keys), None)
        if run is not None:
            yield Remember(run)
        return run

    def _correction(self, run: LumeRun, records: Mapping[int, Mapping[str, str | None]]) -> Drive:
        corrected: LumeRun = yield Ask(
            lambda client: client.correct(run, records, self._run_metadata(force_rerun=False))
        )
        yield Remember(corrected)
        return (yield from self._wait(corrected))

    def _create(self, force_rerun: bool, *, is_spent: bool) -> Drive:
        """Begins a run, or finds the one there is; forced only if none of this step and its retries was."""
        force = force_rerun and not is_spent
        key = self._idempotency_key(force, force_rerun)
        try:
            run: LumeRun = yield Ask(
                lambda client: client.run(
                    self._flow_version,
                    self._source_path,
                    run_metadata=self._run_metadata(force_rerun),
                    force_rerun=force,
                    idempotency_key=key,
                )
            )
        except AlreadySucceededError as error:
            return (yield from self._existing(error, forced_before=force_rerun and not force))
        yield Remember(run)
        self._log(f"{run.label} is {run.status}{', forced' if force else ''}")
        if (undone := undone_corrections(run)) is not None:
            self._context.log.warning(undone)
        return run

    def _existing(self, error: AlreadySucceededError, *, forced_before: bool) -> Drive:
        if (existing := error.run_id) is None:
            raise error
        if forced_before:
            raise LumeError(
                f"the rerun of {self._source_path!r} that this step forced has failed, and Lume keeps the earlier "
                f"run {existing}; launch the batch again with force_rerun: true"
            ) from error
        if self._lume.on_existing == "fail":
            raise LumeError(
                f"{error} (on_existing is 'fail'; set it to 'reuse' to take that run's results, or launch with "
                "force_rerun: true)"
            ) from error
        run: LumeRun = yield Ask(lambda client: client.run_status(existing), is_for_run=False)
        self._log(f"{run.label} has mapped this batch before ({run.status}); its results are taken")
        return run

    def _wait(self, run: LumeRun) -> Drive:
        if run.is_final:
            return run
        try:
            ended: LumeRun = yield Wait(run)
        except (LumeUnavailableError, RunTimeoutError):
            self._log(
                f"the wait for {run.label} is given up, and the run goes on in Lume. A retry or re-execution of this "
                "step finds it again, and so does another launch of the partition"
            )
            raise
        return ended

    @cached_property
    def _earlier_run_id(self) -> str | None:
        """The run of an earlier attempt, or the one that this attempt has stored since."""
        # The stored run has what an earlier attempt of this step wrote; the context's is as it was at the start.
        stored = self._context.instance.get_run_by_id(self._context.run.run_id)
        return (stored or self._context.run).tags.get(self._tag)

    def _remember(self, run: LumeRun) -> None:
        self._context.instance.add_run_tags(self._context.run.run_id, {self._tag: run.id})
        self.remember(run)

    @property
    def _root_run_id(self) -> str:
        return self._context.run.root_run_id or self._context.run.run_id

    def _run_metadata(self, force_rerun: bool) -> dict[str, str]:
        return {
            # Part of the request that the Idempotency-Key names: the same for every re-execution.
            "dagster_run_id": self._root_run_id,
            "dagster_job": self._context.job_name,
            "dagster_partition": self._partition,
            # Whether a rerun was asked for, though a retry after the forced run does not force again.
            _FORCE: "true" if force_rerun else "false",
        }

    def _idempotency_key(self, force: bool, force_rerun: bool) -> str:
        earlier = self._earlier_run_id or ""
        batch = [self._root_run_id, self._flow_version, self._source_path]
        parts = [*batch, str(force), str(force_rerun), earlier]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _is_of_another(self, run: LumeRun) -> bool:
        """Whether a run was begun by neither this Dagster run nor one that it re-executes."""
        return bool(run.run_metadata.get("dagster_run_id", self._root_run_id) != self._root_run_id)

    def _log(self, message: str) -> None:
        self._context.log.info(message)

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
        if self._lume.on_interrupt == "leave" or not is_being_terminated(self._context):
            self._context.log.info("interrupted: the Lume run goes on, and a retry will find it again")
            return
        settings = ClientSettings(request_timeout=CANCEL_SECONDS, outage_budget_seconds=CANCEL_SECONDS)
        try:
            with self._lume.connection.model_copy(update={"settings": settings}).open() as client:
                # A create that was interrupted may have been heard or not: made again it gives the run in either
                # case, and none can begin after it.
                run = client.cancel(current(client), timeout=CANCEL_SECONDS)
            self._context.log.info(f"terminated: {run.label} is {run.status}")
        except LumeError as error:
            self._context.log.warning(f"terminated, but the Lume run is not cancelled and may go on: {error}")


def is_being_terminated(context: dg.AssetExecutionContext) -> bool:
    """Whether it is a user who ends the Dagster run of a step, and not the machine."""
    stored = context.instance.get_run_by_id(context.run.run_id)
    return stored is not None and stored.status is dg.DagsterRunStatus.CANCELING


def refuse_if_terminated(context: dg.AssetExecutionContext) -> None:
    """Keeps a step from beginning after a user has terminated its Dagster run.

    Raises:
        dagster.Failure: A user has; the step's retry policy asks for another attempt.
    """
    if is_being_terminated(context):
        raise dg.Failure("the Dagster run is being terminated", allow_retries=False)
