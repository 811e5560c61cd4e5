"""One request for a run makes one run, whatever is lost on the way, and whether or not Lume heeds keys."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from lume_dagster.client import ApiError, InvalidRequestError, LumeUnavailableError
from lume_dagster.testing import Fault, RunScript, ScriptedLume, Stage

HTML = {"content-type": "text/html"}
LOST = {
    "reset before it is done": Fault.reset(),
    "503 before it is done": Fault.status(503),
    "429": Fault.status(429, headers={"retry-after": "3"}),
    "reset": Fault.lost_answer(),
    "half a body": Fault.half_body(),
    "502": Fault(code=502),
    "500": Fault(code=500, body=b"{}"),
    "a page": Fault(code=200, body=b"<html>", headers=HTML),
    "no JSON": Fault(code=201, body=b"{"),
}


@pytest.fixture(params=[True, False], ids=["heeds keys", "ignores keys"])
def hosted(request: pytest.FixtureRequest, clock: Any) -> Any:
    with ScriptedLume(
        RunScript(["SUCCEEDED"]),
        idempotency_keys=request.param,
        monotonic=clock.monotonic,
        sleep=clock.pass_time,
    ) as lume:
        yield lume


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
@pytest.mark.parametrize("force", [False, True])
def test_a_lost_answer_makes_no_second_run(
    connect: Any, hosted: ScriptedLume, lost: Fault, force: bool
) -> None:
    earlier = [hosted.add_run("f:v1", "s")] if force else []
    hosted.inject(lost, method="POST", times=2)
    run = connect(hosted.url).run("f:v1", "s", force_rerun=force)
    assert hosted.run_ids == [*earlier, run.id]


@pytest.mark.parametrize("lost", [LOST["reset"], LOST["503 before it is done"]])
def test_the_same_key_is_the_same_run_in_another_process(
    connect: Any, hosted: ScriptedLume, lost: Fault
) -> None:
    hosted.inject(lost, method="POST")
    runs = [
        connect(hosted.url).run("f:v1", "s", force_rerun=True, idempotency_key="backfill-7") for _ in range(2)
    ]
    assert hosted.run_ids == [runs[0].id] == [runs[1].id]
    assert connect(hosted.url).run("f:v1", "s", force_rerun=True, idempotency_key="8").id != runs[0].id


def test_a_create_always_has_a_key_and_keeps_it(client: Any, lume: ScriptedLume) -> None:
    lume.inject(Fault.reset(), method="POST", times=3)
    run = client.run("flights:v1", "day-1", {"who": "me"}, force_rerun=True)
    creates = lume.asked("POST")
    keys = {request.headers["idempotency-key"] for request in creates}
    assert len(creates) == 4
    assert keys == {run.idempotency_key}
    assert str(uuid.UUID(run.idempotency_key)) == run.idempotency_key
    assert creates[0].body == {
        "flow_version": "flights:v1",
        "source_path": "day-1",
        "force_rerun": True,
        "run_metadata": {"who": "me", "lume_dagster/idempotency_key": run.idempotency_key},
    }
    assert run.run_metadata == {"who": "me"}


@pytest.mark.parametrize(
    "path", ["s3://key:s3cret@bucket/x.csv", "https://host/x.csv?X-Amz-Signature=s3cret"]
)
def test_a_source_path_with_credentials_is_not_sent(client: Any, lume: ScriptedLume, path: str) -> None:
    with pytest.raises(ValueError, match="credentials have no place in a source_path") as refused:
        client.run("f:v1", path)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(ValueError, match="credentials have no place in a source_path") as refused:
        client.create_flow("f", {"type": "object"}, source_path=path)
    assert "s3cret" not in str(refused.value)
    assert lume.asked() == []


def test_a_lume_that_has_shown_that_it_heeds_keys_is_not_searched(client: Any, lume: ScriptedLume) -> None:
    for number in range(3):
        client.run("f:v1", f"{number}.csv", idempotency_key=str(number))
    lume.inject(Fault.lost_answer(), method="POST")
    client.run("f:v1", "3.csv", idempotency_key="3")
    assert [request.query["source_path"] for request in lume.asked("GET")] == ["0.csv"]
    assert len(lume.run_ids) == 4


def test_a_batch_under_way_is_answered_with_its_run_whoever_asked_for_it(
    connect: Any, hosted: ScriptedLume
) -> None:
    active = hosted.add_run("f:v1", "s", RunScript([Stage("RUNNING", seconds=60), "SUCCEEDED"]))
    assert connect(hosted.url).run("f:v1", "s", force_rerun=True, idempotency_key="mine").id == active
    assert hosted.run_ids == [active]


def test_a_lume_that_cannot_be_searched_is_asked_for_a_run_all_the_same(
    client: Any, lume: ScriptedLume
) -> None:
    lume.inject(Fault.status(405, b"{}"), method="GET")
    assert client.run("f:v1", "s", idempotency_key="mine").id == lume.run_ids[0]


def test_but_not_a_second_time_when_the_first_may_have_been_heard(client: Any, lume: ScriptedLume) -> None:
    lume.inject(Fault.lost_answer(), method="POST")
    lume.inject(Fault.status(405, b"{}"), method="GET")
    with pytest.raises(InvalidRequestError, match="405"):
        client.run("f:v1", "s")
    assert len(lume.asked("POST")) == 1


def test_an_address_that_is_no_lume_is_told_at_once(client: Any, lume: ScriptedLume, clock: Any) -> None:
    lume.inject(Fault.html(), times=1_000)
    with pytest.raises(ApiError, match="Is base_url the address of a Lume") as error:
        client.run("f:v1", "s")
    assert not isinstance(error.value, LumeUnavailableError)
    assert clock.seconds < 1


def test_a_key_that_is_not_accepted_is_told_at_once(connect: Any, clock: Any) -> None:
    with ScriptedLume(api_key="right") as lume, pytest.raises(ApiError, match="LUME_API_KEY"):
        connect(lume.url, "wrong").run("f:v1", "s", idempotency_key="mine")
    assert clock.seconds == 0
