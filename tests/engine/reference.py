"""A slow and obvious mapping of one record after the other, to hold the engine against.

It shares no code with the engine: casts are written out in plain Python, and what a value must fulfil is judged by
`jsonschema`.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

BLANKS = " \t\n\r\v\f"
ABSENT = object()
MISSED = object()
"""A lookup or a pattern without a match, where the default takes its place."""
ERROR_OF_KEYWORD = {
    "enum": "enum",
    "const": "enum",
    "pattern": "pattern",
    "minLength": "length",
    "maxLength": "length",
    "minimum": "range",
    "exclusiveMinimum": "range",
    "maximum": "range",
    "exclusiveMaximum": "range",
    "multipleOf": "range",
    "format": "format",
    "minItems": "length",
    "maxItems": "length",
    "uniqueItems": "duplicate",
}
SPACES = (
    "\t\n\v\f\r \u00a0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
GAPS = " \u00a0\u202f"
GROUPING = {",": ",", ".": ".", " ": GAPS, "'": "'\u2019", "_": "_", "": ""}
TEMPORAL = {"date", "date-time", "date-time-local", "time-local"}
ERROR_OF_CAST = dict.fromkeys(TEMPORAL, "format")


EXPRESSION_NAME = r'(target\()?"((?:[^"]|"")+)"\)?'


class OperationError(Exception):
    """The operation of a field fails with this type of error."""


class BlockedError(Exception):
    """A field reads one that has no value because of an error."""


checker = FormatChecker(formats=())


@checker.checks("email")
def is_email(value: str) -> bool:
    label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return bool(re.fullmatch(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*", value))


@checker.checks("uuid")
def is_uuid(value: str) -> bool:
    parts = value.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        char in "0123456789abcdefABCDEF" for part in parts for char in part
    )


@checker.checks("ipv4", ValueError)
def is_ipv4(value: str) -> bool:
    return bool(ipaddress.IPv4Address(value))


@checker.checks("time", ValueError)
def is_time(value: str) -> bool:
    match = re.fullmatch(r"([0-9:]{8})(?:\.[0-9]+)?(?:Z|[+-]([0-9:]{5}))", value)
    return match is not None and all(_time(clock) is not None for clock in match.groups("00:00"))


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Any:
    multiple, value = Fraction(str(step)), Fraction(instance)
    nearest = round(value / multiple) * multiple
    units = abs(nearest * multiple.denominator)
    if isinstance(instance, int):
        holds = nearest == value
    elif units < 2**53:
        holds = float(nearest) == instance
    else:
        holds = multiple.numerator == 1 or value % multiple.numerator == 0
    if not holds:
        yield ValidationError("multipleOf")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    python = re.sub(r"(?<!\\)\$", r"\\Z", pattern)  # in Python alone, $ also matches before a last line break
    if not re.search(python, instance, re.ASCII):
        yield ValidationError("pattern")


Validator = validators.extend(Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of})


def validator(schema: dict[str, Any]) -> Any:
    """Judges the constraints of a value, but not its type."""
    rules = {
        key: rule
        for key, rule in schema.items()
        if key in ERROR_OF_KEYWORD and not (key == "format" and rule in TEMPORAL)
    }
    return Validator(rules, format_checker=checker)


def value_type(schema: dict[str, Any]) -> str:
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    name = next(name for name in names if name != "null")
    return schema["format"] if schema.get("format") in TEMPORAL else name


def is_nullable(schema: dict[str, Any]) -> bool:
    return isinstance(schema["type"], list) and "null" in schema["type"]


def cast(text: str, kind: str) -> Any:
    """The value of a text, or OperationError."""
    wrong = OperationError(ERROR_OF_CAST.get(kind, "type"))
    if kind == "string":
        return text
    text = text.strip(BLANKS)
    if not text.isascii():
        raise wrong
    if kind == "integer":
        whole, _, decimals = text.partition(".")
        digits = whole[1:] if whole[:1] in ("+", "-") else whole
        if not digits.isdigit() or decimals.strip("0") or not -(2**63) <= int(whole) < 2**63:
            raise wrong
        return int(whole)
    if kind == "number":
        try:
            number = float(text)
        except ValueError:
            raise wrong from None
        if "_" in text or not math.isfinite(number):
            raise wrong
        return number
    if kind == "boolean":
        try:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        except KeyError:
            raise wrong from None
    try:
        return {"date": _date, "date-time": _instant, "date-time-local": _local, "time-local": _time}[kind](
            text
        )
    except (ValueError, OverflowError):
        raise wrong from None


def _date(text: str) -> date:
    year, month, day = text.split("-")
    if [len(year), len(month), len(day)] != [4, 2, 2] or not (year + month + day).isdigit():
        raise ValueError
    return date(int(year), int(month), int(day))


def _time(text: str) -> time:
    clock, _, decimals = text.partition(".")
    parts = clock.split(":")
    if len(parts) not in (2, 3) or not all(len(part) == 2 and part.isdigit() for part in parts):
        raise ValueError
    if "." in text and (len(parts) != 3 or not decimals.isdigit() or decimals[6:].strip("0")):
        raise ValueError
    return time(*map(int, parts), **{"microsecond": int(decimals[:6].ljust(6, "0"))} if decimals else {})


def _local(text: str) -> datetime:
    if text[10:11] not in ("T", " "):
        raise ValueError
    return datetime.combine(_date(text[:10]), _time(text[11:]))


def _instant(text: str) -> datetime:
    if text.endswith("Z"):
        return _local(text[:-1]).replace(tzinfo=timezone.utc)
    sign, offset = text[-6:-5], text[-5:]
    hours, minutes = offset.split(":")
    if (
        sign not in ("+", "-")
        or len(hours) != 2
        or not (hours + minutes).isdigit()
        or int(hours) > 15
        or int(minutes) > 59
    ):
        raise ValueError
    local = _local(text[:-6])
    if local.year in (1, 9999):
        raise ValueError
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    return (local - shift if sign == "+" else local + shift).replace(tzinfo=timezone.utc)


def render(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat()
        text = text.rstrip("0") if value.microsecond else text
        return text + ("Z" if value.tzinfo else "")
    if isinstance(value, time):
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else repr(value)


def scalar_text(value: Any) -> str:
    return render(value)


@dataclass
class State:
    """What has become of a field."""

    value: Any = None
    blocked_or_failed: bool = False
    lacking: bool = False
    errors: Counter[str] = field(default_factory=Counter)


def leaves(schema: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """The properties that are no objects, by their paths."""
    found = {}
    for name, inner in schema["properties"].items():
        found.update(leaves(inner, f"{prefix}{name}.") if is_object(inner) else {prefix + name: inner})
    return found


def is_object(schema: dict[str, Any]) -> bool:
    return "object" in (schema["type"] if isinstance(schema["type"], list) else [schema["type"]])


class Reference:
    """Maps records by a flow document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schema = document["target_schema"]
        self.properties = leaves(self.schema)
        self.unique = self.schema.get("x-unique", [])
        self.mapper = document["mapper"]
        self.rules = document.get("rules", [])
        self.null_values = document.get("source", {}).get("null_values", [""])
        self.key = [name for name, schema in self.properties.items() if schema.get("isPrimaryKey")]
        self.validators = {name: validator(schema) for name, schema in self.properties.items()}
        self.item_validators = {
            name: validator(schema["items"]) for name, schema in self.properties.items() if "items" in schema
        }

    def map_batch(
        self, records: list[dict[str, str | None] | None]
    ) -> list[tuple[dict[str, Any], Counter[Any]]]:
        """Values and (field, type) counts of each record; None stands for a line that is no record."""
        outcome = []
        seen: set[tuple[Any, ...]] = set()
        keys = [key for key in (self.key, *self.unique) if key]
        for record in records:
            if record is None:
                outcome.append(({}, Counter([(None, "unparsable")])))
                continue
            states = self.map_record(record)
            errors = Counter(
                {
                    (name, kind): count
                    for name, state in states.items()
                    for kind, count in state.errors.items()
                }
            )
            for rule in self.rules:
                names = rule_fields(rule["rule"])
                if all(states[name].value is not None for name in names) and not self.holds(
                    rule["rule"], states
                ):
                    errors[", ".join(rule.get("fields", names)), "range"] += 1
            for names in keys:
                if all(states[name].value is not None for name in names):
                    key = (*names, *((type(states[name].value), states[name].value) for name in names))
                    if key in seen:
                        errors[", ".join(names), "duplicate"] += 1
                    seen.add(key)
            value = self.nested(self.schema, "", states)
            self.judge_absent(self.schema, "", value, states, errors)
            outcome.append((value, errors))
        return outcome

    def nested(self, schema: dict[str, Any], prefix: str, states: dict[str, State]) -> Any:
        """The object of a schema."""
        found = {}
        for name, inner in schema["properties"].items():
            if not is_object(inner):
                found[name] = states[prefix + name].value
                continue
            found[name] = self.nested(inner, f"{prefix}{name}.", states)
            optional = is_nullable(inner) and name not in schema.get("required", [])
            if optional and all(states[path].value is None for path in leaves(inner, f"{prefix}{name}.")):
                found[name] = None
        return found

    def judge_absent(
        self, schema: dict[str, Any], prefix: str, value: Any, states: dict[str, State], errors: Counter[Any]
    ) -> None:
        """Required values that are absent in an object that is there."""
        for name, inner in schema["properties"].items():
            path = prefix + name
            required = name in schema.get("required", []) or not is_nullable(inner)
            if is_object(inner):
                if value[name] is not None:
                    self.judge_absent(inner, f"{path}.", value[name], states, errors)
            elif required and states[path].value is None and not states[path].blocked_or_failed:
                errors[path, "required"] += 1

    def always_required(self, path: str) -> bool:
        """Whether an absent value is an error whatever the record says besides."""
        schema = self.schema
        for name in path.split("."):
            inner = schema["properties"][name]
            if name not in schema.get("required", []) and is_nullable(inner):
                return False
            schema = inner
        return True

    def map_record(self, record: dict[str, str | None]) -> dict[str, State]:
        states: dict[str, State] = {}
        for name in self.properties:
            self.state(name, record, states)
        return {name: states[name] for name in self.properties}

    def state(self, name: str, record: dict[str, str | None], states: dict[str, State]) -> State:
        if name in states:
            return states[name]
        state = states[name] = State()
        schema = self.properties[name]
        kind = value_type(schema)
        try:
            result = self.operation(self.mapper[name], kind, record, states)
            if result is ABSENT:
                # The error itself is counted by `judge_absent`.
                state.blocked_or_failed = False
                state.lacking = self.always_required(name)
                return state
            state.value = self.as_items(result, schema) if kind == "array" else self.as_type(result, kind)
        except BlockedError:
            state.blocked_or_failed = True
            return state
        except OperationError as failed:
            state.blocked_or_failed = True
            state.errors[str(failed)] += 1
            return state
        if kind == "array":
            self.judge_list(name, schema, state)
        elif kind in TEMPORAL:
            for options in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
                if options is not None and state.value not in [cast(text, kind) for text in options]:
                    state.errors["enum"] += 1
        else:
            for error in self.validators[name].iter_errors(state.value):
                state.errors[ERROR_OF_KEYWORD[str(error.validator or "pattern")]] += 1
        return state

    def as_items(self, texts: list[str | None], schema: dict[str, Any]) -> list[Any]:
        items = schema["items"]
        if None in texts and not is_nullable(items):
            raise OperationError(ERROR_OF_CAST.get(value_type(items), "type"))
        return [None if text is None else cast(text, value_type(items)) for text in texts]

    def judge_list(self, name: str, schema: dict[str, Any], state: State) -> None:
        kinds: set[tuple[str, str]] = set()
        for item in (item for item in state.value if item is not None):
            if value_type(schema["items"]) in TEMPORAL:
                options = [
                    cast(text, value_type(schema["items"])) for text in schema["items"].get("enum", [])
                ]
                kinds |= {("enum", "enum")} if options and item not in options else set()
            else:
                for error in self.item_validators[name].iter_errors(item):
                    keyword = str(error.validator or "pattern")
                    kinds.add((keyword, ERROR_OF_KEYWORD[keyword]))
        state.errors.update(kind for _, kind in kinds)
        plain = [render(item) if isinstance(item, (date, time)) else item for item in state.value]
        for error in self.validators[name].iter_errors(plain):
            state.errors[ERROR_OF_KEYWORD[str(error.validator)]] += 1

    def as_type(self, result: Any, kind: str) -> Any:
        if isinstance(result, str):
            return cast(result, kind)
        if kind == "string":
            return render(result)
        if kind == "integer" and isinstance(result, float):
            if not result.is_integer() or not -(2**63) <= result < 2**63:
                raise OperationError("type")
            return int(result)
        if kind == "number" and isinstance(result, int):
            return float(result)
        if kind == "date-time" and isinstance(result, datetime):
            return result.replace(tzinfo=timezone.utc)
        return result

    def read(self, ref: Any, record: dict[str, str | None], states: dict[str, State]) -> Any:
        if isinstance(ref, dict):
            state = self.state(ref["target"], record, states)
            if state.blocked_or_failed or state.lacking:
                raise BlockedError
            return ABSENT if state.value is None else state.value
        text = record.get(ref)
        return ABSENT if text is None or text in self.null_values else text

    def operation(self, entry: dict[str, Any], kind: str, record: Any, states: dict[str, State]) -> Any:
        if "constant" in entry:
            return ABSENT if entry["constant"] is None else scalar_text(entry["constant"])
        refs = self.refs(entry)
        # All inputs are read first: a blocked one goes before everything else.
        for ref in sorted(refs, key=lambda ref: not isinstance(ref, dict)):
            self.read(ref, record, states)
        values = [self.read(ref, record, states) for ref in refs]
        result = self.compute(entry, values, kind)
        missed = result is MISSED
        if missed:
            result = ABSENT
        for step in entry.get("steps", []):
            if isinstance(result, list):
                items = [item if item is None else text_step(item, step) for item in result]
                result = [item for item in items if item is not ABSENT]
                continue
            result = ABSENT if result is ABSENT else text_step(render(result), step)
        if kind == "array":
            return result
        if "empty_to_null" in entry.get("steps", []) or {"coalesce", "aggregate", "split"} & entry.keys():
            absent = result is ABSENT
        else:
            absent = missed or any(value is ABSENT for value in values)
        if absent and entry.get("default") is not None:
            default = scalar_text(entry["default"])
            return default if entry.get("steps") else cast(default, self.result_kind(entry, kind))
        return result

    def result_kind(self, entry: dict[str, Any], kind: str) -> str:
        """What an operation gives for a field of some kind."""
        if "datetime" in entry:
            return "date-time" if "from" in entry["datetime"] and kind == "date-time" else "date-time-local"
        if "number" in entry:
            return "string" if kind == "integer" and not entry["number"].get("percent") else "number"
        if "aggregate" in entry and entry["aggregate"]["function"] in ("sum", "min", "max"):
            return kind
        if "coalesce" in entry:
            kinds = {self.ref_kind(ref) for ref in entry["coalesce"]}
            return kinds.pop() if len(kinds) == 1 else "string"
        kinds_of_operations = {
            "date": "date",
            "time": "time-local",
            "expression": "number",
            "boolean": "boolean",
        }
        return next(
            (found for operation, found in kinds_of_operations.items() if operation in entry), "string"
        )

    def ref_kind(self, ref: Any) -> str:
        return (
            value_type(self.properties[ref["target"]])
            if isinstance(ref, dict) and "target" in ref
            else "string"
        )

    def holds(self, rule: str, states: dict[str, State]) -> bool:
        # The rules of the tests are Python too, but for the quoted names and the sign of equality.
        names = {f"x{index}": states[name].value for index, name in enumerate(rule_fields(rule))}
        if {type(value) for value in names.values()} == {int, float}:
            names = {name: float(value) for name, value in names.items()}
        python = re.sub("(?<![<>!])=", "==", rule)
        for index, name in enumerate(rule_fields(rule)):
            quoted = '"' + name.replace('"', '""') + '"'
            python = python.replace(quoted, f"x{index}")
        return bool(eval(python, {}, names))

    def refs(self, entry: dict[str, Any]) -> list[Any]:
        if "extract" in entry:
            return [entry["extract"]]
        if "lookup" in entry:
            return [entry["lookup"]["from"]]
        for parts in (
            entry.get("concat"),
            entry.get("coalesce"),
            entry.get("list"),
            entry.get("uuid", {}).get("of"),
        ):
            if parts:
                return [part for part in parts if not (isinstance(part, dict) and "text" in part)]
        if "template" in entry:
            return [
                {"target": target} if target else column
                for target, column in re.findall(r"\{(?:target\(([^{}]+)\)|([^{}]+))\}", entry["template"])
            ]
        if "aggregate" in entry:
            return list(entry["aggregate"]["of"])
        for operation in ("split", "regex", "number", "boolean"):
            if operation in entry:
                return [entry[operation]["from"]]
        if "expression" in entry:
            read = re.findall(EXPRESSION_NAME, entry["expression"])
            names = [(target, name.replace('""', '"')) for target, name in dict.fromkeys(read)]
            return [{"target": name} if target else name for target, name in names]
        spec = next(entry[operation] for operation in ("date", "datetime", "time") if operation in entry)
        if "from" in spec:
            return [spec["from"]]
        parts = [spec[part] for part in ("year", "month", "day", "hhmm") if part in spec]
        return parts + ([{"target": spec["not_before"]}] if "not_before" in spec else [])

    def compute(self, entry: dict[str, Any], values: list[Any], kind: str) -> Any:
        absent = any(value is ABSENT for value in values)
        if "list" in entry:
            left = iter(values)
            texts = [
                part["text"] if isinstance(part, dict) and "text" in part else next(left)
                for part in entry["list"]
            ]
            return [render(text) for text in texts if text is not ABSENT] or ABSENT
        if kind == "array":
            return ABSENT if absent else self.items(entry, render(values[0]))
        if "extract" in entry:
            return values[0]
        if "lookup" in entry:
            if absent:
                return ABSENT
            spec = entry["lookup"]
            found = {key: scalar_text(value) for key, value in spec["table"].items()}.get(render(values[0]))
            if found is None:
                miss = spec.get("on_miss", "reject")
                if miss == "reject":
                    raise OperationError("lookup")
                return MISSED if miss == "default" else ABSENT
            return found
        if "concat" in entry:
            left = iter(values)
            texts = [
                part["text"] if isinstance(part, dict) and "text" in part else next(left)
                for part in entry["concat"]
            ]
            return ABSENT if absent else entry.get("separator", "").join(map(render, texts))
        if "template" in entry:
            found = iter(values)
            return (
                ABSENT if absent else re.sub(r"\{[^{}]+\}", lambda _: render(next(found)), entry["template"])
            )
        if "coalesce" in entry:
            return self.coalesce(entry, values, kind)
        if "aggregate" in entry:
            return self.aggregate(entry["aggregate"], values, kind)
        if "uuid" in entry:
            return ABSENT if absent else self.uuid(entry["uuid"], values)
        for operation in ("split", "regex", "number", "boolean"):
            if operation in entry:
                return (
                    ABSENT if absent else getattr(self, operation)(entry[operation], render(values[0]), kind)
                )
        if "expression" in entry:
            return self.arithmetic(entry["expression"], self.refs(entry), values)
        operation = next(operation for operation in ("date", "datetime", "time") if operation in entry)
        spec = entry[operation]
        if "from" in spec:
            return ABSENT if absent else self.by_formats(render(values[0]), spec, operation, kind)
        return self.by_parts(operation, spec, values)

    @staticmethod
    def items(entry: dict[str, Any], text: str) -> list[str | None]:
        """The texts of a list that is one text of a record."""
        if "split" in entry:
            return list(text.split(entry["split"]["by"]))

        def refuse(constant: str) -> Any:
            raise ValueError(constant)

        try:
            text.encode()
            found = json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)
            json.dumps(found, ensure_ascii=False).encode()
        except ValueError:
            raise OperationError("type") from None
        if not isinstance(found, list) or any(isinstance(item, (list, dict)) for item in found):
            raise OperationError("type")
        return [item if item is None or isinstance(item, str) else render(item) for item in found]

    def coalesce(self, entry: dict[str, Any], values: list[Any], kind: str) -> Any:
        left = iter(values)
        typed = self.result_kind(entry, kind) != "string"
        for part in entry["coalesce"]:
            value = part["text"] if isinstance(part, dict) and "text" in part else next(left)
            if value is not ABSENT:
                return value if typed else render(value)
        return ABSENT

    def aggregate(self, spec: dict[str, Any], values: list[Any], kind: str) -> Any:
        present = [value for value in values if value is not ABSENT]
        if spec["function"] == "count":
            return len(present)
        if spec["function"] == "join":
            return spec.get("separator", "").join(map(render, present)) if present else ABSENT
        typed = [self.as_type(value, kind) for value in present]
        if not typed:
            return ABSENT
        if spec["function"] != "sum":
            return (min if spec["function"] == "min" else max)(typed)
        total = typed[0] - typed[0]
        for value in typed:
            total += value
        if not -(2**63) <= total < 2**63 if kind == "integer" else not math.isfinite(total):
            raise OperationError("type")
        return total

    @staticmethod
    def uuid(spec: dict[str, Any], values: list[Any]) -> str:
        left = iter(values)
        texts = [
            part["text"] if isinstance(part, dict) and "text" in part else render(next(left))
            for part in spec["of"]
        ]
        name = texts[0] if len(texts) == 1 else "".join(f"{len(text)}:{text}" for text in texts)
        namespace = spec.get("namespace", uuid.uuid5(uuid.NAMESPACE_DNS, "lume-dagster"))
        return str(uuid.uuid5(uuid.UUID(str(namespace)), name))

    @staticmethod
    def split(spec: dict[str, Any], text: str, kind: str) -> Any:
        pieces, part = text.split(spec["by"]), spec["part"]
        index = part - 1 if part > 0 else len(pieces) + part
        return pieces[index] if 0 <= index < len(pieces) else ABSENT

    @staticmethod
    def regex(spec: dict[str, Any], text: str, kind: str) -> Any:
        match = re.search(re.sub(r"(?<!\\)\$", r"\\Z", spec["pattern"]), text, re.ASCII)
        if match:
            return match[spec.get("group", 1)] or ""
        miss = spec.get("on_miss", "reject")
        if miss == "reject":
            raise OperationError("pattern")
        return MISSED if miss == "default" else ABSENT

    @staticmethod
    def boolean(spec: dict[str, Any], text: str, kind: str) -> bool:
        word = simple_lower(text.strip(BLANKS))
        for value, words in ((True, spec["true"]), (False, spec["false"])):
            if word in map(simple_lower, words):
                return value
        raise OperationError("type")

    @staticmethod
    def number(spec: dict[str, Any], text: str, kind: str) -> Any:
        written = people_number(text.strip(BLANKS), spec)
        if written is None:
            raise OperationError("type")
        if kind == "integer" and not spec.get("percent"):
            return written
        return cast(written, "number")

    def arithmetic(self, expression: str, columns: list[str], values: list[Any]) -> Any:
        numbers = [
            value if value is ABSENT else cast(value, "number") if isinstance(value, str) else float(value)
            for value in values
        ]
        if ABSENT in numbers:
            return ABSENT
        # The expressions of the tests are Python too, but for the quoted names.
        names = {}
        for index, (column, number) in enumerate(zip(columns, numbers, strict=True)):
            name = column["target"] if isinstance(column, dict) else column
            quoted = '"' + name.replace('"', '""') + '"'
            read = f"target({quoted})" if isinstance(column, dict) else f"(?<!target\\(){re.escape(quoted)}"
            pattern = re.escape(read) if isinstance(column, dict) else read
            expression = re.sub(pattern, f"x{index}", expression)
            names[f"x{index}"] = number
        try:
            result = float(eval(expression, {"round": round_half_up}, names))
        except (ZeroDivisionError, OverflowError):
            raise OperationError("type") from None
        if not math.isfinite(result):
            raise OperationError("type")
        return result

    def by_formats(self, text: str, spec: dict[str, Any], operation: str, kind: str) -> Any:
        formats = spec["formats"]
        for written in formats:
            try:
                moment = strict_strptime(text.strip(BLANKS), written)
            except ValueError:
                continue
            if operation == "date":
                return moment.date()
            if operation == "time":
                return moment.time()
            if "time_zone" in spec:
                return at_zone(moment, ZoneInfo(spec["time_zone"]))
            return moment.replace(tzinfo=timezone.utc) if kind == "date-time" else moment
        raise OperationError("format")

    def by_parts(self, operation: str, spec: dict[str, Any], values: list[Any]) -> Any:
        names = [name for name in ("year", "month", "day", "hhmm") if name in spec]
        given = dict(zip(names, values, strict=False))
        numbers = {}

        def number(name: str) -> Any:
            value = given[name]
            numbers[name] = cast(value, "integer") if isinstance(value, str) else value

        day: Any = ABSENT
        if operation != "time":
            for name in ("year", "month", "day"):
                number(name)
            parts = [numbers[name] for name in ("year", "month", "day")]
            if ABSENT not in parts:
                try:
                    day = date(*parts)
                except (ValueError, OverflowError):
                    raise OperationError("format") from None
        if operation == "date":
            return day
        number("hhmm")
        reading = numbers["hhmm"]
        if reading is not ABSENT and not (0 <= reading <= 2400 and reading % 100 < 60):
            raise OperationError("format")
        if any(value is ABSENT for value in values):
            return ABSENT
        minutes = reading // 100 * 60 + reading % 100
        if operation == "time":
            return time(minutes % 1440 // 60, minutes % 60)
        try:
            if "not_before" not in spec:
                return datetime.combine(day, time()) + timedelta(minutes=minutes)
            start = values[-1].replace(tzinfo=None)
            # The window may open before year 1; days are counted from a place where that does no harm.
            offset = (
                datetime.combine(day, time())
                - start
                + timedelta(minutes=minutes + spec.get("tolerance_minutes", 0))
            )
            ahead = offset % timedelta(days=1) - timedelta(minutes=spec.get("tolerance_minutes", 0))
            return start + ahead
        except OverflowError:
            raise OperationError("format") from None


def round_half_up(value: float, decimals: int = 0) -> float:
    """As the library documents it: halves away from zero."""
    scaled = value * 10.0**decimals
    if not math.isfinite(scaled):
        return value
    rounded = math.copysign(math.floor(abs(scaled)), scaled)
    if abs(scaled) - math.floor(abs(scaled)) >= 0.5:
        rounded += math.copysign(1, scaled)
    return rounded / 10.0**decimals


def at_zone(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which a zone's clocks show a time."""
    try:
        instant = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
        if instant.astimezone(zone).replace(tzinfo=None) == local:
            return instant
    except OverflowError:
        pass
    raise OperationError("format")


def rule_fields(rule: str) -> list[str]:
    return [name.replace('""', '"') for name in dict.fromkeys(re.findall(r'"((?:[^"]|"")+)"', rule))]


def simple_upper(text: str) -> str:
    """One character for each; the letters that Python would write as two have one of their own."""
    special = {"\u00df": "\u1e9e"}
    return "".join(
        special.get(c, c.upper() if len(c.upper()) == 1 else c.title() if len(c.title()) == 1 else c)
        for c in text
    )


def simple_lower(text: str) -> str:
    return "".join("i" if c == "\u0130" else c.lower() if len(c.lower()) == 1 else c for c in text)


def without_marks(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize(
        "NFC", "".join(c for c in apart if not unicodedata.category(c).startswith("M"))
    )


def text_step(text: str, step: Any) -> Any:
    if isinstance(step, dict):
        if "replace" in step:
            return text.replace(*step["replace"])
        if "truncate" in step:
            return text[: step["truncate"]]
        spec = step["pad"]
        fill = spec.get("with", " ") * (spec["width"] - len(text))
        return text + fill if spec.get("side") == "right" else fill + text
    if step == "empty_to_null":
        return text or ABSENT
    if step == "collapse_spaces":
        return re.sub(f"[{SPACES}]+", " ", text)
    steps = {"trim": lambda t: t.strip(SPACES), "upper": simple_upper, "lower": simple_lower}
    return steps.get(step, without_marks)(text)


def people_number(text: str, spec: dict[str, Any]) -> str | None:
    """The plain text of a number as people write it."""
    for negative, rest in number_forms(text, spec):
        if (amount := plain_amount(rest, spec)) is not None:
            return ("-" if negative else "") + amount
    return None


def number_forms(text: str, spec: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """What may be the amount, and whether the rest makes it negative."""
    signs = spec.get("currency", [])

    def after_sign(t: str, gaps: str) -> tuple[bool, str]:
        if t[:1] not in ("+", "-"):
            return False, t
        return t[0] == "-", t[2:] if t[1:2] and t[1] in gaps else t[1:]

    def without_lead(t: str) -> Iterator[str]:
        yield t
        for sign in signs:
            if t.startswith(sign):
                rest = t[len(sign) :]
                yield rest
                if rest[:1] and rest[0] in GAPS:
                    yield rest[1:]

    def without_tail(t: str) -> Iterator[str]:
        for sign in signs:
            if t.endswith(sign):
                rest = t[: -len(sign)]
                yield rest
                if rest[-1:] and rest[-1] in GAPS:
                    yield rest[:-1]

    negative, rest = after_sign(text, GAPS)
    for amount in (*without_lead(rest), *without_tail(rest)):
        yield negative, amount
    for rest in without_lead(text) if signs else ():
        yield after_sign(rest, "")
    if spec.get("negatives") == "accounting":
        for rest in (*without_lead(text), *without_tail(text)):
            if rest.startswith("(") and rest.endswith(")"):
                yield True, rest[1:-1]
        if text.startswith("(") and text.endswith(")"):
            for amount in (*without_lead(text[1:-1]), *without_tail(text[1:-1])):
                yield True, amount


def plain_amount(text: str, spec: dict[str, Any]) -> str | None:
    percent = ""
    if spec.get("percent") and text.endswith("%"):
        text, percent = text[:-1], "e-2"
        text = text[:-1] if text[-1:] and text[-1] in GAPS else text
    whole, point, decimals = text.partition(spec.get("decimal", "."))
    groups = re.split(f"[{GROUPING[spec['thousands']]}]", whole) if spec.get("thousands") else [whole]
    digits = "".join(groups)
    if (
        not (digits + decimals).isascii()
        or not (digits + decimals).isdigit()
        or (not digits and len(groups) > 1)
    ):
        return None
    if len(groups) > 1 and (not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:])):
        return None
    return digits + ("." if point else "") + decimals + percent


def strict_strptime(text: str, written: str) -> datetime:
    """strptime with fixed widths and ASCII digits only."""
    widths = {"Y": "4", "m": "2", "d": "2", "H": "2", "M": "2", "S": "2", "f": "1,6", "y": "2", "I": "2"}
    words = {"b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,}", "p": "[AaPp][Mm]"}

    def piece(match: re.Match[str]) -> str:
        if match[3]:
            return re.escape(match[3])
        return words.get(match[2]) or ("([0-9]{1,2})" if match[1] else f"([0-9]{{{widths[match[2]]}}})")

    if not re.fullmatch(re.sub(r"%(-?)(.)|([^%])", piece, written, flags=re.DOTALL), text):
        raise ValueError
    return datetime.strptime(text, written.replace("%-", "%"))  # noqa: DTZ007
