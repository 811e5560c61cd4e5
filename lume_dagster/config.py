"""What the launchpad and the backfill dialog offer to configure."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import dagster as dg
from pydantic import Field

FORCE_RERUN_TAG = "lume/force_rerun"
ADOPT_RUN_TAG = "lume/adopt_run"

C = TypeVar("C", bound=dg.Config)


class LumeRunConfig(dg.Config):
    """Configuration of the step that runs a batch in Lume."""

    force_rerun: bool = Field(
        default=False,
        description="Run the batch again although Lume has mapped it before. Its earlier output is replaced "
        "once the new one passes the audit. Retries of the step never force again.",
    )
    source_path: str | None = Field(
        default=None,
        description="Read the batch from here instead of the asset's own source path: another file, "
        "upload:... for one that was handed over (`lume-dagster upload FILE`), or run:RUN_ID for the stored input of "
        "an earlier Lume run.",
    )


class LumeAuditConfig(dg.Config):
    """Configuration of the step that audits a batch and publishes its mapped output."""

    admit: bool = Field(
        default=False,
        description="Publish the mapped output although checks fail. The checks show what was overruled.",
    )
    reason: str = Field(default="", description="Why the batch is admitted; needed with `admit`.")


class LumeBackfillConfig(LumeAuditConfig):
    """Configuration of the step that runs, audits and publishes many batches."""

    force_rerun: bool = Field(
        default=False,
        description="Run the batches again although Lume has mapped them before. The earlier output of each is "
        "replaced once the new one passes the audit. Retries of the step never force a batch again.",
    )


@cache
def config_schema(config: type[dg.Config]) -> dict[str, dg.Field]:
    """What a step can be configured with: made once, and not anew for the steps of each flow version."""
    return config.to_fields_dict()


def step_config(context: dg.AssetExecutionContext, config: type[C]) -> C:
    """What a step is configured with.

    Args:
        context: The step.
        config: The class whose `config_schema` the step was made with.
    """
    return config(**context.op_execution_context.op_config)
