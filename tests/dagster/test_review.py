from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster import write_review_csv
from lume_dagster.client import LumeRun
from lume_dagster.client.frames import REJECTS_SCHEMA, with_origin
from lume_dagster.corrections.review import Review, read_review_csv


def rejects(*records: tuple[int, dict[str, Any], list[tuple[str | None, str]]]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "row_number": number,
                "source_record": json.dumps(record),
                "errors": [
                    {"field": field, "type": "type", "message": message, "value": None}
                    for field, message in errors
                ],
            }
            for number, record, errors in records
        ],
        schema=REJECTS_SCHEMA,
    )


def run_on(*columns: str, run_id: str = "run_1") -> LumeRun:
    """A run on a source with these columns."""
    return LumeRun(
        id=run_id,
        flow_version="people:v1",
        source_path="a.csv",
        status="PARTIAL_FAILED",
        metadata={"source": {"columns": columns}},
    )


def review_of(path: Path, columns: list[str]) -> Review:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return read_review_csv(file, str(path), columns)


def read_back(path: Path, columns: list[str]) -> Mapping[int, Mapping[str, str | None]]:
    return review_of(path, columns).records


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_reject_is_a_row_with_its_reasons_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "review.csv"
    table = rejects(
        (3, {"a": "1", "b": None}, [("a", "is odd"), (None, "is no record")]),
        (5, {"raw": "x,y"}, [(None, "cut")]),
    )
    assert write_review_csv(table, path) == 2
    assert read(path) == [
        {"row_number": "3", "reasons": "a: is odd; is no record", "a": "1", "b": "", "raw": ""},
        {"row_number": "5", "reasons": "cut", "a": "", "b": "", "raw": "x,y"},
    ]
    assert [file.name for file in path.parent.iterdir()] == ["review.csv"]


def test_a_source_column_of_the_same_name_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_review_csv(rejects((7, {"row_number": "1", "reasons": "theirs"}, [("a", "ours")])), path)
    assert read(path) == [
        {"row_number": "7", "reasons": "a: ours", "source row_number": "1", "source reasons": "theirs"}
    ]


def test_no_column_name_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_review_csv(rejects((1, {"=HYPERLINK(1)": "x"}, [])), path)
    assert "'=HYPERLINK(1)" in read(path)[0]


def test_a_batch_without_rejects_is_a_header(tmp_path: Path) -> None:
    assert write_review_csv(rejects(), tmp_path / "none.csv") == 0
    assert (tmp_path / "none.csv").read_text().strip() == "row_number,reasons"


@given(text=st.text(max_size=30).filter(lambda text: "\0" not in text and not text.isspace()))
def test_no_value_is_a_formula_and_none_is_lost(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("review") / "r.csv"
    write_review_csv(rejects((1, {"v": text}, [("v", text)])), path)
    (row,) = read(path)
    value = row["v"]
    assert read_back(path, ["v"]) == {1: {"v": text or None}}
    if value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        assert value.lstrip("+-").replace(".", "").replace(",", "").isascii()
        assert not any(character.isalpha() or character in "()!'|" for character in value)


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_review_csv(rejects((1, {"v": "old"}, [])), path)
    before = path.read_text()
    with pytest.raises(UnicodeEncodeError):
        write_review_csv(
            pa.table({"row_number": [1], "source_record": ['{"v": "\\ud800"}'], "errors": [[]]}), path
        )
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.csv"]


@given(
    names=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "row_number",
                    "reasons",
                    "source reasons",
                    "run_id",
                    "source run_id",
                    "=a",
                    "'=a",
                    "a,b",
                    "raw",
                ]
            ),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=9),
        ),
        unique=True,
        min_size=1,
        max_size=5,
    ),
    run_id=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9),
)
def test_every_column_and_the_run_are_found_again(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], run_id: str | None
) -> None:
    path = tmp_path_factory.mktemp("review") / "r.csv"
    record = {name: f"value of {index}" for index, name in enumerate(names)}
    table = rejects((8, record, []), (9, {"raw": "x"}, []))
    write_review_csv(with_origin(table, run_on(*names, run_id=run_id)) if run_id else table, path)
    found = review_of(path, [*names, "raw"] if run_id is None and "raw" not in names else names)
    assert {name: found.records[8][name] for name in names} == record
    assert found.run_ids == {8: run_id, 9: run_id}


def test_the_run_is_the_last_column_and_may_be_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_review_csv(with_origin(rejects((8, {"a": "x", "raw": "y"}, [])), run_on("a")), path)
    assert path.read_text().splitlines() == ["row_number,reasons,a,raw,run_id", "8,,x,y,run_1"]
    assert review_of(path, ["a"]).run_ids == {8: "run_1"}
    path.write_text("row_number,run_id,a\n8,run_1,x\n9,,y\n")
    assert review_of(path, ["a"]).run_ids == {8: "run_1", 9: None}
    path.write_text("row_number,a\n8,x\n")
    assert review_of(path, ["a"]).run_ids == {8: None}


def test_a_line_that_could_not_be_parsed_has_columns_to_fill(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    columns = ["reasons", "source reasons", "b"]
    table = rejects((4, {"raw": "x,y,z,1"}, [(None, "cut")]), (5, {"source reasons": "theirs"}, []))
    write_review_csv(with_origin(table, run_on(*columns)), path)
    assert (
        path.read_text().splitlines()[0]
        == "row_number,reasons,source reasons,source source reasons,b,raw,run_id"
    )
    assert read_back(path, columns) == {
        4: dict.fromkeys(columns),
        5: {"reasons": None, "source reasons": "theirs", "b": None},
    }
    path.write_text(path.read_text().replace("4,cut,,,", "4,cut,x,y,z"))
    assert read_back(path, columns)[4] == {"reasons": "x", "source reasons": "y", "b": "z"}


def test_a_cell_may_be_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    limit = csv.field_size_limit()
    record = {"a": "x" * 2 * limit}
    write_review_csv(rejects((1, record, [])), path)
    assert read_back(path, ["a"]) == {1: record}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("name", ["a;b;c;d", "a\tb\tc\td", "a\nb;c;d;e"])
def test_a_column_whose_name_holds_delimiters_is_found_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.csv"
    write_review_csv(rejects((1, {name: "1;2;3\t4"}, [])), path)
    assert read_back(path, [name]) == {1: {name: "1;2;3\t4"}}


def test_a_nul_is_kept_or_its_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    table = rejects((1, {"v": "x"}, []), (7, {"v": "x\0y"}, []))
    if sys.version_info < (3, 11):
        with pytest.raises(ValueError, match="row 7 cannot be written"):
            write_review_csv(table, path)
    else:
        write_review_csv(table, path)
        assert read_back(path, ["v"])[7] == {"v": "x\0y"}


def test_what_a_spreadsheet_makes_of_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes('row_number;b;a\r\n2;"x;y";\r\n;;\r\n'.encode("utf-8-sig"))
    assert read_back(path, ["a", "b"]) == {2: {"a": None, "b": "x;y"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row_number,a\n1,x\n", "line 1: columns are missing: 'b'"),
        ("a,b\nx,y\n", "line 1: columns are missing: 'row_number'"),
        ("row_number,a,b,c\n1,x,y,z\n", "line 1: the batch has no column 'c'"),
        ("row_number,a,a,b\n1,x,y,z\n", "line 1: the column 'a' is there twice"),
        ("row_number,a,b\n1,x,y\n1,x,y\n", "line 3: row 1 is there a second time"),
        ("row_number,a,b\nfirst,x,y\n", "line 2: row_number is 'first'"),
        ("row_number,a,b\n1,x\n", "line 2: it has 2 cells"),
        ('row_number,a,b\n1,x,"y\n', "line 2: unexpected end of data"),
        ("row_number,a,b\n1,x,\xff\n", "save the file as CSV UTF-8"),
    ],
)
def test_a_file_that_is_not_of_the_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=said):
        read_back(path, ["a", "b"])
