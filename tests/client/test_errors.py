from __future__ import annotations

import copy
import pickle

import pytest

from lume_dagster.client import (
    AlreadySucceededError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    LumeError,
    LumeRun,
    LumeUnavailableError,
    NotFoundError,
    Problem,
    RunError,
    RunFailedError,
    RunTimeoutError,
)

RUN = LumeRun(id="run_1", flow_version="f:v1", source_path="day-1", status="TRANSFORMING")


def test_the_family() -> None:
    assert issubclass(ApiError, LumeError)
    assert issubclass(RunError, LumeError)
    for kind in (AuthenticationError, InvalidRequestError, LumeUnavailableError):
        assert issubclass(kind, ApiError)
    for kind in (NotFoundError, AlreadySucceededError):
        assert issubclass(kind, InvalidRequestError)
    for kind in (RunFailedError, RunTimeoutError):
        assert issubclass(kind, RunError)


def test_a_timeout_says_that_the_run_goes_on_and_how_to_find_it() -> None:
    text = str(RunTimeoutError(RUN, 90))
    assert all(part in text for part in ("run_1", "TRANSFORMING", "90 s", "goes on", "re-attach"))


def test_a_failure_without_a_reason_says_so() -> None:
    assert "no reason" in str(RunFailedError(RUN))


@pytest.mark.parametrize("members", [{}, {"run_id": 7}])
def test_an_already_succeeded_error_may_lack_the_run(members: dict[str, object]) -> None:
    assert AlreadySucceededError("again", problem=Problem(status=409, members=members)).run_id is None
    assert AlreadySucceededError("again").run_id is None


@pytest.mark.parametrize(
    "error",
    [
        AlreadySucceededError(
            "again",
            status_code=409,
            problem=Problem(status=409, members={"run_id": "run_1"}),
            method="POST",
            url="http://lume",
        ),
        RunFailedError(RUN),
        RunTimeoutError(RUN, 1.5),
        RunError(RUN),
    ],
)
def test_errors_survive_another_process(error: LumeError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
