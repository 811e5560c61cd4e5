from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.client import FlowDiff, FlowVersionInfo, diff_flow_versions


def version(number: int = 1, **members: Any) -> FlowVersionInfo:
    name = {"name": "p", "version": f"v{number}", "flow_version": f"p:v{number}"}
    return FlowVersionInfo.model_validate({**name, **members})


def changes(diff: FlowDiff) -> list[tuple[str | None, str, str, Any, Any]]:
    return [(c.field, c.place, c.kind, c.before, c.after) for c in diff.changes]


def test_each_part_is_compared() -> None:
    before = version(
        description="old",
        target_schema={
            "type": "object",
            "properties": {"id": {"type": "integer"}, "gone": {"type": "string"}, "kind": {"enum": ["a"]}},
            "required": ["id"],
        },
        mapper={"id": {"extract": "ID"}, "kind": {"lookup": {"from": "K", "table": {"A": "a", "B": "b"}}}},
        source={"delimiter": ","},
        target={"format": "parquet"},
    )
    after = version(
        2,
        description="new",
        target_schema={
            "type": "object",
            "properties": {"id": {"type": "number"}, "kind": {"enum": ["a", "c"]}, "more": {}},
            "required": ["id", "kind"],
        },
        mapper={"id": {"extract": "ID"}, "kind": {"lookup": {"from": "K", "table": {"A": "a", "C": "c"}}}},
        source={"delimiter": ";"},
        target={"format": "table", "table": "p"},
    )
    diff = diff_flow_versions(before, after)
    assert (diff.before, diff.after, diff.same_fingerprint) == ("p:v1", "p:v2", None)
    assert changes(diff) == [
        (None, "description", "changed", "old", "new"),
        (None, "source.delimiter", "changed", ",", ";"),
        (None, "target.format", "changed", "parquet", "table"),
        (None, "target.table", "added", None, "p"),
        ("id", "schema.type", "changed", "integer", "number"),
        ("gone", "schema", "removed", {"type": "string"}, None),
        ("gone", "required", "removed", False, None),
        ("gone", "mapper", "removed", None, None),
        ("kind", "schema.enum", "changed", ["a"], ["a", "c"]),
        ("kind", "required", "changed", False, True),
        ("kind", "mapper.lookup.table.B", "removed", "b", None),
        ("kind", "mapper.lookup.table.C", "added", None, "c"),
        ("more", "schema", "added", None, {}),
        ("more", "required", "added", None, False),
        ("more", "mapper", "added", None, None),
    ]


def test_another_order_of_the_fields_is_a_change() -> None:
    before, after = (
        version(target_schema={"properties": {name: {} for name in names}}) for names in ("ab", "bca")
    )
    assert changes(diff_flow_versions(before, after))[0] == (
        None,
        "order of fields",
        "changed",
        ["a", "b"],
        ["b", "c", "a"],
    )


@pytest.mark.parametrize(
    ("fingerprints", "same"),
    [(("a", "a"), True), (("a", "b"), False), (("a", None), None), ((None, None), None)],
)
def test_fingerprints_are_compared_where_they_are_told(
    fingerprints: tuple[str | None, str | None], same: bool | None
) -> None:
    before, after = (version(fingerprint=fingerprint) for fingerprint in fingerprints)
    assert diff_flow_versions(before, after).same_fingerprint is same


parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(parts, parts)
def test_there_is_a_change_exactly_where_something_differs(before: Any, after: Any) -> None:
    found = changes(diff_flow_versions(version(source={"x": before}), version(source={"x": after})))
    assert (found == []) == (repr_of(before) == repr_of(after))


def repr_of(value: Any) -> str:
    """A value so that 1 and True differ, and the order of members does not count."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{name!r}:{repr_of(member)}" for name, member in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(repr_of, value)) + "]"
    return repr(value)
