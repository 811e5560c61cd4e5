"""The whole way of two weeks of batches: file -> Lume run -> mapped and rejects -> audit -> downstream.

Run by `make demo`, from the project's folder. Exits with 0 only if all it claims has held.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
from filelock import FileLock
from rich.console import Console
from rich.table import Table

from definitions import defs, lume
from examples.flights import FOLDER, damaged, flights_by_day, raw_flights, write_batches

DAYS = [f"2013-01-{day:02}" for day in range(1, 15)]
DAMAGED = "2013-01-09"
AGAIN = "2013-01-03"

RUN, MAPPED, REJECTS = (dg.AssetKey(["flights", kind]) for kind in ("run", "mapped", "rejects"))
PUNCTUALITY, REVIEW = dg.AssetKey("carrier_punctuality"), dg.AssetKey("rejects_review")


@dataclass(frozen=True)
class Outcome:
    """What became of a batch in one materialization; None where an asset was not materialized.

    `started` tells whether this materialization itself started the Lume run, rather than taking one there was.
    """

    day: str
    succeeded: bool
    run_id: str | None
    started: bool
    status: str | None
    source: int | None
    mapped: int | None
    rejected: int | None
    stopped_by: tuple[str, ...]
    punctuality_rows: int | None
    review_rows: int | None

    @property
    def audit(self) -> str:
        """The verdict of the audit in words."""
        return f"stopped: {', '.join(self.stopped_by)}" if self.stopped_by else "passed"


def materialize(day: str, instance: dg.DagsterInstance, *, force_rerun: bool = False) -> Outcome:
    """Materializes all assets of a batch by a real Dagster run, and tells what became of them."""
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=day,
        instance=instance,
        raise_on_error=False,
        run_config={
            "ops": {"flights__v1__run": {"config": {"force_rerun": force_rerun}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )
    written = {
        event.asset_key: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
    }
    run = written.get(RUN, {})
    # Of a step that was tried again, the last attempt counts.
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    return Outcome(
        day=day,
        succeeded=result.success,
        run_id=run.get("lume/run_id"),
        started=RUN in written and _starter(run["lume/run_id"]) == result.run_id,
        status=run.get("lume/status"),
        source=run.get("lume/source_rows"),
        mapped=run.get("lume/mapped_rows"),
        rejected=run.get("lume/rejected_rows"),
        stopped_by=tuple(
            check.check_name
            for check in checks.values()
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
        ),
        punctuality_rows=written.get(PUNCTUALITY, {}).get("dagster/partition_row_count"),
        review_rows=written.get(REVIEW, {}).get("dagster/partition_row_count"),
    )


def _starter(run_id: str) -> str | None:
    """The Dagster run that started a Lume run."""
    return lume.client.run_status(run_id).run_metadata.get("dagster_run_id")


def mapped_records(day: str, instance: dg.DagsterInstance) -> pa.Table:
    """The published records of a batch, as any downstream asset gets them."""
    table: pa.Table = defs.load_asset_value(
        MAPPED, python_type=pa.Table, instance=instance, partition_key=day
    )
    return table


def table_of(outcomes: list[Outcome]) -> Table:
    """One row a batch."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("batch", "run", "status"):
        table.add_column(title, no_wrap=True)
    for title in ("source", "mapped", "rejected"):
        table.add_column(title, justify="right")
    table.add_column("audit", no_wrap=True)
    for title in ("downstream", "review"):
        table.add_column(title, justify="right")
    for outcome in outcomes:
        numbers = (outcome.source, outcome.mapped, outcome.rejected)
        downstream = (outcome.punctuality_rows, outcome.review_rows)
        table.add_row(
            outcome.day,
            outcome.run_id,
            outcome.status,
            *("-" if number is None else str(number) for number in numbers),
            outcome.audit,
            *("-" if number is None else str(number) for number in downstream),
            style="red" if outcome.stopped_by else None,
        )
    return table


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; opened by one process at a time, as the first one makes its tables."""
    with FileLock(Path(os.environ["DAGSTER_HOME"]) / "opening.lock"):
        return dg.DagsterInstance.get()


def main() -> int:
    """Runs the demo; returns the exit code."""
    console, progress = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)
    batches = {str(day): batch for day, batch in flights_by_day(raw_flights()).items()}
    write_batches({day: damaged(batches[day]) if day == DAMAGED else batches[day] for day in DAYS}, FOLDER)
    with open_instance() as instance:
        outcomes = []
        with progress.status("") as line:
            for day in DAYS:
                line.update(f"{day} ({len(outcomes) + 1} of {len(DAYS)})")
                outcomes.append(materialize(day, instance))
            line.update(f"{AGAIN} again")
            before = mapped_records(AGAIN, instance)
            repeated = materialize(AGAIN, instance)
            line.update(f"{AGAIN} again, forced")
            forced = materialize(AGAIN, instance, force_rerun=True)
            after = mapped_records(AGAIN, instance)

    console.print(table_of(outcomes), "")
    by_day = {outcome.day: outcome for outcome in outcomes}
    broken = by_day[DAMAGED]
    ids = after.column("flight_id").to_pylist()
    claims = {
        f"{DAMAGED}, the batch of a broken upload that was resumed, was stopped by the audit": not broken.succeeded
        and bool(broken.stopped_by)
        and broken.punctuality_rows is None,
        f"its {broken.rejected} rejects reached review all the same": broken.review_rows == broken.rejected,
        "every other batch passed, and reached the punctuality table": all(
            outcome.succeeded and outcome.punctuality_rows for outcome in outcomes if outcome.day != DAMAGED
        ),
        "every record was mapped or rejected": all(
            outcome.source == (outcome.mapped or 0) + (outcome.rejected or 0) for outcome in outcomes
        ),
        f"materializing {AGAIN} again started no new run": repeated.succeeded and not repeated.started,
        f"a forced rerun started one, {forced.run_id}": forced.succeeded and forced.run_id != repeated.run_id,
        f"and left no record twice: {len(ids)} records, {len(set(ids))} flights": len(ids) == len(set(ids))
        and after.equals(before),
    }
    for claim, held in claims.items():
        console.print(
            f"[{'green' if held else 'bold red'}]{'ok ' if held else 'NO '}[/] {claim}", highlight=False
        )
    console.print("\nOpen the UI with: make dev", highlight=False)
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
