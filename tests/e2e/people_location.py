"""A code location of the tests: people:v1, and downstreams that could leak, each in its own way.

It is copied into the folder of a test's project and loaded from there by the webserver and the daemon.
"""

import os
from typing import Any

import dagster as dg
import pyarrow as pa

from lume_dagster import LumeChecks, LumeIOManager, LumeResource, build_lume_assets

batches = dg.StaticPartitionsDefinition(["a1", "a2", "a3", "b1", "b2", "b3"])
lume = LumeResource()
hosted = LumeResource(base_url=os.environ["TESTS_LUME_URL"])


@dg.asset(
    ins={"mapped": dg.AssetIn(["people", "mapped"])},
    partitions_def=batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def summary(context: dg.AssetExecutionContext, mapped: pa.Table) -> dg.MaterializeResult[Any]:
    """Runs by itself in a backfill: its policy is not that of the batches above it."""
    return dg.MaterializeResult(
        metadata={"batches": list(context.partition_keys), "names": mapped.column("name").to_pylist()}
    )


@dg.asset(
    deps=[dg.AssetKey(["people", "mapped"])],
    partitions_def=batches,
    automation_condition=dg.AutomationCondition.eager(),
)
def follower() -> None:
    """Materialized by automation alone; nothing but its condition could hold it back."""


defs = dg.Definitions.merge(
    build_lume_assets(
        flow_version="people:v1",
        partitions_def=batches,
        source_path="data/incoming/people/{partition_key}.csv",
        checks=LumeChecks(reject_rate_error=0.4),
    ),
    build_lume_assets(
        flow_version="orders:v1",
        partitions_def=batches,
        source_path="orders/{partition_key}.csv",
        checks=LumeChecks(output_schema="off"),
        resource_key="hosted",
    ),
    dg.Definitions(
        assets=[summary, follower],
        sensors=[
            # As Dagster makes it by default, but for the interval.
            dg.AutomationConditionSensorDefinition(
                "default_automation_condition_sensor",
                target=dg.AssetSelection.all(),
                minimum_interval_seconds=1,
            )
        ],
        resources={"lume": lume, "hosted": hosted, "lume_io_manager": LumeIOManager(lume=lume)},
        executor=dg.in_process_executor,
    ),
)
