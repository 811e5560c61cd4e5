"""The life of a run: its statuses and the steps between them."""

from __future__ import annotations

from enum import Enum


class RunStatus(str, Enum):
    """Status of a run, in the order in which a run goes through them."""

    CREATED = "CREATED"
    PENDING = "PENDING"
    SYNCING_SOURCE = "SYNCING_SOURCE"
    TRANSFORMING = "TRANSFORMING"
    SYNCING_TARGET = "SYNCING_TARGET"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL_FAILED = "PARTIAL_FAILED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"

    @property
    def is_final(self) -> bool:
        """Whether a run of this status has ended."""
        return self in FINAL

    @property
    def has_succeeded(self) -> bool:
        """Whether a run of this status has mapped its batch, wholly or in part."""
        return self in (RunStatus.SUCCEEDED, RunStatus.PARTIAL_FAILED)


ACTIVE = (
    RunStatus.CREATED,
    RunStatus.PENDING,
    RunStatus.SYNCING_SOURCE,
    RunStatus.TRANSFORMING,
    RunStatus.SYNCING_TARGET,
)
FINAL = (RunStatus.SUCCEEDED, RunStatus.PARTIAL_FAILED, RunStatus.FAILED, RunStatus.CRASHED)


def predecessors(status: RunStatus) -> tuple[RunStatus, ...]:
    """The statuses from which a run may go to `status`: active ones before it; a run never goes back."""
    return ACTIVE if status.is_final else ACTIVE[: ACTIVE.index(status)]
