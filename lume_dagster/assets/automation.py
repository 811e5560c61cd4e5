"""When assets downstream of a batch are materialized by themselves."""

from __future__ import annotations

import dagster as dg


def lume_automation_condition() -> dg.AutomationCondition[dg.AssetKey]:
    """The condition for what is downstream of `mapped`: as soon as a batch has passed its audit, and not before.

    It is Dagster's `eager` with two differences: it waits until the blocking checks of what it depends on have
    passed, and it takes each batch, not the latest time window alone, since batches come late.

    Example:
        ```python
        @dg.asset(
            ins={"mapped": dg.AssetIn(["flights", "mapped"])},
            partitions_def=days,
            automation_condition=lume_automation_condition(),
        )
        def carrier_punctuality(mapped: pd.DataFrame) -> pd.DataFrame: ...
        ```
    """
    return (each_batch() & dg.AutomationCondition.all_deps_blocking_checks_passed()).with_label(
        "each batch that passed its audit"
    )


def each_batch() -> dg.AutomationCondition[dg.AssetKey]:
    """Dagster's `eager` for every partition: without its bound to the latest time window."""
    return dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window())
