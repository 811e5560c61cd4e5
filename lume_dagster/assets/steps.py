"""The steps of one batch a Dagster run: write, then audit and publish."""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from lume_dagster.assets.attempts import untold
from lume_dagster.assets.batch_events import BatchEvents, Event, failure_of
from lume_dagster.assets.history import EarlierRows, run_id_of
from lume_dagster.assets.run_handler import LumeRunHandler
from lume_dagster.assets.translator import LumeAssetProps
from lume_dagster.checks.judging import status_verdict
from lume_dagster.checks.lume_checks import STATUS_CHECK
from lume_dagster.checks.verdict import Batch, LumeCheck
from lume_dagster.client import LumeError, LumeRun
from lume_dagster.config import FORCE_RERUN_TAG, LumeAuditConfig, LumeRunConfig, config_schema, step_config
from lume_dagster.resource import LumeResource


@dataclass(frozen=True)
class FlowSteps:
    """What the steps of a flow version are made from.

    Attributes:
        props: The flow version.
        run: The asset of the runs.
        rejects: The asset of the rejects.
        mapped: The asset of the mapped output.
        source_key: The asset that stands for the source, or for want of one that of the runs.
        path_of: The source path of a partition.
        checks: The checks on the mapped output.
        resource_key: Key of the `LumeResource`.
        retry_policy: How often a run, or an audit that Lume was out of reach for, is tried again.
        pool: The pool that the step which starts Lume runs takes part in.
    """

    props: LumeAssetProps
    run: dg.AssetSpec
    rejects: dg.AssetSpec
    mapped: dg.AssetSpec
    source_key: dg.AssetKey
    path_of: Callable[[str], str]
    checks: Sequence[LumeCheck]
    resource_key: str
    retry_policy: dg.RetryPolicy | None
    pool: str | None

    @property
    def op_name(self) -> str:
        """What the names of the steps begin with."""
        return f"{self.props.name.replace('-', '_')}__{self.props.version}"

    @property
    def status_check_spec(self) -> dg.AssetCheckSpec:
        """The check on the runs."""
        check = LumeCheck(
            STATUS_CHECK,
            "The Lume run mapped the batch, wholly or in part.",
            False,
            lambda batch: status_verdict(batch.run),
        )
        return check.spec(self.run.key, self.run.partitions_def)

    @property
    def mapped_check_specs(self) -> list[dg.AssetCheckSpec]:
        """The checks on the mapped output."""
        return [check.spec(self.mapped.key, self.mapped.partitions_def) for check in self.checks]

    def lume(self, context: dg.AssetExecutionContext) -> LumeResource:
        """The Lume of a step."""
        lume: LumeResource = getattr(context.resources, self.resource_key)
        return lume

    def events(self, lume: LumeResource) -> BatchEvents:
        """What makes the events of the batches.

        Raises:
            LumeError: Lume does not tell the flow version.
        """
        flow = lume.client.flow_version(self.props.flow_version)
        return BatchEvents(lume, flow, self.run.key, self.rejects.key, self.mapped.key, self.source_key)


def write_step(steps: FlowSteps) -> dg.AssetsDefinition:
    """The step that drives the Lume run of a batch, and materializes `run` and `rejects`."""

    @dg.multi_asset(
        name=f"{steps.op_name}__run",
        specs=[steps.run, steps.rejects],
        check_specs=[steps.status_check_spec],
        config_schema=config_schema(LumeRunConfig),
        required_resource_keys={steps.resource_key},
        can_subset=True,
        retry_policy=steps.retry_policy,
        pool=steps.pool,
    )
    def write(context: dg.AssetExecutionContext) -> Iterator[Any]:
        config = step_config(context, LumeRunConfig)
        lume = steps.lume(context)
        try:
            run = _run(context, config, steps, lume)
            events = steps.events(lume)
        except LumeError as error:
            raise failure_of(error, steps.props.flow_version) from error
        yield from untold(context, _selected(context, events.written(run)))

    return write


def _run(
    context: dg.AssetExecutionContext, config: LumeRunConfig, steps: FlowSteps, lume: LumeResource
) -> LumeRun:
    """The ended run of the batch: a new one only if the assets are to be materialized, and not only checked.

    Raises:
        dagster.Failure: One of the assets is to be materialized without the other, so that they would be of
            different runs.
    """
    selected = context.selected_asset_keys
    if len(selected) == 1:
        raise dg.Failure(
            f"{steps.run.key.to_user_string()} and {steps.rejects.key.to_user_string()} are two sides of one Lume "
            "run; materialize both",
            allow_retries=False,
        )
    if not selected:
        return lume.client.run_status(run_id_of(context.instance, steps.run.key, _batch(context)))
    return LumeRunHandler(
        context,
        lume,
        flow_version=steps.props.flow_version,
        source_path=config.source_path or steps.path_of(_batch(context)),
        asset_key=steps.run.key,
    ).complete(force_rerun=config.force_rerun or force_tag(context))


def _batch(context: dg.AssetExecutionContext) -> str:
    """The partition of a step.

    Raises:
        dagster.Failure: There is none, as when all checks are executed from the page of an asset; or there are several.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        raise dg.Failure(
            "no batch is chosen, and checks judge one batch each: launch a job of these checks with the tag "
            "dagster/partition, or materialize the mapped output of a batch again, which judges the same Lume run",
            allow_retries=False,
        )
    keys: list[str] = list(context.partition_keys)
    partition, *others = keys
    if others:
        raise dg.Failure(
            f"this Dagster run is of {len(others) + 1} batches, and its steps take one; launch a run for each batch, "
            'or declare the assets with backfill="single_run"',
            allow_retries=False,
        )
    return partition


def _selected(context: dg.AssetExecutionContext, events: Iterator[Event]) -> Iterator[Event]:
    """The events that the step was asked for."""
    checks = {key.name for key in context.selected_asset_check_keys}
    for event in events:
        if isinstance(event, dg.AssetCheckResult):
            if event.check_name in checks:
                yield event
        elif event.asset_key in context.selected_asset_keys:
            yield event


def audit_step(steps: FlowSteps) -> dg.AssetsDefinition:
    """The step that audits a batch, and materializes `mapped` if nothing stops it."""

    @dg.multi_asset(
        name=f"{steps.op_name}__audit",
        specs=[steps.mapped],
        check_specs=steps.mapped_check_specs,
        config_schema=config_schema(LumeAuditConfig),
        required_resource_keys={steps.resource_key},
        can_subset=True,
        retry_policy=steps.retry_policy,
    )
    def audit(context: dg.AssetExecutionContext) -> Iterator[Any]:
        lume = steps.lume(context)
        admitted = admission(step_config(context, LumeAuditConfig))
        partition = _batch(context)
        try:
            run = lume.client.run_status(run_id_of(context.instance, steps.run.key, partition))
            events = steps.events(lume)
            events.refuse_unmapped(run)
            earlier = EarlierRows(context.instance, steps.run.key, steps.run.partitions_def)
            batch = Batch(run, lume.client, events.flow, lambda: earlier.beside(partition, run))
            shown = frozenset(key.name for key in context.selected_asset_check_keys)
            publishes = steps.mapped.key in context.selected_asset_keys
            verdicts = {
                check.name: check.judge(batch) for check in steps.checks if publishes or check.name in shown
            }
        except LumeError as error:
            raise failure_of(error, steps.props.flow_version) from error
        told = events.audited(run, verdicts, publishes=publishes, shown=shown, admitted=admitted)
        yield from untold(context, told)

    return audit


def admission(config: LumeAuditConfig) -> str | None:
    """Why batches are admitted by hand, if they are.

    Raises:
        dagster.Failure: They are, and no reason is given.
    """
    reason = config.reason.strip()
    if config.admit and not reason:
        raise dg.Failure(
            "admit is set without a reason; say in `reason` why the batch is admitted", allow_retries=False
        )
    return reason if config.admit else None


def force_tag(context: dg.AssetExecutionContext) -> bool:
    """Whether the tag of the Dagster run asks for forced reruns.

    Raises:
        dagster.Failure: It is neither true nor false.
    """
    stated = context.run.tags.get(FORCE_RERUN_TAG, "false").lower()
    if stated not in ("true", "false"):
        raise dg.Failure(f"the tag {FORCE_RERUN_TAG} is {stated!r}; write true or false", allow_retries=False)
    return stated == "true"
