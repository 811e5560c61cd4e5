from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from lume_dagster.client import (
    AlreadySucceededError,
    AsyncLumeClient,
    AuthenticationError,
    LumeClient,
    NotFoundError,
)
from lume_dagster.service.app import create_app, openapi_document
from lume_dagster.service.embedded import EmbeddedTransport
from lume_dagster.service.runs import LumeService
from tests.conftest import PEOPLE_FLOW

URL = "http://embedded.test"
AS_JSON = {"content-type": "application/json"}


@pytest.fixture
def transport(service: LumeService) -> Iterator[EmbeddedTransport]:
    opened = EmbeddedTransport(service)
    yield opened
    opened.shut_down()


@pytest.fixture
def http(transport: EmbeddedTransport) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=URL, transport=transport) as client:
        yield client


@pytest.fixture
def client(transport: EmbeddedTransport) -> Iterator[LumeClient]:
    with LumeClient(URL, transport=transport) as opened:
        yield opened


def order(path: Path | str, **options: Any) -> dict[str, Any]:
    return {"flow_version": "people:v1", "source_path": str(path), **options}


def complete(http: httpx.Client, path: Path | str, **options: Any) -> dict[str, Any]:
    run_id = http.post("/v1/runs", json=order(path, **options)).json()["id"]
    return http.get(f"/v1/runs/{run_id}", params={"wait": 30, "until": "final"}).json()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    return document


def test_a_create_is_answered_by_201_then_200_then_409(http: httpx.Client, people: Path) -> None:
    first = http.post("/v1/runs", json=order(people), headers={"idempotency-key": "a"})
    assert first.status_code == 201
    assert first.headers["location"] == f"/v1/runs/{first.json()['id']}"
    again = http.post("/v1/runs", json=order(people), headers={"idempotency-key": "a"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    http.get(first.headers["location"], params={"wait": 30, "until": "final"})
    refused = problem(http.post("/v1/runs", json=order(people)), 409)
    assert refused["type"] == "urn:lume:problem:already-succeeded"
    assert refused["run_id"] == first.json()["id"]


def test_the_long_poll_is_announced(http: httpx.Client, people: Path) -> None:
    run = complete(http, people)
    answer = http.get(f"/v1/runs/{run['id']}", params={"wait": 1000})
    assert answer.headers["preference-applied"] == "wait=60"
    assert "preference-applied" not in http.get(f"/v1/runs/{run['id']}").headers


def test_metadata_has_the_members_that_are_promised(http: httpx.Client, people: Path) -> None:
    metadata = complete(http, people)["metadata"]
    assert set(metadata) >= {
        "run",
        "mapper",
        "rows",
        "validation",
        "performance",
        "target_locations",
        "error_message",
        "run_metadata",
    }
    assert metadata["run"]["created_at"].endswith("Z")
    assert metadata["mapper"]["version"] == "v1"
    assert len(metadata["mapper"]["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "Invalid JSON"),
        ("[]", "body"),
        (json.dumps({"flow_version": "people:v1"}), "source_path"),
        (json.dumps(order("x", froce_rerun=True)), "froce_rerun"),
        (json.dumps(order("x", force_rerun="maybe")), "force_rerun"),
        (json.dumps(order("")), "source_path"),
    ],
)
def test_a_faulty_body_is_told(http: httpx.Client, body: str, told: str) -> None:
    assert told in problem(http.post("/v1/runs", content=body, headers=AS_JSON), 422)["detail"]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/flows/people/runs", "/v1/flows"])
def test_a_source_path_with_credentials_is_refused_and_not_kept(http: httpx.Client, path: str) -> None:
    for source_path in ("s3://key:s3cret@bucket/x.csv", "s3://bucket/x.csv?secret_key=s3cret"):
        body = order(source_path) if path == "/v1/runs" else {"source_path": source_path}
        if path == "/v1/flows":
            body |= {"name": "new", "target_schema": {"type": "object", "properties": {}}}
        refused = http.post(path, json=body)
        assert "source_path: Value error, credentials have no place" in problem(refused, 422)["detail"]
        assert "s3cret" not in refused.text
    assert http.get("/v1/runs").json()["total"] == 0


def test_a_huge_body_is_refused(http: httpx.Client) -> None:
    problem(http.post("/v1/runs", content=b" " * (2 << 20), headers=AS_JSON), 413)


def test_a_body_that_any_web_page_could_send_is_refused(http: httpx.Client, people: Path) -> None:
    body = json.dumps(order(people))
    for headers in ({}, {"content-type": "text/plain"}):
        assert "Content-Type" in problem(http.post("/v1/runs", content=body, headers=headers), 422)["detail"]
    assert http.get("/v1/runs").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/runs?page=0", "page"),
        ("/v1/runs?size=101", "size"),
        ("/v1/runs?status=DONE", "CREATED"),
        ("/v1/runs?nonsense=1", "nonsense"),
        ("/v1/runs/x?wait=-1", "wait"),
        ("/v1/runs/x?until=never", "until"),
        ("/v1/runs/x/results?kind=both", "kind"),
    ],
)
def test_a_faulty_query_is_told(http: httpx.Client, path: str, told: str) -> None:
    assert told in problem(http.get(path), 422)["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/runs/run_x", "/v1/runs/run_x/results", "/v1/flows/nobody/versions/v1", "/nowhere"]
)
def test_what_is_not_there_is_a_problem_too(http: httpx.Client, path: str) -> None:
    problem(http.get(path), 404)


def test_a_wrong_method_is_a_problem_too(http: httpx.Client) -> None:
    problem(http.delete("/v1/runs"), 405)


def test_results_come_page_by_page(http: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("ID,Full Name,Mail\n" + "".join(f"{number},P{number},\n" for number in range(1, 251)))
    run = complete(http, path)
    pages = [
        http.get(f"/v1/runs/{run['id']}/results", params={"page": page, "size": 100}).json()
        for page in (1, 2, 3, 4)
    ]
    assert [len(page["items"]) for page in pages] == [100, 100, 50, 0]
    assert [item["id"] for page in pages for item in page["items"]] == list(range(1, 251))
    assert {(page["total"], page["pages"]) for page in pages} == {(250, 3)}


def test_rejects_come_with_their_record_and_reasons(http: httpx.Client, people: Path) -> None:
    run = complete(http, people)
    items = http.get(f"/v1/runs/{run['id']}/results", params={"kind": "rejects"}).json()["items"]
    assert [item["row_number"] for item in items] == [3, 4]
    assert items[0]["source_record"] == {"ID": "x", "Full Name": "Cy", "Mail": "cy@example.com"}
    assert [(error["field"], error["type"]) for error in items[1]["errors"]] == [
        ("name", "required"),
        ("email", "format"),
    ]


def test_runs_are_listed(http: httpx.Client, people: Path) -> None:
    run = complete(http, people)
    listed = http.get(
        "/v1/runs", params={"source_path": str(people), "status": "PARTIAL_FAILED,FAILED"}
    ).json()
    assert [item["id"] for item in listed["items"]] == [run["id"]]
    assert http.get("/v1/runs", params={"status": "SUCCEEDED"}).json()["total"] == 0


def test_an_internal_error_tells_no_secrets(
    http: httpx.Client, service: LumeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(service, "flows", explode)
    assert "hunter2" not in json.dumps(problem(http.get("/v1/flows"), 500))


def test_a_key_is_asked_for_where_one_is_set(service: LumeService) -> None:
    app = httpx.ASGITransport(app=create_app(service, api_key="hunter2"))

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=URL, transport=app) as http:
            return [
                (await http.get("/v1/flows")).status_code,
                (await http.get("/v1/flows", headers={"lume-api-key": "hunter3"})).status_code,
                (await http.get("/v1/flows", headers={"lume-api-key": "hunter2"})).status_code,
                (await http.get("/healthz")).status_code,
            ]

    assert asyncio.run(ask()) == [401, 401, 200, 200]

    async def be_refused() -> None:
        async with AsyncLumeClient(URL, "wrong", transport=app) as client:
            await client.flows()

    with pytest.raises(AuthenticationError, match="LUME_API_KEY"):
        asyncio.run(be_refused())


def test_the_openapi_document_describes_each_answer(http: httpx.Client, people: Path) -> None:
    document = http.get("/openapi.json").json()
    assert document == openapi_document()
    run = complete(http, people)
    for path, method, status, answer in (
        ("/v1/runs/{run_id}", "get", "200", run),
        ("/v1/runs", "get", "200", http.get("/v1/runs").json()),
        ("/v1/flows", "get", "200", http.get("/v1/flows").json()),
        ("/healthz", "get", "200", http.get("/healthz").json()),
        (
            "/v1/flows/{name}/versions/{version}",
            "get",
            "200",
            http.get("/v1/flows/people/versions/v1").json(),
        ),
        ("/v1/runs/{run_id}/results", "get", "200", http.get(f"/v1/runs/{run['id']}/results").json()),
    ):
        content = document["paths"][path][method]["responses"][status]["content"]
        schema = content["application/json"]["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer)


def test_a_flow_version_tells_its_mapper_and_its_rules(client: LumeClient, flows: Path) -> None:
    rules = "rules:\n  - {rule: id > 1, message: too low}\n"
    (flows / "people" / "v2.yaml").write_text(PEOPLE_FLOW + rules)
    found = client.flow_version("people:v2")
    assert found.rules == ({"rule": "id > 1", "message": "too low"},)
    assert found.mapper["name"] == {"extract": "Full Name"}
    assert client.flow_version("people:v1").rules == ()


def test_the_client_and_the_service_understand_each_other(client: LumeClient, people: Path) -> None:
    seen: list[str] = []
    run = client.wait(
        client.run("people:v1", str(people), run_metadata={"ticket": 7}),
        on_status=lambda current: seen.append(current.status),
    )
    assert run.partial_failed
    assert seen[-1] == "PARTIAL_FAILED"
    assert run.rows is not None
    assert (run.rows.source, run.rows.mapped, run.rows.rejected) == (4, 2, 2)
    assert run.run_metadata == {"ticket": 7}
    assert run.source is not None
    assert run.source.columns == ("ID", "Full Name", "Mail")
    assert [item["name"] for item in client.iter_results(run)] == ["Ada", "Bob"]
    assert [reject.row_number for reject in client.iter_results(run, "rejects")] == [3, 4]
    with pytest.raises(AlreadySucceededError) as refused:
        client.run("people:v1", str(people))
    assert refused.value.run_id == run.id
    assert [listed.id for listed in client.iter_runs(source_path=str(people))] == [run.id]
    assert client.cancel(run).status == run.status
    assert [flow.name for flow in client.flows()] == ["flights", "people"]
    assert client.flow_version("people:v1").target_schema["required"] == ["id", "name"]
    assert client.healthz().status == "ok"
    with pytest.raises(NotFoundError, match="run_x"):
        client.run_status("run_x")


def test_an_asynchronous_client_speaks_to_the_embedded_lume(
    transport: EmbeddedTransport, people: Path
) -> None:
    async def complete_twice() -> set[str]:
        async with AsyncLumeClient(URL, transport=transport) as client:
            runs = await asyncio.gather(*(client.run("people:v1", str(people)) for _ in range(2)))
            return {(await client.wait(run)).id for run in runs}

    assert len(asyncio.run(complete_twice())) == 1
