"""A draft of a flow version out of a sample: what each target field is made of, how sure that is, and why.

Matching says which columns a field is made of, formats and classification how their texts become its values, and the
engine what becomes of the sample. A field that is not sure, that takes something for granted, or that rejects too
much of the sample is marked: it is for people to look at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow.compute as pc

from lume_dagster.engine import FlowError, FlowVersion, parse_flow
from lume_dagster.engine.json_path import EVERY, parse_path
from lume_dagster.engine.schema import TargetField, read_target_schema
from lume_dagster.engine.values import ValueType, is_value
from lume_dagster.generator.classification import Option, Scalar, classify, lookup_entry, options_of
from lume_dagster.generator.conversions import propose_conversion
from lume_dagster.generator.date_formats import ZONELESS, find_date_formats
from lume_dagster.generator.evidence import field_traits, is_possible, source_traits
from lume_dagster.generator.formats import ColumnFormat, find_format
from lume_dagster.generator.matching import ACCEPTED, Proposal, RunnerUp, propose
from lume_dagster.generator.measures import measure_of
from lume_dagster.generator.names import parse_name, word_similarity
from lume_dagster.generator.profile import TEMPORAL, ColumnProfile, Kind, Profile
from lume_dagster.generator.reading import Reading
from lume_dagster.generator.sample import Sample

_FREE_FORM = frozenset({Kind.TEXT, Kind.URI, Kind.IMAGE, Kind.EMAIL, Kind.EMPTY, Kind.BINARY})
"""Kinds whose values need not be written alike."""
_ASSUMED = 0.7
"""The most confidence of a field that takes for granted what nothing says."""
_UNSETTLED = 0.5
"""The most confidence of a field whose texts can be read in two ways."""
_ALIKE = 0.6
"""How alike words are that mean the same."""
_MOST_CLASSES = 5_000
_MOST_OPTIONS = 300
"""Up to how many options stand in a lookup as values of their own."""
_MOST_TOLD = 5
_ABSENT = "stands for no value: "
_AMBIGUOUS = "may stand for no value, and is read as it is: "


@dataclass(frozen=True)
class DraftField:
    """What one target field is made of.

    Attributes:
        name: The field; one of an object by its path.
        required: An absent value is an error.
        sources: The source columns.
        operation: The mapper entry; None if the field is left open.
        confidence: How sure it is, from 0 to 1: 0.9 is right nine times in ten.
        reasons: What speaks for it.
        notes: What people have to look at: what is taken for granted, what does not fit.
        runners_up: Other columns, the best first.
        chosen: A person chose it, or chose to leave the field empty.
        unclassified: Source values that the lookup does not know, the most frequent first.
        advised_by: The language model whose advice it holds; None if none had a part in it.
    """

    name: str
    required: bool
    sources: tuple[str, ...]
    operation: Mapping[str, Any] | None
    confidence: float
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    runners_up: tuple[RunnerUp, ...] = ()
    chosen: bool = False
    unclassified: tuple[str, ...] = ()
    advised_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Nothing is proposed, and nobody chose to leave it empty."""
        return self.operation is None and not self.chosen

    @property
    def accepted(self) -> bool:
        """It needs no review."""
        return self.chosen or (self.operation is not None and self.confidence >= ACCEPTED and not self.notes)

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in the mapper of a flow file."""
        return {"constant": None} if self.operation is None else dict(self.operation)


@dataclass(frozen=True)
class Draft:
    """A flow version that is not yet one.

    Attributes:
        description: What the flow is for.
        source: How a batch is read; only what differs from the defaults.
        target_schema: JSON Schema of one target record.
        fields: What each field is made of, in the schema's order.
        notes: What is taken for granted about the batch as a whole.
    """

    description: str
    source: Mapping[str, Any]
    target_schema: Mapping[str, Any]
    fields: tuple[DraftField, ...]
    notes: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The flow file's content."""
        return {
            "description": self.description,
            **({"source": dict(self.source)} if self.source else {}),
            "target_schema": dict(self.target_schema),
            "mapper": {field.name: field.entry for field in self.fields},
        }

    @property
    def unmapped(self) -> tuple[DraftField, ...]:
        """Required fields without a proposal: as long as there is one, each record would be rejected."""
        return tuple(field for field in self.fields if field.required and field.operation is None)

    @property
    def marked(self) -> tuple[DraftField, ...]:
        """Fields that people have to look at."""
        return tuple(field for field in self.fields if not field.accepted)

    def field(self, name: str) -> DraftField:
        """The field of a name.

        Raises:
            KeyError: There is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def with_field(self, *changed: DraftField) -> Draft:
        """The draft with other proposals for one field, or for several."""
        by_name = {field.name: field for field in changed}
        return replace(self, fields=tuple(by_name.get(field.name, field) for field in self.fields))


@dataclass(frozen=True)
class Drafter:
    """Drafts a flow version from a sample.

    Args:
        sample: The sample of the source.
        target_schema: JSON Schema of one target record.
        wanted: Records in the wanted form, if there are any; their columns are named like the fields.

    Raises:
        FlowError: The target schema is not one that the engine takes.
    """

    sample: Sample
    target_schema: Mapping[str, Any]
    wanted: Profile | None = None

    def __post_init__(self) -> None:
        _ = self._fields

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of the sample."""
        return frozenset(column.name for column in self.sample.profile.columns)

    @cached_property
    def _fields(self) -> Mapping[str, TargetField]:
        schema = read_target_schema(self.target_schema, path="<target schema>", pointer="")
        return {field.name: field for field in schema.fields}

    @cached_property
    def _leaves(self) -> Mapping[str, Mapping[str, Any]]:
        """The schema of each field; of those in objects by their paths."""
        return dict(_leaves(self.target_schema, ""))

    def draft(self, description: str = "") -> Draft:
        """The draft with a proposal for each field that has one.

        Args:
            description: What the flow is for.

        Raises:
            SampleError: There is nothing to compare, or a column's name is not unique.
        """
        proposals = self._proposals()
        drafted = Draft(
            description,
            self.sample.source,
            self.target_schema,
            tuple(self._drafted(proposals[name]) for name in self._leaves),
            (*self.sample.notes, *self._rewritten()),
        )
        return self.with_absent_texts(drafted)

    def choose(self, current: DraftField, column: str | None) -> DraftField:
        """A field made of another column, or of none, as a person chose.

        Args:
            current: The field as it was proposed.
            column: A column of the sample; None leaves the field empty.

        Raises:
            KeyError: The sample has no such column.
        """
        if column is None:
            return replace(_anew(current, (), 0.0, "left empty by choice"), chosen=True)
        made = self.made_of(current, column, confidence=1.0, reason="chosen")
        return replace(made, chosen=made.operation is not None)

    def readings(self, current: DraftField) -> tuple[Reading, ...]:
        """The ways in which the texts of a field's one column can be read, if it is left open which is meant."""
        target = self._fields[current.name]
        spec = next(iter((current.operation or {}).values()), None)
        if len(current.sources) != 1 or target.type is ValueType.TEXT or self.options(current.name):
            return ()
        (column,) = current.sources
        found = find_format(
            self.sample.counts(column),
            target.type,
            name=f"{column} {current.name}",
            description=str(self._leaves[current.name].get("description", "")),
            time_zone=spec.get("time_zone") if isinstance(spec, dict) else None,
        )
        proposed = any(one.entry(column) == current.operation for one in found.readings)
        return found.readings if proposed and len(found.readings) > 1 else ()

    def read_as(self, current: DraftField, reading: Reading) -> DraftField:
        """A field whose texts are read in the way that a person chose.

        Args:
            current: The field, of one column.
            reading: One of its `readings`.
        """
        (column,) = current.sources
        way = reading.means or _in_short(reading.options)
        made = _anew(current, (column,), 1.0, f"chosen: {way}")
        # What else is open, such as a unit, stays told.
        notes = tuple(note for note in current.notes if way not in note)
        return replace(made, operation=reading.entry(column), notes=notes, chosen=True)

    def lacks_zone(self, current: DraftField) -> bool:
        """Whether a field is a moment of one column whose texts name no time zone."""
        is_read = "formats" in (current.operation or {}).get("datetime", {})
        if self._fields[current.name].type is not ValueType.INSTANT or not is_read:
            return False
        texts = tuple(self.sample.counts(current.sources[0]))
        return find_date_formats(texts, ValueType.INSTANT).assumes == ZONELESS

    def in_zone(self, current: DraftField, zone: str) -> DraftField:
        """A moment whose texts are read from the clocks of a zone, as a person chose.

        Args:
            current: A field that `lacks_zone`.
            zone: The IANA name of the zone.

        Returns:
            The field; it stays open, with a note, if there is no such zone.
        """
        operation = current.operation or {}
        made = _anew(current, current.sources, 1.0, f"chosen: the clocks of {zone}")
        zoned = {**operation, "datetime": {**operation["datetime"], "time_zone": zone}}
        made = self._checked(replace(made, operation=zoned))
        return replace(made, chosen=made.operation is not None)

    def in_unit(self, current: DraftField, unit: str) -> DraftField:
        """A field of plain numbers that are in a unit, as a person says.

        Args:
            current: The field, of one column.
            unit: The unit of the column, such as `mi`.

        Returns:
            The field; it stays open, with a note, if no arithmetic is known that makes the field's unit of it.
        """
        (column,) = current.sources
        made = _anew(current, (column,), 1.0, f"chosen: {column} is in {unit}")
        if not measure_of("", f"in {unit}").units:
            return _opened(made, f"nothing is known of the unit {unit}")
        found = propose_conversion(
            column,
            current.name,
            column_description=f"in {unit}",
            field_description=_said_of(self._leaves[current.name]),
        )
        if found.problem:
            return _opened(made, found.problem)
        operation = {"expression": found.expression} if found.expression else {"extract": column}
        return replace(made, operation=operation, chosen=True)

    def made_of(self, current: DraftField, column: str, *, confidence: float, reason: str) -> DraftField:
        """A field made of a column that somebody named; how its texts are read is found by the rules.

        Args:
            current: The field as it was proposed.
            column: A column of the sample.
            confidence: How sure it is that this is the column.
            reason: Who says so.

        Returns:
            The field; it stays open, with a note, if the column's texts do not go into it.

        Raises:
            KeyError: The sample has no such column.
        """
        self.sample.profile.column(column)
        return self._of_column(_anew(current, (column,), confidence, reason), column)

    def made_by(
        self, current: DraftField, operation: Mapping[str, Any], *, confidence: float, reason: str
    ) -> DraftField:
        """A field made by an operation that somebody wrote, which may read any columns of the sample.

        Args:
            current: The field as it was proposed.
            operation: The mapper entry.
            confidence: How sure it is.
            reason: Who says so.

        Returns:
            The field; it stays open, with a note, if the engine does not take the operation for it, or if it reads
            no column, one that the sample does not have, or another target field.
        """
        made = replace(_anew(current, (), confidence, reason), operation=operation)
        try:
            columns = self._parsed(made).lineage["field"]
        except FlowError as error:
            return _opened(made, f"{error.pointer or 'the operation'}: {error.message}")
        if missing := [column for column in columns if column not in self.columns]:
            return _opened(made, f"the sample has no column {_listed(missing)}")
        if not columns:
            return _opened(made, "the operation reads no column")
        return replace(made, sources=tuple(columns))

    def looked_up(self, current: DraftField, column: str, *, confidence: float, reason: str) -> DraftField:
        """A field with options, by a lookup of a column's values that knows those which the rules classify: maybe none.

        Args:
            current: The field as it was proposed.
            column: A column of the sample.
            confidence: How sure it is that this is the column.
            reason: Who says so.

        Returns:
            The field; it stays open, with a note, if the column has too many different values.

        Raises:
            KeyError: The sample has no such column.
        """
        self.sample.profile.column(column)
        made = _anew(current, (column,), confidence, reason)
        return self._lookup(made, column, self.options(current.name))

    def classified(self, current: DraftField, classes: Mapping[str, Scalar]) -> DraftField:
        """A field whose lookup knows more values.

        Args:
            current: The field, with a lookup.
            classes: The options of source values that it left unclassified.
        """
        spec = (current.operation or {})["lookup"]
        table = {**spec["table"], **classes}
        left = tuple(value for value in current.unclassified if value not in classes)
        column = spec["from"]
        notes = tuple(note for note in current.notes if note != self._missed(column, current.unclassified))
        return replace(
            current,
            operation={**(current.operation or {}), "lookup": {**spec, "table": table}},
            notes=(*notes, self._missed(column, left)) if left else notes,
            unclassified=left,
        )

    def left_open(self, current: DraftField, why: str) -> DraftField:
        """A field whose proposal does not hold on the sample: open, with the column among the others."""
        return _opened(current, why)

    def options(self, field: str) -> tuple[Option, ...]:
        """The options of a field; empty if it has none."""
        return options_of(self._leaves[field])

    def schema(self, field: str) -> Mapping[str, Any]:
        """The schema of a field."""
        return self._leaves[field]

    def is_sensitive(self, field: str) -> bool:
        """Whether a field's values are to be masked wherever they are shown."""
        return self._fields[field].sensitive

    def _rewritten(self) -> Iterator[str]:
        """Fields whose wanted records write dates or times otherwise than a flow does."""
        for column in self.wanted.columns if self.wanted else ():
            value_type = self._fields[column.name].type if column.name in self._fields else ValueType.TEXT
            odd = next((text for text, _ in column.values if not is_value(text, value_type)), None)
            if column.kind in TEMPORAL and odd is not None:
                yield (
                    f"{column.name} is a {value_type.value}, which a flow writes as ISO 8601 has it; the wanted "
                    f"records write {odd!r}"
                )

    def _proposals(self) -> dict[str, Proposal]:
        """A proposal a field. Lists go to arrays; objects that are read by their paths go to no field as a whole."""
        nested, profile = self.sample.nested, self.sample.profile
        starts = {re.split(r"[.\[]", name, maxsplit=1)[0] for name in self.columns if parse_path(name)}
        arrays = {name for name in self._leaves if self._fields[name].type is ValueType.LIST}
        lists = _some(profile, lambda name: name in nested.lists)
        others = _some(
            profile,
            lambda name: (
                not (name in nested.objects and name in starts)
                and not (name in nested.lists and (arrays or name in starts or "[*]" in name))
            ),
        )
        if not others.columns or not (arrays and lists.columns):
            return _by_field(propose(others if others.columns else profile, self._schema(), self.wanted))
        if len(arrays) == len(self._leaves):
            return _by_field(propose(lists, self._schema(), self.wanted))
        return {
            **_by_field(propose(lists, self._schema(arrays), self.wanted)),
            **_by_field(propose(others, self._schema(self._leaves.keys() - arrays), self.wanted)),
        }

    def _schema(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """The fields, or some of them, as the properties of a schema."""
        return {
            "properties": {
                name: leaf for name, leaf in self._leaves.items() if names is None or name in names
            }
        }

    def _drafted(self, proposal: Proposal) -> DraftField:
        name = proposal.target_field
        drafted = DraftField(
            name,
            self._fields[name].required,
            proposal.sources,
            proposal.operation,
            proposal.confidence,
            # Whether the values go into the field is said anew, once an operation is found for them.
            tuple(reason for reason in proposal.reasons if reason != proposal.misfit),
            proposal.notes
            or (
                () if proposal.matched or proposal.confidence < ACCEPTED else ("something speaks against it",)
            ),
            proposal.runners_up,
        )
        if proposal.operation is None:
            return drafted
        if "extract" in proposal.operation:
            return self._explained(self._of_column(drafted, proposal.sources[0]))
        return self._explained(self._checked(drafted))

    def _explained(self, drafted: DraftField) -> DraftField:
        """The field, with a note that says why it is marked if nothing else does."""
        if drafted.operation is None or drafted.accepted or drafted.notes:
            return drafted
        wanted = field_traits(drafted.name, self._leaves[drafted.name], None)
        for column in drafted.sources:
            found = self.sample.profile.column(column)
            if not is_possible(source_traits(found), wanted):
                held = wanted.kind.value if wanted.kind else "text"
                return _noted(
                    drafted, f"{column} looks like {found.kind.value}, the field is {held}", at_most=1.0
                )
        rivals = [one.source for one in drafted.runners_up if 2 * one.confidence >= drafted.confidence]
        said = f"it may be {' or '.join(rivals)} as well" if rivals else "little tells that it is this column"
        return _noted(drafted, f"a guess: {said}", at_most=1.0)

    def _of_column(self, drafted: DraftField, column: str) -> DraftField:
        """The field, with the operation that makes its values of the column's texts."""
        field, schema = self._fields[drafted.name], self._leaves[drafted.name]
        plain = replace(drafted, sources=(column,), operation={"extract": column})
        options = options_of(schema)
        if options:
            made = self._classified(plain, column, options)
        elif field.type is ValueType.LIST and column in self.sample.nested.lists:
            made = plain
        elif field.type is ValueType.LIST:
            made = _noted(plain, "the field is an array, and the column may be none", at_most=_ASSUMED)
        elif field.type is ValueType.TEXT:
            made = self._as_text(plain, column)
        else:
            made = self._formatted(plain, column, field.type)
        return self._checked(made)

    def _as_text(self, drafted: DraftField, column: str) -> DraftField:
        nested = self.sample.nested
        if column in nested.objects or column in nested.lists:
            held = f"{column} holds JSON objects or lists, whose text the field would get"
            return _noted(drafted, held, at_most=_UNSETTLED)
        if (said := self._form_differs(drafted.name, column)) is not None:
            drafted = _noted(drafted, said, at_most=_UNSETTLED)
        if self.sample.profile.column(column).kind in (Kind.INTEGER, Kind.NUMBER):
            description = _said_of(self._leaves[drafted.name])
            found = propose_conversion(column, drafted.name, field_description=description)
            if found.problem or found.said:
                drafted = _noted(drafted, found.problem or found.said, at_most=_ASSUMED)
        if any(text != text.strip() for text in self.sample.counts(column)):
            return replace(drafted, operation={"extract": column, "steps": ["trim"]})
        return drafted

    def _form_differs(self, field: str, column: str) -> str | None:
        """How the column's form differs from that of the wanted records, or why that cannot be told."""
        wanted = next(
            (one for one in (self.wanted.columns if self.wanted else ()) if one.name == field), None
        )
        if wanted is None or wanted.kind in _FREE_FORM:
            return None
        found = self.sample.profile.column(column)
        form, other = _form(wanted), _form(found)
        if form and other and form != other:
            return f"the wanted records write it as {form}, {column} as {other} (9 for digits, A and a for letters)"
        least, _, most = wanted.lengths
        if wanted.kind is Kind.INTEGER and least == most > found.lengths[0]:
            return f"the wanted records write it in {most} digits, {column} in fewer"
        if wanted.kind in TEMPORAL:
            return f"the wanted records do not tell which is the day and which the month; {column} is taken as it is"
        return None

    def _classified(self, drafted: DraftField, column: str, options: tuple[Option, ...]) -> DraftField:
        counts = self.sample.counts(column)
        if all(text in {option.text for option in options} for text in counts):
            return drafted
        made = self._lookup(drafted, column, options)
        if made.operation is None:
            return made
        if table := made.operation["lookup"]["table"]:
            known = {**table, **_themselves(options, counts, table)}
            return replace(made, operation={"lookup": {**made.operation["lookup"], "table": known}})
        return _opened(drafted, f"no value of {column} is clearly one of the options")

    def _lookup(self, drafted: DraftField, column: str, options: tuple[Option, ...]) -> DraftField:
        counts = self.sample.counts(column)
        if len(counts) > _MOST_CLASSES:
            return _opened(drafted, f"{column} has {len(counts)} different values, too many for options")
        description = str(self._leaves[drafted.name].get("description", ""))
        classes = classify(counts, options, field=drafted.name, description=description)
        accepted = [found for found in classes if found.accepted]
        missed = sorted(
            (found.value for found in classes if not found.accepted), key=lambda value: -counts[value]
        )
        made = replace(
            drafted,
            operation=lookup_entry(column, classes),
            reasons=(
                *drafted.reasons,
                f"{len(accepted)} of {len(classes)} different values are classified",
            ),
            unclassified=tuple(missed),
        )
        return _noted(made, self._missed(column, missed), at_most=drafted.confidence) if missed else made

    def _missed(self, column: str, values: Sequence[str]) -> str:
        counts = self.sample.counts(column)
        rows = sum(counts[value] for value in values)
        return f"not classified, and rejected in {rows} records: {_listed(values)}"

    def _formatted(self, drafted: DraftField, column: str, value_type: ValueType) -> DraftField:
        schema = self._leaves[drafted.name]
        description = _said_of(schema)
        found = find_format(
            self.sample.counts(column),
            value_type,
            name=f"{column} {drafted.name}",
            description=description,
        )
        if not found.readings:
            if not self.sample.counts(column):
                return _noted(drafted, "the column holds no values to judge by", at_most=_UNSETTLED)
            return _opened(drafted, f"{column}: {found.problem}")
        made = replace(drafted, operation=found.readings[0].entry(column))
        if found.settled is None:
            ways = [reading.means or _in_short(reading.options) for reading in found.readings]
            named = all(way in found.problem for way in ways)
            said = found.problem if named else f"{found.problem}; it may be {' or '.join(ways)}"
            made = _noted(made, said, at_most=_UNSETTLED)
        if found.assumes:
            made = _noted(made, f"taken for granted: {found.assumes}", at_most=_ASSUMED)
        if value_type in (ValueType.NUMBER, ValueType.INTEGER):
            return _in_unit(made, column, schema, found)
        return made

    def _checked(self, drafted: DraftField) -> DraftField:
        """The field, left open if the engine does not take its operation for it."""
        try:
            self._parsed(drafted)
        except FlowError as error:
            return _opened(drafted, error.message)
        longest = self.sample.nested.longest
        for column in drafted.sources:
            if column in longest:
                drafted = _noted(
                    drafted,
                    f"{column} is of the first item, and lists have up to {longest[column]}",
                    at_most=_ASSUMED,
                )
            if self._is_of_parent_only(drafted.name, column):
                drafted = _noted(
                    drafted, f"the field may be another part of what {column} is in", at_most=_ASSUMED
                )
        return drafted

    def _is_of_parent_only(self, field: str, column: str) -> bool:
        """Whether a field is like a nested column only for the name of the object that the column lies in."""
        names = [step[1:] for step in parse_path(column) or () if isinstance(step, str) and step != EVERY]
        if len(names) < 2:
            return False
        *above, last = names
        schema = self._leaves[field]
        said = " ".join((field, str(schema.get("title", "")), str(schema.get("description", ""))))
        return any(_is_named(name, field) for name in above) and not _is_named(last, said)

    def _parsed(self, drafted: DraftField) -> FlowVersion:
        """The field as the only one of a flow version."""
        document = {
            "target_schema": {"type": "object", "properties": {"field": dict(self._leaves[drafted.name])}},
            "mapper": {"field": drafted.entry},
        }
        return parse_flow(document, name="draft", version="v1", path="")

    def with_absent_texts(self, draft: Draft) -> Draft:
        """The draft with the texts, such as `NA`, that stand for no value in a column of numbers or dates.

        A text counts for all columns of a batch. One that is an option of some field, or the key of a lookup, is not
        among them, nor is one that may be a value of a column that a field takes texts from: it is only noted.

        Args:
            draft: The draft; what it says of such texts so far is said anew.
        """
        notes = tuple(note for note in draft.notes if not note.startswith((_ABSENT, _AMBIGUOUS)))
        draft = replace(draft, source={**self.sample.source, **self._optional(draft)}, notes=notes)
        absent: dict[str, list[str]] = {}
        for field in draft.fields:
            target = self._fields[field.name]
            if self._takes_texts(field):
                continue
            for column in field.sources:
                found = find_format(self.sample.counts(column), target.type, name=f"{column} {field.name}")
                for text in found.absent:
                    absent.setdefault(text, []).append(column)
        meant = {option.text for schema in self._leaves.values() for option in options_of(schema)}
        meant |= {text for field in draft.fields for text in field.entry.get("lookup", {}).get("table", {})}
        texts: list[str] = []
        told: list[str] = []
        kept: list[str] = []
        for text in sorted(absent.keys() - meant):
            where = f"{text!r} in {', '.join(dict.fromkeys(absent[text]))}"
            if others := self._values_of(text, absent[text], draft):
                kept.append(f"{where}, as {', '.join(others)} may hold it as a value")
            else:
                texts.append(text)
                told.append(where)
        if texts:
            told_before = draft.source.get("null_values", [""])
            draft = replace(
                draft, source={**draft.source, "null_values": list(dict.fromkeys([*told_before, *texts]))}
            )
        said = ((_ABSENT, told), (_AMBIGUOUS, kept))
        return replace(
            draft, notes=(*draft.notes, *(start + "; ".join(what) for start, what in said if what))
        )

    def _optional(self, draft: Draft) -> dict[str, list[str]]:
        """The paths that a batch may lack: those of JSON that some records of the sample lack."""
        if self.sample.batch.info.format not in ("json", "jsonl"):
            return {}
        read = (column for field in draft.fields for column in field.sources if column in self.columns)
        lacking = [
            column
            for column in dict.fromkeys(read)
            if parse_path(column) and self.sample.table.column(column).null_count
        ]
        return {"optional": [*self.sample.source.get("optional", ()), *lacking]} if lacking else {}

    def _takes_texts(self, field: DraftField) -> bool:
        """Whether a column's text counts as it is: in a text, and in a number that is put together with its sign."""
        value_type = self._fields[field.name].type
        together = value_type in (ValueType.NUMBER, ValueType.INTEGER) and "concat" in field.entry
        return together or value_type in (ValueType.TEXT, ValueType.LIST)

    def _values_of(self, text: str, absent_in: Iterable[str], draft: Draft) -> tuple[str, ...]:
        """The columns that fields take texts from, and that may hold a text as a value.

        They hold it in a record in which none of the columns does where it stands for no value.
        """
        elsewhere = [
            column
            for field in draft.fields
            if self._takes_texts(field) and not self.options(field.name)
            for column in field.sources
        ]
        table = self.sample.table
        for column in dict.fromkeys(absent_in):
            table = table.filter(pc.fill_null(pc.not_equal(table.column(column), text), True))
        return tuple(
            column
            for column in dict.fromkeys(elsewhere)
            if pc.any(pc.equal(table.column(column), text)).as_py()
        )


def _themselves(
    options: Sequence[Option], values: Collection[str], table: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """The options as values of the source that mean themselves, for batches that have them later; but no numbers.

    None if the sample uses an option's text in another meaning, as that of another list of codes.

    Args:
        options: The options.
        values: The values of the sample.
        table: What those that are classified mean.
    """
    texts = {option.text: option.value for option in options if isinstance(option.value, str)}
    if len(texts) > _MOST_OPTIONS or any(text in texts and texts[text] != table[text] for text in table):
        return {}
    return {
        text: value
        for text, value in texts.items()
        if text not in values and not text.replace(".", "", 1).isdecimal()
    }


def _form(column: ColumnProfile) -> str:
    """How nearly all values of a column are written; empty if there is no one way."""
    return next((form for form, share in column.shapes[:1] if share >= ACCEPTED), "")


def _some(profile: Profile, wanted: Callable[[str], bool]) -> Profile:
    """A profile of some of the columns, by their names."""
    return replace(profile, columns=tuple(column for column in profile.columns if wanted(column.name)))


def _is_named(name: str, text: str) -> bool:
    """Whether a word of a name is one of a text, or much like one."""
    told = parse_name(text).tokens
    return any(word_similarity(one, other) >= _ALIKE for one in parse_name(name).tokens for other in told)


def _by_field(proposals: Iterable[Proposal]) -> dict[str, Proposal]:
    return {proposal.target_field: proposal for proposal in proposals}


def _leaves(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        if inner.get("properties"):
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _noted(drafted: DraftField, note: str, *, at_most: float) -> DraftField:
    return replace(drafted, notes=(*drafted.notes, note), confidence=min(drafted.confidence, at_most))


def _anew(current: DraftField, sources: tuple[str, ...], confidence: float, reason: str) -> DraftField:
    """The field with nothing of what was proposed for it but the runners-up."""
    plain = DraftField(current.name, current.required, sources, None, confidence, (reason,))
    return replace(plain, runners_up=current.runners_up)


def _opened(drafted: DraftField, note: str) -> DraftField:
    """A field whose proposal does not hold: it is left open, and says why."""
    kept = (RunnerUp(source, drafted.confidence) for source in drafted.sources[:1])
    return replace(
        drafted,
        sources=(),
        operation=None,
        confidence=0.0,
        notes=(*drafted.notes, note),
        runners_up=(*kept, *drafted.runners_up),
        chosen=False,
        unclassified=(),
    )


def _in_unit(drafted: DraftField, column: str, schema: Mapping[str, Any], texts: ColumnFormat) -> DraftField:
    """The field in its unit; marked where the column's and the field's are not plainly the same."""
    reading = texts.readings[0]
    found = propose_conversion(
        column,
        drafted.name,
        field_description=_said_of(schema),
        beside=reading.options.get("currency", ()),
        values=[float(value) for value in reading.values.values() if isinstance(value, (int, float))],
        is_hundredth="percent" in reading.options,
    )
    if found.problem:
        return _noted(drafted, found.problem, at_most=_ASSUMED)
    if not found.expression:
        return drafted
    if texts.settled is None:
        return _noted(drafted, found.said, at_most=_UNSETTLED)
    if reading.operation != "extract":
        return _opened(drafted, f"{found.said}, and the column holds more than plain numbers")
    return replace(
        drafted, operation={"expression": found.expression}, reasons=(*drafted.reasons, found.said)
    )


def _said_of(schema: Mapping[str, Any]) -> str:
    return ". ".join(str(schema[key]) for key in ("title", "description") if schema.get(key))


def _in_short(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value[:60]) for value in values[:_MOST_TOLD])
    return shown + (f" and {len(values) - _MOST_TOLD} more" if len(values) > _MOST_TOLD else "")


__all__ = ["ACCEPTED", "Draft", "DraftField", "Drafter"]
