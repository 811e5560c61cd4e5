"""Dagster's asset integration for Lume, the data-mapping service.

The names are imported when they are first used, so that the client and the command line, which need no Dagster, do
not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lume_dagster.alerts import LumeAlert, build_lume_alerts
    from lume_dagster.assets import build_lume_assets
    from lume_dagster.automation import lume_automation_condition
    from lume_dagster.batch_sensor import build_lume_batch_sensor
    from lume_dagster.batches import BatchFiles, BatchQuery
    from lume_dagster.checks import FieldLimits, LumeChecks, VolumeCheck
    from lume_dagster.component import LumeFlowComponent
    from lume_dagster.config import LumeAuditConfig, LumeRunConfig
    from lume_dagster.corrections import build_lume_corrections
    from lume_dagster.io_manager import LumeIOManager
    from lume_dagster.resource import LumeResource
    from lume_dagster.review import write_review_csv
    from lume_dagster.run_sensor import build_lume_run_sensor
    from lume_dagster.translator import DagsterLumeTranslator, LumeAssetProps, merge_lume_assets
    from lume_dagster.verdict import Batch, Verdict, lume_check

_MODULES = {
    "Batch": "verdict",
    "BatchFiles": "batches",
    "BatchQuery": "batches",
    "DagsterLumeTranslator": "translator",
    "FieldLimits": "checks",
    "LumeAlert": "alerts",
    "LumeAssetProps": "translator",
    "LumeAuditConfig": "config",
    "LumeChecks": "checks",
    "LumeFlowComponent": "component",
    "LumeIOManager": "io_manager",
    "LumeResource": "resource",
    "LumeRunConfig": "config",
    "Verdict": "verdict",
    "VolumeCheck": "checks",
    "build_lume_alerts": "alerts",
    "build_lume_assets": "assets",
    "build_lume_batch_sensor": "batch_sensor",
    "build_lume_corrections": "corrections",
    "build_lume_run_sensor": "run_sensor",
    "lume_automation_condition": "automation",
    "lume_check": "verdict",
    "merge_lume_assets": "translator",
    "write_review_csv": "review",
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
