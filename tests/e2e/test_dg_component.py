"""The component in a project of its own, by dg's commands, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PEOPLE, PEOPLE_FLOW, PROJECT

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


def test_the_component_is_listed(project: DgProject) -> None:
    _, output = project.dg("list", "components")
    assert "lume_dagster.LumeFlowComponent" in output


def test_a_flow_that_the_lume_does_not_know_cannot_be_scaffolded(project: DgProject) -> None:
    code, output = project.dg(*SCAFFOLD, "customers", "--flow-version", "customers:v1")
    assert code == 1
    assert "there is no flow version 'customers:v1'; there are people:v1" in output
    assert not (project.defs / "customers").exists()


def test_a_scaffolded_project_is_checked_listed_and_launched(project: DgProject) -> None:
    code, output = project.dg(
        *SCAFFOLD, "people", "--flow-version", "people:v1", "--start-date", "2024-01-01"
    )
    assert code == 0, output
    path = project.defs / "people" / "defs.yaml"
    scaffolded = path.read_text()

    path.write_text(scaffolded.replace("reject_rate_error: 0.1", "reject_rate_eror: 0.1"))
    code, output = project.dg("check", "yaml")
    (line,) = [n for n, text in enumerate(path.read_text().splitlines(), 1) if "reject_rate_eror" in text]
    assert code == 1
    assert f"{path}:{line}" in output
    assert "'reject_rate_eror' was unexpected" in output

    path.write_text(scaffolded.replace("reject_rate_error: 0.1", "reject_rate_error: 0.6"))
    code, output = project.dg("check", "defs")  # checks the YAML as well
    assert code == 0, output
    code, output = project.dg("list", "defs")
    assert code == 0, output
    for name in ("people/run", "people/mapped", "people/rejects", "people/mapped:reject_rate"):
        assert name in output

    code, output = project.dg("launch", "--assets", "group:people", "--partition", "2024-01-01")
    assert code == 0, output
    assert "2 of 4 rows were rejected: 50.00%, above 2.00%" in output
