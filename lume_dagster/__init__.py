"""Dagster's asset integration for Lume, the data-mapping service.

The names are imported when they are first used, so that the client and the command line, which need no Dagster, do
not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lume_dagster.assets.automation import lume_automation_condition
    from lume_dagster.assets.definitions import build_lume_assets
    from lume_dagster.assets.translator import DagsterLumeTranslator, LumeAssetProps, merge_lume_assets
    from lume_dagster.checks.lume_checks import FieldLimits, LumeChecks, VolumeCheck
    from lume_dagster.checks.verdict import Batch, Verdict, lume_check
    from lume_dagster.component.flow_component import LumeFlowComponent
    from lume_dagster.config import LumeAuditConfig, LumeRunConfig
    from lume_dagster.corrections.definitions import build_lume_corrections
    from lume_dagster.corrections.review import write_review_csv
    from lume_dagster.io_manager import LumeIOManager
    from lume_dagster.resource import LumeResource
    from lume_dagster.sensors.alerts import LumeAlert, build_lume_alerts
    from lume_dagster.sensors.batch_sensor import build_lume_batch_sensor
    from lume_dagster.sensors.batches import BatchFiles, BatchQuery
    from lume_dagster.sensors.run_sensor import build_lume_run_sensor

_MODULES = {
    "Batch": "checks.verdict",
    "BatchFiles": "sensors.batches",
    "BatchQuery": "sensors.batches",
    "DagsterLumeTranslator": "assets.translator",
    "FieldLimits": "checks.lume_checks",
    "LumeAlert": "sensors.alerts",
    "LumeAssetProps": "assets.translator",
    "LumeAuditConfig": "config",
    "LumeChecks": "checks.lume_checks",
    "LumeFlowComponent": "component.flow_component",
    "LumeIOManager": "io_manager",
    "LumeResource": "resource",
    "LumeRunConfig": "config",
    "Verdict": "checks.verdict",
    "VolumeCheck": "checks.lume_checks",
    "build_lume_alerts": "sensors.alerts",
    "build_lume_assets": "assets.definitions",
    "build_lume_batch_sensor": "sensors.batch_sensor",
    "build_lume_corrections": "corrections.definitions",
    "build_lume_run_sensor": "sensors.run_sensor",
    "lume_automation_condition": "assets.automation",
    "lume_check": "checks.verdict",
    "merge_lume_assets": "assets.translator",
    "write_review_csv": "corrections.review",
}

__all__ = [
    "Batch",
    "BatchFiles",
    "BatchQuery",
    "DagsterLumeTranslator",
    "FieldLimits",
    "LumeAlert",
    "LumeAssetProps",
    "LumeAuditConfig",
    "LumeChecks",
    "LumeFlowComponent",
    "LumeIOManager",
    "LumeResource",
    "LumeRunConfig",
    "Verdict",
    "VolumeCheck",
    "build_lume_alerts",
    "build_lume_assets",
    "build_lume_batch_sensor",
    "build_lume_corrections",
    "build_lume_run_sensor",
    "lume_automation_condition",
    "lume_check",
    "merge_lume_assets",
    "write_review_csv",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    # `dg list components` looks here for what it does not find among the names that are imported already.
    return sorted({*globals(), *__all__})
