"""Sensors, alerts and automation at work in the real daemon."""

from __future__ import annotations

from lume_dagster import LumeResource
from tests.conftest import PEOPLE_GOOD
from tests.e2e.conftest import Site
from tests.e2e.project import PEOPLE_DAMAGED, wait_for


def arrive(site: Site, name: str, text: str) -> None:
    path = site.project.folder / "data" / "arrivals" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def published(site: Site, name: str) -> str | None:
    found = site.project.latest("arrivals/mapped", name)
    return str(found["lume/run_id"]) if found else None


def test_batches_that_arrive_are_run_audited_followed_and_told_of(site: Site) -> None:
    arrive(site, "good", PEOPLE_GOOD)
    arrive(site, "damaged", PEOPLE_DAMAGED)
    (site.project.folder / "elsewhere").mkdir()
    outside = site.project.folder / "elsewhere" / "outside.csv"
    outside.write_text(PEOPLE_GOOD)
    lume = LumeResource(home=str(site.project.lume_home), flows=str(site.project.folder / "flows"))
    with lume.client as client:
        taken = client.wait(client.run("arrivals:v1", str(outside)))

    first = wait_for(lambda: published(site, "good"), "the good arrival published", seconds=90)
    arrive(site, "good", f"{PEOPLE_GOOD}3,Cy,\n")
    second = wait_for(
        lambda: (found := published(site, "good")) != first and found,
        "the replaced arrival published",
        seconds=90,
    )
    assert wait_for(lambda: published(site, "outside"), "the run from outside published") == taken.id
    wait_for(
        lambda: {"good", "outside"} <= site.project.materialized("arrivals_follower"),
        "automation following the arrivals",
    )
    told = site.project.folder / "alerts.txt"
    wait_for(told.exists, "an alert")

    runs = site.project.lume_runs("data/arrivals/good.csv")
    assert [(run.id, run.forced) for run in runs] == [(second, True), (first, False)]
    assert len(site.project.lume_runs("data/arrivals/damaged.csv")) == 1
    assert len(site.project.lume_runs(str(outside))) == 1
    assert site.project.materialized("arrivals/mapped") == {"good", "outside"}
    assert site.project.materialized("arrivals_follower") == {"good", "outside"}
    text = told.read_text()
    assert text.count("arrivals:v1 damaged: the audit failed") == 1
    assert "reject_rate" in text
    assert "good" not in text
