"""Loads mapped records and rejects into downstream assets, as what their parameters are annotated with."""

# Dagster reads the annotation of a resource dependency at run time, so that it is not postponed here.
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from lume_dagster.assets.metadata import OUTPUT, RUN_ID, latest_materialization
from lume_dagster.resource import LumeResource

# By the full name of the class, so that a library is imported only where it is asked for.
_CONVERTERS: Mapping[str, Callable[[pa.Table], Any]] = {
    "pyarrow.lib.Table": lambda table: table,
    "pandas.DataFrame": lambda table: table.to_pandas(),
    "pandas.core.frame.DataFrame": lambda table: table.to_pandas(),
    "polars.dataframe.frame.DataFrame": lambda table: _polars().from_arrow(table),
    "polars.lazyframe.frame.LazyFrame": lambda table: _polars().from_arrow(table).lazy(),
}
_TAKEN = "pyarrow.Table, pandas.DataFrame, polars.DataFrame or polars.LazyFrame"


class LumeIOManager(dg.ConfigurableIOManager):  # type: ignore[misc,unused-ignore]
    """Loads the published output of one or many batches.

    For each partition that is asked for it takes the Lume run of the asset's latest materialization, reads that
    run's output, and puts the batches together in the order of their partitions. A parameter without an annotation
    (or with `Any`) gets a `pyarrow.Table`.

    Example:
        ```python
        @dg.asset(ins={"mapped": dg.AssetIn(["flights", "mapped"])}, partitions_def=days)
        def carrier_punctuality(mapped: pd.DataFrame) -> pd.DataFrame: ...
        ```
    """

    lume: dg.ResourceDependency[LumeResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:  # noqa: ARG002 - Dagster's
        """Refuses: what Lume maps is written by Lume."""
        raise dg.DagsterInvariantViolationError(
            f"{context.get_identifier()} cannot be stored by LumeIOManager, which only loads what a Lume run "
            "wrote; give this asset an io_manager_key of its own"
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The output of the batches that the context asks for.

        Raises:
            dagster.DagsterInvariantViolationError: The annotation is none that can be loaded, or a batch was never
                published.
            LumeError: The output cannot be read.
        """
        convert = _converter(context)
        tables = [self._read(published) for published in _published(context)]
        whole = pa.concat_tables(tables, promote_options="default")
        # Its metadata is that of the first batch, and would tell of the others what is not true.
        return convert(whole if len(tables) == 1 else whole.replace_schema_metadata(None))

    def _read(self, published: dg.AssetMaterialization) -> pa.Table:
        run_id, kind = (str(published.metadata[name].value) for name in (RUN_ID, OUTPUT))
        client = self.lume.client
        return client.results_frame(run_id, "rejects" if kind == "rejects" else "mapped", "arrow")


def _published(context: dg.InputContext) -> list[dg.AssetMaterialization]:
    """The latest materialization of each partition that is asked for."""
    partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [None]
    if not partitions:
        raise dg.DagsterInvariantViolationError(
            f"no partition of {context.asset_key.to_user_string()} is asked for; check the partition mapping"
        )
    return [_latest(context, partition) for partition in partitions]


def _latest(context: dg.InputContext, partition: str | None) -> dg.AssetMaterialization:
    materialization = latest_materialization(context.instance, context.asset_key, partition)
    if materialization is None or OUTPUT not in materialization.metadata:
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} has no published output"
            + ("" if partition is None else f" for partition {partition!r}")
            + "; materialize it first, and see its checks if the audit has stopped it"
        )
    return materialization


def _converter(context: dg.InputContext) -> Callable[[pa.Table], Any]:
    annotated = context.dagster_type.typing_type
    if annotated in (Any, None, type(None)):
        return _CONVERTERS["pyarrow.lib.Table"]
    name = f"{getattr(annotated, '__module__', '')}.{getattr(annotated, '__qualname__', annotated)}"
    if name not in _CONVERTERS:
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} cannot be loaded as {name}; annotate the parameter with {_TAKEN}"
        )
    return _CONVERTERS[name]


def _polars() -> Any:
    import polars  # noqa: PLC0415 - an extra

    return polars
