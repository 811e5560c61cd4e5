"""A slow and obvious mapping of one record after the other, to hold the engine against.

It shares no code with the engine: casts are written out in plain Python, and what a value must fulfil is judged by
`jsonschema`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

BLANKS = " \t\n\r\v\f"
ABSENT = object()
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
    "format": "format",
}
TEMPORAL = {"date", "date-time", "date-time-local", "time-local"}
ERROR_OF_CAST = dict.fromkeys(TEMPORAL, "format")


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


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    python = re.sub(r"(?<!\\)\$", r"\\Z", pattern)  # in Python alone, $ also matches before a last line break
    if not re.search(python, instance, re.ASCII):
        yield ValidationError("pattern")


Validator = validators.extend(Draft202012Validator, {"pattern": _pattern})


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
    errors: Counter[str] = field(default_factory=Counter)


class Reference:
    """Maps records by a flow document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.properties: dict[str, dict[str, Any]] = document["target_schema"]["properties"]
        self.required = document["target_schema"].get("required", [])
        self.mapper = document["mapper"]
        self.null_values = document.get("source", {}).get("null_values", [""])
        self.key = [name for name, schema in self.properties.items() if schema.get("isPrimaryKey")]
        self.validators = {
            name: Validator(
                {
                    key: rule
                    for key, rule in schema.items()
                    if key in ERROR_OF_KEYWORD and not (key == "format" and rule in TEMPORAL)
                },
                format_checker=checker,
            )
            for name, schema in self.properties.items()
        }

    def map_batch(
        self, records: list[dict[str, str | None] | None]
    ) -> list[tuple[dict[str, Any], Counter[Any]]]:
        """Values and (field, type) counts of each record; None stands for a line that is no record."""
        outcome = []
        seen: set[tuple[Any, ...]] = set()
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
            if self.key and all(states[name].value is not None for name in self.key):
                key = tuple((type(states[name].value), states[name].value) for name in self.key)
                if key in seen:
                    errors[", ".join(self.key), "duplicate"] += 1
                seen.add(key)
            outcome.append(({name: state.value for name, state in states.items()}, errors))
        return outcome

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
                if name in self.required or not is_nullable(schema):
                    raise OperationError("required")
                return state
            state.value = self.as_type(result, kind)
        except BlockedError:
            state.blocked_or_failed = True
            return state
        except OperationError as failed:
            state.blocked_or_failed = True
            state.errors[str(failed)] += 1
            return state
        if kind not in TEMPORAL:
            for error in self.validators[name].iter_errors(state.value):
                state.errors[ERROR_OF_KEYWORD[str(error.validator or "pattern")]] += 1
        return state

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
            if state.blocked_or_failed:
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
        if any(value is ABSENT for value in values) and entry.get("default") is not None:
            default = scalar_text(entry["default"])
            op_type = {
                "date": "date",
                "datetime": "date-time-local",
                "time": "time-local",
                "expression": "number",
            }
            for operation, result_kind in op_type.items():
                if operation in entry:
                    with_zone = (
                        operation == "datetime" and "from" in entry["datetime"] and kind == "date-time"
                    )
                    return cast(default, "date-time" if with_zone else result_kind)
            return default
        return result

    def refs(self, entry: dict[str, Any]) -> list[Any]:
        if "extract" in entry:
            return [entry["extract"]]
        if "lookup" in entry:
            return [entry["lookup"]["from"]]
        if "concat" in entry:
            return [part for part in entry["concat"] if not (isinstance(part, dict) and "text" in part)]
        if "expression" in entry:
            quoted = re.findall(r'"((?:[^"]|"")+)"', entry["expression"])
            return [name.replace('""', '"') for name in dict.fromkeys(quoted)]
        spec = next(entry[operation] for operation in ("date", "datetime", "time") if operation in entry)
        if "from" in spec:
            return [spec["from"]]
        parts = [spec[part] for part in ("year", "month", "day", "hhmm") if part in spec]
        return parts + ([{"target": spec["not_before"]}] if "not_before" in spec else [])

    def compute(self, entry: dict[str, Any], values: list[Any], kind: str) -> Any:
        absent = any(value is ABSENT for value in values)
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
                return scalar_text(entry["default"]) if miss == "default" else ABSENT
            return found
        if "concat" in entry:
            left = iter(values)
            texts = [
                part["text"] if isinstance(part, dict) and "text" in part else next(left)
                for part in entry["concat"]
            ]
            return ABSENT if absent else entry.get("separator", "").join(map(render, texts))
        if "expression" in entry:
            return self.arithmetic(entry["expression"], self.refs(entry), values)
        operation = next(operation for operation in ("date", "datetime", "time") if operation in entry)
        spec = entry[operation]
        if "from" in spec:
            return ABSENT if absent else self.by_formats(render(values[0]), spec["formats"], operation, kind)
        return self.by_parts(operation, spec, values)

    def arithmetic(self, expression: str, columns: list[str], values: list[Any]) -> Any:
        numbers = [value if value is ABSENT else cast(value, "number") for value in values]
        if ABSENT in numbers:
            return ABSENT
        # The expressions of the tests are Python too, but for the quoted names.
        names = {}
        for index, (column, number) in enumerate(zip(columns, numbers, strict=True)):
            quoted = '"' + column.replace('"', '""') + '"'
            expression = expression.replace(quoted, f"x{index}")
            names[f"x{index}"] = number
        try:
            result = float(eval(expression, {"round": round_half_up}, names))
        except (ZeroDivisionError, OverflowError):
            raise OperationError("type") from None
        if not math.isfinite(result):
            raise OperationError("type")
        return result

    def by_formats(self, text: str, formats: list[str], operation: str, kind: str) -> Any:
        for written in formats:
            try:
                moment = strict_strptime(text.strip(BLANKS), written)
            except ValueError:
                continue
            if operation == "date":
                return moment.date()
            if operation == "time":
                return moment.time()
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


def strict_strptime(text: str, written: str) -> datetime:
    """strptime with fixed widths and ASCII digits only."""
    widths = {"Y": "4", "m": "2", "d": "2", "H": "2", "M": "2", "S": "2", "f": "1,6"}
    form = re.sub(
        r"%(-?)(.)|([^%])",
        lambda m: re.escape(m[3]) if m[3] else ("([0-9]{1,2})" if m[1] else f"([0-9]{{{widths[m[2]]}}})"),
        written,
        flags=re.DOTALL,
    )
    if not re.fullmatch(form, text):
        raise ValueError
    return datetime.strptime(text, written.replace("%-", "%"))  # noqa: DTZ007
