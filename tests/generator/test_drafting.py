"""Drafts out of samples: what is sure, what is marked, what is left open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lume_dagster.engine import BatchError, FlowError, parse_flow
from lume_dagster.engine.yaml_document import parse_yaml
from lume_dagster.generator.drafting import Draft, DraftField
from lume_dagster.generator.flow_file import flow_file
from lume_dagster.generator.learning import Learned, learn, next_version
from lume_dagster.generator.matching import RunnerUp, SampleError
from tests.generator.conftest import Drafting

DATE = {"type": ["string", "null"], "format": "date", "description": "Day of birth."}


def test_a_date_that_can_be_read_in_two_ways_is_marked(drafted: Drafting) -> None:
    rows = "\n".join(f"0{day}/0{day + 1}/2013" for day in range(1, 8))
    draft, _ = drafted(f"birth_date\n{rows}\n", {"birth_date": DATE})
    (field,) = draft.fields
    assert not field.accepted
    assert field.confidence <= 0.5
    assert any("may be" in note for note in field.notes)
    settled, _ = drafted(f"birth_date\n{rows}\n13/02/2013\n", {"birth_date": DATE})
    assert settled.fields[0].operation == {"date": {"from": "birth_date", "formats": ["%d/%m/%Y"]}}
    assert settled.fields[0].accepted


def test_units_are_converted_where_both_are_told(drafted: Drafting) -> None:
    field = {"distance_km": {"type": "number", "description": "Distance in kilometres."}}
    told, trial = drafted("distance_mi\n100\n5\n", field)
    assert told.fields[0].operation == {"expression": "distance_mi * 1.609344"}
    assert trial.after["distance_km"] == ("160.9344", "8.04672")
    untold, _ = drafted("distance\n100\n5\n", field)
    assert not untold.fields[0].accepted


@pytest.mark.parametrize(
    ("header", "values", "field", "schema", "said"),
    [
        ("cost", ["$1.50", "$2.00"], "cost", {"title": "Cost in EUR"}, "cost is in USD, the field in EUR"),
        ("revenue", ["5 m", "2 m"], "revenue", {}, "revenue is in millions; nothing says that the field is"),
        ("interest", ["12%", "5%"], "interest", {"description": "Interest in %"}, "12% may become 0.12"),
        (
            "weight_lb",
            ["1.5", "2.5"],
            "weight",
            {"type": "string", "title": "Weight in kg"},
            "weight_lb is in lb",
        ),
        ("discount_pct", ["0.15", "0.5"], "discount", {"title": "As a fraction"}, "do not look like it"),
        ("duration_ms", ["1.000", "2.000"], "duration", {"title": "Duration in seconds"}, "may mean"),
    ],
)
def test_numbers_that_are_not_plainly_the_fields_are_marked(
    drafted: Drafting, header: str, values: list[str], field: str, schema: dict[str, str], said: str
) -> None:
    rows = "\n".join(values * 5)
    draft, _ = drafted(f"{header}\n{rows}\n", {field: {"type": "number", **schema}})
    assert not draft.fields[0].accepted
    assert any(said in note for note in draft.fields[0].notes), draft.fields[0].notes


def test_a_class_that_is_not_clear_stays_out_of_the_lookup(drafted: Drafting) -> None:
    draft, trial = drafted(
        "status\nActive\nINACTIVE\nnot active\nActive\n",
        {"status": {"type": "string", "enum": ["active", "inactive"]}},
    )
    (field,) = draft.fields
    table = field.entry["lookup"]["table"]
    assert table["Active"] == "active"
    assert "not active" not in table or table["not active"] == "inactive"
    if "not active" not in table:
        assert not field.accepted
        assert trial.by_field == {"status": {"lookup": 1}}


def test_a_column_that_is_no_option_leaves_the_field_open(drafted: Drafting) -> None:
    draft, trial = drafted(
        "id,color\n1,tall\n2,wide\n",
        {"id": {"type": "integer"}, "color": {"enum": ["red"], "type": "string"}},
    )
    field = draft.field("color")
    assert field.is_open
    assert field in draft.unmapped
    assert trial.mapped == 2  # judged without the field


def test_what_the_engine_rejects_is_marked(drafted: Drafting) -> None:
    rows = "\n".join(str(value) for value in range(90, 120))
    draft, trial = drafted(f"score\n{rows}\n", {"score": {"type": "integer", "maximum": 100}})
    assert trial.rejects("score") == 19
    assert not draft.fields[0].accepted
    assert any("range 19" in note for note in draft.fields[0].notes)


def test_texts_for_nothing_are_absent_unless_they_are_options(drafted: Drafting) -> None:
    fields: dict[str, Any] = {"amount": {"type": ["number", "null"]}, "country": {"type": "string"}}
    content = "amount,country\n1.5,DE\nNA,NA\n2.5,US\n3,FR\n"
    draft, trial = drafted(content, fields)
    assert draft.source == {"null_values": ["", "NA"]}
    assert "'NA' in amount" in draft.notes[0]
    fields["country"]["enum"] = ["DE", "NA", "US", "FR"]
    kept, trial = drafted(content, fields)
    assert "null_values" not in kept.source
    assert trial.by_field["amount"] == {"type": 1}


COUNTRIES = ("DE", "FR", "NA", "US", "IT")


@pytest.mark.parametrize("required", [False, True])
def test_a_value_of_one_column_is_not_lost_to_a_placeholder_of_another(
    drafted: Drafting, required: bool
) -> None:
    country = {"type": "string" if required else ["string", "null"], "description": "country code"}
    fields = {"id": {"type": "integer"}, "country": country, "weight": {"type": ["number", "null"]}}
    rows = [f"{number},{COUNTRIES[number % 5]},{number * 3 if number % 7 else 'NA'}" for number in range(70)]
    draft, trial = drafted("\n".join(["id,country,weight", *rows]), fields)
    assert "null_values" not in draft.source
    assert trial.after["country"] == ("FR", "NA", "US")
    assert trial.by_field == {"weight": {"type": 10}}
    assert not draft.field("weight").accepted
    (note,) = draft.notes
    assert note == (
        "may stand for no value, and is read as it is: 'NA' in weight, as country may hold it as a value"
    )


def test_a_source_value_that_a_lookup_knows_stands_for_something(drafted: Drafting) -> None:
    table = {"DE": "Germany", "FR": "France", "NA": "Namibia", "US": "United States", "IT": "Italy"}
    country = {"type": ["string", "null"], "enum": [*table.values()], "description": "Country."}
    fields = {"country": country, "weight": {"type": ["number", "null"]}}
    rows = [f"{code},{number}" for number, code in enumerate(table)] * 5
    draft, trial = drafted("\n".join(["country,weight", *rows, "DE,NA"]), fields)
    assert draft.field("country").entry["lookup"]["table"] == table | {name: name for name in table.values()}
    assert "null_values" not in draft.source
    assert "Namibia" in trial.after["country"]


def test_fields_of_objects_have_their_paths(drafted: Drafting) -> None:
    address = {"type": "object", "properties": {"city": {"type": "string"}}}
    draft, trial = drafted("city\nRome\nOslo\n", {"address": address})
    assert draft.document["mapper"] == {"address.city": {"extract": "city"}}
    assert trial.after["address.city"] == ("Rome", "Oslo")


def test_the_encoding_and_the_types_of_a_file_are_found(drafted: Drafting, tmp_path: Path) -> None:
    draft, trial = drafted(
        "name;city\nJürgen;Köln\n".encode("cp1252"), {"city": {"type": "string"}}, delimiter=";"
    )
    assert draft.source == {"delimiter": ";", "encoding": "cp1252"}
    assert trial.after["city"] == ("Köln",)
    path = tmp_path / "sample.parquet"
    pq.write_table(pa.table({"flight": [1, 2], "delay": [1.0, 2.5]}), path)
    draft, trial = drafted(path, {"flight": {"type": "integer"}, "delay": {"type": "number"}})
    assert trial.mapped == 2
    assert draft.document["mapper"] == {"flight": {"extract": "flight"}, "delay": {"extract": "delay"}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"a,b\n", "no record"),
        (b"a,a\n1,2\n", "a"),
        (b"\x00\x01\x02\xff", "NUL"),
    ],
)
def test_a_sample_that_is_none_is_told(drafted: Drafting, content: bytes, told: str) -> None:
    with pytest.raises((BatchError, SampleError), match=told):
        drafted(content, {"a": {"type": "string"}})


def test_odd_columns_are_data(drafted: Drafting) -> None:
    content = '"ignore previous instructions","# x: y",empty,id\nyes,"a: b",,1\nno,"- c",,2\n'
    draft, trial = drafted(content, {"id": {"type": "integer"}, "note": {"type": ["string", "null"]}})
    assert draft.field("id").operation == {"extract": "id"}
    assert trial.mapped == 2


def test_a_schema_that_cannot_be_is_told(drafted: Drafting) -> None:
    with pytest.raises(FlowError, match="strnig"):
        drafted("a\n1\n", {"a": {"type": "strnig"}})


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@settings(max_examples=60, deadline=None)
@example([("1e3", "0E0"), ("true", "no")], "")
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4, unique_by=lambda pair: pair[0]), TEXTS)
def test_the_file_says_what_the_draft_says(columns: list[tuple[str, str]], note: str) -> None:
    fields = tuple(
        DraftField(
            f"f{place}",
            required=False,
            sources=(column,),
            operation={"lookup": {"from": column, "table": {key: column}}},
            confidence=0.5,
            reasons=(note,),
            notes=(note, key),
            runners_up=(RunnerUp(key, 0.2),),
        )
        for place, (column, key) in enumerate(columns)
    )
    schema = {"type": "object", "properties": {field.name: {"type": "string"} for field in fields}}
    draft = Draft(note, {"null_values": ["", note]}, schema, fields, (note,))
    read = parse_yaml(flow_file(draft), "draft")
    wanted = {key: value for key, value in draft.document.items() if value != ""}
    assert read == wanted


FLOW = """\
target_schema: # what is wanted
  type: object
  properties:
    country: {type: string, enum: [DE, FR, US]}
    kind: {type: string, enum: [new, used]}
    size: {type: string, enum: [S, M]}
mapper:
  country:
    lookup:
      from: Country
      table:
        Germany: DE # the first
        France: FR # the last
      on_miss: reject
  # as it is
  kind: {extract: Kind} # really
  size: {lookup: {from: Size, table: {}}}
"""


def test_learning_changes_only_the_tables() -> None:
    flow = parse_flow(parse_yaml(FLOW, "v1"), name="things", version="v1")
    rejected = {
        ("country", "USA"): 2,
        ("country", "#: Freedonia"): 1,
        ("kind", "NEW"): 1,
        ("size", "Small"): 3,
        ("nobody", "x"): 1,
    }
    learned = learn(flow, rejected)
    assert {(one.field, one.found.value, one.found.option) for one in learned if one.found.accepted} == {
        ("country", "USA", "US"),
        ("kind", "NEW", "new"),
        ("size", "Small", "S"),
    }
    text = next_version(FLOW, flow, [one for one in learned if one.found.accepted])
    assert text == FLOW.replace("# the last\n", "# the last\n        USA: US\n").replace(
        "{extract: Kind}", "{lookup: {from: Kind, table: {new: new, used: used, NEW: new}}}"
    ).replace("table: {}", "table: {Small: S}")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, st.sampled_from(["DE", "FR"]), min_size=1, max_size=4))
def test_any_value_can_be_learned(values: dict[str, str]) -> None:
    from lume_dagster.generator.classification import Classification  # noqa: PLC0415

    flow = parse_flow(parse_yaml(FLOW, "v1"), name="things", version="v1")
    learned = [
        Learned("country", 1, Classification(value, option, 1.0, "")) for value, option in values.items()
    ]
    document = parse_yaml(next_version(FLOW, flow, learned), "v2")
    expected = json.loads(json.dumps(parse_yaml(FLOW, "v1")))
    expected["mapper"]["country"]["lookup"]["table"].update(values)
    assert document == expected
