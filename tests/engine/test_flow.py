"""Flow files: what is refused and where, and what a fingerprint depends on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lume_dagster.engine import FlowError, flow_json_schema, load_flow, parse_flow
from lume_dagster.engine import flow as flow_module

FLOW = """\
description: People.   # a comment
target_schema:
  type: object
  properties:
    id: {type: integer, isPrimaryKey: true}
    name: {type: string, x-sensitive: true}
    country: {type: [string, "null"]}
    tag: {type: [string, "null"]}
  required: [id, name]
mapper:
  id: {extract: ID}
  name: {concat: [First, {text: " "}, Last]}
  country: {lookup: {from: Land, file: countries.csv, on_miss: null}}
  tag: {concat: [{target: name}, {target: country}], separator: "/"}
"""


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "countries.csv").write_text('key,value\nDE,Germany\nFR,"France"\n')
    (folder / "v1.yaml").write_text(FLOW)
    return folder / "v1.yaml"


def test_what_a_flow_version_says(flow_file: Path) -> None:
    flow = load_flow(flow_file)
    assert (flow.name, flow.version, flow.flow_version) == ("people", "v1", "people:v1")
    assert flow.lineage == {
        "id": ["ID"],
        "name": ["First", "Last"],
        "country": ["Land"],
        "tag": ["First", "Last", "Land"],
    }
    assert flow.source_columns == ("ID", "First", "Last", "Land")
    assert flow.mapper["country"] == {
        "lookup": {"from": "Land", "on_miss": "null", "table": {"DE": "Germany", "FR": "France"}}
    }


def test_the_fingerprint_is_of_the_content(flow_file: Path) -> None:
    before = load_flow(flow_file).fingerprint
    assert len(before) == 64
    flow_file.write_text("# another comment\n" + FLOW.replace("{extract: ID}", "\n    extract: 'ID'"))
    assert load_flow(flow_file).fingerprint == before
    table = "table: {FR: France, DE: Germany}"
    flow_file.write_text(FLOW.replace("file: countries.csv", table))
    assert load_flow(flow_file).fingerprint == before, (
        "an inline table is the same as a file of the same content"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("People.", "Persons."),
        ("extract: ID", "extract: Id"),
        ("on_miss: null", "on_miss: reject"),
        ("required: [id, name]", "required: [id]"),
        ("    id: {type: integer, isPrimaryKey: true}\n    name: {type: string, x-sensitive: true}\n",
         "    name: {type: string, x-sensitive: true}\n    id: {type: integer, isPrimaryKey: true}\n"),
        ("description:", "source: {delimiter: ';'}\ndescription:"),
    ],
)  # fmt: skip
def test_every_change_of_content_changes_the_fingerprint(flow_file: Path, old: str, new: str) -> None:
    before = load_flow(flow_file).fingerprint
    assert old in FLOW
    flow_file.write_text(FLOW.replace(old, new))
    assert load_flow(flow_file).fingerprint != before


def test_a_changed_lookup_file_changes_the_fingerprint(flow_file: Path) -> None:
    before = load_flow(flow_file).fingerprint
    (flow_file.parent / "countries.csv").write_text("key,value\nDE,Germany\nFR,French Republic\n")
    assert load_flow(flow_file).fingerprint != before


@pytest.mark.parametrize(
    ("old", "new", "pointer", "message"),
    [
        ("mapper:", "maper:", "/mapper", "is missing"),
        ("description:", "sources: {}\ndescription:", "/sources", "not known here"),
        ("description:", "source: {delimiter: ';;'}\ndescription:", "/source/delimiter", "one ASCII character"),
        ("description:", "source: {encoding: klingon}\ndescription:", "/source/encoding", "not a text encoding"),
        ("description:", "source: {encoding: zlib}\ndescription:", "/source/encoding", "not a text encoding"),
        ("{extract: ID}", "{extrakt: ID}", "/mapper/id", "no operation that is known; write one of extract"),
        ("{extract: ID}", "{extract: ID, lookup: {}}", "/mapper/id/lookup", "not known here"),
        ("{extract: ID}", "{extract: 5}", "/mapper/id/extract", ""),
        ("{extract: ID}", "{extract: {target: nope}}", "/mapper/id/extract/target", "no target field 'nope'"),
        ("{extract: ID}", "{extract: ID, default: x}", "/mapper/id/default", "'x' is no integer"),
        ("{extract: ID}", "{constant: 1.5}", "/mapper/id/constant", "'1.5' is no integer"),
        ("{extract: ID}", "ID", "/mapper/id", "found 'ID'"),
        ("{extract: ID}", "{date: {from: ID, formats: ['%Y-%m-%d']}}", "/mapper/id", "gives a date"),
        ("{extract: ID}", "{lookup: {from: ID, table: {a: b}}}", "/mapper/id/lookup/table/a", "'b' is no integer"),
        ("  id: {extract: ID}\n", "", "/mapper", "no entry for the property 'id'; write one"),
        ("  id: {extract: ID}\n", "  id: {extract: ID}\n  no: {extract: ID}\n", "/mapper/no", "no property"),
        ("{extract: ID}", "{extract: {target: id}}", "/mapper/id", "each other: id -> id"),
        ("[First, {text: \" \"}, Last]", "[{target: tag}]", "/mapper/tag", "name -> tag -> name"),
        ("on_miss: null", "on_miss: default", "/mapper/country", "needs a default"),
        ("on_miss: null", "table: {}", "/mapper/country/lookup", "either table or file"),
        ("file: countries.csv", "file: ../people/countries.csv", "/mapper/country/lookup/file", "plain name"),
        ("file: countries.csv", "file: other.csv", "", "cannot be read"),
        ("required: [id, name]", "required: [idd]", "/target_schema/required/0", "'idd' is none of the properties"),
        ("{type: string, x-sensitive: true}", "{type: str}", "/target_schema/properties/name/type", "found 'str'"),
        ("{type: string, x-sensitive: true}", "{type: string, minLenght: 1}",
         "/target_schema/properties/name/minLenght", "not supported"),
        ("isPrimaryKey: true", "isPrimaryKey: yes", "/target_schema/properties/id/isPrimaryKey", "cannot be 'yes'"),
        ("isPrimaryKey: true", "minLength: 1", "/target_schema/properties/id/minLength", "takes no minLength"),
        ("isPrimaryKey: true", "enum: [a]", "/target_schema/properties/id/enum/0", "'a' is no integer"),
        ("isPrimaryKey: true", "oneOf: [{const: 1}, {const: a}]",
         "/target_schema/properties/id/oneOf/1", "is no integer"),
        ("isPrimaryKey: true", "oneOf: [{const: 1}, {const: 1}]", "/target_schema/properties/id/oneOf/1", "twice"),
        ("isPrimaryKey: true", "oneOf: [{type: integer}]", "/target_schema/properties/id/oneOf/0", "{const: VALUE"),
        ("isPrimaryKey: true", "oneOf: []", "/target_schema/properties/id/oneOf", "names no value"),
        ("isPrimaryKey: true", "minimum: 1e300", "/target_schema/properties/id/minimum", "64 bits"),
        ("x-sensitive: true", "pattern: '(?=a)'", "/target_schema/properties/name/pattern", "look-around"),
        ("x-sensitive: true", "format: ipv6", "/target_schema/properties/name/format", "supported: date"),
        ("    name: {", "    ID: {type: integer}\n    name: {", "/target_schema/properties/ID", "in case only"),
        ("    name: {", "    a.b: {type: integer}\n    name: {", "/target_schema/properties/a.b", "no dot"),
        ("type: object", "type: object\n  oneOf: []", "/target_schema/oneOf", "not supported"),
        ("  id: {extract: ID}", "  id: {extract: ID}\n  id: {extract: ID}", "", "'id' stands here twice"),
        ("{extract: ID}", "&x {extract: ID}\n  again: *x", "", "aliases are not read"),
        ("People.", '"\\ud800"', "/description", "lone surrogate"),
        ("People.", '"a\\0b"', "/description", "NUL"),
        ("People.", "[", "", "not readable as YAML"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(flow_file: Path, old: str, new: str, pointer: str, message: str) -> None:
    assert old in FLOW
    flow_file.write_text(FLOW.replace(old, new))
    with pytest.raises(FlowError) as caught:
        load_flow(flow_file)
    assert message in str(caught.value)
    assert caught.value.pointer == pointer
    assert str(flow_file.parent) in str(caught.value)


@pytest.mark.parametrize("name", ["v0.yaml", "v1.yml", "one.yaml", "v01.yaml"])
def test_a_file_that_names_no_version(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FLOW)
    with pytest.raises(FlowError, match=r"v1\.yaml"):
        load_flow(tmp_path / name)


@pytest.mark.parametrize("rows", ["a,b\n", "key,value\na\n", "key,value\na,b,c\n", "key,value\na,b\na,c\n"])
def test_a_lookup_file_that_is_none(flow_file: Path, rows: str) -> None:
    (flow_file.parent / "countries.csv").write_text(rows)
    with pytest.raises(FlowError, match=r"countries\.csv"):
        load_flow(flow_file)


def test_a_lookup_file_behind_a_link_is_not_read(flow_file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("key,value\na,b\n")
    (flow_file.parent / "countries.csv").unlink()
    (flow_file.parent / "countries.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(FlowError, match="not behind a link"):
        load_flow(flow_file)


def test_scalars_of_yaml_mean_what_they_mean_in_json(flow_file: Path) -> None:
    table = "table: {NO: Norway, ON: Ontario, 010: ten, 1.0: one, 2013-01-01: day, 12:30: noon, yes: no, null: none}"
    flow_file.write_text(FLOW.replace("file: countries.csv", table))
    assert load_flow(flow_file).mapper["country"]["lookup"]["table"] == {
        "NO": "Norway", "ON": "Ontario", "010": "ten", "1.0": "one", "2013-01-01": "day", "12:30": "noon",
        "yes": "no", "null": "none",
    }  # fmt: skip


def test_documents_deep_and_large(flow_file: Path) -> None:
    flow_file.write_text("[" * 50_000)
    with pytest.raises(FlowError, match="nested too deeply"):
        load_flow(flow_file)
    flow_file.write_bytes(b"x" * (17 << 20))
    with pytest.raises(FlowError, match="larger than"):
        load_flow(flow_file)


def test_the_example_follows_the_schema_for_editors() -> None:
    document: Any = yaml.safe_load((Path(__file__).parents[2] / "flows/flights/v1.yaml").read_text())
    schema = flow_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    wrong = copy.deepcopy(document)
    wrong["mapper"]["carrier"] = {"extrct": "carrier"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_the_published_schema_is_the_current_one() -> None:
    published = Path(flow_module.__file__).with_name("flow.schema.json")
    assert json.loads(published.read_text()) == flow_json_schema(), (
        "write it anew: json.dumps(flow_json_schema(), indent=2, ensure_ascii=False)"
    )


def test_a_document_that_is_no_mapping() -> None:
    with pytest.raises(FlowError, match="must be a mapping"):
        parse_flow([], name="x", version="v1")
