"""A flow version's target schema, as Dagster and Arrow see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import pyarrow as pa

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
        types = _arrow_types()
        return types.get((self.json_type, stated), types.get((self.json_type, None)))

    def column(self) -> dg.TableColumn:
        """Its column, with the description and the constraints."""
        other = [f"{name}: {self.schema[name]}" for name in _SHOWN_CONSTRAINTS if name in self.schema]
        if options := self.schema.get("enum"):
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


@cache
def _arrow_types() -> Mapping[tuple[str, str | None], pa.DataType]:
    """The column types by JSON type and format."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and not needed to declare assets

    return {
        ("string", None): pa.string(),
        ("string", "date"): pa.date32(),
        ("string", "date-time"): pa.timestamp("us", tz="UTC"),
        ("string", "date-time-local"): pa.timestamp("us"),
        ("string", "time-local"): pa.time64("us"),
        ("integer", None): pa.int64(),
        ("number", None): pa.float64(),
        ("boolean", None): pa.bool_(),
    }


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
