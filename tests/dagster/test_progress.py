from __future__ import annotations

from datetime import datetime, timezone

from lume_dagster.assets.progress import Progress


def test_how_far_it_has_come_is_told_at_intervals() -> None:
    clock, told = [0.0], list[str]()
    moment = datetime(2013, 1, 1, 12, 0, 0, tzinfo=timezone.utc)
    progress = Progress(
        100,
        told.append,
        every=10,
        monotonic=lambda: clock[0],
        now=lambda: moment.replace(second=int(clock[0])),
    )
    for number in range(25):
        progress.started(f"{number}")
        progress.tell()
    assert told == []
    for number in range(20):
        clock[0] = number + 1.0
        progress.ended(f"{number}", rejected=number % 10 == 0)
        progress.tell()
    assert len(told) == 2
    assert told[-1] == (
        "20 of 100 batches done, 2 of them rejected, 5 under way; 60.0 a minute; "
        "expected end 2013-01-01 12:01:40 UTC"
    )


def test_no_end_is_expected_before_the_first_batch_is_done_or_after_the_last() -> None:
    progress = Progress(1, lambda _: None)
    assert "expected end" not in progress.line()
    progress.started("a")
    progress.ended("a", rejected=False)
    assert progress.line().startswith("1 of 1 batches done, 0 of them rejected, 0 under way")
    assert "expected end" not in progress.line()
