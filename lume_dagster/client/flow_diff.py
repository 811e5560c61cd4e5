"""What differs between two versions of a flow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from lume_dagster.client.models import FlowVersionInfo, Record

_ABSENT = object()


class FlowChange(Record):
    """One difference between two flow versions.

    Attributes:
        field: Target field that it is about; None if it is about the whole flow.
        place: What differs, as a path: ``mapper.lookup.table.England``, ``schema.maxLength``, ``source.delimiter``.
        kind: Whether the newer version has added, removed or changed it.
        before: What the older version says, if anything.
        after: What the newer version says, if anything.
    """

    field: str | None
    place: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


class FlowDiff(Record):
    """The differences between two flow versions.

    Attributes:
        before: The one ``name:vN``.
        after: The other.
        same_fingerprint: Whether both give the same output for every batch; None if this Lume tells no fingerprint.
        changes: The differences, those of the whole flow first, then field by field.
    """

    before: str
    after: str
    same_fingerprint: bool | None
    changes: tuple[FlowChange, ...]


def diff_flow_versions(before: FlowVersionInfo, after: FlowVersionInfo) -> FlowDiff:
    """Tell what differs between two versions, in their mappers, target schemas, sources and targets.

    Example:
        ::

            diff = diff_flow_versions(client.flow_version("flights:v1"), client.flow_version("flights:v2"))
            for change in diff.changes:
                print(change.field, change.place, change.before, change.after)
    """
    told = before.fingerprint is not None and after.fingerprint is not None
    return FlowDiff(
        before=before.flow_version,
        after=after.flow_version,
        same_fingerprint=before.fingerprint == after.fingerprint if told else None,
        changes=tuple(_changes(before, after)),
    )


def _changes(before: FlowVersionInfo, after: FlowVersionInfo) -> Iterator[FlowChange]:
    yield from _differences(None, _whole(before), _whole(after))
    fields, other_fields = _fields(before), _fields(after)
    shared, other_shared = (
        [name for name in some if name in others]
        for some, others in ((fields, other_fields), (other_fields, fields))
    )
    if shared != other_shared:
        yield FlowChange(
            field=None, place="order of fields", kind="changed", before=[*fields], after=[*other_fields]
        )
    for name in dict.fromkeys([*fields, *other_fields]):
        yield from _differences(name, fields.get(name, {}), other_fields.get(name, {}))


def _whole(flow: FlowVersionInfo) -> dict[str, Any]:
    """What a version says that is about no single field."""
    schema = {
        name: value for name, value in flow.target_schema.items() if name not in ("properties", "required")
    }
    return {
        "description": flow.description,
        "source": flow.source,
        "schema": schema,
        "target": flow.target,
    }


def _fields(flow: FlowVersionInfo) -> dict[str, dict[str, Any]]:
    """What a version says of each target field."""
    required = flow.target_schema.get("required", ())
    return {
        name: {"schema": schema, "required": name in required, "mapper": flow.mapper.get(name)}
        for name, schema in flow.target_schema.get("properties", {}).items()
    }


def _differences(
    field: str | None, before: Any, after: Any, path: tuple[str, ...] = ()
) -> Iterator[FlowChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _differences(
                field, before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, _step(str(name)))
            )
    elif before is _ABSENT or after is _ABSENT or _canonical(before) != _canonical(after):
        kind: Literal["added", "removed", "changed"] = (
            "added" if before is _ABSENT else "removed" if after is _ABSENT else "changed"
        )
        yield FlowChange(
            field=field,
            place=".".join(path),
            kind=kind,
            before=None if before is _ABSENT else before,
            after=None if after is _ABSENT else after,
        )


def _step(name: str) -> str:
    """A name in a path; in quotes if it is empty, or has blanks at an end, which nobody would see."""
    return name if name and name == name.strip() else json.dumps(name, ensure_ascii=False)


def _canonical(value: Any) -> str:
    # As JSON, in which 1 and true differ.
    return json.dumps(value, sort_keys=True)
