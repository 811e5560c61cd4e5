"""How the checks judge a batch."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lume_dagster.assets.metadata import outcome
from lume_dagster.checks.verdict import Batch, Level, Verdict
from lume_dagster.client import LumeRun
from lume_dagster.target_schema import schema_differences
from lume_dagster.urls import without_credentials

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class RateLimits:
    """The shares above which a check warns, and above which it stops the batch; None for never."""

    warn: float | None
    error: float | None

    @property
    def strictest(self) -> Literal["error", "warn"]:
        """The level of what could not be judged at all."""
        return "warn" if self.error is None else "error"

    @property
    def words(self) -> str:
        """The limits in words.

        Example:
            `warns above 2.00%, stops the batch above 10.00%`
        """
        stated = (("warns", self.warn), ("stops the batch", self.error))
        return ", ".join(f"{word} above {limit:.2%}" for word, limit in stated if limit is not None)

    def verdict(self, rate: float, words: str, figures: dict[str, Any]) -> Verdict:
        """Judges a rate, told in words."""
        # As text: Dagster would plot numbers, and a plot of a limit tells nothing.
        figures |= {"limits": self.words}
        words = f"{words}: {rate:.2%}"
        if self.error is not None and rate > self.error:
            return Verdict(False, f"{words}, above {self.error:.2%}", figures, "error")
        if self.warn is not None and rate > self.warn:
            return Verdict(False, f"{words}, above {self.warn:.2%}", figures, "warn")
        return Verdict(True, words, figures, self.strictest)


def status_verdict(run: LumeRun) -> Verdict:
    """Whether a run mapped its batch, wholly or in part."""
    figures: dict[str, Any] = {"run_id": run.id, "status": run.status}
    if run.error_message:
        figures["error_message"] = run.error_message
    if run.failed:
        return Verdict(
            False, f"{run.label} ended {run.status}: {run.error_message or 'no reason given'}", figures
        )
    # PARTIAL_FAILED is how most healthy batches end, and would read as a failure.
    return Verdict(True, f"{run.label}: {outcome(run)}", figures)


def rows_reconcile(batch: Batch, level: Level) -> Verdict:
    """Whether every row was mapped or rejected, and both outputs hold as many as the run says."""
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {}, level)
    held = {kind: _rows_held(batch, kind) for kind in ("mapped", "rejects")}
    figures = {
        "source_rows": rows.source,
        "mapped_rows": rows.mapped,
        "rejected_rows": rows.rejected,
        "rows_held": f"{held['mapped']} mapped, {held['rejects']} rejected",
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
    file = batch.file(kind)
    return file.rows() if file is not None else batch.client.results(batch.run, kind, page=1, size=1).total


def reject_rate(batch: Batch, limits: RateLimits) -> Verdict:
    """Whether few enough rows were rejected."""
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {}, limits.strictest)
    words = f"{rows.rejected} of {rows.source} rows were rejected"
    return limits.verdict(rows.reject_rate, words, {"reject_rate": round(rows.reject_rate, 6)})


def field_errors(batch: Batch, field: str, limits: RateLimits) -> Verdict:
    """Whether few enough rows were rejected for a reason that lies in one target field."""
    rows, validation = batch.run.rows, batch.run.validation
    if rows is None or validation is None:
        return Verdict(False, "the run tells no validation results", {}, limits.strictest)
    by_type = Counter[str]()
    for name, found in validation.by_field.items():
        if field in name.split(", "):  # a key's error names all fields of the key
            by_type.update(found)
    errors = by_type.total()
    rate = min(1.0, errors / rows.source) if rows.source else 0.0
    words = f"{errors} errors in {rows.source} rows"
    if by_type:
        words += f" ({_listed(f'{kind} {count}' for kind, count in by_type.most_common())})"
    return limits.verdict(rate, words, {"errors": errors, "error_rate": round(rate, 6)})


def errors_allowed(batch: Batch, types: Sequence[str], fields: Sequence[str]) -> Verdict:
    """Whether no error is of one of these types or in one of these fields."""
    validation = batch.run.validation
    if validation is None:
        return Verdict(False, "the run tells no validation results", {})
    found = {f"type {name}": validation.by_type[name] for name in types if validation.by_type.get(name)}
    found |= {
        f"field {name}": sum(validation.by_field[name].values())
        for name in fields
        if validation.by_field.get(name)
    }
    figures = {"forbidden_types": list(types), "forbidden_fields": list(fields), "found": found}
    if not found:
        return Verdict(True, "no record was rejected for a forbidden reason", figures)
    return Verdict(
        False, "forbidden errors: " + _listed(f"{name} ({count})" for name, count in found.items()), figures
    )


def schema(batch: Batch, level: Level) -> Verdict:
    """Whether the columns of the output are those of the target schema."""
    file = batch.file("mapped")
    if file is None:
        location = without_credentials(str(batch.run.target_locations and batch.run.target_locations.mapped))
        return Verdict(False, f"the mapped output at {location} cannot be read from here", {}, "warn")
    differences = schema_differences(batch.flow.target_schema, file.schema())
    figures = {"columns": file.schema().names, "differences": differences}
    if differences:
        return Verdict(False, _listed(differences), figures, level)
    return Verdict(
        True, f"all {len(file.schema().names)} columns are as the target schema says", figures, level
    )


def source_drift(batch: Batch, level: Level) -> Verdict:
    """Whether the batch has the columns that the mapper reads, and no others."""
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


def volume(
    batch: Batch, *, last: int, at_least: int, min_ratio: float, max_ratio: float, level: Level
) -> Verdict:
    """Whether the batch has about as many rows as the median of the batches before it."""
    rows = batch.run.rows
    if rows is None:
        return Verdict(False, "the run tells no row counts", {}, level)
    earlier = list(batch.earlier_rows()[:last])
    figures: dict[str, Any] = {"source_rows": rows.source, "compared_with": f"{len(earlier)} earlier batches"}
    if len(earlier) < at_least:
        return Verdict(True, f"only {len(earlier)} earlier batches to compare with", figures, level)
    median = statistics.median(earlier)
    figures["median_rows"] = median
    passed = min_ratio * median <= rows.source <= max_ratio * median
    bounds = f"{min_ratio * median:g} to {max_ratio * median:g}"
    summary = f"{rows.source} rows; the median of {len(earlier)} earlier batches is {median:g}"
    return Verdict(
        passed, summary if passed else f"{summary}, so that {bounds} were expected", figures, level
    )


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
