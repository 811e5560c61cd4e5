from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.client import ApiError, ClientSettings, RunStatus
from lume_dagster.client.answers import Redactor
from lume_dagster.client.effects import Emit, HttpReply, HttpRequest
from lume_dagster.client.operations import Operations
from lume_dagster.testing import Fault, RecordedRequest, RunScript, ScriptedLume

OPERATIONS = Operations("http://lume/base", ClientSettings(), Redactor())


def records(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


def first_request(operation: Any) -> HttpRequest:
    request = next(operation)
    assert isinstance(request, HttpRequest)
    return request


@settings(deadline=None)
@given(count=st.integers(0, 350), size=st.integers(1, 150))
def test_paging_yields_each_item_once_in_order(count: int, size: int) -> None:
    lume = ScriptedLume(RunScript(["SUCCEEDED"], mapped=records(count)))
    run_id = lume.add_run()
    stream = OPERATIONS.iter_results(run_id, "mapped", size)
    items: list[Any] = []
    answer: Any = None
    while True:
        try:
            effect = stream.send(answer)
        except StopIteration:
            break
        if isinstance(effect, Emit):
            items += effect.items
            answer = None
        else:
            assert isinstance(effect, HttpRequest)
            answer = answered(lume, effect)
    assert items == records(count)


def answered(lume: ScriptedLume, request: HttpRequest) -> HttpReply:
    """The answer of a scripted Lume that was not started."""
    url = httpx.URL(request.url.replace("/base", ""))
    recorded = RecordedRequest(request.method, url.path, dict(url.params), {}, None, 0.0)
    reply, _ = lume.answer(recorded)
    return HttpReply(reply.code, reply.headers, reply.body)


def test_rejects_are_records(client: Any, lume: ScriptedLume) -> None:
    reject = {"row_number": 3, "source_record": {"a": "x"}, "errors": [{"field": "a", "type": "type"}]}
    run_id = lume.add_run(script=RunScript(["PARTIAL_FAILED"], rejects=[reject] * 101))
    page = client.results(run_id, "rejects", page=2)
    assert (page.total, page.page, page.pages, len(page.items)) == (101, 2, 2, 1)
    assert page.items[0].errors[0].field == "a"
    assert len(list(client.iter_results(run_id, "rejects"))) == 101


def test_pages_are_fetched_only_as_items_are_asked_for(client: Any, lume: ScriptedLume) -> None:
    run_id = lume.add_run(script=RunScript(["SUCCEEDED"], mapped=records(250)))
    items = client.iter_results(run_id, size=100)
    for _ in range(100):
        next(items)
    assert len(lume.asked("GET", "/results")) == 1
    next(items)
    assert len(lume.asked("GET", "/results")) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"items": [{"n": 1}], "total": 3, "page": 1, "size": 100, "pages": 1}', "gave 1 of the mapped"),
        (b'{"items": [], "total": 1, "page": 1, "size": 100, "pages": 3}', "gave 0 of the mapped"),
        (b'{"items": [{"n": 1}], "total": 1, "page": 2, "size": 100, "pages": 9}', "page 2, not page 1"),
        (b'{"items": [1], "total": 1, "page": 1, "size": 100, "pages": 1}', "items.0"),
        (b'{"items": []}', "total"),
    ],
)
def test_pages_that_do_not_add_up_are_refused(
    client: Any, lume: ScriptedLume, body: bytes, says: str
) -> None:
    lume.inject(Fault.status(200, body), path="/results", times=9)
    with pytest.raises(ApiError, match=says):
        list(client.iter_results(lume.add_run()))


def test_runs_are_listed_newest_first_and_filtered(client: Any, lume: ScriptedLume) -> None:
    ids = [lume.add_run(source_path=f"day {n} & more") for n in range(5)]
    done = lume.add_run("other:v2", script=RunScript(["SUCCEEDED"]))
    assert [run.id for run in client.iter_runs(size=2)] == [done, *reversed(ids)]
    assert [run.id for run in client.iter_runs(source_path="day 3 & more")] == [ids[3]]
    assert [run.id for run in client.runs(status=RunStatus.SUCCEEDED).items] == [done]
    assert lume.requests[-1].query["status"] == "SUCCEEDED"
    assert client.runs(flow_version="flights:v1", size=2).pages == 3
    assert list(client.iter_runs(flow_version="none:v1")) == []


def test_a_run_created_meanwhile_repeats_none(client: Any, lume: ScriptedLume) -> None:
    ids = [lume.add_run(source_path=str(n)) for n in range(6)]
    seen = []
    for run in client.iter_runs(size=2):
        if len(seen) == 1:
            lume.add_run(source_path="late")
        seen.append(run.id)
    assert seen == list(reversed(ids))


def test_an_answer_about_another_run_is_refused(client: Any, lume: ScriptedLume) -> None:
    body = b'{"id": "run_b", "flow_version": "f:v1", "source_path": "s", "status": "SUCCEEDED"}'
    lume.inject(Fault.status(200, body), times=3)
    for call in (client.run_status, client.wait, client.cancel):
        with pytest.raises(ApiError, match="another run"):
            call("run_a")


def test_a_long_poll_may_take_longer_than_its_hold() -> None:
    request = first_request(OPERATIONS.wait("run_1", 3600, None, None))
    assert request.url == "http://lume/base/v1/runs/run_1?wait=30&until=final"
    assert request.timeout == 90
    assert first_request(OPERATIONS.wait("run_1", 20.9, None, None)).timeout == pytest.approx(25)


def test_ids_and_names_are_quoted(client: Any, lume: ScriptedLume) -> None:
    run_id = lume.add_run(run_id="a/../b?c#d e%41é")
    assert client.run_status(run_id).id == run_id
    assert client.cancel(run_id).failed


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: c.run_status(""), "no id or name"),
        (lambda c: c.flow_version("flights"), "name:vN"),
        (lambda c: c.flow_version(":v1"), "name:vN"),
        (lambda c: c.results("r", "both"), "'mapped' or 'rejects'"),
        (lambda c: c.run("f:v1", "s", {"x": object()}), "run_metadata"),
        (lambda c: c.run("f:v1", "s", {"x": float("nan")}), "run_metadata"),
        (lambda c: c.run("f:v1", "s", idempotency_key="a\nb"), "idempotency_key"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    client: Any, lume: ScriptedLume, call: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        call(client)
    assert lume.requests == []
