"""Whether a column's values can go into a field as they stand, by the engine's own cast rules."""

from __future__ import annotations

from lume_dagster.engine.values import ValueType, is_value
from lume_dagster.generator.evidence import Traits
from lume_dagster.generator.profile import Kind

_TYPES = {
    Kind.INTEGER: ValueType.INTEGER,
    Kind.NUMBER: ValueType.NUMBER,
    Kind.BOOLEAN: ValueType.BOOLEAN,
    Kind.DATE: ValueType.DATE,
    Kind.DATE_TIME: ValueType.INSTANT,
    Kind.TIME: ValueType.TIME,
}


def conforming(source: Traits, target: Traits) -> float:
    """The share of the sampled values that the field takes without a change, from 0 to 1.

    Args:
        source: The column; without values all of them conform.
        target: The field; where the schema says neither type nor options, each text conforms.
    """
    values = source.profile.values if source.profile is not None else ()
    total = sum(count for _, count in values)
    value_type = _TYPES.get(target.kind) if target.typed and target.kind is not None else None
    if target.local:
        value_type = ValueType.TIMESTAMP
    if not total or (value_type is None and not target.options):
        return 1.0
    fitting = sum(
        count
        for text, count in values
        if (value_type is None or is_value(text, value_type))
        and (not target.options or text in target.options)
    )
    return fitting / total
