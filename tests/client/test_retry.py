from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.client import ApiError, LumeUnavailableError
from lume_dagster.client.answers import Redactor
from lume_dagster.client.effects import HttpReply, HttpRequest, Sleep, TransportFailure
from lume_dagster.client.retry import Outage, full_jitter, is_passing, parse_retry_after, send

NOW = datetime(2013, 1, 1, 12, tzinfo=timezone.utc)
ASKED = HttpRequest("GET", "http://lume/v1/runs/run_1", 60.0)
LOST = TransportFailure("ConnectError: refused", passing=True)
BUSY = HttpReply(503, {}, b"")
GOOD = HttpReply(200, {}, b"{}")


def drive(clock: Any, answers: Iterable[Any], took: float = 0.0, **options: Any) -> tuple[HttpReply, int]:
    """Perform `send` against these answers; return what it returns and how many requests it made."""
    settings = options.pop("settings", None) or clock.settings()
    operation = send(ASKED, Outage(settings, Redactor("s3cret"), **options))
    coming = iter(answers)
    sent = 0
    answer: Any = None
    while True:
        try:
            effect = operation.send(answer)
        except StopIteration as end:
            return end.value, sent
        if isinstance(effect, Sleep):
            clock.sleep(effect.seconds)
            answer = None
        else:
            assert effect is ASKED
            sent += 1
            clock.pass_time(took)
            answer = next(coming)


def forever(answer: Any) -> Iterable[Any]:
    while True:
        yield answer


@given(
    attempt=st.integers(0, 10_000),
    initial=st.floats(0.001, 100),
    maximum=st.floats(0.001, 1_000),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_jitter_stays_below_a_bound_that_doubles(
    attempt: int, initial: float, maximum: float, uniform: float
) -> None:
    pause = full_jitter(attempt, initial, maximum, uniform)
    assert 0 <= pause <= maximum
    if attempt < 50:
        assert pause <= initial * 2**attempt
        assert full_jitter(attempt, initial, maximum, 0.5) <= full_jitter(attempt + 1, initial, maximum, 0.5)


@given(seconds=st.integers(0, 10**9))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ", NOW) == seconds


@given(seconds=st.integers(-(10**8), 10**8))
def test_retry_after_as_a_date(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, NOW) == max(0, seconds)


@given(header=st.none() | st.text() | st.from_regex(r"\A\w{3}, \d{1,3} \w{3} \d{1,6} \d\d:\d\d:\d\d \w*\Z"))
def test_retry_after_of_any_shape_is_borne(header: str | None) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1e9", "inf", "nan"])
def test_retry_after_without_sense(header: str | None) -> None:
    assert parse_retry_after(header, NOW) is None


@pytest.mark.parametrize("code", [200, 201, 301, 400, 401, 403, 404, 409, 422])
def test_what_will_not_pass_is_not_tried_again(clock: Any, code: int) -> None:
    answer, sent = drive(clock, [HttpReply(code, {}, b"")])
    assert (answer.status_code, sent, clock.sleeps) == (code, 1, [])


@pytest.mark.parametrize("failure", [LOST, BUSY, HttpReply(429, {}, b""), HttpReply(500, {}, b"")])
def test_what_may_pass_is_tried_again(clock: Any, failure: Any) -> None:
    assert is_passing(failure)
    answer, sent = drive(clock, [failure, failure, failure, GOOD])
    assert (answer, sent) == (GOOD, 4)
    assert clock.sleeps == [0.25, 0.5, 1.0]


def test_a_lume_that_says_that_it_needs_mending_is_not_asked_again(clock: Any) -> None:
    body = b'{"type": "urn:lume:problem:unusable-home", "detail": "readonly"}'
    assert drive(clock, [HttpReply(503, {"content-type": "application/problem+json"}, body)])[1] == 1


def test_what_cannot_be_sent_is_not_tried_again(clock: Any) -> None:
    with pytest.raises(ApiError, match=r"could not be sent: .*bad header") as error:
        drive(clock, [TransportFailure("LocalProtocolError: bad header", passing=False)])
    assert not isinstance(error.value, LumeUnavailableError)


@settings(deadline=None)
@given(
    budget=st.floats(0, 2_000),
    uniform=st.floats(0.01, 1, exclude_max=True),
    took=st.floats(0, 60),
    failures=st.lists(st.sampled_from([LOST, BUSY, HttpReply(429, {"retry-after": "20"}, b"")]), min_size=1),
)
def test_the_budget_holds(
    make_clock: Any, budget: float, uniform: float, took: float, failures: list[Any]
) -> None:
    clock = make_clock(uniform)

    def repeat() -> Iterable[Any]:
        while True:
            yield from failures

    with pytest.raises(LumeUnavailableError):
        drive(clock, repeat(), took=took, settings=clock.settings(outage_budget_seconds=budget))
    assert sum(clock.sleeps) <= budget + 1e-6
    assert clock.seconds <= budget + 2 * took + 1e-6


def test_no_budget_means_one_try(clock: Any) -> None:
    with pytest.raises(LumeUnavailableError, match=r"1 try in 0 s; the last: ConnectError: refused\)"):
        drive(clock, [LOST], budget=0.0)
    assert clock.sleeps == []


def test_retry_after_is_honoured(clock: Any) -> None:
    date = format_datetime(clock.now() + timedelta(seconds=50), usegmt=True)
    answers = [
        HttpReply(429, {"retry-after": "40"}, b""),
        HttpReply(503, {"retry-after": date}, b""),
        HttpReply(503, {"retry-after": "0"}, b""),
        GOOD,
    ]
    drive(clock, answers)
    assert clock.sleeps == [40.0, 10.0, 1.0]


def test_a_pause_longer_than_the_budget_is_not_begun(clock: Any) -> None:
    with pytest.raises(LumeUnavailableError) as error:
        drive(clock, [HttpReply(429, {"retry-after": "601"}, b'{"title": "Slow down"}')])
    assert clock.sleeps == []
    assert error.value.status_code == 429
    assert error.value.problem
    assert error.value.problem.title == "Slow down"


def test_the_last_try_comes_when_the_budget_ends(clock: Any) -> None:
    clock.uniform = 0.999
    with pytest.raises(LumeUnavailableError, match="in 600 s"):
        drive(clock, forever(LOST))
    assert clock.seconds == pytest.approx(600)


def test_the_error_tells_request_reason_and_advice_and_no_key(clock: Any) -> None:
    echo = HttpReply(500, {}, b"you sent s3cret")
    with pytest.raises(LumeUnavailableError, match="run_1 goes on") as error:
        drive(clock, [echo], budget=0.0, advice="Run run_1 goes on.")
    assert f"GET {ASKED.url}" in str(error.value)
    assert "500 Internal Server Error: 'you sent ***'" in str(error.value)
    assert (error.value.status_code, error.value.method, error.value.url) == (500, "GET", ASKED.url)


def test_retries_are_logged_without_the_key(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    drive(clock, [TransportFailure("ReadError: s3cret", passing=True), GOOD])
    assert "Trying again in 0.2 s" in caplog.text
    assert "s3cret" not in caplog.text
