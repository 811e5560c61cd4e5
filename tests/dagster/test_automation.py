"""Automation takes each batch, also one that comes late."""

from __future__ import annotations

import dagster as dg

from lume_dagster import LumeResource, build_lume_assets, lume_automation_condition

DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-05")
RUN, MAPPED = dg.AssetKey(["people", "run"]), dg.AssetKey(["people", "mapped"])


@dg.asset(deps=[MAPPED], partitions_def=DAYS, automation_condition=lume_automation_condition())
def follower() -> None:
    """What comes after the mapped output."""


DEFINITIONS = dg.Definitions.merge(
    build_lume_assets(
        flow_version="people:v1",
        partitions_def=DAYS,
        source_path="{partition_key}.csv",
        automation_condition=dg.AutomationCondition.on_missing(),
    ),
    dg.Definitions(
        assets=[follower],
        resources={
            "lume": LumeResource(),
            "lume_io_manager": dg.IOManagerDefinition.hardcoded_io_manager(dg.InMemoryIOManager()),
        },
    ),
)


def test_a_late_batch_is_audited_by_itself() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(DEFINITIONS, instance, dg.AssetSelection.assets(MAPPED))
        instance.report_runless_asset_event(dg.AssetMaterialization(RUN, partition="2013-01-02"))
        later = dg.evaluate_automation_conditions(
            DEFINITIONS, instance, dg.AssetSelection.assets(MAPPED), cursor=first.cursor
        )
    assert later.get_requested_partitions(MAPPED) == {"2013-01-02"}


def test_what_follows_waits_for_the_checks_of_its_batch() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(DEFINITIONS, instance, dg.AssetSelection.assets("follower"))
        instance.report_runless_asset_event(dg.AssetMaterialization(MAPPED, partition="2013-01-02"))
        later = dg.evaluate_automation_conditions(
            DEFINITIONS, instance, dg.AssetSelection.assets("follower"), cursor=first.cursor
        )
    assert later.total_requested == 0
