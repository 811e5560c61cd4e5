"""Corrections of rejects: what a request changes of a batch, and who may ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from lume_dagster.engine import Engine, EngineError, FlowVersion, StagedBatch, StagedRecord
from lume_dagster.service.errors import InvalidRequestError, NotReadyError, SupersededError, UnavailableError
from lume_dagster.service.files import REJECTS, SOURCE, RunFiles
from lume_dagster.service.models import RecordCorrection
from lume_dagster.service.store import RunRecord, RunStore
from lume_dagster.service.uploads import Uploads

Corrected: TypeAlias = dict[int, dict[str, str | None]]
"""The corrected values of a batch, by row number and column."""

_MOST_NAMED = 10


def read_corrected(uploads: Uploads, name: str) -> Corrected:
    """The corrections of this name, as `keep_corrected` has kept them.

    Raises:
        BatchError: They are not there any more.
    """
    return {record["row_number"]: record["values"] for record in uploads.read_records(name)}


def keep_corrected(uploads: Uploads, corrected: Corrected) -> str:
    """Keeps corrections, and returns what names them: the same name for the same corrections.

    Raises:
        UnavailableError: The home cannot be written to.
    """
    return uploads.keep_records(
        [{"row_number": number, "values": corrected[number]} for number in sorted(corrected)]
    )


def run_to_correct(store: RunStore, asked: RunRecord) -> tuple[RunRecord, RunRecord | None]:
    """The run whose records a correction starts from, and the correction of it that is under way, if one is.

    It is the run that was asked for, or the latest correction of it.

    Raises:
        NotReadyError: It has not ended, or has no results.
        SupersededError: The batch was run anew since.
    """
    current = store.current(asked.flow_version, asked.source_path) or asked
    chain = [current]
    while chain[-1].id != asked.id:
        link = store.correction(chain[-1].id)
        if link is None or link.corrects is None:
            raise SupersededError(
                f"run {asked.id} does not stand for its batch any more; {current.id}, {current.status.value}, does: "
                "correct the rejects of that one",
                run_id=current.id,
            )
        chain.append(store.get(link.corrects))
    is_under_way = not current.status.is_final and len(chain) > 1
    base = chain[1] if is_under_way else current
    if base.outcome is None:
        raise NotReadyError(
            f"run {base.id} is {base.status.value} and has no rejects to correct"
            + (f": {base.error_message}" if base.error_message else " yet; wait for its end"),
            run_id=base.id,
        )
    return base, current if is_under_way else None


class Corrector:
    """Judges corrections of a run's rejects.

    Args:
        engine: Reads the records.
        files: The files of the runs.
    """

    def __init__(self, engine: Engine, files: RunFiles) -> None:
        self._engine = engine
        self._files = files

    def merged(
        self, run: RunRecord, flow: FlowVersion, earlier: Corrected, records: Sequence[RecordCorrection]
    ) -> Corrected:
        """All corrections of a batch: those in the run already, and what the records change.

        A record that says what the batch holds anyway changes nothing, so that handing in the same corrections again
        gives what there was.

        Raises:
            InvalidRequestError: A record is named twice, is not in the batch or was not rejected, or has a column
                that the batch does not have. All such faults are told, up to a number.
            UnavailableError: The files of the run cannot be read.
        """
        numbers = [record.row_number for record in records]
        try:
            staged = self._engine.open_stage(self._files.path(run.id, SOURCE), flow)
            current = self._engine.read_records(staged, numbers)
            rejected = self._engine.row_numbers(self._files.path(run.id, REJECTS))
        except EngineError as error:
            raise UnavailableError(f"the files of run {run.id} cannot be read: {error}") from error
        changed = {
            record.row_number: changes
            for record in records
            if (known := current.get(record.row_number)) and (changes := known.changes(record.values))
        }
        if faults := _faults(staged, current, rejected, numbers, changed):
            more = len(faults) - _MOST_NAMED
            raise InvalidRequestError(
                f"the corrections of run {run.id} cannot be taken: "
                + "; ".join(faults[:_MOST_NAMED])
                + (f"; and {more} more" if more > 0 else "")
            )
        return earlier | {number: earlier.get(number, {}) | changes for number, changes in changed.items()}


def _faults(
    staged: StagedBatch,
    current: Mapping[int, StagedRecord],
    rejected: frozenset[int],
    numbers: Sequence[int],
    changed: Corrected,
) -> list[str]:
    columns = set(staged.columns)
    found = []
    seen: set[int] = set()
    for number in numbers:
        changes = changed.get(number, {})
        unknown = [name for name in changes if name not in columns]
        if number in seen:
            found.append(f"row {number} is there twice; leave one")
        elif number not in current:
            found.append(f"row {number} is none of the batch, which has {staged.rows} records")
        elif changes and number not in rejected:
            found.append(
                f"row {number} was not rejected, and cannot be corrected here; correct the source and force a rerun"
            )
        elif unknown:
            found.append(f"row {number} has the column {unknown[0]!r}, which the batch does not have")
        seen.add(number)
    return found
