"""The workflow of the page on CI, its steps run as the scripts that they are."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import yaml

from tests.conftest import PROJECT
from tests.e2e.conftest import DAMAGED, DAYS, make_project

PAGE = (PROJECT / "docs" / "ci.md").read_text()


def test_the_workflow_says_what_the_batches_are_worth(tmp_path: Path, batches: dict[str, bytes]) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    job = yaml.safe_load(block)["jobs"]["batches"]
    scripts = {
        step["name"]: step["run"]
        for step in job["steps"]
        if "run" in step and "GH_TOKEN" not in step.get("env", {})
    }
    assert set(scripts) == {"Install", "Materialize the batches", "Checks", "Compare the flow versions"}
    days = (DAYS[0], DAMAGED)
    project = make_project(tmp_path / "project", {day: batches[day] for day in days})
    versions = {name: job["env"][name] for name in ("BEFORE", "AFTER")}
    project = replace(project, variables={**versions, "BATCHES": " ".join(days)})
    flights = project.folder / "flows" / "flights"
    text = (flights / "v1.yaml").read_text()
    changed = text.replace("origin: {extract: origin}", "origin: {extract: dest}")
    assert changed != text
    (flights / "v2.yaml").write_text(changed)

    ended = {
        name: project.run("bash", "-euo", "pipefail", "-c", script)
        for name, script in scripts.items()
        if name != "Install"
    }
    assert {name: code for name, (code, _) in ended.items()} == {
        "Materialize the batches": 0,
        "Checks": 1,
        "Compare the flow versions": 0,
    }, ended
    assert f"{DAMAGED} was stopped" in ended["Materialize the batches"][1]
    suites = ET.parse(project.folder / "checks.xml").getroot()
    assert [suite.get("failures") == "0" for suite in suites] == [True, False]
    comment = html.unescape((project.folder / "diff.md").read_text())
    assert "flights:v1</code> → <code>flights:v2" in comment
    assert "is none of the options EWR, JFK, LGA" in comment
