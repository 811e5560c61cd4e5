"""What can go wrong between a caller and Lume.

::

    LumeError
    ├── ApiError                     Lume, or something on the way to it, refused or did not answer
    │   ├── AuthenticationError      401, 403
    │   ├── InvalidRequestError      400, 409, 422 and other 4xx
    │   │   ├── NotFoundError        404
    │   │   └── AlreadySucceededError  409: this batch already has its run
    │   └── LumeUnavailableError     no usable answer within the outage budget
    └── RunError                     the request was fine, the run is not
        ├── RunFailedError           it ended FAILED or CRASHED
        └── RunTimeoutError          it goes on, and the caller's patience is at an end
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from lume_dagster.client.models import LumeRun


class Problem(BaseModel):
    """The body of an error answer, after RFC 9457.

    Attributes:
        type: URN of the kind of problem, or ``about:blank``.
        title: What kind of problem it is, in a few words.
        status: The HTTP status code.
        detail: What happened this time.
        members: Everything else the body held, such as ``run_id``.
    """

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str = ""
    status: int
    detail: str = ""
    members: dict[str, Any] = Field(default_factory=dict)


class LumeError(Exception):
    """Base of all errors of this client."""


class ApiError(LumeError):
    """A request that got no usable answer.

    Attributes:
        status_code: HTTP status of the answer; None if there was no answer.
        problem: The error body; None if the answer was no error, or there was none.
        method: HTTP method of the request.
        url: URL of the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        problem: Problem | None = None,
        method: str = "",
        url: str = "",
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.problem = problem
        self.method = method
        self.url = url


class AuthenticationError(ApiError):
    """Lume does not accept the API key (401), or the key may not do this (403)."""


class InvalidRequestError(ApiError):
    """Lume understood the request and refuses it; the same request will be refused again."""


class NotFoundError(InvalidRequestError):
    """Lume knows no such run, flow or flow version."""


class AlreadySucceededError(InvalidRequestError):
    """The batch was processed before, and the request did not force another run."""

    @property
    def run_id(self) -> str | None:
        """Id of the run that processed the batch, if Lume tells it."""
        run_id = self.problem.members.get("run_id") if self.problem else None
        return run_id if isinstance(run_id, str) else None


class LumeUnavailableError(ApiError):
    """Connection trouble, 429 or 5xx for longer than the outage budget allows."""


class RunError(LumeError):
    """A run that did not come to a good end. The run as last seen is in :attr:`run`."""

    def __init__(self, run: LumeRun, *args: object) -> None:
        super().__init__(run, *args)
        self.run = run

    def __str__(self) -> str:
        return f"{self.run.label} is {self.run.status}."


class RunFailedError(RunError):
    """A run ended FAILED or CRASHED."""

    def __str__(self) -> str:
        reason = self.run.error_message or "Lume gave no reason."
        return f"{self.run.label} ended {self.run.status}: {reason}"


class RunTimeoutError(RunError):
    """A run was still active when the time to wait for it was over. It goes on in Lume.

    Args:
        run: The run as last seen.
        timeout: The seconds it was waited for.
    """

    def __init__(self, run: LumeRun, timeout: float) -> None:
        super().__init__(run, timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return (
            f"{self.run.label} is still {self.run.status} after the configured timeout of "
            f"{self.timeout:g} s. It goes on in Lume: wait for {self.run.id} again to re-attach to it, "
            "raise the timeout, or cancel it."
        )
