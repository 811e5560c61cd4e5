"""A code location of the tests: people:v1, and downstreams that could leak, each in its own way.

It is copied into the folder of a test's project and loaded from there by the webserver and the daemon.
"""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from lume_dagster import (
    BatchFiles,
    LumeAlert,
    LumeChecks,
    LumeIOManager,
    LumeResource,
    build_lume_alerts,
    build_lume_assets,
    build_lume_batch_sensor,
    build_lume_corrections,
    build_lume_run_sensor,
    lume_automation_condition,
)

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


arrivals = dg.DynamicPartitionsDefinition(name="arrivals")
ARRIVALS = "data/arrivals/{partition_key}.csv"
RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.asset(
    deps=[dg.AssetKey(["arrivals", "mapped"])],
    partitions_def=arrivals,
    automation_condition=lume_automation_condition(),
)
def arrivals_follower() -> None:
    """Materialized by automation for each arrival that passed its audit."""


def note_down(_: dg.SensorEvaluationContext, alert: LumeAlert) -> None:
    """Tells of alerts in a file."""
    with Path("alerts.txt").open("a") as file:
        file.write(f"{alert.text}\n\n")


def arrival_of(source_path: str) -> str | None:
    """The partition of a batch that another client ran: of any file in this folder."""
    path = Path(source_path)
    return path.stem if path.parent.name == "elsewhere" else None


defs = dg.Definitions.merge(
    build_lume_assets(
        flow_version="arrivals:v1",
        partitions_def=arrivals,
        source_path=ARRIVALS,
        checks=LumeChecks(reject_rate_error=0.4),
    ),
    build_lume_corrections(
        flow_version="arrivals:v1",
        partitions_def=arrivals,
        files=BatchFiles("data/corrected/{partition_key}.csv", settle_seconds=1),
        minimum_interval_seconds=1,
        default_status=RUNNING,
    ),
    dg.Definitions(
        assets=[arrivals_follower],
        sensors=[
            build_lume_batch_sensor(
                name="new_arrivals",
                batches=BatchFiles(ARRIVALS, settle_seconds=1),
                partitions_def=arrivals,
                target=dg.AssetSelection.groups("arrivals"),
                minimum_interval_seconds=1,
                default_status=RUNNING,
            ),
            build_lume_run_sensor(
                flow_version="arrivals:v1",
                partitions_def=arrivals,
                source_path=arrival_of,
                minimum_interval_seconds=1,
                earlier_runs=True,
                default_status=RUNNING,
            ),
            build_lume_alerts(flow_version="arrivals:v1", notify=note_down, minimum_interval_seconds=1),
            dg.AutomationConditionSensorDefinition(
                "arrivals_automation",
                target=[arrivals_follower],
                minimum_interval_seconds=1,
                default_status=RUNNING,
            ),
        ],
    ),
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
                target=dg.AssetSelection.all() - dg.AssetSelection.assets(arrivals_follower),
                minimum_interval_seconds=1,
            )
        ],
        resources={"lume": lume, "hosted": hosted, "lume_io_manager": LumeIOManager(lume=lume)},
        executor=dg.in_process_executor,
    ),
)
