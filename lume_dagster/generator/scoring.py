"""From evidence to a confidence: one weighted sum, and what it is worth against the competing pairs.

The coefficients were fitted by `benchmarks/matching_fit.py`: a field that is proposed with 0.9 is right nine times in
ten, on sets that were not used for fitting (`benchmarks/matching.py` measures it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lume_dagster.generator.evidence import FIGURES, Evidence, Traits

WEIGHTS: Mapping[str, float] = {
    "name": 4.984,
    "contained": 3.395,
    "differs": -1.089,
    "same_name": 1.737,
    "opposed": -1.597,
    "about": 0.866,
    "kind": 2.732,
    "only": 2.344,
    "values": 0.765,
    "terms": 1.716,
    "grams": 0.17,
    "resolved": 2.989,
    "numbers": 2.125,
    "unit": 0.861,
    "lengths": 1.86,
    "distinct": 0.728,
    "permitted": 1.0,
}
"""What each figure of the evidence adds to a pair's score."""


class Regime(str, Enum):
    """What is known of a target field beside its name, or instead of it; scores mean another thing in each."""

    ROWS = "rows"
    SCHEMA = "schema"
    NAMES = "names"
    NAMELESS_ROWS = "rows without a name"
    NAMELESS_SCHEMA = "schema without a name"


@dataclass(frozen=True)
class Calibration:
    """How a score becomes the log-odds of being right.

    Attributes:
        base: The log-odds of a score of 0 that no other competes with.
        score: What the score adds.
        column: What the lead over the source column's other fields adds.
        field: What the lead over the field's other source columns adds.
        both: What the smaller one of the two leads adds.
        fields: What each doubling of the number of fields takes: of many fields, some look like a column by chance.
    """

    base: float
    score: float
    column: float
    field: float
    both: float
    fields: float


CALIBRATIONS: Mapping[Regime, Calibration] = {
    Regime.ROWS: Calibration(base=-5.7, score=0.463, column=0.36, field=0.932, both=0.406, fields=0.376),
    Regime.SCHEMA: Calibration(base=-4.014, score=0.435, column=0.705, field=0.637, both=0.159, fields=0.32),
    Regime.NAMES: Calibration(base=-3.775, score=0.554, column=0.492, field=0.394, both=0.385, fields=0.274),
    Regime.NAMELESS_ROWS: Calibration(
        base=-3.514, score=0.393, column=0.519, field=0.692, both=0.162, fields=0.285
    ),
    Regime.NAMELESS_SCHEMA: Calibration(
        base=-1.496, score=0.478, column=0.397, field=0.5, both=0.406, fields=0.331
    ),
}
_LEAD = 3.0
_CAP_BASE, _CAP_SCORE = -3.0, 0.9
_NEVER = -math.inf


def regime(source: Traits, target: Traits) -> Regime:
    """What is known of a pair."""
    nameless = source.name.is_given or target.name.is_given
    if source.values and target.profile is not None:
        return Regime.NAMELESS_ROWS if nameless else Regime.ROWS
    if nameless:
        return Regime.NAMELESS_SCHEMA
    if target.about or target.title or (source.values and (target.kind is not None or target.values)):
        return Regime.SCHEMA
    return Regime.NAMES


def score(evidence: Evidence) -> float:
    """The weighted sum of the evidence."""
    return math.fsum(WEIGHTS[figure] * getattr(evidence, figure) for figure in FIGURES)


Scores = Sequence[Sequence[float]]
"""One line a source column, one score a target field; minus infinity for a pair that is out of question."""


@dataclass(frozen=True)
class Standing:
    """How a pair stands against those that compete with it.

    Attributes:
        column: How far it leads its source column's other fields, from -3 to 3.
        field: How far it leads its field's other source columns, likewise.
    """

    column: float
    field: float


def standings(scores: Scores) -> list[list[Standing]]:
    """How each pair stands; 3 for one that is alone.

    A competitor that does better elsewhere counts less, by as much: `unit price` is no rival of `total price` for
    `price` if there is a `price per unit`, too.
    """
    turned = list(zip(*scores, strict=True))
    if not turned:
        return [[] for _ in scores]
    in_columns = [_settled(line) for line in scores]
    in_fields = [_settled(line) for line in turned]
    by_column = [
        _leads(line, rivals) for line, rivals in zip(scores, zip(*in_fields, strict=True), strict=True)
    ]
    by_field = [
        _leads(line, rivals) for line, rivals in zip(turned, zip(*in_columns, strict=True), strict=True)
    ]
    return [
        [Standing(column, by_field[target][source]) for target, column in enumerate(line)]
        for source, line in enumerate(by_column)
    ]


def _best_others(scores: Sequence[float]) -> list[float]:
    """For each score the best one of the others."""
    best, second = (*sorted(scores, reverse=True)[:2], _NEVER)[:2]
    return [second if value == best else best for value in scores]


def _settled(scores: Sequence[float]) -> list[float]:
    """Scores, each less what it lies behind the best of the others."""
    return [
        value + min(0.0, value - other) if value != _NEVER else _NEVER
        for value, other in zip(scores, _best_others(scores), strict=True)
    ]


def _leads(scores: Sequence[float], rivals: Sequence[float]) -> list[float]:
    return [
        max(-_LEAD, min(_LEAD, value - other)) if value != _NEVER else -_LEAD
        for value, other in zip(scores, _best_others(rivals), strict=True)
    ]


def confidence(log_odds: float) -> float:
    """Log-odds as a probability."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, log_odds))))


def log_odds(probability: float) -> float:
    """A probability as log-odds."""
    return math.log(probability / (1 - probability))


def calibrate(scores: Scores, regimes: Sequence[Sequence[Regime]]) -> list[list[float]]:
    """The log-odds of each pair from the scores of all.

    Args:
        scores: One line a source column, one score a target field; minus infinity for a pair that is out of question.
        regimes: What is known of each pair.
    """
    found = []
    for line, regime_line, standing_line in zip(scores, regimes, standings(scores), strict=True):
        crowd = math.log2(len(line)) if line else 0.0
        odds = []
        for value, known, standing in zip(line, regime_line, standing_line, strict=True):
            if value == _NEVER:
                odds.append(_NEVER)
                continue
            by = CALIBRATIONS[known]
            found_odds = (
                by.base
                + by.score * value
                + by.column * standing.column
                + by.field * standing.field
                + by.both * min(standing.column, standing.field)
                - by.fields * crowd
            )
            if min(standing.column, standing.field) <= 0:
                # Of two that are alike, one at most is right.
                found_odds = min(found_odds, 0.0)
            # Whoever leads a weak field need not be right.
            odds.append(min(found_odds, _CAP_BASE + _CAP_SCORE * value))
        found.append(odds)
    return found
