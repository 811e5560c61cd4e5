"""The commands of a project, as real processes: their exit codes, and what is left when they are killed."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass

import pytest

from examples.flights import FOLDER, raw_flights, write_batches
from tests.conftest import PROJECT
from tests.e2e.conftest import DAMAGED, DAYS, Site, make_project
from tests.e2e.project import Project, kill_group, wait_for

GOOD = DAYS[0]
DEMO = (sys.executable, "-m", "examples.demo")


def launch(day: str) -> tuple[str, ...]:
    return ("dg", "launch", "--assets", "group:flights", "--partition", day)


def anonymous(printed: str) -> list[str]:
    """Lines without the ids of runs, and without the space that fills columns up."""
    return [" ".join(line.split()) for line in re.sub(r"run_[0-9A-Z]{26}", "RUN", printed).splitlines()]


def source(day: str) -> str:
    return f"data/incoming/flights/{day}.csv"


def run_under_way(project: Project) -> str | None:
    """The id of a run that a process of this project is working on."""
    if not (store := project.lume_home / "lume.db").exists():
        return None
    with closing(sqlite3.connect(store)) as connection:
        try:
            found = connection.execute("SELECT id FROM runs WHERE active_batch IS NOT NULL").fetchone()
        except sqlite3.OperationalError:  # its tables are still being made
            return None
    return str(found[0]) if found else None


def test_dg_check_defs_passes(project: Project) -> None:
    code, output = project.run("dg", "check", "defs")
    assert code == 0, output
    assert "All definitions loaded successfully." in output


@dataclass(frozen=True)
class Launches:
    """A project in which batches were launched, and how: exit code and output of each."""

    project: Project
    ended: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory, batches: dict[str, bytes]) -> Launches:
    """A good batch and a damaged one, launched at once."""
    project = make_project(tmp_path_factory.mktemp("launches") / "project", batches)
    project.make_tables()
    processes = {day: project.start(*launch(day), log=f"{day}.log") for day in (GOOD, DAMAGED)}
    try:
        return Launches(
            project,
            {day: (process.wait(120), project.said(f"{day}.log")) for day, process in processes.items()},
        )
    finally:
        for process in processes.values():
            kill_group(process, at_once=True)


def test_dg_launch_materializes_a_good_batch_and_exits_with_0(launches: Launches) -> None:
    code, output = launches.ended[GOOD]
    assert code == 0, output
    for asset in (
        "flights/run",
        "flights/rejects",
        "flights/mapped",
        "carrier_punctuality",
        "rejects_review",
    ):
        assert GOOD in launches.project.materialized(asset)


def test_dg_launch_exits_with_1_when_the_audit_stops_the_batch(launches: Launches) -> None:
    code, output = launches.ended[DAMAGED]
    assert code == 1, output
    (console,) = re.findall(r"```console\n(.*?)```", (PROJECT / "docs" / "audit.md").read_text(), re.DOTALL)
    assert re.findall(rf"--partition {DAMAGED} .*\n(.*)", console) == ["1"]
    assert anonymous(console)[-1] in anonymous(output)
    assert DAMAGED in launches.project.materialized("rejects_review")
    for asset in ("flights/mapped", "carrier_punctuality"):
        assert DAMAGED not in launches.project.materialized(asset)


def test_a_launch_killed_in_the_middle_of_a_run_can_be_launched_again(project: Project) -> None:
    write_batches({GOOD: raw_flights()}, project.folder / FOLDER)  # a whole year: there is time to kill it
    killed = project.start(*launch(GOOD), log="killed.log")
    try:
        lost = wait_for(lambda: run_under_way(project), "a Lume run under way", of=killed, every=0.002)
    finally:
        kill_group(killed, at_once=True)
    assert run_under_way(project) == lost
    code, output = project.run(*launch(GOOD))
    assert code == 0, output
    assert project.materialized("carrier_punctuality") == {GOOD}
    kept, crashed = project.lume_runs(source(GOOD))
    assert (crashed.id, crashed.status) == (lost, "CRASHED")
    assert (kept.status, kept.forced) == ("PARTIAL_FAILED", False)


def test_the_demo_holds_what_it_claims(site: Site) -> None:
    code, output = site.demo
    assert code == 0, output
    assert "NO " not in output
    (shown,) = re.findall(r"```text\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    for line in filter(None, anonymous(shown.replace("...\n", ""))):
        assert line in anonymous(output)
    assert "Warning" not in output


def test_a_demo_killed_in_the_middle_of_a_run_starts_again_and_two_run_at_once(project: Project) -> None:
    killed = project.start(*DEMO, log="killed.log")
    try:
        wait_for(
            lambda: len(project.materialized("carrier_punctuality")) >= 2,
            "two batches",
            of=killed,
            seconds=90,
        )
        wait_for(lambda: run_under_way(project), "a Lume run under way", of=killed, every=0.002)
    finally:
        kill_group(killed, at_once=True)
    lost = run_under_way(project)  # none, if it ended before the signal came
    logs = ("first.log", "second.log")
    demos = [project.start(*DEMO, log=log) for log in logs]
    try:
        codes = [demo.wait(180) for demo in demos]
    finally:
        for demo in demos:
            kill_group(demo, at_once=True)
    assert codes == [0, 0], "\n".join(map(project.said, logs))
    assert [run.id for run in project.lume_runs() if run.crashed] == ([lost] if lost else [])
