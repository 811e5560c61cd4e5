"""The assets of a flow version: write, audit, publish."""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from lume_dagster.attempts import untold
from lume_dagster.checks import (
    STATUS_CHECK,
    Batch,
    LumeCheck,
    LumeChecks,
    Verdict,
    mapped_checks,
    status_verdict,
)
from lume_dagster.client import FlowVersionInfo, LumeError, LumeRun, LumeUnavailableError, RunTimeoutError
from lume_dagster.config import FORCE_RERUN_TAG, LumeAuditConfig, LumeRunConfig
from lume_dagster.metadata import (
    RUN_ID,
    SOURCE_ROWS,
    latest_materialization,
    mapped_metadata,
    rejects_metadata,
    run_metadata,
)
from lume_dagster.resource import LumeResource
from lume_dagster.run_handler import LumeRunHandler
from lume_dagster.translator import AssetKind, DagsterLumeTranslator, LumeAssetProps

SourcePath = str | Callable[[str], str]

_FLOW_VERSION = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*):(?P<version>v[1-9][0-9]*)")
_PARTITION_PLACE = "{partition_key}"
_EARLIER_BATCHES = 50

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult


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
) -> dg.Definitions:
    """The three partitioned assets of a flow version, one partition a batch, and the checks between them.

    `FLOW/run` and `FLOW/rejects` are written by one step, which drives the Lume run. `FLOW/mapped` is published by a
    second step, and only if the audit passes: a batch that fails it is never materialized, so that nothing
    downstream can reach it, in this Dagster run or any later one.

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
        retry_policy: How often a crashed run, or a Lume out of reach, is tried again.
        automation_condition: When `FLOW/run` and with it `FLOW/rejects` and `FLOW/mapped` are materialized by
            themselves.

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
    specs = {
        kind: translator.get_asset_spec(props(kind)).replace_attributes(partitions_def=partitions_def)
        for kind in ("run", "mapped", "rejects")
    }
    if len({spec.key for spec in specs.values()}) < len(specs):
        raise dg.DagsterInvalidDefinitionError(
            f"the translator of {flow_version} gives two of its assets the same key; let the key depend on props.kind"
        )
    run_key = specs["run"].key
    return dg.Definitions(
        assets=[
            _write_step(
                props("run"),
                specs["run"].replace_attributes(
                    deps=[source_asset] if source_asset else [], automation_condition=automation_condition
                ),
                specs["rejects"].replace_attributes(
                    deps=[run_key], automation_condition=automation_condition
                ),
                path_of,
                resource_key,
                retry_policy,
            ),
            _audit_step(
                props("mapped"),
                specs["mapped"].replace_attributes(
                    deps=[run_key],
                    automation_condition=automation_condition and dg.AutomationCondition.eager(),
                ),
                run_key,
                source_asset or run_key,
                mapped_checks(checks or LumeChecks()),
                resource_key,
            ),
        ]
    )


def _write_step(
    props: LumeAssetProps,
    run_spec: dg.AssetSpec,
    rejects_spec: dg.AssetSpec,
    path_of: Callable[[str], str],
    resource_key: str,
    retry_policy: dg.RetryPolicy | None,
) -> dg.AssetsDefinition:
    status_check = LumeCheck(
        STATUS_CHECK,
        "The Lume run mapped the batch, wholly or in part.",
        False,
        lambda batch: status_verdict(batch.run),
    )

    @dg.multi_asset(
        name=f"{_op_name(props)}__run",
        specs=[run_spec, rejects_spec],
        check_specs=[status_check.spec(run_spec.key, run_spec.partitions_def)],
        required_resource_keys={resource_key},
        retry_policy=retry_policy,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
    )
    def write(context: dg.AssetExecutionContext, config: LumeRunConfig) -> Iterator[Event | dg.Output[None]]:
        lume: LumeResource = getattr(context.resources, resource_key)
        handler = LumeRunHandler(
            context,
            lume,
            flow_version=props.flow_version,
            source_path=config.source_path or path_of(context.partition_key),
            asset_key=run_spec.key,
        )
        try:
            run = handler.complete(force_rerun=config.force_rerun or _force_tag(context))
            flow = lume.client.flow_version(props.flow_version)
        except LumeError as error:
            raise _failure(error, props.flow_version) from error
        yield from untold(context, _written(run, flow, lume, run_spec.key, rejects_spec.key))

    return write


def _written(
    run: LumeRun, flow: FlowVersionInfo, lume: LumeResource, run_key: dg.AssetKey, rejects_key: dg.AssetKey
) -> Iterator[Event]:
    verdict = status_verdict(run)
    shown = run_metadata(run, lume.url_of(run))
    # A run that failed because it mapped nothing has rejects, and those go to review like any others: only
    # the audit stops. Without rejects there is nothing to hand on.
    has_rejects = run.target_locations is not None and run.target_locations.rejects is not None
    if verdict.passed or has_rejects:
        yield dg.MaterializeResult(
            asset_key=run_key, metadata=shown, data_version=dg.DataVersion(run.id), tags={RUN_ID: run.id}
        )
        yield dg.MaterializeResult(
            asset_key=rejects_key,
            metadata=rejects_metadata(run, flow),
            data_version=_data_version(run, "rejects"),
            tags={RUN_ID: run.id},
        )
    yield _check_result(verdict, STATUS_CHECK, run_key)
    if not verdict.passed and not has_rejects:
        raise dg.Failure(verdict.summary, metadata=shown, allow_retries=run.crashed)


def _audit_step(
    props: LumeAssetProps,
    spec: dg.AssetSpec,
    run_key: dg.AssetKey,
    source_key: dg.AssetKey,
    checks: Sequence[LumeCheck],
    resource_key: str,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{_op_name(props)}__audit",
        specs=[spec.replace_attributes(skippable=True)],
        check_specs=[check.spec(spec.key, spec.partitions_def) for check in checks],
        required_resource_keys={resource_key},
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
    )
    def audit(
        context: dg.AssetExecutionContext, config: LumeAuditConfig
    ) -> Iterator[Event | dg.Output[None]]:
        lume: LumeResource = getattr(context.resources, resource_key)
        if config.admit and not config.reason.strip():
            raise dg.Failure(
                "admit is set without a reason; say in `reason` why the batch is admitted",
                allow_retries=False,
            )
        try:
            run = lume.client.run_status(_run_id_of(context, run_key))
            flow = lume.client.flow_version(props.flow_version)
            if not (status := status_verdict(run)).passed:
                raise dg.Failure(
                    f"nothing to publish: {status.summary}",
                    metadata=run_metadata(run, lume.url_of(run)),
                    allow_retries=False,
                )
            batch = Batch(run, lume.client, flow, _earlier_rows(context, run_key, run))
            selected = {key.name for key in context.selected_asset_check_keys}
            publishes = spec.key in context.selected_asset_keys
            verdicts = {
                check.name: check.judge(batch) for check in checks if publishes or check.name in selected
            }
        except LumeError as error:
            raise _failure(error, props.flow_version) from error

        admitted = config.reason.strip() if config.admit else None
        results = [
            _check_result(verdict, name, spec.key, admitted)
            for name, verdict in verdicts.items()
            if name in selected
        ]
        stopped = {name: verdict for name, verdict in verdicts.items() if verdict.stops}
        if publishes and stopped and admitted is None:
            yield from untold(context, iter(results))
            raise _stopped(run, stopped, lume.url_of(run))
        published: list[Event] = []
        if publishes:
            published.append(
                dg.MaterializeResult(
                    asset_key=spec.key,
                    metadata=mapped_metadata(run, flow, source_key) | _admission(admitted, stopped),
                    data_version=_data_version(run, "mapped"),
                    tags={RUN_ID: run.id},
                )
            )
        yield from untold(context, iter([*published, *results]))

    return audit


def _stopped(run: LumeRun, stopped: Mapping[str, Verdict], url: str | None) -> dg.Failure:
    reasons = "; ".join(f"{name}: {verdict.summary}" for name, verdict in stopped.items())
    return dg.Failure(
        f"the audit stopped the batch {run.source_path!r} of {run.id}: {reasons}. Its mapped output is not "
        "published; an earlier one stays. Correct the batch and force a rerun, or materialize this asset again "
        "with admit: true and a reason.",
        metadata=run_metadata(run, url),
        allow_retries=False,
    )


def _check_result(
    verdict: Verdict, name: str, asset_key: dg.AssetKey, admitted: str | None = None
) -> dg.AssetCheckResult:
    overruled = verdict.stops and admitted is not None
    return dg.AssetCheckResult(
        passed=verdict.passed or overruled,
        check_name=name,
        asset_key=asset_key,
        severity=dg.AssetCheckSeverity.ERROR if verdict.level == "error" else dg.AssetCheckSeverity.WARN,
        description=f"Admitted by hand ({admitted}), although: {verdict.summary}"
        if overruled
        else verdict.summary,
        metadata={**verdict.figures} | ({"lume/admitted": admitted} if overruled else {}),
    )


def _admission(admitted: str | None, stopped: Mapping[str, Verdict]) -> dict[str, Any]:
    if admitted is None or not stopped:
        return {}
    return {"lume/admitted": admitted, "lume/overruled_checks": list(stopped)}


def _data_version(run: LumeRun, kind: str) -> dg.DataVersion:
    checksum = run.metadata.get("checksums", {}).get(kind)
    return dg.DataVersion(checksum or run.id)


def _run_id_of(context: dg.AssetExecutionContext, run_key: dg.AssetKey) -> str:
    """The Lume run that the latest materialization of this partition of the run asset stands for."""
    materialization = latest_materialization(context.instance, run_key, context.partition_key)
    run_id = materialization.metadata.get(RUN_ID) if materialization else None
    if run_id is None:
        raise dg.Failure(
            f"there is no Lume run of partition {context.partition_key!r} yet; materialize "
            f"{run_key.to_user_string()} first",
            allow_retries=False,
        )
    return str(run_id.value)


def _earlier_rows(context: dg.AssetExecutionContext, run_key: dg.AssetKey, run: LumeRun) -> list[int]:
    """Source rows of the latest run of each other batch, the latest first."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=run_key), limit=_EARLIER_BATCHES
    ).records
    rows: dict[str, int] = {}
    for record in records:
        materialization = record.asset_materialization
        if materialization is None or materialization.partition in (None, context.partition_key):
            continue
        counted = materialization.metadata.get(SOURCE_ROWS)
        if counted is not None and materialization.metadata[RUN_ID].value != run.id:
            rows.setdefault(str(materialization.partition), int(str(counted.value)))
    return list(rows.values())


def _force_tag(context: dg.AssetExecutionContext) -> bool:
    stated = context.run.tags.get(FORCE_RERUN_TAG, "false").lower()
    if stated not in ("true", "false"):
        raise dg.Failure(f"the tag {FORCE_RERUN_TAG} is {stated!r}; write true or false", allow_retries=False)
    return stated == "true"


def _failure(error: LumeError, flow_version: str) -> dg.Failure:
    may_pass = isinstance(error, LumeUnavailableError | RunTimeoutError)
    return dg.Failure(f"{flow_version}: {error}", allow_retries=may_pass)


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
    if _PARTITION_PLACE not in source_path:
        raise dg.DagsterInvalidDefinitionError(
            f"source_path {source_path!r} of {flow_version} names the same batch for every partition; put "
            f"{_PARTITION_PLACE} where the partition key belongs, or pass a function of the partition key"
        )
    return lambda partition_key: source_path.replace(_PARTITION_PLACE, partition_key)


def _op_name(props: LumeAssetProps) -> str:
    return f"{props.name.replace('-', '_')}__{props.version}"
