"""A flow version's target schema, as Dagster and Arrow see it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from lume_dagster.client.models import json_type_of

if TYPE_CHECKING:
    import pyarrow as pa

MASK = "(masked)"

# As pyarrow names the types of the columns. It is slow to import, and a column's type is shown before any is read.
_TYPE_NAMES = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}
_FORMAT_NAMES = {
    "date": "date32[day]",
    "date-time": "timestamp[us, tz=UTC]",
    "date-time-local": "timestamp[us]",
    "time-local": "time64[us]",
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
    "minItems",
    "maxItems",
    "uniqueItems",
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
        return json_type_of(self.schema)

    @property
    def members(self) -> list[TargetField]:
        """The properties of an object; none of anything else."""
        return target_fields(self.schema)

    @property
    def is_sensitive(self) -> bool:
        """Whether its values are masked wherever they would be shown."""
        return bool(self.schema.get("x-sensitive"))

    @property
    def arrow_type(self) -> pa.DataType | None:
        """The type of its column; None where this version does not know."""
        from lume_dagster.client.frames import arrow_type_of  # noqa: PLC0415 - pyarrow is slow to import

        return arrow_type_of(self.schema)

    @property
    def type_name(self) -> str | None:
        """The name of the type of its column; None where this version does not know."""
        if self.json_type == "object":
            members = [(member.name, member.type_name) for member in self.members]
            known = [f"{name}: {shown}" for name, shown in members if shown is not None]
            return f"struct<{', '.join(known)}>" if len(known) == len(members) else None
        if self.json_type == "array":
            items = TargetField("item", self.schema.get("items", {}), required=False).type_name
            return None if items is None else f"list<item: {items}>"
        if self.json_type == "string" and self.schema.get("format") in _FORMAT_NAMES:
            return _FORMAT_NAMES[self.schema["format"]]
        return _TYPE_NAMES.get(self.json_type)

    def column(self, *, unique: bool) -> dg.TableColumn:
        """Its column, with the description and the constraints.

        Args:
            unique: No two records share its value.
        """
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
            type=self.type_name or self.json_type,
            description=self.schema.get("description"),
            constraints=dg.TableColumnConstraints(nullable=not self.required, unique=unique, other=other),
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
    keys = {"primary key": _key(target_schema, "")}
    keys |= {f"unique {index}": tuple(key) for index, key in enumerate(target_schema.get("x-unique", ()), 1)}
    several = [f"{title}: {', '.join(key)}" for title, key in keys.items() if len(key) > 1]
    return dg.TableSchema(
        columns=[
            field.column(unique=(field.name,) in keys.values()) for field in target_fields(target_schema)
        ],
        constraints=dg.TableConstraints(other=several) if several else None,
    )


def _key(schema: Mapping[str, Any], prefix: str) -> tuple[str, ...]:
    """The paths of the fields that form the primary key."""
    found: list[str] = []
    for field in target_fields(schema):
        if field.schema.get("isPrimaryKey"):
            found.append(prefix + field.name)
        found += _key(field.schema, f"{prefix}{field.name}.")
    return tuple(found)


def sensitive_fields(target_schema: Mapping[str, Any]) -> set[str]:
    """The names of the fields that are to be masked; of those in objects the paths, as errors name them."""
    return _sensitive(target_schema, "", masked=False)


def is_masked(field: str | None, sensitive: Collection[str]) -> bool:
    """Whether what an error says of a field, or of several, must not be shown; that of a whole record may quote any.

    Args:
        field: The target field that the error names, or several with commas between; None for the whole record.
        sensitive: The sensitive fields of the target schema.
    """
    return bool(sensitive) and (field is None or not set(sensitive).isdisjoint(field.split(", ")))


def _sensitive(schema: Mapping[str, Any], prefix: str, *, masked: bool) -> set[str]:
    found: set[str] = set()
    for field in target_fields(schema):
        hidden = masked or field.is_sensitive
        found |= {prefix + field.name} if hidden else set()
        found |= _sensitive(field.schema, f"{prefix}{field.name}.", masked=hidden)
    return found


def _nullable(kind: pa.DataType) -> pa.DataType:
    """A type as one whose members may all be null; the files of some databases tell which were not."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and not needed to declare assets

    if pa.types.is_struct(kind):
        return pa.struct([(member.name, _nullable(member.type)) for member in kind])
    return pa.list_(_nullable(kind.value_type)) if pa.types.is_list(kind) else kind


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
            column_type = _nullable(found.field(field.name).type)
            if not column_type.equals(field.arrow_type):
                differences.append(f"column {field.name!r} is {column_type}, not {field.arrow_type}")
    return differences
