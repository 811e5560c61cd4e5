"""The checks that stand between a Lume run and what is downstream of it."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lume_dagster.client import FlowVersionInfo, LumeRun
from lume_dagster.target_schema import schema_differences

if TYPE_CHECKING:
    from lume_dagster.client import LumeClient
    from lume_dagster.outputs import OutputFile

Level = Literal["error", "warn", "off"]

STATUS_CHECK = "status"


class VolumeCheck(BaseModel):
    """Compares the rows of a batch with the median of the batches before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last: int = Field(default=7, ge=1, description="How many earlier batches to compare with.")
    at_least: int = Field(
        default=3, ge=1, description="With fewer earlier batches than this, nothing is judged."
    )
    min_ratio: float = Field(default=0.5, ge=0, description="Smallest share of the median that passes.")
    max_ratio: float = Field(default=2.0, gt=0, description="Largest multiple of the median that passes.")
    level: Level = Field(default="warn", description="What a batch outside of these bounds leads to.")


class LumeChecks(BaseModel):
    """Which checks a batch has to pass before its mapped output is published, and where they draw the line.

    A check at level `error` keeps the batch from everything downstream; at level `warn` it only shows.

    Example:
        ```python
        LumeChecks(reject_rate_warn=0.01, reject_rate_error=0.05, forbidden_error_types=["unparsable"])
        ```
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows_reconcile: Level = Field(
        default="error",
        description="Source rows are mapped plus rejected rows, and as many as the files hold.",
    )
    reject_rate_warn: float | None = Field(
        default=0.02, ge=0, le=1, description="Share of rejected rows above which the check warns."
    )
    reject_rate_error: float | None = Field(
        default=0.10, ge=0, le=1, description="Share of rejected rows above which the batch is stopped."
    )
    forbidden_error_types: tuple[str, ...] = Field(
        default=(), description="Error types of which a single one stops the batch, such as unparsable."
    )
    forbidden_error_fields: tuple[str, ...] = Field(
        default=(), description="Target fields of which a single error stops the batch."
    )
    output_schema: Level = Field(
        default="error", description="Columns and types of the mapped output are those of the target schema."
    )
    source_drift: Level = Field(
        default="warn", description="The batch has the columns that the mapper reads, and no others."
    )
    volume: VolumeCheck | None = Field(default=None, description="Rows against those of earlier batches.")

    @model_validator(mode="after")
    def _warns_before_it_stops(self) -> LumeChecks:
        warn, error = self.reject_rate_warn, self.reject_rate_error
        if warn is not None and error is not None and warn > error:
            raise ValueError(
                f"reject_rate_warn ({warn}) is above reject_rate_error ({error}); it would never warn"
            )
        return self


@dataclass(frozen=True)
class Batch:
    """What the checks judge: an ended run that mapped its batch, and what is known around it.

    Attributes:
        run: The run.
        client: The Lume of the run.
        flow: The flow version of the run.
        earlier_rows: Reads the source rows of earlier batches, the latest first.
    """

    run: LumeRun
    client: LumeClient
    flow: FlowVersionInfo
    earlier_rows: Callable[[], Sequence[int]] = tuple


@dataclass(frozen=True)
class Verdict:
    """What a check found: passed or not, at which level, in one sentence, and the figures it judged by."""

    passed: bool
    summary: str
    figures: Mapping[str, Any]
    level: Level = "error"

    @property
    def stops(self) -> bool:
        """Whether the batch goes no further."""
        return not self.passed and self.level == "error"


@dataclass(frozen=True)
class LumeCheck:
    """A check by its name: what it asks, whether it can stop a batch, and how it judges."""

    name: str
    description: str
    can_stop: bool
    judge: Callable[[Batch], Verdict]

    def spec(
        self, asset_key: dg.AssetKey, partitions_def: dg.PartitionsDefinition | None
    ) -> dg.AssetCheckSpec:
        """The check as Dagster knows it."""
        with warnings.catch_warnings():
            # Partitions of checks are a preview feature; without them a pass would speak for every batch.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.AssetCheckSpec(
                self.name,
                asset=asset_key,
                description=self.description,
                blocking=self.can_stop,
                partitions_def=partitions_def,
            )


def mapped_checks(checks: LumeChecks) -> list[LumeCheck]:
    """The checks on the mapped output that this configuration asks for."""
    found = []
    if checks.rows_reconcile != "off":
        found.append(
            LumeCheck(
                "rows_reconcile",
                "No record is lost: source rows are mapped plus rejected rows, and as many as the files hold.",
                checks.rows_reconcile == "error",
                lambda batch: _rows_reconcile(batch, checks.rows_reconcile),
            )
        )
    if checks.reject_rate_warn is not None or checks.reject_rate_error is not None:
        found.append(
            LumeCheck(
                "reject_rate",
                "The share of rejected rows. "
                + ", ".join(
                    f"{word} above {limit:.2%}"
                    for word, limit in (
                        ("Warns", checks.reject_rate_warn),
                        ("stops the batch", checks.reject_rate_error),
                    )
                    if limit is not None
                )
                + ".",
                checks.reject_rate_error is not None,
                lambda batch: _reject_rate(batch, checks),
            )
        )
    if checks.forbidden_error_types or checks.forbidden_error_fields:
        forbidden = [
            *checks.forbidden_error_types,
            *(f"field {name}" for name in checks.forbidden_error_fields),
        ]
        found.append(
            LumeCheck(
                "errors_allowed",
                f"No record was rejected for a forbidden reason: {', '.join(forbidden)}.",
                True,
                lambda batch: _errors_allowed(batch, checks),
            )
        )
    if checks.output_schema != "off":
        found.append(
            LumeCheck(
                "schema",
                "Columns and types of the mapped output are those of the target schema.",
                checks.output_schema == "error",
                lambda batch: _schema(batch, checks.output_schema),
            )
        )
    if checks.source_drift != "off":
        found.append(
            LumeCheck(
                "source_drift",
                "The batch has the columns that the mapper reads, and no others.",
                checks.source_drift == "error",
                lambda batch: _source_drift(batch, checks.source_drift),
            )
        )
    if (volume := checks.volume) is not None and volume.level != "off":
        found.append(
            LumeCheck(
                "volume",
                f"Rows are between {volume.min_ratio:g} and {volume.max_ratio:g} times the median of the "
                f"{volume.last} batches before.",
                volume.level == "error",
                lambda batch: _volume(batch, volume),
            )
        )
    return found


def status_verdict(run: LumeRun) -> Verdict:
    """Whether a run mapped its batch, wholly or in part."""
    figures: dict[str, Any] = {"run_id": run.id, "status": run.status}
    if run.error_message:
        figures["error_message"] = run.error_message
    if run.failed:
        return Verdict(
            False, f"{run.label} ended {run.status}: {run.error_message or 'no reason given'}", figures
        )
    return Verdict(True, f"{run.label} ended {run.status}", figures)


def _rows_reconcile(batch: Batch, level: Level) -> Verdict:
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {}, level)
    held = {kind: _rows_held(batch, kind) for kind in ("mapped", "rejects")}
    figures = {
        "source_rows": rows.source,
        "mapped_rows": rows.mapped,
        "rejected_rows": rows.rejected,
        "mapped_rows_held": held["mapped"],
        "rejected_rows_held": held["rejects"],
    }
    passed = rows.source == rows.mapped + rows.rejected and held == {
        "mapped": rows.mapped,
        "rejects": rows.rejected,
    }
    summary = (
        f"{rows.source} source rows, {rows.mapped} mapped and {rows.rejected} rejected; "
        f"the outputs hold {held['mapped']} and {held['rejects']}"
    )
    return Verdict(passed, summary, figures, level)


def _rows_held(batch: Batch, kind: Literal["mapped", "rejects"]) -> int:
    file = _output_file(batch.run, kind)
    return file.rows() if file is not None else batch.client.results(batch.run, kind, page=1, size=1).total


def _reject_rate(batch: Batch, checks: LumeChecks) -> Verdict:
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {})
    rate = rows.reject_rate
    figures: dict[str, Any] = {
        "reject_rate": round(rate, 6),
        "rejected_rows": rows.rejected,
        "source_rows": rows.source,
    }
    limits = {"warn_above": checks.reject_rate_warn, "error_above": checks.reject_rate_error}
    figures |= {name: limit for name, limit in limits.items() if limit is not None}
    for name, limit in (("error", checks.reject_rate_error), ("warn", checks.reject_rate_warn)):
        if limit is not None and rate > limit:
            level: Level = "error" if name == "error" else "warn"
            summary = f"{rows.rejected} of {rows.source} rows were rejected: {rate:.2%}, above {limit:.2%}"
            return Verdict(False, summary, figures, level)
    return Verdict(True, f"{rows.rejected} of {rows.source} rows were rejected: {rate:.2%}", figures)


def _errors_allowed(batch: Batch, checks: LumeChecks) -> Verdict:
    validation = batch.run.validation
    if validation is None:
        return Verdict(False, "the run tells no validation results", {})
    found = {
        f"type {name}": validation.by_type[name]
        for name in checks.forbidden_error_types
        if validation.by_type.get(name)
    }
    found |= {
        f"field {name}": sum(validation.by_field[name].values())
        for name in checks.forbidden_error_fields
        if validation.by_field.get(name)
    }
    figures = {
        "forbidden_types": list(checks.forbidden_error_types),
        "forbidden_fields": list(checks.forbidden_error_fields),
        "found": found,
    }
    if not found:
        return Verdict(True, "no record was rejected for a forbidden reason", figures)
    return Verdict(
        False, "forbidden errors: " + _listed(f"{name} ({count})" for name, count in found.items()), figures
    )


def _schema(batch: Batch, level: Level) -> Verdict:
    file = _output_file(batch.run, "mapped")
    if file is None:
        location = batch.run.target_locations and batch.run.target_locations.mapped
        return Verdict(False, f"the mapped output at {location} cannot be read from here", {}, "warn")
    differences = schema_differences(batch.flow.target_schema, file.schema())
    figures = {"columns": file.schema().names, "differences": differences}
    if differences:
        return Verdict(False, _listed(differences), figures, level)
    return Verdict(
        True, f"all {len(file.schema().names)} columns are as the target schema says", figures, level
    )


def _source_drift(batch: Batch, level: Level) -> Verdict:
    source = batch.run.source
    if source is None:
        return Verdict(True, "the run does not tell the columns of its source; nothing to compare", {}, level)
    figures = {"missing": list(source.missing), "unexpected": list(source.unexpected)}
    if not source.missing and not source.unexpected:
        return Verdict(
            True, f"the batch has the {len(source.columns)} columns that are known", figures, level
        )
    words = [
        f"{title}: {_listed(map(repr, names))}"
        for title, names in (("missing", source.missing), ("unexpected", source.unexpected))
        if names
    ]
    return Verdict(False, "; ".join(words), figures, level)


def _volume(batch: Batch, volume: VolumeCheck) -> Verdict:
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {}, volume.level)
    earlier = list(batch.earlier_rows()[: volume.last])
    figures: dict[str, Any] = {"source_rows": rows.source, "earlier_batches": len(earlier)}
    if len(earlier) < volume.at_least:
        return Verdict(True, f"only {len(earlier)} earlier batches to compare with", figures, volume.level)
    median = statistics.median(earlier)
    figures["median_rows"] = median
    passed = volume.min_ratio * median <= rows.source <= volume.max_ratio * median
    summary = f"{rows.source} rows; the median of {len(earlier)} earlier batches is {median:g}"
    return Verdict(passed, summary, figures, volume.level)


def _output_file(run: LumeRun, kind: Literal["mapped", "rejects"]) -> OutputFile | None:
    from lume_dagster import outputs  # noqa: PLC0415 - pyarrow is slow to import, and not needed to declare checks

    return outputs.output_file(run, kind)


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
