"""The columns of a target schema with objects and arrays, and where they differ from a file's."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.assets.metadata import mapped_metadata, output_metadata
from lume_dagster.client import FlowVersionInfo, LumeClient
from lume_dagster.target_schema import TargetField, schema_differences, sensitive_fields, table_schema
from lume_dagster.testing import RunScript, ScriptedLume

SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": "string", "isPrimaryKey": True},
        "address": {
            "type": ["object", "null"],
            "properties": {
                "city": {"type": "string", "x-sensitive": True},
                "since": {"type": "string", "format": "date"},
                "line": {"type": "integer"},
            },
        },
        "tags": {"type": "array", "items": {"type": "string", "format": "date-time"}, "maxItems": 3},
        "secret": {"type": "object", "x-sensitive": True, "properties": {"a": {"type": "string"}}},
    },
    "x-unique": [["address.city", "address.line"]],
}
ADDRESS = pa.struct([("city", pa.string()), ("since", pa.date32()), ("line", pa.int64())])
COLUMNS = {
    "id": pa.string(),
    "address": ADDRESS,
    "tags": pa.list_(pa.timestamp("us", tz="UTC")),
    "secret": pa.struct([("a", pa.string())]),
}


def test_columns_of_objects_and_arrays() -> None:
    table = table_schema(SCHEMA)
    assert [(column.name, column.type) for column in table.columns] == [
        (name, str(kind)) for name, kind in COLUMNS.items()
    ]
    assert table.columns[2].constraints.other == ["maxItems: 3"]
    assert [column.constraints.unique for column in table.columns] == [True, False, False, False]
    assert table.constraints == dg.TableConstraints(other=["unique 1: address.city, address.line"])


_TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "other"])
_FORMATS = st.sampled_from(["date", "date-time", "date-time-local", "time-local", "uri"])
_SCHEMAS = st.recursive(
    st.builds(dict, type=_TYPES) | st.builds(dict, type=st.just(["null", "string"]), format=_FORMATS),
    lambda inner: (
        st.builds(dict, type=st.just("array"), items=inner)
        | st.builds(
            dict, type=st.just("object"), properties=st.dictionaries(st.text("abc", max_size=2), inner)
        )
    ),
    max_leaves=5,
)


@given(_SCHEMAS)
def test_a_type_is_shown_as_arrow_names_it(schema: dict[str, Any]) -> None:
    field = TargetField("x", schema, required=False)
    assert field.type_name == (None if field.arrow_type is None else str(field.arrow_type))


def test_fields_of_objects_are_masked_by_their_paths() -> None:
    assert sensitive_fields(SCHEMA) == {"address.city", "secret", "secret.a"}


def test_differences_look_into_objects_but_not_at_what_may_be_null() -> None:
    never_null = pa.struct([pa.field(field.name, field.type, nullable=False) for field in ADDRESS])
    assert schema_differences(SCHEMA, pa.schema({**COLUMNS, "address": never_null})) == []
    other = pa.struct([("city", pa.string()), ("since", pa.string()), ("line", pa.int64())])
    assert schema_differences(SCHEMA, pa.schema({**COLUMNS, "address": other})) == [
        f"column 'address' is {other}, not {ADDRESS}"
    ]


def test_lineage_of_an_object_is_that_of_its_fields() -> None:
    flow = FlowVersionInfo(
        name="p",
        version="v1",
        flow_version="p:v1",
        target_schema=SCHEMA,
        lineage={"id": ("a",), "address.city": ("b",), "address.line": ("c", "b")},
    )
    with ScriptedLume(RunScript(["SUCCEEDED"])) as lume, LumeClient(lume.url) as client:
        run = client.wait(client.run("p:v1", "x"))
    found = mapped_metadata(run, flow, dg.AssetKey("source"))["dagster/column_lineage"].deps_by_column
    assert {name: [dep.column_name for dep in deps] for name, deps in found.items()} == {
        "id": ["a"],
        "address": ["b", "c"],
    }


def test_the_table_of_a_run_is_shown() -> None:
    script = RunScript(
        ["SUCCEEDED"], {"target_locations": {"mapped": "/x", "rejects": "/y", "table": "s.people"}}
    )
    with ScriptedLume(script) as lume, LumeClient(lume.url) as client:
        run = client.wait(client.run("p:v1", "x"))
    assert output_metadata(run, "mapped")["dagster/table_name"] == "s.people"
    assert "dagster/table_name" not in output_metadata(run, "rejects")
