"""A run's results as a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lume_dagster.client import LumeClient, LumeRun
from lume_dagster.client.models import ResultKind
from lume_dagster.whole_file import whole_file

_Writer = Callable[[LumeClient, LumeRun, ResultKind, Path], int]


def write_results_file(client: LumeClient, run: LumeRun, kind: ResultKind, path: Path) -> int:
    """Writes all records that a run mapped or rejected. The file appears whole or not at all.

    Args:
        client: The Lume of the run.
        run: The run.
        kind: Mapped records, or rejects. A CSV of rejects is one to review: see `write_review_csv`.
        path: The file; its extension says the format: `.csv`, `.jsonl` or `.parquet`.

    Returns:
        The number of records written.

    Raises:
        ValueError: The extension is another.
        LumeError: The results cannot be had.
        OSError: The file cannot be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"{path}: name a file that ends in {', '.join(_WRITERS)}")
    with whole_file(path) as partial:
        return write(client, run, kind, partial)


def _write_csv(client: LumeClient, run: LumeRun, kind: ResultKind, path: Path) -> int:
    table = client.results_frame(run, kind, "arrow")
    if kind == "rejects":
        from lume_dagster.corrections.review import write_review_csv  # noqa: PLC0415 - pyarrow is heavy

        return write_review_csv(table, path)
    from pyarrow import csv  # noqa: PLC0415 - heavy

    csv.write_csv(table, path)
    return int(table.num_rows)


def _write_parquet(client: LumeClient, run: LumeRun, kind: ResultKind, path: Path) -> int:
    from pyarrow import parquet  # noqa: PLC0415 - heavy

    table = client.results_frame(run, kind, "arrow")
    parquet.write_table(table, path)
    return int(table.num_rows)


def _write_json_lines(client: LumeClient, run: LumeRun, kind: ResultKind, path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for item in client.iter_results(run, kind):
            record = item if isinstance(item, dict) else item.model_dump(mode="json")
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


_WRITERS: dict[str, _Writer] = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}
