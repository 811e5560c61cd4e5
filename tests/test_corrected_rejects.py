"""Corrections are taken only for the records that they were made for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.client import LumeClient, LumeRun
from lume_dagster.client.current_run import reading_run, standing_run
from lume_dagster.corrections.corrected_rejects import read_corrections
from lume_dagster.results_file import write_results_file
from lume_dagster.service import ServiceSettings, open_embedded
from lume_dagster.testing import RunScript, ScriptedLume
from tests.conftest import PEOPLE, PEOPLE_FLOW

Records: TypeAlias = Mapping[int, Mapping[str, str | None]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LumeClient]:
    folder = tmp_path_factory.mktemp("lume")
    (folder / "flows" / "people").mkdir(parents=True)
    (folder / "flows" / "people" / "v1.yaml").write_text(PEOPLE_FLOW)
    embedded = open_embedded(ServiceSettings(home=folder / "home", flows=folder / "flows"))
    with LumeClient("http://lume.test", transport=embedded) as opened:
        yield opened


def run(client: LumeClient, batch: Path) -> LumeRun:
    return client.wait(client.run("people:v1", str(batch), force_rerun=True))


def review_of(client: LumeClient, of: LumeRun, folder: Path) -> str:
    file = folder / "review.csv"
    write_results_file(client, of, "rejects", file)
    return file.read_text()


def read(client: LumeClient, text: str, of: LumeRun, written: datetime | None = None) -> Records:
    return read_corrections(io.StringIO(text), "r.csv", of, client, written)


def test_corrections_leave_row_numbers_as_they_are(client: LumeClient, people: Path, tmp_path: Path) -> None:
    first = run(client, people)
    review = review_of(client, first, tmp_path)
    second = client.wait(client.correct(first, {3: {"ID": "3"}}))
    of_second = review_of(client, second, tmp_path)
    third = client.wait(client.correct(second, {4: {"Mail": None}}))
    assert [reading_run(client, each).id for each in (first, second, third)] == [first.id] * 3
    assert standing_run(client, first).id == third.id
    assert read(client, review, third).keys() == {3, 4}
    assert read(client, of_second, first).keys() == {4}
    # Of a correction, read anew as the source is: the record is the same, though it was corrected in part.
    assert read(client, review_of(client, third, tmp_path), run(client, people)).keys() == {4}


@pytest.mark.parametrize(
    ("source", "row"),
    [
        (PEOPLE.replace("x,Cy", "3,Cy"), 3),  # mapped now
        (PEOPLE.replace("4,,dee", "4,,dora"), 4),
        (PEOPLE.replace("2,Bob,\n", ""), 3),
        (PEOPLE.replace("ID,", "Note,ID,").replace("\n", "\n,").removesuffix(","), 3),
    ],
)
def test_a_row_that_may_be_another_record_is_refused(
    client: LumeClient, people: Path, tmp_path: Path, source: str, row: int
) -> None:
    first = run(client, people)
    review = review_of(client, first, tmp_path)
    people.write_text(source)
    second = run(client, people)
    if "Note" in source:
        review = (
            review.replace("reasons,", "reasons,Note,")
            .replace(",x,Cy", ",,x,Cy")
            .replace(",4,,dee", ",,4,,dee")
        )
    with pytest.raises(ValueError, match=f"r.csv, row {row}: it is a reject of run {first.id}.*{second.id}"):
        read(client, review, second)
    without = "\n".join(line.rpartition(",")[0] for line in review.splitlines())
    assert read(client, without, second).keys() == {3, 4}


def test_a_run_that_was_overtaken_is_left_to_lume_to_refuse(
    client: LumeClient, people: Path, tmp_path: Path
) -> None:
    first = run(client, people)
    people.write_text(PEOPLE.replace("x,Cy", "x,Cyd"))
    second = run(client, people)
    assert read(client, review_of(client, second, tmp_path), first).keys() == {3, 4}
    other = people.with_name("other.csv")
    other.write_text(PEOPLE.replace("x,Cy", "x,Cyril"))
    with pytest.raises(ValueError, match=f"write the file anew from the rejects of run {second.id}"):
        read(client, review_of(client, run(client, other), tmp_path), first)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_correction_is_taken_for_another_record(
    client: LumeClient, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    person = st.tuples(st.sampled_from(["1", "2", "x"]), st.sampled_from(["Ada", "Bob", ""]))
    people = st.lists(person, min_size=1, max_size=5)
    was = data.draw(people)
    now = data.draw(st.permutations(was) | people | st.just(was))
    folder = tmp_path_factory.mktemp("anew")
    runs = []
    for rows in (was, now):
        batch = write(folder / "people.csv", rows)
        runs.append(run(client, batch))
    review = review_of(client, runs[0], folder)
    rejected = [{reject.row_number for reject in client.iter_results(each, "rejects")} for each in runs]
    kept = sorted(number for number in rejected[0] if data.draw(st.booleans()))
    header, *lines = review.splitlines()
    text = "\n".join([header, *(line for line in lines if int(line.split(",")[0]) in kept)])
    is_same = all(number in rejected[1] and was[number - 1] == now[number - 1] for number in kept)
    if kept and is_same:
        assert list(read(client, text, runs[1])) == kept
    else:
        with pytest.raises(ValueError, match="it is a reject of run" if kept else "there is no record in it"):
            read(client, text, runs[1])


def write(batch: Path, rows: Sequence[tuple[str, str]]) -> Path:
    batch.write_text("ID,Full Name,Mail\n" + "".join(f"{number},{name},\n" for number, name in rows))
    return batch


@pytest.mark.parametrize("run_id", ["run_x", ".", "../healthz", "x" * 100_000])
def test_a_run_that_lume_does_not_know_is_refused(
    client: LumeClient, people: Path, tmp_path: Path, run_id: str
) -> None:
    first = run(client, people)
    review = review_of(client, first, tmp_path).replace(first.id, run_id)
    with pytest.raises(
        ValueError, match=r"r.csv, row 3: its run_id is '.{1,200}', a run that this Lume does not"
    ):
        read(client, review, first)


def test_time_counts_only_for_rows_that_do_not_say_of_which_run_they_are(
    client: LumeClient, people: Path, tmp_path: Path
) -> None:
    first = run(client, people)
    review = review_of(client, first, tmp_path)
    old = datetime(2013, 1, 1, tzinfo=timezone.utc)
    assert read(client, review, first, old).keys() == {3, 4}
    with pytest.raises(ValueError, match=f"written at 2013-01-01 00:00:00 UTC, before Lume run {first.id}"):
        read(client, review.replace(f"dee,{first.id}", "dee,"), first, old)


def test_rejects_are_had_from_a_lume_whose_files_are_out_of_reach() -> None:
    def script(*names: str) -> RunScript:
        rejects = [
            {"row_number": number, "source_record": {"ID": "x", "Name": name}, "errors": []}
            for number, name in enumerate(names, 1)
        ]
        return RunScript(["PARTIAL_FAILED"], {"source": {"columns": ["ID", "Name"]}}, rejects=rejects)

    names = [f"n{number}" for number in range(250)]
    with ScriptedLume() as lume, LumeClient(lume.url) as client:

        def forced(*names: str) -> LumeRun:
            lume.next_run(script(*names))
            return client.wait(client.run("people:v1", "p.csv", force_rerun=True))

        of = forced(*names).id
        text = f"row_number,ID,Name,run_id\n7,1,n,{of}\n250,1,n,{of}\n"
        assert read(client, text, forced(*names)).keys() == {7, 250}
        with pytest.raises(ValueError, match=f"row 250: it is a reject of run {of}"):
            read(client, text, forced(*names[:-1], "other"))
