"""Fits the coefficients of lume_dagster/generator/scoring.py, and prints them.

    python -m benchmarks.matching_fit [--sets FOLDER] [--without SET]

Two stages. The weights: for each source column and each field that has a true partner, the chance that it wins against
the others (a conditional logit), and how well one line tells true pairs from others (a logit); no weight may change its
sign, and a figure that no pair has counts 1. The calibrations: for each regime, a logit over a pair's score and its leads over the competing pairs. Each set
counts the same, however many pairs it has. Needs numpy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matching_sets import SETS, Case, cases, sets_folder
from lume_dagster.generator.evidence import FIGURES
from lume_dagster.generator.scoring import Calibration, Regime, regime, standings

Array = np.ndarray[Any, np.dtype[Any]]
_STEPS, _RATE = 500, 0.05
_SHRINK = 0.02
_JOINT = 0.15
_CANDIDATES = 3
_HOLD = 0.3
_IMPORTANCE = {"rows": 1.0, "schema": 1.0, "names": 0.5}
"""How much a regime counts; sources without names are the rarest."""


@dataclass(frozen=True)
class Compared:
    """A case with the evidence of all its pairs."""

    case: Case
    figures: Array
    truth: Array
    regimes: list[list[Regime]]


def compare(case: Case) -> Compared:
    """Gather the evidence of a case."""
    matching = case.match()
    places = range(len(matching.sources)), range(len(matching.targets))
    figures = np.array(
        [
            [[getattr(evidence, figure) for figure in FIGURES] for evidence in line]
            for line in ([matching.evidence(source, target) for target in places[1]] for source in places[0])
        ]
    )
    truth = np.array(
        [
            [(source.name.text, target.name.text) in case.truth for target in matching.targets]
            for source in matching.sources
        ]
    )
    regimes = [[regime(source, target) for target in matching.targets] for source in matching.sources]
    return Compared(case, figures, truth, regimes)


def _share(compared: Sequence[Compared]) -> list[float]:
    """The weight of each case: each set the same, and each regime in it, less for those in which less is known."""
    groups = [(one.case.set_name, one.case.regime) for one in compared]
    return [_IMPORTANCE.get(group[1], 0.4) / groups.count(group) for group in groups]


def fit_weights(compared: Sequence[Compared]) -> Array:
    """The weights of the figures."""
    signs = np.array([-1.0 if figure in ("opposed", "differs") else 1.0 for figure in FIGURES])
    values = np.append(signs, -8.0)
    first, second = np.zeros_like(values), np.zeros_like(values)
    shares = _share(compared)
    for step in range(1, _STEPS + 1):
        slope = np.append(_SHRINK * values[:-1], 0.0)
        for one, share in zip(compared, shares, strict=True):
            scores = one.figures @ values[:-1]
            for axis in (0, 1):
                decided = one.truth.any(axis=axis, keepdims=True)
                chances = np.exp(scores - scores.max(axis=axis, keepdims=True))
                chances /= chances.sum(axis=axis, keepdims=True)
                right = one.truth * chances
                right = right / np.maximum(right.sum(axis=axis, keepdims=True), 1e-12)
                error = (chances - right) * decided / decided.sum()
                slope[:-1] += 0.5 * share * np.einsum("ij,ijk->k", error, one.figures)
            error = (1 / (1 + np.exp(-(scores + values[-1]))) - one.truth) * ~unjudged(one) / one.truth.sum()
            slope[:-1] += _JOINT * share * np.einsum("ij,ijk->k", error, one.figures)
            slope[-1] += _JOINT * share * error.sum()
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        values = values - _RATE * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        values[:-1] = np.where(values[:-1] * signs > 0, values[:-1], 0.0)
    seen = np.array(
        [any(one.figures[:, :, place].any() for one in compared) for place in range(len(FIGURES))]
    )
    return np.where(seen, values[:-1], signs)


def unjudged(compared: Compared) -> Array:
    """Pairs of one name that the truth does not have, though it has neither column: it is not whole there."""
    alone = ~compared.truth.any(axis=1, keepdims=True) & ~compared.truth.any(axis=0, keepdims=True)
    return alone & (compared.figures[:, :, FIGURES.index("same_name")] > 0)


def fit_calibration(compared: Sequence[Compared], weights: Array, wanted: Regime) -> Calibration:
    """What a score is worth under a regime; the first candidates of each column and field count."""
    lines, truths, importance = [], [], []
    shares = _share(compared)
    for one, share in zip(compared, shares, strict=True):
        scores = one.figures @ weights
        standing = standings(scores.tolist())
        by_column = np.array([[one.column for one in line] for line in standing])
        by_field = np.array([[one.field for one in line] for line in standing])
        crowd = np.full_like(scores, -np.log2(scores.shape[1]))
        rank_column = (-scores).argsort(axis=1).argsort(axis=1)
        rank_field = (-scores).argsort(axis=0).argsort(axis=0)
        chosen = (np.minimum(rank_column, rank_field) < _CANDIDATES) & np.array(
            [[found is wanted for found in line] for line in one.regimes]
        )
        chosen &= ~unjudged(one)
        if not chosen.any():
            continue
        lines.append(
            np.stack(
                [
                    figure[chosen]
                    for figure in (
                        np.ones_like(scores),
                        scores,
                        by_column,
                        by_field,
                        np.minimum(by_column, by_field),
                        crowd,
                    )
                ],
                axis=1,
            )
        )
        truths.append(one.truth[chosen])
        importance.append(np.full(chosen.sum(), share / one.truth.sum()))
    figures, truth = np.concatenate(lines), np.concatenate(truths)
    counts = np.concatenate(importance)
    prior = np.array([-6.0, 0.8, 0.5, 0.5, 0.3, 0.1])
    hold = _HOLD * np.array([0.01, 1.0, 1.0, 1.0, 1.0, 1.0])

    def loss(values: Array) -> float:
        odds = figures @ values
        return float(counts @ (np.logaddexp(0, odds) - truth * odds) + 0.5 * hold @ (values - prior) ** 2)

    values = prior
    for _ in range(60):
        chances = 1 / (1 + np.exp(-figures @ values))
        slope = figures.T @ (counts * (chances - truth)) + hold * (values - prior)
        bend = (figures * (counts * chances * (1 - chances))[:, None]).T @ figures + np.diag(hold)
        step, length = np.linalg.solve(bend, slope), 1.0
        while length > 1e-4 and loss(values - length * step) > loss(values):
            length /= 2
        values = values - length * step
    return Calibration(*(round(float(value), 3) for value in values))


def fit(compared: Sequence[Compared]) -> tuple[dict[str, float], dict[Regime, Calibration]]:
    """Weights and calibrations from cases."""
    weights = np.round(fit_weights(compared), 3)
    calibrations = {wanted: fit_calibration(compared, weights, wanted) for wanted in Regime}
    return {figure: float(weight) for figure, weight in zip(FIGURES, weights, strict=True)}, calibrations


def main() -> None:
    """Print what goes into scoring.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, help="the folder of the benchmark sets")
    parser.add_argument("--without", choices=SETS, help="a set that is not used")
    options = parser.parse_args()
    chosen = [case for case in cases(sets_folder(options.sets)) if case.set_name != options.without]
    weights, calibrations = fit([compare(case) for case in chosen])
    print(weights)
    for wanted, calibration in calibrations.items():
        print(wanted, calibration)


if __name__ == "__main__":
    main()
