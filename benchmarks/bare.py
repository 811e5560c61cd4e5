"""What benchmarks/orchestration.py compares with: Dagster doing nothing, and a wait loop with a fixed pause."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg

CHECKS = ("rows_reconcile", "reject_rate", "schema", "source_drift")
FIXED_PAUSE_SECONDS = 10.0


def specs(name: str, partitions: dg.PartitionsDefinition, **options: Any) -> dict[str, dg.AssetSpec]:
    """Three assets, as a flow version has them."""
    run = dg.AssetKey([name, "run"])
    return {
        kind: dg.AssetSpec(
            [name, kind], deps=[] if kind == "run" else [run], partitions_def=partitions, **options
        )
        for kind in ("run", "rejects", "mapped")
    }


def check_specs(asset: dg.AssetKey, names: Sequence[str]) -> list[dg.AssetCheckSpec]:
    """Checks on an asset."""
    return [dg.AssetCheckSpec(name, asset=asset) for name in names]


def two_steps(name: str, partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """A step with two assets and a check, and a step with one asset and the other checks, that do nothing."""
    made = specs(name, partitions)
    run, rejects, mapped = (made[kind].key for kind in ("run", "rejects", "mapped"))

    @dg.multi_asset(
        name=f"{name}_run", specs=[made["run"], made["rejects"]], check_specs=check_specs(run, ("status",))
    )
    def write() -> Iterator[Any]:
        yield dg.MaterializeResult(asset_key=run)
        yield dg.MaterializeResult(asset_key=rejects)
        yield dg.AssetCheckResult(asset_key=run, check_name="status", passed=True)

    @dg.multi_asset(name=f"{name}_audit", specs=[made["mapped"]], check_specs=check_specs(mapped, CHECKS))
    def audit() -> Iterator[Any]:
        yield dg.MaterializeResult(asset_key=mapped)
        for check in CHECKS:
            yield dg.AssetCheckResult(asset_key=mapped, check_name=check, passed=True)

    return [write, audit]


def one_step(
    name: str, partitions: dg.PartitionsDefinition, url: str | None, at_once: int
) -> dg.AssetsDefinition:
    """A step of many partitions with as many events for each; with a URL, it waits for a run for each."""
    made = specs(name, partitions, skippable=True)
    run, mapped = made["run"].key, made["mapped"].key

    @dg.multi_asset(
        name=f"{name}_all", specs=list(made.values()), backfill_policy=dg.BackfillPolicy.single_run()
    )
    def everything(context):
        with ThreadPoolExecutor(at_once) as threads:
            waits = threads.map(lambda key: _waited(url, key) if url else None, context.partition_keys)
            for partition, _ in zip(context.partition_keys, waits, strict=True):
                context.log_event(dg.AssetObservation(run, partition=partition))
                for spec in made.values():
                    context.log_event(dg.AssetMaterialization(spec.key, partition=partition))
                for asset, check in ((run, "status"), *((mapped, name) for name in CHECKS)):
                    context.log_event(
                        dg.AssetCheckEvaluation(
                            asset_key=asset, check_name=check, passed=True, partition=partition
                        )
                    )

        yield from ()

    return everything


def _waited(url: str, partition: str) -> None:
    """Waits as `FivetranClient.poll_sync` does: looks, and looks again after a fixed pause, in a thread of its own."""
    import httpx

    with httpx.Client(base_url=url) as client:
        body = {"flow_version": "people:v1", "source_path": f"bare/{partition}"}
        run = client.post("/v1/runs", json=body).json()
        while client.get(f"/v1/runs/{run['id']}").json()["status"] != "SUCCEEDED":
            time.sleep(FIXED_PAUSE_SECONDS)


def as_many(count: int, partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Assets that do nothing."""

    def one(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"asset_{number}", partitions_def=partitions)
        def nothing() -> None: ...

        return nothing

    return [one(number) for number in range(count)]
