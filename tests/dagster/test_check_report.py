"""The report for CI: what Dagster's instance says of the checks, as an exit code and as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from lume_dagster.checks.report import CheckOutcome, check_outcomes, load_definitions, write_junit
from lume_dagster.cli import main
from lume_dagster.client import LumeError
from tests.conftest import PROJECT
from tests.dagster.conftest import GOOD, MAPPED, Pipeline


def states(pipeline: Pipeline, *partitions: str) -> dict[tuple[str, str], str]:
    outcomes = check_outcomes(pipeline.instance, pipeline.definitions, partitions)
    return {(outcome.partition, outcome.check): outcome.state for outcome in outcomes}


def test_the_latest_results_of_each_batch(pipeline: Pipeline) -> None:
    for partition in ("a", "b"):
        pipeline.materialize(partition)
    found = states(pipeline, "a", "b", "c")
    assert {state for (partition, _), state in found.items() if partition == "a"} == {"passed"}
    assert (found["b", "status"], found["b", "reject_rate"]) == ("passed", "failed")
    assert {state for (partition, _), state in found.items() if partition == "c"} == {"missing"}


def test_a_result_from_before_the_latest_run_is_missing(pipeline: Pipeline) -> None:
    pipeline.materialize("a")
    pipeline.materialize("a", dg.AssetKey(["people", "run"]), dg.AssetKey(["people", "rejects"]))
    found = states(pipeline, "a")
    assert (found["a", "status"], found["a", "reject_rate"]) == ("passed", "missing")
    pipeline.materialize("a", MAPPED)
    assert states(pipeline, "a")["a", "reject_rate"] == "passed"


def test_unknown_flow_versions_are_named(pipeline: Pipeline) -> None:
    with pytest.raises(LumeError, match="no assets of orders:v1 are defined; there are those of people:v1"):
        check_outcomes(pipeline.instance, pipeline.definitions, ["a"], ["orders:v1"])


def outcome(check: str, state: str, *, blocking: bool = True, message: str = "") -> CheckOutcome:
    return CheckOutcome("people:v1", "people/mapped", check, "a", blocking, state, message)  # type: ignore[arg-type]


def test_junit_holds_each_check_and_what_no_xml_could(tmp_path: Path) -> None:
    outcomes = [
        outcome("good", "passed"),
        outcome("bad", "failed", message="<script>\x00 & ]]>"),
        outcome("loose", "failed", blocking=False),
        outcome("hint", "warned", message="many"),
        outcome("gone", "missing", message="was not evaluated"),
    ]
    path = tmp_path / "reports" / "out.xml"
    write_junit(outcomes, path, non_blocking=False)
    (suite,) = ET.parse(path).getroot()
    assert suite.attrib == {"name": "people:v1 a", "tests": "5", "failures": "1", "errors": "1"}
    cases = {case.get("name"): case for case in suite}
    assert [child.tag for name in ("good", "bad", "loose", "hint", "gone") for child in cases[name]] == [
        "failure",
        "system-out",
        "system-out",
        "error",
    ]
    assert cases["bad"][0].get("message") == "<script>\ufffd & ]]>"
    write_junit(outcomes, path, non_blocking=True)
    assert ET.parse(path).getroot()[0].get("failures") == "2"


def test_the_command_fails_a_build_on_a_stopped_batch(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setattr("tests.dagster.ci_location.defs", pipeline.definitions, raising=False)
    with dg.DagsterInstance.get() as pipeline.instance:
        pipeline.write("a", GOOD)
        pipeline.materialize("a")
        pipeline.materialize("b")
    command = ["checks", "-m", "tests.dagster.ci_location", "--junit", str(tmp_path / "out.xml")]
    good = CliRunner().invoke(main, [*command, "-p", "a"])
    assert good.exit_code == 0, good.output
    assert "a  people/mapped  reject_rate     passed" in good.stdout
    bad = CliRunner().invoke(main, [*command, "-p", "a", "-p", "b"])
    assert bad.exit_code == 1
    assert [suite.get("failures") for suite in ET.parse(tmp_path / "out.xml").getroot()] == ["0", "1"]
    assert CliRunner().invoke(main, [*command, "-p", "never"]).exit_code == 1


def test_definitions_are_found_or_missed_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    assert isinstance(load_definitions("definitions", PROJECT), dg.Definitions)
    with pytest.raises(LumeError, match="there is no module 'nowhere_at_all'"):
        load_definitions("nowhere_at_all", tmp_path)
    (tmp_path / "empty_module_of_a_test.py").write_text("")
    with pytest.raises(LumeError, match="holds 0 Definitions"):
        load_definitions("empty_module_of_a_test", tmp_path)
    (tmp_path / "lazy_module_of_a_test.py").write_text(
        "import dagster as dg\n\n@dg.definitions\ndef defs():\n    return dg.Definitions()\n"
    )
    assert isinstance(load_definitions("lazy_module_of_a_test", tmp_path), dg.Definitions)
