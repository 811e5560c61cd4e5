"""A pipeline over an embedded Lume of its own: people:v1, static partitions, one batch a partition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from lume_dagster import (
    LumeChecks,
    LumeIOManager,
    LumeResource,
    build_lume_assets,
    write_review_csv,
)

PARTITIONS = dg.StaticPartitionsDefinition(["a", "b", "c", "d", "e"])
RUN, MAPPED, REJECTS = (dg.AssetKey(["people", kind]) for kind in ("run", "mapped", "rejects"))
NAMES, REVIEW = dg.AssetKey("names"), dg.AssetKey("review")
WRITE, AUDIT = "people__v1__run", "people__v1__audit"

GOOD = "ID,Full Name,Mail\n1,Ada,ada@example.com\n2,Bob,\n"
HALF_BAD = "ID,Full Name,Mail\n1,Ada,ada@example.com\nx,Bob,\n"
ALL_BAD = "ID,Full Name,Mail\nx,,\n"


@dataclass
class Pipeline:
    """Definitions, an instance, and what the tests ask of them."""

    folder: Path
    lume: LumeResource
    instance: dg.DagsterInstance
    options: dict[str, Any] = field(default_factory=dict)

    def write(self, partition: str, text: str) -> None:
        (self.folder / f"{partition}.csv").write_text(text)

    @property
    def definitions(self) -> dg.Definitions:
        return dg.Definitions.merge(
            build_lume_assets(
                **{
                    "flow_version": "people:v1",
                    "partitions_def": PARTITIONS,
                    "source_path": str(self.folder / "{partition_key}.csv"),
                    "checks": LumeChecks(reject_rate_error=0.4),
                    **self.options,
                }
            ),
            dg.Definitions(
                assets=[self._names(), self._review()],
                resources={"lume": self.lume, "lume_io_manager": LumeIOManager(lume=self.lume)},
            ),
        )

    def _names(self) -> dg.AssetsDefinition:
        @dg.asset(name="names", ins={"mapped": dg.AssetIn(MAPPED)}, partitions_def=PARTITIONS)
        def names(mapped: pa.Table) -> dg.MaterializeResult[Any]:
            return dg.MaterializeResult(metadata={"names": mapped.column("name").to_pylist()})

        return names

    def _review(self) -> dg.AssetsDefinition:
        @dg.asset(name="review", ins={"rejects": dg.AssetIn(REJECTS)}, partitions_def=PARTITIONS)
        def review(context: dg.AssetExecutionContext, rejects: pa.Table) -> dg.MaterializeResult[Any]:
            path = self.folder / f"{context.partition_key}.review.csv"
            return dg.MaterializeResult(metadata={"rejects": write_review_csv(rejects, path)})

        return review

    def materialize(
        self,
        partition: str,
        *keys: dg.AssetKey,
        write: dict[str, Any] | None = None,
        audit: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        ops = {name: {"config": config} for name, config in ((WRITE, write), (AUDIT, audit)) if config}
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=partition,
            instance=self.instance,
            raise_on_error=False,
            asset_selection=list(keys) or None,
            run_config={"ops": ops},
            tags=tags,
        )

    def latest(self, key: dg.AssetKey, partition: str) -> dg.AssetMaterialization | None:
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1
        ).records
        return records[0].asset_materialization if records else None

    def lume_run(self, key: dg.AssetKey, partition: str) -> object:
        """The id of the Lume run that an asset of a batch stands for; None if it was never materialized."""
        latest = self.latest(key, partition)
        return None if latest is None else latest.metadata["lume/run_id"].value

    def count(self, key: dg.AssetKey, partition: str) -> int:
        return len(
            self.instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=100
            ).records
        )

    def runs(self, partition: str) -> Sequence[str]:
        """The ids of the Lume runs of a batch, newest first."""
        path = str(self.folder / f"{partition}.csv")
        return [run.id for run in self.lume.client.iter_runs(source_path=path)]


def materialized(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key}


def failed_checks(result: dg.ExecuteInProcessResult) -> set[str]:
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}


def failure(result: dg.ExecuteInProcessResult, step: str) -> str:
    """What the failed step says, with its causes."""
    data = result.failure_data_for_node(step)
    assert data is not None
    user_failure = data.user_failure_data
    return (user_failure.description if user_failure else None) or str(data.error)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def pipeline(tmp_path: Path, flows: Path, instance: dg.DagsterInstance) -> Pipeline:
    folder = tmp_path / "incoming"
    folder.mkdir()
    made = Pipeline(folder, LumeResource(home=str(tmp_path / "home"), flows=str(flows)), instance)
    made.write("a", GOOD)
    made.write("b", HALF_BAD)
    made.write("c", ALL_BAD)
    return made


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """The folder of a Dagster instance that processes share."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:  # its tables, before anyone is killed
        made.get_runs(limit=1)
    return tmp_path
