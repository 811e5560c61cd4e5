from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.service.embedded import EmbeddedTransport
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings
from tests.conftest import PEOPLE_FLOW

Http = httpx.Client


@pytest.fixture
def http(service: LumeService) -> Iterator[Http]:
    transport = EmbeddedTransport(service)
    with httpx.Client(base_url="http://embedded.test", transport=transport) as client:
        yield client
    transport.shut_down()


def ended(http: Http, created: httpx.Response, status: int = 201) -> dict[str, Any]:
    assert created.status_code == status, created.text
    run: dict[str, Any] = http.get(
        f"/v1/runs/{created.json()['id']}", params={"wait": 30, "until": "final"}
    ).json()
    return run


def start(http: Http, batch: Path, *, force: bool = False) -> dict[str, Any]:
    body = {"flow_version": "people:v1", "source_path": str(batch), "force_rerun": force}
    return ended(http, http.post("/v1/runs", json=body))


def correct(http: Http, run: dict[str, Any], records: dict[int, dict[str, str | None]]) -> httpx.Response:
    body = {"records": [{"row_number": number, "values": values} for number, values in records.items()]}
    return http.post(f"/v1/runs/{run['id']}/corrections", json=body)


def items(http: Http, run: dict[str, Any], kind: str = "mapped") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"/v1/runs/{run['id']}/results", params={"kind": kind}).json()[
        "items"
    ]
    return found


def counted(run: dict[str, Any]) -> tuple[int, int, int]:
    rows = run["metadata"]["rows"]
    return rows["source"], rows["mapped"], rows["rejected"]


def detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


def test_a_corrected_record_joins_its_batch_and_the_others_stay(http: Http, people: Path) -> None:
    first = start(http, people)
    second = ended(http, correct(http, first, {3: {"ID": "3"}}))
    assert counted(second) == (4, 3, 1)
    assert [record["id"] for record in items(http, second)] == [1, 2, 3]
    assert items(http, second)[2] == {"id": 3, "name": "Cy", "email": "cy@example.com"}
    assert [reject["row_number"] for reject in items(http, second, "rejects")] == [4]
    assert second["metadata"]["corrects"] == {"run_id": first["id"], "records": 1}
    assert second["source_path"] == first["source_path"]
    assert [record["id"] for record in items(http, first)] == [1, 2]
    again = http.post("/v1/runs", json={"flow_version": "people:v1", "source_path": str(people)})
    assert again.json()["run_id"] == second["id"]


def test_corrections_add_up_and_a_second_time_changes_nothing(http: Http, people: Path) -> None:
    first = start(http, people)
    fixes: dict[int, dict[str, str | None]] = {3: {"ID": "3"}, 4: {"Full Name": "Dee", "Mail": None}}
    second = ended(http, correct(http, first, {3: fixes[3]}))
    third = ended(http, correct(http, first, {4: fixes[4]}))
    assert counted(third) == (4, 4, 0)
    assert third["metadata"]["corrects"] == {"run_id": second["id"], "records": 2}
    for run in (first, second, third):
        assert ended(http, correct(http, run, fixes), 200)["id"] == third["id"]
    assert http.get("/v1/runs").json()["total"] == 3


def test_of_corrections_at_once_one_starts_a_run(http: Http, people: Path) -> None:
    first = start(http, people)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: correct(http, first, {3: {"ID": "3"}}), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_rejects_as_they_are_start_no_run(http: Http, people: Path) -> None:
    first = start(http, people)
    records = {reject["row_number"]: reject["source_record"] for reject in items(http, first, "rejects")}
    assert ended(http, correct(http, first, records), 200)["id"] == first["id"]


def test_a_duplicate_is_one_within_the_whole_batch(http: Http, people: Path) -> None:
    first = start(http, people)
    second = ended(http, correct(http, first, {3: {"ID": "1"}, 4: {"Full Name": "Dee", "Mail": ""}}))
    duplicates = [
        reject["row_number"]
        for reject in items(http, second, "rejects")
        if reject["errors"][0]["type"] == "duplicate"
    ]
    assert 3 in duplicates
    assert sum(counted(second)[1:]) == 4


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({1: {"ID": "7"}}, "row 1 was not rejected"),
        ({9: {"ID": "7"}}, "row 9 is none of the batch, which has 4 records"),
        ({3: {"id": "7"}}, "row 3 has the column 'id'"),
    ],
)
def test_what_cannot_be_corrected_is_refused(
    http: Http, people: Path, records: dict[int, dict[str, str | None]], said: str
) -> None:
    first = start(http, people)
    assert said in detail(correct(http, first, records), 422)
    assert http.get("/v1/runs").json()["total"] == 1


def test_a_row_is_corrected_once_in_a_request(http: Http, people: Path) -> None:
    record = {"row_number": 3, "values": {"ID": "3"}}
    answer = http.post(
        f"/v1/runs/{start(http, people)['id']}/corrections", json={"records": [record, record]}
    )
    assert "row 3 is there twice" in detail(answer, 422)


def test_a_forced_rerun_says_what_it_undoes(http: Http, people: Path) -> None:
    first = start(http, people)
    second = ended(http, correct(http, first, {3: {"ID": "3"}, 4: {"Full Name": "Dee", "Mail": ""}}))
    third = start(http, people, force=True)
    assert third["metadata"]["undoes"] == {"run_id": second["id"], "records": 2}
    assert counted(third) == (4, 2, 2)
    assert third["id"] in detail(correct(http, first, {3: {"ID": "3"}}), 409)
    assert start(http, people, force=True)["metadata"]["undoes"] is None


def test_a_run_without_results_has_no_rejects_to_correct(http: Http, people: Path) -> None:
    failed = start(http, people.with_name("gone.csv"))
    assert failed["status"] == "FAILED"
    assert "has no rejects to correct" in detail(correct(http, failed, {3: {"ID": "3"}}), 409)


def test_a_correction_that_maps_nothing_leaves_the_run_it_corrects(http: Http, people: Path) -> None:
    people.write_text("ID,Full Name,Mail\nx,Ada,\n")
    first = start(http, people)
    second = ended(http, correct(http, first, {1: {"ID": "y"}}))
    assert second["status"] == "FAILED"
    third = ended(http, correct(http, first, {1: {"ID": "1"}}))
    assert third["metadata"]["corrects"]["run_id"] == first["id"]
    assert third["status"] == "SUCCEEDED"


def test_a_line_that_is_no_record_becomes_one(http: Http, people: Path) -> None:
    people.write_text("ID,Full Name,Mail\n1,Ada,\n2,B,o,b\n3,Cy,\n4,Dee\n")
    first = start(http, people)
    assert counted(first) == (4, 2, 2)
    raw = items(http, first, "rejects")[0]["source_record"]["raw"]
    assert ended(http, correct(http, first, {2: {"raw": raw}}), 200)["id"] == first["id"]
    second = ended(http, correct(http, first, {2: {"raw": raw, "ID": "2", "Full Name": "Bob"}}))
    assert [record["id"] for record in items(http, second)] == [1, 2, 3]
    (left,) = items(http, second, "rejects")
    assert (left["row_number"], left["source_record"]) == (4, {"raw": "4,Dee"})


def test_a_typed_file_is_corrected_by_texts(http: Http, people: Path) -> None:
    batch = people.with_suffix(".parquet")
    pq.write_table(
        pa.table({"ID": [1, -2, 3, -4], "Full Name": ["a", "b", "c", "d"], "Mail": pa.nulls(4, pa.string())}),
        batch,
    )
    first = start(http, batch)
    assert counted(first) == (4, 2, 2)
    second = ended(http, correct(http, first, {4: {"ID": "4"}}))
    assert [record["id"] for record in items(http, second)] == [1, 3, 4]
    assert (
        ended(http, correct(http, first, {4: {"ID": "4", "Full Name": "d"}, 2: {"ID": "-2"}}), 200)["id"]
        == second["id"]
    )


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_corrected_batch_is_the_batch_that_the_source_should_have_been(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("corrected")
    (folder / "flows" / "people").mkdir(parents=True)
    (folder / "flows" / "people" / "v1.yaml").write_text(PEOPLE_FLOW)
    numbers, names = st.sampled_from(["1", "2", "3", "x"]), st.sampled_from(["Ada", "Bob", ""])
    people = st.tuples(numbers, names)
    rows = data.draw(st.lists(people, min_size=2, max_size=6))
    service = LumeService(ServiceSettings(home=folder / "home", flows=folder / "flows"))
    transport = EmbeddedTransport(service)
    with httpx.Client(base_url="http://embedded.test", transport=transport) as http:
        first = start(http, write_people(folder / "first.csv", rows))
        rejected = {reject["row_number"] for reject in items(http, first, "rejects")}
        fixes = {number: data.draw(people) for number in sorted(rejected) if data.draw(st.booleans())}
        mended = [fixes.get(number, row) for number, row in enumerate(rows, 1)]
        expected = start(http, write_people(folder / "mended.csv", mended))
        answer = (
            correct(
                http, first, {number: {"ID": fix[0], "Full Name": fix[1]} for number, fix in fixes.items()}
            )
            if fixes
            else http.get(f"/v1/runs/{first['id']}")
        )
        found = ended(http, answer, answer.status_code)
        assert counted(found) == counted(expected)
        for kind in ("mapped", "rejects"):
            assert items(http, found, kind) == items(http, expected, kind)
    transport.shut_down()


def write_people(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    path.write_text("ID,Full Name,Mail\n" + "".join(f"{number},{name},\n" for number, name in rows))
    return path
