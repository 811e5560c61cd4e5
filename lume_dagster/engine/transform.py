"""Map a staged batch: the mapped records, the rejects, and the figures."""

# ruff: noqa: S608 - all texts in these statements are literals and names made by sql.py
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from lume_dagster.engine.duckdb_compiler import DuckDBCompiler, StageLayout
from lume_dagster.engine.errors import BatchError, EngineError
from lume_dagster.engine.flow import FlowVersion
from lume_dagster.engine.plan import Key
from lume_dagster.engine.results import read_page
from lume_dagster.engine.row_set import RowSet
from lume_dagster.engine.sql import literal
from lume_dagster.engine.stage import Cancel, StagedBatch, check_cancel, os_reason

MAPPED_FILE = "mapped.parquet"
REJECTS_FILE = "rejects.parquet"
_SAMPLES = 20
_DICTIONARY = 1000
"""Values that the dictionary of a column's row group may have; with more it costs more than it saves."""
_SPARSE = 8
"""Rejects are few where less than one row in so many is one."""


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch.

    Attributes:
        mapped_path: Parquet file of the mapped records: the target schema's columns, in the order of the source.
        rejects_path: Parquet file of the rejects: `row_number`, `source_record` (JSON), `errors`.
        source_rows: Records of the batch.
        mapped_rows: Those mapped.
        rejected_rows: Those rejected.
        by_type: Errors by type.
        by_field: Errors by target field and type; a line that cannot be parsed counts for no field.
        samples: The first rejects, as in `results_page`.
        bytes_read: Size of the batch's file.
        bytes_written: Size of the two result files.
        columns: Columns of the batch.
        missing: Optional columns that the batch does not have.
        unexpected: Columns that the flow neither reads nor ignores.
        format: csv or parquet.
        encoding: The text encoding of a CSV file.
    """

    mapped_path: Path
    rejects_path: Path
    source_rows: int
    mapped_rows: int
    rejected_rows: int
    by_type: dict[str, int]
    by_field: dict[str, dict[str, int]]
    samples: list[dict[str, Any]]
    bytes_read: int
    bytes_written: int
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    format: str
    encoding: str | None


def transform(
    cursor: duckdb.DuckDBPyConnection,
    flow: FlowVersion,
    staged: StagedBatch,
    out_dir: Path,
    cancel: Cancel | None,
) -> BatchResult:
    """Map a staged batch with a cursor that reaches the stage and `out_dir`.

    Raises:
        BatchError: The batch's own Parquet file cannot be read to its end.
        EngineError: The results cannot be written, or do not add up.
        CancelledError: The caller's flag is set.
    """
    try:
        return _transform(cursor, flow, staged, out_dir, cancel)
    except duckdb.Error as error:
        if isinstance(error, duckdb.InterruptException) or _is_readable(cursor, staged):
            raise
        # Without the database's words, which hold values.
        raise BatchError(
            "the Parquet file cannot be read to its end: it is damaged, or a text in it is not UTF-8; write it anew"
        ) from None


def _is_readable(cursor: duckdb.DuckDBPyConnection, staged: StagedBatch) -> bool:
    """Whether all values of the stage can be read; one of texts was written by us."""
    if staged.info.types is None:
        return True
    try:
        path = literal(str(staged.path.resolve()))
        cursor.execute(f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({path}, hive_partitioning = false)")
    except (
        duckdb.InvalidInputException,
        duckdb.IOException,
        duckdb.ConversionException,
        duckdb.InternalException,
    ):
        return False
    return True


def _transform(
    cursor: duckdb.DuckDBPyConnection,
    flow: FlowVersion,
    staged: StagedBatch,
    out_dir: Path,
    cancel: Cancel | None,
) -> BatchResult:
    info = staged.info
    layout = StageLayout(
        str(staged.path.resolve()), info.columns, info.types, empty_is_null=info.format == "csv"
    )
    compiler = DuckDBCompiler(flow.plan, layout)
    out = out_dir.resolve()
    with _results(out / MAPPED_FILE, out / REJECTS_FILE) as (mapped, rejects):
        duplicates = _find_duplicates(cursor, compiler, flow.plan.keys, info.rows)
        check_cancel(cancel)
        rejected = RowSet(info.rows)
        with rejected.adding(cursor) as reject:
            mapped_rows = _copy(cursor, compiler.mapped(reject, duplicates=bool(duplicates)), mapped)
        check_cancel(cancel)
        rejected_rows = _copy_rejects(cursor, compiler, rejected, duplicates, rejects)
        by_type, by_field = _count_errors(cursor, rejects, rejected_rows)
        samples = read_page(cursor, rejects, 0, _SAMPLES)
        if mapped_rows + rejected_rows != info.rows:
            raise EngineError(
                f"internal error: of {info.rows} records {mapped_rows} were mapped and {rejected_rows} rejected; "
                "nothing was written"
            )
    paths = (out_dir / MAPPED_FILE, out_dir / REJECTS_FILE)
    return BatchResult(
        mapped_path=paths[0],
        rejects_path=paths[1],
        source_rows=info.rows,
        mapped_rows=mapped_rows,
        rejected_rows=rejected_rows,
        by_type=by_type,
        by_field=by_field,
        samples=samples,
        bytes_read=info.bytes_read,
        bytes_written=sum(path.stat().st_size for path in paths),
        columns=info.columns,
        missing=staged.missing,
        unexpected=staged.unexpected,
        format=info.format,
        encoding=info.encoding,
    )


@contextmanager
def _results(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Files to write to, which appear under their names only when all of them are whole."""
    partial = tuple(path.with_name(path.name + ".tmp") for path in paths)
    try:
        yield partial
        for written, path in zip(partial, paths, strict=True):
            written.replace(path)
    except OSError as error:
        raise EngineError(f"cannot write the results to {paths[0].parent}: {os_reason(error)}") from error
    finally:
        for written in partial:
            written.unlink(missing_ok=True)


def _find_duplicates(
    cursor: duckdb.DuckDBPyConnection, compiler: DuckDBCompiler, keys: tuple[Key, ...], rows: int
) -> dict[Key, str]:
    """Fill a table for each key that is not unique, and the variable `duplicates` with the rows of all of them."""
    tables: dict[Key, str] = {}
    for index, key in enumerate(keys if rows else ()):
        repeated, table = f"repeated_{index}", f"duplicates_{index}"
        cursor.execute(f"CREATE TEMP TABLE {repeated} AS {compiler.repeated_hashes(key)}")
        if _count(cursor, f"SELECT count(*) FROM {repeated}"):
            cursor.execute(f"CREATE TEMP TABLE {table} AS {compiler.duplicates(key, repeated)}")
            if _count(cursor, f"SELECT count(*) FROM {table}"):
                tables[key] = table
    if tables:
        found = " UNION ".join(f"SELECT row_number FROM {table}" for table in tables.values())
        cursor.execute(
            f"SET VARIABLE duplicates = (SELECT bitstring_agg(row_number, 1, {rows}) FROM ({found}))"
        )
    return tables


def _copy(cursor: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    options = f"FORMAT parquet, DICTIONARY_SIZE_LIMIT {_DICTIONARY}"
    return _count(cursor, f"COPY ({query}) TO {literal(str(path))} ({options})")


def _copy_rejects(
    cursor: duckdb.DuckDBPyConnection,
    compiler: DuckDBCompiler,
    rejected: RowSet,
    duplicates: dict[Key, str],
    path: Path,
) -> int:
    if not len(rejected):
        return _copy(cursor, compiler.no_rejects(), path)
    rejected.keep(cursor, "rejected")
    sparse = len(rejected) < rejected.rows // _SPARSE
    return _copy(cursor, compiler.rejects(duplicates=duplicates, sparse=sparse), path)


def _count(cursor: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(cursor.execute(query).fetchall()[0][0])


def _count_errors(
    cursor: duckdb.DuckDBPyConnection, rejects: Path, rows: int
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    source = f"read_parquet({literal(str(rejects))})"
    with_errors = _count(cursor, f"SELECT count(*) FROM {source} WHERE len(errors) > 0")
    if with_errors != rows:
        raise EngineError(f"internal error: {rows - with_errors} rejects carry no error; nothing was written")
    cursor.execute(
        "SELECT error.field, error.type, count(*) "
        f"FROM (SELECT unnest(errors) AS error FROM {source}) GROUP BY ALL ORDER BY ALL"
    )
    by_type: dict[str, int] = {}
    by_field: dict[str, dict[str, int]] = {}
    for field, error_type, count in cursor.fetchall():
        by_type[error_type] = by_type.get(error_type, 0) + count
        if field is not None:
            by_field.setdefault(field, {})[error_type] = count
    return by_type, by_field
