"""What becomes of the sample under a draft: the engine maps it, and each field hears what it rejects."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lume_dagster.engine import BatchError, BatchResult, Engine, FlowError, StagedBatch, parse_flow
from lume_dagster.generator.drafting import ACCEPTED, Draft, Drafter, DraftField
from lume_dagster.generator.sample import Sample

_TOO_MANY = 0.05
"""The share of the records from which on values that do not fit speak against a field's proposal."""
_MOST = 0.5
"""The share of the records from which on rejects do, though it be for values that are absent."""
_NEARLY_ALL = 0.9
"""The share of the records from which on the rejects of a guess speak against it."""
_REJECTS = "rejects records of the sample: "
_SHOWN = 3
_LOOKED_AT = 100
_NAMED = 20


@dataclass(frozen=True)
class Trial:
    """What became of the sample.

    Attributes:
        rows: Its records.
        mapped: Those that were mapped. Required fields that are left open do not count.
        rejected: The others.
        by_field: Errors by field and type.
        by_type: Errors by type, those of whole records included.
        after: Some values of each field as they are written; where the other fields reject the first records, what the
            field would be by itself.
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

    def misfits(self, field: str) -> int:
        """How many errors a field has because of a value; not those for want of one."""
        return self.rejects(field) - self.by_field.get(field, {}).get("required", 0)

    def rejects_too_many(self, field: str) -> bool:
        """Whether values of more than one record in twenty do not fit a field, or more than half have none.

        A source that lacks some required values is no sign of a wrong column; that they are rejected is shown anyway.
        """
        return self.misfits(field) > _TOO_MANY * self.rows or self.rejects(field) > _MOST * self.rows

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
        The draft, with a mark on each field whose rejects are too many, and what became of the sample.

    Raises:
        EngineError: The draft is no valid flow version, or the sample cannot be read again.
    """
    flow = parse_flow(_without_unmapped(draft), name="draft", version="v1", path="the draft")
    with tempfile.TemporaryDirectory(prefix="lume-draft-") as folder:
        place = Path(folder)
        result = engine.transform(flow, _restaged(engine, flow, sample, place), place)
        after = _after(engine, result, {field.name: field.name for field in draft.fields})
        trial = Trial(
            result.source_rows,
            result.mapped_rows,
            result.rejected_rows,
            result.by_field,
            result.by_type,
            after | _alone(engine, draft, sample, result, after, place),
            _empty(result.mapped_path) if result.mapped_rows else frozenset(),
        )
    return replace(draft, fields=tuple(_judged(field, trial) for field in draft.fields)), trial


def try_proposals(engine: Engine, drafter: Drafter, draft: Draft) -> tuple[Draft, Trial]:
    """Map the sample by what was proposed, and leave open each guess that rejects nearly all of it.

    Args:
        engine: Maps it.
        drafter: The drafter, with the sample.
        draft: Its draft.

    Returns:
        What `try_draft` returns, of the draft without those guesses.

    Raises:
        EngineError: The draft is no valid flow version, or the sample cannot be read again.
    """
    while True:
        tried, trial = try_draft(engine, draft, drafter.sample)
        records = trial.rows - trial.by_type.get("unparsable", 0)
        opened = [
            drafter.left_open(
                field,
                f"{', '.join(field.sources)}: a guess that rejects {trial.rejects(field.name)} of {records} records "
                f"({trial.reject_types(field.name)})",
            )
            for field in draft.fields
            if not field.chosen
            and field.operation is not None
            and field.confidence < ACCEPTED
            and trial.misfits(field.name) > _NEARLY_ALL * records
        ]
        if not opened:
            return tried, trial
        draft = drafter.with_absent_texts(draft.with_field(*opened))


def has_sure_column(draft: Draft) -> bool:
    """Whether a field of a draft is made of columns that are sure, or that a person chose."""
    return any(
        field.operation is not None and (field.chosen or field.confidence >= ACCEPTED)
        for field in draft.fields
    )


def read_wrongly(draft: Draft, trial: Trial, sample: Sample) -> str:
    """What may be wrong with how the sample is read, where no field has a sure column; empty if one has."""
    if has_sure_column(draft):
        return ""
    names = [column.name for column in sample.profile.columns]
    shown = ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
    said = [] if sample.is_headless else [f"The columns of the sample are {shown}"]
    said += [note[:1].upper() + note[1:] for note in sample.notes]
    if sample.batch.info.format == "excel":
        stray = trial.by_type.get("unparsable", 0)
        said += [f"{stray} records have values in columns without a name"] if stray else []
        said.append("Set source.sheet or source.header_row if the header is elsewhere")
    return ". ".join(("", *said))


def _restaged(engine: Engine, flow: Any, sample: Sample, place: Path) -> StagedBatch:
    """The sample as the draft reads it: texts that stand for no value are known only now."""
    if sample.is_stage:
        return engine.open_stage(sample.batch.path, flow)
    return engine.ingest(flow, sample.name, place, name=sample.label)


def _judged(field: DraftField, trial: Trial) -> DraftField:
    if field.operation is None:
        return field
    notes = tuple(note for note in field.notes if not note.startswith(_REJECTS))  # of an earlier trial
    if trial.rejects_too_many(field.name):
        notes = (*notes, f"{_REJECTS}{trial.reject_types(field.name)}")
    return replace(field, notes=notes)


def _after(engine: Engine, result: BatchResult, places: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Some values of each field, by where it lies in the output."""
    records = engine.results_page(result.mapped_path, 0, _LOOKED_AT)
    found: dict[str, tuple[str, ...]] = {}
    for name, place in places.items():
        values = dict.fromkeys(str(value) for record in records if (value := _at(record, place)) is not None)
        found[name] = tuple(values)[:_SHOWN]
    return found


def _alone(
    engine: Engine,
    draft: Draft,
    sample: Sample,
    result: BatchResult,
    after: Mapping[str, tuple[str, ...]],
    place: Path,
) -> dict[str, tuple[str, ...]]:
    """What the fields without values become in the first records, whatever other fields make of these."""
    fields = [
        field
        for field in draft.fields
        if field.operation is not None and field.sources and not after[field.name]
    ]
    if not fields or not result.rejected_rows:
        return {}
    columns = list(dict.fromkeys(column for field in fields for column in field.sources))
    records = sample.table.select(columns).slice(0, _LOOKED_AT).to_pylist()
    if not records:
        return {}
    (aside := place / "alone").mkdir()
    head = aside / "head.jsonl"
    head.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    sound = [field for field in fields if not result.by_field.get(field.name)]
    found: dict[str, tuple[str, ...]] = {}
    for group in (*([sound] if sound else []), *([field] for field in fields if field not in sound)):
        # One that is computed from other fields says nothing by itself.
        with suppress(FlowError, BatchError):
            flow = parse_flow(_only(draft, group), name="draft", version="v1", path="the draft")
            mapped = engine.transform(flow, engine.ingest(flow, str(head), aside), aside)
            found |= _after(engine, mapped, {field.name: f"f{at}" for at, field in enumerate(group)})
    return found


def _only(draft: Draft, fields: Sequence[DraftField]) -> dict[str, Any]:
    """The document of some fields by themselves, of which none is required, for JSON lines."""
    named = {f"f{place}": field for place, field in enumerate(fields)}
    return {
        "source": {"format": "jsonl", "null_values": draft.source.get("null_values", [""])},
        "target_schema": {
            "type": "object",
            "properties": {
                name: {
                    key: value for key, value in _schema(draft, field.name).items() if key != "isPrimaryKey"
                }
                for name, field in named.items()
            },
        },
        "mapper": {name: field.entry for name, field in named.items()},
    }


def _schema(draft: Draft, path: str) -> Mapping[str, Any]:
    schema = draft.target_schema
    for part in path.split("."):
        schema = schema["properties"][part]
    return schema


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
