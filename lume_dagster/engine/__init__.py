"""The mapping engine: one batch of source records in, mapped records, rejects and figures out.

It knows no HTTP, no Dagster and no runs.
"""

from __future__ import annotations

from lume_dagster.engine.cage import EngineSettings
from lume_dagster.engine.corrections import StagedRecord
from lume_dagster.engine.engine import Engine
from lume_dagster.engine.errors import BatchError, CancelledError, EngineError, ErrorType, FlowError
from lume_dagster.engine.flow import FLOW_VERSION, FlowVersion, flow_json_schema, load_flow, parse_flow
from lume_dagster.engine.stage import Cancel, StagedBatch
from lume_dagster.engine.transform import BatchResult

__all__ = [
    "FLOW_VERSION",
    "BatchError",
    "BatchResult",
    "Cancel",
    "CancelledError",
    "Engine",
    "EngineError",
    "EngineSettings",
    "ErrorType",
    "FlowError",
    "FlowVersion",
    "StagedBatch",
    "StagedRecord",
    "flow_json_schema",
    "load_flow",
    "parse_flow",
]
