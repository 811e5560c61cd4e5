"""The target schema: the part of JSON Schema that describes one record, as typed fields and constraints.

Objects are taken apart: their properties are fields whose names are paths, `address.city`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


ValueConstraint = OneOf | Matches | Length | Bound | MultipleOf


@dataclass(frozen=True)
class EachItem:
    """Each item of a list fulfils a constraint; null fulfils all."""

    constraint: ValueConstraint

    @property
    def error(self) -> ErrorType:
        """The type of error of a list that does not."""
        return self.constraint.error


@dataclass(frozen=True)
class ItemCount:
    """The list has at least (>=) or at most (<=) so many items."""

    comparison: str
    limit: int
    error = ErrorType.LENGTH


@dataclass(frozen=True)
class DistinctItems:
    """No two items of the list are equal."""

    error = ErrorType.DUPLICATE


Constraint = ValueConstraint | EachItem | ItemCount | DistinctItems


@dataclass(frozen=True)
class Items:
    """What a list holds: values of one type, and nulls if they are allowed."""

    type: ValueType
    nullable: bool


@dataclass(frozen=True)
class TargetField:
    """One value of the result.

    Attributes:
        name: The property's name; the path to it where it lies in an object.
        type: Its type.
        required: An absent value is an error: the property is required, or null is none of its types.
        constraints: What a value must fulfil, in the order of the error types.
        sensitive: Its values are to be masked wherever they are shown.
        items: What it holds if it is a list.
        required_with: Fields with which it is required: an absent value is an error where one of these has a value.
    """

    name: str
    type: ValueType
    required: bool
    constraints: tuple[Constraint, ...]
    sensitive: bool
    items: Items | None = None
    required_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetObject:
    """An object of the result. One that is not required is null where none of its fields has a value.

    Attributes:
        name: The property's name, or the path to it.
        required: The property is required, or null is none of its types.
        members: Its properties, in their order.
    """

    name: str
    required: bool
    members: tuple[TargetField | TargetObject, ...]


TargetColumn = TargetField | TargetObject


@dataclass(frozen=True)
class TargetSchema:
    """What a record of the result looks like.

    Attributes:
        columns: Its columns, in their order.
        key: The fields that form the primary key.
        unique: Further lists of fields whose values no two records share.
    """

    columns: tuple[TargetColumn, ...]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]

    @property
    def fields(self) -> tuple[TargetField, ...]:
        """All fields, those of objects included, in their order."""
        return tuple(field for column in self.columns for field in fields_of(column))


def fields_of(column: TargetColumn) -> tuple[TargetField, ...]:
    """The fields of a column, in their order."""
    if isinstance(column, TargetField):
        return (column,)
    return tuple(field for member in column.members for field in fields_of(member))


_NOTES = {"title", "description", "examples", "$comment"}
_OBJECT_KEYWORDS = {"type", "properties", "required", "additionalProperties", "x-sensitive"} | _NOTES
_ROOT_KEYWORDS = (_OBJECT_KEYWORDS | {"$schema", "$id", "x-unique"}) - {"x-sensitive"}
_COUNTS = {"minItems": ">=", "maxItems": "<="}
_ARRAY_KEYWORDS = {"type", "items", "uniqueItems", "x-sensitive"} | _NOTES | set(_COUNTS)
_LENGTHS = {"minLength": ">=", "maxLength": "<="}
_TEXT_KEYWORDS = {"pattern", *_LENGTHS}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_NAMED_OPTION = {"const", "title", "description"}
_ITEM_KEYWORDS = (
    {"type", "format", "enum", "const", "oneOf", "multipleOf"} | _NOTES | _TEXT_KEYWORDS | set(_BOUNDS)
)
_KEYWORDS = _ITEM_KEYWORDS | {"x-sensitive", "isPrimaryKey"}
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
_MAX_LEVELS = 10
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

    def check_keywords(
        self, schema: Mapping[str, Any], allowed: set[str], pointer: str, said: str = ""
    ) -> None:
        for name in schema:
            if name not in allowed:
                raise self.refuse(
                    join(pointer, name), f"the keyword {name} is not supported{said}; take it out"
                )

    def schema(self, schema: Mapping[str, Any], pointer: str) -> TargetSchema:
        self.check_keywords(schema, _ROOT_KEYWORDS, pointer)
        if schema.get("type", "object") != "object":
            raise self.refuse(join(pointer, "type"), "the schema describes one record: write type: object")
        keys: list[str] = []
        members = self.members(schema, "", pointer, keys, sensitive=False, level=1)
        columns = tuple(_conditional(column, None) for column in members)
        found = TargetSchema(columns, tuple(keys), ())
        return replace(found, unique=self.unique(schema, found, pointer))

    def unique(
        self, schema: Mapping[str, Any], found: TargetSchema, pointer: str
    ) -> tuple[tuple[str, ...], ...]:
        """The lists of fields under `x-unique`."""
        scalars = {field.name for field in found.fields if field.items is None}
        seen = {frozenset(found.key)}
        for index, names in enumerate(self.keyword(schema, "x-unique", list, pointer) or ()):
            place = join(pointer, "x-unique", index)
            if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
                raise self.refuse(place, "must be a list of different properties, such as [order, line]")
            for at, name in enumerate(names):
                if name not in scalars:
                    raise self.refuse(join(place, at), f"{name!r} is no property that has a single value")
            if frozenset(names) in seen:
                raise self.refuse(place, "says what the primary key or an entry before says; take it out")
            seen.add(frozenset(names))
        return tuple(tuple(names) for names in schema.get("x-unique", ()))

    def members(
        self,
        schema: Mapping[str, Any],
        prefix: str,
        pointer: str,
        keys: list[str],
        *,
        sensitive: bool,
        level: int,
    ) -> tuple[TargetColumn, ...]:
        """The properties of an object; what is marked as part of the primary key is put into `keys`."""
        if level > _MAX_LEVELS:
            raise self.refuse(pointer, f"objects lie in each other deeper than {_MAX_LEVELS} levels")
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
        found: list[TargetColumn] = []
        for name, property_schema in properties.items():
            place = join(pointer, "properties", name)
            if not isinstance(property_schema, dict):
                raise self.refuse(place, "must be a schema with at least a type")
            path, written = prefix + name, property_schema.get("type")
            needed = name in required or not (isinstance(written, list) and "null" in written)
            masked = sensitive or bool(self.keyword(property_schema, "x-sensitive", bool, place))
            if self.is_type("object", written, place):
                self.check_keywords(property_schema, _OBJECT_KEYWORDS, place, " beside type: object")
                inner = self.members(
                    property_schema, f"{path}.", place, keys, sensitive=masked, level=level + 1
                )
                found.append(TargetObject(path, needed, inner))
            elif self.is_type("array", written, place):
                found.append(self.array(path, property_schema, needed, masked, place))
            else:
                found.append(self.field(path, property_schema, needed, masked, place))
                if self.keyword(property_schema, "isPrimaryKey", bool, place):
                    keys.append(path)
        return tuple(found)

    def is_type(self, name: str, written: Any, place: str) -> bool:
        """Whether a type is the one of this name, with null or without."""
        names = written if isinstance(written, list) else [written]
        if name in names and any(other not in (name, "null") for other in names):
            raise self.refuse(join(place, "type"), f"{name} stands alone or with null; found {written!r}")
        return name in names

    def array(
        self, path: str, schema: Mapping[str, Any], needed: bool, sensitive: bool, place: str
    ) -> TargetField:
        self.check_keywords(schema, _ARRAY_KEYWORDS, place, " beside type: array")
        items = self.keyword(schema, "items", dict, place)
        if items is None:
            raise self.refuse(join(place, "items"), "is missing; say of which type the items are")
        inner = join(place, "items")
        self.check_keywords(items, _ITEM_KEYWORDS, inner, " for the items of an array")
        item_type, nullable = self.types(items, inner, tuple(_TYPES))
        counts = [
            ItemCount(comparison, self.length(schema, keyword, place))
            for keyword, comparison in _COUNTS.items()
            if keyword in schema
        ]
        distinct = (DistinctItems(),) if self.keyword(schema, "uniqueItems", bool, place) else ()
        each = tuple(map(EachItem, self.constraints(items, item_type, nullable, inner)))
        constraints = (*each, *counts, *distinct)
        return TargetField(
            path, ValueType.LIST, needed, constraints, sensitive, items=Items(item_type, nullable)
        )

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

    def field(
        self, path: str, schema: Mapping[str, Any], needed: bool, sensitive: bool, place: str
    ) -> TargetField:
        self.check_keywords(schema, _KEYWORDS, place)
        value_type, nullable = self.types(schema, place, (*_TYPES, "object", "array"))
        return TargetField(
            path, value_type, needed, self.constraints(schema, value_type, nullable, place), sensitive
        )

    def constraints(
        self, schema: Mapping[str, Any], value_type: ValueType, nullable: bool, place: str
    ) -> tuple[ValueConstraint, ...]:
        return (
            *self.options(schema, value_type, nullable, place),
            *self.text_constraints(schema, value_type, place),
            *self.bounds(schema, value_type, place),
            *self.multiple(schema, value_type, place),
            *self.format_constraint(schema, value_type),
        )

    def types(
        self, schema: Mapping[str, Any], place: str, possible: tuple[str, ...]
    ) -> tuple[ValueType, bool]:
        written = schema.get("type")
        names = written if isinstance(written, list) else [written]
        known = [name for name in names if isinstance(name, str) and name in _TYPES]
        if len(known) != 1 or any(name not in (*known, "null") for name in names):
            raise self.refuse(
                join(place, "type"),
                f"must be one of {', '.join(possible)}, or a list of one of them and null; found {written!r}",
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
            if keyword in schema:
                found.append(Length(comparison, self.length(schema, keyword, place)))
        return tuple(found)

    def length(self, schema: Mapping[str, Any], keyword: str, place: str) -> int:
        length: int = self.keyword(schema, keyword, int, place)
        if not 0 <= length <= _MAX_INTEGER:
            raise self.refuse(join(place, keyword), "must be a length from 0 on")
        return length

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


def _conditional(column: TargetColumn, together: tuple[str, ...] | None) -> TargetColumn:
    """A column whose required fields are required only with others, where they lie in an object that may be absent.

    Args:
        column: The column.
        together: The fields of the innermost object above it that may be absent, if there is one.
    """
    if isinstance(column, TargetField):
        if together is None or not column.required:
            return column
        return replace(column, required=False, required_with=together)
    if not column.required:
        together = tuple(field.name for field in fields_of(column))
    return replace(column, members=tuple(_conditional(member, together) for member in column.members))


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
