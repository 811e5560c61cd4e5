"""What tables of mapped records have in common, whatever database holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lume_dagster.engine.errors import BatchError

FLOW, BATCH, RUN = "lume_flow", "lume_batch", "lume_run"
"""The columns that say whose a record is."""


@dataclass(frozen=True)
class BatchName:
    """Whose the records of a table are.

    Attributes:
        flow: The flow's name.
        batch: The batch.
        run: The run that writes; a later run has a greater id.
    """

    flow: str
    batch: str
    run: str

    @property
    def columns(self) -> dict[str, str]:
        """The values of the columns that say so."""
        return {FLOW: self.flow, BATCH: self.batch, RUN: self.run}


def refuse_earlier(name: BatchName, latest: str | None, table: str) -> None:
    """Refuse to overwrite a later run.

    Args:
        name: What is to be written.
        latest: The latest run of the batch in the table, if there is one.
        table: The table's name.

    Raises:
        BatchError: The table holds the records of a later run.
    """
    if latest is not None and latest > name.run:
        raise BatchError(
            f"the later run {latest} has written the batch to {table}, and is not overwritten; if it "
            "is not later, set the clocks of the machines right, and force a rerun"
        )


def refuse_lacking(needed: Iterable[str], there: set[str], table: str) -> None:
    """Refuse a table that has not all columns.

    Raises:
        BatchError: A column is not there.
    """
    if lacking := [column for column in needed if column not in there]:
        raise BatchError(
            f"target.table: {table} has no column {', '.join(map(repr, lacking))}; "
            "add what is missing to the table, or name another one"
        )
