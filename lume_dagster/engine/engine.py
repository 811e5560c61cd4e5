"""The engine: one object a process, which reads batches and maps them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lume_dagster.engine.batch_file import open_batch_file, suffix_of
from lume_dagster.engine.batch_table import BatchName
from lume_dagster.engine.cage import Cage, EngineSettings
from lume_dagster.engine.corrections import StagedRecord, Values, correct_stage, read_records
from lume_dagster.engine.csv_source import stage_csv
from lume_dagster.engine.document import SourceSpec
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.excel_source import stage_excel
from lume_dagster.engine.flow import FlowVersion
from lume_dagster.engine.json_source import stage_json, stage_json_lines
from lume_dagster.engine.parquet_source import stage_parquet
from lume_dagster.engine.query_source import stage_query
from lume_dagster.engine.results import read_page, read_row_numbers
from lume_dagster.engine.stage import STAGE_FILE, Cancel, StagedBatch, check_cancel, open_stage
from lume_dagster.engine.table_target import load_table
from lume_dagster.engine.transform import BatchResult, transform
from lume_dagster.urls import refuse_credentials

_READERS = {
    "csv": stage_csv,
    "parquet": stage_parquet,
    "jsonl": stage_json_lines,
    "json": stage_json,
    "excel": stage_excel,
}
_EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "excel"),
}


def format_of(source_path: str, source: SourceSpec) -> str | None:
    """How a batch is written: as its flow says, or as its extension tells; None if nothing does."""
    return source.format or _EXTENSIONS.get(suffix_of(source_path))


class Engine:
    """Reads batches and maps them; safe to use from several threads at once.

    Args:
        settings: Limits, and the directories it may reach.

    Example:
        >>> with Engine(EngineSettings(directories=(Path("work"),))) as engine:
        ...     flow = load_flow("flows/flights/v1.yaml")
        ...     staged = engine.ingest(flow, "2013-01-01.csv", Path("work"))
        ...     result = engine.transform(flow, staged, Path("work"))
    """

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self._cage = Cage(self.settings)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the database connection."""
        self._cage.close()

    def ingest(
        self,
        flow: FlowVersion,
        source_path: str,
        stage_dir: Path,
        cancel: Cancel | None = None,
        *,
        name: str | None = None,
    ) -> StagedBatch:
        """Read a batch into `stage_dir/source.parquet`.

        Args:
            flow: Says how the batch is written and which columns it must have.
            source_path: The batch's file, or what the flow's query binds.
            stage_dir: An existing directory for the stage.
            cancel: Stops the work when it is set.
            name: What messages call the batch; its source path if not given.

        Raises:
            BatchError: The batch cannot be read; the message says where and what to do.
            EngineError: The stage cannot be written.
            CancelledError: `cancel` is set.
        """
        check_cancel(cancel)
        try:
            refuse_credentials(source_path)
        except ValueError as error:
            raise BatchError(str(error)) from None
        stage = stage_dir / STAGE_FILE
        if flow.source.format == "query":
            found = stage_query(source_path, flow.source, flow.source_columns, stage, cancel)
            return StagedBatch(stage, *found)
        source_format = format_of(source_path, flow.source)
        name = name or source_path
        if source_format is None:
            raise BatchError(
                f"{name}: the format cannot be told from the name; set source.format: {' or '.join(_READERS)}"
            )
        info, missing, unexpected = _READERS[source_format](
            open_batch_file(source_path, name), flow.source, flow.source_columns, stage, cancel
        )
        return StagedBatch(stage, info, missing, unexpected)

    def open_stage(self, stage_path: Path, flow: FlowVersion, *, name: str | None = None) -> StagedBatch:
        """Open the stored input of an earlier run, to map it once more.

        Args:
            stage_path: The stored input.
            flow: Says which columns it must have.
            name: What messages call it; its path if not given.

        Raises:
            BatchError: The file is no stage, or lacks columns that the flow reads.
        """
        return open_stage(stage_path, flow.source_columns, flow.source, name or str(stage_path))

    def read_records(self, staged: StagedBatch, row_numbers: Collection[int]) -> dict[int, StagedRecord]:
        """The records of a batch with these row numbers, as far as there are any."""
        return read_records(staged, row_numbers)

    def row_numbers(self, rejects: Path) -> frozenset[int]:
        """The row numbers of a file of rejects.

        Raises:
            EngineError: The file cannot be read.
        """
        return read_row_numbers(rejects)

    def correct(
        self,
        staged: StagedBatch,
        corrections: Mapping[int, Values],
        stage_dir: Path,
        cancel: Cancel | None = None,
    ) -> StagedBatch:
        """Write a stage once more to `stage_dir/source.parquet`, with some of its records corrected.

        Args:
            staged: The stage to correct; it stays as it is.
            corrections: The new texts of columns, by row number; see `corrections.correct_stage`.
            stage_dir: An existing directory for the new stage.
            cancel: Stops the work when it is set.

        Raises:
            EngineError: The stage cannot be written.
            CancelledError: `cancel` is set.
        """
        return correct_stage(staged, corrections, stage_dir / STAGE_FILE, cancel)

    def transform(
        self, flow: FlowVersion, staged: StagedBatch, out_dir: Path, cancel: Cancel | None = None
    ) -> BatchResult:
        """Map a batch and write `out_dir/mapped.parquet` and `out_dir/rejects.parquet`.

        Every record of the batch is in one of them. Both appear only when both are whole.

        Args:
            flow: The mapping.
            staged: The batch.
            out_dir: An existing directory for the results.
            cancel: Stops the work when it is set.

        Raises:
            EngineError: The results cannot be written, or the engine is at fault.
            CancelledError: `cancel` is set.
        """
        with self._cage.cursor(staged.path.parent, out_dir, cancel=cancel) as cursor:
            return transform(cursor, flow, staged, out_dir, cancel)

    def load_target(
        self, flow: FlowVersion, mapped: Path, batch: str, run: str, cancel: Cancel | None = None
    ) -> None:
        """Put mapped records where the flow says beside files; nothing to do if it says nothing.

        Args:
            flow: Names the table.
            mapped: The mapped records of `transform`.
            batch: Names the batch; its earlier records are replaced in the same transaction.
            run: The run; an id that is greater than that of earlier runs.
            cancel: Stops the work when it is set; the table then is as it was.

        Raises:
            BatchError: The table cannot be written; the message says why.
            UnavailableError: The database is in use or lost; another try may succeed.
            CancelledError: `cancel` is set.
        """
        if flow.target.format == "table":
            load_table(flow.target, mapped, BatchName(flow.name, batch, run), cancel)

    def results_page(self, parquet_path: Path, offset: int, limit: int) -> list[dict[str, Any]]:
        """Some records of a result file as JSON-ready dictionaries; see `results.read_page`.

        Raises:
            EngineError: The file cannot be read.
        """
        with self._cage.cursor(parquet_path.parent) as cursor:
            return read_page(cursor, parquet_path, offset, limit)
