"""What earlier attempts of a step have told Dagster, so that a retry tells only the rest.

A worker can die between two events of a batch. The step's next attempt makes all of them again: those that the
dead one has stored already must not be stored a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from lume_dagster.assets.batch_events import Event
from lume_dagster.assets.metadata import RUN_ID

# Dagster takes an output with this metadata as made, and logs no materialization for it.
_ALREADY_LOGGED = "__source_asset_observation__"

_TELLING = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
}


@dataclass
class _Told:
    """What attempts have stored.

    Attributes:
        materializations: Asset, partition and Lume run of each.
        checks: Dagster run, asset, partition and name of each.
    """

    materializations: set[tuple[dg.AssetKey | None, str | None, str | None]] = field(default_factory=set)
    checks: set[tuple[str, dg.AssetKey | None, str | None, str | None]] = field(default_factory=set)


def untold(context: dg.AssetExecutionContext, events: Iterator[Event]) -> Iterator[Event | dg.Output[None]]:
    """The events of a batch without those that an attempt which was cut off has told before.

    A materialization of the same Lume run is told once for a Dagster run and all its re-executions. A check result
    is told once a Dagster run: Dagster expects it of each, and shows the check as skipped where it is missing.

    Args:
        context: The step.
        events: All events of the batch, in their order.

    Raises:
        dagster.Failure: This attempt was given up meanwhile: Dagster holds its run for ended, and another attempt
            may tell the same events.
    """
    told = _cut_off(context)
    stored = context.instance.get_run_by_id(context.run.run_id)
    if stored is not None and stored.is_finished:
        raise dg.Failure(
            f"Dagster holds this run for ended ({stored.status.value}), though its step went on; a re-execution goes "
            "on with the same Lume run",
            allow_retries=False,
        )
    partition = context.partition_key
    for event in events:
        if isinstance(event, dg.MaterializeResult):
            lume_run = (event.tags or {}).get(RUN_ID)
            if (event.asset_key, partition, lume_run) in told.materializations:
                # Downstream steps go on with the output all the same.
                yield already_logged(event.asset_key)
                continue
        elif (context.run.run_id, event.asset_key, partition, event.check_name) in told.checks:
            yield dg.Output(None, output_name=_output_of(context, event))
            continue
        yield event


def already_logged(asset_key: dg.AssetKey | None) -> dg.MaterializeResult[Any]:
    """An output that downstream steps may go on with, without a materialization."""
    return dg.MaterializeResult(asset_key=asset_key, metadata={_ALREADY_LOGGED: True})


def _output_of(context: dg.AssetExecutionContext, event: dg.AssetCheckResult) -> str:
    specs = context.assets_def.check_specs_by_output_name.items()
    wanted = (event.asset_key, event.check_name)
    return next(str(output) for output, spec in specs if (spec.asset_key, spec.name) == wanted)


def _cut_off(context: dg.AssetExecutionContext) -> _Told:
    """What attempts of this step have told that did not come to an end of their own."""
    step = context.op_execution_context.get_step_execution_context().step.key
    told = _Told()
    for run_id in lineage(context.instance, context.run):
        is_done = False
        for entry in context.instance.all_logs(run_id, of_type=_TELLING):
            event = entry.dagster_event
            if event is None or event.step_key != step:
                continue
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                made = event.step_materialization_data.materialization
                told.materializations.add((made.asset_key, made.partition, (made.tags or {}).get(RUN_ID)))
            elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                found = event.asset_check_evaluation_data
                told.checks.add((run_id, found.asset_key, found.partition, found.check_name))
            else:
                # A step that succeeded and died before Dagster took notice is tried again in the same run.
                is_done = event.is_step_success and run_id != context.run.run_id
                if _has_decided(event):
                    told = _Told()
        if is_done:
            told = _Told()
    return told


def lineage(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """The Dagster runs that this one re-executes, the first of them first, and this one."""
    runs = [run.run_id]
    parent = run.parent_run_id
    while parent is not None and parent not in runs:
        runs.insert(0, parent)
        earlier = instance.get_run_by_id(parent)
        parent = earlier.parent_run_id if earlier is not None else None
    return runs


def _has_decided(event: dg.DagsterEvent) -> bool:
    """Whether an attempt failed because the step said so, and not because something befell it."""
    data = event.event_specific_data
    error = getattr(data, "error", None)
    while error is not None:
        if error.cls_name == dg.Failure.__name__:
            return True
        error = error.cause
    return False
