from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from lume_dagster import LumeResource
from lume_dagster.assets.metadata import (
    failure_metadata,
    mapped_metadata,
    outcome,
    rejects_metadata,
    run_metadata,
)
from lume_dagster.client import FlowVersionInfo, LumeRun
from tests.dagster.conftest import AUDIT, MAPPED, REJECTS, RUN, Pipeline

SCRIPT, LINK = "<script>alert(1)</script>", "[x](javascript:alert(1))"
FLOW = FlowVersionInfo(
    name="people",
    version="v1",
    flow_version="people:v1",
    target_schema={
        "type": "object",
        "properties": {
            "id": {"type": "integer", "description": "The number.", "minimum": 1},
            "email": {"type": ["string", "null"], "x-sensitive": True},
        },
        "required": ["id"],
    },
    lineage={"id": ("ID",), "email": ("Mail", "Mail 2")},
)


def run_with(status: str = "PARTIAL_FAILED", **metadata: Any) -> LumeRun:
    return LumeRun(
        id="run_1", flow_version="people:v1", source_path="p.csv", status=status, metadata=metadata
    )


def error(field: str | None, value: str) -> dict[str, Any]:
    return {"field": field, "type": "type", "message": f"{value} is wrong", "value": value}


HOSTILE = run_with(
    rows={"source": 3, "mapped": 1, "rejected": 2},
    validation={
        "by_type": {"type": 2},
        "by_field": {"id": {"type": 1}, "email": {"type": 1}},
        "samples": [
            {"row_number": 2, "source_record": {}, "errors": [error("id", SCRIPT + "\u202e\x00")]},
            {"row_number": 3, "source_record": {}, "errors": [error("email", "secret@example.com")]},
        ],
    },
    target_locations={"mapped": "/m.parquet", "rejects": "/r.parquet"},
)


def shown(metadata: dict[str, Any]) -> str:
    return str(dg.AssetObservation("x", metadata=metadata).metadata)


@pytest.mark.parametrize(
    "metadata", [rejects_metadata(HOSTILE, FLOW), failure_metadata(HOSTILE, FLOW)], ids=["rejects", "failure"]
)
def test_rejects_are_shown_as_a_table_and_never_as_markdown(metadata: dict[str, Any]) -> None:
    checked = dg.AssetObservation("x", metadata=metadata).metadata
    assert not any(isinstance(value, dg.MarkdownMetadataValue) for value in checked.values())
    sample = checked["lume/rejects_sample"]
    assert isinstance(sample, dg.TableMetadataValue)
    by_row = {record.data["row"]: record.data for record in sample.records}
    assert by_row[2]["value"] == f"{SCRIPT}\\u202e\\x00"
    assert by_row[3]["value"] == by_row[3]["message"] == "(masked)"
    assert "secret@example.com" not in shown(metadata)


def test_an_output_tells_where_it_is_from_what_columns_and_how_many_rows() -> None:
    metadata = mapped_metadata(HOSTILE, FLOW, dg.AssetKey("source"), "https://lume.example.com/run_1")
    assert metadata["lume/run_url"].url == "https://lume.example.com/run_1"
    assert (metadata["dagster/partition_row_count"], metadata["dagster/uri"]) == (1, "/m.parquet")
    assert metadata["lume/outcome"] == "1 of 3 records mapped, 2 rejected"
    first, second = metadata["dagster/column_schema"].columns
    assert (first.description, first.constraints.nullable) == ("The number.", False)
    assert first.constraints.other == ["minimum: 1"]
    assert second.constraints.other == ["sensitive"]
    lineage = metadata["dagster/column_lineage"].deps_by_column
    assert [dep.column_name for dep in lineage["email"]] == ["Mail", "Mail 2"]


def test_a_healthy_batch_does_not_read_like_a_failure() -> None:
    assert outcome(HOSTILE) == "1 of 3 records mapped, 2 rejected"
    assert outcome(run_with("SUCCEEDED", rows={"source": 3, "mapped": 3, "rejected": 0})) == (
        "all 3 records mapped"
    )
    assert outcome(run_with("FAILED", rows={"source": 3, "mapped": 0, "rejected": 3})) == "FAILED"
    assert outcome(run_with("SUCCEEDED")) == "SUCCEEDED"


def test_a_run_tells_its_figures_as_numbers_and_leaves_out_what_lume_does_not_tell() -> None:
    told = run_metadata(
        run_with(
            run={"duration_seconds": 2.5, "started_at": "2024-01-01T00:00:00Z", "forced": False},
            mapper={"version": "7", "fingerprint": "abc"},
            rows={"source": 4, "mapped": 3, "rejected": 1},
            performance={"stage_seconds": {"TRANSFORMING": 2.0}, "rows_per_second": 1.6, "bytes_read": 9},
        )
    )
    numbers = {name: value for name, value in told.items() if type(value) in (int, float)}
    assert numbers == {
        "lume/duration_seconds": 2.5,
        "lume/source_rows": 4,
        "lume/mapped_rows": 3,
        "lume/rejected_rows": 1,
        "lume/reject_rate": 0.25,
        "lume/rows_per_second": 1.6,
        "lume/bytes_read": 9,
        "lume/seconds_transforming": 2.0,
    }
    assert (told["lume/mapper_version"], told["lume/mapper_fingerprint"]) == ("7", "abc")
    assert isinstance(told["lume/started"], dg.TimestampMetadataValue)
    assert "lume/finished" not in told
    bare = run_metadata(run_with("SUCCEEDED"))
    assert set(bare) == {
        "lume/run_id", "lume/outcome", "lume/status", "lume/flow_version", "lume/source_path"
    }  # fmt: skip


def test_credentials_in_what_lume_tells_are_not_shown() -> None:
    signed = "https://host/x?X-Amz-Signature=s3cret"
    run = run_with(target_locations={"mapped": signed, "rejects": signed}, error_message=f"{signed} is gone")
    for metadata in (
        run_metadata(run.model_copy(update={"source_path": signed})),
        mapped_metadata(run, FLOW, RUN),
        rejects_metadata(run, FLOW),
    ):
        assert "X-Amz-Signature=***" in shown(metadata)
        assert "s3cret" not in shown(metadata)


def test_a_link_to_a_run_cannot_leave_its_place() -> None:
    lume = LumeResource(run_url="https://lume.example.com/runs/{run_id}?tab={x}")
    run = run_with().model_copy(update={"id": "a/../b?c#d"})
    assert lume.url_of(run) == "https://lume.example.com/runs/a%2F..%2Fb%3Fc%23d?tab={x}"


def test_a_stopped_batch_shows_its_errors_with_the_failure(pipeline: Pipeline) -> None:
    pipeline.write("b", f"ID,Full Name,Mail\n1,Ada,ada@example.com\n{LINK},Bob,\n")
    result = pipeline.materialize("b", RUN, REJECTS, MAPPED)
    data = result.failure_data_for_node(AUDIT)
    assert data is not None
    assert data.user_failure_data is not None
    metadata = data.user_failure_data.metadata
    assert metadata["lume/outcome"].value == "1 of 2 records mapped, 1 rejected"
    sample = metadata["lume/rejects_sample"]
    assert isinstance(sample, dg.TableMetadataValue)
    assert [record.data["value"] for record in sample.records] == [LINK]


def test_what_a_check_says_of_data_is_escaped(pipeline: Pipeline) -> None:
    pipeline.write("a", f"ID,Full Name,Mail,{LINK},{SCRIPT}\n1,Ada,ada@example.com,1,2\n")
    result = pipeline.materialize("a", RUN, REJECTS, MAPPED)
    (drift,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "source_drift"]
    assert drift.description == (
        "unexpected: '\\[x\\](javascript:alert(1))', '\\<script\\>alert(1)\\</script\\>'"
    )
