from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import click
import dagster as dg
import pytest
import yaml
from dagster._utils import alter_sys_path
from dagster.components.core.component_tree import ComponentTree
from dagster.components.testing.utils import DefsFolderSandbox, create_defs_folder_sandbox
from pydantic import ValidationError

from lume_dagster import FieldLimits, LumeChecks, LumeFlowComponent, LumeIOManager, LumeResource
from lume_dagster.component.options import Freshness, LumeFlow, Partitions
from tests.conftest import PEOPLE_GOOD, PROJECT
from tests.dagster.conftest import MAPPED, PARTITIONS, materialized

MINIMAL = """
flow_version: people:v1
source_path: data/{partition_key}.csv
partitions: {type: static, partition_keys: [a, b]}
"""


@pytest.fixture
def sandbox() -> Iterator[DefsFolderSandbox]:
    with create_defs_folder_sandbox() as made:
        (made.defs_folder_path / "__init__.py").touch()
        yield made


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded Lume of the environment is the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUME_BASE_URL", raising=False)
    monkeypatch.setenv("LUME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LUME_FLOWS", str(flows))


def component(*flows: str, **attributes: Any) -> LumeFlowComponent:
    items = (indent(dedent(flow).strip(), "    ").replace("    ", "  - ", 1) for flow in flows)
    text = "\n".join(["flows:", *items, yaml.safe_dump(attributes) if attributes else ""])
    made = LumeFlowComponent.resolve_from_yaml(text)
    assert isinstance(made, LumeFlowComponent)
    return made


def build(made: LumeFlowComponent, state: Path | None = None) -> dg.Definitions:
    return made.build_defs_from_state(ComponentTree.for_test().load_context, state)


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def known(made: LumeFlowComponent, tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    made.write_state_to_path(path)
    return path


def test_a_few_lines_are_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(PEOPLE_GOOD)
    made = component(MINIMAL)
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(made, known(made, tmp_path)).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, partition_key="a")
    assert MAPPED in materialized(result)


def test_every_option_arrives() -> None:
    definitions = build(
        component(
            """
            flow_version: people:v1
            source_path: data/{partition_key}.csv
            partitions: {type: daily, start_date: 2024-01-01, timezone: Europe/Berlin, hour_offset: 6}
            checks: {reject_rate_error: 0.5, source_drift: off, fields: {name: {warn: 0.1}}}
            source_asset: incoming/people
            corrections: corrected/{partition_key}.csv
            key_prefix: [partners, one]
            group: inbound
            owners: ["team:data"]
            tags: {tier: gold}
            kinds: [csv]
            translation: {description: "{{ kind }} of {{ flow }} {{ version }}", metadata: {sla: 3}}
            automation_condition: "{{ dg.AutomationCondition.eager() }}"
            pool: slow
            retry_policy: {max_retries: 3, delay: 2, backoff: exponential, jitter: full}
            freshness: {fail_after_hours: 26, warn_after_hours: 25}
            """
        )
    )
    found = specs(definitions)
    run, mapped, corrections = (
        found[f"partners/one/people/{kind}"] for kind in ("run", "mapped", "corrections")
    )
    assert [dep.asset_key.to_user_string() for dep in corrections.deps] == ["partners/one/people/rejects"]
    assert definitions.resolve_sensor_def("partners_one_people_v1_corrections").required_resource_keys == {
        "lume"
    }
    assert run.partitions_def == dg.DailyPartitionsDefinition(
        "2024-01-01", timezone="Europe/Berlin", hour_offset=6
    )
    assert [dep.asset_key.to_user_string() for dep in run.deps] == ["incoming/people"]
    for spec in (run, mapped):
        assert (spec.group_name, list(spec.owners), spec.tags["tier"]) == ("inbound", ["team:data"], "gold")
        assert "csv" in spec.kinds
        assert spec.metadata["sla"] == 3
        assert spec.automation_condition is not None
    assert mapped.description == "mapped of people v1"
    assert mapped.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=26), warn_window=timedelta(hours=25)
    )
    assert run.freshness_policy is None
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert names == {"status", "rows_reconcile", "reject_rate", "schema", "field_name"}
    steps = {
        asset.op.name: asset.op
        for asset in definitions.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
    }
    write = steps["people__v1__run"]
    assert write.pool == "slow"
    assert write.retry_policy == dg.RetryPolicy(3, 2.0, dg.Backoff.EXPONENTIAL, dg.Jitter.FULL)


def test_a_range_can_be_one_run() -> None:
    (steps,) = build(component(MINIMAL + "backfill: single_run")).assets or ()
    assert isinstance(steps, dg.AssetsDefinition)
    assert steps.backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"type": "hourly", "start_date": "2024-01-01-00:00"}, dg.HourlyPartitionsDefinition("2024-01-01-00:00")),
        ({"type": "daily", "start_date": "2024-01-01"}, dg.DailyPartitionsDefinition("2024-01-01")),
        (
            {"type": "weekly", "start_date": "2024-01-01", "day_offset": 1, "end_date": "2025-01-01"},
            dg.WeeklyPartitionsDefinition("2024-01-01", day_offset=1, end_date="2025-01-01"),
        ),
        (
            {"type": "monthly", "start_date": "2024-01-01", "day_offset": 5, "minute_offset": 30},
            dg.MonthlyPartitionsDefinition("2024-01-01", day_offset=5, minute_offset=30),
        ),
        ({"type": "static", "partition_keys": ["a", "b"]}, dg.StaticPartitionsDefinition(["a", "b"])),
        ({"type": "dynamic", "name": "files"}, dg.DynamicPartitionsDefinition(name="files")),
        (
            {"type": "time_window", "start_date": "2024-01-01", "fmt": "%Y-%m-%d", "cron_schedule": "0 6 * * 1-5"},
            dg.TimeWindowPartitionsDefinition(start="2024-01-01", fmt="%Y-%m-%d", cron_schedule="0 6 * * 1-5"),
        ),
    ],
)  # fmt: skip
def test_partitions_of_every_type(options: dict[str, Any], expected: dg.PartitionsDefinition) -> None:
    assert Partitions(**options).definition() == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"type": "daily", "start_date": "2024-01-01", "day_offset": 2}, "no day_offset; they have end_date"),
        ({"type": "static"}, "need partition_keys"),
        ({"type": "yearly"}, "'hourly', 'daily'"),
    ],
)
def test_options_that_do_not_fit_the_partitions_are_named(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Partitions(**options)


def test_a_deadline_is_a_freshness_too() -> None:
    deadline = Freshness(deadline_cron="0 8 * * *", within_hours=12, timezone="Europe/Berlin")
    assert deadline.policy() == dg.FreshnessPolicy.cron(
        deadline_cron="0 8 * * *", lower_bound_delta=timedelta(hours=12), timezone="Europe/Berlin"
    )
    for wrong in ({}, {"fail_after_hours": 1, "deadline_cron": "0 8 * * *"}, {"deadline_cron": "0 8 * * *"}):
        with pytest.raises(ValidationError, match=r"fail_after_hours|go together"):
            Freshness(**wrong)


def test_templates_give_objects_of_python() -> None:
    scope = {"days": PARTITIONS, "path_of": lambda key: f"batch {key}", "limits": LumeChecks(per_field=False)}
    flow = LumeFlow.resolve_from_yaml(
        """
        flow_version: people:v1
        source_path: "{{ path_of }}"
        partitions: "{{ days }}"
        checks: {fields: {name: {warn: "{{ 0.1 + 0.1 }}"}}}
        """,
        scope=scope,
    )
    assert flow.partitions is PARTITIONS
    assert callable(flow.source_path)
    assert flow.source_path("a") == "batch a"
    assert flow.checks.fields == {"name": FieldLimits(warn=0.2)}


def test_without_state_the_assets_are_there_all_the_same() -> None:
    assert "dagster/column_schema" not in specs(build(component(MINIMAL)))["people/mapped"].metadata


def test_the_state_tells_the_target_schema(tmp_path: Path) -> None:
    made = component(MINIMAL + "checks: {per_field: true}")
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="dg utils refresh-defs-state"):
        build(made)
    definitions = build(made, known(made, tmp_path))
    mapped = specs(definitions)["people/mapped"]
    columns = [column.name for column in mapped.metadata["dagster/column_schema"].columns]
    assert columns == ["id", "name", "email"]
    assert mapped.description is not None
    assert mapped.description.startswith("People of a partner.")
    assert mapped.code_version not in (None, "people:v1")
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert {"field_id", "field_name", "field_email"} <= names


def test_several_flows_and_several_components_share_their_lume(tmp_path: Path) -> None:
    flights = (
        "{flow_version: flights:v1, source_path: '{partition_key}', partitions: {type: dynamic, name: f}}"
    )
    merged = dg.Definitions.merge(build(component(MINIMAL)), build(component(flights)))
    assert {"people/run", "flights/run"} <= set(specs(merged))
    dg.Definitions.validate_loadable(merged)
    both = build(component(MINIMAL, flights, lume={"on_existing": "fail"}))
    assert (both.resources or {})["lume"].on_existing == "fail"


def test_the_project_may_have_its_own_resource(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(PEOPLE_GOOD)
    definitions = build(component(MINIMAL, resource_key="other"))
    assert not definitions.resources
    own = LumeResource()
    resources = {"other": own, "other_io_manager": LumeIOManager(lume=own)}
    job = dg.Definitions.merge(
        definitions, dg.Definitions(resources=resources)
    ).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, partition_key="a").success


def test_two_versions_of_one_flow_need_a_prefix() -> None:
    second = MINIMAL.replace("v1", "v2")
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="key_prefix in a component's YAML"):
        build(component(MINIMAL, second))
    assert "next/people/run" in specs(build(component(MINIMAL, second + "key_prefix: [next]")))


def test_a_key_is_named_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "very secret")
    made = component(MINIMAL, lume={"base_url": "https://lume.example.com", "api_key_env": "OTHER_KEY"})
    resource = (build(made).resources or {})["lume"]
    assert resource.api_key == dg.EnvVar("OTHER_KEY")
    assert "very secret" not in repr(made) + repr(resource)
    with pytest.raises(ValidationError, match="api_key"):
        component(MINIMAL, lume={"api_key": "very secret"})


def test_a_subclass_can_change_the_specs() -> None:
    class Mine(LumeFlowComponent):
        def get_asset_spec(self, flow: Any, props: Any) -> dg.AssetSpec:
            return super().get_asset_spec(flow, props).replace_attributes(group_name=f"{props.kind}s")

    flow = LumeFlow(flow_version="people:v1", source_path="{partition_key}", partitions=PARTITIONS)
    assert {spec.group_name for spec in specs(build(Mine(flows=(flow,)))).values()} == {
        "runs",
        "mappeds",
        "rejectss",
    }


def test_the_hosted_lume_is_not_asked_anew_by_itself() -> None:
    def refreshes(**lume: Any) -> bool:
        return component(MINIMAL, **({"lume": lume} if lume else {})).defs_state_config.refresh_if_dev

    assert refreshes()
    assert not refreshes(base_url="https://lume.example.com")
    one, two = component(MINIMAL), component(MINIMAL, MINIMAL.replace("v1", "v2"))
    assert one.defs_state_config.key != two.defs_state_config.key


def test_the_component_is_found() -> None:
    (found,) = [
        point
        for point in entry_points(group="dagster_dg_cli.registry_modules")
        if point.name == "lume_dagster"
    ]
    assert "LumeFlowComponent" in dir(found.load())


def scaffold(sandbox: DefsFolderSandbox, **params: Any) -> Path:
    return sandbox.scaffold_component(LumeFlowComponent, "people", scaffold_params=params)


def test_a_scaffolded_file_loads_and_names_the_latest_version(
    sandbox: DefsFolderSandbox, flows: Path
) -> None:
    (flows / "people" / "v2.yaml").write_text((flows / "people" / "v1.yaml").read_text())
    path = scaffold(
        sandbox, flow_version=["people", "flights:v1"], partitions="weekly", start_date="2024-01-01"
    )
    with sandbox.load_component_and_build_defs(path) as (made, definitions):
        assert isinstance(made, LumeFlowComponent)
        assert [flow.flow_version for flow in made.flows] == ["people:v2", "flights:v1"]
        assert made.flows[0].partitions == dg.WeeklyPartitionsDefinition("2024-01-01")
        assert made.flows[1].source_path == "data/incoming/flights/{partition_key}.csv"
        assert "people/mapped" in specs(definitions)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"flow_version": ["people:v7"]}, "no flow version 'people:v7'; there are flights:v1, people:v1"),
        ({"flow_version": ["peple"]}, "no flow version 'peple'; there are flights:v1, people:v1"),
        ({}, "say which flow with --flow-version; there are flights:v1, people:v1"),
        ({"flow_version": ["x:v1"], "base_url": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        (
            {"flow_version": ["people:v1"], "source_path": "s3://b/{partition_key}?secret_key=s3cret"},
            "credentials have no place in a source_path",
        ),
        ({"flow_version": ["people:v1"], "base_url": "https://me:s3cret@lume"}, "user name or password"),
    ],
)
def test_what_cannot_be_scaffolded_leaves_nothing(
    sandbox: DefsFolderSandbox, params: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(click.ClickException) as raised:
        scaffold(sandbox, **params)
    assert told in raised.value.message
    assert "s3cret" not in raised.value.message
    assert not (sandbox.defs_folder_path / "people").exists()


def test_loading_a_code_location_opens_no_connection(sandbox: DefsFolderSandbox) -> None:
    path = scaffold(sandbox, flow_version=["people:v1"]) / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"]
    attributes["flows"][0]["checks"]["per_field"] = True
    attributes["lume"] = {"base_url": "http://127.0.0.1:9"}
    path.write_text(yaml.safe_dump({"type": "lume_dagster.LumeFlowComponent", "attributes": attributes}))
    loaded = load(sandbox)
    assert "refresh-defs-state" in loaded.stderr  # the fields are not known yet

    attributes.pop("lume")
    asked = LumeFlowComponent.resolve_from_dict(attributes)
    with alter_sys_path(to_add=[str(sandbox.project_root / "src")], to_remove=[]):
        asyncio.run(asked.refresh_state(sandbox.project_root))
    loaded = load(sandbox)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == ["field_email", "field_id", "field_name"]


def load(sandbox: DefsFolderSandbox) -> subprocess.CompletedProcess[str]:
    """Loads the definitions as a development server does, in a process that cannot use the network."""
    python_path = [str(PROJECT), str(sandbox.project_root / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", LOAD, sandbox.project_name, str(sandbox.project_root)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(python_path), "DAGSTER_IS_DEV_CLI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


LOAD = """\
import sys
from pathlib import Path


NETWORK = {"connect", "bind", "getaddrinfo", "gethostbyname", "sendto", "sendmsg"}


def refuse(event, arguments):
    if event.startswith("socket.") and event.removeprefix("socket.") in NETWORK:
        raise RuntimeError(f"the network is used: {event} {arguments}")


sys.addaudithook(refuse)

from dagster._utils import alter_sys_path
from dagster.components.core.component_tree import ComponentTree
from importlib import import_module

name, root = sys.argv[1:]
tree = ComponentTree(defs_module=import_module(f"{name}.defs"), project_root=Path(root))
graph = tree.build_defs().resolve_asset_graph()
print(*sorted(key.name for key in graph.asset_check_keys if key.name.startswith("field_")))
"""
