"""The corrected rejects of a batch: read from their file, and held against the run that they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from lume_dagster.client import LumeClient, LumeRun, NotFoundError
from lume_dagster.client.current_run import reading_run, standing_run
from lume_dagster.corrections.review import RUN_ID, read_review_csv, source_record

_LONGEST_RUN_ID = 200


def read_corrections(
    file: TextIO, name: str, run: LumeRun, client: LumeClient, written: datetime | None = None
) -> Mapping[int, Mapping[str, str | None]]:
    """Reads the corrected rejects of a batch, and sees to it that they are records of it.

    Row numbers are those of the source as it was read. A file that was written for another time it was read is taken
    only if its rows were rejected then and now, and are the same records.

    Args:
        file: A file of `write_review_csv`, opened as `read_review_csv` wants it.
        name: What messages call it.
        run: The run that is to be corrected.
        client: The Lume of the run.
        written: When the file was last written: what tells that rows are old which do not say of which run they are.
            None where that is not to count.

    Returns:
        The values of each record, by row number and source column.

    Raises:
        ValueError: The run has no rejects; or the file is not of the form, holds no record, or may hold others than
            those of the batch.
        OSError: The file cannot be read.
        LumeError: Lume does not tell of the runs, or of their rejects.
    """
    if run.source is None:
        raise ValueError(f"{run.label} is {run.status} and has no rejects to correct")
    review = read_review_csv(file, name, run.source.columns)
    if not review.records:
        raise ValueError(f"{name}: there is no record in it")
    rows_of: dict[str | None, list[int]] = {}
    for row, run_id in review.run_ids.items():
        rows_of.setdefault(run_id, []).append(row)
    for run_id, rows in rows_of.items():
        if run_id is None and written is not None:
            _refuse_older(name, written, reading_run(client, run))
        elif run_id is not None and run_id != run.id:
            _refuse_others(name, run_id, rows, run, client)
    return review.records


def _refuse_older(name: str, written: datetime, read: LumeRun) -> None:
    if read.finished_at and written < read.finished_at:
        raise ValueError(
            f"{name} was written at {written:%Y-%m-%d %H:%M:%S %Z}, before {read.label} mapped the batch anew, and "
            "its row numbers may be others; correct the rejects of that run, and put them there"
        )


def _refuse_others(name: str, run_id: str, rows: Sequence[int], run: LumeRun, client: LumeClient) -> None:
    """Refuses rejects of another run, unless it has read the same records."""
    standing = standing_run(client, run)
    remedy = f"write the file anew from the rejects of run {standing.id}, and correct that one"
    if (origin := _origin(client, run_id)) is None:
        raise ValueError(
            f"{name}, row {rows[0]}: its {RUN_ID} is {run_id[:_LONGEST_RUN_ID]!r}, a run that this Lume does not "
            f"know; {remedy}"
        )
    read = reading_run(client, standing)
    if origin.id == read.id:
        return
    before, now = (_source_records(client, reader, rows) for reader in (origin, read))
    for row in rows:
        if row not in before or before[row] != now.get(row):
            raise ValueError(
                f"{name}, row {row}: it is a reject of run {run_id} ({origin.flow_version} on "
                f"{origin.shown_source_path!r}), and not the same one in {read.label}, which has read the batch that "
                f"is to be corrected; {remedy}"
            )


def _origin(client: LumeClient, run_id: str) -> LumeRun | None:
    """The run that has read what a run rejected; None if Lume does not know it."""
    try:
        return reading_run(client, client.run_status(run_id)) if len(run_id) <= _LONGEST_RUN_ID else None
    except (NotFoundError, ValueError):  # such as a dot, which can be no id
        return None


def _source_records(client: LumeClient, run: LumeRun, rows: Sequence[int]) -> dict[int, Any]:
    """The records of these rows, as far as the run rejected them."""
    table = client.results_frame(run, "rejects", "arrow")
    numbers, records = (table[name].to_pylist() for name in ("row_number", "source_record"))
    wanted = set(rows)
    return {
        number: source_record(record)
        for number, record in zip(numbers, records, strict=True)
        if number in wanted
    }
