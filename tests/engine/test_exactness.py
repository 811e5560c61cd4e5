"""Random flows over dirty batches: the engine against the reference, record by record."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lume_dagster.engine import Engine, EngineSettings, parse_flow
from tests.engine.reference import TEMPORAL, Reference, value_type

WORDS = [
    "a", "UA", "ua", "NA", "n/a", "null", "None", "true", "FALSE", "1", "0", "-1", "+7", "007", "12.", "12.00", "12.5",
    "1e3", "1_000", "0x1F", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e308", "1e309",
    "-1e-400", ".5", "5.", ".", "-", "NaN", "inf", "Infinity", "-0", "-0.0", "0.1", "2.5", "\u0661\u0662", " 12 ",
    "\t3\n", "\u00a04", "", " ", "2013", "2", "28", "29", "30", "31", "2012", "1900", "2000", "13", "9999", "10000",
    "517", "0", "5", "2359", "2400", "2401", "1260", "-5", "2013-02-28", "2012-02-29", "2013-02-29", "0001-01-01",
    "0000-01-01", "9999-12-31", "10000-01-01", "2013-2-3", "13-02-03", " 2013-02-03 ", "2013-02-03T10:00",
    "2013-02-03T10:00:00Z", "2013-02-03 10:00:00.123456Z", "2013-02-03T10:00:00.1234560+02:00",
    "2013-02-03T10:00:00.1234567Z", "2013-02-03T24:00:00", "2013-02-03T23:59:60Z", "2013-02-03t10:00:00z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59", "2013-02-03T10:00:00-15:59",
    "2013-02-03T10:00:00+16:00", "10:00", "10:00:00.5", "24:00", "23:59:59.999999", "5:07", "03/02/2013", "3/2/2013",
    "31/02/2013", "20130203 0517", "a@b.example", "@", "a@b", "123e4567-e89b-12d3-a456-426614174000",
    "123e4567e89b12d3a456426614174000", "<b>x</b>", "'; DROP TABLE x; --", 'say "hi"', '"', "a,b", "a;b", "line\nbreak",
    "cr\rhere", "both\r\nhere", "tab\there", "nul\0l", "\u00e9", "e\u0301", "\U0001f469\u200d\U0001f467", "\u2028",
    "ABC", "abc", "AB", "ABCD", "ABC\n", "\ufeffx", "x" * 300,
    "1.234,5", "1,234.5", "1.234", "12.345.678", "(5)", "(1.000,5 \u20ac)", "\u20ac 5", "5\u00a0EUR",
    "-\u20ac7", "\u20ac+7", "12 %",
    "12.5%", "5 \u20ac", "(\u20ac 5)", "\u20ac(5)", "\u20ac (\u20ac 5)",
    "(5 \u20ac) \u20ac", "1'000", "yes", "YES ", "No", "\u00c4", "\u00e4",
    "03-Feb-13", "29-FEB-68", "31-dec-69",
    "30-feb-13", "February 3, 2013", "1:05 PM", "12:00 am", "13:00 PM", "2013-03-31T02:30", "2013-10-27T02:30",
    "2013-03-31T02:30:00.5", "2011-12-30T12:00", "0001-01-01T00:00", "9999-12-31T23:59", "a-b-c", "-a-",
    "--", "a::b", "\u00df\u0130 \u00c5", "  a  b ",
    "[]", ' [ "a" , null ] ', "[1, 2.50, -0.0, 1e3]", '["1", "1"]', "[true, false]", "[1,]", "[[1]]", '{"a": 1}',
    "[NaN]", '["2013-02-03", "2012-02-29"]', '["\\u0000", "\\ud83d\\ude00\\n"]', '["\\ud800"]', '["a\nb"]',
    "[12] ]", '["]"]', "1-2-2",
    "127.0.0.1", "256.1.1.1", "10:00:00Z", "10:00:00.5+05:30", "10:00:60Z", "0.3", "0.35", "1e16", "4.35",
]  # fmt: skip
NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "12",
    "28",
    "29",
    "30",
    "31",
    "1999",
    "2000",
    "2012",
    "2013",
    "517",
    "2400",
    "600",
]
COLUMN_NAMES = [
    "a",
    "A",
    "dep time",
    "row_number",
    "c0",
    "'; --",
    'q"q',
    "\u00e4\u6f22",
    "select",
    "x,y",
    "",
    "n1",
    "errors",
]
FIELD_NAMES = ["id", "v0", "Order", "row_number", 'we"ird', "\u00fc", "select", "a b", "errors"]
FORMATS = ["%Y-%m-%d", "%d/%m/%Y", "%-d/%-m/%Y", "%d-%b-%y", "%B %-d, %Y"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
STEPS = [
    "trim", "upper", "lower", "collapse_spaces", "strip_accents", "empty_to_null",
    {"replace": ["a", "bb"]}, {"replace": ["-", ""]},
    {"pad": {"width": 6, "with": "0"}}, {"pad": {"width": 4, "with": "\U0001f469", "side": "right"}}, {"truncate": 2},
]  # fmt: skip
CAPTURES = [("([0-9]+)-?([0-9]*)", 2), ("^([A-Z]{2})(x)?$", 2), ("(?:a|b)+", 0), ("(\\w)\\W(\\w)", 2)]
MOMENT_FORMATS = ["%Y%m%d %H%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"]
TIME_FORMATS = ["%H:%M", "%-H:%M", "%H:%M:%S.%f", "%-I:%M %p"]
PATTERNS = ["^[A-Z]{3}$", "[0-9]", "^a|b$", "^.{2,5}$", "\\d\\d", "^\\w+$", "^(?:UA|NA)$", "-"]

cells = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.text(max_size=8),
    st.text("0123456789-+.eE:T /Z", max_size=12),
).filter(lambda text: text < "\ud800" or text.isprintable() or _encodable(text))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


cells = cells.filter(_encodable)


@st.composite
def properties(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(
            [
                "string",
                "string",
                "integer",
                "number",
                "boolean",
                "date",
                "date-time",
                "date-time-local",
                "time-local",
                "array",
            ]
        )
    )
    if kind == "array":
        return draw(arrays())
    base = kind if kind in ("string", "integer", "number", "boolean") else "string"
    schema: dict[str, Any] = {"type": draw(st.sampled_from([base, [base, "null"], ["null", base]]))}
    if base != kind:
        schema["format"] = kind
    maybe = st.booleans()
    if kind == "string":
        if draw(maybe):
            schema["pattern"] = draw(st.sampled_from(PATTERNS))
        if draw(maybe):
            schema["minLength"] = draw(st.integers(0, 4))
        if draw(maybe):
            schema["maxLength"] = draw(st.integers(0, 10))
        if draw(maybe):
            schema["enum"] = draw(
                st.lists(st.sampled_from(WORDS).filter(lambda t: "\0" not in t), min_size=1, max_size=40)
            )
        if draw(st.integers(0, 3)) == 0:
            schema["format"] = draw(st.sampled_from(["email", "uuid", "ipv4", "time"]))
    if kind in ("integer", "number"):
        limits = st.one_of(
            st.integers(-30, 30), st.floats(-30, 30, allow_nan=False), st.sampled_from([2**53 + 1, 2**63 - 1])
        )
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if draw(st.integers(0, 3)) == 0:
                schema[keyword] = draw(limits)
        if draw(st.integers(0, 3)) == 0:
            schema["enum"] = draw(st.lists(st.integers(-3, 30), min_size=1, max_size=40))
        if draw(st.integers(0, 5)) == 0:
            schema["const"] = draw(st.integers(0, 3))
        if draw(st.integers(0, 3)) == 0:
            schema["multipleOf"] = draw(st.sampled_from([1, 2, 5, 0.5, 0.1, 0.01, 1.5, 1e3]))
    if kind in TEMPORAL and draw(st.integers(0, 3)) == 0:
        schema["enum"] = draw(
            st.lists(st.sampled_from(DEFAULTS[kind] + TEMPORAL_OPTIONS[kind]), min_size=1, max_size=40)
        )
    if kind == "boolean" and draw(maybe):
        schema["enum"] = [True]
    return schema


@st.composite
def arrays(draw: st.DrawFn) -> dict[str, Any]:
    items = draw(properties().filter(lambda schema: "array" not in schema["type"]))
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["array", ["array", "null"]])), "items": items}
    for keyword in ("minItems", "maxItems"):
        if draw(st.integers(0, 3)) == 0:
            schema[keyword] = draw(st.integers(0, 3))
    if draw(st.booleans()):
        schema["uniqueItems"] = True
    return schema


DEFAULTS = {
    "string": ["x", "", "UA", 5, True],
    "integer": [5, "7", -1],
    "number": [1.5, "2", 3],
    "boolean": [True, "false"],
    "date": ["2013-01-01"],
    "date-time": ["2013-01-01T00:00:00Z", "2013-01-01T05:00:00.5+02:00"],
    "date-time-local": ["2013-01-01T00:00:00"],
    "time-local": ["10:00"],
}


TEMPORAL_OPTIONS = {
    "date": ["2013-02-03", "2012-02-29"],
    "date-time": ["2013-02-03T10:00:00Z", "2013-03-31T00:30:00+02:00"],
    "date-time-local": ["2013-02-03T10:00", "2013-10-27 02:30:00.000"],
    "time-local": ["10:00:00.5", "05:17"],
}


@st.composite
def list_entries(draw: st.DrawFn, texts: st.SearchStrategy[Any]) -> dict[str, Any]:
    operation = draw(st.sampled_from(["extract", "split", "list", "constant"]))
    if operation == "constant":
        return {"constant": None}
    entry: dict[str, Any] = {"extract": draw(texts)}
    if operation == "split":
        entry = {"split": {"from": draw(texts), "by": draw(st.sampled_from(["-", " ", "a", "::"]))}}
    elif operation == "list":
        entry = {"list": draw(st.lists(st.one_of(texts, st.just({"text": "1"})), min_size=1, max_size=3))}
    if draw(st.integers(0, 2)) == 0:
        entry["steps"] = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
    return entry


@st.composite
def entries(draw: st.DrawFn, kind: str, columns: list[str], earlier: dict[str, str]) -> dict[str, Any]:
    column = st.sampled_from(columns)
    targets = st.sampled_from(sorted(earlier)).map(lambda name: {"target": name})
    texts = st.one_of(column, targets) if earlier else column
    if kind == "array":
        return draw(list_entries(texts))
    integers = {name for name, other in earlier.items() if other in ("string", "integer")}
    parts = (
        st.one_of(column, column, st.sampled_from(sorted(integers)).map(lambda n: {"target": n}))
        if integers
        else column
    )
    close = {
        name
        for name, other in earlier.items()
        if kind in (other, "string")
        or other == "string"
        or (other, kind) in {("integer", "number"), ("number", "integer"), ("date-time-local", "date-time")}
    }
    sources = (
        st.one_of(column, st.sampled_from(sorted(close)).map(lambda n: {"target": n})) if close else column
    )
    operations = [
        "extract",
        "extract",
        "lookup",
        "concat",
        "constant",
        "coalesce",
        "template",
        "split",
        "regex",
        "aggregate",
    ]
    operations += {
        "date": ["date"],
        "date-time": ["datetime"],
        "date-time-local": ["datetime"] * 3,
        "time-local": ["time"],
        "string": ["date", "datetime", "time", "expression", "number", "boolean", "uuid"],
        "integer": ["expression", "number"],
        "number": ["expression", "number", "number"],
        "boolean": ["boolean", "boolean"],
    }.get(kind, [])
    operation = draw(st.sampled_from(operations))
    values = [text for text in map(str, DEFAULTS[kind]) if kind != "boolean"] or ["true"]
    op_kind = {"date": "date", "time": "time-local", "expression": "number"}.get(operation, kind)
    entry: dict[str, Any]
    if operation == "extract":
        entry = {"extract": draw(sources)}
    elif operation == "constant":
        return {"constant": draw(st.sampled_from([*DEFAULTS[kind], None]))}
    elif operation == "lookup":
        keys = st.lists(st.sampled_from(WORDS + NUMBERS).filter(lambda t: "\0" not in t), max_size=80)
        table = {key: draw(st.sampled_from(values)) for key in draw(keys)}
        entry = {"lookup": {"from": draw(texts), "table": table}}
        entry["lookup"]["on_miss"] = draw(st.sampled_from(["reject", "null", "default"]))
        if entry["lookup"]["on_miss"] == "default":
            entry["default"] = draw(st.sampled_from(DEFAULTS[kind]))
    elif operation == "concat":
        part = st.one_of(texts, st.sampled_from([{"text": "-"}, {"text": ""}, {"text": "20"}]))
        entry = {
            "concat": draw(st.lists(part, min_size=1, max_size=4)),
            "separator": draw(st.sampled_from(["", "-", "'"])),
        }
    elif operation == "coalesce":
        entry = {"coalesce": draw(st.lists(texts, min_size=1, max_size=3))}
        types = {earlier[ref["target"]] if isinstance(ref, dict) else "string" for ref in entry["coalesce"]}
        alone = types.pop() if len(types) == 1 else "string"
        close_types = {("integer", "number"), ("number", "integer"), ("date-time-local", "date-time")}
        if alone not in ("string", kind) and kind != "string" and (alone, kind) not in close_types:
            entry["coalesce"].insert(0, columns[0])
            alone = "string"
        if draw(st.integers(0, 3)) == 0:
            entry["coalesce"].append({"text": draw(st.sampled_from(values))})
            alone = "string"
        op_kind = alone if alone != "string" else kind
    elif operation == "template":
        names = [name for name in columns if name] + [f"target({name})" for name in sorted(earlier)]
        pieces = (
            draw(st.lists(st.sampled_from([f"{{{name}}}" for name in names] + ["-", "'"]), max_size=3))
            if names
            else []
        )
        if not any(piece.startswith("{") for piece in pieces):
            return {"constant": None}
        entry = {"template": "".join(pieces)}
    elif operation == "split":
        by, part = draw(st.sampled_from(["-", "::", " ", "/", "a"])), draw(st.sampled_from([1, 2, 3, -1, -2]))
        entry = {"split": {"from": draw(texts), "by": by, "part": part}}
    elif operation == "regex":
        pattern, groups = draw(st.sampled_from(CAPTURES))
        entry = {"regex": {"from": draw(texts), "pattern": pattern, "group": draw(st.integers(0, groups))}}
        entry["regex"]["on_miss"] = draw(st.sampled_from(["reject", "null", "default"]))
        if entry["regex"]["on_miss"] == "default":
            entry["default"] = draw(st.sampled_from(DEFAULTS[kind]))
    elif operation == "aggregate":
        functions = {
            "integer": ["sum", "min", "max", "count"],
            "number": ["sum", "min", "max"],
            "boolean": ["join"],
        }
        function = draw(
            st.sampled_from(
                functions.get(kind, ["join", "count"] if kind == "string" else ["min", "max", "join"])
            )
        )
        refs = draw(st.lists(sources if function in ("sum", "min", "max") else texts, min_size=1, max_size=4))
        entry = {"aggregate": {"of": refs, "function": function}}
        if function == "join":
            entry["aggregate"]["separator"] = draw(st.sampled_from(["", ", "]))
        if function == "count":
            return entry
    elif operation == "uuid":
        entry = {
            "uuid": {
                "of": [draw(texts), *draw(st.lists(st.one_of(texts, st.just({"text": "x"})), max_size=2))]
            }
        }
    elif operation == "boolean":
        entry = {
            "boolean": {"from": draw(texts), "true": ["Yes", "1", "\u00c4"], "false": ["no", "FALSE", "0"]}
        }
        op_kind = "boolean"
    elif operation == "number":
        style = st.sampled_from(
            [
                {},
                {"decimal": ",", "thousands": ".", "currency": ["\u20ac", "EUR"], "negatives": "accounting"},
                {"thousands": ",", "percent": True},
                {"thousands": " ", "decimal": ",", "currency": ["\u20ac"]},
                {"thousands": "'", "negatives": "accounting", "percent": True},
            ]
        )
        entry = {"number": {"from": draw(texts), **draw(style)}}
        op_kind = "integer" if kind == "integer" and not entry["number"].get("percent") else "number"
    elif operation == "expression":
        names = (
            ['"' + draw(column.filter(bool)).replace('"', '""') + '"' for _ in range(2)]
            if any(columns)
            else ["1", "2"]
        )
        readable = sorted(name for name, other in earlier.items() if other in ("integer", "number", "string"))
        if readable and draw(st.booleans()):
            names[0] = 'target("' + draw(st.sampled_from(readable)).replace('"', '""') + '")'
        form = draw(
            st.sampled_from(
                [
                    "{0} + {1} * 2",
                    "-{0} / {1}",
                    "round({0} * 1.609344, 1)",
                    "({0} - {1}) * {0}",
                    "round({0})",
                    "1 / 3",
                    "{0} * 1e308",
                ]
            )
        )
        entry = {"expression": form.format(*names)}
    elif operation == "date" and draw(st.booleans()):
        entry = {
            "date": {
                "from": draw(texts),
                "formats": draw(st.lists(st.sampled_from(FORMATS), min_size=1, max_size=3)),
            }
        }
    elif operation == "date":
        entry = {"date": {part: draw(parts) for part in ("year", "month", "day")}}
    elif operation == "time" and draw(st.booleans()):
        entry = {
            "time": {
                "from": draw(texts),
                "formats": draw(st.lists(st.sampled_from(TIME_FORMATS), min_size=1, max_size=2)),
            }
        }
    elif operation == "time":
        entry = {"time": {"hhmm": draw(parts)}}
    elif draw(st.booleans()):
        entry = {
            "datetime": {
                "from": draw(texts),
                "formats": draw(st.lists(st.sampled_from(MOMENT_FORMATS), min_size=1, max_size=3)),
            }
        }
        op_kind = kind if kind == "date-time" else "date-time-local"
        if kind == "date-time" and draw(st.booleans()):
            entry["datetime"]["time_zone"] = draw(st.sampled_from(ZONES))
    else:
        entry = {"datetime": {part: draw(parts) for part in ("year", "month", "day", "hhmm")}}
        moments = sorted(name for name, other in earlier.items() if other in ("date-time", "date-time-local"))
        if moments and draw(st.booleans()):
            entry["datetime"]["not_before"] = draw(st.sampled_from(moments))
            entry["datetime"]["tolerance_minutes"] = draw(st.sampled_from([0, 1, 60, 1439]))
        op_kind = "date-time-local"
    if "default" not in entry and draw(st.integers(0, 3)) == 0:
        entry["default"] = draw(st.sampled_from(DEFAULTS[op_kind]))
        direct = entry.get("extract")
        if isinstance(direct, dict) and earlier[direct["target"]] not in (kind, "string"):
            del entry["default"]
    text_result = operation in ("lookup", "concat", "template", "split", "regex") or kind == "string"
    if text_result and draw(st.integers(0, 2)) == 0:
        entry["steps"] = draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
        if "default" in entry:
            entry["default"] = draw(st.sampled_from(DEFAULTS[kind]))
    return entry


def comparable(kind: str, other: str) -> bool:
    return kind != "boolean" and (kind == other or {kind, other} == {"integer", "number"})


@st.composite
def rules(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    form = draw(st.sampled_from(["{} {} {}", "not ({} {} {})", "not {} {} {}"]))
    left, right = draw(st.sampled_from(pairs))
    quoted = ['"' + name.replace('"', '""') + '"' for name in (left, right)]
    rule: dict[str, Any] = {"rule": form.format(quoted[0], draw(operators), quoted[1])}
    if draw(st.booleans()):
        rule["fields"] = [right]
        rule["message"] = draw(st.sampled_from(["no", "it's"]))
    return rule


@st.composite
def objects(draw: st.DrawFn, schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema of the properties at some paths."""
    inner: dict[str, dict[str, Any]] = {}
    properties: dict[str, Any] = {}
    for path, schema in schemas.items():
        name, _, rest = path.partition(".")
        properties[name] = schema
        if rest:
            inner.setdefault(name, {})[rest] = schema
    for name, members in inner.items():
        properties[name] = draw(objects(members))
        properties[name]["type"] = draw(st.sampled_from(["object", ["object", "null"], ["null", "object"]]))
    required = draw(st.lists(st.sampled_from(list(properties)), unique=True))
    return {"type": "object", "properties": properties, "required": required}


@st.composite
def flows(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    columns = draw(st.lists(st.sampled_from(COLUMN_NAMES), min_size=1, max_size=5, unique=True))
    names = draw(st.lists(st.sampled_from(FIELD_NAMES), min_size=1, max_size=6, unique=True))
    names = [draw(st.sampled_from(["", "", "", "box.", "box.'in x."])) + name for name in names]
    schemas = {name: draw(properties()) for name in names}
    scalars = [name for name in names if value_type(schemas[name]) != "array"]
    some_keys = st.lists(st.sampled_from(scalars), max_size=2, unique=True) if scalars else st.just([])
    keys = draw(some_keys)
    for name in keys:
        schemas[name]["isPrimaryKey"] = True
    mapper: dict[str, Any] = {}
    earlier: dict[str, str] = {}
    for name in draw(st.permutations(names)):
        kind = value_type(schemas[name])
        mapper[name] = draw(entries(kind, columns, earlier))
        if kind != "array":
            earlier[name] = kind
    order = draw(st.permutations(names))
    target_schema = draw(objects({name: schemas[name] for name in order}))
    unique = [found for found in draw(st.lists(some_keys, max_size=2)) if found and set(found) != set(keys)]
    if len({frozenset(found) for found in unique}) == len(unique):
        target_schema["x-unique"] = unique
    nulls = draw(st.sampled_from([None, [""], [], ["", "NA"], ["NA", "0"]]))
    document: dict[str, Any] = {
        "target_schema": target_schema,
        "mapper": mapper,
    }
    pairs = [(a, b) for a in scalars for b in scalars if comparable(earlier[a], earlier[b])]
    if pairs and draw(st.booleans()):
        document["rules"] = draw(st.lists(rules(pairs), min_size=1, max_size=2))
    if nulls is not None:
        document["source"] = {"null_values": nulls}
    return document, columns


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    root = tmp_path_factory.mktemp("engine")
    with Engine(EngineSettings(directories=(root,), memory_limit="500MB")) as engine:
        yield engine, root


def write_csv(draw: st.DataObject, columns: list[str], records: list[list[str] | str]) -> str:
    """The records as CSV; a plain string is a ragged line."""
    text = io.StringIO()
    end = st.sampled_from(["\n", "\r\n"])
    for record in [columns, *records]:
        if isinstance(record, str):
            text.write(record)
        else:
            quote_all = len(record) == 1 or draw.draw(st.booleans())
            text.write(",".join(csv_field(field, quote=quote_all) for field in record))
        text.write(draw.draw(end))
        if draw.draw(st.integers(0, 9)) == 0:
            text.write("\n")
    return text.getvalue()


def csv_field(text: str, *, quote: bool) -> str:
    if quote or any(char in text for char in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def native(value: Any) -> Any:
    """A value for comparison: floats by their text, so that -0.0 and 0.0 may differ and 1 and 1.0 do."""
    if isinstance(value, float):
        return ("float", repr(value + 0.0))
    if isinstance(value, datetime) and value.tzinfo is not None:
        return ("instant", value.timestamp())
    if isinstance(value, dict):
        return {name: native(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    return value


def check(
    engine: Engine,
    root: Path,
    document: dict[str, Any],
    batch: Path,
    expected_records: list[dict[str, str | None] | None],
    raws: list[Any],
) -> None:
    flow = parse_flow(document, name="random", version="v1")
    with tempfile.TemporaryDirectory(dir=root) as folder:
        out = Path(folder)
        staged = engine.ingest(flow, str(batch), out)
        result = engine.transform(flow, staged, out)
        mapped = pq.read_table(result.mapped_path)
        rejects = pq.read_table(result.rejects_path).to_pylist()
    expected = Reference(document).map_batch(expected_records)
    good = [values for values, errors in expected if not errors]
    assert mapped.column_names == list(document["target_schema"]["properties"])
    found = [{name: native(value) for name, value in row.items()} for row in mapped.to_pylist()]
    bad = {number: errors for number, (_, errors) in enumerate(expected, 1) if errors}
    found_bad = {
        row["row_number"]: Counter((error["field"], error["type"]) for error in row["errors"])
        for row in rejects
    }
    assert found_bad == bad
    assert found == [{name: native(value) for name, value in row.items()} for row in good]
    assert [row["row_number"] for row in rejects] == sorted(bad)
    for row in rejects:
        assert json.loads(row["source_record"]) == raws[row["row_number"] - 1]
    assert result.source_rows == len(expected_records) == result.mapped_rows + result.rejected_rows
    assert result.by_type == Counter(kind for errors in bad.values() for (_, kind) in errors.elements())


SETTINGS = settings(
    max_examples=int(os.environ.get("LUME_EXAMPLES", "200")),
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@SETTINGS
@given(flow=flows(), data=st.data())
def test_csv_equals_reference(
    workshop: tuple[Engine, Path], flow: tuple[dict[str, Any], list[str]], data: st.DataObject
) -> None:
    engine, root = workshop
    document, columns = flow
    width = len(columns)
    row = st.lists(cells, min_size=width, max_size=width)
    ragged = st.sampled_from(["x" + "," * width, '"a""b"' + ",z" * width] + (["x"] if width > 1 else []))
    rows = data.draw(st.lists(st.one_of(row, row, row, row, row, ragged), min_size=1, max_size=12))
    rows += data.draw(st.lists(st.sampled_from(rows), max_size=3))
    batch = root / "batch.csv"
    batch.write_bytes(write_csv(data, columns, rows).encode())
    records = [None if isinstance(r, str) else dict(zip(columns, r, strict=True)) for r in rows]
    raws = [{"raw": r} if isinstance(r, str) else dict(zip(columns, r, strict=True)) for r in rows]
    check(engine, root, document, batch, records, raws)


@SETTINGS
@given(flow=flows(), data=st.data())
def test_parquet_equals_reference(
    workshop: tuple[Engine, Path], flow: tuple[dict[str, Any], list[str]], data: st.DataObject
) -> None:
    engine, root = workshop
    document, columns = flow
    typed = {
        "text": (pa.string(), st.one_of(st.none(), cells)),
        "integer": (pa.int64(), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2400))),
        "small": (pa.int8(), st.one_of(st.none(), st.integers(-128, 127))),
        "natural": (pa.uint64(), st.one_of(st.none(), st.integers(0, 2**64 - 1), st.integers(0, 2400))),
        "category": (pa.dictionary(pa.int32(), pa.large_string()), st.one_of(st.none(), cells)),
        "float": (pa.float64(), st.one_of(st.none(), st.floats(), st.integers(0, 2400).map(float))),
        "date": (pa.date32(), st.one_of(st.none(), st.dates())),
        "time": (pa.time64("us"), st.one_of(st.none(), st.times())),
        "timestamp": (pa.timestamp("us"), st.one_of(st.none(), st.datetimes())),
        "instant": (pa.timestamp("us", "UTC"), st.one_of(st.none(), st.datetimes())),
        "boolean": (pa.bool_(), st.one_of(st.none(), st.booleans())),
    }
    kinds = [data.draw(st.sampled_from(["text", *typed])) for _ in columns]
    size = data.draw(st.integers(1, 12))
    values = [data.draw(st.lists(typed[kind][1], min_size=size, max_size=size)) for kind in kinds]
    batch = root / "batch.parquet"
    arrays = [pa.array(column, typed[kind][0]) for column, kind in zip(values, kinds, strict=True)]
    groups = data.draw(st.integers(1, 12))
    pq.write_table(pa.Table.from_arrays(arrays, names=columns), batch, row_group_size=groups)
    texts = [[canonical(value, kind) for value in column] for column, kind in zip(values, kinds, strict=True)]
    records = [dict(zip(columns, row, strict=True)) for row in zip(*texts, strict=True)]
    check(engine, root, document, batch, records, records)


def canonical(value: Any, kind: str) -> str | None:
    """The text that stands for a typed value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)
    if isinstance(value, int):
        return str(value)
    return value.isoformat() + ("Z" if kind == "instant" else "")
