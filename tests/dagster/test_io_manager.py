from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.dagster.conftest import GOOD, MAPPED, PARTITIONS, REJECTS, Pipeline, failure


def load(
    pipeline: Pipeline, key: dg.AssetKey, annotation: Any, mapping: dg.PartitionMapping | None = None
) -> Any:
    """What an asset downstream gets for its parameter, and the run it got it in."""
    seen: list[Any] = []

    def probe(loaded: Any) -> None:
        seen.append(loaded)

    probe.__annotations__["loaded"] = annotation
    asset = dg.asset(
        name="probe",
        ins={"loaded": dg.AssetIn(key, partition_mapping=mapping)},
        partitions_def=None if mapping else PARTITIONS,
    )(probe)
    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(assets=[asset]))
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[asset.key],
        partition_key=None if mapping else "a",
        instance=pipeline.instance,
        raise_on_error=False,
    )
    return seen[0] if seen else failure(result, "probe")


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (pa.Table, pa.Table),
        (pd.DataFrame, pd.DataFrame),
        (pl.DataFrame, pl.DataFrame),
        (pl.LazyFrame, pl.LazyFrame),
        (Any, pa.Table),
    ],
)
def test_records_are_loaded_as_the_parameter_is_annotated(
    pipeline: Pipeline, annotation: Any, kind: type
) -> None:
    pipeline.materialize("a")
    loaded = load(pipeline, MAPPED, annotation)
    assert isinstance(loaded, kind)
    frame: Any = loaded.collect() if isinstance(loaded, pl.LazyFrame) else loaded
    names = frame["name"].to_pylist() if isinstance(frame, pa.Table) else list(frame["name"])
    assert names == ["Ada", "Bob"]


def test_another_annotation_is_refused_with_those_that_are_taken(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    assert "polars.LazyFrame" in load(pipeline, MAPPED, dict)


def test_rejects_are_loaded_with_their_reasons(pipeline: Pipeline) -> None:
    pipeline.write("a", GOOD + "x,Cy,\n")
    pipeline.materialize("a")
    (reject,) = load(pipeline, REJECTS, pa.Table).to_pylist()
    assert reject["row_number"] == 3
    assert [(error["field"], error["type"]) for error in reject["errors"]] == [("id", "type")]


def test_many_batches_are_put_together_in_their_order(pipeline: Pipeline) -> None:
    for number, partition in enumerate(PARTITIONS.get_partition_keys()):
        pipeline.write(partition, f"ID,Full Name,Mail\n{number + 1},P{number},\n")
        assert pipeline.materialize(partition).success
    frame = load(pipeline, MAPPED, pd.DataFrame, dg.AllPartitionMapping())
    assert list(frame["id"]) == [1, 2, 3, 4, 5]


def test_a_batch_that_was_never_published_is_named(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    assert "for partition 'b'" in load(pipeline, MAPPED, pa.Table, dg.AllPartitionMapping())


def test_nothing_is_stored_by_it(pipeline: Pipeline) -> None:
    @dg.asset(io_manager_key="lume_io_manager")
    def own() -> int:
        return 1

    definitions = dg.Definitions.merge(pipeline.definitions, dg.Definitions(assets=[own]))
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[own.key], instance=pipeline.instance, raise_on_error=False
    )
    assert "io_manager_key of its own" in failure(result, "own")
