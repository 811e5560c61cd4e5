"""How a flow version becomes assets: keys, groups, descriptions, owners, tags."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from lume_dagster.assets.metadata import FLOW_VERSION
from lume_dagster.client import FlowVersionInfo
from lume_dagster.target_schema import table_schema

AssetKind = Literal["run", "mapped", "rejects", "corrections"]
FLOW_ASSET_KINDS: tuple[AssetKind, ...] = ("run", "mapped", "rejects")
"""The assets of every flow version; the others are declared on request."""

IO_MANAGER_KEY = "lume_io_manager"

_DESCRIPTIONS: dict[AssetKind, str] = {
    "run": "The Lume run of each batch of {flow}: one execution of {flow_version}, with its figures.",
    "mapped": "The records of each batch that {flow_version} mapped to the target schema. "
    "Published only once the audit has passed.",
    "rejects": "The records of each batch that {flow_version} could not map, with all their reasons. "
    "Published always, also when the audit stops the batch.",
    "corrections": "The rejects of each batch that somebody has corrected and that were handed in to {flow_version} "
    "again. The Lume run of a correction stands for its batch from then on.",
}
_FORMATS: dict[AssetKind, str] = {"mapped": "parquet", "rejects": "parquet", "corrections": "csv"}
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class LumeAssetProps:
    """What a translator is told of an asset.

    Attributes:
        kind: Which of the assets of a flow version.
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

    @property
    def is_output(self) -> bool:
        """Whether the asset is an output of the Lume runs, which an IO manager loads."""
        return self.kind in ("mapped", "rejects")


class DagsterLumeTranslator:
    """Turns a flow version into asset specs.

    What all of its assets share can be given; for anything else, override `get_asset_spec`.

    Args:
        key_prefix: Comes before the asset keys.
        group_name: Group of the assets; the name of the flow if not given.
        owners: Owners of the assets: `team:NAME` or e-mail addresses.
        tags: Tags of the assets.
        kinds: Kinds that are shown beside Lume's own.
        metadata: Metadata of the assets, beside what is known of the flow version.

    Example:
        ```python
        class Described(DagsterLumeTranslator):
            def get_asset_spec(self, props):
                spec = super().get_asset_spec(props)
                return spec.replace_attributes(description=f"Batches of {props.name}, {props.kind}.")


        translator = Described(key_prefix=["partners"], owners=["team:data"])
        ```
    """

    def __init__(
        self,
        *,
        key_prefix: Sequence[str] = (),
        group_name: str | None = None,
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        kinds: Collection[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.key_prefix = key_prefix
        self.group_name = group_name
        self.owners = owners
        self.tags = tags or {}
        self.kinds = kinds
        self.metadata = metadata or {}

    def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
        """The spec of one of the assets of a flow version.

        Args:
            props: What is known of the asset.

        Returns:
            Its spec: key, group, description, owners, tags, kinds, code version and metadata. Dependencies and
            partitions are added by `build_lume_assets` and `build_lume_corrections`.
        """
        flow = props.flow
        description = _DESCRIPTIONS[props.kind].format(flow=props.name, flow_version=props.flow_version)
        if props.kind == "mapped" and flow is not None and flow.description:
            description = f"{flow.description.strip()}\n\n{description}"
        metadata: dict[str, Any] = {**self.metadata, FLOW_VERSION: props.flow_version}
        if props.kind == "mapped" and flow is not None:
            metadata["dagster/column_schema"] = table_schema(flow.target_schema)
        spec = dg.AssetSpec(
            [*self.key_prefix, props.name, props.kind],
            description=description,
            group_name=self.group_name or props.name.replace("-", "_"),
            owners=self.owners,
            tags=self.tags,
            kinds={"lume", *([_FORMATS[props.kind]] if props.kind in _FORMATS else ()), *self.kinds},
            code_version=(flow.fingerprint if flow else None) or props.flow_version,
            metadata=metadata,
        )
        return spec.with_io_manager_key(IO_MANAGER_KEY) if props.is_output else spec


def flow_asset_keys(
    flow_version: str, translator: DagsterLumeTranslator | None = None
) -> dict[AssetKind, dg.AssetKey]:
    """The keys that a translator gives to the three assets of a flow version.

    Args:
        flow_version: The flow version, `NAME:vN`.
        translator: The translator that `build_lume_assets` was given.
    """
    return {kind: flow_asset_spec(kind, flow_version, translator).key for kind in FLOW_ASSET_KINDS}


def flow_asset_spec(
    kind: AssetKind, flow_version: str, translator: DagsterLumeTranslator | None = None
) -> dg.AssetSpec:
    """The spec that a translator gives to one of the assets of a flow version."""
    name, _, version = flow_version.partition(":")
    return (translator or DagsterLumeTranslator()).get_asset_spec(LumeAssetProps(kind, name, version))


def sensor_name(flow_version: str, subject: str) -> str:
    """The name of the sensor that looks after something of a flow version: `flights_v1_alerts`."""
    return f"{_NO_NAME.sub('_', flow_version)}_{subject}"


def corrections_step_name(flow_version: str) -> str:
    """The name of the step that hands in the corrections of a flow version: `flights__v1__corrections`."""
    return f"{flow_version.replace('-', '_').replace(':', '__')}__corrections"


def merge_lume_assets(*definitions: dg.Definitions) -> dg.Definitions:
    """The assets of several flow versions in one.

    Args:
        definitions: What `build_lume_assets` gave for each of them.

    Returns:
        The definitions, merged.

    Raises:
        dagster.DagsterInvalidDefinitionError: Two of them have an asset of the same key.
    """
    refuse_same_keys(spec for each in definitions for asset in each.assets or () for spec in _specs(asset))
    return dg.Definitions.merge(*definitions)


def refuse_same_keys(specs: Iterable[dg.AssetSpec]) -> None:
    """Refuses specs of which two have the same key.

    Raises:
        dagster.DagsterInvalidDefinitionError: There are such; the message names them and what to do.
    """
    owners = defaultdict[dg.AssetKey, list[str]](list)
    for spec in specs:
        owners[spec.key].append(str(spec.metadata.get(FLOW_VERSION, "another asset")))
    for key, found in owners.items():
        if len(found) > 1:
            within = len(set(found)) == 1
            raise dg.DagsterInvalidDefinitionError(
                f"{' and '.join(dict.fromkeys(found))} {'gives' if within else 'give'} more than one asset the key "
                f"{key.to_user_string()}; "
                + (
                    "let the key depend on props.kind"
                    if within
                    else "give all but one a prefix: DagsterLumeTranslator(key_prefix=[...]), or key_prefix in a "
                    "component's YAML"
                )
            )


def _specs(asset: object) -> Iterable[dg.AssetSpec]:
    return asset.specs if isinstance(asset, dg.AssetsDefinition) else ()
