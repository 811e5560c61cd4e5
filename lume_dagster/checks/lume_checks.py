"""The checks that stand between a Lume run and what is downstream of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Annotated

import dagster as dg
from pydantic import Field, model_validator

from lume_dagster.checks import judging
from lume_dagster.checks.judging import RateLimits
from lume_dagster.checks.verdict import LumeCheck
from lume_dagster.client import FlowVersionInfo
from lume_dagster.target_schema import target_fields
from lume_dagster.yaml_model import YamlLevel, YamlModel

STATUS_CHECK = "status"

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")


def _resolve_checks(context: dg.ResolutionContext, stated: str | Sequence[str]) -> tuple[LumeCheck, ...]:
    found = context.resolve_value(stated)
    return tuple(_imported(check) if isinstance(check, str) else check for check in found)


def _imported(path: str) -> LumeCheck:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the check {path!r} cannot be imported: {error}; write package.module.name"
        ) from error
    if not isinstance(found, LumeCheck):
        raise ValueError(f"{path} is no check; decorate the function with lume_dagster.lume_check")  # noqa: TRY004
    return found


_Share = Annotated[float, Field(ge=0, le=1)]


class VolumeCheck(YamlModel):
    """Compares the rows of a batch with the median of the batches before it."""

    last: int = Field(default=7, ge=1, description="How many earlier batches to compare with.")
    at_least: int = Field(
        default=3, ge=1, description="With fewer earlier batches than this, nothing is judged."
    )
    min_ratio: float = Field(default=0.5, ge=0, description="Smallest share of the median that passes.")
    max_ratio: float = Field(default=2.0, gt=0, description="Largest multiple of the median that passes.")
    level: YamlLevel = Field(default="warn", description="What a batch outside of these bounds leads to.")


class FieldLimits(YamlModel):
    """The share of rows with an error in one target field, above which its check warns or stops the batch."""

    warn: _Share | None = Field(default=None, description="Share of rows above which the check warns.")
    error: _Share | None = Field(default=None, description="Share of rows above which the batch is stopped.")

    @model_validator(mode="after")
    def _warns_before_it_stops(self) -> FieldLimits:
        _ordered("warn", self.warn, "error", self.error)
        if self.warn is None and self.error is None:
            raise ValueError("give at least one of warn and error")
        return self


class LumeChecks(YamlModel):
    """Which checks a batch has to pass before its mapped output is published, and where they draw the line.

    A check at level `error` keeps the batch from everything downstream; at level `warn` it only shows.

    Example:
        ```python
        LumeChecks(reject_rate_warn=0.01, reject_rate_error=0.05, forbidden_error_types=["unparsable"])
        ```
    """

    rows_reconcile: YamlLevel = Field(
        default="error",
        description="Source rows are mapped plus rejected rows, and as many as the files hold.",
    )
    reject_rate_warn: _Share | None = Field(
        default=0.02, description="Share of rejected rows above which the check warns."
    )
    reject_rate_error: _Share | None = Field(
        default=0.10, description="Share of rejected rows above which the batch is stopped."
    )
    forbidden_error_types: tuple[str, ...] = Field(
        default=(), description="Error types of which a single one stops the batch, such as unparsable."
    )
    forbidden_error_fields: tuple[str, ...] = Field(
        default=(), description="Target fields of which a single error stops the batch."
    )
    output_schema: YamlLevel = Field(
        default="error", description="Columns and types of the mapped output are those of the target schema."
    )
    source_drift: YamlLevel = Field(
        default="warn", description="The batch has the columns that the mapper reads, and no others."
    )
    volume: VolumeCheck | None = Field(default=None, description="Rows against those of earlier batches.")

    per_field: bool = Field(
        default=False,
        description="One check for each target field: the share of rows with an error in it. The fields have to "
        "be known when the definitions are loaded.",
    )
    field_warn: _Share | None = Field(
        default=0.02, description="With per_field: share of rows above which a field's check warns."
    )
    field_error: _Share | None = Field(
        default=None, description="With per_field: share of rows above which a field's check stops the batch."
    )
    fields: dict[str, FieldLimits] = Field(
        default_factory=dict,
        description="Limits of single target fields; each has a check of its own, also without per_field.",
    )
    custom: Annotated[tuple[LumeCheck, ...], dg.Resolver(_resolve_checks, model_field_type=Sequence[str])] = (
        Field(
            default=(), description="Checks of your own, made with lume_check; in YAML, where to import them."
        )
    )

    @model_validator(mode="after")
    def _warns_before_it_stops(self) -> LumeChecks:
        _ordered("reject_rate_warn", self.reject_rate_warn, "reject_rate_error", self.reject_rate_error)
        _ordered("field_warn", self.field_warn, "field_error", self.field_error)
        return self


def _ordered(warn_name: str, warn: float | None, error_name: str, error: float | None) -> None:
    if warn is not None and error is not None and warn > error:
        raise ValueError(f"{warn_name} ({warn}) is above {error_name} ({error}); it would never warn")


def mapped_checks(checks: LumeChecks, flow: FlowVersionInfo | None = None) -> list[LumeCheck]:
    """The checks on the mapped output that this configuration asks for.

    Args:
        checks: The configuration.
        flow: What is known of the flow version; needed where each target field has a check.

    Raises:
        dagster.DagsterInvalidDefinitionError: Target fields that are not known are asked for, or two checks have
            one name.
    """
    found = [*_run_checks(checks), *_field_checks(checks, flow), *checks.custom]
    twice = [name for name, count in Counter(check.name for check in found).items() if count > 1]
    if twice or STATUS_CHECK in {check.name for check in found}:
        raise dg.DagsterInvalidDefinitionError(
            f"more than one check is called {', '.join(twice) or STATUS_CHECK}; name your own with "
            'lume_check(name="...")'
        )
    return found


def _run_checks(checks: LumeChecks) -> Iterator[LumeCheck]:
    if checks.rows_reconcile != "off":
        yield LumeCheck(
            "rows_reconcile",
            "No record is lost: source rows are mapped plus rejected rows, and as many as the files hold.",
            checks.rows_reconcile == "error",
            partial(judging.rows_reconcile, level=checks.rows_reconcile),
        )
    limits = RateLimits(checks.reject_rate_warn, checks.reject_rate_error)
    if limits.words:
        yield LumeCheck(
            "reject_rate",
            f"The share of rejected rows: {limits.words}.",
            checks.reject_rate_error is not None,
            partial(judging.reject_rate, limits=limits),
        )
    if checks.forbidden_error_types or checks.forbidden_error_fields:
        forbidden = [
            *checks.forbidden_error_types,
            *(f"field {name}" for name in checks.forbidden_error_fields),
        ]
        yield LumeCheck(
            "errors_allowed",
            f"No record was rejected for a forbidden reason: {', '.join(forbidden)}.",
            True,
            partial(
                judging.errors_allowed,
                types=checks.forbidden_error_types,
                fields=checks.forbidden_error_fields,
            ),
        )
    if checks.output_schema != "off":
        yield LumeCheck(
            "schema",
            "Columns and types of the mapped output are those of the target schema.",
            checks.output_schema == "error",
            partial(judging.schema, level=checks.output_schema),
        )
    if checks.source_drift != "off":
        yield LumeCheck(
            "source_drift",
            "The batch has the columns that the mapper reads, and no others.",
            checks.source_drift == "error",
            partial(judging.source_drift, level=checks.source_drift),
        )
    if (volume := checks.volume) is not None and volume.level != "off":
        yield LumeCheck(
            "volume",
            f"Rows are between {volume.min_ratio:g} and {volume.max_ratio:g} times the median of the "
            f"{volume.last} batches before.",
            volume.level == "error",
            partial(judging.volume, **volume.model_dump()),
        )


def _field_checks(checks: LumeChecks, flow: FlowVersionInfo | None) -> Iterator[LumeCheck]:
    limits = {name: RateLimits(stated.warn, stated.error) for name, stated in checks.fields.items()}
    known = [field.name for field in target_fields(flow.target_schema)] if flow else []
    if checks.per_field and not known:
        raise dg.DagsterInvalidDefinitionError(
            "per_field needs to know the target fields: pass flow=lume.client.flow_version(...), or in a component "
            "ask Lume for them with `dg utils refresh-defs-state`; or name the fields under `fields`"
        )
    if known and (unknown := sorted(limits.keys() - set(known))):
        raise dg.DagsterInvalidDefinitionError(
            f"there are limits for {', '.join(unknown)}, but the target fields are {', '.join(known)}"
        )
    if checks.per_field:
        others = RateLimits(checks.field_warn, checks.field_error)
        limits = {name: limits.get(name, others) for name in known}
    for name, stated in limits.items():
        yield LumeCheck(
            f"field_{_NOT_IN_A_NAME.sub('_', name)}",
            f"The share of rows with an error in `{name}`: {stated.words or 'only shown'}.",
            stated.error is not None,
            partial(judging.field_errors, field=name, limits=stated),
        )
