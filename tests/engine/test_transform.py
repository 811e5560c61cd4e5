"""The rules of a record's verdict, one by one."""

# ruff: noqa: DTZ001 - local times are what is tested

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.engine.conftest import Run, document, one_field

TEXT = {"type": ["string", "null"]}
MOMENT = {"type": ["string", "null"], "format": "date-time-local"}


def test_types_of_the_columns_with_and_without_rows(run: Run) -> None:
    formats = {"date": pa.date32(), "date-time": pa.timestamp("us", "UTC"), "date-time-local": pa.timestamp("us"),
               "time-local": pa.time64("us")}  # fmt: skip
    properties: dict[str, Any] = {name: {"type": "string", "format": name} for name in formats}
    properties |= {
        "t": {"type": "string"},
        "i": {"type": "integer"},
        "n": {"type": "number"},
        "b": {"type": "boolean"},
    }
    mapper = {name: {"extract": "a"} for name in properties}
    for content in ("a\nx\n", "a\n"):
        outcome = run(document(properties, mapper, allow_empty=True), content)
        schema = pq.read_schema(outcome.result.mapped_path)
        kinds = {"t": pa.string(), "i": pa.int64(), "n": pa.float64(), "b": pa.bool_()}
        assert dict(zip(schema.names, schema.types, strict=True)) == formats | kinds
        rejects = pq.read_schema(outcome.result.rejects_path)
        assert rejects.names == ["row_number", "source_record", "errors"]
        error = rejects.field("errors").type.value_type
        assert [field.name for field in error] == ["field", "type", "message", "value"]


def test_every_failing_constraint_is_an_error_and_absence_only_one(run: Run) -> None:
    schema = {"type": "string", "enum": ["a"], "pattern": "^b", "minLength": 3, "format": "email"}
    outcome = run(one_field(schema, {"extract": "a"}), "a,b\nx,\n,\n")
    kinds = [kind for _, kind, _ in outcome.errors[1]]
    assert kinds == ["enum", "pattern", "length", "format"]
    assert outcome.errors[2] == [("x", "required", None)]
    messages = [error["message"] for error in outcome.rejects[0]["errors"]]
    assert messages == [
        "is none of the options a", "does not match the pattern ^b", "must have at least 3 characters",
        "is not of the format email",
    ]  # fmt: skip


def test_duplicates_whatever_else_is_wrong(run: Run) -> None:
    properties = {
        "k": {"type": "integer", "isPrimaryKey": True, "maximum": 5},
        "l": {"type": "string", "isPrimaryKey": True},
        "x": {"type": "integer"},
    }
    mapper = {"k": {"extract": "k"}, "l": {"extract": "l"}, "x": {"extract": "x"}}
    rows = ["1,a,1", "01,a,2", "1,b,1", "9,a,1", "9,a,x", "1,,1", "1,,1", "z,a,1", "z,a,1", "1.0,a,y"]
    outcome = run(document(properties, mapper), "k,l,x\n" + "\n".join(rows) + "\n")
    assert outcome.errors == {
        2: [("k, l", "duplicate", "1, a")],
        4: [("k", "range", "9")],
        5: [("k", "range", "9"), ("x", "type", "x"), ("k, l", "duplicate", "9, a")],
        6: [("l", "required", None)],
        7: [("l", "required", None)],
        8: [("k", "type", "z")],
        9: [("k", "type", "z")],
        10: [("x", "type", "y"), ("k, l", "duplicate", "1, a")],
    }
    assert outcome.rejects[0]["errors"][0]["message"] == "the same primary key as row 1"
    assert outcome.rejects[-1]["errors"][-1]["message"] == "the same primary key as row 1"


def test_a_field_that_reads_a_failed_one_says_nothing(run: Run) -> None:
    properties = {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}, "d": TEXT}
    mapper = {
        "a": {"extract": "a"},
        "b": {"concat": [{"target": "a"}, {"text": "!"}], "default": "none"},
        "c": {"lookup": {"from": {"target": "b"}, "table": {"1!": "one"}}},
        "d": {"extract": {"target": "c"}, "default": "x"},
    }
    outcome = run(document(properties, mapper), 'a\n1\nx\n2\n""\n')
    assert outcome.mapped == [{"a": 1, "b": "1!", "c": "one", "d": "one"}]
    assert outcome.errors == {
        2: [("a", "type", "x")],
        3: [("c", "lookup", "2!")],
        4: [("a", "required", None)],
    }


def test_a_field_that_reads_one_with_a_violated_constraint_is_judged(run: Run) -> None:
    properties = {"a": {"type": "integer", "maximum": 1}, "b": {"type": "string", "maxLength": 1}}
    mapper = {"a": {"extract": "a"}, "b": {"extract": {"target": "a"}}}
    assert run(document(properties, mapper), "a\n12\n").errors == {
        1: [("a", "range", "12"), ("b", "length", "12")]
    }


@pytest.mark.parametrize(
    ("on_miss", "default", "texts"),
    [("null", "d", ["1", None, "d"]), ("default", "d", ["1", "d", "d"]), ("null", None, ["1", None, None])],
)
def test_what_a_lookup_makes_of_misses_and_absence(
    run: Run, on_miss: str, default: str | None, texts: list[str | None]
) -> None:
    entry: dict[str, Any] = {"lookup": {"from": "a", "table": {"x": 1}, "on_miss": on_miss}}
    if default:
        entry["default"] = default
    outcome = run(one_field(TEXT, entry), "a,b\nx,\ny,\n,\n")
    assert [row["x"] for row in outcome.mapped] == texts


def test_a_large_lookup_table(run: Run) -> None:
    table = {f"key{number}": f"value {number}" for number in range(5_000)}
    outcome = run(
        one_field(TEXT, {"lookup": {"from": "a", "table": table}}),
        "a\n" + "\n".join(f"key{number}" for number in range(-1, 5_001)) + "\n",
    )
    assert [row["x"] for row in outcome.mapped] == list(table.values())
    assert outcome.errors == {1: [("x", "lookup", "key-1")], 5_002: [("x", "lookup", "key5000")]}


@pytest.mark.parametrize(
    ("hhmm", "moment"),
    [
        ("5", datetime(2012, 2, 29, 0, 5)),
        ("517", datetime(2012, 2, 29, 5, 17)),
        ("0517", datetime(2012, 2, 29, 5, 17)),
        ("2359", datetime(2012, 2, 29, 23, 59)),
        ("2400", datetime(2012, 3, 1)),
        ("0", datetime(2012, 2, 29)),
    ],
)
def test_clock_readings(run: Run, hhmm: str, moment: datetime) -> None:
    parts = {"year": "y", "month": "m", "day": "d", "hhmm": "h"}
    outcome = run(one_field(MOMENT, {"datetime": parts}), f"y,m,d,h\n2012,2,29,{hhmm}\n")
    assert outcome.mapped == [{"x": moment}]
    schema = {"type": "string", "format": "time-local"}
    outcome = run(one_field(schema, {"time": {"hhmm": "h"}}), f"h\n{hhmm}\n")
    assert outcome.mapped == [{"x": moment.time()}]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("2013,2,29,1", "format"), ("2013,2,28,2401", "format"), ("2013,2,28,60", "format"), ("2013,2,28,-1", "format"),
        ("2013,13,1,1", "format"), ("0,1,1,1", "format"), ("10000,1,1,1", "format"), ("9999,12,31,2400", "format"),
        ("x,2,28,60", "type"), ("2013,2,28,1.5", "type"), ("2013,2,x,", "type"),
        ("2013,99999999999999999999,1,1", "type"),
    ],
)  # fmt: skip
def test_moments_that_do_not_exist(run: Run, row: str, error: str) -> None:
    parts = {"year": "y", "month": "m", "day": "d", "hhmm": "h"}
    outcome = run(one_field(MOMENT, {"datetime": parts}), f"y,m,d,h\n{row}\n")
    assert [kind for _, kind, _ in outcome.errors[1]] == [error]


@pytest.mark.parametrize(
    ("start", "hhmm", "tolerance", "moment"),
    [
        ("2013-01-01T23:50", "10", 0, datetime(2013, 1, 2, 0, 10)),
        ("2013-01-01T23:50", "2350", 0, datetime(2013, 1, 1, 23, 50)),
        ("2013-01-01T23:50", "2349", 0, datetime(2013, 1, 2, 23, 49)),
        ("2013-01-01T23:50", "2349", 60, datetime(2013, 1, 1, 23, 49)),
        ("2013-01-01T00:10", "2400", 60, datetime(2013, 1, 1)),
        ("2013-01-01T00:10", "2350", 60, datetime(2012, 12, 31, 23, 50)),
        ("2013-01-01T00:10", "2305", 60, datetime(2013, 1, 1, 23, 5)),
    ],
)
def test_the_day_that_follows_another_moment(
    run: Run, start: str, hhmm: str, tolerance: int, moment: datetime
) -> None:
    spec = {
        "year": "y",
        "month": "m",
        "day": "d",
        "hhmm": "h",
        "not_before": "start",
        "tolerance_minutes": tolerance,
    }
    flow = document({"start": MOMENT, "x": MOMENT}, {"start": {"extract": "s"}, "x": {"datetime": spec}})
    assert run(flow, f"s,y,m,d,h\n{start},2013,1,1,{hhmm}\n").mapped[0]["x"] == moment


@pytest.mark.parametrize(
    ("operation", "text_format", "formats", "text", "value"),
    [
        ("date", "date", ["%d/%m/%Y"], " 03/02/2013 ", date(2013, 2, 3)),
        ("date", "date", ["%Y-%m-%d", "%-d.%-m.%Y"], "3.2.2013", date(2013, 2, 3)),
        ("date", "date", ["%d/%m/%Y", "%m/%d/%Y"], "02/13/2013", date(2013, 2, 13)),
        ("datetime", "date-time-local", ["%Y%m%d %H%M%S.%f"], "20130203 051700.5",
         datetime(2013, 2, 3, 5, 17, 0, 500_000)),
        ("time", "time-local", ["%-H:%M"], "5:07", time(5, 7)),
        ("date", "date", ["%d%%%m(%Y)"], "03%02(2013)", date(2013, 2, 3)),
    ],
)  # fmt: skip
def test_formats(
    run: Run, operation: str, text_format: str, formats: list[str], text: str, value: Any
) -> None:
    schema = {"type": "string", "format": text_format}
    flow = one_field(schema, {operation: {"from": "a", "formats": formats}})
    outcome = run(flow, f"a\n{text}\n31/02/2013x\n2013-02-03T10:00\n")
    assert outcome.mapped == [{"x": value}]
    assert outcome.errors[2] == [("x", "format", "31/02/2013x")]


def test_hostile_names_and_values_everywhere(run: Run) -> None:
    evil = "'); COPY (SELECT 1) TO '/tmp/evil'; --"
    name = '"; DROP TABLE x; --'
    properties = {name: {"type": "string", "enum": [evil, "b"]}, "y": TEXT}
    mapper = {
        name: {"extract": evil},
        "y": {"lookup": {"from": evil, "table": {evil: evil}}, "default": evil},
    }
    header = '"' + evil.replace('"', '""') + '"'
    outcome = run(
        document(properties, mapper, null_values=["", "'"]), f'{header},{header[:-1]}x"\n{header},1\nz,2\n'
    )
    assert outcome.mapped == [{name: evil, "y": evil}]
    assert outcome.errors == {2: [(name, "enum", "z"), ("y", "lookup", "z")]}


def test_fields_that_build_on_each_other_many_times(run: Run) -> None:
    names = [f"f{number:02}" for number in range(30)]
    mapper: dict[str, Any] = {"f00": {"lookup": {"from": "a", "table": {"x": "y"}}}, "f01": {"extract": "a"}}
    for before, last, name in zip(names, names[1:], names[2:], strict=False):
        mapper[name] = {"concat": [{"target": before}, {"target": last}], "default": "z"}
        if name > "f05":
            mapper[name] = {
                "lookup": {"from": {"target": last}, "table": {"x": "y"}, "on_miss": "null"},
                "default": "x",
            }
        if name > "f08":
            mapper[name] = {"concat": [{"target": last}, {"target": before}], "default": ""}
    outcome = run(document(dict.fromkeys(names, TEXT), mapper), "a,b\nx,\ny,\n,\n")
    assert len(outcome.mapped) == 2
    assert outcome.errors == {2: [("f00", "lookup", "y")]}


def test_a_key_that_builds_on_other_fields_many_times(run: Run) -> None:
    names = [f"f{number:02}" for number in range(30)]
    mapper: dict[str, Any] = {"f00": {"extract": "a"}, "f01": {"extract": "b"}}
    mapper["f02"] = {"concat": [{"target": "f00"}, {"target": "f01"}], "default": "z"}
    for before, last, name in zip(names[1:], names[2:], names[3:], strict=False):
        mapper[name] = {"coalesce": [{"target": last}, {"target": before}], "default": "z"}
    flow = document(dict.fromkeys(names, TEXT), mapper)
    flow["target_schema"]["x-unique"] = [["f29"]]
    outcome = run(flow, "a,b\nx,1\nx,2\nx,1\n" + "".join(f"y,{number}\n" for number in range(40)) + "y,7\n")
    assert outcome.errors == {3: [("f29", "duplicate", "x1")], 44: [("f29", "duplicate", "y7")]}


def test_a_key_of_two_fields_from_one_column(run: Run) -> None:
    flow = document({"x": TEXT, "y": TEXT}, {"x": {"extract": "a"}, "y": {"extract": "a"}})
    flow["target_schema"]["x-unique"] = [["x", "y"]]
    outcome = run(flow, "a,b\np,1\nq,2\np,3\n,4\n,5\n")
    assert outcome.errors == {3: [("x, y", "duplicate", "p, p")]}
    assert [row["x"] for row in outcome.mapped] == ["p", "q", None, None]
