"""A target schema out of records in the wanted form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lume_dagster.engine.values import FORMAT_PATTERNS, ValueType
from lume_dagster.generator.formats import find_format
from lume_dagster.generator.profile import TEMPORAL, ColumnProfile, Kind, Profile
from lume_dagster.generator.reading import cast

_MOST_EXAMPLES = 3
_TYPES: dict[Kind, tuple[tuple[dict[str, Any], ValueType], ...]] = {
    Kind.INTEGER: (({"type": "integer"}, ValueType.INTEGER), ({"type": "number"}, ValueType.NUMBER)),
    Kind.NUMBER: (({"type": "number"}, ValueType.NUMBER),),
    Kind.DATE: (({"type": "string", "format": "date"}, ValueType.DATE),),
    Kind.DATE_TIME: (
        ({"type": "string", "format": "date-time"}, ValueType.INSTANT),
        ({"type": "string", "format": "date-time-local"}, ValueType.TIMESTAMP),
    ),
    Kind.TIME: (({"type": "string", "format": "time-local"}, ValueType.TIME),),
    Kind.BOOLEAN: (({"type": "boolean"}, ValueType.BOOLEAN),),
}
_FORMATS = {
    Kind.EMAIL: "email",
    Kind.URI: "uri",
    Kind.IMAGE: "uri",
    Kind.UUID: "uuid",
    Kind.IP_ADDRESS: "ipv4",
}


def derive_schema(wanted: Profile) -> dict[str, Any]:
    """The JSON Schema that records in the wanted form follow.

    A column becomes a field of the narrowest type that takes all its values; one without absent values is required.
    Dates and times that are written in one way are such, although a flow writes them as ISO 8601 has them. Options,
    keys and limits are not guessed: a few records do not show them.

    Args:
        wanted: The records.
    """
    return {
        "type": "object",
        "required": [column.name for column in wanted.columns if _is_full(column)],
        "properties": {column.name: _property(column) for column in wanted.columns},
    }


def _is_full(column: ColumnProfile) -> bool:
    return column.rows > 0 and not column.nulls


def _property(column: ColumnProfile) -> dict[str, Any]:
    schema = _type(column)
    if not _is_full(column):
        schema = {**schema, "type": [schema["type"], "null"]}
    if schema["type"] in ("string", ["string", "null"]) and column.values:
        schema = {**schema, "examples": [value for value, _ in column.values[:_MOST_EXAMPLES]]}
    return schema


def _type(column: ColumnProfile) -> dict[str, Any]:
    values = [value for value, _ in column.values]
    if column.kind is Kind.INTEGER and any(_is_code(value) for value in values):
        return {"type": "string"}
    for schema, value_type in _TYPES.get(column.kind, ()):
        if all(cast(value, value_type) is not None for value in values):
            return dict(schema)
    for schema, value_type in _TYPES.get(column.kind, ()):
        if column.kind in TEMPORAL and is_settled(values, value_type):
            return dict(schema)
    pattern = FORMAT_PATTERNS.get(_FORMATS.get(column.kind, ""))
    if pattern is not None and all(re.fullmatch(pattern, value) for value in values):
        return {"type": "string", "format": _FORMATS[column.kind]}
    return {"type": "string"}


def is_settled(texts: Sequence[str], value_type: ValueType) -> bool:
    """Whether dates or times are all written in one way, which can be read in no other."""
    found = find_format(texts, value_type)
    return found.settled is not None and not (found.assumes or found.nonconforming or found.absent)


def _is_code(digits: str) -> bool:
    """Whether digits are a code and no number: `01234` would lose its zero."""
    plain = digits.strip().lstrip("+-")
    return len(plain) > 1 and plain.startswith("0")
