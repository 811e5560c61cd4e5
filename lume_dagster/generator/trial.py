"""What becomes of the sample under a draft: the engine maps it, and each field hears what it rejects."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lume_dagster.engine import BatchResult, Engine, StagedBatch, parse_flow
from lume_dagster.generator.drafting import Draft, DraftField
from lume_dagster.generator.sample import Sample

_TOO_MANY = 0.05
"""The share of the records from which on the rejects of a field are told to people."""
_REJECTS = "rejects records of the sample: "
_SHOWN = 3
_LOOKED_AT = 100


@dataclass(frozen=True)
class Trial:
    """What became of the sample.

    Attributes:
        rows: Its records.
        mapped: Those that were mapped. Required fields that are left open do not count.
        rejected: The others.
        by_field: Errors by field and type.
        by_type: Errors by type, those of whole records included.
        after: Some values of each field as they are written.
        empty: Columns that have a value in none of the mapped records, though there are some.
    """

    rows: int
    mapped: int
    rejected: int
    by_field: Mapping[str, Mapping[str, int]]
    by_type: Mapping[str, int]
    after: Mapping[str, tuple[str, ...]]
    empty: frozenset[str] = frozenset()

    def rejects(self, field: str) -> int:
        """How many errors a field has."""
        return sum(self.by_field.get(field, {}).values())

    def rejects_too_many(self, field: str) -> bool:
        """Whether a field rejects more than one record in twenty."""
        return self.rejects(field) > _TOO_MANY * self.rows

    def reject_types(self, field: str) -> str:
        """The types of a field's errors with their numbers, for people."""
        return ", ".join(f"{kind} {count}" for kind, count in self.by_field.get(field, {}).items())


def try_draft(engine: Engine, draft: Draft, sample: Sample) -> tuple[Draft, Trial]:
    """Map the sample by a draft.

    Args:
        engine: Maps it.
        draft: The draft.
        sample: The sample, with its batch as it was named.

    Returns:
        The draft, with a mark on each field that rejects more than one record in twenty, and what became of the sample.

    Raises:
        EngineError: The draft is no valid flow version, or the sample cannot be read again.
    """
    flow = parse_flow(_without_unmapped(draft), name="draft", version="v1", path="the draft")
    with tempfile.TemporaryDirectory(prefix="lume-draft-") as folder:
        place = Path(folder)
        result = engine.transform(flow, _restaged(engine, flow, sample, place), place)
        trial = Trial(
            result.source_rows,
            result.mapped_rows,
            result.rejected_rows,
            result.by_field,
            result.by_type,
            _after(engine, result, draft.fields),
            _empty(result.mapped_path) if result.mapped_rows else frozenset(),
        )
    return replace(draft, fields=tuple(_judged(field, trial) for field in draft.fields)), trial


def _restaged(engine: Engine, flow: Any, sample: Sample, place: Path) -> StagedBatch:
    """The sample as the draft reads it: texts that stand for no value are known only now."""
    if sample.is_stage:
        return engine.open_stage(sample.batch.path, flow)
    return engine.ingest(flow, sample.name, place, name=sample.label)


def _judged(field: DraftField, trial: Trial) -> DraftField:
    if field.operation is None or field.chosen:
        return field
    notes = tuple(note for note in field.notes if not note.startswith(_REJECTS))  # of an earlier trial
    if trial.rejects_too_many(field.name):
        notes = (*notes, f"{_REJECTS}{trial.reject_types(field.name)}")
    return replace(field, notes=notes)


def _after(engine: Engine, result: BatchResult, fields: tuple[DraftField, ...]) -> dict[str, tuple[str, ...]]:
    records = engine.results_page(result.mapped_path, 0, _LOOKED_AT)
    found: dict[str, tuple[str, ...]] = {}
    for field in fields:
        values = dict.fromkeys(
            str(value) for record in records if (value := _at(record, field.name)) is not None
        )
        found[field.name] = tuple(values)[:_SHOWN]
    return found


def _empty(mapped: Path) -> frozenset[str]:
    """The columns of an output that hold no value, as its statistics say; those in objects by their paths."""
    told = pq.read_metadata(mapped)
    filled, seen = set(), set()
    for group in range(told.num_row_groups):
        for place in range(told.num_columns):
            column = told.row_group(group).column(place)
            seen.add(column.path_in_schema)
            counted = column.is_stats_set and column.statistics.has_null_count
            if not counted or column.statistics.null_count < column.num_values:
                filled.add(column.path_in_schema)
    return frozenset(seen - filled)


def _at(record: Any, path: str) -> Any:
    for part in path.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record


def _without_unmapped(draft: Draft) -> dict[str, Any]:
    """The draft's document without the required fields that are open, which would reject each record."""
    document = copy.deepcopy(draft.document)
    for field in draft.unmapped:
        *above, name = field.name.split(".")
        schema = document["target_schema"]
        for part in above:
            schema = schema["properties"][part]
        if len(schema["properties"]) > 1:
            del schema["properties"][name]
            schema["required"] = [one for one in schema.get("required", ()) if one != name]
            del document["mapper"][field.name]
    dropped = {field.name for field in draft.unmapped}
    unique = document["target_schema"].pop("x-unique", [])
    kept = list(_disjoint(unique, dropped))
    if kept:
        document["target_schema"]["x-unique"] = kept
    return document


def _disjoint(lists: list[list[str]], names: set[str]) -> Iterator[list[str]]:
    return (one for one in lists if not names & set(one))
