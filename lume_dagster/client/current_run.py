"""Which of the runs of a batch stands for it, and which has read its source."""

from __future__ import annotations

from lume_dagster.client.client import LumeClient
from lume_dagster.client.models import LumeRun

_PAGE = 5


def current_run(client: LumeClient, flow_version: str, source_path: str) -> LumeRun | None:
    """The run that stands for a batch: the latest, corrections that failed left aside.

    Args:
        client: The Lume.
        flow_version: The flow version, `NAME:vN`.
        source_path: What names the batch.

    Returns:
        The run, which may be under way; None if there is none.

    Raises:
        ApiError: There was no usable answer.
    """
    found = client.iter_runs(flow_version, source_path, size=_PAGE)
    return next((run for run in found if not (run.failed and run.corrects)), None)


def standing_run(client: LumeClient, run: LumeRun) -> LumeRun:
    """The run that stands for the batch of a run; where Lume lists none of the batch, the run itself.

    Args:
        client: The Lume.
        run: A run of the batch.

    Raises:
        ApiError: There was no usable answer.
    """
    return current_run(client, run.flow_version, run.source_path) or run


def reading_run(client: LumeClient, run: LumeRun) -> LumeRun:
    """The run that has read the source: of a correction, the one that it goes back to; else the run itself.

    Runs that go back to the same one have the same records at the same row numbers.

    Args:
        client: The Lume.
        run: The run.

    Raises:
        NotFoundError: Lume does not know a run that is corrected.
        ApiError: There was no usable answer.
    """
    passed = {run.id}
    while (corrects := run.corrects) is not None and corrects.run_id not in passed:
        run = client.run_status(corrects.run_id)
        passed.add(run.id)
    return run
