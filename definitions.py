"""A real pipeline on real data: every flight that left New York in 2013, one batch a day.

incoming flights -> Lume run -> mapped -> carrier punctuality
                            `-> rejects -> review, and corrections of what was reviewed
"""

import base64
import io
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from lume_dagster import (
    BatchFiles,
    LumeChecks,
    LumeIOManager,
    LumeResource,
    build_lume_assets,
    build_lume_corrections,
    write_review_csv,
)

DATA = Path("data")
PUNCTUAL_WITHIN_MINUTES = 15

days = dg.DailyPartitionsDefinition(start_date="2013-01-01", end_date="2014-01-01")
lume = LumeResource()

incoming_flights = dg.AssetSpec(
    ["incoming", "flights"],
    description="A CSV file a day from the airports, as raw as it comes: data/incoming/flights/DAY.csv.",
    group_name="flights",
    kinds={"csv"},
)


@dg.asset(
    ins={"mapped": dg.AssetIn(["flights", "mapped"])},
    partitions_def=days,
    group_name="flights",
    kinds={"pandas"},
    description=f"Flights and punctuality of each carrier: on time is within {PUNCTUAL_WITHIN_MINUTES} minutes.",
)
def carrier_punctuality(context: dg.AssetExecutionContext, mapped: pd.DataFrame) -> dg.MaterializeResult:
    """Aggregates a day's mapped flights by carrier."""
    table = (
        mapped.assign(on_time=mapped["arrival_delay"] <= PUNCTUAL_WITHIN_MINUTES)
        .groupby(["carrier", "carrier_name"], as_index=False)
        .agg(
            flights=("flight_id", "size"),
            on_time_share=("on_time", "mean"),
            mean_arrival_delay_minutes=("arrival_delay", "mean"),
            distance_km=("distance_km", "sum"),
        )
        .sort_values("on_time_share", ascending=False)
    )
    path = DATA / "punctuality" / f"{context.partition_key}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{context.run.run_id}.partial")
    table.to_parquet(partial, index=False)
    partial.replace(path)
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": len(table),
            "dagster/uri": str(path),
            "flights": int(table["flights"].sum()),
            "on_time_share": float(mapped["arrival_delay"].le(PUNCTUAL_WITHIN_MINUTES).mean()),
            "punctuality": dg.MetadataValue.md(_plot(table, context.partition_key)),
        }
    )


@dg.asset(
    ins={"rejects": dg.AssetIn(["flights", "rejects"])},
    partitions_def=days,
    group_name="flights",
    kinds={"csv"},
    description="The flights that could not be mapped, as a CSV file a batch, with the reasons for each.",
)
def rejects_review(context: dg.AssetExecutionContext, rejects: pa.Table) -> dg.MaterializeResult:
    """Writes a day's rejects where the data stewards look for them."""
    path = DATA / "review" / "flights" / f"{context.partition_key}.csv"
    count = write_review_csv(rejects, path)
    return dg.MaterializeResult(metadata={"dagster/partition_row_count": count, "dagster/uri": str(path)})


def _plot(table: pd.DataFrame, day: str) -> str:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and needed by this step alone

    ordered = table.sort_values("on_time_share")
    figure = Figure(figsize=(6, 0.3 * len(table) + 1), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(ordered["carrier_name"], ordered["on_time_share"] * 100, color="#4f6bed")
    axes.bar_label(
        bars,
        [f"{count} flight{'s' if count > 1 else ''}" for count in ordered["flights"]],
        padding=3,
        fontsize=7,
    )
    axes.set(title=f"On time, {day}", xlabel="% of flights", xlim=(0, 115))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=80)
    return f"![On time, {day}](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})"


defs = dg.Definitions.merge(
    build_lume_assets(
        flow_version="flights:v1",
        flow=lume.client.flow_version("flights:v1"),
        partitions_def=days,
        source_path="data/incoming/flights/{partition_key}.csv",
        source_asset=incoming_flights.key,
        retry_policy=dg.RetryPolicy(max_retries=2),  # a run whose process was killed is started again
        checks=LumeChecks(
            reject_rate_warn=0.05, reject_rate_error=0.20, forbidden_error_types=("unparsable",)
        ),
    ),
    build_lume_corrections(
        flow_version="flights:v1",
        partitions_def=days,
        files=BatchFiles("data/corrected/flights/{partition_key}.csv"),
    ),
    dg.Definitions(
        assets=[incoming_flights, carrier_punctuality, rejects_review],
        resources={"lume": lume, "lume_io_manager": LumeIOManager(lume=lume)},
    ),
)
