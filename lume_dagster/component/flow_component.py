"""Flow versions as a Dagster component: assets, checks and resources from a file of YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from pydantic import ConfigDict, Field, TypeAdapter, field_validator

from lume_dagster.assets.definitions import build_lume_assets
from lume_dagster.assets.translator import (
    DagsterLumeTranslator,
    LumeAssetProps,
    merge_lume_assets,
    sensor_name,
)
from lume_dagster.client import FlowVersionInfo
from lume_dagster.component.options import LumeFlow, LumeSettings
from lume_dagster.component.scaffolder import LumeFlowScaffolder
from lume_dagster.corrections.definitions import build_lume_corrections
from lume_dagster.io_manager import LumeIOManager
from lume_dagster.resource import LumeResource
from lume_dagster.sensors.batches import BatchFiles
from lume_dagster.yaml_model import YamlModel

RESOURCE_KEY = "lume"

_STATE = TypeAdapter(dict[str, FlowVersionInfo])

# Dagster takes a resource from several components only if it is one and the same.
_shared: dict[str, Mapping[str, Any]] = {}


def _lume(context: dg.ResolutionContext, stated: Any) -> Any:
    if not isinstance(stated, LumeSettings.model()):
        return stated
    settings = LumeSettings.resolve_from_model(context, stated)
    options = settings.model_dump(exclude_unset=True, exclude={"api_key_env"})
    if "api_key_env" in settings.model_fields_set:
        options["api_key"] = dg.EnvVar(settings.api_key_env)
    return LumeResource(**options)


# Any, as Dagster would take a resource for a model of YAML.
_Lume = Annotated[Any, dg.Resolver(_lume, model_field_type=LumeSettings.model())]


@dg.scaffold_with(LumeFlowScaffolder)
class LumeFlowComponent(dg.StateBackedComponent, YamlModel):
    """Partitioned assets for every batch of one or several Lume flow versions, with the checks between them.

    Without `lume`, the Lume is the one that the environment names (`LUME_BASE_URL`, `LUME_API_KEY`), or the embedded
    one. What Lume tells of the flow versions (target schema, description, fingerprint) is kept as state: loading the
    definitions asks nobody. `dg utils refresh-defs-state` asks anew.

    Example:
        ```yaml
        type: lume_dagster.LumeFlowComponent
        attributes:
          flows:
            - flow_version: customers:v1
              source_path: data/incoming/customers/{partition_key}.csv
              partitions: {type: daily, start_date: 2024-01-01}
        ```
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    flows: tuple[LumeFlow, ...] = Field(description="The flow versions.")
    lume: _Lume = Field(default_factory=LumeResource, description="The Lume; the environment's if not given.")
    resource_key: str | None = Field(
        default=None,
        description="Key of a LumeResource that the project defines; its LumeIOManager is KEY_io_manager. "
        "Without it, the component defines lume and lume_io_manager.",
    )
    defs_state: ResolvedDefsStateConfig | None = Field(
        default=None, description="Where to keep what Lume tells of the flow versions."
    )

    @field_validator("lume")
    @classmethod
    def _is_a_resource(cls, stated: object) -> object:
        if not isinstance(stated, LumeResource):
            raise ValueError(f"lume has to be a LumeResource, not {type(stated).__name__}")  # noqa: TRY004 - pydantic's
        return stated

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` shows."""
        return dg.ComponentTypeSpec(produces=["asset", "asset_check", "resource", "sensor"])

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where the state is kept. The embedded Lume is asked anew when a developer loads the definitions."""
        versions = ",".join(flow.flow_version for flow in self.flows)
        if len(self.flows) > 1:
            versions = f"{len(self.flows)} flows {hashlib.sha256(versions.encode()).hexdigest()[:8]}"
        arguments = self.defs_state or DefsStateConfigArgs.local_filesystem().model_copy(
            update={"refresh_if_dev": self.lume.connection.is_embedded}
        )
        return DefsStateConfig.from_args(arguments, default_key=f"{type(self).__name__}[{versions}]")

    def write_state_to_path(self, state_path: Path) -> None:
        """Asks Lume for the flow versions and keeps what it tells.

        Raises:
            LumeError: Lume could not be asked, or does not know one of them.
        """
        with _without_references(self.lume).connection.open() as client:
            told = {flow.flow_version: client.flow_version(flow.flow_version) for flow in self.flows}
        state_path.parent.mkdir(parents=True, exist_ok=True)
        state_path.write_bytes(_STATE.dump_json(told))

    def build_defs_from_state(
        self,
        context: dg.ComponentLoadContext,  # noqa: ARG002 - Dagster's
        state_path: Path | None,
    ) -> dg.Definitions:
        """The assets and checks of the flow versions, and their Lume.

        Args:
            context: What Dagster knows of the component.
            state_path: What Lume has told; without it, the target schema shows at the first materialization.

        Raises:
            dagster.DagsterInvalidDefinitionError: Two assets have the same key, or an option does not fit.
        """
        told = _STATE.validate_json(state_path.read_bytes()) if state_path else {}
        key = self.resource_key or RESOURCE_KEY
        assets = merge_lume_assets(
            *(
                build_lume_assets(
                    flow_version=flow.flow_version,
                    partitions_def=flow.partitions,
                    source_path=flow.source_path,
                    checks=flow.checks,
                    translator=_ComponentTranslator(self, flow),
                    flow=told.get(flow.flow_version),
                    source_asset=flow.source_asset,
                    resource_key=key,
                    retry_policy=flow.retry_policy,
                    automation_condition=flow.automation_condition,
                    backfill=flow.backfill,
                    pool=flow.pool,
                )
                for flow in self.flows
            ),
            *(self._corrections(flow, flow.corrections, key) for flow in self.flows if flow.corrections),
        )
        if self.resource_key is not None:
            return assets
        resources = {key: self.lume, _io_manager_key(key): LumeIOManager(lume=self.lume)}
        shared = _shared.setdefault(self.lume.model_dump_json(), resources)
        return dg.Definitions.merge(assets, dg.Definitions(resources=shared))

    def _corrections(self, flow: LumeFlow, path: str, resource_key: str) -> dg.Definitions:
        return build_lume_corrections(
            flow_version=flow.flow_version,
            partitions_def=flow.partitions,
            files=BatchFiles(path),
            name=sensor_name("_".join((*flow.key_prefix, flow.flow_version)), "corrections"),
            translator=_ComponentTranslator(self, flow),
            resource_key=resource_key,
            retry_policy=flow.retry_policy,
            pool=flow.pool,
        )

    def get_asset_spec(self, flow: LumeFlow, props: LumeAssetProps) -> dg.AssetSpec:
        """The spec of one of the assets of a flow version. A subclass may change it.

        Args:
            flow: What the YAML says of the flow version.
            props: What is known of the asset.
        """
        spec = DagsterLumeTranslator(
            key_prefix=flow.key_prefix,
            group_name=flow.group,
            owners=flow.owners,
            tags=flow.tags,
            kinds=flow.kinds,
        ).get_asset_spec(props)
        if props.is_output:
            spec = spec.with_io_manager_key(_io_manager_key(self.resource_key or RESOURCE_KEY))
        if props.kind == "mapped" and flow.freshness is not None:
            spec = spec.replace_attributes(freshness_policy=flow.freshness)
        return flow.translation(spec, props) if flow.translation else spec


class _ComponentTranslator(DagsterLumeTranslator):
    """Asks the component for the specs."""

    def __init__(self, component: LumeFlowComponent, flow: LumeFlow) -> None:
        super().__init__()
        self._spec_of = partial(component.get_asset_spec, flow)

    def get_asset_spec(self, props: LumeAssetProps) -> dg.AssetSpec:
        return self._spec_of(props)


def _without_references(lume: LumeResource) -> LumeResource:
    """The resource as it is in a step: what it refers to is read from the environment."""
    options: dict[str, Any] = {
        name: value.get_value() if isinstance(value, dg.EnvVar) else value
        for name in LumeResource.model_fields
        if (value := getattr(lume, name)) is not None
    }
    return LumeResource(**options)


def _io_manager_key(resource_key: str) -> str:
    return f"{resource_key}_io_manager"
