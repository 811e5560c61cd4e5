"""How a flow version becomes assets: keys, groups, descriptions. Subclass to change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import dagster as dg

from lume_dagster.client import FlowVersionInfo
from lume_dagster.target_schema import table_schema

AssetKind = Literal["run", "mapped", "rejects"]

IO_MANAGER_KEY = "lume_io_manager"

_DESCRIPTIONS: dict[AssetKind, str] = {
    "run": "The Lume run of each batch of {flow}: one execution of {flow_version}, with its figures.",
    "mapped": "The records of each batch that {flow_version} mapped to the target schema. "
    "Published only once the audit has passed.",
    "rejects": "The records of each batch that {flow_version} could not map, with all their reasons. "
    "Published always, also when the audit stops the batch.",
}


@dataclass(frozen=True)
class LumeAssetProps:
    """What a translator is told of an asset.

    Attributes:
        kind: Which of the three assets of a flow version.
        name: Name of the flow.
        version: Version of the flow, `vN`.
        flow: What Lume tells of the flow version, where it is known when the definitions are loaded.
    """

    kind: AssetKind
    name: str
    version: str
    flow: FlowVersionInfo | None = None

    @property
    def flow_version(self) -> str:
        """The flow version, `NAME:vN`."""
        return f"{self.name}:{self.version}"


class DagsterLumeTranslator:
    """Turns a flow version into asset specs.

    Example:
        ```python
        class Prefixed(DagsterLumeTranslator):
            def get_asset_spec(self, props):
                spec = super().get_asset_spec(props)
                return spec.replace_attributes(key=spec.key.with_prefix("partners"))
        ```
    """

    def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
        """The spec of one of the three assets of a flow version.

        Args:
            props: What is known of the asset.

        Returns:
            Its spec: key, group, description, kinds, code version and metadata. Dependencies and partitions are
            added by `build_lume_assets`.
        """
        flow = props.flow
        description = _DESCRIPTIONS[props.kind].format(flow=props.name, flow_version=props.flow_version)
        if props.kind == "mapped" and flow is not None and flow.description:
            description = f"{flow.description.strip()}\n\n{description}"
        metadata: dict[str, object] = {"lume/flow_version": props.flow_version}
        if props.kind == "mapped" and flow is not None:
            metadata["dagster/column_schema"] = table_schema(flow.target_schema)
        spec = dg.AssetSpec(
            [props.name, props.kind],
            description=description,
            group_name=props.name.replace("-", "_"),
            kinds={"lume"} if props.kind == "run" else {"lume", "parquet"},
            code_version=(flow.fingerprint if flow else None) or props.flow_version,
            metadata=metadata,
        )
        return spec if props.kind == "run" else spec.with_io_manager_key(IO_MANAGER_KEY)


def flow_asset_keys(
    flow_version: str, translator: DagsterLumeTranslator | None = None
) -> dict[AssetKind, dg.AssetKey]:
    """The keys that a translator gives to the assets of a flow version.

    Args:
        flow_version: The flow version, `NAME:vN`.
        translator: The translator that `build_lume_assets` was given.
    """
    name, _, version = flow_version.partition(":")
    translator = translator or DagsterLumeTranslator()
    kinds: tuple[AssetKind, ...] = ("run", "mapped", "rejects")
    return {kind: translator.get_asset_spec(LumeAssetProps(kind, name, version)).key for kind in kinds}
