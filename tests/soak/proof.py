"""What both stores hold when all is done, against what each batch was made to be."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import dagster as dg

from lume_dagster.client import LumeClient, LumeRun
from tests.soak.tasks import Kind, Lane

RUN, REJECTS, MAPPED = (dg.AssetKey(["people", kind]) for kind in ("run", "rejects", "mapped"))


@dataclass
class Proof:
    """What is wrong, by what it is; and what there is at all."""

    duplicates: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    lume_runs: Counter[str] = field(default_factory=Counter)
    dagster_runs: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> dict[str, list[str]]:
        return {
            "duplicate runs or events": self.duplicates,
            "lost batches": self.lost,
            "wrong verdicts": self.wrong,
            "orphans": self.orphans,
        }


def prove(lane: Lane, lume: LumeClient, folder: str) -> Proof:
    """Compares what the Dagster instance and the Lume of a lane hold with its batches."""
    proof = Proof()
    with dg.DagsterInstance.local_temp(str(lane.storage)) as instance:
        made, checks = _told(instance, proof)
    for key, kind in lane.kinds.items():
        runs = list(lume.iter_runs("people:v1", f"{folder}/{key}.csv"))
        proof.lume_runs.update(run.status for run in runs)
        proof.orphans += [f"{key}: {run.id} is {run.status}" for run in runs if not run.is_final]
        mapping = [run for run in runs if run.is_final and not run.failed]
        if len(mapping) > 1 + lane.forces[key]:
            proof.duplicates.append(f"{key}: {len(mapping)} runs mapped it, {lane.forces[key]} were forced")
        for later, earlier in pairwise(runs):  # newest first
            if earlier.metadata["run"]["finished_at"] > later.metadata["run"]["created_at"]:
                proof.duplicates.append(f"{key}: {earlier.id} and {later.id} at once")
        ended = mapping[0] if kind.maps and mapping else (runs[0] if runs and not kind.maps else None)
        if ended is None:
            proof.lost.append(f"{key}: no run of it ended, of {len(runs)}")
            continue
        held = {name: lume.results(ended, name, page=1, size=1).total for name in ("mapped", "rejects")}  # type: ignore[arg-type]
        if held != {"mapped": kind.rows - kind.bad, "rejects": kind.bad}:
            proof.lost.append(f"{key}: {ended.id} holds {held}, not {kind}")
        for asset in (RUN, REJECTS, *((MAPPED,) if kind.is_published else ())):
            if not made[asset, key] or made[asset, key][-1] != ended.id:
                proof.lost.append(f"{key}: {asset.to_user_string()} is of {made[asset, key]}, not {ended.id}")
        proof.wrong += _wrong_verdicts(key, kind, ended, made, checks)
    return proof


def _wrong_verdicts(
    key: str, kind: Kind, ended: LumeRun, made: dict[Any, list[str]], checks: dict[Any, Any]
) -> list[str]:
    found = []
    failed = {name for (name, batch), check in checks.items() if batch == key and not check.passed}
    if failed != kind.failed_checks:
        found.append(f"{key}: failed {sorted(failed)}, not as {kind}")
    if bool(made[MAPPED, key]) != kind.is_published:
        found.append(f"{key}: published {made[MAPPED, key]}, not as {kind}")
    missing = {"status", *(() if ended.failed else ("rows_reconcile", "reject_rate", "schema"))} - {
        name for name, batch in checks if batch == key
    }
    if missing:
        found.append(f"{key}: {sorted(missing)} were never told")
    return found


def _told(
    instance: dg.DagsterInstance, proof: Proof
) -> tuple[dict[tuple[dg.AssetKey, str], list[str]], dict[tuple[str, str], dg.AssetCheckEvaluation]]:
    """For each asset and batch, the Lume runs of its materializations in their order; and the latest check results."""
    made: dict[tuple[dg.AssetKey, str], list[str]] = defaultdict(list)
    checks: dict[tuple[str, str], dg.AssetCheckEvaluation] = {}
    times_made: Counter[tuple[str, ...]] = Counter()
    times_checked: Counter[tuple[str, ...]] = Counter()
    for run in reversed(instance.get_runs()):
        proof.dagster_runs[run.status.value] += 1
        for entry in instance.all_logs(
            run.run_id,
            of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION},
        ):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                batch = str(check.partition)
                checks[check.check_name, batch] = check
                times_checked[run.run_id, batch, check.check_name] += 1
                continue
            told = event.step_materialization_data.materialization
            lume_run = (told.tags or {})["lume/run_id"]
            batch = str(told.partition)
            made[told.asset_key, batch].append(lume_run)
            root = run.root_run_id or run.run_id
            times_made[root, told.asset_key.to_user_string(), batch, lume_run] += 1
    proof.duplicates += [f"made {n} times: {what}" for what, n in times_made.items() if n > 1]
    proof.duplicates += [f"told {n} times: {what}" for what, n in times_checked.items() if n > 1]
    return made, checks
