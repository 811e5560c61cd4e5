"""No way leads from a stopped batch to what is downstream: the three leaks of blocking checks, shown closed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.e2e.conftest import DAMAGED, Site
from tests.e2e.project import wait_for

LOCATION = "people"
UPSTREAM = ("people/run", "people/rejects", "people/mapped")
FORCED = {"ops": {"people__v1__run": {"config": {"force_rerun": True}}}}


def batch(partition: str) -> str:
    return f"data/incoming/people/{partition}.csv"


@dataclass(frozen=True)
class Backfill:
    """A backfill that has ended."""

    id: str
    status: str
    counts: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def backfill(site: Site) -> Backfill:
    """Three batches, the second of them damaged, and a downstream of another backfill policy."""
    launched = site.webserver.backfill(["a1", "a2", "a3"], *UPSTREAM, "summary")
    return Backfill(launched, *site.webserver.backfill_ended(launched))


def test_a_downstream_launched_alone_does_not_reach_a_stopped_batch(site: Site) -> None:
    run = site.webserver.launch("lume_flights", DAMAGED, "carrier_punctuality")
    assert site.webserver.run_ended(run) == "FAILURE"
    assert f"flights/mapped has no published output for partition '{DAMAGED}'" in site.webserver.messages(run)
    assert DAMAGED not in site.project.materialized("carrier_punctuality")


def test_a_backfill_hands_only_good_batches_to_a_downstream_of_another_policy(
    site: Site, backfill: Backfill
) -> None:
    assert site.project.materialized("people/rejects") >= {"a1", "a2", "a3"}
    assert site.project.materialized("people/mapped") & {"a1", "a2", "a3"} == {"a1", "a3"}
    assert site.project.materialized("summary") & {"a1", "a2", "a3"} == {"a1", "a3"}


def test_a_backfill_tells_the_stopped_batch_as_failed_downstream(backfill: Backfill) -> None:
    counted = {
        asset: (counts["numPartitionsMaterialized"], counts["numPartitionsFailed"])
        for asset, counts in backfill.counts.items()
    }
    assert counted == {
        "people/run": (3, 0),
        "people/rejects": (3, 0),
        "people/mapped": (2, 1),
        "summary": (2, 1),
    }
    assert backfill.status == "COMPLETED_FAILED"


def test_a_backfill_with_force_rerun_in_its_config_forces_each_batch_once(
    site: Site, backfill: Backfill
) -> None:
    before = {name: site.project.lume_runs(batch(name)) for name in ("a1", "a3")}
    assert [len(runs) for runs in before.values()] == [1, 1]
    launched = site.webserver.backfill(["a1", "a3"], *UPSTREAM, "summary", config=FORCED)
    status, counts = site.webserver.backfill_ended(launched)
    assert status == "COMPLETED_SUCCESS"
    assert counts["summary"]["numPartitionsMaterialized"] == 2
    for name, earlier in before.items():
        forced, first = site.project.lume_runs(batch(name))
        assert (forced.forced, first.id) == (True, earlier[0].id)
        published = site.project.latest("people/mapped", name)
        assert published is not None
        assert published["lume/run_id"] == forced.id


def test_automation_never_asks_for_a_stopped_batch(site: Site) -> None:
    webserver = site.webserver
    webserver.automate(LOCATION, on=True)
    try:
        wait_for(lambda: webserver.ticks(LOCATION), "the first tick")
        runs = [webserver.launch(LOCATION, name, *UPSTREAM) for name in ("b2", "b1")]
        assert [webserver.run_ended(run) for run in runs] == ["FAILURE", "SUCCESS"]
        wait_for(lambda: "b1" in site.project.materialized("follower"), "automation following the good batch")
        passed = len(webserver.ticks(LOCATION))
        wait_for(lambda: len(webserver.ticks(LOCATION)) >= passed + 2, "two more ticks")
    finally:
        webserver.automate(LOCATION, on=False)
    with site.project.instance() as instance:
        asked = {
            run.tags["dagster/partition"]
            for run in instance.get_runs()
            if run.asset_selection and "follower" in {key.to_user_string() for key in run.asset_selection}
        }
    assert asked == {"b1"}
    assert site.project.materialized("follower") == {"b1"}
