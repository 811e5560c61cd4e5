"""What an ended Lume run shows of itself in Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from lume_dagster.client import FlowVersionInfo, LumeRun
from lume_dagster.client.models import ResultKind
from lume_dagster.plain_text import visible
from lume_dagster.target_schema import MASK, is_masked, sensitive_fields, table_schema
from lume_dagster.urls import without_credentials

RUN_ID = "lume/run_id"
STATUS = "lume/status"
OUTCOME = "lume/outcome"
SOURCE_ROWS = "lume/source_rows"
OUTPUT = "lume/output"
FLOW_VERSION = "lume/flow_version"
SOURCE_PATH = "lume/source_path"
REJECT_RATE = "lume/reject_rate"
RUN_URL = "lume/run_url"
STARTED = "lume/started"
FINISHED = "lume/finished"

_WHOLE_RECORD = "(whole record)"
_MOST_ROWS_SHOWN = 20

Metadata = dict[str, Any]


def latest_materialization(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition: str | None
) -> dg.AssetMaterialization | None:
    """The latest materialization of an asset, or of one of its partitions; None if there is none."""
    record = latest_materialization_record(instance, asset_key, partition)
    return record.asset_materialization if record else None


def latest_materialization_record(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition: str | None
) -> dg.EventLogRecord | None:
    """The event of the latest materialization, with its time."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=asset_key, asset_partitions=None if partition is None else [partition]
        ),
        limit=1,
    ).records
    return found[0] if found else None


def outcome(run: LumeRun) -> str:
    """How an ended run came out, in words.

    Example:
        `831 of 842 records mapped, 11 rejected`
    """
    if run.failed or (rows := run.rows) is None:
        return run.status
    if not rows.rejected:
        return f"all {rows.source} records mapped"
    return f"{rows.mapped} of {rows.source} records mapped, {rows.rejected} rejected"


def undone_corrections(run: LumeRun) -> str | None:
    """What a forced rerun undoes, in words, if it does.

    Example:
        `3 corrected records of run run_01J are not in it; hand their corrections in again`
    """
    if (undone := run.undoes) is None:
        return None
    if undone.records == 1:
        return f"1 corrected record of run {undone.run_id} is not in it; hand its corrections in again"
    return f"{undone.records} corrected records of run {undone.run_id} are not in it; hand their corrections in again"


def run_metadata(run: LumeRun, url: str | None = None) -> Metadata:
    """What describes the run itself: its id, batch, outcome, rows, times and throughput.

    Durations are in seconds. Numbers are there only where a plot of them over the batches tells something.

    Args:
        run: The run.
        url: Its page.
    """
    found: Metadata = _identity(run, url) | {
        STATUS: run.status,
        "lume/error_message": run.error_message,
        "lume/undone_corrections": undone_corrections(run),
    }
    if (corrects := run.corrects) is not None:
        found |= {"lume/corrects": corrects.run_id, "lume/corrected_records": corrects.records}
    if (rows := run.rows) is not None:
        found |= {
            SOURCE_ROWS: rows.source,
            "lume/mapped_rows": rows.mapped,
            "lume/rejected_rows": rows.rejected,
            REJECT_RATE: round(rows.reject_rate, 6),
        }
    found |= {
        SOURCE_PATH: run.shown_source_path,
        FLOW_VERSION: run.flow_version,
        "lume/forced": run.forced,
        STARTED: run.started_at and dg.MetadataValue.timestamp(run.started_at),
        FINISHED: run.finished_at and dg.MetadataValue.timestamp(run.finished_at),
        "lume/duration_seconds": run.duration_seconds,
    }
    if (source := run.source) is not None and source.file_name:
        found["lume/source_file"] = visible(source.file_name)
    if (performance := run.performance) is not None:
        found |= {
            "lume/rows_per_second": performance.rows_per_second,
            "lume/bytes_read": performance.bytes_read,
            "lume/bytes_written": performance.bytes_written,
            "lume/peak_memory_bytes": performance.peak_memory_bytes,
        }
        found |= {
            f"lume/seconds_{stage.lower()}": value for stage, value in performance.stage_seconds.items()
        }
    found |= {"lume/mapper_version": run.mapper_version, "lume/mapper_fingerprint": run.mapper_fingerprint}
    return {name: value for name, value in found.items() if value is not None}


def correction_metadata(
    reviewed: LumeRun, corrected: LumeRun, records: int, path: str | None, url: str | None = None
) -> Metadata:
    """What describes corrections that were handed in: the file, the run that holds them, and what they have mended.

    Args:
        reviewed: The run whose rejects were corrected.
        corrected: The run that holds the corrections; the same, if they change nothing.
        records: How many records were handed in.
        path: The file; None if there is none.
        url: The page of the run that holds the corrections.
    """
    found: Metadata = _identity(corrected, url) | {
        "dagster/uri": path,
        "lume/corrects": reviewed.id if corrected.id != reviewed.id else None,
        "lume/records_handed_in": records,
        "lume/corrected_records": corrected.corrects.records if corrected.corrects else 0,
        "lume/rejected_before": reviewed.rows and reviewed.rows.rejected,
        "lume/rejected_rows": corrected.rows and corrected.rows.rejected,
        SOURCE_PATH: corrected.shown_source_path,
        FLOW_VERSION: corrected.flow_version,
    }
    return {name: value for name, value in found.items() if value is not None}


def failure_metadata(run: LumeRun, flow: FlowVersionInfo, url: str | None = None) -> Metadata:
    """What a step that fails because of a run shows: the run, its most frequent errors, and some of its rejects.

    Args:
        run: The run.
        flow: The flow version of the run.
        url: The page of the run.
    """
    return run_metadata(run, url) | _errors(run, flow)


def output_metadata(run: LumeRun, kind: ResultKind, url: str | None = None) -> Metadata:
    """What describes one of the outputs of a run: which run, how many rows, and where it lies: its file, its table."""
    found: Metadata = _identity(run, url) | {OUTPUT: kind}
    if (rows := run.rows) is not None:
        found["dagster/partition_row_count"] = rows.mapped if kind == "mapped" else rows.rejected
    locations = run.target_locations
    if locations is not None and (uri := getattr(locations, kind)):
        found["dagster/uri"] = without_credentials(uri)
    if kind == "mapped" and locations is not None and locations.table is not None:
        found["dagster/table_name"] = locations.table
    return found


def _identity(run: LumeRun, url: str | None) -> Metadata:
    found: Metadata = {RUN_ID: run.id, OUTCOME: outcome(run)}
    return found if url is None else found | {RUN_URL: dg.MetadataValue.url(url)}


def mapped_metadata(
    run: LumeRun, flow: FlowVersionInfo, source_key: dg.AssetKey, url: str | None = None
) -> Metadata:
    """The metadata of a batch's mapped output, with its columns and where each of them comes from.

    Args:
        run: The run.
        flow: The flow version of the run.
        source_key: The asset that stands for the source.
        url: The page of the run.
    """
    return output_metadata(run, "mapped", url) | {
        "dagster/column_schema": table_schema(flow.target_schema),
        "dagster/column_lineage": _column_lineage(flow, source_key),
    }


def _column_lineage(flow: FlowVersionInfo, source_key: dg.AssetKey) -> dg.TableColumnLineage:
    """Where each column comes from; one that is an object from all that its fields come from."""
    found: dict[str, dict[str, None]] = {}
    for field, columns in flow.lineage.items():
        found.setdefault(field.partition(".")[0], {}).update(dict.fromkeys(columns))
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(source_key, column) for column in columns]
            for name, columns in found.items()
        }
    )


def rejects_metadata(run: LumeRun, flow: FlowVersionInfo, url: str | None = None) -> Metadata:
    """The metadata of a batch's rejects: the most frequent errors, and a sample with sensitive values masked.

    Args:
        run: The run.
        flow: The flow version of the run.
        url: The page of the run.
    """
    return output_metadata(run, "rejects", url) | _errors(run, flow)


def _errors(run: LumeRun, flow: FlowVersionInfo) -> Metadata:
    validation = run.validation
    if validation is None or not validation.counts:
        return {}
    found: Metadata = {
        "lume/top_errors": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "field": visible(error.field or _WHOLE_RECORD),
                        "error": visible(error.type),
                        "records": error.count,
                    }
                )
                for error in validation.counts[:_MOST_ROWS_SHOWN]
            ]
        )
    }
    sensitive = sensitive_fields(flow.target_schema)
    sample = [
        dg.TableRecord(_shown_error(reject.row_number, error.model_dump(), sensitive))
        for reject in validation.samples
        for error in reject.errors
    ]
    if sample:
        found["lume/rejects_sample"] = dg.MetadataValue.table(sample[:_MOST_ROWS_SHOWN])
    return found


def _shown_error(row_number: int, error: Mapping[str, Any], sensitive: set[str]) -> dict[str, str | int]:
    masked = is_masked(error["field"], sensitive)
    return {
        "row": row_number,
        "field": visible(error["field"] or _WHOLE_RECORD),
        "error": visible(error["type"]),
        "message": MASK if masked else visible(error["message"]),
        "value": MASK if masked else visible(error["value"] or ""),
    }
