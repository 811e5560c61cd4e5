"""The target schema: the part of JSON Schema that describes one flat record, as typed fields and constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lume_dagster.engine.errors import ErrorType, FlowError
from lume_dagster.engine.pattern import PatternProblem, translate
from lume_dagster.engine.values import FORMAT_PATTERNS, ValueType, is_value
from lume_dagster.engine.yaml_document import join

Scalar = str | int | float | bool


@dataclass(frozen=True)
class OneOf:
    """The value is one of these."""

    values: tuple[Scalar, ...]
    error = ErrorType.ENUM


@dataclass(frozen=True)
class Matches:
    """The text holds a match of a pattern in RE2's dialect."""

    re2: str
    written: str
    error: ErrorType = ErrorType.PATTERN


@dataclass(frozen=True)
class Length:
    """The text has at least (>=) or at most (<=) so many code points."""

    comparison: str
    limit: int
    error = ErrorType.LENGTH


@dataclass(frozen=True)
class Bound:
    """The number lies on one side of a limit; `comparison` is >=, >, <= or <."""

    comparison: str
    limit: int | float
    error = ErrorType.RANGE


@dataclass(frozen=True)
class MultipleOf:
    """The number is a whole multiple of `units` times ten to the power of -`decimals`.

    A float is one if it is the float nearest to one, so that 0.3 is a multiple of 0.1. From 2^53 units on, where all
    floats are near to some multiple, the number itself has to be one.
    """

    units: int
    decimals: int
    written: int | float
    error = ErrorType.RANGE


Constraint = OneOf | Matches | Length | Bound | MultipleOf


@dataclass(frozen=True)
class TargetField:
    """One column of the result.

    Attributes:
        name: The property's name.
        type: Its type.
        required: An absent value is an error: the property is required, or null is none of its types.
        constraints: What a value must fulfil, in the order of the error types.
        sensitive: Its values are to be masked wherever they are shown.
    """

    name: str
    type: ValueType
    required: bool
    constraints: tuple[Constraint, ...]
    sensitive: bool


@dataclass(frozen=True)
class TargetSchema:
    """The columns of the result in their order, and the fields that form the primary key."""

    fields: tuple[TargetField, ...]
    key: tuple[str, ...]


_ROOT_KEYWORDS = {
    "$schema", "$id", "$comment", "title", "description", "examples", "type", "properties", "required",
    "additionalProperties",
}  # fmt: skip
_ANNOTATIONS = {"title", "description", "examples", "$comment", "x-sensitive", "isPrimaryKey"}
_LENGTHS = {"minLength": ">=", "maxLength": "<="}
_TEXT_KEYWORDS = {"pattern", *_LENGTHS}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_NAMED_OPTION = {"const", "title", "description"}
_KEYWORDS = (
    {"type", "format", "enum", "const", "oneOf", "multipleOf"} | _ANNOTATIONS | _TEXT_KEYWORDS | set(_BOUNDS)
)
_TYPES = {
    "string": ValueType.TEXT,
    "integer": ValueType.INTEGER,
    "number": ValueType.NUMBER,
    "boolean": ValueType.BOOLEAN,
}
_TYPED_FORMATS = {
    "date": ValueType.DATE,
    "date-time": ValueType.INSTANT,
    "date-time-local": ValueType.TIMESTAMP,
    "time-local": ValueType.TIME,
}
_MAX_NAME = 255
_MAX_DECIMALS = 15
_MAX_EXACT = 10**15


@dataclass(frozen=True)
class _Reader:
    """Reads one JSON Schema; every refusal names the file and the pointer."""

    path: str

    def refuse(self, pointer: str, message: str) -> FlowError:
        return FlowError(self.path, pointer, message)

    def keyword(
        self, schema: Mapping[str, Any], name: str, kind: type | tuple[type, ...], pointer: str
    ) -> Any:
        """The value of a keyword if it is there, checked for its JSON type."""
        value = schema.get(name)
        if name in schema and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise self.refuse(join(pointer, name), f"{name} cannot be {value!r}")
        return value

    def schema(self, schema: Mapping[str, Any], pointer: str) -> TargetSchema:
        for name in schema:
            if name not in _ROOT_KEYWORDS:
                raise self.refuse(join(pointer, name), f"the keyword {name} is not supported; take it out")
        if schema.get("type", "object") != "object":
            raise self.refuse(join(pointer, "type"), "the schema describes one record: write type: object")
        if schema.get("additionalProperties", False) is not False:
            raise self.refuse(
                join(pointer, "additionalProperties"),
                "only false is possible: the mapper makes no other fields",
            )
        properties = self.keyword(schema, "properties", dict, pointer)
        if not properties:
            raise self.refuse(join(pointer, "properties"), "needs one property at least")
        required = self.keyword(schema, "required", list, pointer) or []
        for index, name in enumerate(required):
            if name not in properties:
                raise self.refuse(join(pointer, "required", index), f"{name!r} is none of the properties")
        self.check_names(properties, pointer)
        fields, key = [], []
        for name, property_schema in properties.items():
            place = join(pointer, "properties", name)
            if not isinstance(property_schema, dict):
                raise self.refuse(place, "must be a schema with at least a type")
            fields.append(self.field(name, property_schema, name in required, place))
            if self.keyword(property_schema, "isPrimaryKey", bool, place):
                key.append(name)
        return TargetSchema(tuple(fields), tuple(key))

    def check_names(self, properties: Mapping[str, Any], pointer: str) -> None:
        seen: dict[str, str] = {}
        for name in properties:
            place = join(pointer, "properties", name)
            if not name or len(name.encode()) > _MAX_NAME or "." in name or not name.isprintable():
                raise self.refuse(
                    place, f"a property's name has 1 to {_MAX_NAME} bytes of printable characters and no dot"
                )
            if (other := seen.setdefault(name.casefold(), name)) != name:
                raise self.refuse(place, f"differs from {other!r} in case only; rename one of them")

    def field(self, name: str, schema: Mapping[str, Any], required: bool, place: str) -> TargetField:
        for keyword in schema:
            if keyword not in _KEYWORDS:
                raise self.refuse(
                    join(place, keyword), f"the keyword {keyword} is not supported; take it out"
                )
        value_type, nullable = self.types(schema, place)
        constraints = (
            *self.options(schema, value_type, nullable, place),
            *self.text_constraints(schema, value_type, place),
            *self.bounds(schema, value_type, place),
            *self.multiple(schema, value_type, place),
            *self.format_constraint(schema, value_type),
        )
        sensitive = bool(self.keyword(schema, "x-sensitive", bool, place))
        return TargetField(name, value_type, required or not nullable, constraints, sensitive)

    def types(self, schema: Mapping[str, Any], place: str) -> tuple[ValueType, bool]:
        written = schema.get("type")
        names = written if isinstance(written, list) else [written]
        known = [name for name in names if isinstance(name, str) and name in _TYPES]
        if len(known) != 1 or any(name not in (*known, "null") for name in names):
            raise self.refuse(
                join(place, "type"),
                f"must be one of {', '.join(_TYPES)}, or a list of one of them and null; found {written!r}",
            )
        value_type = _TYPES[known[0]]
        text_format = self.keyword(schema, "format", str, place)
        if text_format is not None:
            if text_format not in _TYPED_FORMATS and text_format not in FORMAT_PATTERNS:
                supported = ", ".join((*_TYPED_FORMATS, *FORMAT_PATTERNS))
                raise self.refuse(
                    join(place, "format"), f"{text_format!r} is not supported; supported: {supported}"
                )
            if value_type is not ValueType.TEXT:
                raise self.refuse(join(place, "format"), "only a string has a format")
            value_type = _TYPED_FORMATS.get(text_format, value_type)
        return value_type, "null" in names

    def options(
        self, schema: Mapping[str, Any], value_type: ValueType, nullable: bool, place: str
    ) -> tuple[OneOf, ...]:
        found = []
        for keyword in ("enum", "const", "oneOf"):
            if keyword not in schema:
                continue
            if keyword == "oneOf":
                options = self.named_options(schema, place)
            else:
                options = (
                    [schema["const"]] if keyword == "const" else self.keyword(schema, "enum", list, place)
                )
            fits = _OPTION_CHECKS.get(
                value_type, lambda option: isinstance(option, str) and is_value(option, value_type)
            )
            for index, option in enumerate(options):
                if not (fits(option) or (option is None and nullable)):
                    pointer = join(place, keyword) if keyword == "const" else join(place, keyword, index)
                    raise self.refuse(
                        pointer, f"{option!r} is no {value_type.value}; quote it if it is a text"
                    )
            values = tuple(option for option in options if option is not None)
            if not values:
                raise self.refuse(join(place, keyword), "names no value")
            found.append(OneOf(values))
        return tuple(found)

    def named_options(self, schema: Mapping[str, Any], place: str) -> list[Any]:
        """The options of `oneOf`, which names each by `const` and says what it means by `title`."""
        options: list[Any] = []
        for index, named in enumerate(self.keyword(schema, "oneOf", list, place)):
            if not isinstance(named, dict) or "const" not in named or named.keys() - _NAMED_OPTION:
                raise self.refuse(
                    join(place, "oneOf", index),
                    "must be an option: {const: VALUE, title: what it means}; other schemas are not supported",
                )
            for keyword in ("title", "description"):
                self.keyword(named, keyword, str, join(place, "oneOf", index))
            if named["const"] in options:
                raise self.refuse(join(place, "oneOf", index), f"{named['const']!r} stands there twice")
            options.append(named["const"])
        return options

    def text_constraints(
        self, schema: Mapping[str, Any], value_type: ValueType, place: str
    ) -> tuple[Matches | Length, ...]:
        for keyword in _TEXT_KEYWORDS & schema.keys():
            if value_type is not ValueType.TEXT:
                raise self.refuse(join(place, keyword), f"a {value_type.value} takes no {keyword}")
        found: list[Matches | Length] = []
        pattern = self.keyword(schema, "pattern", str, place)
        if pattern is not None:
            try:
                found.append(Matches(translate(pattern), pattern))
            except PatternProblem as problem:
                raise self.refuse(join(place, "pattern"), str(problem)) from problem
        for keyword, comparison in _LENGTHS.items():
            length = self.keyword(schema, keyword, int, place)
            if length is None:
                continue
            if not 0 <= length <= _MAX_INTEGER:
                raise self.refuse(join(place, keyword), "must be a length from 0 on")
            found.append(Length(comparison, length))
        return tuple(found)

    def bounds(self, schema: Mapping[str, Any], value_type: ValueType, place: str) -> tuple[Bound, ...]:
        found = []
        for keyword, comparison in _BOUNDS.items():
            limit = self.keyword(schema, keyword, (int, float), place)
            if limit is None:
                continue
            if value_type not in (ValueType.INTEGER, ValueType.NUMBER):
                raise self.refuse(join(place, keyword), f"a {value_type.value} takes no {keyword}")
            if value_type is ValueType.INTEGER:
                # The next integer, so that none of 64 bits is ever compared as a float.
                limit = math.ceil(limit) if comparison in (">=", "<") else math.floor(limit)
            if isinstance(limit, int) and not _MIN_INTEGER <= limit <= _MAX_INTEGER:
                raise self.refuse(join(place, keyword), "an integer of more than 64 bits")
            found.append(Bound(comparison, limit))
        return tuple(found)

    def multiple(
        self, schema: Mapping[str, Any], value_type: ValueType, place: str
    ) -> tuple[MultipleOf, ...]:
        written = self.keyword(schema, "multipleOf", (int, float), place)
        if written is None:
            return ()
        if value_type not in (ValueType.INTEGER, ValueType.NUMBER):
            raise self.refuse(join(place, "multipleOf"), f"a {value_type.value} takes no multipleOf")
        sign, digits, exponent = Decimal(repr(written)).normalize().as_tuple()
        decimals = max(0, -int(exponent))
        units = int("".join(map(str, digits))) * 10 ** max(0, int(exponent))
        if sign or not units or units > _MAX_EXACT or decimals > _MAX_DECIMALS:
            raise self.refuse(
                join(place, "multipleOf"),
                f"must be above 0, with at most {_MAX_DECIMALS} decimals and 15 digits; found {written!r}",
            )
        return (MultipleOf(units, decimals, written),)

    @staticmethod
    def format_constraint(schema: Mapping[str, Any], value_type: ValueType) -> tuple[Matches, ...]:
        if value_type is ValueType.TEXT and "format" in schema:
            return (Matches(FORMAT_PATTERNS[schema["format"]], schema["format"], ErrorType.FORMAT),)
        return ()


_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _MIN_INTEGER <= value <= _MAX_INTEGER


_OPTION_CHECKS: dict[ValueType, Callable[[Any], bool]] = {
    ValueType.TEXT: lambda value: isinstance(value, str),
    ValueType.INTEGER: _is_integer,
    ValueType.NUMBER: lambda value: _is_integer(value) or isinstance(value, float),
    ValueType.BOOLEAN: lambda value: isinstance(value, bool),
}


def read_target_schema(schema: Mapping[str, Any], *, path: str, pointer: str) -> TargetSchema:
    """Read the JSON Schema of one record.

    Args:
        schema: The schema as it was written.
        path: The flow file, for messages.
        pointer: Where the schema stands in it.

    Raises:
        FlowError: A keyword is not supported or cannot be as it is written.
    """
    return _Reader(path).schema(schema, pointer)
