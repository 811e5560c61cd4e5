"""A flow version's target schema, as Dagster and Arrow see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

_ARROW_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_ARROW_FORMATS = {
    "date": pa.date32(),
    "date-time": pa.timestamp("us", tz="UTC"),
    "date-time-local": pa.timestamp("us"),
    "time-local": pa.time64("us"),
}
_SHOWN_CONSTRAINTS = (
    "const",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "format",
)
_MOST_OPTIONS_SHOWN = 20


@dataclass(frozen=True)
class TargetField:
    """One property of a target schema."""

    name: str
    schema: Mapping[str, Any]
    required: bool

    @property
    def json_type(self) -> str:
        """Its JSON type, `null` left aside; `string` where the schema names none."""
        stated = self.schema.get("type", "string")
        types = [stated] if isinstance(stated, str) else [name for name in stated if name != "null"]
        return types[0] if types else "string"

    @property
    def is_sensitive(self) -> bool:
        """Whether its values are masked wherever they would be shown."""
        return bool(self.schema.get("x-sensitive"))

    @property
    def arrow_type(self) -> pa.DataType | None:
        """The type of its column; None where this version does not know."""
        stated = self.schema.get("format")
        if self.json_type == "string" and stated in _ARROW_FORMATS:
            return _ARROW_FORMATS[stated]
        return _ARROW_TYPES.get(self.json_type)

    def column(self) -> dg.TableColumn:
        """Its column, with the description and the constraints."""
        other = [f"{name}: {self.schema[name]}" for name in _SHOWN_CONSTRAINTS if name in self.schema]
        one_of = self.schema.get("oneOf") or ()
        named = [option["const"] for option in one_of if isinstance(option, Mapping) and "const" in option]
        if options := self.schema.get("enum") or named:
            shown = ", ".join(map(str, options[:_MOST_OPTIONS_SHOWN]))
            other.append(f"one of: {shown}" + (", ..." if len(options) > _MOST_OPTIONS_SHOWN else ""))
        if self.is_sensitive:
            other.append("sensitive")
        return dg.TableColumn(
            self.name,
            type=str(self.arrow_type or self.json_type),
            description=self.schema.get("description"),
            constraints=dg.TableColumnConstraints(
                nullable=not self.required, unique=bool(self.schema.get("isPrimaryKey")), other=other
            ),
        )


def target_fields(target_schema: Mapping[str, Any]) -> list[TargetField]:
    """The properties of a target schema, in its order."""
    required = set(target_schema.get("required", ()))
    return [
        TargetField(name, schema, name in required)
        for name, schema in target_schema.get("properties", {}).items()
    ]


def table_schema(target_schema: Mapping[str, Any]) -> dg.TableSchema:
    """The columns of the mapped output, with the descriptions and constraints of the target schema."""
    return dg.TableSchema(columns=[field.column() for field in target_fields(target_schema)])


def schema_differences(target_schema: Mapping[str, Any], found: pa.Schema) -> list[str]:
    """In words, where a file's columns differ from what the target schema asks for; empty if nowhere."""
    fields = target_fields(target_schema)
    expected = [field.name for field in fields]
    differences = [f"column {name!r} is missing" for name in expected if name not in found.names]
    differences += [
        f"column {name!r} is not in the target schema" for name in found.names if name not in expected
    ]
    if not differences and found.names != expected:
        differences.append(f"the columns are in another order: {found.names}")
    for field in fields:
        if field.name in found.names and field.arrow_type is not None:
            column_type = found.field(field.name).type
            if not column_type.equals(field.arrow_type):
                differences.append(f"column {field.name!r} is {column_type}, not {field.arrow_type}")
    return differences
