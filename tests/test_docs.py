"""What the documents show works, and is what the code says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster._config import Shape, validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster.components.core.component_tree import ComponentTree
from dagster_shared.yaml_utils import parse_yaml_with_source_position
from jsonschema import Draft202012Validator

import lume_dagster
import lume_dagster.client
from examples.flights import FOLDER, flights_by_day, raw_flights, write_batches
from lume_dagster import LumeAssetProps, LumeChecks, LumeFlowComponent, LumeResource, testing
from lume_dagster.assets import run_handler
from lume_dagster.checks.lume_checks import mapped_checks
from lume_dagster.cli import main
from lume_dagster.client import default
from lume_dagster.component.options import LumeFlow, Partitions
from lume_dagster.connect import LumeConnection
from lume_dagster.engine import Engine, parse_flow
from lume_dagster.engine.document import OPERATIONS, FlowDocument
from lume_dagster.engine.yaml_document import parse_yaml
from lume_dagster.service import LanguageModelSettings, ServiceSettings
from lume_dagster.target_schema import sensitive_fields
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
CLIENT = (PROJECT / "docs" / "client.md").read_text()
COMPONENT = PROJECT / "docs" / "component.md"
CHECKS = PROJECT / "docs" / "checks.md"
REVIEW = PROJECT / "docs" / "review.md"
FLOW_VERSIONS = (PROJECT / "docs" / "flow-versions.md").read_text()
DOCS = PROJECT / "docs"
RUN_ID = r"run_[0-9A-Z]{26}"

# Every block of code in the documents: how many of a language a page has, and what runs them. None is left out; what
# is held back within one is said there (of Helm values, for instance, what only their chart knows).
THIS = "tests/test_docs.py"
BLOCKS = {
    ("README.md", "sh"): (2, THIS),
    ("README.md", "text"): (1, "tests/e2e/test_dg.py"),
    ("README.md", "python"): (1, THIS),
    ("README.md", "yaml"): (1, THIS),
    ("audit.md", "console"): (1, "tests/e2e/test_dg.py"),
    ("audit.md", ""): (1, THIS),
    ("backfills.md", "python"): (1, THIS),
    ("checks.md", "python"): (4, THIS),
    ("checks.md", "yaml"): (1, THIS),
    ("checks.md", "sh"): (1, "tests/dagster/test_checks_alone.py"),
    ("ci.md", "yaml"): (1, "tests/e2e/test_ci.py"),
    ("client.md", "python"): (11, THIS),
    ("client.md", "sh"): (1, THIS),
    ("command-line.md", "console"): (1, THIS),
    ("component.md", "python"): (2, THIS),
    ("component.md", "yaml"): (3, THIS),
    ("component.md", "sh"): (1, "tests/e2e/test_dg_component.py"),
    ("create-flow.md", "csv"): (2, "tests/test_flow_creation.py"),
    ("create-flow.md", "json"): (1, "tests/test_flow_creation.py"),
    ("create-flow.md", "python"): (1, "tests/test_flow_creation.py"),
    ("create-flow.md", "sh"): (3, "tests/test_flow_creation.py"),
    ("flow-versions.md", "yaml"): (7, THIS),
    ("hosted.md", "python"): (1, THIS),
    ("hosted.md", "sh"): (3, THIS),
    ("matching.md", "python"): (1, THIS),
    ("production.md", "sh"): (1, THIS),
    ("production.md", "yaml"): (2, THIS),
    ("review.md", "python"): (2, THIS),
    ("review.md", "sh"): (2, THIS),
    ("security.md", "yaml"): (1, THIS),
    ("sensors.md", "python"): (6, THIS),
    ("testing.md", "python"): (4, THIS),
    ("values.md", "python"): (3, THIS),
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


PEOPLE = next(block for block in blocks(FLOW_VERSIONS, "yaml") if block.startswith("description: People"))


def test_no_block_of_code_is_without_a_test() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for page in (PROJECT / "README.md", *DOCS.glob("*.md")):
        fences = re.findall(r"^```(\w*)$", page.read_text(), re.MULTILINE)
        found.update((page.name, language) for language in fences[::2])
    assert found == {block: count for block, (count, _) in BLOCKS.items()}
    for (page_name, _), (_, test) in BLOCKS.items():
        assert test == THIS or page_name in (PROJECT / test).read_text(), f"{test} does not read {page_name}"


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


def test_the_whole_flow_version_of_the_page_maps(tmp_path: Path) -> None:
    flow = parse_flow(parse_yaml(PEOPLE, "flow-versions.md"), name="people", version="v1")
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


def test_the_client_page_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LUME_BASE_URL", "LUME_HOME", "LUME_FLOWS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(default, "_client", None)
    (tmp_path / "flows" / "people").mkdir(parents=True)
    (tmp_path / "flows" / "people" / "v1.yaml").write_text(PEOPLE)
    (tmp_path / "people.csv").write_text(
        "Customer No;First Name;Last Name;Country;Birthday;E-Mail\n7;Ada;Byron;Germany;24.12.1970;\n"
    )
    names: dict[str, Any] = {"__name__": "client"}
    for language, block in re.findall(r"```(python|sh)\n(.*?)```", CLIENT, re.DOTALL):
        if language == "python":
            exec(block, names)
            continue
        for line in block.replace("RUN_ID", names["run"].id).splitlines():
            command, *arguments = shlex.split(line)
            result = CliRunner().invoke(main, arguments)
            assert (command, result.exit_code) == ("lume-dagster", 0), result.output
    assert [record["id"] for record in names["result"].mapped] == [7]
    assert names["result"].rejects[0].errors[0].type == "lookup"
    assert (tmp_path / "rejects.csv").is_file()


def test_the_objects_and_arrays_of_the_page_map(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(FLOW_VERSIONS, "yaml") if "x-unique" in block)
    flow = parse_flow(parse_yaml(block, "flow-versions.md"), name="people", version="v1")
    batch = tmp_path / "people.csv"
    batch.write_text("Mail,City,Zip,Tags\na@b,Rome,,new; old\nb@b,,,\na@b,,1,odd\n")
    with Engine() as engine:
        result = engine.transform(flow, engine.ingest(flow, str(batch), tmp_path), tmp_path)
        (mapped,) = engine.results_page(result.mapped_path, 0, 10)
    assert mapped == {"mail": "a@b", "address": {"city": "Rome", "zip": None}, "tags": ["new", "old"]}
    assert result.by_field == {
        "address.city": {"required": 1},
        "mail": {"duplicate": 1},
        "tags": {"enum": 1, "required": 1},
    }


def test_every_operation_and_source_option_is_documented() -> None:
    for operation in OPERATIONS:
        assert f"`{{{operation}: " in FLOW_VERSIONS
    options = FlowDocument.model_json_schema()["$defs"]["SourceSpec"]["properties"]
    documented = set(re.findall(r"^\| `(\w+)` \|", FLOW_VERSIONS, re.MULTILINE))
    assert set(options) <= documented


def test_the_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    for block in blocks((PROJECT / "docs" / "testing.md").read_text(), "python"):
        name, _, code = block.removeprefix("# ").partition("\n")
        (tmp_path / name).write_text(code)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


def test_links_lead_somewhere() -> None:
    for page in (PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_component_of_the_readme_makes_the_same_assets_as_its_python(embedded: Path) -> None:
    (block,) = blocks(README, "yaml")
    component = LumeFlowComponent.resolve_from_dict(yaml.safe_load(block)["attributes"])
    state = embedded / "state.json"
    component.model_copy(update={"lume": LumeResource()}).write_state_to_path(state)
    made = component.build_defs_from_state(ComponentTree.for_test().load_context, state)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(blocks(README, "python")[0], names)
    checks = [definitions.resolve_asset_graph().asset_check_keys for definitions in (made, names["defs"])]
    assert checks[0] == checks[1] != set()


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "README.md").read_text()))
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} == listed


def test_the_reference_lists_every_public_name_and_command() -> None:
    listed = set(re.findall(r"^\| `([\w -]+)` \|", (DOCS / "reference.md").read_text(), re.MULTILINE))
    names = {*lume_dagster.__all__, *lume_dagster.client.__all__, *commands(main)}
    names |= {
        name
        for name, value in vars(testing).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == testing.__name__
    }
    variables = {name for name in listed if name.startswith("LUME_")}
    assert listed - variables == names
    told = {"LUME_BASE_URL", "LUME_API_KEY", "LUME_HOME", "LUME_FLOWS", "LUME_STORE_URL", "LUME_MAX_UPLOAD"}
    assert variables == told | {f"LUME_LLM_{name.upper()}" for name in LanguageModelSettings.model_fields}


def commands(group: click.Group) -> set[str]:
    found = set()
    for name, command in group.commands.items():
        found |= (
            {f"{name} {one}" for one in commands(command)} if isinstance(command, click.Group) else {name}
        )
    return found


def test_the_page_on_hosted_lumes_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_python(DOCS / "hosted.md")
    assert names["lume"].base_url == "https://lume.example.com"
    settings, listing, serving = blocks((DOCS / "hosted.md").read_text(), "sh")
    assert "LUME_BASE_URL" in settings
    with testing.ScriptedLume(flows=[{"flow_version": "people:v1"}]) as lume:
        monkeypatch.setenv("LUME_BASE_URL", lume.url)
        listed = CliRunner().invoke(main, shlex.split(listing)[1:])
        assert (listed.exit_code, "people" in listed.output) == (0, True), listed.output
    command = [word for word in shlex.split(serving) if not word.startswith("LUME_API_KEY=")]
    assert CliRunner().invoke(main, [*command[1:], "--help"]).exit_code == 0


def test_the_dagster_yaml_of_the_production_page_is_valid(tmp_path: Path) -> None:
    dagster_yaml = yaml.safe_load(blocks((DOCS / "production.md").read_text(), "yaml")[0])
    checked = validate_config(Shape(dagster_instance_config_schema()), dagster_yaml)
    assert checked.success, checked.errors
    # No PostgreSQL and no dagster-postgres here: the storage is held against Dagster's schema alone.
    del dagster_yaml["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(dagster_yaml))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.global_op_concurrency_default_limit == 8


def test_the_helm_values_of_the_production_page_leave_room_for_lume() -> None:
    # The chart is not here: what is Dagster's of the values is read, and what is ours of them is held to.
    page = (DOCS / "production.md").read_text()
    launcher = yaml.safe_load(blocks(page, "yaml")[1])["runLauncher"]
    (kubernetes,) = (launcher["config"][key] for key in launcher["config"])
    (secret,) = kubernetes["envSecrets"]
    assert f"(here `{secret['name']}`)" in page
    pod, container = (kubernetes["runK8sConfig"][key] for key in ("podSpecConfig", "containerConfig"))
    assert pod["terminationGracePeriodSeconds"] > run_handler.CANCEL_SECONDS
    assert f"up to {run_handler.CANCEL_SECONDS:.0f} seconds" in page
    limit = ServiceSettings.model_fields["memory_limit"].default
    assert limit == "1GB"
    assert "at most 1 GB" in page
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"] == "2Gi"


def test_the_environment_of_the_production_page_is_what_an_embedded_lume_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LUME_BASE_URL", raising=False)
    (block,) = blocks((DOCS / "production.md").read_text(), "sh")
    stated = dict(line.removeprefix("export ").split("=", 1) for line in block.splitlines())
    for name, value in stated.items():
        monkeypatch.setenv(name, value)
    settings = LumeConnection().embedded_settings()
    assert [str(settings.home), str(settings.flows), settings.store_url] == [
        stated[name] for name in ("LUME_HOME", "LUME_FLOWS", "LUME_STORE_URL")
    ]


def test_the_sensitive_field_of_the_security_page_is_one() -> None:
    (block,) = blocks((DOCS / "security.md").read_text(), "yaml")
    schema = {"type": "object", "properties": parse_yaml(block, "security.md")}
    parse_flow(
        {"target_schema": schema, "mapper": {"email": {"extract": "Mail"}}}, name="people", version="v1"
    )
    assert sensitive_fields(schema) == {"email"}


def test_the_pieces_of_flow_versions_on_the_page_fit_into_one() -> None:
    modeline, whole, *pieces, _ = blocks(FLOW_VERSIONS, "yaml")
    (schema,) = re.findall(r"\$schema=(\S+)", modeline)
    assert (
        PROJECT / "flows" / "people" / schema
    ).resolve() == PROJECT / "lume_dagster/engine/flow.schema.json"
    moments = {name: {"type": ["string", "null"], "format": "date"} for name in ("arrival", "departure")}
    for piece in pieces:
        document = parse_yaml(whole, "flow-versions.md")
        properties, mapper = document["target_schema"]["properties"], document["mapper"]
        properties |= moments
        mapper |= {name: {"extract": name} for name in moments}
        stated = parse_yaml(piece, "flow-versions.md")
        if set(stated) <= set(FlowDocument.model_fields):
            document |= stated
        else:  # a field
            properties |= stated
            mapper |= {name: {"extract": name} for name in stated}
        parse_flow(document, name="people", version="v1")
    assert len(pieces) == 4


def test_the_commands_of_the_command_line_page_print_what_it_shows(embedded: Path) -> None:
    days = {str(day): batch for day, batch in flights_by_day(raw_flights()).items()}
    write_batches({"2013-01-08": days["2013-01-08"]}, embedded / FOLDER)
    (block,) = blocks((DOCS / "command-line.md").read_text(), "console")
    run_id = ""
    for shown in block.removeprefix("$ ").split("\n$ "):
        command, _, output = shown.partition("\n")
        ended = subprocess.run(
            ["bash", "-c", command.replace("RUN_ID", run_id)],
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        run_id = next(iter(re.findall(RUN_ID, ended.stdout)), run_id)
        assert anonymous(ended.stdout) == anonymous(output), ended.stderr


def anonymous(printed: str) -> list[str]:
    """Lines without what differs from run to run: ids and durations; and without the space that fills them up."""
    lines = re.sub(r"\d+\.\d\d s", "DURATION", re.sub(RUN_ID, "RUN", printed)).splitlines()
    return [line.rstrip() for line in lines]


def test_the_folders_of_the_audit_page_are_there() -> None:
    (tree,) = re.findall(r"```\n(lume_dagster/\n.*?)```", (DOCS / "audit.md").read_text(), re.DOTALL)
    first, *places = (line.split()[0] for line in tree.splitlines())
    assert places == ["engine/", "service/", "client/", "*.py"]
    for place in places:
        assert list((PROJECT / first).glob(place)), place


def test_the_commands_of_the_readme_exist() -> None:
    make, pip = blocks(README, "sh")
    targets = set(re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in make.splitlines()} | {"dev"} <= targets
    extras = re.findall(r"\[(\w+)\]", pip)
    assert extras
    assert set(extras) <= set(metadata("lume-dagster").get_all("Provides-Extra") or ())


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flows: Path) -> Path:
    """A folder whose embedded Lume knows people:v1 and flights:v1."""
    monkeypatch.chdir(tmp_path)
    for name in ("LUME_BASE_URL", "LUME_HOME", "LUME_FLOWS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run_python(page: Path) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page.read_text(), "python"):
        exec(block, names)
    return names


def test_the_yaml_of_the_component_page_makes_assets(embedded: Path) -> None:
    keys = []
    for block in blocks(COMPONENT.read_text(), "yaml"):
        document = parse_yaml_with_source_position(block).value
        Draft202012Validator(LumeFlowComponent.model().model_json_schema()).validate(document["attributes"])
        component = LumeFlowComponent.resolve_from_dict(document["attributes"])
        state = embedded / "state.json"
        component.model_copy(update={"lume": LumeResource()}).write_state_to_path(state)
        definitions = component.build_defs_from_state(ComponentTree.for_test().load_context, state)
        keys.append(
            {key.to_user_string() for key in definitions.resolve_asset_graph().materializable_asset_keys}
        )
    assert [len(found) for found in keys] == [3, 7, 3]
    assert "partners/people/mapped" in keys[1]


def test_every_option_of_the_component_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", COMPONENT.read_text()))
    assert set(LumeFlow.model_fields) | set(Partitions.model_fields) <= documented
    assert set(LumeChecks.model_fields) <= set(re.findall(r"`(\w+)`", CHECKS.read_text()))


def test_the_python_of_the_component_page_runs() -> None:
    names = run_python(COMPONENT)
    flow = LumeFlow(
        flow_version="people:v1",
        source_path="{partition_key}",
        partitions=dg.StaticPartitionsDefinition(["a"]),
    )
    spec = names["PartnerFlows"](flows=(flow,)).get_asset_spec(flow, LumeAssetProps("run", "people", "v1"))
    assert spec.tags["partner"] == "people"
    assert len(names["both"].assets) == 4


def test_the_checks_of_the_checks_page_are_made(embedded: Path) -> None:
    names = run_python(CHECKS)
    (block,) = blocks(CHECKS.read_text(), "yaml")
    assert LumeChecks.resolve_from_dict(yaml.safe_load(block)["checks"]) == names["checks"]
    flow = LumeResource().client.flow_version("people:v1")
    made = {
        name: {check.name for check in mapped_checks(names[name], flow)}
        for name in ("strict", "only_ids", "mine")
    }
    assert {"field_id", "field_name", "field_email"} <= made["strict"]
    assert {"field_id"} == {name for name in made["only_ids"] if name.startswith("field_")}
    assert {"countries", "quick"} <= made["mine"]


def test_the_python_of_the_backfills_page_makes_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUME_BASE_URL", raising=False)
    (block,) = blocks((PROJECT / "docs" / "backfills.md").read_text(), "python")
    names: dict[str, object] = {"__name__": "backfills"}
    exec(block, names)
    definitions = names["defs"]
    assert isinstance(definitions, dg.Definitions)
    (step,) = {node.name for node in definitions.resolve_implicit_global_asset_job_def().nodes}
    assert step == "flights__v1__batches"
    assert all(
        str(spec.key.path[0]) == "flights" and spec.partitions_def is not None
        for spec in definitions.resolve_all_asset_specs()
    )


def test_the_python_about_values_runs() -> None:
    found = blocks((PROJECT / "docs" / "values.md").read_text(), "python")
    assert len(found) == 3
    for block in found:
        exec(block, {})


def test_the_python_of_the_page_on_matching_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks((PROJECT / "docs" / "matching.md").read_text(), "python")
    exec(block, {"__name__": "matching"})
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("full_name {'concat': ['Vorname', 'Nachname'], 'separator': ' '}")
    assert printed[3].startswith("credit_limit None")


def test_the_review_page_runs(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (embedded / "flows" / "people" / "v1.yaml").write_text(PEOPLE)
    (embedded / "people.csv").write_text(
        "Customer No;First Name;Last Name;Country;Birthday;E-Mail\n7;Ada;Byron;Germany;24.12.1970;\n"
        "8;Bob;Byron;Nowhere;;\n9;Cy;Byron;Germany;;\n10;Dee;Byron;Elsewhere;;\n"
    )
    run_id = ""
    for block in blocks(REVIEW.read_text(), "sh"):
        for line in block.splitlines():
            command, *arguments = shlex.split(line.replace("RUN_ID", run_id))
            result = CliRunner().invoke(main, arguments)
            assert (command, result.exit_code) == ("lume-dagster", 0), result.output
            if run := re.search(r"run_\w{26}", result.output):
                run_id = run[0]
        review = embedded / "review.csv"
        review.write_text(review.read_text().replace(",Nowhere,", ",Germany,"))
    assert "PARTIAL_FAILED" in result.output
    names = run_python(REVIEW)
    names["correct"]("people:v1", "people.csv")
    assert names["defs"].resolve_sensor_def("people_v1_corrections")
    assert "source=4 mapped=4 rejected=0" in capsys.readouterr().out


def test_the_python_of_the_sensors_page_makes_definitions(embedded: Path) -> None:
    definitions = run_python(PROJECT / "docs" / "sensors.md")["defs"]
    assert isinstance(definitions, dg.Definitions)
    definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "new_flights",
        "flights_v1_runs",
        "flights_v1_alerts",
    }
