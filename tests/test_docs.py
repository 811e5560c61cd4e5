"""What the documents show works, and is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster.engine import Engine, parse_flow, values
from lume_dagster.engine.document import FlowDocument
from lume_dagster.engine.yaml_document import parse_yaml
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
FLOW_VERSIONS = (PROJECT / "docs" / "flow-versions.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LUME_BASE_URL", "LUME_HOME", "LUME_FLOWS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "flows").symlink_to(PROJECT / "flows")
    (block,) = blocks(README, "python")
    names: dict[str, object] = {"__name__": "readme"}
    exec(block, names)
    definitions = names["defs"]
    assert isinstance(definitions, dg.Definitions)
    incoming = tmp_path / "data" / "incoming" / "flights"
    incoming.mkdir(parents=True)
    header = (
        "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,"
    )
    (incoming / "2013-01-01.csv").write_text(
        f"{header}tailnum,origin,dest,air_time,distance,hour,minute,time_hour\n"
        "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z\n"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key="2013-01-01", instance=instance
        )
    assert result.output_for_node("flights_by_carrier").to_dict("records") == [{"carrier": "UA", "size": 1}]


def test_the_flow_version_of_the_readme_maps(tmp_path: Path) -> None:
    (block,) = blocks(README, "yaml")
    flow = parse_flow(parse_yaml(block, "README.md"), name="people", version="v1")
    batch = tmp_path / "people.csv"
    batch.write_bytes(
        "Customer No;First Name;Last Name;Country;Birthday;E-Mail\n"
        "7;Jürgen;Groß;Germany;24.12.1970;j@example.com\n"
        "8;Ada;Byron;England;;\n".encode("latin-1")
    )
    with Engine() as engine:
        result = engine.transform(flow, engine.ingest(flow, str(batch), tmp_path), tmp_path)
        (mapped,) = engine.results_page(result.mapped_path, 0, 10)
    assert mapped == {
        "id": 7,
        "name": "Jürgen Groß",
        "country": "DE",
        "born": "1970-12-24",
        "email": "j@example.com",
    }
    assert result.by_field == {"country": {"lookup": 1}}


def test_the_cast_rules_are_those_of_the_code() -> None:
    assert values.__doc__ is not None
    table = [line for line in values.__doc__.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(table) > 8
    assert [line for line in FLOW_VERSIONS.splitlines() if line in table] == table


def test_every_operation_and_source_option_is_documented() -> None:
    schema = str(FlowDocument.model_json_schema())
    for operation in ("extract", "constant", "lookup", "concat", "date", "datetime", "time", "expression"):
        assert operation in schema
        assert f"`{{{operation}: " in FLOW_VERSIONS
    options = FlowDocument.model_json_schema()["$defs"]["SourceSpec"]["properties"]
    documented = set(re.findall(r"^\| `(\w+)` \|", FLOW_VERSIONS, re.MULTILINE))
    assert set(options) <= documented


def test_links_lead_somewhere() -> None:
    for page in (PROJECT / "README.md", PROJECT / "docs" / "flow-versions.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_python_of_the_page_on_matching_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks((PROJECT / "docs" / "matching.md").read_text(), "python")
    exec(block, {"__name__": "matching"})
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("full_name {'concat': ['Vorname', 'Nachname'], 'separator': ' '}")
    assert printed[3].startswith("credit_limit None")
