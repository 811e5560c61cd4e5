"""The assets of a flow version: write, audit, publish."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import dagster as dg

from lume_dagster.assets.automation import each_batch
from lume_dagster.assets.steps import FlowSteps, audit_step, write_step
from lume_dagster.assets.translator import (
    FLOW_ASSET_KINDS,
    AssetKind,
    DagsterLumeTranslator,
    LumeAssetProps,
    refuse_same_keys,
)
from lume_dagster.checks.lume_checks import LumeChecks, mapped_checks
from lume_dagster.client import FlowVersionInfo
from lume_dagster.sensors.partitions import PARTITION_PLACE
from lume_dagster.urls import refuse_credentials

SourcePath = str | Callable[[str], str]

_FLOW_VERSION = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*):(?P<version>v[1-9][0-9]*)")


def build_lume_assets(
    *,
    flow_version: str,
    partitions_def: dg.PartitionsDefinition,
    source_path: SourcePath,
    checks: LumeChecks | None = None,
    translator: DagsterLumeTranslator | None = None,
    flow: FlowVersionInfo | None = None,
    source_asset: dg.AssetKey | None = None,
    resource_key: str = "lume",
    retry_policy: dg.RetryPolicy | None = None,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    backfill: Literal["multi_run", "single_run"] = "multi_run",
    pool: str | None = "lume",
) -> dg.Definitions:
    """The three partitioned assets of a flow version, one partition a batch, and the checks between them.

    `FLOW/run` and `FLOW/rejects` are written by one step, which drives the Lume run. `FLOW/mapped` is published by a
    second step, and only if the audit passes: a batch that fails it is never materialized, so that nothing
    downstream can reach it, in this Dagster run or any later one. With `backfill="single_run"`, one step does all of
    this, for one batch or many, with the same events for each.

    Args:
        flow_version: The flow version, `NAME:vN`.
        partitions_def: The batches.
        source_path: What names a batch to Lume: a template that holds `{partition_key}`, or a function of the
            partition key.
        checks: Which checks a batch has to pass, and where they draw the line.
        translator: Turns the flow version into asset specs.
        flow: What Lume tells of the flow version, if it is to be shown before the first materialization. Its
            fingerprint is then the code version of the assets.
        source_asset: The asset that stands for the source, if there is one: `FLOW/run` depends on it.
        resource_key: Key of the `LumeResource`.
        retry_policy: How often a crashed run, or a Lume out of reach, is tried again. A batch that its audit stops is
            not tried again.
        automation_condition: When `FLOW/run` and with it `FLOW/rejects` and `FLOW/mapped` are materialized by
            themselves.
        backfill: `multi_run`: one batch a Dagster run. `single_run`: a backfill is one Dagster run with one step
            (one for each stretch of consecutive partitions), which keeps `LumeResource.max_concurrent_runs` Lume
            runs going at once.
        pool: The Dagster pool that the step which starts Lume runs takes part in, so that a deployment can limit
            how many do at once; None for no pool.

    Returns:
        The definitions of the assets and checks, to be merged with the resources.

    Raises:
        dagster.DagsterInvalidDefinitionError: The flow version or the source path is not of the form it has to be.

    Example:
        ```python
        build_lume_assets(
            flow_version="flights:v1",
            partitions_def=dg.DailyPartitionsDefinition("2013-01-01", end_date="2014-01-01"),
            source_path="data/incoming/flights/{partition_key}.csv",
        )
        ```
    """
    props = _props(flow_version, flow)
    translator = translator or DagsterLumeTranslator()
    path_of = _source_path_function(source_path, flow_version)
    given = {kind: translator.get_asset_spec(props(kind)) for kind in FLOW_ASSET_KINDS}
    refuse_same_keys(given.values())
    run_key = given["run"].key

    def spec(
        kind: AssetKind, dep: dg.AssetKey | None, condition: dg.AutomationCondition[dg.AssetKey] | None
    ) -> dg.AssetSpec:
        return given[kind].replace_attributes(
            deps=[dep] if dep else [],
            partitions_def=partitions_def,
            automation_condition=condition,
            skippable=True,
        )

    steps = FlowSteps(
        props=props("run"),
        run=spec("run", source_asset, automation_condition),
        rejects=spec("rejects", run_key, automation_condition),
        mapped=spec("mapped", run_key, automation_condition and each_batch()),
        source_key=source_asset or run_key,
        path_of=path_of,
        checks=mapped_checks(checks or LumeChecks(), flow),
        resource_key=resource_key,
        retry_policy=retry_policy,
        pool=pool,
    )
    if backfill == "single_run":
        from lume_dagster.assets.backfill import backfill_step  # noqa: PLC0415 - one batch a run needs none of it

        return dg.Definitions(assets=[backfill_step(steps)])
    return dg.Definitions(assets=[write_step(steps), audit_step(steps)])


def _props(flow_version: str, flow: FlowVersionInfo | None) -> Callable[[AssetKind], LumeAssetProps]:
    parts = _FLOW_VERSION.fullmatch(flow_version)
    if parts is None:
        raise dg.DagsterInvalidDefinitionError(
            f"{flow_version!r} is not a flow version; write NAME:vN, such as flights:v1"
        )
    if flow is not None and flow.flow_version != flow_version:
        raise dg.DagsterInvalidDefinitionError(f"flow describes {flow.flow_version}, not {flow_version}")
    return lambda kind: LumeAssetProps(kind, parts["name"], parts["version"], flow)


def _source_path_function(source_path: SourcePath, flow_version: str) -> Callable[[str], str]:
    if callable(source_path):
        return source_path
    try:
        refuse_credentials(source_path)
    except ValueError as error:
        raise dg.DagsterInvalidDefinitionError(f"source_path of {flow_version}: {error}") from None
    if PARTITION_PLACE not in source_path:
        raise dg.DagsterInvalidDefinitionError(
            f"source_path {source_path!r} of {flow_version} names the same batch for every partition; put "
            f"{PARTITION_PLACE} where the partition key belongs, or pass a function of the partition key"
        )
    return lambda partition_key: source_path.replace(PARTITION_PLACE, partition_key)
