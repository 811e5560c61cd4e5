"""One running Dagster for all end-to-end tests: a webserver and a daemon over a project that the demo has filled."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from examples.flights import FOLDER, damaged, flights_by_day, raw_flights, write_batches
from lume_dagster.testing import RunScript, ScriptedLume
from tests.e2e.project import Project, Webserver, kill_group, wait_for

DAYS = ("2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04", "2013-01-05")
DAMAGED = "2013-01-09"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class Site:
    """A project with a webserver and a daemon at work on it."""

    project: Project
    webserver: Webserver
    demo: tuple[int, str]
    hosted: ScriptedLume


@pytest.fixture(scope="session")
def batches() -> dict[str, bytes]:
    """A few days of flights, the last of them damaged."""
    days = {str(day): batch for day, batch in flights_by_day(raw_flights()).items()}
    return {day: days[day] for day in DAYS} | {DAMAGED: damaged(days[DAMAGED])}


def make_project(folder: Path, batches: dict[str, bytes]) -> Project:
    """A project with a few days of flights to map."""
    made = Project.make(folder)
    write_batches(batches, made.folder / FOLDER)
    return made


@pytest.fixture
def project(tmp_path: Path, batches: dict[str, bytes]) -> Project:
    """A project of the test's own, with a few days of flights to map."""
    return make_project(tmp_path / "project", batches)


@pytest.fixture(scope="session")
def hosted() -> Iterator[ScriptedLume]:
    """The Lume that the flow `orders` runs in."""
    with ScriptedLume(
        RunScript(metadata={"rows": {"source": 0, "mapped": 0, "rejected": 0}}),
        flows=[{"flow_version": "orders:v1"}],
    ) as lume:
        yield lume


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, hosted: ScriptedLume) -> Iterator[Site]:
    """The project after a demo, open in a webserver, with a daemon."""
    project = Project.make_site(tmp_path_factory.mktemp("site") / "project", hosted.url)
    project.make_tables()
    workspaces = ("-w", "workspace.yaml", "-w", "people.yaml")
    port = _free_port()
    processes = [
        project.start(
            "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), *workspaces, log="webserver.log"
        )
    ]
    webserver = Webserver(f"http://127.0.0.1:{port}")
    try:
        # The daemon after the demo: its monitoring would take the runs of the demo's process for lost.
        demo = project.run(sys.executable, "-m", "examples.demo", log="demo.log")
        daemon = str(Path(__file__).parent / "daemon.py")
        processes.append(project.start(sys.executable, daemon, "run", *workspaces, log="daemon.log"))
        loaded = wait_for(lambda: _loaded(webserver), "its code locations loaded", of=processes[0])
        assert set(loaded.values()) == {"RepositoryLocation"}, project.said("webserver.log")
        yield Site(project, webserver, demo, hosted)
    finally:
        webserver.close()
        for process in processes:
            kill_group(process)


def _loaded(webserver: Webserver) -> dict[str, str | None] | None:
    try:
        found = webserver.locations()
    except (httpx.TransportError, ValueError):
        return None
    return found if len(found) == 2 and all(found.values()) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
