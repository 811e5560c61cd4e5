"""The component in a project of its own, by dg's commands, as real processes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PEOPLE, PEOPLE_FLOW, PROJECT

COMPONENT = PROJECT / "docs" / "component.md"
SCAFFOLD = ("scaffold", "defs", "lume_dagster.LumeFlowComponent")
DEFINITIONS = """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    project = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(project, dg.Definitions(executor=dg.in_process_executor))
"""


class DgProject:
    """A project as `create-dagster` lays it out, with a flow version and a batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.defs = folder / "src" / "partners" / "defs"
        files = {
            "pyproject.toml": '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "partners"\n',
            "src/partners/__init__.py": "",
            "src/partners/defs/__init__.py": "",
            "src/partners/definitions.py": DEFINITIONS,
            "flows/people/v1.yaml": PEOPLE_FLOW,
            "data/incoming/people/2024-01-01.csv": PEOPLE,
            "dagster_home/dagster.yaml": "telemetry: {enabled: false}\n",
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def dg(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of one of dg's commands."""
        lume = {name: value for name, value in os.environ.items() if not name.startswith("LUME_")}
        python_path = [str(PROJECT), str(self.folder / "src"), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [str(Path(sys.executable).parent / "dg"), *arguments],
            cwd=self.folder,
            env={
                **lume,
                "PYTHONPATH": os.pathsep.join(python_path),
                "DAGSTER_HOME": str(self.folder / "dagster_home"),
                "COLUMNS": "200",
                "NO_COLOR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DgProject:
    return DgProject(tmp_path_factory.mktemp("partners"))


def test_a_flow_that_the_lume_does_not_know_cannot_be_scaffolded(project: DgProject) -> None:
    code, output = project.dg(*SCAFFOLD, "customers", "--flow-version", "customers:v1")
    assert code == 1
    assert "there is no flow version 'customers:v1'; there are people:v1" in output
    assert not (project.defs / "customers").exists()


def test_the_documented_commands_take_a_batch_the_whole_way(project: DgProject) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", COMPONENT.read_text(), re.DOTALL)
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    path = project.defs / "people" / "defs.yaml"
    said: dict[str, str] = {}
    for command in commands:
        name = " ".join(command[:2])
        code, said[name] = project.dg(*command)
        assert code == 0, said[name]
        if name == "scaffold defs":
            path.write_text(path.read_text().replace("reject_rate_error: 0.1", "reject_rate_error: 0.6"))
    assert "lume_dagster.LumeFlowComponent" in said["list components"]
    for listed in ("people/run", "people/mapped", "people/rejects", "people/mapped:reject_rate"):
        assert listed in said["list defs"]
    assert "2 of 4 rows were rejected: 50.00%, above 2.00%" in said["launch --assets"]


def test_what_is_wrong_in_the_yaml_is_told_with_file_and_line(project: DgProject) -> None:
    path = project.defs / "wrong" / "defs.yaml"
    path.parent.mkdir()
    try:
        path.write_text(WRONG)
        code, output = project.dg("check", "yaml", str(path.parent))
    finally:
        path.unlink()
        path.parent.rmdir()
    assert code == 1
    for line, told in enumerate(WRONG.splitlines(), 1):
        if "# " in told:
            assert f"{path}:{line} " in output
            assert told.split("# ")[1] in output


WRONG = """\
type: lume_dagster.LumeFlowComponent
attributes:
  lume: {base_urll: x}  # 'base_urll' was unexpected
  flows:
    - flow_version: people  # 'people' does not match
      source_path: data/people.csv  # 'data/people.csv' does not match
      partitions: {type: yearly, start_date: 2024-01-01}  # 'yearly' is not one of ['hourly', 'daily'
      checks:
        reject_rate_warn: 2  # 2 is greater than the maximum of 1
        reject_rate_eror: 0.1  # 'reject_rate_eror' was unexpected
        source_drift: sometimes  # 'sometimes' is not one of ['error', 'warn', 'off'
        per_field: "yes"  # 'yes' is not of type 'boolean'
      retry_policy: {max_retries: -1}  # -1 is less than the minimum of 0
    - flow_version: people:v1
      source_path: data/{partition_key}.csv
      partitions: {type: daily}  # 'start_date' is a required property
      tags: [gold]  # ['gold'] is not of type 'object'
"""
