"""The step of many batches in one Dagster run: write, audit and publish each of them.

It is one step: were the audit a step of its own, one batch that cannot be written would keep all from it.
"""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from lume_dagster.assets.attempts import already_logged
from lume_dagster.assets.batch_events import BatchEvents, Event, failure_of
from lume_dagster.assets.concurrent_runs import ConcurrentRuns, Ended, Started, UnderWay
from lume_dagster.assets.history import Attempts, EarlierRows, Subject, run_id_of
from lume_dagster.assets.partition_events import PartitionTeller
from lume_dagster.assets.progress import Progress
from lume_dagster.assets.run_handler import (
    Ask,
    Drive,
    LumeRunHandler,
    is_being_terminated,
    refuse_if_terminated,
)
from lume_dagster.assets.steps import FlowSteps, admission, force_tag
from lume_dagster.checks.judging import status_verdict
from lume_dagster.checks.lume_checks import STATUS_CHECK
from lume_dagster.checks.verdict import Batch, Verdict
from lume_dagster.client import LumeError, LumeRun
from lume_dagster.config import LumeBackfillConfig, config_schema, step_config
from lume_dagster.resource import LumeResource

Verdicts = Mapping[str, Verdict]

_logger = logging.getLogger("lume_dagster")

_MOST_BATCHES_NAMED = 20
_MOST_BATCHES_LISTED = 1000


def backfill_step(steps: FlowSteps) -> dg.AssetsDefinition:
    """The step that takes a range of batches the whole way, many at once.

    Good batches are published, bad ones are not; if there are any, the step fails in the end and lists them. Its
    retry or re-execution touches only what is missing.
    """

    @dg.multi_asset(
        name=f"{steps.op_name}__batches",
        specs=[steps.run, steps.rejects, steps.mapped],
        check_specs=[steps.status_check_spec, *steps.mapped_check_specs],
        config_schema=config_schema(LumeBackfillConfig),
        required_resource_keys={steps.resource_key},
        retry_policy=steps.retry_policy,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=steps.pool,
    )
    def batches(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        lume = steps.lume(context)
        try:
            events = steps.events(lume)
        except LumeError as error:
            raise failure_of(error, steps.props.flow_version) from error
        _Backfill(context, step_config(context, LumeBackfillConfig), steps, lume, events).execute()
        yield from _handed_on(context, steps)

    return batches


def _handed_on(
    context: dg.AssetExecutionContext, steps: FlowSteps
) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
    """Lets the steps after this one begin."""
    for spec in (steps.run, steps.rejects, steps.mapped):
        if spec.key in context.selected_asset_keys:
            # Each batch has been told of; else Dagster would materialize all of them, with one and the same version.
            yield already_logged(spec.key)
    for check in (steps.status_check_spec, *steps.mapped_check_specs):
        if check.key in context.selected_asset_check_keys:
            yield dg.Output(None, output_name=check.get_python_identifier())


class _BatchRunHandler(LumeRunHandler):
    """The Lume run of one batch of many: its id is kept by an observation alone, a tag for each would be too many.

    Args:
        earlier_run_id: The run that an earlier attempt left.
        options: As for `LumeRunHandler`.
    """

    def __init__(self, *arguments: Any, earlier_run_id: str | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._earlier_run_id = earlier_run_id

    def _log(self, message: str) -> None:
        _logger.debug(message)


class _Backfill:
    """One execution of the step."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        config: LumeBackfillConfig,
        steps: FlowSteps,
        lume: LumeResource,
        events: BatchEvents,
    ) -> None:
        self._context = context
        self._steps = steps
        self._lume = lume
        self._events = events
        self._admitted = admission(config)
        self._force_rerun = config.force_rerun or force_tag(context)
        self._attempts = Attempts(context.instance, context.run, steps.run.key)
        self._earlier = EarlierRows(context.instance, steps.run.key, steps.run.partitions_def)
        self._assets = context.selected_asset_keys
        self._checks = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
        self._shown = frozenset(name for key, name in self._checks if key == steps.mapped.key)
        self._publishes = steps.mapped.key in self._assets
        self._handlers: dict[str, _BatchRunHandler] = {}
        self._failures: dict[str, dg.Failure] = {}

    def execute(self) -> None:
        """Takes the batches the whole way.

        Raises:
            dagster.Failure: Some of them went no further.
        """
        refuse_if_terminated(self._context)
        asked = list(self._context.partition_keys)
        subjects: list[Subject] = [(key, None) for key in self._assets] + list(self._checks)
        finished = {p for p in asked if self._attempts.has_finished(subjects, p)}
        self._repeat_checks(finished)
        missing = [p for p in asked if p not in finished]
        told = f"{len(missing)} batches, at most {self._lume.max_concurrent_runs} at once"
        if finished:
            told += f"; an earlier attempt has finished {len(finished)} more"
        self._context.log.info(f"using {self._lume.connection}: {told}")
        drives = {p: found for p in missing if (found := self._drive(p)) is not None}
        progress = Progress(len(drives), self._context.log.info)
        with ConcurrentRuns(
            self._lume.connection.open_async,
            drives,
            self._judge,
            at_once=self._lume.max_concurrent_runs,
            wait_timeout=self._lume.wait_timeout_seconds,
        ) as runs:
            try:
                for news in runs.news(at_least_every=progress.every):
                    if isinstance(news, Started):
                        self._handlers[news.partition].remember(news.run)
                        news.stored()
                    elif isinstance(news, UnderWay):
                        progress.started(news.partition)
                    elif news is not None:
                        self._tell_of(news)
                        progress.ended(news.partition, rejected=news.partition in self._failures)
                    progress.tell()
            except dg.DagsterExecutionInterruptedError:
                self._leave(runs)
                raise
        self._context.log.info(progress.line())
        if self._failures:
            raise self._failure(len(asked))

    def _repeat_checks(self, finished: Iterable[str]) -> None:
        """Tells the check results of an earlier run's batches again: Dagster expects them of each run."""
        for partition in finished:
            for check in self._checks:
                told = self._attempts.told(check, partition)
                if told and told.evaluation and told.dagster_run_id != self._context.run.run_id:
                    self._context.log_event(told.evaluation)

    def _drive(self, partition: str) -> Drive | None:
        """The way of a batch to its ended run; None if it can have none."""
        if self._assets & {self._steps.run.key, self._steps.rejects.key}:
            handler = self._handlers[partition] = _BatchRunHandler(
                self._context,
                self._lume,
                flow_version=self._steps.props.flow_version,
                source_path=self._steps.path_of(partition),
                asset_key=self._steps.run.key,
                partition=partition,
                earlier_run_id=self._attempts.run_ids.get(partition),
            )
            return handler.drive(force_rerun=self._force_rerun)
        try:
            return _known(run_id_of(self._context.instance, self._steps.run.key, partition))
        except dg.Failure as failure:
            self._failures[partition] = failure
            return None

    def _judge(self, partition: str, run: LumeRun) -> Verdicts:
        if not status_verdict(run).passed:
            return {}
        batch = Batch(run, self._lume.client, self._events.flow, lambda: self._earlier.beside(partition, run))
        return {
            check.name: check.judge(batch)
            for check in self._steps.checks
            if self._publishes or check.name in self._shown
        }

    def _tell_of(self, ended: Ended[Verdicts]) -> None:
        run, partition = ended.run, ended.partition
        if run is None or ended.error is not None:
            self._failures[partition] = self._failure_of(ended.error)
            return
        teller = PartitionTeller(self._context, self._steps, self._attempts, partition, run)
        try:
            for event in self._events_of(run, ended.audit or {}):
                teller.tell(event)
        except dg.Failure as failure:
            self._failures[partition] = failure
        self._earlier.add(partition, run)

    def _failure_of(self, error: Exception | None) -> dg.Failure:
        if isinstance(error, LumeError):
            return failure_of(error, self._steps.props.flow_version)
        return dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False)

    def _events_of(self, run: LumeRun, verdicts: Verdicts) -> Iterator[Event]:
        if self._handlers or (self._steps.run.key, STATUS_CHECK) in self._checks:
            yield from self._events.written(run)
        if self._publishes or self._shown:
            self._events.refuse_unmapped(run)
            yield from self._events.audited(
                run, verdicts, publishes=self._publishes, shown=self._shown, admitted=self._admitted
            )

    def _leave(self, runs: ConcurrentRuns[Verdicts]) -> None:
        """Ends the Lume runs under way, if a user terminates the step; else they go on."""
        cancels = self._lume.on_interrupt == "cancel" and is_being_terminated(self._context)
        left = runs.stop(cancel=cancels)
        if cancels:
            ended = sum(run.is_final for run in left)
            self._context.log.info(f"terminated: {ended} of {len(left)} Lume runs under way are cancelled")
        else:
            self._context.log.info(
                f"interrupted: {len(left)} Lume runs go on, and a retry will find them again"
            )

    def _failure(self, asked: int) -> dg.Failure:
        in_order = sorted(self._failures.items())
        named = "\n".join(
            f"{partition}: {failure.description}" for partition, failure in in_order[:_MOST_BATCHES_NAMED]
        )
        more = len(in_order) - _MOST_BATCHES_NAMED
        return dg.Failure(
            f"{len(in_order)} of {asked} batches went no further; the others are done, and a re-execution "
            f"leaves them as they are.\n{named}" + (f"\nand {more} more" if more > 0 else ""),
            metadata={
                "lume/failed_batches": dg.MetadataValue.table(
                    [
                        dg.TableRecord({"batch": partition, "reason": failure.description or ""})
                        for partition, failure in in_order[:_MOST_BATCHES_LISTED]
                    ]
                )
            },
            allow_retries=any(failure.allow_retries for failure in self._failures.values()),
        )


def _known(run_id: str) -> Drive:
    run: LumeRun = yield Ask(lambda lume: lume.run_status(run_id))
    return run
