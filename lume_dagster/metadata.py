"""What an ended Lume run shows of itself in Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from lume_dagster.client import FlowVersionInfo, LumeRun
from lume_dagster.client.models import ResultKind
from lume_dagster.target_schema import sensitive_fields, table_schema

RUN_ID = "lume/run_id"
STATUS = "lume/status"
SOURCE_ROWS = "lume/source_rows"
OUTPUT = "lume/output"

_MASK = "(masked)"
_WHOLE_RECORD = "(whole record)"
_MOST_ROWS_SHOWN = 20
_LONGEST_TEXT = 300

Metadata = dict[str, Any]


def latest_materialization(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, partition: str | None
) -> dg.AssetMaterialization | None:
    """The latest materialization of an asset, or of one of its partitions; None if there is none."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=asset_key, asset_partitions=None if partition is None else [partition]
        ),
        limit=1,
    ).records
    return found[0].asset_materialization if found else None


def run_metadata(run: LumeRun, url: str | None = None) -> Metadata:
    """What describes the run itself: its id, batch, status, rows, times and throughput. Durations in seconds."""
    found: Metadata = {
        RUN_ID: run.id,
        STATUS: run.status,
        "lume/flow_version": run.flow_version,
        "lume/source_path": run.source_path,
        "lume/forced": run.forced,
        "lume/mapper_fingerprint": run.mapper_fingerprint,
        "lume/duration_seconds": run.duration_seconds,
        "lume/error_message": run.error_message,
    }
    if (rows := run.rows) is not None:
        found |= {
            SOURCE_ROWS: rows.source,
            "lume/mapped_rows": rows.mapped,
            "lume/rejected_rows": rows.rejected,
            "lume/reject_rate": round(rows.reject_rate, 6),
        }
    if (performance := run.performance) is not None:
        found |= {
            "lume/rows_per_second": performance.rows_per_second,
            "lume/peak_memory_bytes": performance.peak_memory_bytes,
        }
        found |= {
            f"lume/seconds_{stage.lower()}": value for stage, value in performance.stage_seconds.items()
        }
    if url is not None:
        found["lume/run_url"] = dg.MetadataValue.url(url)
    return {name: value for name, value in found.items() if value is not None}


def output_metadata(run: LumeRun, kind: ResultKind) -> Metadata:
    """What describes one of the outputs of a run: which run, how many rows, and where it lies: its file, its table."""
    found: Metadata = {RUN_ID: run.id, STATUS: run.status, OUTPUT: kind}
    if (rows := run.rows) is not None:
        found["dagster/partition_row_count"] = rows.mapped if kind == "mapped" else rows.rejected
    locations = run.target_locations
    if locations is not None and (uri := getattr(locations, kind)):
        found["dagster/uri"] = uri
    if kind == "mapped" and locations is not None and locations.table is not None:
        found["dagster/table_name"] = locations.table
    return found


def mapped_metadata(run: LumeRun, flow: FlowVersionInfo, source_key: dg.AssetKey) -> Metadata:
    """The metadata of a batch's mapped output, with its columns and where each of them comes from.

    Args:
        run: The run.
        flow: The flow version of the run.
        source_key: The asset that stands for the source.
    """
    return output_metadata(run, "mapped") | {
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


def rejects_metadata(run: LumeRun, flow: FlowVersionInfo) -> Metadata:
    """The metadata of a batch's rejects: the most frequent errors, and a sample with sensitive values masked."""
    found = output_metadata(run, "rejects")
    validation = run.validation
    if validation is None or not validation.counts:
        return found
    found["lume/top_errors"] = dg.MetadataValue.table(
        [
            dg.TableRecord(
                {"field": error.field or _WHOLE_RECORD, "error": error.type, "records": error.count}
            )
            for error in validation.counts[:_MOST_ROWS_SHOWN]
        ]
    )
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
    # The message may quote the value, and a key's error may quote several fields'.
    masked = bool(sensitive) and (error["field"] is None or bool(sensitive & set(error["field"].split(", "))))
    return {
        "row": row_number,
        "field": error["field"] or _WHOLE_RECORD,
        "error": error["type"],
        "message": _MASK if masked else _shortened(error["message"]),
        "value": _MASK if masked else _shortened(error["value"] or ""),
    }


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
