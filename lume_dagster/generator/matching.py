"""Which source column becomes which target field: scores, a one-to-one assignment, and the proposals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rapidfuzz.fuzz import ratio
from rapidfuzz.process import extract

from lume_dagster.generator.assignment import assign
from lume_dagster.generator.combined import Column, Combined, columns, combinations, is_one_of
from lume_dagster.generator.conformity import conforming
from lume_dagster.generator.demands import unmet
from lume_dagster.generator.evidence import (
    Comparison,
    Evidence,
    Traits,
    field_traits,
    is_possible,
    source_traits,
)
from lume_dagster.generator.profile import Kind, Profile
from lume_dagster.generator.reasons import reasons
from lume_dagster.generator.scoring import Regime, calibrate, confidence, log_odds, regime, score

PROPOSED = 0.4
"""The least confidence of a proposal; below it a field is left open."""

ACCEPTED = 0.9
"""The least confidence of a proposal that needs no review."""

_SAME_NAME = 0.95
"""The least confidence of a column and a field that alone have a name, where nothing speaks against them."""

_IN_DOUBT = 0.5
"""The most confidence of a pair that something speaks clearly against: of those that lead, half are right."""

_NAMED_APART = 0.75
"""The most confidence of a pair whose names have a word in common, and each another one that the other lacks."""

RUNNERS_UP = 3
_WANTING = 0.7
"""The most confidence of a proposal that does not show that it gives what is wanted, or that may be another field."""
_MAX_PAIRS = 40_000
_LEAST_RUNNER_UP = 0.02
_NEARLY_ALL = 0.9


class SampleError(ValueError):
    """A sample from which no mapper can be proposed; the message says why."""


@dataclass(frozen=True)
class RunnerUp:
    """Another source column that could have been meant.

    Attributes:
        source: Its name.
        confidence: How sure it is, from 0 to 1.
    """

    source: str
    confidence: float


@dataclass(frozen=True)
class Proposal:
    """What a target field could be made of.

    Attributes:
        target_field: The field.
        sources: The source columns; none if the field is left open.
        operation: The mapper entry as it stands in a flow file; None if the field is left open.
        confidence: How sure it is, from 0 to 1: 0.9 is right nine times in ten.
        reasons: What speaks for it, and what against it, for people.
        runners_up: Other columns, the best first.
        accepted: It needs no review.
        matched: The columns are the right ones beyond doubt, though their values may want an operation first.
        misfit: The reason that says so of the values, where they do not go into the field as they stand.
        notes: What the field's description wants, and the proposal does not show that it gives.
    """

    target_field: str
    sources: tuple[str, ...]
    operation: Mapping[str, Any] | None
    confidence: float
    reasons: tuple[str, ...]
    runners_up: tuple[RunnerUp, ...]
    accepted: bool
    matched: bool = False
    misfit: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matching:
    """All pairs of source columns and target fields, compared.

    Attributes:
        sources: The source columns.
        targets: The target fields.
        odds: One line a source column: the log-odds that it becomes each field; minus infinity where a pair was out
            of question.
    """

    sources: tuple[Traits, ...]
    targets: tuple[Traits, ...]
    odds: tuple[tuple[float, ...], ...]
    comparison: Comparison = field(repr=False, compare=False)

    def evidence(self, source: int, target: int) -> Evidence:
        """What speaks for a pair, by their places."""
        return self.comparison.evidence(self.sources[source], self.targets[target])

    def confidence(self, source: int, target: int) -> float:
        """How sure a pair is, from 0 to 1."""
        return confidence(self.odds[source][target])

    def accepts(self, source: int, target: int) -> bool:
        """Whether a pair needs no review: it is sure, the column has values, and nothing speaks clearly against it."""
        return (
            self.confidence(source, target) >= ACCEPTED
            and not _has_no_texts(self.sources[source])
            and not self.evidence(source, target).contradicted
        )

    def ranked(self, target: int) -> list[int]:
        """The source columns by how sure they are for a field, the surest first."""
        return sorted(range(len(self.sources)), key=lambda source: (-self.odds[source][target], source))

    def assign(self, taken: Container[int] = ()) -> Mapping[int, int]:
        """Which source column each target field gets, by their places; not all get one.

        Args:
            taken: The fields that are made of something else.
        """
        least = log_odds(PROPOSED)
        return assign(
            {
                target: {
                    source: self.odds[source][target] - least
                    for source in range(len(self.sources))
                    if self.odds[source][target] > least
                }
                for target in range(len(self.targets))
                if target not in taken
            }
        )


def match(profile: Profile, target_schema: Mapping[str, Any], sample: Profile | None = None) -> Matching:
    """Compare each source column with each target field.

    Args:
        profile: The sample of the source.
        target_schema: JSON Schema of one target record.
        sample: Records in the wanted form, if there are any; their columns are named like the fields.

    Raises:
        SampleError: There is nothing to compare, or a column's name is not unique.
    """
    properties: Mapping[str, Any] = target_schema.get("properties") or {}
    if not properties:
        raise SampleError("the target schema has no properties; write at least one")
    if not profile.columns:
        raise SampleError("the sample has no columns; give a batch with a header and some records")
    twice = [name for name, count in Counter(column.name for column in profile.columns).items() if count > 1]
    if twice:
        raise SampleError(
            f"the sample has more than one column named {', '.join(map(repr, sorted(twice)[:5]))}; rename them"
        )
    wanted = {column.name: column for column in sample.columns} if sample else {}
    sources = tuple(source_traits(column) for column in profile.columns)
    targets = tuple(field_traits(name, schema, wanted.get(name)) for name, schema in properties.items())
    return compare(sources, targets)


def compare(sources: Sequence[Traits], targets: Sequence[Traits]) -> Matching:
    """Compare prepared columns with prepared fields."""
    comparison = Comparison(sources, targets)
    chosen = _candidates(sources, targets)
    scores = [[-math.inf] * len(targets) for _ in sources]
    regimes = [[Regime.NAMES] * len(targets) for _ in sources]
    same_named: list[tuple[int, int]] = []
    most: dict[tuple[int, int], float] = {}
    for target, shortlist in enumerate(chosen):
        for source in shortlist:
            evidence = comparison.evidence(sources[source], targets[target])
            scores[source][target] = score(evidence)
            regimes[source][target] = regime(sources[source], targets[target])
            if evidence.contradicted:
                most[source, target] = _IN_DOUBT
            elif evidence.names_another:
                most[source, target] = _NAMED_APART
            elif evidence.same_name:
                same_named.append((source, target))
    odds = calibrate(scores, regimes)
    for source, target in _alone(same_named):
        odds[source][target] = max(odds[source][target], log_odds(_SAME_NAME))
    for (source, target), limit in most.items():
        odds[source][target] = min(odds[source][target], log_odds(limit))
    for line, column in zip(odds, sources, strict=True):
        for place, wanted in enumerate(targets):
            if not is_possible(column, wanted):
                line[place] = min(line[place], log_odds(_IN_DOUBT))
    return Matching(tuple(sources), tuple(targets), tuple(map(tuple, odds)), comparison)


def _alone(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs whose column and whose field are in no other pair."""
    columns = Counter(source for source, _ in pairs)
    fields = Counter(target for _, target in pairs)
    return [(source, target) for source, target in pairs if columns[source] == fields[target] == 1]


def _candidates(sources: Sequence[Traits], targets: Sequence[Traits]) -> list[Sequence[int]]:
    """For each field the columns worth comparing: all, or a shortlist in a very wide sample."""
    if len(sources) * len(targets) <= _MAX_PAIRS:
        return [range(len(sources))] * len(targets)
    limit = max(10, _MAX_PAIRS // len(targets))
    spelled = [source.name.joined for source in sources]
    by_word: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        for word in {word for reading in source.name.readings for word in reading} | set(
            list(source.values)[:20]
        ):
            by_word.setdefault(word, []).append(place)
    found: list[Sequence[int]] = []
    for target in targets:
        near = [place for _, _, place in extract(target.name.joined, spelled, scorer=ratio, limit=limit // 2)]
        words = {word for reading in target.name.readings for word in reading} | set(list(target.values)[:50])
        shared = Counter(place for word in words for place in by_word.get(word, ())[:limit])
        found.append(sorted({*near, *(place for place, _ in shared.most_common(limit // 2))}))
    return found


def propose(
    profile: Profile, target_schema: Mapping[str, Any], sample: Profile | None = None
) -> tuple[Proposal, ...]:
    """Propose for each target field what it is made of; deterministic and offline.

    Args:
        profile: The sample of the source.
        target_schema: JSON Schema of one target record; its descriptions, titles, types, formats, options, limits and
            patterns are evidence.
        sample: Records in the wanted form, if there are any; their columns are named like the fields.

    Returns:
        One proposal a field, in the schema's order.

    Raises:
        SampleError: There is nothing to compare, or a column's name is not unique.
    """
    matching = match(profile, target_schema, sample)
    alone = matching.assign()
    sources = columns(matching.sources)
    made = {}
    for target, traits in enumerate(matching.targets):
        sure = matching.confidence(alone[target], target) if target in alone else 0.0
        best = next(iter(combinations(traits, sources)), None)
        if best is None:
            continue
        agreed = target in alone and matching.sources[alone[target]].name.text in best.sources
        if agreed:
            # What speaks for one of its columns by itself speaks for the combination, too.
            chosen = best.confidence > sure or best.confidence >= ACCEPTED or best.instead
        else:
            # A column that is the field as a whole goes before a part of another one.
            chosen = best.confidence > sure and not (
                target in alone and matching.accepts(alone[target], target)
            )
        if chosen:
            made[target] = best
    # Of fields that would be made alike, nobody can tell which it is.
    alike = Counter(str(combined.operation) for combined in made.values())
    assigned = matching.assign(made)
    return tuple(
        _with_demands(
            matching,
            target,
            _combined(matching, target, made[target], alike[str(made[target].operation)] > 1)
            if target in made
            else _single(matching, target, assigned.get(target)),
            sources,
        )
        for target in range(len(matching.targets))
    )


def _with_demands(matching: Matching, target: int, proposal: Proposal, sources: Sequence[Column]) -> Proposal:
    """The proposal, not accepted if it is more than the field, or the description wants more than it shows to give."""
    if proposal.operation is None:
        return proposal
    wanted = matching.targets[target]
    used = [source for source in matching.sources if source.name.text in proposal.sources]
    notes = unmet(wanted, used, proposal.operation, matching.sources)
    if "extract" in proposal.operation and any(
        is_one_of(wanted, column) for column in sources if column.name in proposal.sources
    ):
        notes = (*notes, f"{proposal.sources[0]} lists more than the field")
    if not notes:
        return proposal
    return replace(proposal, notes=notes, accepted=False, confidence=min(proposal.confidence, _WANTING))


def _combined(matching: Matching, target: int, combined: Combined, is_twice: bool) -> Proposal:
    """The proposal of a field that is made of several columns, or of a part of one; not sure if another is made so."""
    sure = min(combined.confidence, _WANTING) if is_twice else combined.confidence
    twice = ("but another field would be made of them just so",) if is_twice else ()
    return Proposal(
        matching.targets[target].name.text,
        combined.sources,
        combined.operation,
        sure,
        (combined.reason, *twice),
        _runners_up(matching, target, None),
        accepted=sure >= ACCEPTED,
        matched=sure >= ACCEPTED,
    )


def _has_no_texts(source: Traits) -> bool:
    """Whether a column was looked at, and holds nothing that could be mapped."""
    return source.kind is Kind.BINARY or (
        source.kind is Kind.EMPTY and source.profile is not None and source.profile.rows > 0
    )


def _runners_up(matching: Matching, target: int, chosen: int | None) -> tuple[RunnerUp, ...]:
    """The columns that come after the chosen one."""
    return tuple(
        RunnerUp(matching.sources[source].name.text, round(matching.confidence(source, target), 3))
        for source in matching.ranked(target)[: RUNNERS_UP + 1]
        if source != chosen and matching.confidence(source, target) >= _LEAST_RUNNER_UP
    )[:RUNNERS_UP]


def _single(matching: Matching, target: int, chosen: int | None) -> Proposal:
    """The proposal of one column for a field, or that it is left open."""
    runners_up = _runners_up(matching, target, chosen)
    name = matching.targets[target].name.text
    if chosen is None:
        return Proposal(name, (), None, 0.0, ("no column is near enough",), runners_up, accepted=False)
    source = matching.sources[chosen]
    sure = round(matching.confidence(chosen, target), 3)
    said = reasons(source, matching.targets[target], matching.evidence(chosen, target))
    share = conforming(source, matching.targets[target])
    misfit = None
    if share < _NEARLY_ALL:
        misfit = f"but {1 - share:.0%} of the values do not go into the field as they stand"
        said = (*said, misfit)
    if _has_no_texts(source):
        said = (*said, f"but the column holds {'no values' if source.kind is Kind.EMPTY else 'binary data'}")
    return Proposal(
        name,
        (source.name.text,),
        {"extract": source.name.text},
        sure,
        said,
        runners_up,
        accepted=misfit is None and matching.accepts(chosen, target),
        matched=matching.accepts(chosen, target),
        misfit=misfit,
    )
