"""What a component's YAML can say: partitions, freshness, retries, and a flow version with all of its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import ConfigDict, Field, create_model, model_validator

from lume_dagster.assets.translator import LumeAssetProps
from lume_dagster.checks.lume_checks import LumeChecks
from lume_dagster.resource import LumeResource
from lume_dagster.yaml_model import YamlModel

PartitionsType = Literal["hourly", "daily", "weekly", "monthly", "static", "dynamic", "time_window"]

_WINDOW = {"start_date", "end_date", "timezone"}
_TAKEN: Mapping[PartitionsType, set[str]] = {
    "hourly": {*_WINDOW, "minute_offset"},
    "daily": {*_WINDOW, "minute_offset", "hour_offset"},
    "weekly": {*_WINDOW, "minute_offset", "hour_offset", "day_offset"},
    "monthly": {*_WINDOW, "minute_offset", "hour_offset", "day_offset"},
    "static": {"partition_keys"},
    "dynamic": {"name"},
    "time_window": {*_WINDOW, "cron_schedule", "fmt"},
}
_NEEDED: Mapping[PartitionsType, list[str]] = {
    "hourly": ["start_date"],
    "daily": ["start_date"],
    "weekly": ["start_date"],
    "monthly": ["start_date"],
    "static": ["partition_keys"],
    "dynamic": ["name"],
    "time_window": ["start_date", "cron_schedule", "fmt"],
}
_CALENDAR: Mapping[str, Callable[..., dg.PartitionsDefinition]] = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


class Partitions(YamlModel):
    """The batches of a flow version: which partitions there are."""

    json_rules: ClassVar[Mapping[str, Any]] = {
        "allOf": [
            {"if": {"properties": {"type": {"const": name}}}, "then": {"required": needed}}
            for name, needed in _NEEDED.items()
        ]
    }

    type: PartitionsType = Field(description="How the batches follow each other.")
    start_date: str | None = Field(default=None, description="The first one, such as 2024-01-01.")
    end_date: str | None = Field(default=None, description="Where they end; they go on if not given.")
    timezone: str | None = Field(default=None, description="IANA name; UTC if not given.")
    minute_offset: int | None = Field(default=None, ge=0, le=59, description="Minutes after the hour.")
    hour_offset: int | None = Field(default=None, ge=0, le=23, description="Hours after midnight.")
    day_offset: int | None = Field(
        default=None,
        ge=0,
        le=31,
        description="Of a week: days after Sunday. Of a month: the day on which it begins.",
    )
    cron_schedule: str | None = Field(
        default=None, description="When a time window ends and the next begins."
    )
    fmt: str | None = Field(default=None, description="How a time window is written, such as %Y-%m-%d-%H.")
    partition_keys: tuple[str, ...] | None = Field(default=None, description="The keys of static partitions.")
    name: str | None = Field(
        default=None, description="The name under which Dagster keeps dynamic partitions."
    )

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Partitions:
        given = set(self.model_dump(exclude={"type"}, exclude_none=True))
        taken, needed = _TAKEN[self.type], _NEEDED[self.type]
        if wrong := sorted(given - taken):
            raise ValueError(
                f"{self.type} partitions have no {', '.join(wrong)}; they have {', '.join(sorted(taken))}"
            )
        if missing := [name for name in needed if name not in given]:
            raise ValueError(f"{self.type} partitions need {', '.join(missing)}")
        return self

    def definition(self) -> dg.PartitionsDefinition:
        """The partitions as Dagster knows them.

        Raises:
            dagster.DagsterInvalidDefinitionError: A date, a cron schedule or a format is not valid.
        """
        options = self.model_dump(exclude={"type"}, exclude_none=True)
        if self.type == "static":
            return dg.StaticPartitionsDefinition(list(self.partition_keys or ()))
        if self.type == "dynamic":
            return dg.DynamicPartitionsDefinition(name=self.name)
        if self.type == "time_window":
            options["start"], options["end"] = options.pop("start_date"), options.pop("end_date", None)
            return dg.TimeWindowPartitionsDefinition(**options)
        return _CALENDAR[self.type](**options)


class Retries(YamlModel):
    """How often a crashed run, or a Lume out of reach, is tried again."""

    max_retries: int = Field(default=1, ge=0, description="How many times.")
    delay: float | None = Field(default=None, ge=0, description="Seconds before the first retry.")
    backoff: Literal["linear", "exponential"] | None = Field(
        default=None, description="How the delay grows with each retry."
    )
    jitter: Literal["full", "plus_minus"] | None = Field(
        default=None, description="How the delay varies by chance."
    )

    def policy(self) -> dg.RetryPolicy:
        """The policy as Dagster knows it."""
        return dg.RetryPolicy(
            max_retries=self.max_retries,
            delay=self.delay,
            backoff=dg.Backoff[self.backoff.upper()] if self.backoff else None,
            jitter=dg.Jitter[self.jitter.upper()] if self.jitter else None,
        )


class Freshness(YamlModel):
    """When the mapped output counts as stale: some hours after the latest batch, or at a time of the day."""

    fail_after_hours: float | None = Field(
        default=None, gt=0, description="Hours after the latest materialization at which it fails."
    )
    warn_after_hours: float | None = Field(
        default=None, gt=0, description="Hours after the latest materialization at which it warns."
    )
    deadline_cron: str | None = Field(
        default=None, description="When there has to be a new materialization, such as 0 8 * * *."
    )
    within_hours: float | None = Field(
        default=None, gt=0, description="How many hours before the deadline a materialization counts."
    )
    timezone: str = Field(default="UTC", description="Of the deadline; an IANA name.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Freshness:
        if (self.fail_after_hours is None) == (self.deadline_cron is None):
            raise ValueError("give either fail_after_hours or deadline_cron")
        if (self.deadline_cron is None) != (self.within_hours is None):
            raise ValueError("deadline_cron and within_hours go together")
        if self.warn_after_hours is not None and self.fail_after_hours is None:
            raise ValueError("warn_after_hours goes with fail_after_hours")
        return self

    def policy(self) -> dg.FreshnessPolicy:
        """The policy as Dagster knows it."""
        if self.deadline_cron is not None:
            return dg.FreshnessPolicy.cron(
                deadline_cron=self.deadline_cron,
                lower_bound_delta=timedelta(hours=self.within_hours or 0),
                timezone=self.timezone,
            )
        return dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=self.fail_after_hours or 0),
            warn_window=timedelta(hours=self.warn_after_hours) if self.warn_after_hours else None,
        )


def _resolved(options: type[YamlModel], made: Callable[[Any], Any]) -> dg.Resolver:
    """Resolves options of YAML; what a template gave in their place is taken as it is."""

    def resolve(context: dg.ResolutionContext, stated: Any) -> Any:
        if not isinstance(stated, options.model()):
            return context.resolve_value(stated) if isinstance(stated, str) else stated
        return made(options.resolve_from_model(context, stated))

    return dg.Resolver(resolve, model_field_type=options.model())


def _asset_key(context: dg.ResolutionContext, stated: Any) -> Any:
    found = context.resolve_value(stated)
    return dg.AssetKey.from_user_string(found) if isinstance(found, str) else found


def _translation_scope(props: LumeAssetProps) -> dict[str, object]:
    return {"props": props, "kind": props.kind, "flow": props.name, "version": props.version}


class LumeFlow(YamlModel):
    """A flow version, its batches, and how its assets look in Dagster."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    flow_version: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*:v[1-9][0-9]*$",
        description="The flow version, NAME:vN.",
        json_schema_extra={"pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]*:v[1-9][0-9]*$|\{\{.*\}\}"},
    )
    source_path: Annotated[str | Callable[[str], str], dg.Resolver.default(model_field_type=str)] = Field(
        description="What names a batch to Lume: a text with {partition_key} in it, or a template that gives a "
        "function of the partition key.",
        json_schema_extra={"pattern": r"\{partition_key\}|\{\{.*\}\}"},
    )
    partitions: Annotated[
        dg.PartitionsDefinition, _resolved(Partitions, lambda stated: stated.definition())
    ] = Field(description="The batches.")
    checks: LumeChecks = Field(
        default_factory=LumeChecks, description="Which checks a batch has to pass, and their thresholds."
    )
    source_asset: Annotated[dg.AssetKey | None, dg.Resolver(_asset_key, model_field_type=str)] = Field(
        default=None, description="Key of the asset that stands for the source."
    )
    corrections: str | None = Field(
        default=None,
        pattern=r"\{partition_key\}",
        description="Where corrected rejects lie, one file a batch: a path with {partition_key} in it. It makes the "
        "asset corrections, and the sensor that looks there.",
        json_schema_extra={"pattern": r"\{partition_key\}|\{\{.*\}\}"},
    )
    key_prefix: tuple[str, ...] = Field(default=(), description="Comes before the keys of the assets.")
    group: str | None = Field(default=None, description="Their group; the name of the flow if not given.")
    owners: tuple[str, ...] = Field(default=(), description="Their owners: team:NAME or e-mail addresses.")
    tags: dict[str, str] = Field(default_factory=dict, description="Their tags.")
    kinds: tuple[str, ...] = Field(default=(), description="Kinds that are shown beside Lume's own.")
    translation: (
        Annotated[TranslationFn[LumeAssetProps], TranslationFnResolver[LumeAssetProps](_translation_scope)]
        | None
    ) = Field(
        default=None,
        description="Attributes of the assets, written with spec, props, kind (run, mapped, rejects, corrections), "
        "flow and version.",
    )
    automation_condition: Annotated[
        dg.AutomationCondition[dg.AssetKey] | None, dg.Resolver.default(model_field_type=str)
    ] = Field(
        default=None,
        description='When batches are run by themselves: "{{ dg.AutomationCondition.eager() }}".',
        json_schema_extra={"pattern": r"\{\{.*\}\}"},
    )
    backfill: Literal["multi_run", "single_run"] = Field(
        default="multi_run", description="One Dagster run a batch, or one for a range of batches."
    )
    pool: str | None = Field(default="lume", description="The pool that the steps take a slot of.")
    retry_policy: Annotated[dg.RetryPolicy | None, _resolved(Retries, lambda stated: stated.policy())] = (
        Field(default=None, description="How often a crashed run, or a Lume out of reach, is tried again.")
    )
    freshness: Annotated[dg.FreshnessPolicy | None, _resolved(Freshness, lambda stated: stated.policy())] = (
        Field(default=None, description="When the mapped output counts as stale.")
    )


_LUME_OPTIONS: dict[str, Any] = {
    name: (field.rebuild_annotation(), field)
    for name, field in LumeResource.model_fields.items()
    if name != "api_key"
}
LumeSettings = create_model(
    "LumeSettings",
    __base__=YamlModel,
    __doc__="The Lume of a component, with the options of LumeResource. What is not given, the environment says.",
    api_key_env=(
        str,
        Field(default="LUME_API_KEY", description="Name of the environment variable that holds the key."),
    ),
    **_LUME_OPTIONS,
)
