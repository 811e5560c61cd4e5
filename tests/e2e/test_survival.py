"""Workers killed under a real daemon, and runs terminated in the UI: what becomes of their Lume runs."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster.testing import RunScript, Stage
from tests.e2e.conftest import Site
from tests.e2e.project import wait_for

LOCATION = "people"
THOROUGH = os.environ.get("LUME_TESTS_THOROUGH") == "1"
ASSETS = ("orders/run", "orders/rejects", "orders/mapped")
MAPPED = RunScript(["SUCCEEDED"], metadata={"rows": {"source": 0, "mapped": 0, "rejected": 0}})
ENDLESS = RunScript([Stage("TRANSFORMING", seconds=3600), "SUCCEEDED"])


def launch(site: Site, partition: str, **tags: str) -> tuple[str, str, int]:
    """A Dagster run that waits for a Lume run without end: the ids of both, and the run worker's process id."""
    known = set(site.hosted.run_ids)
    site.hosted.next_run(ENDLESS)
    run_id = site.webserver.launch(
        LOCATION, partition, *ASSETS, tags={k.replace("_", "/", 1): v for k, v in tags.items()}
    )

    def waited_for() -> str | None:
        new = set(site.hosted.run_ids) - known
        return next((run for run in new if site.hosted.asked("GET", f"/v1/runs/{run}")), None)

    lume_run = wait_for(waited_for, "a step that waits for its Lume run")
    with site.project.instance() as instance:
        said = "".join(
            entry.message for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        )
    pid = re.search(r"process \(pid: (\d+)\)", said)
    assert pid, said
    return run_id, lume_run, int(pid[1])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def materializations(site: Site, partition: str) -> dict[str, int]:
    with site.project.instance() as instance:
        return {
            asset: len(
                instance.fetch_materializations(
                    dg.AssetRecordsFilter(
                        asset_key=dg.AssetKey.from_user_string(asset), asset_partitions=[partition]
                    ),
                    limit=9,
                ).records
            )
            for asset in ASSETS
        }


def test_a_killed_worker_is_retried_by_the_daemon_and_goes_on_with_the_same_run(site: Site) -> None:
    known = len(site.hosted.run_ids)
    run_id, lume_run, worker = launch(site, "a1", dagster_max_retries="1")
    os.kill(worker, signal.SIGKILL)

    def retry() -> str | None:
        with site.project.instance() as instance:
            found = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run_id}))
        return found[0].run_id if found else None

    retried = wait_for(retry, "the retry of the killed run")
    site.hosted.finish(lume_run, MAPPED)
    assert site.webserver.run_ended(run_id) == "FAILURE"
    assert site.webserver.run_ended(retried) == "SUCCESS"
    assert site.hosted.run_ids[known:] == [lume_run]
    assert materializations(site, "a1") == dict.fromkeys(ASSETS, 1)


def test_terminate_in_the_ui_cancels_the_run(site: Site) -> None:
    run_id, lume_run, _ = launch(site, "a3")
    site.webserver.terminate(run_id)
    assert site.webserver.run_ended(run_id) == "CANCELED"
    assert site.hosted.status(lume_run) == "FAILED"
    assert materializations(site, "a3") == dict.fromkeys(ASSETS, 0)


@pytest.mark.skipif(not THOROUGH, reason="takes two minutes: set LUME_TESTS_THOROUGH=1")
def test_when_the_code_server_died_too_another_launch_goes_on_with_the_same_run(site: Site) -> None:
    known = len(site.hosted.run_ids)
    _, lume_run, worker = launch(site, "b1")
    for pid in (parent_of(worker), worker):
        os.kill(pid, signal.SIGKILL)
    site.hosted.finish(lume_run, MAPPED)

    def succeeded() -> bool:  # the daemon needs a minute to notice, and to start another code server
        return site.webserver.run_ended(site.webserver.launch(LOCATION, "b1", *ASSETS)) == "SUCCESS"

    wait_for(succeeded, "a launch that succeeds", seconds=180, every=10)
    assert site.hosted.run_ids[known:] == [lume_run]
    assert materializations(site, "b1") == dict.fromkeys(ASSETS, 1)
