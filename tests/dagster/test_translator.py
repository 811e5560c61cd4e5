from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from lume_dagster import (
    DagsterLumeTranslator,
    LumeAssetProps,
    LumeIOManager,
    LumeResource,
    build_lume_assets,
    merge_lume_assets,
)
from lume_dagster.assets.translator import flow_asset_spec
from lume_dagster.client import FlowVersionInfo

FLOW = FlowVersionInfo(
    name="people",
    version="v1",
    flow_version="people:v1",
    description="People of a partner.",
    fingerprint="abc",
    target_schema={"type": "object", "properties": {"id": {"type": "integer"}}},
)


LUME = LumeResource()
RESOURCES = {"lume": LUME, "lume_io_manager": LumeIOManager(lume=LUME)}


def build(flow_version: str = "people:v1", **options: Any) -> dg.Definitions:
    return build_lume_assets(
        flow_version=flow_version,
        partitions_def=dg.StaticPartitionsDefinition(["a"]),
        source_path="{partition_key}.csv",
        **options,
    )


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    with_lume = dg.Definitions.merge(definitions, dg.Definitions(resources=RESOURCES))
    return {spec.key.to_user_string(): spec for spec in with_lume.resolve_all_asset_specs()}


def test_what_all_assets_share_can_be_given() -> None:
    translator = DagsterLumeTranslator(
        key_prefix=["partners"],
        group_name="inbound",
        owners=["team:data"],
        tags={"tier": "1"},
        kinds=["csv"],
        metadata={"contract": "2024-7"},
    )
    found = specs(build(translator=translator, flow=FLOW))
    assert set(found) == {f"partners/people/{kind}" for kind in ("run", "mapped", "rejects")}
    for spec in found.values():
        assert (spec.group_name, list(spec.owners), spec.tags["tier"]) == ("inbound", ["team:data"], "1")
        assert spec.metadata["contract"] == "2024-7"
        assert {"csv", "lume"} <= spec.kinds
        assert spec.code_version == "abc"
    corrections = flow_asset_spec("corrections", "people:v1", translator)
    assert corrections.key.to_user_string() == "partners/people/corrections"
    assert (corrections.group_name, list(corrections.owners)) == ("inbound", ["team:data"])
    mapped = found["partners/people/mapped"]
    assert mapped.description is not None
    assert mapped.description.startswith("People of a partner.")
    assert [column.name for column in mapped.metadata["dagster/column_schema"].columns] == ["id"]


def test_without_options_the_flow_names_them() -> None:
    found = specs(build("two-words:v3"))
    assert set(found) == {f"two-words/{kind}" for kind in ("run", "mapped", "rejects")}
    assert {spec.group_name for spec in found.values()} == {"two_words"}
    assert {spec.code_version for spec in found.values()} == {"two-words:v3"}


def test_a_translator_that_gives_two_assets_one_key_is_refused() -> None:
    class Same(DagsterLumeTranslator):
        def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
            return super().get_asset_spec(props).replace_attributes(key=dg.AssetKey("same"))

    with pytest.raises(dg.DagsterInvalidDefinitionError, match=r"same; let the key depend on props\.kind"):
        build(translator=Same())


def test_two_versions_with_the_same_keys_are_refused_with_the_way_out() -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=r"key_prefix=\[") as raised:
        merge_lume_assets(build("people:v1"), build("people:v2"))
    assert "people:v1 and people:v2 give more than one asset the key people/run" in str(raised.value)
    next_one = DagsterLumeTranslator(key_prefix=["next"])
    merged = merge_lume_assets(build("people:v1"), build("people:v2", translator=next_one))
    assert set(specs(merged)) == {
        f"{prefix}people/{kind}" for prefix in ("", "next/") for kind in ("run", "mapped", "rejects")
    }
