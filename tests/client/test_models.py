from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lume_dagster.client import (
    LumeRun,
    Page,
    RejectRecord,
    RowCounts,
    RunFailedError,
    RunStatus,
    ValidationSummary,
)

FINAL = {RunStatus.SUCCEEDED, RunStatus.PARTIAL_FAILED, RunStatus.FAILED, RunStatus.CRASHED}


def run_of(status: str = "SUCCEEDED", **metadata: Any) -> LumeRun:
    return LumeRun(id="run_1", flow_version="f:v1", source_path="day-1", status=status, metadata=metadata)


def test_credentials_that_another_client_named_a_batch_by_are_not_shown() -> None:
    path = "https://host/x.csv?X-Amz-Signature=s3cret"
    metadata = {"run": {"source_path": path}, "error_message": f"{path}: there is no such file"}
    run = run_of("FAILED", **metadata).model_copy(update={"source_path": path})
    assert run.source_path == path
    assert "X-Amz-Signature=***" in run.label
    for shown in (repr(run), str(run), run.label, run.error_message, str(RunFailedError(run))):
        assert "s3cret" not in str(shown)


@given(status=st.sampled_from(RunStatus), upper=st.lists(st.booleans(), min_size=14, max_size=14))
def test_a_status_is_known_in_any_case(status: RunStatus, upper: list[bool]) -> None:
    spelt = "".join(c if up else c.lower() for c, up in zip(status.value, upper, strict=False))
    run = run_of(spelt)
    assert run.status == spelt
    assert run.state is status
    assert run.is_final is (status in FINAL) is status.is_final
    assert run.is_active is not run.is_final
    assert status.is_active is not status.is_final


@pytest.mark.parametrize("spelt", ["INCOMPLETE", "incomplete", "Partial_Failed"])
def test_incomplete_counts_as_partial_failed(spelt: str) -> None:
    run = run_of(spelt)
    assert (run.status, run.partial_failed, run.is_final) == (spelt, True, True)
    assert (run.succeeded, run.failed) == (False, False)


def test_an_unknown_status_is_active_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lume_dagster.client"):
        runs = [run_of("POLISHING_PIXELS") for _ in range(3)]
    assert all(run.is_active and run.state is None for run in runs)
    assert [record.getMessage().count("POLISHING_PIXELS") for record in caplog.records] == [1]


@pytest.mark.parametrize(("status", "crashed"), [("FAILED", False), ("CRASHED", True)])
def test_raise_for_status_tells_run_and_reason(status: str, crashed: bool) -> None:
    run = run_of(status, error_message="the batch has no column carrier")
    assert run.crashed is crashed
    with pytest.raises(
        RunFailedError, match=r"run_1.*f:v1.*day-1.*the batch has no column carrier"
    ) as failed:
        run.raise_for_status()
    assert failed.value.run is run


@pytest.mark.parametrize("status", ["SUCCEEDED", "PARTIAL_FAILED", "RUNNING", "who knows"])
def test_raise_for_status_returns_other_runs(status: str) -> None:
    run = run_of(status)
    assert run.raise_for_status() is run


def test_metadata_is_read() -> None:
    run = run_of(
        run={"created_at": "2013-01-01T02:00:00+02:00", "duration_seconds": 1.5, "forced": True},
        mapper={"version": "v1", "fingerprint": "abc"},
        rows={"source": 3, "mapped": 2, "rejected": 1, "more": 1},
        validation={
            "by_type": {"type": 1},
            "by_field": {"dep_time": {"type": 1}},
            "samples": [{"row_number": 2, "source_record": {"a": "x"}, "errors": [{"type": "type"}]}],
        },
        performance={"stage_seconds": {"TRANSFORMING": 1.0}, "bytes_read": 10},
        source={"columns": ["a"], "missing": ["b"]},
        target_locations={"mapped": "file:///m", "rejects": "file:///r"},
        run_metadata={"who": "me"},
    )
    assert run.created_at == datetime(2013, 1, 1, tzinfo=timezone.utc)
    assert (run.duration_seconds, run.forced) == (1.5, True)
    assert (run.mapper_version, run.mapper_fingerprint) == ("v1", "abc")
    assert run.rows == RowCounts(source=3, mapped=2, rejected=1)
    assert run.validation
    assert run.validation.samples[0].errors[0].field is None
    assert run.performance
    assert run.performance.bytes_read == 10
    assert run.source
    assert run.source.missing == ("b",)
    assert run.target_locations
    assert run.target_locations.rejects == "file:///r"
    assert run.run_metadata == {"who": "me"}


PROPERTIES = [
    "rows",
    "validation",
    "target_locations",
    "performance",
    "source",
    "error_message",
    "mapper_fingerprint",
    "mapper_version",
    "created_at",
    "started_at",
    "finished_at",
    "duration_seconds",
    "forced",
]


@pytest.mark.parametrize("metadata", [None, {}, {"run": None, "mapper": None, "rows": None}])
def test_metadata_may_lack_anything(metadata: Any) -> None:
    run = LumeRun.model_validate(
        {"id": "r", "flow_version": "f:v1", "source_path": "s", "status": "FAILED", "metadata": metadata}
    )
    assert {name: getattr(run, name) for name in PROPERTIES} == dict.fromkeys(PROPERTIES)
    assert run.run_metadata == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
members = ["run", "mapper", "rows", "validation", "performance", "source", "target_locations", "run_metadata"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(metadata=st.dictionaries(st.sampled_from([*members, "error_message"]), json_values))
def test_metadata_of_any_shape_never_raises(metadata: dict[str, Any]) -> None:
    run = run_of("FAILED", **metadata)
    for name in [*PROPERTIES, "run_metadata"]:
        getattr(run, name)


def test_a_malformed_member_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    run = run_of(rows={"source": "many"}).model_copy(update={"id": "run_of_a_strange_lume"})
    with caplog.at_level(logging.WARNING, logger="lume_dagster.client"):
        assert run.rows is None
    assert "metadata member rows" in caplog.text


def test_identifiers_may_come_in_metadata() -> None:
    nested = {"run": {"flow_version": "f:v1", "source_path": "s"}}
    flat = {"flow_version": "f:v1", "source_path": "s"}
    for metadata in (nested, flat):
        run = LumeRun.model_validate({"id": "r", "status": "CREATED", "metadata": metadata})
        assert (run.flow_version, run.source_path) == ("f:v1", "s")


def test_records_are_frozen_and_ignore_what_they_do_not_know() -> None:
    run = LumeRun.model_validate({**run_of().model_dump(), "brand_new": 1})
    with pytest.raises(ValidationError):
        run.status = "FAILED"  # type: ignore[misc]
    assert not hasattr(run, "brand_new")


def test_pages_are_typed() -> None:
    page = Page[RejectRecord].model_validate(
        {"items": [{"row_number": 1, "errors": []}], "total": 1, "page": 1, "size": 10, "pages": 1}
    )
    assert page.items == (RejectRecord(row_number=1),)


def test_status_prints_as_its_value() -> None:
    assert f"{RunStatus.FAILED}" == str(RunStatus.FAILED) == "FAILED"


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.dictionaries(st.sampled_from(["type", "range"]), st.integers(1, 9), max_size=2),
    ),
    st.dictionaries(st.sampled_from(["unparsable", "range"]), st.integers(1, 9)),
)
def test_errors_are_counted_by_field_and_those_of_whole_records_too(
    by_field: dict[str, dict[str, int]], of_records: dict[str, int]
) -> None:
    by_type = Counter(of_records)
    for kinds in by_field.values():
        by_type.update(kinds)
    counts = ValidationSummary(by_type=dict(by_type), by_field=by_field).counts
    assert sum(error.count for error in counts) == by_type.total()
    assert {error.type: error.count for error in counts if error.field is None} == of_records
    assert [error.count for error in counts] == sorted((error.count for error in counts), reverse=True)
