"""What a language model is told of a sample and a target schema: no more than it is asked about, and than is allowed.

It hears of the fields that the rules left open, of all columns by their names, and of a few values of those that are
not settled. Values of columns that may hold what the schema calls sensitive are masked, whatever is allowed otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lume_dagster.generator.drafting import ACCEPTED, Draft, Drafter, DraftField
from lume_dagster.generator.profile import ColumnProfile
from lume_dagster.generator.trial import Trial

_LONGEST_VALUE = 80
_LONGEST_NAME = 200
_LONGEST_TEXT = 500
_MOST_COLUMNS = 1_000
_PART_SIZE = 100_000
"""The most characters of each part of a question."""
_TOLD_OF_FIELDS = ("type", "format", "title", "description", "pattern", "minimum", "maximum", "enum", "oneOf")


@dataclass(frozen=True)
class Disclosure:
    """How much of a sample a language model may see, beside the names of columns.

    Attributes:
        sample_values: How many values of a column; 0 for none.
        masked: Tell only how values are written: letters as `a` and `A`, digits as `9`.
    """

    sample_values: int = 5
    masked: bool = False


@dataclass(frozen=True)
class Question:
    """What a language model is asked.

    Attributes:
        fields: The target fields for which it may propose an operation.
        to_classify: Target fields of whose source values it may classify some.
        clear: The values that it sees as they are, by column.
        text: All that it is told, as JSON.
    """

    fields: tuple[str, ...]
    to_classify: tuple[str, ...]
    clear: Mapping[str, Sequence[str]]
    text: str


def make_question(drafter: Drafter, draft: Draft, trial: Trial, disclosure: Disclosure) -> Question | None:
    """The question about what a draft leaves open; None if it leaves nothing open.

    Asked about are fields without a proposal, of low confidence, or that reject too much of the sample, and source
    values that are not classified. What does not fit into a question is not asked about.

    Args:
        drafter: Made the draft.
        draft: The draft.
        trial: What became of the sample by it.
        disclosure: How much may be told.
    """
    fields = [field for field in draft.fields if _is_open(field, trial)]
    told_fields = list(
        _fitting({**_field(field.name, drafter), "required": field.required} for field in fields)
    )
    lookups = [field for field in draft.fields if field.unclassified and not field.chosen]
    hidden = drafter.columns if disclosure.masked else _hidden(drafter, draft)
    values = _values_of_columns(drafter, draft, fields, lookups, disclosure.sample_values)
    told_columns = list(_fitting(_column(name, found, name in hidden) for name, found in values.items()))
    clear = {
        column["name"]: values[column["name"]] for column in told_columns if column["name"] not in hidden
    }
    told_values = list(
        _fitting(
            {"target_field": _field(field.name, drafter), "source_column": column, "values": found}
            for field in lookups
            for column in field.sources
            if (found := [value for value in clear.get(column, ()) if value in field.unclassified])
        )
    )
    if not told_fields and not told_values:
        return None
    content = {"target_fields": told_fields, "source_columns": told_columns, "unclassified": told_values}
    return Question(
        tuple(field["name"] for field in told_fields),
        tuple(one["target_field"]["name"] for one in told_values),
        clear,
        json.dumps(content, ensure_ascii=False),
    )


def mask(value: str) -> str:
    """How a value is written, without what it says.

    Example:
        >>> mask("Ada, 24.12.1970")
        'Aaa, 99.99.9999'
    """
    return "".join(map(_masked, value))


def _masked(char: str) -> str:
    if char.isdecimal():
        return "9"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return char if char.isascii() and char.isprintable() else "?"


def _is_open(field: DraftField, trial: Trial) -> bool:
    if field.chosen:
        return False
    if field.operation is None or field.confidence < ACCEPTED:
        return True
    return trial.rejects_too_many(field.name) and not field.unclassified


def _hidden(drafter: Drafter, draft: Draft) -> frozenset[str]:
    """The columns that may hold what the schema calls sensitive.

    As long as it is not sure where a sensitive field comes from, these are all that are not sure to be something else.
    """
    sensitive = [field for field in draft.fields if drafter.is_sensitive(field.name)]
    found = {name for field in sensitive for name in _in_question(field)}
    if not all(field.accepted for field in sensitive):
        others = (field for field in draft.fields if field.accepted and field not in sensitive)
        found |= drafter.columns - {name for field in others for name in field.sources}
    return frozenset(found)


def _in_question(field: DraftField) -> Iterator[str]:
    """The columns that a field is, or could be made of."""
    yield from field.sources
    yield from (other.source for other in field.runners_up)


def _values_of_columns(
    drafter: Drafter, draft: Draft, fields: Iterable[DraftField], lookups: Sequence[DraftField], most: int
) -> dict[str, list[str]]:
    """Values of each column: first of those in question, then of those not settled; none of settled ones."""
    columns = {
        column.name: column for column in drafter.sample.profile.columns if len(column.name) <= _LONGEST_NAME
    }
    near = [name for field in (*fields, *lookups) for name in _in_question(field) if name in columns]
    open_sources = {name for field in (*fields, *lookups) for name in field.sources}
    settled = {name for field in draft.fields if field.accepted for name in field.sources} - open_sources
    ranked = dict.fromkeys([*near, *sorted(columns, key=lambda name: name in settled)])
    return {
        name: [] if name in settled else _values(columns[name], lookups, most)
        for name in islice(ranked, _MOST_COLUMNS)
    }


def _values(column: ColumnProfile, lookups: Iterable[DraftField], most: int) -> list[str]:
    """Some different values of a column: those to classify, then the most frequent ones."""
    to_classify = [value for field in lookups if column.name in field.sources for value in field.unclassified]
    frequent = [value for value, _ in column.values]
    return list(dict.fromkeys(value for value in (*to_classify, *frequent) if len(value) <= _LONGEST_VALUE))[
        :most
    ]


def _column(name: str, values: list[str], hidden: bool) -> dict[str, Any]:
    if hidden and values:
        return {"name": name, "values": list(dict.fromkeys(map(mask, values))), "masked": True}
    return {"name": name, "values": values} if values else {"name": name}


def _field(name: str, drafter: Drafter) -> dict[str, Any]:
    schema = drafter.schema(name)
    told = {key: schema[key] for key in _TOLD_OF_FIELDS if key in schema}
    return {
        "name": name,
        **{key: value[:_LONGEST_TEXT] if isinstance(value, str) else value for key, value in told.items()},
    }


def _fitting(items: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The items that there is room for, in their order."""
    size = 0
    for item in items:
        length = len(json.dumps(item, ensure_ascii=False))
        if size + length <= _PART_SIZE:
            size += length
            yield item


__all__ = ["Disclosure", "Question", "make_question", "mask"]
