"""Which of the runs of a batch stands for it."""

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
