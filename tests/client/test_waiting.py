from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.client import (
    ApiError,
    AuthenticationError,
    LumeRun,
    LumeUnavailableError,
    NotFoundError,
    RunTimeoutError,
)
from lume_dagster.client.effects import Operation, Sleep
from lume_dagster.client.waiting import wait_until_final
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage

SLOW = RunScript([Stage("PENDING", seconds=40), Stage("TRANSFORMING", seconds=100), "SUCCEEDED"])


def polls(lume: ScriptedLume) -> list[tuple[float, str | None, str | None]]:
    return [
        (round(r.at, 3), r.query.get("wait"), r.query.get("until")) for r in lume.asked("GET", "/v1/runs/")
    ]


def test_a_long_poll_brings_the_end_at_once(client: Any, lume: ScriptedLume, clock: Any) -> None:
    run = client.wait(lume.add_run(script=SLOW))
    assert run.succeeded
    assert clock.seconds == pytest.approx(140, abs=0.1)
    assert clock.sleeps == []
    assert polls(lume) == [(at, "30", "final") for at in (0, 30, 60, 90, 120)]


def test_changes_of_status_are_told_as_they_happen(client: Any, lume: ScriptedLume, clock: Any) -> None:
    told: list[tuple[str, float]] = []
    client.wait(lume.add_run(script=SLOW), on_status=lambda run: told.append((run.status, clock.seconds)))
    assert [status for status, _ in told] == ["PENDING", "TRANSFORMING", "SUCCEEDED"]
    assert [at for _, at in told] == pytest.approx([0, 40, 140], abs=0.1)
    assert polls(lume)[0] == (0, None, None)
    assert {until for _, _, until in polls(lume)[1:]} == {"change"}


def test_without_long_poll_the_pauses_grow(connect: Any, clock: Any) -> None:
    script = RunScript([Stage("RUNNING", seconds=200), "SUCCEEDED"])
    with ScriptedLume(script, long_poll=False, monotonic=clock.monotonic) as lume:
        assert connect(lume.url).wait(lume.add_run()).succeeded
        assert clock.sleeps == [2.5, 5, 10, 20, 30, 30, 30, 30, 30, 30]
        assert [wait for _, wait, _ in polls(lume)] == ["30"] + [None] * 10


def test_an_interval_is_kept(client: Any, lume: ScriptedLume, clock: Any) -> None:
    assert client.wait(lume.add_run(script=SLOW), poll_interval=50).succeeded
    assert polls(lume) == [(at, None, None) for at in (0, 50, 100, 150)]


@pytest.mark.parametrize(("hold", "asked"), [(0, None), (5, "5")])
def test_the_hold_is_a_setting(connect: Any, lume: ScriptedLume, hold: int, asked: str | None) -> None:
    connect(lume.url, long_poll_seconds=hold).wait(lume.add_run(script=SLOW))
    assert polls(lume)[0][1] == asked


@pytest.mark.parametrize("poll_interval", [None, 7])
def test_a_timeout_says_that_the_run_goes_on(
    client: Any, lume: ScriptedLume, clock: Any, poll_interval: float | None
) -> None:
    run_id = lume.add_run(script=SLOW)
    with pytest.raises(RunTimeoutError, match="goes on") as error:
        client.wait(run_id, timeout=100.5, poll_interval=poll_interval)
    assert clock.seconds == pytest.approx(100.5, abs=0.1)
    assert (error.value.run.id, error.value.run.status) == (run_id, "TRANSFORMING")
    assert client.wait(run_id).succeeded


def test_no_time_means_one_look(client: Any, lume: ScriptedLume) -> None:
    with pytest.raises(RunTimeoutError):
        client.wait(lume.add_run(script=SLOW), timeout=0)
    assert len(polls(lume)) == 1
    assert client.wait(lume.add_run(script=RunScript(["FAILED"])), timeout=0).failed


def test_an_unknown_status_is_waited_on(client: Any, lume: ScriptedLume) -> None:
    script = RunScript(["CREATED", "DREAMING", "incomplete"])
    assert client.wait(lume.add_run(script=script)).partial_failed


def test_an_outage_shorter_than_the_budget_is_borne_again_and_again(
    client: Any, lume: ScriptedLume, clock: Any
) -> None:
    run_id = lume.add_run(script=RunScript([Stage("RUNNING", seconds=3000), "SUCCEEDED"]))
    for _ in range(4):
        lume.inject(Fault(code=503, headers={"retry-after": "500"}, processed=False))
        lume.inject(Fault())
    assert client.wait(run_id).succeeded
    assert clock.sleeps == [500.0] * 4


def test_an_outage_beyond_the_budget_says_that_the_run_goes_on(
    client: Any, lume: ScriptedLume, clock: Any
) -> None:
    run_id = lume.add_run(script=SLOW)
    lume.inject(Fault.status(502), times=1_000)
    with pytest.raises(LumeUnavailableError, match=f"Run {run_id} goes on in Lume.*re-attach"):
        client.wait(run_id)
    assert clock.seconds == pytest.approx(600, abs=1)


def test_a_timeout_ends_an_outage_too(client: Any, lume: ScriptedLume, clock: Any) -> None:
    run_id = lume.add_run(script=SLOW)
    lume.inject(Fault.status(502), times=1_000)
    with pytest.raises(LumeUnavailableError, match="goes on"):
        client.wait(run_id, timeout=20)
    assert clock.seconds <= 20.1


OUTAGES = {
    "500": Fault.status(500),
    "503": Fault.status(503, b"{}"),
    "429": Fault.status(429),
    "429, to come again": Fault.status(429, headers={"retry-after": "20"}),
    "a page": Fault.html(),
    "a page that says 404": Fault.html(404),
    "a page that says 503": Fault.html(503),
    "a redirect to a page": Fault.status(302, headers={"location": "http://login.example.com"}),
    "half a body": Fault.half_body(),
    "a body that is no JSON": Fault.status(200, b"{"),
    "no body": Fault.status(200),
    "another content type": Fault.status(200, b"{}", {"content-type": "text/plain"}),
    "a reset": Fault.reset(),
    "slow": Fault.slow(5),
}


@pytest.mark.parametrize("fault", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_in_the_middle_of_a_wait_is_borne_while_the_budget_lasts(
    client: Any, lume: ScriptedLume, clock: Any, fault: Fault
) -> None:
    lume.next_run(SLOW)
    run = client.run("f:v1", "s")
    lume.inject(fault, times=12)
    assert client.wait(run).succeeded
    assert lume.asked("POST", "/cancel") == []
    assert clock.seconds <= 600


@pytest.mark.parametrize("fault", [f for n, f in OUTAGES.items() if n not in ("slow", "half a body")])
def test_after_it_the_error_says_that_the_run_goes_on(
    client: Any, lume: ScriptedLume, clock: Any, fault: Fault
) -> None:
    lume.next_run(RunScript([Stage("RUNNING", seconds=7200), "SUCCEEDED"]))
    run = client.run("f:v1", "s")
    lume.inject(fault, times=1_000)
    with pytest.raises(LumeUnavailableError, match=f"Run {run.id} goes on in Lume.*re-attach"):
        client.wait(run)
    assert 580 <= clock.seconds <= 601
    assert lume.asked("POST", "/cancel") == []


def test_what_only_lume_says_is_final_in_the_middle_of_a_wait(
    connect: Any, lume: ScriptedLume, clock: Any
) -> None:
    client = connect(lume.url)
    lume.next_run(SLOW)
    run = client.run("f:v1", "s")
    lume.inject(Fault.status(401, b"{}"))
    with pytest.raises(AuthenticationError, match=r"api_key.*LUME_API_KEY"):
        client.wait(run)
    lume.inject(Fault.status(404, b'{"title": "No such run"}'))
    with pytest.raises(NotFoundError):
        client.wait(run)
    assert clock.sleeps == []


def test_a_run_known_by_its_id_alone_is_not_waited_for_at_another_address(
    client: Any, lume: ScriptedLume, clock: Any
) -> None:
    lume.inject(Fault.html())
    with pytest.raises(ApiError, match="Is base_url the address of a Lume"):
        client.wait(lume.add_run(script=SLOW))
    assert clock.sleeps == []


def test_a_cancel_can_be_waited_for(client: Any, lume: ScriptedLume) -> None:
    run_id = lume.add_run(script=SLOW)
    lume.inject(Fault.status(503), times=3)
    assert client.cancel(run_id, timeout=30).failed


def test_a_cancel_that_is_not_confirmed_is_an_error(client: Any, lume: ScriptedLume) -> None:
    run_id = lume.add_run(script=SLOW)
    body = f'{{"id": "{run_id}", "flow_version": "f:v1", "source_path": "s", "status": "RUNNING"}}'
    lume.inject(Fault.status(200, body.encode()), method="POST")
    with pytest.raises(RunTimeoutError, match="30 s"):
        client.cancel(run_id, timeout=30)


def test_a_run_unknown_to_lume_is_not_waited_for(client: Any, lume: ScriptedLume, clock: Any) -> None:
    with pytest.raises(NotFoundError):
        client.wait("run_x")
    assert clock.sleeps == []


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"timeout": float("nan")}, {"poll_interval": 0}])
def test_a_wait_out_of_range_is_refused(client: Any, lume: ScriptedLume, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        client.wait(lume.add_run(), **wrong)


@settings(deadline=None)
@given(
    timeout=st.floats(0, 5_000),
    uniform=st.floats(0, 1, exclude_max=True),
    takes=st.floats(0, 10_000),
    offers=st.booleans(),
    cheats=st.booleans(),
    watches=st.booleans(),
)
def test_no_server_is_asked_more_than_once_a_second(
    make_clock: Any, timeout: float, uniform: float, takes: float, offers: bool, cheats: bool, watches: bool
) -> None:
    """Whatever it offers, and even if it does not hold requests as it says. The first news is free."""
    clock = make_clock(uniform)
    asked_at: list[float] = []

    def ask(*, hold: int, until: str, time_left: float) -> Operation[tuple[LumeRun, bool]]:
        assert hold <= time_left
        asked_at.append(clock.seconds)
        if offers and not cheats:
            clock.pass_time(min(hold, max(0.0, takes - clock.seconds)))
        status = "SUCCEEDED" if clock.seconds >= takes else "RUNNING"
        return LumeRun(id="r", flow_version="f:v1", source_path="s", status=status), offers
        yield Sleep(0)  # makes this a generator

    operation = wait_until_final(
        ask, clock.settings(), timeout=timeout, on_status=(lambda run: None) if watches else None
    )
    try:
        for effect in operation:
            assert isinstance(effect, Sleep)
            clock.sleep(effect.seconds)
    except RunTimeoutError:
        assert clock.seconds >= timeout
    assert clock.seconds <= timeout + 1e-6
    gaps = [later - sooner for sooner, later in pairwise(asked_at)]
    assert all(gap >= 1 - 1e-6 for gap in gaps[1:-1])
    assert all(pause <= max(60, clock.seconds / 10) for pause in clock.sleeps)


def test_a_long_run_without_long_poll_is_asked_for_in_proportion_to_its_length(make_clock: Any) -> None:
    """At most every minute at first; beyond ten minutes a tenth of the time so far."""
    clock = make_clock(1 - 2**-53)
    asked_at: list[float] = []

    def ask(*, hold: int, until: str, time_left: float) -> Operation[tuple[LumeRun, bool]]:
        asked_at.append(clock.seconds)
        return LumeRun(id="r", flow_version="f:v1", source_path="s", status="RUNNING"), False
        yield Sleep(0)  # makes this a generator

    with suppress(RunTimeoutError):
        for effect in wait_until_final(ask, clock.settings(), timeout=100_000):
            assert isinstance(effect, Sleep)
            clock.sleep(effect.seconds)
    assert clock.seconds == 100_000
    gaps = list(zip(asked_at, (later - sooner for sooner, later in pairwise(asked_at)), strict=False))[:-1]
    assert all(gap <= 60 for at, gap in gaps if at <= 600)
    assert all(gap == pytest.approx(at / 10) for at, gap in gaps if at > 600)
    by_length = [sum(at <= length for at in asked_at) for length in (1_000, 10_000, 100_000)]
    assert by_length[2] - by_length[1] == pytest.approx(by_length[1] - by_length[0], abs=1)
