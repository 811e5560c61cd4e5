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
    "name": 5.079,
    "contained": 3.914,
    "spelling": 0.656,
    "head": 0.057,
    "same_name": 1.588,
    "opposed": -0.837,
    "about": 1.211,
    "kind": 2.119,
    "values": 1.457,
    "terms": 1.178,
    "grams": 0.139,
    "resolved": 2.165,
    "numbers": 0.511,
    "lengths": 0.978,
    "distinct": 0.235,
    "permitted": 1.0,
}
"""What each figure of the evidence adds to a pair's score."""


class Regime(str, Enum):
    """What is known of a target field beside its name; scores mean another thing in each."""

    ROWS = "rows"
    SCHEMA = "schema"
    NAMES = "names"


@dataclass(frozen=True)
class Calibration:
    """How a score becomes the log-odds of being right.

    Attributes:
        base: The log-odds of a score of 0 that no other competes with.
        score: What the score adds.
        column: What the lead over the source column's other fields adds.
        field: What the lead over the field's other source columns adds.
    """

    base: float
    score: float
    column: float
    field: float


CALIBRATIONS: Mapping[Regime, Calibration] = {
    Regime.ROWS: Calibration(-3.629, 0.187, 0.74, 0.956),
    Regime.SCHEMA: Calibration(-3.191, 0.071, 1.216, 0.629),
    Regime.NAMES: Calibration(-4.317, 0.324, 1.141, 0.26),
}
_LEAD = 3.0
_CAP_BASE, _CAP_SCORE = -4.0, 0.9
_NEVER = -math.inf


def regime(source: Traits, target: Traits) -> Regime:
    """What is known of a pair."""
    if source.values and target.profile is not None:
        return Regime.ROWS
    if target.about or target.title or (source.values and (target.kind is not None or target.values)):
        return Regime.SCHEMA
    return Regime.NAMES


def score(evidence: Evidence) -> float:
    """The weighted sum of the evidence."""
    return math.fsum(WEIGHTS[figure] * getattr(evidence, figure) for figure in FIGURES)


def leads(scores: Sequence[float]) -> list[float]:
    """How far each score lies above the best of the others, at most 3 either way; 3 for one that is alone."""
    best = sorted(scores, reverse=True)[:2]
    if len(best) < 2 or best[1] == _NEVER:
        return [_LEAD] * len(scores)
    others = [best[1] if value == best[0] else best[0] for value in scores]
    return [max(-_LEAD, min(_LEAD, value - other)) for value, other in zip(scores, others, strict=True)]


def confidence(log_odds: float) -> float:
    """Log-odds as a probability."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, log_odds))))


def log_odds(probability: float) -> float:
    """A probability as log-odds."""
    return math.log(probability / (1 - probability))


def calibrate(scores: Sequence[Sequence[float]], regimes: Sequence[Sequence[Regime]]) -> list[list[float]]:
    """The log-odds of each pair from the scores of all.

    Args:
        scores: One line a source column, one score a target field; minus infinity for a pair that is out of question.
        regimes: What is known of each pair.
    """
    rows = [leads(line) for line in scores]
    columns = [leads(column) for column in zip(*scores, strict=True)]
    found = []
    for source, line in enumerate(scores):
        odds = []
        for target, value in enumerate(line):
            if value == _NEVER:
                odds.append(_NEVER)
                continue
            by = CALIBRATIONS[regimes[source][target]]
            found_odds = (
                by.base
                + by.score * value
                + by.column * rows[source][target]
                + by.field * columns[target][source]
            )
            # Whoever leads a weak field need not be right.
            odds.append(min(found_odds, _CAP_BASE + _CAP_SCORE * value))
        found.append(odds)
    return found
