"""What tests of several layers use."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lume_dagster.service.embedded import shut_down_embedded
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings

pytest_plugins = ["lume_dagster.pytest_plugin"]


def pytest_collection_finish() -> None:
    """There is one fork server: it loads beforehand what any module needs in its processes, not what the last set."""
    ours = [(name, module) for name, module in sys.modules.items() if name.startswith("tests.")]
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        [name for name, module in ours if hasattr(module, "_processes")]
    )


PROJECT = Path(__file__).parent.parent

PEOPLE_FLOW = """\
description: People of a partner.
target_schema:
  type: object
  properties:
    id: {type: integer, minimum: 1, isPrimaryKey: true, description: The partner's number.}
    name: {type: string, maxLength: 10}
    email: {type: [string, "null"], format: email, x-sensitive: true}
  required: [id, name]
mapper:
  id: {extract: ID}
  name: {extract: Full Name}
  email: {extract: Mail}
"""
PEOPLE = "ID,Full Name,Mail\n1,Ada,ada@example.com\n2,Bob,\nx,Cy,cy@example.com\n4,,dee\n"
PEOPLE_GOOD = "ID,Full Name,Mail\n1,Ada,ada@example.com\n2,Bob,\n"


@pytest.fixture(scope="module", autouse=True)
def embedded_lumes_end() -> Iterator[None]:
    """Each holds some files open until its process ends, and there are hundreds in one run of the tests."""
    yield
    shut_down_embedded()


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder of flow versions: people:v1, and flights:v1 of the example."""
    folder = tmp_path / "flows"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "v1.yaml").write_text(PEOPLE_FLOW)
    shutil.copytree(PROJECT / "flows" / "flights", folder / "flights")
    return folder


@pytest.fixture
def settings(tmp_path: Path, flows: Path) -> ServiceSettings:
    """An embedded Lume of its own, with a short lease."""
    return ServiceSettings(home=tmp_path / "home", flows=flows, lease_seconds=1.0)


@pytest.fixture
def service(settings: ServiceSettings) -> Iterator[LumeService]:
    """The service of an embedded Lume of its own."""
    opened = LumeService(settings)
    yield opened
    opened.close()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A batch of people:v1: two good records, two bad ones."""
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path
