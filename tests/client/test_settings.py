from __future__ import annotations

from typing import Any

import pytest

from lume_dagster.client import ClientSettings


def test_defaults_are_documented_ones() -> None:
    settings = ClientSettings()
    assert (settings.request_timeout, settings.long_poll_seconds) == (60, 30)
    assert settings.outage_budget_seconds == 600
    assert (settings.poll_initial_seconds, settings.poll_max_seconds) == (5, 60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_timeout": 0},
        {"connect_timeout": -1},
        {"retry_initial_seconds": float("nan")},
        {"poll_max_seconds": 0},
        {"outage_budget_seconds": -1},
        {"long_poll_seconds": 61},
        {"long_poll_seconds": -1},
    ],
)
def test_a_value_out_of_range_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClientSettings(**wrong)
