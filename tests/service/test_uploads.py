from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.service.app import create_app
from lume_dagster.service.embedded import EmbeddedTransport
from lume_dagster.service.errors import InvalidRequestError, UnavailableError
from lume_dagster.service.exact_json import read_exact_json
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.service.uploads import Uploads
from tests.conftest import PEOPLE, PEOPLE_FLOW

URL = "http://embedded.test"
AS_FILE = {"content-type": "application/octet-stream"}
RECORDS = [
    {"ID": 1, "Full Name": "Ada", "Mail": "ada@example.com"},
    {"ID": 2, "Full Name": "Bob", "Mail": None},
    {"ID": "x", "Full Name": "Cy", "Mail": "cy@example.com"},
]


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    return settings.model_copy(update={"max_upload_bytes": 3 << 20})


@pytest.fixture
def http(service: LumeService) -> Iterator[httpx.Client]:
    transport = EmbeddedTransport(service)
    with httpx.Client(base_url=URL, transport=transport) as client:
        yield client
    transport.shut_down()


def problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["detail"])


def upload(http: httpx.Client, content: bytes, name: str) -> httpx.Response:
    return http.post("/v1/uploads", params={"name": name}, content=content, headers=AS_FILE)


def ended(http: httpx.Client, created: httpx.Response) -> dict[str, Any]:
    assert created.status_code == 201, created.text
    return http.get(created.headers["location"], params={"wait": 30, "until": "final"}).json()


def complete(http: httpx.Client, flow_version: str, source_path: str) -> dict[str, Any]:
    return ended(http, http.post("/v1/runs", json={"flow_version": flow_version, "source_path": source_path}))


def counted(run: dict[str, Any]) -> tuple[int, int, int]:
    rows = run["metadata"]["rows"]
    return rows["source"], rows["mapped"], rows["rejected"]


def incoming(settings: ServiceSettings) -> list[Path]:
    return list((settings.home / "incoming").iterdir())


def test_a_file_that_was_handed_over_is_a_batch(http: httpx.Client, settings: ServiceSettings) -> None:
    first = upload(http, PEOPLE.encode(), "people.csv")
    assert first.status_code == 201
    told = first.json()
    assert told["bytes"] == len(PEOPLE)
    assert told["sha256"] == hashlib.sha256(PEOPLE.encode()).hexdigest()
    assert told["source_path"] == f"upload:{told['sha256']}.csv"
    again = upload(http, PEOPLE.encode(), "renamed.csv")
    assert (again.status_code, again.json()) == (200, told)
    assert incoming(settings) == []
    run = complete(http, "people:v1", told["source_path"])
    assert (run["status"], counted(run)) == ("PARTIAL_FAILED", (4, 2, 2))


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("people.CSV", ".csv"),
        ("people.2013.jsonl.gz", ".jsonl.gz"),
        ("../../etc/passwd", ""),
        ("people", ""),
        ("x.csv/../../y.c$v", ""),
        ("", ""),
    ],
)
def test_of_a_name_only_the_extension_counts(http: httpx.Client, name: str, extension: str) -> None:
    told = upload(http, b"x", name).json()
    assert told["source_path"] == f"upload:{told['sha256']}{extension}"


def test_messages_and_metadata_call_a_file_what_its_owner_does(
    http: httpx.Client,
) -> None:
    empty = upload(http, b"", "../mine/people\u202e.csv").json()["source_path"]
    run = complete(http, "people:v1", empty)
    assert run["metadata"]["error_message"].startswith(f"{empty} ('people\\u202e.csv'): the file is empty")
    good = upload(http, PEOPLE.encode(), "people.csv").json()["source_path"]
    assert upload(http, PEOPLE.encode(), "renamed.csv").json()["source_path"] == good
    run = complete(http, "people:v1", good)
    assert run["metadata"]["source"]["file_name"] == "renamed.csv"
    again = complete(http, "people:v1", f"run:{run['id']}")
    assert again["metadata"]["source"]["file_name"] == "renamed.csv"


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"x,y\n1,x\n", "p.csv", "of the columns that the flow reads none is there"),
        (b"no table", "p.parquet", "this is no Parquet file"),
        (b"no workbook", "p.xlsx", "excel" if find_spec("python_calamine") is None else "workbook"),
        (b"{", "p.json", "is no JSON"),
        (b"x", "p.docx", "the format cannot be told"),
    ],
)
def test_no_message_names_a_file_by_its_place_in_the_home(
    http: httpx.Client, settings: ServiceSettings, content: bytes, name: str, told: str
) -> None:
    source_path = upload(http, content, name).json()["source_path"]
    message = complete(http, "people:v1", source_path)["metadata"]["error_message"]
    assert message.startswith(f"{source_path} ('{name}')")
    assert told in message
    assert str(settings.home) not in message
    sample = {
        "name": "new",
        "target_schema": {"type": "object", "properties": {}},
        "source_path": source_path,
    }
    refused = problem(http.post("/v1/flows", json=sample), 422)
    assert str(settings.home) not in refused


def test_no_message_names_records_by_their_place_in_the_home(
    http: httpx.Client,
) -> None:
    run = ended(http, http.post("/v1/flows/people/runs", json={"source_data": [{"x": 1}]}))
    assert run["metadata"]["error_message"].startswith(f"{run['source_path']}: of the columns")


def test_a_file_that_is_too_large_leaves_nothing(http: httpx.Client, settings: ServiceSettings) -> None:
    assert "3145728 bytes" in problem(upload(http, bytes(settings.max_upload_bytes + 1), "x.csv"), 413)

    def unannounced() -> Iterator[bytes]:
        for _ in range(5):
            yield bytes(1 << 20)

    answer = http.post("/v1/uploads", content=unannounced(), headers=AS_FILE)
    assert "3145728 bytes" in problem(answer, 413)
    assert incoming(settings) == []
    assert not (settings.home / "uploads").exists()


def test_a_sender_that_breaks_off_leaves_nothing(service: LumeService, settings: ServiceSettings) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(1 << 21)
        raise ConnectionResetError("the sender is gone")

    async def send() -> None:
        transport = httpx.ASGITransport(app=create_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(base_url=URL, transport=transport) as http:
            await http.post("/v1/uploads", content=broken(), headers=AS_FILE)

    asyncio.run(send())
    assert incoming(settings) == []
    assert not (settings.home / "uploads").exists()


def test_a_body_that_any_web_page_could_send_is_no_upload(http: httpx.Client) -> None:
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "multipart/form-data"}):
        answer = http.post("/v1/uploads", content=b"x", headers=headers)
        assert "application/octet-stream" in problem(answer, 422)


def test_uploads_ask_for_the_key_too(service: LumeService, settings: ServiceSettings) -> None:
    async def send() -> int:
        app = httpx.ASGITransport(app=create_app(service, api_key="hunter2"))
        async with httpx.AsyncClient(base_url=URL, transport=app) as http:
            return (await http.post("/v1/uploads", content=b"x", headers=AS_FILE)).status_code

    assert asyncio.run(send()) == 401
    assert not settings.home.exists()


@pytest.mark.parametrize(
    "source_path", ["upload:", "upload:../../lume.db", f"upload:{'0' * 64}.csv", "records:x", "records:/etc"]
)
def test_what_was_never_handed_over_is_no_batch(http: httpx.Client, source_path: str) -> None:
    run = complete(http, "people:v1", source_path)
    assert run["status"] == "FAILED"
    assert "lume-dagster upload" in run["metadata"]["error_message"]


def test_what_was_left_half_is_swept_after_a_day(settings: ServiceSettings) -> None:
    uploads = Uploads(settings)
    folder = settings.home / "incoming"
    folder.mkdir(parents=True)
    for name in ("fresh", "old"):
        (folder / name).write_bytes(b"x")
    os.utime(folder / "old", (0, time.time() - 25 * 3600))
    uploads.sweep()
    assert [path.name for path in folder.iterdir()] == ["fresh"]


def test_a_home_that_cannot_be_written_to_is_told(settings: ServiceSettings) -> None:
    with pytest.raises(UnavailableError, match="LUME_HOME"):
        Uploads(settings.model_copy(update={"home": Path("/proc/lume")})).open()


def test_records_are_a_batch(http: httpx.Client, settings: ServiceSettings) -> None:
    run = ended(http, http.post("/v1/flows/people/runs", json={"source_data": RECORDS}))
    assert run["flow_version"] == "people:v1"
    assert run["source_path"].startswith("records:")
    assert (run["status"], counted(run)) == ("PARTIAL_FAILED", (3, 2, 1))
    assert run["metadata"]["source"]["columns"] == ["ID", "Full Name", "Mail"]
    assert incoming(settings) == []


def test_the_same_records_are_the_same_batch(http: httpx.Client) -> None:
    first = ended(http, http.post("/v1/flows/people/runs", json={"source_data": RECORDS}))
    turned = [dict(reversed(record.items())) for record in RECORDS]
    refused = http.post("/v1/flows/people/runs", json={"source_data": turned, "version": "v1"})
    assert refused.json()["type"] == "urn:lume:problem:already-succeeded"
    assert refused.json()["run_id"] == first["id"]
    other = http.post("/v1/flows/people/runs", json={"source_data": RECORDS[::-1]})
    assert ended(http, other)["source_path"] != first["source_path"]


def test_a_repeated_key_gets_the_same_run_of_records(http: httpx.Client) -> None:
    order = {"source_data": RECORDS, "force_rerun": True}
    key = {"idempotency-key": "mine"}
    first = http.post("/v1/flows/people/runs", json=order, headers=key)
    ended(http, first)
    again = http.post("/v1/flows/people/runs", json=order, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = http.post("/v1/flows/people/runs", json={**order, "source_data": []}, headers=key)
    assert other.json()["type"] == "urn:lume:problem:idempotency-key-reused"


def test_records_are_read_as_such_whatever_the_flow_says(http: httpx.Client, flows: Path) -> None:
    source = "source: {format: csv, delimiter: ';', encoding: utf-16}\n"
    (flows / "people" / "v2.yaml").write_text(source + PEOPLE_FLOW)
    run = ended(http, http.post("/v1/flows/people/runs", json={"source_data": RECORDS}))
    assert run["flow_version"] == "people:v2"
    assert counted(run) == (3, 2, 1)


def test_a_file_for_a_flow_that_asks_a_database_is_read_by_its_extension(
    http: httpx.Client, flows: Path
) -> None:
    query = "source: {format: query, connection_env: NOWHERE, query: 'SELECT :source_path'}\n"
    (flows / "people" / "v2.yaml").write_text(query + PEOPLE_FLOW)
    run = complete(http, "people:v2", upload(http, PEOPLE.encode(), "people.csv").json()["source_path"])
    assert counted(run) == (4, 2, 2)


def test_a_flow_run_may_name_its_batch(http: httpx.Client, people: Path) -> None:
    run = ended(http, http.post("/v1/flows/people/runs", json={"source_path": str(people)}))
    assert (run["source_path"], counted(run)) == (str(people), (4, 2, 2))


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("people", {}, 422, "source_data or source_path"),
        ("people", {"source_data": [], "source_path": "x"}, 422, "not both"),
        ("people", {"source_data": [1]}, 422, "source_data.0"),
        ("people", {"source_data": {"ID": 1}}, 422, "source_data"),
        ("people", {"source_data": [], "version": "v9"}, 404, "it has v1"),
        ("people", {"source_data": [], "version": "../x"}, 422, "NAME:vN"),
        ("nobody", {"source_data": []}, 404, "flows there: flights, people"),
        ("people", '{"source_data": [{"ID": 1, "ID": 2}]}', 422, "'ID' twice"),
        ("people", '{"source_data": [{"ID": 0.12345678901234567890}]}', 422, "more digits"),
        ("people", '{"source_data": [{"ID": NaN}]}', 422, "NaN is no JSON"),
        ("people", '{"source_data": ' + "[" * 100_000, 422, "nested too deeply"),
        ("people", "{", 422, "Invalid JSON"),
    ],
)
def test_faulty_records_are_told(
    http: httpx.Client, settings: ServiceSettings, path: str, body: Any, status: int, told: str
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": "application/json"}
    assert told in problem(http.post(f"/v1/flows/{path}/runs", content=content, headers=headers), status)
    assert not (settings.home / "records").exists()


def test_records_that_are_too_many_are_told_the_other_way(http: httpx.Client) -> None:
    body = b'{"source_data": [' + b" " * (64 << 20) + b"]}"
    answer = http.post("/v1/flows/people/runs", content=body, headers={"content-type": "application/json"})
    assert "write the records to a file" in problem(answer, 413)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_what_json_says_is_read_exactly(value: Any) -> None:
    assert json.dumps(read_exact_json(json.dumps(value).encode())) == json.dumps(value)


@given(st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.just("1e999999999999999999999"))
def test_a_number_is_read_exactly_or_refused(text: str) -> None:
    try:
        value = read_exact_json(text.encode())
    except InvalidRequestError:
        assert text.startswith("1e999") or Decimal(str(float(text))) != Decimal(text)
    else:
        assert Decimal(str(value)) == Decimal(text)
