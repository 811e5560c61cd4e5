"""Tells Dagster of one batch of many: each event under its own partition."""

from __future__ import annotations

import hashlib
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from lume_dagster.assets.batch_events import Event
from lume_dagster.assets.history import Attempts, latest_record
from lume_dagster.assets.steps import FlowSteps
from lume_dagster.client import LumeRun


class PartitionTeller:
    """Tells Dagster of one batch of many, and only what an earlier attempt has not told yet.

    Args:
        context: The step.
        steps: The flow version.
        attempts: What earlier attempts have told.
        partition: The batch.
        run: Its ended run.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        steps: FlowSteps,
        attempts: Attempts,
        partition: str,
        run: LumeRun,
    ) -> None:
        self._context = context
        self._steps = steps
        self._attempts = attempts
        self._partition = partition
        self._run = run
        self._materialized: set[dg.AssetKey] = set()
        self._latest: dict[dg.AssetKey, dg.EventLogRecord | None] = {}

    def tell(self, event: Event) -> None:
        """Makes an event of its own for the partition, if it is asked for and was not made before."""
        if isinstance(event, dg.AssetCheckResult):
            self._tell_check(event)
        else:
            self._tell_materialization(event)

    def _tell_materialization(self, result: dg.MaterializeResult[Any]) -> None:
        key = result.asset_key
        if key is None or key not in self._context.selected_asset_keys:
            return
        told = self._attempts.told((key, None), self._partition)
        if told is not None and told.lume_run_id == self._run.id:
            return
        version = result.data_version.value if result.data_version else self._run.id
        self._context.log_event(
            dg.AssetMaterialization(
                key,
                partition=self._partition,
                metadata=result.metadata,
                tags={
                    "dagster/code_version": self._spec(key).code_version or self._context.run.run_id,
                    "dagster/data_version": version,
                    "dagster/data_version_is_user_provided": "true",
                    **self._inputs(key),
                    **(result.tags or {}),
                },
            )
        )
        self._materialized.add(key)

    def _tell_check(self, result: dg.AssetCheckResult) -> None:
        key, name = result.asset_key, result.check_name
        if key is None or name is None:
            return
        spec = next(
            (
                found
                for found in self._context.selected_asset_check_keys
                if found == dg.AssetCheckKey(key, name)
            ),
            None,
        )
        if spec is None or (key not in self._materialized and self._is_told_here(result)):
            return
        record = self._record(key)
        self._context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=name,
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
                blocking=self._is_blocking(name),
                partition=self._partition,
                target_materialization_data=record
                and AssetCheckEvaluationTargetMaterializationData(
                    storage_id=record.storage_id,
                    run_id=record.event_log_entry.run_id,
                    timestamp=record.timestamp,
                ),
            )
        )

    def _is_told_here(self, result: dg.AssetCheckResult) -> bool:
        # Dagster expects the results of each run: those of an earlier one do not count.
        if result.asset_key is None:
            return False
        told = self._attempts.told((result.asset_key, result.check_name), self._partition)
        return (
            told is not None
            and told.dagster_run_id == self._context.run.run_id
            and told.evaluation is not None
            and (told.evaluation.passed, told.evaluation.description) == (result.passed, result.description)
        )

    def _inputs(self, key: dg.AssetKey) -> dict[str, str]:
        """What a materialization is made from, as Dagster notes it to know when it is out of date."""
        tags = {}
        for dep in self._spec(key).deps:
            record = self._record(dep.asset_key)
            found = record.asset_materialization if record else None
            version = (found.tags or {}).get("dagster/data_version") if found else None
            name = dep.asset_key.to_user_string()
            tags[f"dagster/input_data_version/{name}"] = (
                "INITIAL" if version is None else hashlib.sha256(version.encode()).hexdigest()
            )
            tags[f"dagster/input_event_pointer/{name}"] = str(record.storage_id) if record else "NULL"
        return tags

    def _record(self, key: dg.AssetKey) -> dg.EventLogRecord | None:
        if key not in self._latest:
            self._latest[key] = latest_record(self._context.instance, key, self._partition)
        return self._latest[key]

    def _spec(self, key: dg.AssetKey) -> dg.AssetSpec:
        return next(s for s in (self._steps.run, self._steps.rejects, self._steps.mapped) if s.key == key)

    def _is_blocking(self, name: str) -> bool:
        return any(check.name == name and check.can_stop for check in self._steps.checks)
