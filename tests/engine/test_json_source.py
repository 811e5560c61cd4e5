"""JSON lines and JSON arrays."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lume_dagster.engine import BatchError
from lume_dagster.engine.json_path import ABSENT, parse_path, resolve
from tests.engine.conftest import Run, document

TEXT = {"type": ["string", "null"]}


def flow(*columns: str, **source: Any) -> dict[str, Any]:
    fields = {f"f{index}": TEXT for index in range(len(columns))}
    return document(fields, {f"f{index}": {"extract": name} for index, name in enumerate(columns)}, **source)


def values(run: Run, columns: list[str], content: str, name: str = "x.jsonl", **source: Any) -> list[Any]:
    outcome = run(flow(*columns, **source), content, name)
    return [list(row.values()) for row in outcome.mapped]


def test_values_are_texts_by_the_canonical_rules(run: Run) -> None:
    content = (
        '{"a": 1.50, "b": 12345678901234567890123, "c": true, "d": null, "e": ""}\n\n'
        '{"a": 1e3, "b": -0, "c": "x\\ty", "d": {"k": [1.0, "z", null, false]}, "e": []}\r\n'
        '{"a": "\\ud83d\\ude00"}'
    )
    assert values(run, ["a", "b", "c", "d", "e"], content, null_values=[]) == [
        ["1.50", "12345678901234567890123", "true", None, ""],
        ["1e3", "-0", "x\ty", '{"k":[1.0,"z",null,false]}', "[]"],
        ["\U0001f600", None, None, None, None],
    ]


DEFECTS = {
    "not json": "Expecting value at character 1",
    "[1]": "is no JSON object",
    "7": "is no JSON object",
    '{"a": 1, "a": 2}': "the member 'a' stands there twice",
    '{"a": NaN}': "NaN is no JSON",
    '{"a": "\\ud800"}': "lone surrogate",
    '{"a\\u0000b": 1}': "NUL",
    '{"a": "half': "Unterminated string",
    '{"a": ' + "[" * 100_000 + "}": "nested too deeply",
}


def test_a_line_that_is_no_object_is_a_reject_with_its_text(run: Run) -> None:
    lines = ['{"a": 1}', *DEFECTS, '{"a": 2}']
    outcome = run(flow("a"), "\n".join(lines), "x.ndjson")
    assert outcome.mapped == [{"f0": "1"}, {"f0": "2"}]
    assert [(row["row_number"], json.loads(row["source_record"])) for row in outcome.rejects] == [
        (number, {"raw": line}) for number, line in enumerate(DEFECTS, 2)
    ]
    for row, said in zip(outcome.rejects, DEFECTS.values(), strict=True):
        (error,) = row["errors"]
        assert error["type"] == "unparsable"
        assert said in error["message"]


def test_columns_of_late_records_and_the_whole_record_in_the_rejects(run: Run) -> None:
    lines = [json.dumps({"a": number}) for number in range(20_000)] + ['{"late": 1, "a": "x"}', "broken"]
    strict = document({"n": {"type": "integer"}}, {"n": {"extract": "a"}}, optional=["never"])
    outcome = run(strict, "\n".join(lines), "x.jsonl")
    assert (outcome.result.mapped_rows, outcome.result.unexpected) == (20_000, ("late",))
    assert [row["row_number"] for row in outcome.rejects] == [20_001, 20_002]
    assert json.loads(outcome.rejects[0]["source_record"]) == {"a": "x", "late": "1"}


def test_a_column_that_no_record_has_must_be_optional(run: Run) -> None:
    with pytest.raises(BatchError, match=r"not there: 'b', 'c\.d'"):
        run(flow("a", "b", "c.d"), '{"a": 1}', "x.jsonl")
    outcome = run(flow("a", "b", "c.d", optional=["b", "c.d"]), '{"a": 1}', "x.jsonl")
    assert outcome.mapped == [{"f0": "1", "f1": None, "f2": None}]
    assert outcome.result.missing == ("b", "c.d")


def test_nested_values_by_path(run: Run) -> None:
    records = [
        {"address": {"city": "Oslo"}, "items": [{"sku": "a", "n": 1}, {"n": 2}, {"sku": None}], "x.y": 1},
        {"address": None, "items": [], "x": {"y": 2}},
        {"address": {"city": {"name": "Rome"}}, "items": "none"},
    ]
    columns = ["address.city", "items[*].sku", "items[0].n", "x.y"]
    content = "\n".join(map(json.dumps, records))
    assert values(run, columns, content) == [
        ["Oslo", '["a",null]', "1", "1"],
        [None, "[]", None, "2"],
        ['{"name":"Rome"}', None, None, None],
    ]
    assert run(flow(*columns), content, "x.jsonl").result.unexpected == ()


@pytest.mark.parametrize("text", ["a", "", ".a", "a.", "a..b", "a[", "a[x]", "a[1", "a]b", "[0]"])
def test_what_is_no_path(text: str) -> None:
    assert parse_path(text) is None


def test_steps_of_a_path() -> None:
    steps = parse_path("a[*][1].b c")
    assert steps is not None
    assert resolve({"a": [[0, {"b c": 5}], [0], 7]}, steps) == [5]
    assert resolve({"a": {}}, steps) is ABSENT
    star = parse_path("a.*")
    assert star is not None
    assert resolve({"a": {"*": 3}}, star) == 3


def test_arrays_across_chunks(run: Run) -> None:
    records = [{"a": str(number), "b": "\u00e9x\U0001f600" * (number % 200)} for number in range(30_000)]
    for content in (json.dumps(records, ensure_ascii=False), json.dumps(records, indent=1)):
        outcome = run(flow("a", "b"), gzip.compress(content.encode(), 1), "x.json.gz")
        assert [row["f0"] for row in outcome.mapped] == [record["a"] for record in records]
        assert [row["f1"] or "" for row in outcome.mapped] == [record["b"] for record in records]


def test_items_that_are_no_objects_are_rejects(run: Run) -> None:
    outcome = run(flow("a"), '[{"a": 1}, 12 , "x", {"a": 1, "a": 2},{"a":NaN}, {"a": 3}]', "x.json")
    assert [row["f0"] for row in outcome.mapped] == ["1", "3"]
    assert [(row["row_number"], json.loads(row["source_record"])["raw"]) for row in outcome.rejects] == [
        (2, "12"), (3, '"x"'), (4, '{"a": 1, "a": 2}'), (5, '{"a":NaN}')
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON array"),
        ("a,b\n1,2\n", "no JSON array"),
        ("[]", "set source.allow_empty"),
        ('[{"a": 1}', "after item 1: the array breaks off"),
        ('[{"a": 1},', "after item 1: the next item is no JSON"),
        ('[{"a": 1},]', "after item 1: there is a comma with nothing after it"),
        ('[{"a": 1} {"a": 2}]', "no comma between two items"),
        ('[{"a": 1}] x', "more after the end of the array"),
        ('{"a": 1}\n{"a": 2}', "set source.format: jsonl"),
        ('[{"a": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_array_of_records(run: Run, content: str, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        run(flow("a"), content, "x.json")


def test_one_object_is_one_record(run: Run) -> None:
    assert values(run, ["a"], ' {"a": 1}\n', "x.json") == [["1"]]


def test_records_that_do_not_end_are_refused(run: Run) -> None:
    with pytest.raises(BatchError, match=r"line 2: the line does not end within 16 MB"):
        run(flow("a"), '{"a": 1}\n' + "x" * 20_000_000, "x.jsonl")
    with pytest.raises(BatchError, match=r"after item 1: the next item does not end within 16 MB"):
        run(flow("a"), '[{"a": 1}, {"a": "' + "x" * 20_000_000, "x.json")


def test_keys_of_data_are_no_columns(run: Run) -> None:
    keys = dict.fromkeys(map(str, range(10_001)), 1)
    with pytest.raises(BatchError, match="more than 10000 different members"):
        run(flow("a"), json.dumps(keys), "x.jsonl")


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=6))
def test_lines_and_arrays_say_the_same_and_nothing_is_lost(run: Run, records: list[dict[str, Any]]) -> None:
    columns = ["a", "b", "c"]
    document = flow(*columns, optional=columns, null_values=[])
    lines = run(document, "\n".join(map(json.dumps, records)), "x.jsonl").mapped
    assert lines == run(document, json.dumps(records, ensure_ascii=False), "y.json").mapped
    for record, row in zip(records, lines, strict=True):
        for name, text in zip(columns, row.values(), strict=True):
            value = record.get(name)
            if value is None or isinstance(value, str):
                assert text == value
            else:
                assert json.loads(text) == value
