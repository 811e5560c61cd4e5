"""The operations of the mapping language, one by one, at their edges."""

# ruff: noqa: DTZ001 - local times are what is tested

from __future__ import annotations

import time as clock
import uuid
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lume_dagster.engine import FlowError, parse_flow
from lume_dagster.engine.document import LUME_NAMESPACE
from tests.engine.conftest import Run, document, one_field

TEXT: dict[str, Any] = {"type": ["string", "null"]}
INTEGER: dict[str, Any] = {"type": ["integer", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
BOOLEAN: dict[str, Any] = {"type": ["boolean", "null"]}
DATE: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time-local"}
INSTANT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "time-local"}


def csv(*values: str) -> str:
    """A batch of the column `a`, and a second one, so that an empty field is a record."""
    return "a,b\n" + "".join('"' + value.replace('"', '""') + '",\n' for value in values)


def values(run: Run, schema: dict[str, Any], entry: dict[str, Any], *texts: str) -> list[Any]:
    """What becomes of each text of the column `a`: its value, or the types of its errors in brackets."""
    outcome = run(one_field(schema, entry), csv(*texts))
    good = iter(row["x"] for row in outcome.mapped)
    return [
        [kind for _, kind, _ in outcome.errors[number]] if number in outcome.errors else next(good)
        for number in range(1, len(texts) + 1)
    ]


@pytest.mark.parametrize(
    ("steps", "text", "result"),
    [
        (["trim"], "\u00a0 \tx y\u3000\n", "x y"),
        (["collapse_spaces"], " a \t\n b\u00a0c ", " a b c "),
        (["trim", "collapse_spaces", "upper"], " a  \u00df ", "A \u1e9e"),
        (["lower"], "\u0130\u00c4\u03a3", "i\u00e4\u03c3"),
        (["strip_accents"], "\u00c5ngstr\u00f6m \u0142 e\u0301", "Angstrom \u0142 e"),
        ([{"replace": ["a", ""]}, {"replace": ["'", "\\1"]}], "a'ba", "\\1b"),
        ([{"pad": {"width": 4, "with": "0"}}], "42", "0042"),
        ([{"pad": {"width": 4, "side": "right"}}], "\U0001f469", "\U0001f469   "),
        ([{"pad": {"width": 2, "with": "0"}}], "12345", "12345"),
        ([{"truncate": 2}], "\u00e9\U0001f469z", "\u00e9\U0001f469"),
        (["trim", "empty_to_null"], "  ", None),
        (["trim"], "  ", ""),
    ],
)
def test_text_steps(run: Run, steps: list[Any], text: str, result: str | None) -> None:
    assert values(run, TEXT, {"extract": "a", "steps": steps}, text) == [result]


def test_steps_follow_any_operation_and_leave_defaults_alone(run: Run) -> None:
    lookup = {"from": "a", "table": {"x": " y "}, "on_miss": "default"}
    entry = {"lookup": lookup, "default": " z ", "steps": ["trim", "upper"]}
    assert values(run, TEXT, entry, "x", "other", "") == ["Y", " z ", " z "]
    number = {"number": {"from": "a"}, "steps": [{"pad": {"width": 6, "with": "0"}}]}
    assert values(run, TEXT, number, "1.5") == ["0001.5"]
    assert values(run, DATE, {"extract": "a", "steps": [{"truncate": 10}]}, "2013-02-03T10:00") == [
        date(2013, 2, 3)
    ]
    emptied = {"extract": "a", "steps": ["trim", "empty_to_null"], "default": "none"}
    assert values(run, TEXT, emptied, " ", "", " a") == ["none", "none", "a"]


def test_a_long_chain_of_steps(run: Run) -> None:
    pads = [{"pad": {"width": width, "with": "0"}} for width in range(2, 42)]
    assert values(run, TEXT, {"extract": "a", "steps": [*pads, "upper", *pads]}, "x", "") == [
        "0" * 40 + "X",
        None,
    ]


def test_many_options_of_times_are_compared_as_times(run: Run) -> None:
    options = [
        f"{hour:02}:{minute:02}:00{zeros}" for hour in range(20) for minute, zeros in ((0, ""), (30, ".0"))
    ]
    schema = {"type": "string", "format": "time-local", "enum": [*options, " 05:15 ", "\t23:00"]}
    found = values(run, schema, {"extract": "a"}, "00:00", "05:15", "19:30:00.00", "23:00", "20:00", "05:16")
    assert found == [time(0), time(5, 15), time(19, 30), time(23), ["enum"], ["enum"]]


def test_coalesce(run: Run) -> None:
    properties = {"d": DATE, "x": TEXT, "y": DATE, "z": {"type": "string"}}
    mapper = {
        "d": {"extract": "a"},
        "x": {"coalesce": ["b", {"target": "d"}], "default": "none"},
        "y": {"coalesce": [{"target": "d"}, {"target": "d"}]},
        "z": {"coalesce": ["b", {"text": "-"}], "steps": ["upper"]},
    }
    outcome = run(document(properties, mapper), "a,b\n2013-02-03,\n2013-02-03,q\n,\nbad,q\n")
    assert [(row["x"], row["y"], row["z"]) for row in outcome.mapped] == [
        ("2013-02-03", date(2013, 2, 3), "-"),
        ("q", date(2013, 2, 3), "Q"),
        ("none", None, "-"),
    ]
    assert outcome.errors == {4: [("d", "format", "bad")]}


def test_template(run: Run) -> None:
    outcome = run(one_field(TEXT, {"template": "{{{a}}}-{odd name}%"}), "a,odd name\n1,2\n,2\n")
    assert [row["x"] for row in outcome.mapped] == ["{1}-2%", None]


@pytest.mark.parametrize(
    ("part", "results"),
    [
        (1, ["a", "", "", None]),
        (2, ["b", "", None, None]),
        (-1, ["c", "", "", None]),
        (-3, ["a", None, None, None]),
    ],
)
def test_split(run: Run, part: int, results: list[str | None]) -> None:
    entry = {"split": {"from": "a", "by": "::", "part": part}}
    assert values(run, TEXT, entry, "a::b::c", "::", "") == results[:2] + results[3:]
    assert values(run, TEXT, {**entry, "default": "d"}, "x::y", "")[1] == "d"
    assert values(run, {"type": "string"}, {"split": {"from": "a", "by": ",", "part": 2}}, "x") == [
        ["required"]
    ]


def test_regex(run: Run) -> None:
    spec = {"from": "a", "pattern": r"([A-Z]+)-(\d+)?"}
    assert values(run, TEXT, {"regex": spec}, "xAB-12", "ab", "AB-", "") == ["AB", ["pattern"], "AB", None]
    second = {"regex": {**spec, "group": 2, "on_miss": None}, "default": "d"}
    assert values(run, TEXT, second, "AB-12", "ab", "AB-", "") == ["12", None, "", "d"]
    whole = {"regex": {**spec, "group": 0, "on_miss": "default"}, "default": "d"}
    assert values(run, TEXT, whole, "xAB-12y", "ab", "") == ["AB-12", "d", "d"]
    assert values(run, INTEGER, {"regex": {"from": "a", "pattern": "\\d+", "group": 0}}, "n 12") == [12]


def test_a_hostile_pattern_does_not_hang_a_run(run: Run) -> None:
    evil = "(a+)+$"
    started = clock.monotonic()
    schema = {"type": ["string", "null"], "pattern": "^(?:a|aa)+$"}
    entry = {"regex": {"from": "a", "pattern": evil, "group": 0, "on_miss": None}}
    assert values(run, schema, entry, "a" * 100_000 + "!") == [None]
    assert values(run, schema, {"extract": "a"}, "a" * 100_000 + "!") == [["pattern"]]
    assert clock.monotonic() - started < 10


GERMAN = {
    "from": "a",
    "decimal": ",",
    "thousands": ".",
    "currency": ["\u20ac", "EUR"],
    "negatives": "accounting",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,5", 1234.5), ("1234,5", 1234.5), ("1.234.567", 1234567.0), (" -12 ", -12.0), ("+5,", 5.0), (",5", 0.5),
        ("(1.000,25)", -1000.25), ("\u20ac 5", 5.0), ("5\u00a0EUR", 5.0), ("-\u20ac5", -5.0), ("\u20ac-5", -5.0),
        ("(5 \u20ac)", -5.0), ("(5) \u20ac", -5.0), ("\u20ac (5)", -5.0), ("- 5", -5.0),
        ("1.23", ["type"]), ("12.34.567", ["type"]), ("1,2,3", ["type"]), ("1.234.", ["type"]), ("5%", ["type"]),
        ("(-5)", ["type"]), ("-(5)", ["type"]), ("5 USD", ["type"]),
        ("\u20ac 5 \u20ac", ["type"]), ("\u20ac(\u20ac5)", ["type"]), ("1e3", ["type"]),
        ("--5", ["type"]), ("-", ["type"]), ("\u20ac", ["type"]), ("\u0665", ["type"]), ("", None), (" ", ["type"]),
        ("9" * 400, ["type"]),
    ],
)  # fmt: skip
def test_numbers_for_people(run: Run, text: str, value: Any) -> None:
    assert values(run, NUMBER, {"number": GERMAN}, text) == [value]


def test_whole_numbers_for_people_keep_all_digits(run: Run) -> None:
    entry = {"number": {"from": "a", "thousands": " "}}
    assert values(run, INTEGER, entry, "9 223 372\u202f036\u00a0854 775 807", "9 223 372 036 854 775 808", "1.0") == [
        2**63 - 1, ["type"], 1,
    ]  # fmt: skip


def test_percentages(run: Run) -> None:
    entry = {"number": {"from": "a", "percent": True}}
    assert values(run, NUMBER, entry, "12.5%", "29 %", "-7", "%") == [0.125, 0.29, -7.0, ["type"]]
    assert values(run, INTEGER, entry, "500%", "50%", "3") == [5, ["type"], 3]


def test_booleans_by_words(run: Run) -> None:
    entry = {"boolean": {"from": "a", "true": ["Ja", "\u00c4"], "false": ["nein", "0"]}}
    assert values(run, BOOLEAN, entry, " JA\t", "\u00e4", "Nein", "0", "true", "") == [
        True, True, False, False, ["type"], None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "schema", "results"),
    [
        ("sum", INTEGER, [6, 2, None, ["type"], ["type"]]),
        ("sum", NUMBER, [6.0, 2.0, None, ["type"], 2.0**63]),
        ("min", INTEGER, [1, 2, None, ["type"], 1]),
        ("max", INTEGER, [3, 2, None, ["type"], 2**63 - 1]),
        ("count", INTEGER, [3, 1, 0, 2, 2]),
        ("join", TEXT, ["1+2+3", "2", None, "1+x", "9223372036854775807+1"]),
    ],
)
def test_aggregates(run: Run, function: str, schema: dict[str, Any], results: list[Any]) -> None:
    spec: dict[str, Any] = {"of": ["a", "b", "c"], "function": function}
    if function == "join":
        spec["separator"] = "+"
    outcome = run(
        one_field(schema, {"aggregate": spec}), "a,b,c\n1,2,3\n,2,\n,,\n1,x,\n9223372036854775807,,1\n"
    )
    good = iter(row["x"] for row in outcome.mapped)
    assert [
        [kind for _, kind, _ in outcome.errors[number]] if number in outcome.errors else next(good)
        for number in range(1, 6)
    ] == results


def test_the_first_and_the_last_day(run: Run) -> None:
    properties = {"d": DATE, "x": DATE, "y": DATE}
    mapper = {
        "d": {"date": {"from": "a", "formats": ["%d.%m.%Y"]}},
        "x": {"aggregate": {"of": [{"target": "d"}, "b"], "function": "min"}, "default": "2000-01-01"},
        "y": {"aggregate": {"of": [{"target": "d"}, "b"], "function": "max"}},
    }
    outcome = run(document(properties, mapper), "a,b\n03.02.2013,2012-01-01\n,\n03.02.2013,\n03.02.2013,x\n")
    days = [(row["x"], row["y"]) for row in outcome.mapped]
    first = date(2013, 2, 3)
    assert days == [(date(2012, 1, 1), first), (date(2000, 1, 1), None), (first, first)]
    assert outcome.errors == {4: [("x", "format", "x"), ("y", "format", "x")]}


def test_uuid_keys(run: Run) -> None:
    assert uuid.UUID("77577b0f-6c3b-57a2-98a6-f76ba65d650f") == LUME_NAMESPACE, (
        "keys of every flow hang on it"
    )
    texts = ["a", "\u00e9\U0001f469", "x" * 300]
    assert values(run, TEXT, {"uuid": {"of": ["a"]}}, *texts) == [
        str(uuid.uuid5(LUME_NAMESPACE, t)) for t in texts
    ]
    entry = {"uuid": {"of": ["a", {"text": "/"}, "b"], "namespace": str(uuid.NAMESPACE_URL)}}
    outcome = run(one_field(TEXT, entry), "a,b\n\u00e9a,b\n\u00e9,ab\na,\n")
    assert [row["x"] for row in outcome.mapped] == [
        str(uuid.uuid5(uuid.NAMESPACE_URL, "2:\u00e9a1:/1:b")),
        str(uuid.uuid5(uuid.NAMESPACE_URL, "1:\u00e91:/2:ab")),
        None,
    ]


@pytest.mark.parametrize(
    ("written", "text", "value"),
    [
        ("%d-%b-%y", "03-feb-13", date(2013, 2, 3)), ("%d-%b-%y", "03-FEB-68", date(2068, 2, 3)),
        ("%d-%b-%y", "03-Feb-69", date(1969, 2, 3)), ("%B %-d, %Y", "February 3, 0013", date(13, 2, 3)),
        ("%B %-d, %Y", "Feb 3, 2013", ["format"]), ("%b %-d, %Y", "February 3, 2013", ["format"]),
        ("%d-%b-%y", "29-feb-13", ["format"]), ("%d-%b-%y", "03-m\u00e4r-13", ["format"]),
        ("%m/%d/%y", "2/3/13", ["format"]), ("%m/%d/%y", " 02/03/13 ", date(2013, 2, 3)),
        ("%B %-d, %Y", "February 3, 0000", ["format"]), ("%b %Y %d", "May 2013 31", date(2013, 5, 31)),
    ],
)  # fmt: skip
def test_months_by_name_and_short_years(run: Run, written: str, text: str, value: Any) -> None:
    assert values(run, DATE, {"date": {"from": "a", "formats": [written]}}, text) == [value]


def test_twelve_hours(run: Run) -> None:
    entry = {"time": {"from": "a", "formats": ["%-I:%M %p", "%I:%M:%S.%f%p"]}}
    texts = ["12:00 am", "12:59 PM", "1:05 pM", "01:02:03.5AM", "13:00 PM", "0:10 AM", "1:05"]
    assert values(run, TIME, entry, *texts) == [
        time(0), time(12, 59), time(13, 5), time(1, 2, 3, 500_000), ["format"], ["format"], ["format"],
    ]  # fmt: skip
    moment = {"datetime": {"from": "a", "formats": ["%m/%d/%Y %-I:%M %p"]}}
    assert values(run, MOMENT, moment, "02/03/2013 12:05 AM") == [datetime(2013, 2, 3, 0, 5)]


def test_time_zones(run: Run) -> None:
    entry = {"datetime": {"from": "a", "formats": ["%Y-%m-%d %H:%M"], "time_zone": "Europe/Berlin"}}
    found = values(
        run, INSTANT, entry, "2013-01-01 00:30", "2013-07-01 00:30", "2013-03-31 02:30", "2013-10-27 02:30",
        "2013-03-31 03:00", "0001-01-01 00:00", "9999-12-31 23:59", "x", "",
    )  # fmt: skip
    utc = timezone.utc
    assert found == [
        datetime(2012, 12, 31, 23, 30, tzinfo=utc), datetime(2013, 6, 30, 22, 30, tzinfo=utc), ["format"],
        datetime(2013, 10, 27, 0, 30, tzinfo=utc), datetime(2013, 3, 31, 1, tzinfo=utc), ["format"],
        datetime(9999, 12, 31, 22, 59, tzinfo=utc), ["format"], None,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"])
def test_every_half_hour_around_the_changes_of_the_clocks(run: Run, name: str) -> None:
    moments = [
        start + timedelta(minutes=30 * step)
        for start in (
            datetime(2011, 12, 29),
            datetime(2013, 3, 9),
            datetime(2013, 4, 6),
            datetime(2013, 10, 5),
        )
        for step in range(120)
    ]
    entry = {"datetime": {"from": "a", "formats": ["%Y-%m-%dT%H:%M:%S"], "time_zone": name}}
    found = values(run, INSTANT, entry, *(moment.isoformat() for moment in moments))
    for moment, value in zip(moments, found, strict=True):
        instant = moment.replace(tzinfo=ZoneInfo(name)).astimezone(timezone.utc)
        exists = instant.astimezone(ZoneInfo(name)).replace(tzinfo=None) == moment
        assert value == (instant if exists else ["format"]), moment


RULED = {
    "arrival": MOMENT,
    "departure": MOMENT,
    "n": INTEGER,
    "m": NUMBER,
    "t": TEXT,
    "d": DATE,
    "b": BOOLEAN,
    "not": INTEGER,
}


@pytest.mark.parametrize(
    ("rule", "row", "holds"),
    [
        ("arrival >= departure", {"arrival": "2013-01-01T10:00", "departure": "2013-01-01T10:00"}, True),
        ("arrival > departure", {"arrival": "2013-01-01T10:00", "departure": "2013-01-01T10:00"}, False),
        ("arrival > departure", {"arrival": "2013-01-01T10:00"}, True),
        ("n = 9223372036854775807", {"n": "9223372036854775806"}, False),
        ("n < m", {"n": "2", "m": "2.5"}, True), ("n * 2 <= m + 1", {"n": "2", "m": "2.5"}, False),
        ("n != 1 or m / 0 > 1", {"n": "1", "m": "1"}, False), ("n = 1 or m / 0 > 1", {"n": "1", "m": "1"}, True),
        ("not (n > 1 and m > 1)", {"n": "2", "m": "2"}, False), ("n > 5 and m > 1", {"n": "1"}, True),
        ("t = 'it''s'", {"t": "it's"}, True), ("t < 'b'", {"t": "\U0001f469"}, False),
        ("d >= '2013-01-01'", {"d": "2012-12-31"}, False),
        ("d >= '2013-01-01' or b", {"d": "2012-12-31", "b": "1"}, True),
        ("not b", {"b": "true"}, False), ("(n + 1) * 2 = 6", {"n": "2"}, True),
        ("-n < round(m, 1)", {"n": "1", "m": "-1"}, False),
        ('"not" = 1', {"not": "2"}, False), ("m = 0", {"m": "-0"}, True), ("n = 1", {"n": "x"}, None),
    ],
)  # fmt: skip
def test_rules(run: Run, rule: str, row: dict[str, str], holds: bool | None) -> None:
    flow = document(RULED, {name: {"extract": name} for name in RULED}) | {"rules": [{"rule": rule}]}
    names = list(RULED)
    content = ",".join(names) + "\n" + ",".join('"' + row.get(name, "") + '"' for name in names) + "\n"
    outcome = run(flow, content)
    if holds is None:
        assert [kind for _, kind, _ in outcome.errors[1]] == ["type"]
    elif holds:
        assert not outcome.errors
    else:
        ((_, kind, _),) = outcome.errors[1]
        assert kind == "range"


def test_what_a_broken_rule_says(run: Run) -> None:
    schema = {"a": INTEGER, "b": {"type": ["integer", "null"], "maximum": 3}}
    rules = [
        {"rule": "a < b"},
        {"rule": "a < b", "fields": ["b"], "message": "comes too early"},
    ]
    flow = document(schema, {"a": {"extract": "a"}, "b": {"extract": "b"}}) | {"rules": rules}
    outcome = run(flow, "a,b\n5,4\n1,2\n")
    assert outcome.errors == {1: [("b", "range", "4"), ("a, b", "range", "5, 4"), ("b", "range", "4")]}
    messages = [error["message"] for error in outcome.rejects[0]["errors"]]
    assert messages[1:] == ["breaks the rule a < b", "comes too early"]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "multipleOf": 5}, ["0", "-10"], ["7"]),
        ({"type": "integer", "multipleOf": 1.5}, ["3", "-9"], ["1", "4"]),
        ({"type": "number", "multipleOf": 0.1}, ["0.3", "1.1", "-0", "123456789.7", "1e20"],
         ["0.35", "0.30000000000000004"]),
        ({"type": "number", "multipleOf": 0.01}, ["4.35", "1.15", "79.99"], ["4.355", "1e-300"]),
        ({"type": "number", "multipleOf": 3}, ["9", "3e15", "3e16"], ["10", "1e16"]),
        ({"type": "string", "format": "time"}, ["10:00:00Z", "23:59:59.123456789-05:30"],
         ["10:00Z", "10:00:00", "24:00:00Z"]),
        ({"type": "string", "format": "ipv4"}, ["0.0.0.0", "255.249.199.1"],
         ["256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4."]),
        ({"type": "string", "format": "uri"},
         ["http://a.example/b?c=d#e", "mailto:a@b.example", "urn:x:1", "http://[::1]:80/", "file:///x", "a:"],
         ["a/b", "http://a b", "http://a/%zz", "http://a/#b#c", "//a", "1a:b", "http://[a]b/", "http://\u00e4/"]),
        ({"type": "string", "format": "date", "enum": ["2013-01-01"]}, ["2013-01-01", " 2013-01-01"], ["2013-01-02"]),
        ({"type": "string", "format": "time-local", "const": "10:00"}, ["10:00:00.0"], ["10:01"]),
        ({"type": "string", "format": "date-time", "enum": ["2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"]},
         ["2013-01-01T02:00+02:00"], ["2013-01-01T02:00Z"]),
        ({"type": "boolean", "const": False}, ["0"], ["1"]),
    ],
)  # fmt: skip
def test_constraints(run: Run, schema: dict[str, Any], good: list[str], bad: list[str]) -> None:
    outcome = run(one_field(schema, {"extract": "a"}), csv(*good, *bad))
    assert list(outcome.errors) == list(range(len(good) + 1, len(good) + len(bad) + 1))


@pytest.mark.parametrize(
    ("schema", "entry", "pointer", "message"),
    [
        (TEXT, {"extract": "a", "steps": ["shout"]}, "/mapper/x/steps/0", ""),
        (TEXT, {"extract": "a", "steps": [{"shout": 1}]}, "/mapper/x/steps/0", "no step that is known"),
        (TEXT, {"extract": "a", "steps": [{"pad": {"width": 2, "with": "ab"}}]}, "/mapper/x/steps/0/pad/with", ""),
        (TEXT, {"extract": "a", "steps": [{"replace": ["", "a"]}]}, "/mapper/x/steps/0", "a text to replace"),
        (NUMBER, {"number": {"from": "a"}, "steps": ["trim"]}, "/mapper/x/steps", "gives a number"),
        (TEXT, {"coalesce": []}, "/mapper/x/coalesce", ""),
        (TEXT, {"coalesce": ["a", {"text": "b"}, "c"]}, "/mapper/x/coalesce/2", "never used"),
        (TEXT, {"template": "{a"}, "/mapper/x/template", "character 1 has no partner"),
        (TEXT, {"template": "a}{b}"}, "/mapper/x/template", "character 2 has no partner"),
        (TEXT, {"template": "a"}, "/mapper/x/template", "names no column"),
        (TEXT, {"split": {"from": "a", "by": ",", "part": 0}}, "/mapper/x/split/part", "counted from 1"),
        (TEXT, {"split": {"from": "a", "by": "", "part": 1}}, "/mapper/x/split/by", ""),
        (TEXT, {"regex": {"from": "a", "pattern": "(?=a)"}}, "/mapper/x/regex/pattern", "look-around"),
        (TEXT, {"regex": {"from": "a", "pattern": r"\((a)[(]"}, "default": "b"}, "", None),
        (TEXT, {"regex": {"from": "a", "pattern": r"\((a)[(]", "group": 2}}, "/mapper/x/regex/group", "1 groups"),
        (TEXT, {"regex": {"from": "a", "pattern": "(a)", "on_miss": "default"}}, "/mapper/x", "needs a default"),
        (NUMBER, {"number": {"from": "a", "decimal": ",", "thousands": ","}}, "/mapper/x/number", "must differ"),
        (NUMBER, {"number": {"from": "a", "currency": ["5"]}}, "/mapper/x/number/currency", "no currency"),
        (NUMBER, {"number": {"from": "a", "currency": ["."]}}, "/mapper/x/number/currency", "no currency"),
        (BOOLEAN, {"number": {"from": "a"}}, "/mapper/x", "gives a number"),
        (BOOLEAN, {"boolean": {"from": "a", "true": ["y"], "false": ["Y"]}}, "/mapper/x/boolean", "twice"),
        (INTEGER, {"boolean": {"from": "a", "true": ["y"], "false": ["n"]}}, "/mapper/x", "gives a boolean"),
        (TEXT, {"aggregate": {"of": ["a"], "function": "sum"}}, "/mapper/x/aggregate/function", "takes no sum"),
        (BOOLEAN, {"aggregate": {"of": ["a"], "function": "max"}}, "/mapper/x/aggregate/function", "takes no max"),
        (INTEGER, {"aggregate": {"of": ["a"], "function": "count"}, "default": 1}, "/mapper/x", "never absent"),
        (TEXT, {"aggregate": {"of": [], "function": "join"}}, "/mapper/x/aggregate/of", ""),
        (TEXT, {"uuid": {"of": [{"text": "a"}]}}, "/mapper/x/uuid/of", "names nothing"),
        (TEXT, {"uuid": {"of": ["a"], "namespace": "x"}}, "/mapper/x/uuid/namespace", ""),
        (MOMENT, {"datetime": {"from": "a", "formats": ["%Y-%m-%d %H:%M"], "time_zone": "UTC"}},
         "/mapper/x/datetime/time_zone", "must be date-time"),
        (INSTANT, {"datetime": {"from": "a", "formats": ["%Y-%m-%d %H:%M"], "time_zone": "Berlin"}},
         "/mapper/x/datetime/time_zone", "no time zone"),
        (DATE, {"date": {"from": "a", "formats": ["%Y-%m-%d"], "time_zone": "UTC"}}, "/mapper/x/date/time_zone", ""),
        (TIME, {"time": {"from": "a", "formats": ["%I:%M"]}}, "/mapper/x/time/formats/0", "%I needs %p"),
        (TIME, {"time": {"from": "a", "formats": ["%H:%M %p"]}}, "/mapper/x/time/formats/0", "%p needs %I"),
        (DATE, {"date": {"from": "a", "formats": ["%Y-%y-%d"]}}, "/mapper/x/date/formats/0", "a second time"),
        (DATE, {"date": {"from": "a", "formats": ["%Y-%m-%d %p"]}}, "/mapper/x/date/formats/0", "has no half"),
        (TEXT | {"multipleOf": 2}, {"extract": "a"}, "/target_schema/properties/x/multipleOf", "takes no multipleOf"),
        (NUMBER | {"multipleOf": 0}, {"extract": "a"}, "/target_schema/properties/x/multipleOf", "above 0"),
        (NUMBER | {"multipleOf": 1e-16}, {"extract": "a"}, "/target_schema/properties/x/multipleOf", "15 digits"),
        (DATE | {"enum": ["2013-02-30"]}, {"extract": "a"}, "/target_schema/properties/x/enum/0", "no date"),
        (DATE | {"const": 5}, {"extract": "a"}, "/target_schema/properties/x/const", "no date"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(
    schema: dict[str, Any], entry: dict[str, Any], pointer: str, message: str | None
) -> None:
    flow = one_field(schema, entry)
    if message is None:
        parse_flow(flow, name="test", version="v1")
        return
    with pytest.raises(FlowError) as caught:
        parse_flow(flow, name="test", version="v1")
    assert caught.value.pointer == pointer
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "pointer", "message"),
    [
        ({"rule": "n"}, "rule", "no condition"), ({"rule": "1 < 2"}, "rule", "names no target field"),
        ({"rule": "n < zz"}, "rule", "no target field 'zz'"), ({"rule": "n < t"}, "rule", "integer and a text"),
        ({"rule": "d < arrival"}, "rule", "date and a date-time-local"),
        ({"rule": "d < '2013-02-30'"}, "rule", "2013-02-30"),
        ({"rule": "n < '5'"}, "rule", "compared with a integer"), ({"rule": "b < b"}, "rule", "no order"),
        ({"rule": "t + 1 < 2"}, "rule", "text is no number"), ({"rule": "n and b"}, "rule", "integer is no condition"),
        ({"rule": "n < 1 < 2"}, "rule", "expected the end"), ({"rule": "n < "}, "rule", "expected a number"),
        ({"rule": "n = 1; DROP TABLE x"}, "rule", "cannot be read"),
        ({"rule": "n < 1", "fields": ["m"]}, "fields/0", "no target field of the rule"),
        ({"rule": "(" * 99 + "n" + ")" * 99}, "rule", "deeper than"), ({"rule": "n < 1", "fields": []}, "fields", ""),
    ],
)  # fmt: skip
def test_rules_that_are_refused(rule: dict[str, Any], pointer: str, message: str) -> None:
    flow = document(RULED, {name: {"extract": name} for name in RULED}) | {"rules": [rule]}
    with pytest.raises(FlowError) as caught:
        parse_flow(flow, name="test", version="v1")
    assert caught.value.pointer == f"/rules/0/{pointer}"
    assert message in str(caught.value)


def test_rules_are_part_of_the_fingerprint() -> None:
    flow = document({"a": INTEGER}, {"a": {"extract": "a"}})
    prints = {
        parse_flow(flow | rules, name="test", version="v1").fingerprint
        for rules in ({}, {"rules": []}, {"rules": [{"rule": "a > 1"}]}, {"rules": [{"rule": "a > 2"}]})
    }
    assert len(prints) == 3


def test_numbers_at_the_edges(run: Run) -> None:
    integer = values(
        run, INTEGER, {"extract": "a"}, str(2**63 - 1), str(2**63), "-" + str(2**63), "NaN", "1e3"
    )
    assert integer == [2**63 - 1, ["type"], -(2**63), ["type"], ["type"]]
    number = values(run, NUMBER, {"extract": "a"}, "NaN", "inf", "-Infinity", "1e309", "-1e-400", "-0")
    assert number[:4] == [["type"]] * 4
    assert [str(value) for value in number[4:]] == ["-0.0", "-0.0"]
    keys = {"type": "number", "isPrimaryKey": True, "enum": [0], "minimum": 0}
    assert values(run, keys, {"extract": "a"}, "-0", "0") == [-0.0, ["duplicate"]]


def test_an_empty_text_is_absent_only_where_the_source_says_so(run: Run) -> None:
    flow = one_field({"type": "string"}, {"extract": "a"}, null_values=["NA"])
    outcome = run(flow, csv("", "NA", " "))
    assert [row["x"] for row in outcome.mapped] == ["", " "]
    assert outcome.errors == {2: [("x", "required", None)]}
    assert values(run, INTEGER, {"extract": "a"}, "", " ") == [None, ["type"]]


def test_rejects_of_a_flow_whose_fields_know_no_error(run: Run) -> None:
    text = {"type": ["string", "null"]}
    flow = document({"x": text, "y": text}, {"x": {"extract": "a"}, "y": {"extract": {"target": "x"}}})
    outcome = run(flow, "a\nx\ny,z\n")
    assert outcome.mapped == [{"x": "x", "y": "x"}]
    assert outcome.errors == {2: [(None, "unparsable", None)]}
