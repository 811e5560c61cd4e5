"""What another flow version would change: both run on the same batch, and their verdicts and values compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lume_dagster.client import AlreadySucceededError, FlowVersionInfo, LumeClient, LumeError, LumeRun
from lume_dagster.plain_text import visible
from lume_dagster.target_schema import MASK, is_masked, sensitive_fields, target_fields


@dataclass(frozen=True)
class Change:
    """A record about which the two flow versions disagree.

    Attributes:
        row_number: The record in the batch, counted from 1.
        field: The target field whose value has changed; None where the verdict has.
        before: What the one flow version makes of it: a value, `mapped`, or the reasons of the rejection.
        after: What the other one makes of it.
    """

    row_number: int
    field: str | None
    before: str
    after: str


@dataclass(frozen=True)
class Outcome:
    """What a flow version made of a batch."""

    run_id: str
    status: str
    mapped: int
    rejected: int


@dataclass(frozen=True)
class BatchDiff:
    """What has changed in a batch.

    Attributes:
        source_path: The batch.
        rows: Its records.
        before: What the one flow version made of it.
        after: What the other one made of it.
        now_rejected: Records that the one mapped and the other rejects.
        now_mapped: Records that the one rejected and the other maps.
        other_reasons: Records that both reject, for different reasons.
        changed_values: For each field of both, in how many records that both map its value has changed.
        samples: Some of the records, the first of each kind of change.
    """

    source_path: str
    rows: int
    before: Outcome
    after: Outcome
    now_rejected: int
    now_mapped: int
    other_reasons: int
    changed_values: Mapping[str, int]
    samples: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed."""
        return not (self.now_rejected or self.now_mapped or self.other_reasons or self.changed_values)


@dataclass(frozen=True)
class OutcomeDiff:
    """What another flow version changes of what becomes of batches.

    Attributes:
        before: The one flow version.
        after: The other one.
        added_fields: Target fields of the other alone.
        removed_fields: Target fields of the one alone.
        batches: What changes in each batch.
    """

    before: str
    after: str
    added_fields: tuple[str, ...]
    removed_fields: tuple[str, ...]
    batches: tuple[BatchDiff, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.added_fields or self.removed_fields) and all(
            batch.is_empty for batch in self.batches
        )


def diff_batches(
    client: LumeClient, before: str, after: str, source_paths: Iterable[str], *, samples: int = 5
) -> OutcomeDiff:
    """Runs two flow versions on the same batches, and compares what they make of each record.

    The one flow version's earlier run of a batch is taken where there is one; the other one runs on the input that
    this run has stored, so that both see the same bytes.

    Args:
        client: The Lume, which has to keep the inputs of its runs.
        before: The one flow version, `NAME:vN`.
        after: The other one.
        source_paths: The batches.
        samples: How many records to show of each kind of change. Values of fields that either version marks as
            sensitive are masked.

    Raises:
        LumeError: A flow version is unknown, a batch cannot be run, or its results cannot be read.
    """
    flows = tuple(client.flow_version(flow_version) for flow_version in (before, after))
    names = [[one.name for one in target_fields(flow.target_schema)] for flow in flows]
    batches = []
    for source_path in source_paths:
        first = _ended(client, before, source_path)
        second = _ended(client, after, f"run:{first.id}")
        batches.append(_compared(client, first, second, _sensitive(flows), samples))
    return OutcomeDiff(
        before,
        after,
        tuple(name for name in names[1] if name not in names[0]),
        tuple(name for name in names[0] if name not in names[1]),
        tuple(batches),
    )


def _ended(client: LumeClient, flow_version: str, source_path: str) -> LumeRun:
    try:
        run: LumeRun = client.run(flow_version, source_path)
    except AlreadySucceededError as error:
        if error.run_id is None:
            raise
        run = client.run_status(error.run_id)
    run = client.wait(run)
    if run.rows is None:
        raise LumeError(f"{run.label} ended {run.status}: {run.error_message or 'no reason given'}")
    return run


def _sensitive(flows: Sequence[FlowVersionInfo]) -> frozenset[str]:
    return frozenset[str]().union(*(sensitive_fields(flow.target_schema) for flow in flows))


@dataclass(frozen=True)
class _Records:
    """What a run made of each record: the mapped ones with their row numbers, and the reasons of the others."""

    mapped: pa.Table
    rows: pa.Array
    reasons: Mapping[int, tuple[tuple[str, str, str], ...]]

    @classmethod
    def read(cls, client: LumeClient, run: LumeRun) -> _Records:
        count = run.rows.source if run.rows else 0
        rejects = client.results_frame(run, "rejects", "arrow")
        reasons = {
            reject["row_number"]: tuple(
                sorted((error["field"] or "", error["type"], error["message"]) for error in reject["errors"])
            )
            for reject in rejects.to_pylist()
        }
        every = pa.array(range(1, count + 1), pa.int64())
        # Mapped records keep the order of the source, and have the numbers that the rejects leave.
        rows = every.filter(pc.invert(pc.is_in(every, pa.array(list(reasons), pa.int64()))))
        if run.rows is not None and run.rows.mapped == 0:
            return cls(pa.table({}), rows, reasons)
        mapped = client.results_frame(run, "mapped", "arrow")
        if mapped.num_rows != len(rows):
            raise LumeError(
                f"{run.label}: of {count} records {len(reasons)} are rejected, but {mapped.num_rows} are mapped"
            )
        return cls(mapped, rows, reasons)


def _compared(
    client: LumeClient, first: LumeRun, second: LumeRun, sensitive: frozenset[str], samples: int
) -> BatchDiff:
    before, after = _Records.read(client, first), _Records.read(client, second)
    now_rejected = [row for row in after.reasons if row not in before.reasons]
    now_mapped = [row for row in before.reasons if row not in after.reasons]
    other_reasons = [
        row
        for row, reasons in before.reasons.items()
        if row in after.reasons and reasons != after.reasons[row]
    ]
    changed: Counter[str] = Counter()
    shown = [
        Change(row, None, _verdict(before, row, sensitive), _verdict(after, row, sensitive))
        for rows in (now_rejected, now_mapped, other_reasons)
        for row in sorted(rows)[:samples]
    ]
    for name, rows, old, new in _changed_values(before, after):
        changed[name] = len(rows)
        masked = any(hidden.partition(".")[0] == name for hidden in sensitive)
        shown += [
            Change(
                rows[at].as_py(),
                name,
                MASK if masked else _shown(old[at].as_py()),
                MASK if masked else _shown(new[at].as_py()),
            )
            for at in range(min(samples, len(rows)))
        ]
    return BatchDiff(
        first.shown_source_path,
        first.rows.source if first.rows else 0,
        _outcome(first),
        _outcome(second),
        len(now_rejected),
        len(now_mapped),
        len(other_reasons),
        dict(changed.most_common()),
        tuple(shown),
    )


def _changed_values(
    before: _Records, after: _Records
) -> Iterator[tuple[str, pa.Array, pa.ChunkedArray, pa.ChunkedArray]]:
    """For each field of both the row numbers, old and new values of the records in which it differs."""
    if not before.mapped.num_columns or not after.mapped.num_columns:
        return
    old = before.mapped.filter(pc.is_in(before.rows, after.rows))
    new = after.mapped.filter(pc.is_in(after.rows, before.rows))
    rows = before.rows.filter(pc.is_in(before.rows, after.rows))
    for name in old.column_names:
        if name in new.column_names:
            differs = _differs(old[name], new[name])
            if pc.any(differs).as_py():
                yield name, rows.filter(differs), old[name].filter(differs), new[name].filter(differs)


def _differs(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.Array:
    if old.type != new.type or pa.types.is_nested(old.type):
        # A field whose type has changed holds other values, but for those that are absent from both.
        pairs = zip(old.to_pylist(), new.to_pylist(), strict=True)
        return pa.array([_shown(one) != _shown(other) for one, other in pairs], pa.bool_())
    either_null = pc.xor(pc.is_null(old), pc.is_null(new))
    return pc.or_(pc.fill_null(pc.not_equal(old, new), False), either_null).combine_chunks()


def _verdict(records: _Records, row: int, sensitive: frozenset[str]) -> str:
    reasons = records.reasons.get(row)
    if reasons is None:
        return "mapped"
    return "rejected: " + "; ".join(
        f"{field or 'record'}: {MASK if is_masked(field or None, sensitive) else message}"
        for field, _, message in reasons
    )


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | dict | list):
        return json.dumps(value, default=str)
    return str(value)


def _outcome(run: LumeRun) -> Outcome:
    mapped, rejected = (run.rows.mapped, run.rows.rejected) if run.rows else (0, 0)
    return Outcome(run.id, run.status, mapped, rejected)


def as_text(diff: OutcomeDiff) -> str:
    """The diff as plain text, for a terminal."""
    lines = [*_headline(diff)]
    for batch in diff.batches:
        lines += ["", f"{visible(batch.source_path)}: {batch.rows} records", *_counts(batch)]
        for change in batch.samples:
            place = f"row {change.row_number}" + (f", {change.field}" if change.field else "")
            lines.append(f"    {place}: {visible(change.before)} -> {visible(change.after)}")
    return "\n".join(lines)


def as_json(diff: OutcomeDiff) -> str:
    """The diff as JSON, for machines."""
    return json.dumps(asdict(diff), indent=2)


def as_markdown(diff: OutcomeDiff) -> str:
    """The diff as Markdown, for a comment on a pull request. What comes from data shows as it is."""
    lines = [f"### {_code(diff.before)} → {_code(diff.after)}", "", *_headline(diff)[1:]]
    lines += [
        "",
        "| batch | records | mapped | rejected | now rejected | now mapped | other reasons | changed values |",
        "| --- | --: | --: | --: | --: | --: | --: | --- |",
    ]
    for batch in diff.batches:
        changed = ", ".join(f"{_code(name)} {count}" for name, count in batch.changed_values.items())
        lines.append(
            f"| {_code(batch.source_path)} | {batch.rows} | {batch.before.mapped} → {batch.after.mapped} "
            f"| {batch.before.rejected} → {batch.after.rejected} | {batch.now_rejected} | {batch.now_mapped} "
            f"| {batch.other_reasons} | {changed or 'none'} |"
        )
    for batch in diff.batches:
        if batch.samples:
            lines += [
                "",
                f"<details><summary>Samples of {_code(batch.source_path, html=True)}</summary>",
                "",
                "| row | field | before | after |",
                "| --: | --- | --- | --- |",
            ]
            lines += [
                f"| {change.row_number} | {_code(change.field) if change.field else ''} "
                f"| {_code(change.before)} | {_code(change.after)} |"
                for change in batch.samples
            ]
            lines += ["", "</details>"]
    return "\n".join(lines)


def _headline(diff: OutcomeDiff) -> list[str]:
    lines = [f"{diff.before} -> {diff.after}"]
    if diff.added_fields:
        lines.append(f"new fields: {', '.join(diff.added_fields)}")
    if diff.removed_fields:
        lines.append(f"fields that are gone: {', '.join(diff.removed_fields)}")
    if diff.is_empty:
        lines.append("Nothing changes.")
    return lines


def _counts(batch: BatchDiff) -> list[str]:
    lines = [
        (
            f"  mapped {batch.before.mapped} -> {batch.after.mapped}, "
            f"rejected {batch.before.rejected} -> {batch.after.rejected}"
        ),
        (
            f"  now rejected {batch.now_rejected}, now mapped {batch.now_mapped}, "
            f"rejected for other reasons {batch.other_reasons}"
        ),
    ]
    if batch.changed_values:
        changed = ", ".join(f"{name} {count}" for name, count in batch.changed_values.items())
        lines.append(f"  changed values: {changed}")
    return lines


def _code(text: str, *, html: bool = False) -> str:
    """Text within an HTML code element, in which Markdown formats nothing once its signs are written as entities."""
    signs = "&<>|`*_[]()#!~\\@:/." if not html else "&<>"
    shown = "".join(f"&#{ord(sign)};" if sign in signs else sign for sign in visible(text))
    return f"<code>{shown}</code>"
