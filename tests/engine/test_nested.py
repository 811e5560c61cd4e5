"""Objects, arrays, and lists of fields that are unique."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import Engine, FlowError, parse_flow
from tests.engine.conftest import Run, document, one_field

TEXT: dict[str, Any] = {"type": ["string", "null"]}
STRING: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": ["integer", "null"]}
DATE: dict[str, Any] = {"type": ["string", "null"], "format": "date"}


def obj(*, null: bool = False, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    kind = ["object", "null"] if null else "object"
    return {"type": kind, "properties": properties, "required": required or []}


def array(items: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": items, **keywords}


def test_objects_become_structs_with_their_own_types(run: Run, engine: Engine) -> None:
    properties = {
        "id": STRING,
        "address": obj(city=TEXT, geo=obj(since=DATE, codes=array({"type": "integer"}))),
    }
    mapper = {
        "id": {"extract": "id"},
        "address.city": {"extract": "city"},
        "address.geo.since": {"extract": "day"},
        "address.geo.codes": {"split": {"from": "codes", "by": "/"}},
    }
    outcome = run(document(properties, mapper), "id,city,day,codes\n1,Rome,2013-02-03,1/2\n2,,,\n3,,x,1/y\n")
    assert pq.read_schema(outcome.result.mapped_path).field("address").type == pa.struct(
        [
            ("city", pa.string()),
            ("geo", pa.struct([("since", pa.date32()), ("codes", pa.list_(pa.int64()))])),
        ]
    )
    assert [row["address"] for row in outcome.mapped] == [
        {"city": "Rome", "geo": {"since": date(2013, 2, 3), "codes": [1, 2]}},
        {"city": None, "geo": {"since": None, "codes": None}},
    ]
    assert outcome.errors == {
        3: [("address.geo.since", "format", "x"), ("address.geo.codes", "type", '["1","y"]')]
    }
    page = engine.results_page(outcome.result.mapped_path, 0, 1)
    assert page == [{"id": "1", "address": {"city": "Rome", "geo": {"since": "2013-02-03", "codes": [1, 2]}}}]
    assert outcome.result.by_field == {"address.geo.since": {"format": 1}, "address.geo.codes": {"type": 1}}


def test_an_object_that_may_be_absent_is_null_without_values_and_whole_with_one(run: Run) -> None:
    properties = {"address": obj(null=True, city=STRING, zip=TEXT, door=obj(null=True, a=STRING, b=STRING))}
    mapper = {
        "address.city": {"extract": "city"},
        "address.zip": {"extract": "zip"},
        "address.door.a": {"extract": "a"},
        "address.door.b": {"extract": "b"},
    }
    rows = "city,zip,a,b\n,,,\nRome,,,\n,1,,\nRome,,1,\n,,1,2\nRome,,1,2\n"
    outcome = run(document(properties, mapper), rows)
    assert [row["address"] for row in outcome.mapped] == [
        None,
        {"city": "Rome", "zip": None, "door": None},
        {"city": "Rome", "zip": None, "door": {"a": "1", "b": "2"}},
    ]
    assert {row: [error[:2] for error in errors] for row, errors in outcome.errors.items()} == {
        3: [("address.city", "required")],
        4: [("address.door.b", "required")],
        5: [("address.city", "required")],
    }


def test_a_value_that_fails_is_not_also_absent_in_its_object(run: Run) -> None:
    properties = {"o": obj(null=True, n={"type": "integer"}, t=TEXT)}
    mapper = {"o.n": {"extract": "n"}, "o.t": {"extract": "t"}}
    outcome = run(document(properties, mapper), "n,t\nx,1\n,1\nx,\n")
    assert {row: [error[:2] for error in errors] for row, errors in outcome.errors.items()} == {
        1: [("o.n", "type")],
        2: [("o.n", "required")],
        3: [("o.n", "type")],
    }


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[]", []),
        (' [ "a" ,\t"b\\"\\u00e9\\ud83d\\ude00\\n" ] ', ["a", 'b"é😀\n']),
        ("[1.50, -0, 1e3, true, false]", ["1.50", "-0", "1e3", "true", "false"]),
        ('["]", "[,]"]', ["]", "[,]"]),
        ("[null]", None),
        ('["a",]', None),
        ("[[1]]", None),
        ('{"a": 1}', None),
        ('["\\ud800"]', None),
        ("[NaN]", None),
        ("[01]", None),
        ('["a" "b"]', None),
        ("['a']", None),
        ("a", None),
    ],
)
def test_json_arrays(run: Run, text: str, items: list[str] | None) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    outcome = run(one_field(array(STRING), {"extract": "a"}), f"a,b\n{quoted},\n")
    if items is None:
        assert [error[:2] for error in outcome.errors[1]] == [("x", "type")]
    else:
        assert outcome.mapped == [{"x": items}]


def test_arrays_of_json_records_and_of_parquet_lists_alike(run: Run, tmp_path: Any) -> None:
    flow = one_field(array(INTEGER, maxItems=2), {"extract": "a"})
    records = [{"a": [1, None]}, {"a": []}, {"a": None}, {"a": [1, 2, 3]}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "batch.parquet")
    from_lines = run(flow, lines, "batch.jsonl")
    from_parquet = run(flow, (tmp_path / "batch.parquet").read_bytes(), "batch.parquet")
    for outcome in (from_lines, from_parquet):
        assert outcome.mapped == [{"x": [1, None]}, {"x": []}, {"x": None}]
        assert outcome.errors == {4: [("x", "length", "[1,2,3]")]}


def test_lists_of_several_sources_leave_out_what_is_absent(run: Run) -> None:
    entry = {"list": ["a", {"target": "y"}, "b"]}
    flow = document({"x": array(STRING), "y": INTEGER}, {"x": entry, "y": {"extract": "n"}})
    outcome = run(flow, "a,b,n\n1,,2\n,3,\n,,\n1,,x\n")
    assert [row["x"] for row in outcome.mapped] == [["1", "2"], ["3"], None]
    assert outcome.errors == {4: [("y", "type", "x")]}


def test_steps_change_each_item(run: Run) -> None:
    entry = {
        "split": {"from": "a", "by": ";"},
        "steps": [
            "trim",
            "empty_to_null",
            "upper",
            {"replace": ["X", "'"]},
            {"pad": {"width": 3, "with": "0"}},
        ],
    }
    outcome = run(one_field(array(STRING), entry), "a,b\n a; ;;x ,\n")
    assert outcome.mapped == [{"x": ["00A", "00'"]}]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (array(STRING, minItems=1, maxItems=2), ["a", "a;a"], {"a;b;c": ["length"]}),
        (array(STRING, uniqueItems=True), ["a;b"], {"a;a": ["duplicate"]}),
        (array({"type": "number"}, uniqueItems=True), ["0;1"], {"0;-0.0": ["duplicate"]}),
        (array({"type": "string", "enum": ["a", "o'b"]}), ["a;o'b;a"], {"a;c;d": ["enum"]}),
        (array({"type": "string", "pattern": "^a"}), ["a;ab"], {"a;ba": ["pattern"]}),
        (array({"type": "string", "minLength": 2, "maxLength": 3}), ["ab"], {"a;abcd": ["length", "length"]}),
        (array({"type": "integer", "minimum": 2, "multipleOf": 2}), ["2;4"], {"1;2": ["range", "range"]}),
        (array({"type": "string", "format": "email"}), ["a@b"], {"a@b;@": ["format"]}),
        (array({"type": "string", "format": "date"}), ["2013-02-03"], {"2013-02-30;2013-02-03": ["format"]}),
        (array({"type": "boolean"}), ["true;0"], {"yes": ["type"]}),
    ],
)
def test_constraints_of_arrays_and_their_items(
    run: Run, schema: dict[str, Any], good: list[str], bad: dict[str, list[str]]
) -> None:
    outcome = run(
        one_field(schema, {"split": {"from": "a", "by": ";"}}),
        "a,b\n" + "".join(f"{t},\n" for t in [*good, *bad]),
    )
    assert len(outcome.mapped) == len(good)
    assert {row: [kind for _, kind, _ in errors] for row, errors in outcome.errors.items()} == dict(
        enumerate(bad.values(), len(good) + 1)
    )


def test_moments_in_arrays_are_instants(run: Run, engine: Engine) -> None:
    flow = one_field(array({"type": "string", "format": "date-time"}), {"list": ["a"]})
    outcome = run(flow, "a\n2013-02-03T10:00:00+02:00\n")
    assert outcome.mapped == [{"x": [datetime(2013, 2, 3, 8, tzinfo=timezone.utc)]}]
    assert engine.results_page(outcome.result.mapped_path, 0, 1) == [{"x": ["2013-02-03T08:00:00Z"]}]


def unique(*keys: list[str], **properties: Any) -> dict[str, Any]:
    flow = document(properties, {name: {"extract": name} for name in properties})
    flow["target_schema"]["x-unique"] = list(keys)
    return flow


def test_unique_fields_beside_the_primary_key(run: Run) -> None:
    flow = unique(
        ["mail"], ["order", "line"], id=STRING | {"isPrimaryKey": True}, mail=TEXT, order=TEXT, line=INTEGER
    )
    rows = "id,mail,order,line\n1,a,o,1\n2,b,o,2\n3,,o,\n4,,o,\n1,a,o,2\n5,A,o,01\n"
    outcome = run(flow, rows)
    assert [row["id"] for row in outcome.mapped] == ["1", "2", "3", "4"]
    assert outcome.errors == {
        5: [("id", "duplicate", "1"), ("mail", "duplicate", "a"), ("order, line", "duplicate", "o, 2")],
        6: [("order, line", "duplicate", "o, 1")],
    }
    assert [error["message"] for error in outcome.rejects[0]["errors"]] == [
        "the same primary key as row 1",
        "the same mail as row 1",
        "the same order, line as row 2",
    ]
    assert [row["row_number"] for row in outcome.rejects] == [5, 6]


def test_a_field_of_an_object_can_be_unique(run: Run) -> None:
    flow = document({"o": obj(a=TEXT)}, {"o.a": {"extract": "a"}})
    flow["target_schema"]["x-unique"] = [["o.a"]]
    assert run(flow, "a,b\n1,\n1,\n,\n,\n").errors == {2: [("o.a", "duplicate", "1")]}


@pytest.mark.parametrize(
    ("properties", "mapper", "pointer", "message"),
    [
        ({"o": obj()}, {}, "/target_schema/properties/o/properties", "one property at least"),
        ({"o": obj(a=TEXT) | {"minProperties": 1}}, {}, "/target_schema/properties/o/minProperties", "not supported"),
        ({"o": obj(a=TEXT) | {"isPrimaryKey": True}}, {}, "/target_schema/properties/o/isPrimaryKey", "not supp"),
        ({"o": {"type": ["object", "string"]}}, {}, "/target_schema/properties/o/type", "stands alone"),
        ({"o": obj(a={"type": "blob"})}, {}, "/target_schema/properties/o/properties/a/type", "must be one of"),
        ({"o": obj(**{"a.b": TEXT})}, {}, "/target_schema/properties/o/properties/a.b", "no dot"),
        ({"o": obj(required=["z"], a=TEXT)}, {}, "/target_schema/properties/o/required/0", "none of the properties"),
        ({"o": obj(a=TEXT)}, {"o": {"extract": "a"}}, "/mapper/o", "is an object; .*: o.a"),
        ({"o": obj(a=TEXT)}, {}, "/mapper", "no entry for the property 'o.a'"),
        ({"l": {"type": "array"}}, {}, "/target_schema/properties/l/items", "is missing"),
        ({"l": array(array(TEXT))}, {}, "/target_schema/properties/l/items/items", "not supported for the items"),
        ({"l": array(obj(a=TEXT))}, {}, "/target_schema/properties/l/items/properties", "not supported for the items"),
        ({"l": array(TEXT, contains={})}, {}, "/target_schema/properties/l/contains", "not supported"),
        ({"l": array(TEXT, enum=[[]])}, {}, "/target_schema/properties/l/enum", "not supported beside type: array"),
        ({"l": array(TEXT, minItems=-1)}, {}, "/target_schema/properties/l/minItems", "from 0 on"),
        ({"l": array(TEXT)}, {"l": {"constant": "a"}}, "/mapper/l", "makes no array"),
        ({"l": array(TEXT)}, {"l": {"concat": ["a"]}}, "/mapper/l", "makes no array"),
        ({"l": array(TEXT)}, {"l": {"extract": "a", "default": "[]"}}, "/mapper/l/default", "no default"),
        ({"l": array(TEXT)}, {"l": {"split": {"from": "a", "by": "/", "part": 1}}}, "/mapper/l/split/part", "one"),
        ({"t": TEXT}, {"t": {"split": {"from": "a", "by": "/"}}}, "/mapper/t/split", "which part"),
        ({"t": TEXT}, {"t": {"list": ["a"]}}, "/mapper/t/list", "makes an array"),
        (
            {"l": array(TEXT), "t": TEXT},
            {"l": {"extract": "a"}, "t": {"extract": {"target": "l"}}},
            "/mapper/t/extract",
            "is an array",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(
    properties: dict[str, Any], mapper: dict[str, Any], pointer: str, message: str
) -> None:
    with pytest.raises(FlowError, match=message) as refused:
        parse_flow(document(properties, mapper), name="x", version="v1")
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("keys", "pointer"),
    [
        ("a", "/target_schema/x-unique"),
        ([[]], "/target_schema/x-unique/0"),
        ([["b"], "b"], "/target_schema/x-unique/1"),
        ([["a", "a"]], "/target_schema/x-unique/0"),
        ([["b", "c"]], "/target_schema/x-unique/0/1"),
        ([["l"]], "/target_schema/x-unique/0/0"),
        ([["a"]], "/target_schema/x-unique/0"),
        ([["b", "a"], ["a", "b"]], "/target_schema/x-unique/1"),
    ],
)
def test_unique_lists_that_are_refused(keys: Any, pointer: str) -> None:
    properties = {"a": TEXT | {"isPrimaryKey": True}, "b": TEXT, "l": array(TEXT)}
    flow = document(properties, {name: {"extract": name} for name in properties})
    flow["target_schema"]["x-unique"] = keys
    with pytest.raises(FlowError) as refused:
        parse_flow(flow, name="x", version="v1")
    assert refused.value.pointer == pointer


def test_objects_too_deep_are_refused() -> None:
    schema = obj(a=TEXT)
    for _ in range(10):
        schema = obj(a=schema)
    with pytest.raises(FlowError, match="deeper than 10 levels"):
        parse_flow(document({"o": schema}, {}), name="x", version="v1")


def test_hostile_names_in_objects(run: Run) -> None:
    names = ['we"ird', "'; --", "select", "{}", "ü 😀"]
    flow = document(
        {"o'": obj(**dict.fromkeys(names, TEXT))}, {f"o'.{name}": {"extract": "a"} for name in names}
    )
    assert run(flow, "a\nx\n").mapped == [{"o'": dict.fromkeys(names, "x")}]
