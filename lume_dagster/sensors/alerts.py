"""A sensor that tells people what went wrong with a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from lume_dagster.assets.metadata import (
    FINISHED,
    REJECT_RATE,
    RUN_ID,
    RUN_URL,
    SOURCE_PATH,
    STARTED,
    latest_materialization,
)
from lume_dagster.assets.translator import (
    AssetKind,
    DagsterLumeTranslator,
    corrections_step_name,
    flow_asset_keys,
    flow_asset_spec,
    sensor_name,
)
from lume_dagster.client import RunStatus

if TYPE_CHECKING:
    from dagster._core.events import DagsterEvent

_Checks = Mapping[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]

AlertKind = Literal["run_failed", "run_crashed", "audit_failed", "rejects", "error"]

_TITLES: Mapping[AlertKind, str] = {
    "run_failed": "the Lume run failed",
    "run_crashed": "the Lume run crashed",
    "audit_failed": "the audit failed",
    "rejects": "too many rejects",
    "error": "the step failed",
}
_FIGURES_IN_TEXT = ("source_rows", "mapped_rows", "rejected_rows", "reject_rate", "duration_seconds")
_RUNS_PER_TICK = 25
_End = Literal[dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE]
_ENDS: tuple[_End, ...] = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE)
_READ = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
}


@dataclass(frozen=True)
class LumeAlert:
    """What went wrong with a batch.

    Attributes:
        kind: The Lume run failed or crashed, the audit failed, there are more rejects than allowed, or the step
            failed for another reason.
        flow_version: The flow version, `NAME:vN`.
        partition: The batch.
        summary: What is wrong, in a sentence or two.
        lume_run_id: The Lume run, where there is one.
        source_path: What names the batch to Lume.
        figures: Rows, rates, durations (seconds) and bytes of the run.
        lume_run_url: The page of the Lume run, where the resource has a `run_url`.
        dagster_run_id: The Dagster run.
        dagster_run_url: Its page, where the sensor was given a `webserver_url`.
    """

    kind: AlertKind
    flow_version: str
    partition: str | None
    summary: str
    dagster_run_id: str
    lume_run_id: str | None = None
    source_path: str | None = None
    figures: Mapping[str, int | float] = field(default_factory=dict)
    lume_run_url: str | None = None
    dagster_run_url: str | None = None

    @property
    def title(self) -> str:
        """One line: the batch, and what is wrong."""
        batch = f" {self.partition}" if self.partition else ""
        return f"{self.flow_version}{batch}: {_TITLES[self.kind]}"

    @property
    def text(self) -> str:
        """The alert as plain text of a few lines, for a message."""
        lines = [self.title, self.summary]
        if self.lume_run_id:
            lines.append(f"Lume run: {self.lume_run_url or self.lume_run_id}")
        if self.source_path:
            lines.append(f"Batch: {self.source_path}")
        told = [f"{name} {self.figures[name]:.6g}" for name in _FIGURES_IN_TEXT if name in self.figures]
        if told:
            lines.append(", ".join(told))
        lines.append(f"Dagster run: {self.dagster_run_url or self.dagster_run_id}")
        return "\n".join(lines)


def build_lume_alerts(
    *,
    flow_version: str,
    notify: Callable[[dg.SensorEvaluationContext, LumeAlert], object],
    rejects_above: float | None = None,
    name: str | None = None,
    translator: DagsterLumeTranslator | None = None,
    required_resource_keys: set[str] | None = None,
    webserver_url: str | None = None,
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """A sensor that calls a function of yours for each batch with which something went wrong.

    It looks at every Dagster run that has ended: one alert for a Lume run that failed or crashed, for an audit that
    failed, for rejects above a level, and for steps that failed otherwise, that of the corrections among them. What a
    retry mended is not told, and neither is a run that Dagster will retry. Runs that ended before the sensor's first
    tick are passed over. Should your function raise, the tick fails, and the alert is tried again at the next.

    Args:
        flow_version: The flow version, `NAME:vN`.
        notify: Called with the sensor's context, for its resources and log, and the alert.
        rejects_above: Share of rejects (0 to 1) above which there is an alert, also where the audit lets it pass.
        name: Name of the sensor; made of the flow version if not given.
        translator: The translator that `build_lume_assets` was given.
        required_resource_keys: Resources that `notify` uses, such as a `SlackResource`.
        webserver_url: Address of Dagster's webserver, for links to its runs.
        minimum_interval_seconds: How often to look.
        default_status: Whether the sensor runs as soon as it is deployed.

    Raises:
        ValueError: `rejects_above` is no share.

    Example:
        ```python
        def to_slack(context, alert):
            context.resources.slack.get_client().chat_postMessage(channel="#data", text=alert.text)


        build_lume_alerts(
            flow_version="flights:v1",
            notify=to_slack,
            rejects_above=0.05,
            required_resource_keys={"slack"},
        )
        ```
    """
    if rejects_above is not None and not 0 <= rejects_above <= 1:
        raise ValueError(f"rejects_above is {rejects_above}; give a share from 0 to 1")
    keys = flow_asset_keys(flow_version, translator)

    def is_corrections(key: dg.AssetKey | None, step: str | None) -> bool:
        # A translator is asked only where there are corrections: one that was written without may have no answer.
        may_be = step is not None and step.startswith(corrections_step_name(flow_version))
        return may_be and key == flow_asset_spec("corrections", flow_version, translator).key

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if context.cursor is None:
            return dg.SensorResult(
                cursor=str(_last_end(context.instance)),
                skip_reason="first look: tells of runs that end from now on",
            )
        cursor = int(context.cursor)
        told: list[str] = []
        for storage_id, run_id in _ends_after(context.instance, cursor):
            reader = _RunReader(context.instance, run_id, flow_version, keys, is_corrections)
            try:
                for alert in reader.alerts(rejects_above, webserver_url):
                    notify(context, alert)
                    told.append(alert.title)
            except Exception:
                if cursor == int(context.cursor):
                    raise
                # What has been told is remembered; the next tick begins with this run, and fails if it has to.
                context.log.exception(f"the alerts of run {run_id} could not be told; trying again")
                break
            cursor = storage_id
        return dg.SensorResult(
            cursor=str(cursor), skip_reason=f"told: {'; '.join(told)}" if told else "no new alerts"
        )

    return dg.SensorDefinition(
        name=name or sensor_name(flow_version, "alerts"),
        evaluation_fn=look,
        minimum_interval_seconds=minimum_interval_seconds,
        required_resource_keys=required_resource_keys,
        description=f"Tells of batches of {flow_version} with which something went wrong.",
        default_status=default_status,
    )


def _last_end(instance: dg.DagsterInstance) -> int:
    """The storage id of the latest end of a Dagster run; 0 if none has ended."""
    return max(
        (
            record.storage_id
            for end in _ENDS
            for record in instance.fetch_run_status_changes(end, limit=1).records
        ),
        default=0,
    )


def _ends_after(instance: dg.DagsterInstance, storage_id: int) -> list[tuple[int, str]]:
    """The next ends of Dagster runs after that one: their storage ids, ascending, and the runs."""
    found = [
        (record.storage_id, record.event_log_entry.run_id)
        for end in _ENDS
        for record in instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(end, after_storage_id=storage_id),
            limit=_RUNS_PER_TICK,
            ascending=True,
        ).records
    ]
    # Beyond the first so many, an end of the other kind may be missing between two.
    return sorted(found)[:_RUNS_PER_TICK]


class _RunReader:
    """What a Dagster run that has ended says of the batches of a flow version."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        run_id: str,
        flow_version: str,
        keys: Mapping[AssetKind, dg.AssetKey],
        is_corrections: Callable[[dg.AssetKey | None, str | None], bool],
    ) -> None:
        self._instance = instance
        self._run = instance.get_run_by_id(run_id)
        self._run_id = run_id
        self._flow_version = flow_version
        self._run_key = keys["run"]
        self._mapped_key = keys["mapped"]
        self._keys = frozenset(keys.values())
        self._is_corrections = is_corrections

    def alerts(self, rejects_above: float | None, webserver_url: str | None) -> Iterator[LumeAlert]:
        """One alert for each batch with which something is wrong, and one for what failed otherwise."""
        if self._run is None or self._run.tags.get("dagster/will_retry") == "true":
            return
        checks: dict[str | None, dict[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]] = {}
        taken: dict[str | None, Mapping[str, Any]] = {}
        steps: dict[dg.AssetKey | None, str | None] = {}
        failures: dict[str | None, str] = {}
        failed_runs: dict[str, Mapping[str, Any]] = {}
        for event in self._events():
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                found = event.asset_check_evaluation_data
                if found.asset_key in (self._run_key, self._mapped_key):
                    # The last word counts: a retry of the step may have mended it.
                    checks.setdefault(found.partition, {})[found.asset_key, found.check_name] = found
            elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                if event.asset_key in self._keys or self._is_corrections(event.asset_key, event.step_key):
                    steps[event.asset_key] = event.step_key
            elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
                failures[event.step_key] = _failure_message(event)
                failed = _failure_metadata(event)
                failed_runs[str(failed.get(RUN_ID))] = failed
            elif event.asset_key == self._run_key:
                materialization = event.step_materialization_data.materialization
                taken[materialization.partition] = _values(materialization.metadata)
        for partition in dict.fromkeys([*checks, *taken]):
            judged = checks.get(partition, {})
            wrong = self._wrong(judged, taken.get(partition, {}), rejects_above)
            if wrong is not None:
                described = taken.get(partition) or self._described(judged, failed_runs, partition)
                yield self._alert(*wrong, partition, described, webserver_url)
        is_stopped = any(self._stops(check) for judged in checks.values() for check in judged.values())
        explained = {steps.get(self._run_key), steps.get(self._mapped_key)} if is_stopped else set()
        # Where nothing was judged, a step before those of the batch may be the reason; else it is none of ours.
        others = [
            message
            for step, message in failures.items()
            if step not in explained and (step in steps.values() or not checks)
        ]
        if steps and others:
            partition = self._run.tags.get("dagster/partition")
            yield self._alert("error", "; ".join(others), partition, {}, webserver_url)

    def _wrong(
        self,
        checks: _Checks,
        taken: Mapping[str, Any],
        rejects_above: float | None,
    ) -> tuple[AlertKind, str] | None:
        failed = [check for check in checks.values() if self._stops(check)]
        for check in failed:
            if check.asset_key == self._run_key:
                status = RunStatus.parse(str(_values(check.metadata).get("status", "")))
                kind: AlertKind = "run_crashed" if status is RunStatus.CRASHED else "run_failed"
                return kind, check.description or check.check_name
        if failed:
            return "audit_failed", "; ".join(f"{check.check_name}: {check.description}" for check in failed)
        rate = taken.get(REJECT_RATE)
        if rejects_above is not None and rate is not None and rate > rejects_above:
            return "rejects", f"{rate:.2%} of the records were rejected, more than {rejects_above:.2%}"
        return None

    def _stops(self, check: dg.AssetCheckEvaluation) -> bool:
        """Whether a check is the reason why a step of its batch fails."""
        return not check.passed and (
            check.asset_key == self._run_key or check.severity is dg.AssetCheckSeverity.ERROR
        )

    def _alert(
        self,
        kind: AlertKind,
        summary: str,
        partition: str | None,
        described: Mapping[str, Any],
        webserver_url: str | None,
    ) -> LumeAlert:
        return LumeAlert(
            kind,
            self._flow_version,
            partition,
            summary,
            self._run_id,
            lume_run_id=described.get(RUN_ID),
            source_path=described.get(SOURCE_PATH),
            figures={
                name.removeprefix("lume/"): value
                for name, value in described.items()
                if isinstance(value, int | float)
                and not isinstance(value, bool)
                and name not in (STARTED, FINISHED)
            },
            lume_run_url=described.get(RUN_URL),
            dagster_run_url=f"{webserver_url.rstrip('/')}/runs/{self._run_id}" if webserver_url else None,
        )

    def _events(self) -> Iterator[DagsterEvent]:
        cursor = None
        while True:
            page = self._instance.get_records_for_run(self._run_id, cursor, _READ)
            for record in page.records:
                if record.event_log_entry.dagster_event is not None:
                    yield record.event_log_entry.dagster_event
            if not page.has_more:
                return
            cursor = page.cursor

    def _described(
        self, checks: _Checks, failed_runs: Mapping[str, Mapping[str, Any]], partition: str | None
    ) -> Mapping[str, Any]:
        """The Lume run of a batch for which this Dagster run materialized none."""
        status = next((check for check in checks.values() if check.asset_key == self._run_key), None)
        if status is not None:
            run_id = str(_values(status.metadata).get("run_id"))
            return failed_runs.get(run_id, {RUN_ID: run_id})
        stands = latest_materialization(self._instance, self._run_key, partition)
        return _values(stands.metadata) if stands else {}


def _values(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}


def _failure_metadata(event: DagsterEvent) -> dict[str, Any]:
    thrown = event.step_failure_data.user_failure_data
    return _values(thrown.metadata) if thrown is not None else {}


def _failure_message(event: DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return (
        f"step {event.step_key}: {data.error_display_string.splitlines()[0]}"
        if data.error
        else str(event.message)
    )
