"""Samples: what of a file becomes their columns, and what they say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import BatchError
from lume_dagster.generator.derived_schema import derive_schema
from lume_dagster.generator.profile import profile_table
from tests.generator.conftest import Drafting

TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
RECORDS: list[dict[str, Any]] = [
    {
        "dev": {"id": f"S{number}", "fw": "1.2"},
        "readings": {"temp": 20.5 + number, "hum": 40 + number},
        "items": [{"sku": f"a{number}"}],
        "tags": ["x", "y"],
    }
    for number in range(6)
]
NESTED = {
    "device_id": TEXT,
    "temperature": NUMBER,
    "item_sku": TEXT,
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
}


def write(folder: Path, kind: str, records: list[dict[str, Any]]) -> Path:
    path = folder / f"nested.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif kind == "json":
        path.write_text(json.dumps(records))
    else:
        path.write_text("\n".join(map(json.dumps, records)))
    return path


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_what_lies_in_objects_is_read_by_its_path(drafted: Drafting, tmp_path: Path, kind: str) -> None:
    draft, trial = drafted(write(tmp_path, kind, RECORDS), NESTED)
    assert {field.name: field.entry for field in draft.fields} == {
        "device_id": {"extract": "dev.id"},
        "temperature": {"extract": "readings.temp"},
        "item_sku": {"extract": "items[0].sku"},
        "tags": {"extract": "tags"},
    }
    assert draft.field("device_id").accepted
    assert draft.field("tags").accepted
    assert trial.mapped == 6
    assert trial.after["temperature"] == ("20.5", "21.5", "22.5")


def test_a_field_of_an_object_takes_what_has_the_same_path(drafted: Drafting, tmp_path: Path) -> None:
    address = {"type": "object", "properties": {"city": TEXT}}
    records: list[dict[str, Any]] = [{"address": {"city": "Graz"}}, {"address": None}, {}]
    draft, trial = drafted(write(tmp_path, "jsonl", records), {"address": address})
    assert draft.field("address.city").operation == {"extract": "address.city"}
    assert draft.field("address.city").accepted
    assert (trial.mapped, trial.after["address.city"]) == (3, ("Graz",))
    assert draft.source == {"optional": ["address.city"]}


def test_the_first_of_several_items_is_for_people_to_look_at(drafted: Drafting, tmp_path: Path) -> None:
    records = [*RECORDS, {**RECORDS[0], "items": [{"sku": "b"}, {"sku": "c"}, {"sku": "d"}]}]
    field = drafted(write(tmp_path, "jsonl", records), NESTED)[0].field("item_sku")
    assert field.operation == {"extract": "items[0].sku"}
    assert not field.accepted
    assert "items[0].sku is of the first item, and lists have up to 3" in field.notes


def test_another_part_of_an_object_is_not_taken_for_granted(drafted: Drafting, tmp_path: Path) -> None:
    records = [{"customer": {"zip": str(number)}} for number in range(10, 20)]
    field = drafted(write(tmp_path, "jsonl", records), {"customer": TEXT})[0].field("customer")
    assert not field.accepted


def test_a_column_of_json_texts_is_never_accepted_for_a_text(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "json.csv"
    path.write_text('id,payload,tags\n1,"{""a"":1}","[""x""]"\n2,"{""a"":2}","[""y""]"\n')
    draft, _ = drafted(path, {"id": {"type": "integer"}, "payload": TEXT, "tags": TEXT})
    assert draft.field("id").accepted
    assert not draft.field("payload").accepted
    assert (
        "payload holds JSON objects or lists, whose text the field would get" in draft.field("payload").notes
    )
    assert "tags holds JSON objects or lists, whose text the field would get" in draft.field("tags").notes


def test_a_parquet_column_without_texts_is_left_out_of_the_sample(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "odd.parquet"
    columns = {"id": [1, 2], "raw": [b"\xff\x00", b"\x01"], "took": pa.array([1, 2], pa.duration("s"))}
    pq.write_table(pa.table(columns), path)
    draft, trial = drafted(path, {"id": {"type": "integer"}, "raw": TEXT})
    assert draft.field("id").accepted
    assert draft.field("raw").is_open
    assert "not read, as they hold no texts: raw, took" in draft.notes
    assert trial.mapped == 2


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("id;name;amount\n1;Ada;1,5\n2;Bo;2,5\n", ";"),
        ("id\tname\tamount\n1\tAda\t1.5\n2\tBo\t2.5\n", "\t"),
        ("id|name, first|amount\n1|Ada|1.5\n2|Bo|2.5\n", "|"),
    ],
)
def test_a_delimiter_that_header_and_records_speak_for_is_found(
    drafted: Drafting, tmp_path: Path, content: str, delimiter: str
) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    draft, trial = drafted(path, {"id": {"type": "integer"}, "amount": NUMBER})
    assert draft.source == {"delimiter": delimiter}
    assert trial.after["amount"] == ("1.5", "2.5")


def test_a_delimiter_that_is_not_clear_is_asked_for(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a;b|c\n1;2|3\n4;5|6\n")
    with pytest.raises(BatchError, match=r"may be split by ';' or '\|'; set source.delimiter"):
        drafted(path, {"a": TEXT})
    path.write_text("what happened; in words\nnothing\nit rained; then it snowed; at last it cleared\n")
    assert "delimiter" not in drafted(path, {"what_happened": TEXT})[0].source


@pytest.mark.parametrize(
    ("content", "is_told"),
    [
        ("1,Ada,1.5\n2,Bo,2.5\n", True),
        ("x1,2024-01-02\nx2,2024-02-03\n", True),
        ("x1,ada@a.example\nx2,bo@b.example\n", True),
        ("id,name\n1,Ada\n", False),
        ("country,2013,2014\nDE,1,2\nFR,3,4\n", False),
        ("Q1,Q2\nA1,B2\n", False),
    ],
)
def test_a_header_that_looks_like_a_record_is_told(
    drafted: Drafting, tmp_path: Path, content: str, is_told: bool
) -> None:
    path = tmp_path / "header.csv"
    path.write_text(content)
    draft, _ = drafted(path, {"id": TEXT, "name": TEXT})
    assert any("the header looks like a record" in note for note in draft.notes) is is_told


def test_what_source_says_stands_for_nothing_is_absent(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("id,amount\n1,999\n2,1.5\n3,n/a\n4,2.5\n5,3\n6,4\n7,5\n")
    draft, trial = drafted(path, {"id": {"type": "integer"}, "amount": NUMBER}, null_values=["", "999"])
    assert draft.source == {"null_values": ["", "999", "n/a"]}
    assert trial.after["amount"] == ("1.5", "2.5", "3.0")


DAY = {"type": ["string", "null"], "format": "date"}
MOMENT = {"type": ["string", "null"], "format": "date-time"}


@pytest.mark.parametrize(
    ("values", "schema", "after"),
    [
        (["1\u00a0234,50", "20,00"], NUMBER, "1234.5"),
        (["1'234.50", "20.00"], NUMBER, "1234.5"),
        (["12 000", "5 000", "7"], NUMBER, "12000.0"),
        (["9999-12-31", "2024-02-15", "2024-03-15"], DAY, "9999-12-31"),
        (["2024-01-05 23:30 CET", "2024-02-05 00:00 CET"], MOMENT, "2024-01-05T22:30:00Z"),
    ],
)
def test_what_is_read_in_one_way_is_not_marked(
    drafted: Drafting, tmp_path: Path, values: list[str], schema: dict[str, Any], after: str
) -> None:
    path = tmp_path / "written.csv"
    path.write_text("d\n" + "\n".join(f'"{value}"' for value in values * 3), encoding="utf-8")
    draft, trial = drafted(path, {"d": schema})
    assert draft.field("d").accepted, draft.field("d")
    assert trial.after["d"][0] == after


@pytest.mark.parametrize(
    ("header", "values", "field", "note"),
    [
        (
            "d",
            ["0000-00-00", *(f"2024-0{month}-15" for month in range(1, 6))],
            "d",
            "d looks like text, the field is date",
        ),
        (
            "Org",
            ["Acme", "Bolt"],
            "organisation_name_of_the_payer",
            "a guess: little tells that it is this column",
        ),
    ],
)
def test_a_mark_says_why(
    drafted: Drafting, tmp_path: Path, header: str, values: list[str], field: str, note: str
) -> None:
    path = tmp_path / "marked.csv"
    path.write_text("\n".join([header, *values * 3]))
    made = drafted(path, {field: DAY if field == "d" else TEXT})[0].field(field)
    assert made.operation is not None
    assert not made.accepted
    assert note in made.notes


def test_options_mean_themselves_unless_the_sample_says_otherwise(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "options.csv"
    path.write_text("country\nGermany\nFrance\n")
    country = {"type": "string", "enum": ["DE", "FR", "US"]}
    table = drafted(path, {"country": country})[0].field("country").entry["lookup"]["table"]
    assert table == {"Germany": "DE", "France": "FR", "DE": "DE", "FR": "FR", "US": "US"}
    path.write_text("level\nlow\nhigh\n")
    level = {"type": "integer", "oneOf": [{"const": 1, "title": "low"}, {"const": 2, "title": "high"}]}
    table = drafted(path, {"level": level})[0].field("level").entry["lookup"]["table"]
    assert table == {"low": 1, "high": 2}


def test_a_draft_that_maps_nothing_tells_which_columns_it_fills(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("id,name,gap\n1,Ada,\n2,Bo,\n3,Cyril the Third,\n")
    fields = {"id": {"type": "integer"}, "name": {"type": "string", "minLength": 9}, "gap": TEXT}
    _, trial = drafted(path, fields)
    assert (trial.mapped, trial.empty) == (1, frozenset({"gap"}))
    assert trial.after["id"] == ("3",)


def test_columns_of_odd_paths_and_lists_of_lists_are_columns(drafted: Drafting, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text('[0][1],a.b[*],shape\n1,2,"[[1,2]]"\n3,4,"[[5]]"\n')
    draft, trial = drafted(path, {"shape": TEXT, "b": {"type": "integer"}})
    assert "shape holds JSON objects or lists, whose text the field would get" in draft.field("shape").notes
    assert trial.mapped == 2


def test_a_wanted_column_of_images_is_one_of_uris() -> None:
    images = pa.table({"photo": ["https://example.com/a.jpg", "https://example.com/b.png"]})
    assert derive_schema(profile_table(images))["properties"]["photo"]["format"] == "uri"
