"""What the sensors need to know of partitions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.dynamic_partitions_request import AddDynamicPartitionsRequest

PARTITION_PLACE = "{partition_key}"


def is_partition(partitions_def: dg.PartitionsDefinition, key: str) -> bool:
    """Whether a key is a partition, or may become one."""
    return isinstance(partitions_def, dg.DynamicPartitionsDefinition) or partitions_def.has_partition_key(key)


def is_known_partition(
    instance: dg.DagsterInstance, partitions_def: dg.PartitionsDefinition, key: str
) -> bool:
    """Whether a key is a partition by now."""
    if isinstance(partitions_def, dg.DynamicPartitionsDefinition):
        return partitions_def.has_partition_key(key, dynamic_partitions_store=instance)
    return partitions_def.has_partition_key(key)


def add_requests(
    instance: dg.DagsterInstance, partitions_def: dg.PartitionsDefinition, keys: Iterable[str]
) -> list[AddDynamicPartitionsRequest]:
    """The request to add those of the keys that dynamic partitions lack; none for partitions of other kinds."""
    if not isinstance(partitions_def, dg.DynamicPartitionsDefinition) or partitions_def.name is None:
        return []
    known = set(instance.get_dynamic_partitions(partitions_def.name))
    new = [key for key in dict.fromkeys(keys) if key not in known]
    return [partitions_def.build_add_request(new)] if new else []


def partition_key_of(template: str, source_path: str) -> str | None:
    """The partition key that a source path was made of by a template; None if it was made otherwise.

    Example:
        >>> partition_key_of("incoming/{partition_key}.csv", "incoming/2013-01-01.csv")
        '2013-01-01'
    """
    # A key that stands in the template twice has to be the same twice.
    first, *others = (re.escape(part) for part in template.split(PARTITION_PLACE))
    pattern = first + "".join(
        f"{'(?P<key>.+)' if not n else '(?P=key)'}{part}" for n, part in enumerate(others)
    )
    found = re.fullmatch(pattern, source_path, re.DOTALL)
    return found["key"] if found and others else None
