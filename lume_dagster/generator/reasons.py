"""Evidence in words, for the people who review a proposal."""

from __future__ import annotations

from collections.abc import Callable

from lume_dagster.generator.evidence import Evidence, Traits
from lume_dagster.generator.names import word_similarity
from lume_dagster.generator.scoring import WEIGHTS

_MAX_REASONS = 4
_WORTH_SAYING = 0.35


def reasons(source: Traits, target: Traits, evidence: Evidence) -> tuple[str, ...]:
    """What counts most for and against a pair, the weightiest first.

    Values of the source are not repeated: a reason may go where they may not.
    """
    weighed = sorted(
        ((WEIGHTS[figure] * getattr(evidence, figure), figure) for figure in _WORDS),
        key=lambda item: (-abs(item[0]), item[1]),
    )
    said = [
        _WORDS[figure](source, target, evidence) for weight, figure in weighed if abs(weight) >= _WORTH_SAYING
    ]
    return tuple(dict.fromkeys(text for text in said if text))[:_MAX_REASONS]


def _name(source: Traits, target: Traits, evidence: Evidence) -> str:
    if evidence.same_name:
        return "the names are the same"
    alike = [
        one if one == other else f"{one} = {other}"
        for one in source.name.tokens
        for other in target.name.tokens
        if word_similarity(one, other) >= 0.6
    ]
    if alike:
        return f"the names have in common: {', '.join(dict.fromkeys(alike))}"
    return "the names mean much the same" if evidence.name > 0.5 else ""


def _kind(source: Traits, target: Traits, evidence: Evidence) -> str:
    if source.kind is None or target.kind is None:
        return ""
    if evidence.kind >= 1:
        return f"both are of the kind {source.kind.value}"
    if evidence.kind < 0:
        return f"against it: the column holds {source.kind.value}, the field {target.kind.value}"
    return ""


def _only(source: Traits, _: Traits, evidence: Evidence) -> str:
    if source.kind is None or evidence.only < 1:
        return ""
    return f"no other column or field is of the kind {source.kind.value}"


def _values(source: Traits, target: Traits, _: Evidence) -> str:
    both = len(source.values.keys() & target.values.keys())
    if not both:
        return ""
    whose = "permitted" if target.is_choice else "in the wanted sample"
    return f"{both} of {len(source.values)} different values are {whose}"


def _range(evidence: Evidence) -> str:
    return (
        "the values are in the permitted range"
        if evidence.permitted > 0
        else "against it: values are outside of the permitted range"
    )


_WORDS: dict[str, Callable[[Traits, Traits, Evidence], str]] = {
    "name": _name,
    "contained": _name,
    "differs": lambda _, __, evidence: (
        "against it: each name has a word that the other lacks" if evidence.names_another else ""
    ),
    "same_name": _name,
    "opposed": lambda *_: "against it: the names have words that exclude each other",
    "about": lambda *_: "the description has the words of the column's name",
    "kind": _kind,
    "only": _only,
    "values": _values,
    "terms": lambda *_: "the values have words in common",
    "resolved": lambda *_: "the values are nearly the field's",
    "numbers": lambda _, __, evidence: (
        "the numbers are spread alike" if evidence.numbers > 0 else "against it: the numbers lie elsewhere"
    ),
    "unit": lambda _, __, evidence: (
        "the same unit stands beside the numbers"
        if evidence.unit > 0
        else "against it: another unit stands beside the numbers"
    ),
    "permitted": lambda _, __, evidence: _range(evidence),
}
