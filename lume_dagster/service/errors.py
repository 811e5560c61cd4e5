"""The problems that a Lume answers with (RFC 9457), as exceptions."""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """A request that Lume does not carry out.

    Args:
        detail: What is wrong with this request, and what to do about it.
        **members: Further members of the problem document, such as `run_id`.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    def problem(self) -> dict[str, Any]:
        """The problem document of this error."""
        return {
            "type": f"urn:lume:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


class NotFoundError(ServiceError):
    """The flow, version, run or page asked for does not exist."""

    status, kind, title = 404, "not-found", "Not found"


class InvalidRequestError(ServiceError):
    """The request is not of the form that the interface takes."""

    status, kind, title = 422, "invalid-request", "Invalid request"


class TooLargeError(ServiceError):
    """What was handed over is larger than this Lume takes."""

    status, kind, title = 413, "too-large", "Too large"


class IdempotencyKeyReusedError(ServiceError):
    """An Idempotency-Key came a second time, with another request."""

    status, kind, title = 422, "idempotency-key-reused", "Idempotency-Key reused"


class UnauthorizedError(ServiceError):
    """The key in `lume-api-key` is missing or wrong."""

    status, kind, title = 401, "unauthorized", "Unauthorized"


class AlreadySucceededError(ServiceError):
    """The batch already succeeded for this flow version, and no rerun was forced."""

    status, kind, title = 409, "already-succeeded", "Batch already processed"


class FlowChangedError(ServiceError):
    """The file of a flow version is not the one that was first used."""

    status, kind, title = 409, "flow-changed", "Flow version changed"


class FlowExistsError(ServiceError):
    """A flow, or a version of it, is to be made that is there already."""

    status, kind, title = 409, "flow-exists", "Flow exists"


class NoMapperError(ServiceError):
    """A sample and a target schema from which no mapper can be made that maps any record."""

    status, kind, title = 422, "no-mapper", "No mapper"


class NotReadyError(ServiceError):
    """Results were asked for of a run that has none, or none yet."""

    status, kind, title = 409, "not-ready", "No results"


class SupersededError(ServiceError):
    """The run to correct is not the one that stands for its batch, or another one is under way."""

    status, kind, title = 409, "superseded", "Not the run of the batch"


class UnavailableError(ServiceError):
    """The store or the home cannot be used at the moment."""

    status, kind, title = 503, "unavailable", "Unavailable"


class UnusableHomeError(UnavailableError):
    """The store or the home cannot be used, and will not be until somebody mends it: asking again is no use."""

    kind, title = "unusable-home", "Home cannot be used"
