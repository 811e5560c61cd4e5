"""The workflow of the page on CI, its steps run as the scripts that they are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.e2e.conftest import DAMAGED, DAYS, make_project

PAGE = (PROJECT / "docs" / "ci.md").read_text()


@pytest.mark.parametrize(("day", "code"), [(DAYS[0], 0), (DAMAGED, 1)])
def test_the_workflow_says_what_the_batches_are_worth(
    tmp_path: Path, batches: dict[str, bytes], day: str, code: int
) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    job = yaml.safe_load(block)["jobs"]["batches"]
    scripts = {
        step["name"]: step["run"]
        for step in job["steps"]
        if "run" in step and "GH_TOKEN" not in step.get("env", {})
    }
    assert set(scripts) == {"Install", "Materialize the batches", "Checks", "Compare the flow versions"}
    versions = {name: job["env"][name] for name in ("BEFORE", "AFTER")}
    project = make_project(tmp_path / "project", {day: batches[day]})
    project = replace(project, variables={**versions, "BATCHES": day})
    flights = project.folder / "flows" / "flights"
    text = (flights / "v1.yaml").read_text()
    changed = text.replace("origin: {extract: origin}", "origin: {extract: dest}")
    assert changed != text
    (flights / "v2.yaml").write_text(changed)

    codes = {
        name: project.run("bash", "-euo", "pipefail", "-c", script)
        for name, script in scripts.items()
        if name != "Install"
    }
    assert codes["Materialize the batches"][0] == 0
    assert codes["Checks"][0] == code, codes["Checks"][1]
    (suite,) = ET.parse(project.folder / "checks.xml").getroot()
    assert (suite.get("failures") != "0") == bool(code)
    assert codes["Compare the flow versions"][0] == 0, codes["Compare the flow versions"][1]
    assert "flights:v2" in (project.folder / "diff.md").read_text()
