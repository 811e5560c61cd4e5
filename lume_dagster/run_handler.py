"""Drives one Lume run for one batch: create or re-attach, wait, cancel on a user's termination.

How a batch finds or gets its run is written once, as a generator that asks for what is to be done: a step of one
batch does it with a blocking client, a step of many with an asynchronous one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import dagster as dg

from lume_dagster.client import AlreadySucceededError, LumeError, LumeRun, NotFoundError
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.resource import LumeResource

if TYPE_CHECKING:
    from lume_dagster.client import AsyncLumeClient, LumeClient

_TAG_PREFIX = "lume/run."
_MAX_TAG_NAME = 63


@dataclass(frozen=True)
class Ask:
    """Asks Lume something. Answered with the run, or with a `LumeError` thrown."""

    call: Callable[[LumeClient | AsyncLumeClient], LumeRun | Awaitable[LumeRun]]


@dataclass(frozen=True)
class Remember:
    """Asks to store the id of a run, so that a retry finds it."""

    run: LumeRun


# Ends in the run of a batch, which may be active or final.
Attachment: TypeAlias = Generator[Ask | Remember, LumeRun, LumeRun]


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
        run = self._perform(self.attach(force_rerun=force_rerun))
        if run.is_final:
            return run
        with self._cancelled_on_termination(run):
            return self._lume.client.wait(
                run, timeout=self._lume.wait_timeout_seconds, on_status=self._log_status
            )

    def attach(self, *, force_rerun: bool) -> Attachment:
        """Finds the run of the batch that an earlier attempt left, or creates one.

        Args:
            force_rerun: As for `complete`.

        Returns:
            The run, active or final.

        Raises:
            LumeError: As for `complete`.
        """
        found = (yield from self._adopted()) or (yield from self._find())
        return found or (yield from self._create(force_rerun=force_rerun))

    def remember(self, run: LumeRun) -> None:
        """Stores the id of the run with the Dagster run, as an observation."""
        self._context.log_event(
            dg.AssetObservation(
                self._asset_key,
                partition=self._partition,
                metadata={"lume/run_id": run.id, "lume/status": run.status},
            )
        )

    def _perform(self, attachment: Attachment) -> LumeRun:
        try:
            wish = next(attachment)
            while True:
                if isinstance(wish, Remember):
                    self._remember(wish.run)
                    wish = attachment.send(wish.run)
                    continue
                try:
                    answer = wish.call(self._lume.client)
                except LumeError as error:
                    wish = attachment.throw(error)
                else:
                    wish = attachment.send(cast(LumeRun, answer))
        except StopIteration as end:
            run: LumeRun = end.value
            return run

    @property
    def _tag(self) -> str:
        name = f"{_TAG_PREFIX}{self._flow_version.replace(':', '.')}"
        if len(name) <= _MAX_TAG_NAME:
            return name
        return _TAG_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _adopted(self) -> Generator[Ask | Remember, LumeRun, LumeRun | None]:
        """The run that somebody else started and this step is to take, however it ended."""
        adopted = self._context.run.tags.get(ADOPT_RUN_TAG)
        if adopted is None or self._context.retry_number or self._earlier_run_id():
            return None
        run = yield Ask(lambda lume: lume.run_status(adopted))
        if run.flow_version != self._flow_version:
            raise LumeError(
                f"the tag {ADOPT_RUN_TAG} names {run.label}, but this step runs {self._flow_version}; name a run of it"
            )
        yield Remember(run)
        self._log(f"{run.label} was started elsewhere; it is taken as it is, {run.status}")
        return run

    def _find(self) -> Generator[Ask | Remember, LumeRun, LumeRun | None]:
        """The run of an earlier attempt, if it is one to go on with."""
        earlier = self._earlier_run_id()
        if earlier is None:
            return None
        try:
            run = yield Ask(lambda lume: lume.run_status(earlier))
        except NotFoundError:
            self._log(f"Lume does not know run {earlier} of an earlier attempt any more")
            return None
        if run.failed or run.source_path != self._source_path:
            return None
        self._log(f"going on with {run.label}, {run.status}, of an earlier attempt")
        return run

    def _create(self, *, force_rerun: bool) -> Attachment:
        earlier = self._earlier_run_id()
        force = force_rerun and earlier is None
        try:
            run = yield Ask(
                lambda lume: lume.run(
                    self._flow_version,
                    self._source_path,
                    run_metadata=self._run_metadata(),
                    force_rerun=force,
                    idempotency_key=self._idempotency_key(earlier, force=force),
                )
            )
        except AlreadySucceededError as error:
            return (yield from self._existing(error, forced_before=force_rerun and not force))
        yield Remember(run)
        if run.failed and earlier is None:
            # An earlier attempt made it, and died before it could remember it.
            return (yield from self._create(force_rerun=force_rerun))
        self._log(f"{run.label} is {run.status}{', forced' if force else ''}")
        return run

    def _existing(self, error: AlreadySucceededError, *, forced_before: bool) -> Attachment:
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
        run = yield Ask(lambda lume: lume.run_status(existing))
        self._log(f"{run.label} has mapped this batch before ({run.status}); its results are taken")
        return run

    def _earlier_run_id(self) -> str | None:
        # The stored run has what an earlier attempt of this step wrote; the context's is as it was at the start.
        stored = self._context.instance.get_run_by_id(self._context.run.run_id)
        return (stored or self._context.run).tags.get(self._tag)

    def _remember(self, run: LumeRun) -> None:
        self._context.instance.add_run_tags(self._context.run.run_id, {self._tag: run.id})
        self.remember(run)

    @property
    def _root_run_id(self) -> str:
        return self._context.run.root_run_id or self._context.run.run_id

    def _run_metadata(self) -> dict[str, str]:
        return {
            # Part of the request that the Idempotency-Key names: the same for every re-execution.
            "dagster_run_id": self._root_run_id,
            "dagster_job": self._context.job_name,
            "dagster_partition": self._partition,
        }

    def _idempotency_key(self, earlier: str | None, *, force: bool) -> str:
        parts = [self._root_run_id, self._flow_version, self._source_path, str(force), earlier or ""]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _log(self, message: str) -> None:
        self._context.log.info(message)

    def _log_status(self, run: LumeRun) -> None:
        self._context.log.info(f"Lume run {run.id} is {run.status}")

    @contextmanager
    def _cancelled_on_termination(self, run: LumeRun) -> Iterator[None]:
        try:
            yield
        except dg.DagsterExecutionInterruptedError:
            if self._lume.on_interrupt == "cancel" and is_being_terminated(self._context):
                cancelled = self._lume.client.cancel(run)
                self._context.log.info(f"terminated: {cancelled.label} is {cancelled.status}")
            else:
                self._context.log.info(f"interrupted: {run.label} goes on, and a retry will find it again")
            raise


def is_being_terminated(context: dg.AssetExecutionContext) -> bool:
    """Whether it is a user who ends the Dagster run of a step, and not the machine."""
    stored = context.instance.get_run_by_id(context.run.run_id)
    return stored is not None and stored.status is dg.DagsterRunStatus.CANCELING
