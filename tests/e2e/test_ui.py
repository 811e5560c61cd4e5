"""The pages of Dagster's UI, opened in a real browser: what a user of the example sees, and does."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.conftest import PROJECT
from tests.e2e.conftest import DAMAGED, Site
from tests.e2e.project import PEOPLE_DAMAGED, wait_for

SCREENSHOTS = PROJECT / "screenshots"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ASSETS = ("flights/run", "flights/mapped", "flights/rejects", "carrier_punctuality", "rejects_review")
GROUP = "/locations/__repository__@lume_flights/asset-groups/flights"
FORCED = "2013-01-05"
FORCED_TOGETHER = ("2013-01-06", "2013-01-07")
FORCED_CONFIG = {"ops": {"flights__v1__run": {"config": {"force_rerun": True}}}}
FORCE_RERUN = "ops: {flights__v1__run: {config: {force_rerun: true}}}"
SENSORS = "/locations/__repository__@people/sensors"
GOOD = "2013-01-03"
TORN = "torn"
RUN_ID = re.compile(r"run_[0-9A-Z]{26}")

if CHROMIUM is None and os.environ.get("CI") != "true":
    pytest.skip(
        "there is no chromium here to open the UI in: apt-get install chromium", allow_module_level=True
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "chromium is missing, and CI has to have it"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(
        base_url=site.webserver.url,
        viewport={"width": 1440, "height": 900},
        device_scale_factor=1,
        reduced_motion="reduce",
        timezone_id="UTC",
    )
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module", autouse=True)
def torn(site: Site) -> None:
    """A damaged arrival, which the sensors come upon while other pages are looked at."""
    arrivals = site.project.folder / "data" / "arrivals"
    arrivals.mkdir(exist_ok=True)
    (arrivals / f"{TORN}.csv").write_text(PEOPLE_DAMAGED)


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=30_000)


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled", caret="hide")


def metadata(page: Page, name: str) -> Locator:
    """The value in the row of a metadata table that begins with a name."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).get_by_role("cell").nth(1)


def test_the_graph_shows_source_run_mapped_rejects_and_both_downstreams(page: Page) -> None:
    page.goto(GROUP)
    for node in (
        "flights",
        "run",
        "mapped",
        "rejects",
        "corrections",
        "carrier_punctuality",
        "rejects_review",
    ):
        expect(page.get_by_text(node, exact=True).last).to_be_visible()
    # Of mapped and of what hangs on it; the review goes on.
    expect(page.get_by_text("filled (1 failed)")).to_have_count(2)
    expect(page.get_by_text(re.compile(r"\d / 5 Passed"))).to_be_visible()
    picture(page, "asset-graph")


def test_a_batch_is_forced_from_the_launchpad(page: Page, site: Site) -> None:
    before = site.project.latest("flights/mapped", FORCED)
    assert before is not None

    page.goto(GROUP)
    expect(page.get_by_text("filled (1 failed)")).to_have_count(2)
    page.get_by_role("button").filter(has=page.get_by_role("img", name="arrow_drop_down")).last.click()
    page.get_by_role("menuitem", name="Open launchpad").click()
    launchpad = page.get_by_role("dialog")
    expect(launchpad.get_by_text("All defaults expanded")).to_be_visible()
    partition, offered = launchpad.get_by_placeholder("Partition"), page.get_by_role("menuitem", name=FORCED)

    def type_partition() -> bool:  # it is offered once the partitions have been loaded
        partition.fill("")
        partition.fill(FORCED)
        return offered.is_visible()

    wait_for(type_partition, f"{FORCED} among the partitions", every=0.5)
    offered.click()
    # To the end of the line, whose last word is the value.
    launchpad.get_by_text("force_rerun").first.click()
    page.keyboard.press("End")
    for _ in "false":
        page.keyboard.press("Backspace")
    page.keyboard.type("true")
    materialize = launchpad.get_by_role("button", name="Materialize")
    expect(launchpad.get_by_text("No errors")).to_be_visible()
    expect(materialize).to_be_enabled()
    picture(page, "launchpad")
    materialize.click()
    page.wait_for_url(re.compile("/runs/[0-9a-f-]{36}$"))
    assert site.webserver.run_ended(page.url.rpartition("/")[2]) == "SUCCESS"
    page.reload()  # it was shown as it went
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    expect(page.get_by_text("RUN_SUCCESS")).to_be_visible()
    page.wait_for_timeout(1_000)  # the chart of the steps is drawn a moment after their events are there
    picture(page, "forced-run")

    after = site.project.latest("flights/mapped", FORCED)
    assert after is not None
    assert after["lume/run_id"] != before["lume/run_id"]
    newest, *_ = site.project.lume_runs(f"data/incoming/flights/{FORCED}.csv")
    assert (newest.id, newest.forced) == (after["lume/run_id"], True)


def test_the_page_of_a_batch_shows_its_rows_where_they_lie_and_the_run(page: Page, site: Site) -> None:
    published = site.project.latest("flights/mapped", GOOD)
    assert published is not None
    page.goto(f"/assets/flights/mapped?view=partitions&partition={GOOD}")
    expect(metadata(page, "dagster/partition_row_count")).to_have_text(
        str(published["dagster/partition_row_count"])
    )
    expect(metadata(page, "lume/run_id")).to_have_text(RUN_ID)
    expect(metadata(page, "lume/run_id")).to_have_text(str(published["lume/run_id"]))
    expect(metadata(page, "dagster/uri")).to_contain_text(f"{published['lume/run_id']}/mapped.parquet")
    picture(page, "partition")


def test_the_failed_check_of_the_damaged_batch_shows_why(page: Page) -> None:
    page.goto("/assets/flights/mapped?view=checks&checkDetail=reject_rate")
    expect(page.get_by_role("tab", name="Execution history")).to_be_visible()
    page.get_by_role("tab", name="Partitions").last.click()
    page.get_by_placeholder("Filter by partition").fill(DAMAGED)
    expect(page.get_by_text("1 Partitions Selected")).to_be_visible()
    page.get_by_text(DAMAGED, exact=True).locator("visible=true").last.click()
    expect(page.get_by_text("280 of 1173 rows were rejected: 23.87%, above 20.00%")).to_be_visible()
    expect(metadata(page, "reject_rate")).to_have_text("0.238704")
    picture(page, "stopped-batch")


def test_the_run_of_the_stopped_batch_says_what_to_do(page: Page, site: Site) -> None:
    with site.project.instance() as instance:
        stopped = [run for run in instance.get_runs() if run.tags.get("dagster/partition") == DAMAGED]
    page.goto(f"/runs/{stopped[-1].run_id}")
    expect(page.get_by_text("Failure", exact=True).first).to_be_visible()
    expect(page.get_by_text("the audit stopped the batch").first).to_be_visible()
    picture(page, "stopped-run")


def test_the_rejects_of_a_batch_show_their_reasons_and_a_sample(page: Page) -> None:
    page.goto(f"/assets/flights/rejects?view=partitions&partition={DAMAGED}")
    expect(metadata(page, "lume/outcome")).to_have_text("893 of 1173 records mapped, 280 rejected")
    expect(page.get_by_text("more fields than the header: 30 where it has 19")).to_be_attached()
    picture(page, "rejects")
    page.get_by_text("lume/rejects_sample", exact=True).evaluate(
        "name => name.scrollIntoView({block: 'start'})"
    )
    expect(page.get_by_text("the same primary key as row 272")).to_be_visible()
    picture(page, "rejects-sample")


def test_the_figures_of_batches_are_plotted(page: Page) -> None:
    page.goto("/assets/flights/run?view=overview")
    page.get_by_role("button", name="Plots").click()
    page.get_by_role("button", name="Events").last.click()
    expect(page.get_by_text("lume/duration_seconds", exact=True)).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    picture(page, "plots")
    page.goto("/assets/flights/mapped?view=checks&checkDetail=reject_rate")
    expect(
        page.get_by_text("The share of rejected rows: warns above 5.00%, stops the batch above 20.00%.")
    ).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    picture(page, "check")


def test_the_backfill_dialog_takes_force_rerun_as_config(page: Page, site: Site) -> None:
    first, last = FORCED_TOGETHER
    with site.project.instance() as instance:
        earlier = {backfill.backfill_id for backfill in instance.get_backfills()}
    wait_for(lambda: site.webserver.is_healthy("BACKFILL"), "the daemon's first sign of life")
    page.goto(GROUP)
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog").last
    dialog.get_by_placeholder("ex:").fill(f"[{first}...{last}]")
    dialog.get_by_placeholder("ex:").press("Enter")
    expect(dialog.get_by_text("2 partitions")).to_be_visible()
    dialog.get_by_text("Config", exact=True).click()
    dialog.get_by_role("button", name="Add config").click()
    editor = page.get_by_role("dialog").filter(has_text="Config Editor")
    editor.locator(".CodeMirror").first.click()
    page.keyboard.insert_text(FORCE_RERUN)
    expect(editor.get_by_text("No errors")).to_be_visible()
    picture(page, "backfill-config")
    editor.get_by_role("button", name="Save config").click()
    picture(page, "backfill-dialog")
    page.get_by_role("button", name="Launch backfill").click()
    with site.project.instance() as instance:
        newest = wait_for(
            lambda: next((one for one in instance.get_backfills() if one.backfill_id not in earlier), None),
            "the backfill",
        )
    assert newest.run_config == FORCED_CONFIG


def test_a_damaged_arrival_is_seen_by_the_sensor_and_told_of(page: Page, site: Site) -> None:
    told = wait_for(
        lambda: site.webserver.tick_that_says("people", "arrivals_v1_alerts", f"arrivals:v1 {TORN}"),
        "an alert",
        seconds=90,
    )
    page.goto(f"{SENSORS}/new_arrivals")
    expect(page.get_by_text("Asks for a run of each new batch in data/arrivals/")).to_be_visible()
    expect(page.get_by_text(re.compile("[1-9] partitions? created")).first).to_be_visible()
    picture(page, "sensor")
    page.goto(f"{SENSORS}/arrivals_v1_alerts")
    moment = datetime.fromtimestamp(told, timezone.utc)
    page.get_by_role("row", name=f"{moment:%-I:%M:%S %p}").get_by_text("0 runs requested").last.click()
    expect(page.get_by_role("dialog").get_by_text(f"arrivals:v1 {TORN}")).to_be_visible()
    picture(page, "alert")


def test_the_backfill_of_the_dialog_has_forced_its_batches(page: Page, site: Site) -> None:
    with site.project.instance() as instance:
        launched = next(one for one in instance.get_backfills() if one.run_config == FORCED_CONFIG)
    status, counts = site.webserver.backfill_ended(launched.backfill_id)
    assert status == "COMPLETED_SUCCESS"
    assert set(counts) == {*ASSETS, "flights/corrections"}
    assert {tuple(count.values()) for count in counts.values()} == {(2, 2, 0)}
    for day in FORCED_TOGETHER:
        newest, *_ = site.project.lume_runs(f"data/incoming/flights/{day}.csv")
        published = site.project.latest("flights/mapped", day)
        assert published is not None
        assert (newest.id, newest.forced) == (published["lume/run_id"], True)
        assert site.project.check_result("flights/mapped", "reject_rate", day) is True
    page.goto(f"/runs/b/{launched.backfill_id}")
    expect(page.get_by_text("100% completed")).to_have_count(len(counts))
    picture(page, "backfill")


def test_corrected_rejects_are_handed_in_and_publish_the_batch(page: Page, site: Site) -> None:
    assert site.project.latest("arrivals/mapped", TORN) is None
    corrected = site.project.folder / "data" / "corrected"
    corrected.mkdir(exist_ok=True)
    (corrected / f"{TORN}.csv").write_text("row_number,ID,Full Name,Mail\n2,2,Bob,\n")
    published = wait_for(
        lambda: site.project.latest("arrivals/mapped", TORN), "the corrected batch published", seconds=90
    )
    assert published["dagster/partition_row_count"] == 2
    page.goto(f"/assets/arrivals/corrections?view=partitions&partition={TORN}")
    expect(metadata(page, "lume/outcome")).to_have_text("all 2 records mapped")
    expect(metadata(page, "lume/run_id")).to_have_text(str(published["lume/run_id"]))
    expect(metadata(page, "lume/rejected_before")).to_have_text("1")
    expect(page.get_by_text("Unsynced")).to_have_count(0)
    picture(page, "corrections")
    page.goto(f"{SENSORS}/arrivals_v1_corrections")
    expect(page.get_by_text("Has each corrected file in data/corrected/")).to_be_visible()
    expect(page.get_by_text("1 run requested").nth(1)).to_be_visible()
    picture(page, "corrections-sensor")
