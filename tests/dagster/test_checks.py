from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster.components.resolved.errors import ResolutionException
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lume_dagster import FieldLimits, LumeChecks, VolumeCheck, lume_check
from lume_dagster.checks.judging import status_verdict
from lume_dagster.checks.lume_checks import mapped_checks
from lume_dagster.checks.verdict import Batch, Verdict
from lume_dagster.client import FlowVersionInfo, LumeClient, LumeRun
from lume_dagster.testing import RunScript, ScriptedLume

FLOW = FlowVersionInfo(
    name="people",
    version="v1",
    flow_version="people:v1",
    target_schema={
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}},
        "required": ["id"],
    },
)


def run_with(status: str = "PARTIAL_FAILED", **metadata: Any) -> LumeRun:
    return LumeRun(
        id="run_1", flow_version="people:v1", source_path="p.csv", status=status, metadata=metadata
    )


def judge(checks: LumeChecks, run: LumeRun, name: str, **around: Any) -> Verdict:
    (check,) = [check for check in mapped_checks(checks, FLOW) if check.name == name]
    client: Any = around.pop("client", None) or LumeClient("http://lume.test")
    return check.judge(Batch(run, client, FLOW, **around))


def rows(mapped: int, rejected: int) -> dict[str, Any]:
    return {"source": mapped + rejected, "mapped": mapped, "rejected": rejected}


@given(
    mapped=st.integers(0, 10_000),
    rejected=st.integers(0, 10_000),
    limits=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_reject_rate_is_judged_by_both_thresholds(
    mapped: int, rejected: int, limits: tuple[float, float]
) -> None:
    warn, error = sorted(limits)
    verdict = judge(
        LumeChecks(reject_rate_warn=warn, reject_rate_error=error),
        run_with(rows=rows(mapped, rejected)),
        "reject_rate",
    )
    rate = rejected / (mapped + rejected) if mapped + rejected else 0
    assert verdict.stops == (rate > error)
    assert verdict.passed == (rate <= warn)
    assert verdict.figures["reject_rate"] == pytest.approx(rate, abs=1e-6)


def test_a_warning_above_the_error_is_refused() -> None:
    with pytest.raises(ValidationError, match="never warn"):
        LumeChecks(reject_rate_warn=0.5, reject_rate_error=0.1)


def test_checks_that_are_off_do_not_exist() -> None:
    nothing = LumeChecks(
        rows_reconcile="off",
        reject_rate_warn=None,
        reject_rate_error=None,
        output_schema="off",
        source_drift="off",
    )
    assert mapped_checks(nothing) == []
    assert {check.name for check in mapped_checks(LumeChecks(volume=VolumeCheck()))} == {
        "rows_reconcile",
        "reject_rate",
        "schema",
        "source_drift",
        "volume",
    }


def test_only_checks_that_can_stop_a_batch_are_blocking() -> None:
    blocking = {check.name: check.can_stop for check in mapped_checks(LumeChecks(reject_rate_error=None))}
    assert blocking == {"rows_reconcile": True, "reject_rate": False, "schema": True, "source_drift": False}


def test_forbidden_errors_stop_a_batch_by_type_and_by_field() -> None:
    checks = LumeChecks(forbidden_error_types=("unparsable",), forbidden_error_fields=("id",))
    clean = {"by_type": {"required": 2}, "by_field": {"name": {"required": 2}}}
    assert judge(checks, run_with(validation=clean), "errors_allowed").passed
    for found in (
        {"by_type": {"unparsable": 1}, "by_field": {}},
        {"by_type": {"type": 3}, "by_field": {"id": {"type": 3}}},
    ):
        assert judge(checks, run_with(validation=found), "errors_allowed").stops


def test_limits_are_no_numbers_that_would_be_plotted() -> None:
    verdict = judge(LumeChecks(), run_with(rows=rows(9, 1)), "reject_rate")
    numbers = {name for name, value in verdict.figures.items() if isinstance(value, int | float)}
    assert numbers == {"reject_rate"}
    assert verdict.figures["limits"] == "warns above 2.00%, stops the batch above 10.00%"


@given(
    errors=st.integers(0, 200),
    source=st.integers(0, 100),
    limits=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_field_is_judged_by_its_own_limits(errors: int, source: int, limits: tuple[float, float]) -> None:
    warn, error = sorted(limits)
    run = run_with(rows=rows(0, source), validation={"by_field": {"name": {"length": errors}}})
    checks = LumeChecks(per_field=True, fields={"name": FieldLimits(warn=warn, error=error)})
    verdict = judge(checks, run, "field_name")
    rate = min(1.0, errors / source) if source else 0.0
    assert verdict.stops == (rate > error)
    assert verdict.passed == (rate <= warn)
    assert verdict.figures["errors"] == errors


def test_each_target_field_has_a_check_on_request() -> None:
    def names(checks: LumeChecks, flow: FlowVersionInfo | None = FLOW) -> dict[str, bool]:
        found = mapped_checks(checks, flow)
        return {check.name: check.can_stop for check in found if check.name.startswith("field_")}

    assert names(LumeChecks()) == {}
    assert names(LumeChecks(per_field=True)) == {"field_id": False, "field_name": False}
    assert names(LumeChecks(per_field=True, field_error=0.5)) == {"field_id": True, "field_name": True}
    only = LumeChecks(fields={"name": FieldLimits(error=0.0)})
    assert names(only) == names(only, None) == {"field_name": True}


def test_a_key_error_counts_for_every_field_of_the_key() -> None:
    found = {"by_field": {"id, name": {"duplicate": 1}, "name": {"length": 2}}}
    run = run_with(rows=rows(7, 3), validation=found)
    checks = LumeChecks(per_field=True)
    assert judge(checks, run, "field_id").summary == "1 errors in 10 rows (duplicate 1): 10.00%, above 2.00%"
    assert judge(checks, run, "field_name").figures["errors"] == 3


@pytest.mark.parametrize(
    ("checks", "flow", "told"),
    [
        (LumeChecks(per_field=True), None, "flow=lume.client.flow_version"),
        (LumeChecks(fields={"nam": FieldLimits(warn=0.1)}), FLOW, "limits for nam, .* fields are id, name"),
    ],
)
def test_fields_that_are_not_known_are_refused(
    checks: LumeChecks, flow: FlowVersionInfo | None, told: str
) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=told):
        mapped_checks(checks, flow)


def test_a_check_of_ones_own_is_a_function_of_the_batch(outputs: dict[str, str]) -> None:
    @lume_check("warn")
    def enough(batch: Batch) -> Verdict:
        """There are enough records."""
        count = batch.mapped().num_rows
        return Verdict(count > 5, f"{count} records", {"records": count})

    @lume_check(name="even")
    def is_even(batch: Batch) -> bool:
        return batch.mapped().num_rows % 2 == 0

    @lume_check()
    def broken(batch: Batch) -> Verdict:
        raise KeyError("no such thing")

    checks = LumeChecks(custom=(enough, is_even, broken))
    run = run_with(target_locations=outputs)
    verdict = judge(checks, run, "enough")
    assert (verdict.passed, verdict.stops, verdict.figures) == (False, False, {"records": 2})
    assert judge(checks, run, "even").passed
    assert judge(checks, run, "broken").stops
    assert "KeyError" in judge(checks, run, "broken").summary
    specs = {check.name: (check.description, check.can_stop) for check in checks.custom}
    assert specs == {"enough": ("There are enough records.", False), "even": ("", True), "broken": ("", True)}


@pytest.mark.parametrize("name", ["schema", "status"])
def test_two_checks_of_one_name_are_refused(name: str) -> None:
    mine = lume_check(name=name)(lambda batch: True)
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="lume_check"):
        mapped_checks(LumeChecks(custom=(mine,)))


def test_thresholds_can_be_written_in_yaml() -> None:
    checks = LumeChecks.resolve_from_yaml(
        """
        reject_rate_warn: "{{ limit }}"
        source_drift: off
        volume: {last: 5, level: error}
        fields: {name: {error: 0.1}}
        custom: [tests.dagster.test_checks.always, "{{ mine }}"]
        """,
        scope={"limit": 0.05, "mine": always},
    )
    assert (checks.reject_rate_warn, checks.source_drift) == (0.05, "off")
    assert checks.volume == VolumeCheck(last=5, level="error")
    assert checks.fields == {"name": FieldLimits(error=0.1)}
    assert checks.custom == (always, always)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tests.nowhere.x", "cannot be imported"),
        ("always", "package.module.name"),
        ("tests.dagster.test_checks.run_with", "decorate the function"),
    ],
)
def test_a_check_that_cannot_be_imported_is_named(path: str, told: str) -> None:
    with pytest.raises(ResolutionException, match=told) as raised:
        LumeChecks.resolve_from_yaml(f"custom: [{path}]")
    assert path in str(raised.value)


@lume_check()
def always(batch: Batch) -> bool:
    return True


def test_what_a_run_does_not_tell_cannot_pass_for_good() -> None:
    checks = LumeChecks(forbidden_error_types=("unparsable",), volume=VolumeCheck(level="error"))
    for name in ("rows_reconcile", "reject_rate", "errors_allowed", "volume"):
        assert judge(checks, run_with(), name).stops
    unseen = judge(checks, run_with(), "schema")
    assert (unseen.passed, unseen.level) == (False, "warn")


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, str]:
    locations = {"mapped": str(tmp_path / "mapped.parquet"), "rejects": str(tmp_path / "rejects.parquet")}
    columns = {"id": pa.array([1, 2], pa.int64()), "name": pa.array(["a", None], pa.string())}
    pq.write_table(pa.table(columns), locations["mapped"])
    pq.write_table(pa.table({"row_number": [3]}), locations["rejects"])
    return locations


def test_rows_are_counted_in_the_files(outputs: dict[str, str]) -> None:
    assert judge(LumeChecks(), run_with(rows=rows(2, 1), target_locations=outputs), "rows_reconcile").passed
    for counts in (rows(3, 1), rows(2, 2), {"source": 4, "mapped": 2, "rejected": 1}):
        assert judge(LumeChecks(), run_with(rows=counts, target_locations=outputs), "rows_reconcile").stops


def test_rows_are_counted_through_lume_where_the_files_cannot_be_reached() -> None:
    script = RunScript(
        ["PARTIAL_FAILED"], {"rows": rows(1, 1)}, mapped=[{"id": 1}], rejects=[{"row_number": 2}]
    )
    with ScriptedLume(script) as lume, LumeClient(lume.url) as client:
        run = client.wait(client.run("people:v1", "p.csv"))
        assert judge(LumeChecks(), run, "rows_reconcile", client=client).passed


def test_the_output_has_the_columns_and_types_of_the_target_schema(
    outputs: dict[str, str], tmp_path: Path
) -> None:
    run = run_with(target_locations=outputs)
    assert judge(LumeChecks(), run, "schema").passed
    id_, name = pa.array([1], pa.int64()), pa.array(["a"], pa.string())
    for columns, told in (
        ({"id": id_}, "'name' is missing"),
        ({"id": id_, "name": name, "x": id_}, "'x' is not in the target schema"),
        ({"id": id_.cast(pa.int32()), "name": name}, "'id' is int32, not int64"),
        ({"name": name, "id": id_}, "another order"),
    ):
        pq.write_table(pa.table(columns), outputs["mapped"])
        verdict = judge(LumeChecks(), run, "schema")
        assert verdict.stops
        assert told in verdict.summary


def test_drift_names_the_columns() -> None:
    drifted = run_with(source={"columns": ["a"], "missing": ["b"], "unexpected": ["c <b>"]})
    verdict = judge(LumeChecks(), drifted, "source_drift")
    assert (verdict.passed, verdict.stops) == (False, False)
    assert verdict.summary == "missing: 'b'; unexpected: 'c <b>'"
    assert judge(LumeChecks(source_drift="error"), drifted, "source_drift").stops


@pytest.mark.parametrize(
    ("earlier", "passed"), [([], True), ([100, 100], True), ([10, 10, 10], False), ([90, 100, 400], True)]
)
def test_volume_is_compared_with_the_median(earlier: list[int], passed: bool) -> None:
    checks = LumeChecks(volume=VolumeCheck(at_least=3))
    verdict = judge(checks, run_with(rows=rows(100, 0)), "volume", earlier_rows=lambda: earlier)
    assert verdict.passed == passed
    assert verdict.level == "warn"


@pytest.mark.parametrize(
    ("status", "passed"),
    [
        ("SUCCEEDED", True),
        ("PARTIAL_FAILED", True),
        ("INCOMPLETE", True),
        ("FAILED", False),
        ("CRASHED", False),
    ],
)
def test_a_run_that_mapped_something_passes(status: str, passed: bool) -> None:
    assert status_verdict(run_with(status, error_message="why")).passed == passed
