from __future__ import annotations

import httpx
import pytest

from lume_dagster.client import LumeClient, LumeRun
from lume_dagster.client.current_run import reading_run, standing_run


def run_of(run_id: str, corrects: str | None = None, status: str = "SUCCEEDED") -> LumeRun:
    metadata = {"corrects": {"run_id": corrects, "records": 1}} if corrects else {}
    return LumeRun(id=run_id, flow_version="p:v1", source_path="p.csv", status=status, metadata=metadata)


def client_of(*runs: LumeRun) -> LumeClient:
    """A client of a Lume that has these runs, newest first."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/runs":
            items = [run.model_dump() for run in runs]
            page = {"items": items, "total": len(items), "page": 1, "size": 50, "pages": 1}
            return httpx.Response(200, json=page)
        run_id = request.url.path.rpartition("/")[2]
        return httpx.Response(200, json=next(run.model_dump() for run in runs if run.id == run_id))

    return LumeClient("http://lume.test", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("runs", "standing"),
    [
        ([run_of("c", "b", "FAILED"), run_of("b", "a"), run_of("a")], "b"),
        ([run_of("b", status="FAILED"), run_of("a")], "b"),
        ([run_of("b", "a", "CRASHED")], "a"),
        ([], "a"),
    ],
)
def test_the_latest_run_stands_for_a_batch_or_the_one_that_is_known(
    runs: list[LumeRun], standing: str
) -> None:
    assert standing_run(client_of(*runs), run_of("a")).id == standing


def test_the_source_was_read_by_the_run_that_corrections_go_back_to() -> None:
    client = client_of(run_of("c", "b"), run_of("b", "a"), run_of("a"))
    assert [reading_run(client, run_of(*told)).id for told in (("c", "b"), ("b", "a"), ("a",))] == ["a"] * 3


def test_runs_that_correct_each_other_come_to_an_end() -> None:
    client = client_of(run_of("b", "a"), run_of("a", "b"))
    assert reading_run(client, run_of("b", "a")).id == "a"
