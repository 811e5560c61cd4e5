"""Figures of column matching: against the truth of public sets, and against two peers in the same run.

    python -m benchmarks.matching [--sets FOLDER] [--quick] [--check]

The sets lie in a folder that `--sets` or LUME_BENCHMARKS names, else in `../shared/benchmarks`. Each is measured as it is
met: `rows` gives the matcher a sample of the target, `gdc` a schema with permitted values (GDC has no rows), `made`
described and typed schemas. MRR is the mean over source columns of one by the rank of the right field, Recall@GT the
share of true pairs among the best-scored pairs (as many as are true), top-1 the share of fields whose best-scored column
is right; each is the mean over a set's pairs. Equal scores share their mean rank, for all matchers alike.

Accepted fields are counted once more with half of the columns taken out that have a true field: their fields are then to
be left open.

The coefficients were fitted on these sets. `left out` therefore gives the same figures with coefficients that were fitted
without the set (needs numpy; not with `--quick`), and the reliability of the confidences is measured so.

Peers, on the same pairs: COMA of valentine with its defaults, which compare names, and rapidfuzz's ratio of the names.
COMA with instances is not among them: it downloads four of NLTK's corpora, which no package index has, and takes minutes
a pair on GDC.

Then the other figures of generating mappers: combined fields, values sorted into options, dates and numbers (see
matching_combined.py and matching_values.py). `--check` ends with 1 if a bound is missed. One set stays below the aim of
accepting four fields in five; what bounds it stands at ACCEPTED_RECALL.
"""

from __future__ import annotations

import argparse
import importlib
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rapidfuzz.fuzz import ratio

from benchmarks.bounds import Bound
from benchmarks.matching_combined import all_verdicts
from benchmarks.matching_sets import REGIMES, SETS, Case, cases, sets_folder, thin
from benchmarks.matching_units import unit_bounds
from benchmarks.matching_values import ROUNDS, value_bounds
from lume_dagster.generator import scoring
from lume_dagster.generator.matching import Matching, propose
from lume_dagster.generator.profile import Profile, profile_column

AIM = 0.80
"""The share of a set's fields that should be accepted without a review."""

ACCEPTED_RECALL = {"gdc": 0.30}
"""What is reached where less than the aim can be. In GDC 736 fields stand against 28 to 45 columns, some columns have
several true fields (all but one stay open), and no threshold on the confidence gives more than .40 of them at a precision
of .99. Whoever accepted .80 of the true pairs so surely would have a Recall@GT of as much; .58 is what is reached, and
.50 the best that is published for the whole set."""

MEASURED = {"gdc": "schema", "made": "schema"}
"""The regime under which a set's figures are given; the others have rows."""

Scores = list[list[float]]


@dataclass(frozen=True)
class Figures:
    """What a matcher reached on one pair."""

    mrr: float
    recall: float
    top1: float


def figures(case: Case, scores: Scores) -> Figures:
    """MRR, Recall@GT and top-1 of a matrix of scores: one line a source column."""
    sources = [column.name for column in case.source.columns]
    targets = list(case.target_schema["properties"])
    truth = {(sources.index(source), targets.index(target)) for source, target in case.truth}
    ranks = []
    for source, line in enumerate(scores):
        right = [line[target] for one, target in truth if one == source]
        if right:
            best = max(right)
            ranks.append(1 / (1 + sum(value > best for value in line) + (line.count(best) - 1) / 2))
    pairs = sorted(
        (
            (value, (source, target))
            for source, line in enumerate(scores)
            for target, value in enumerate(line)
        ),
        key=lambda item: (-item[0], item[1]),
    )
    found = sum(pair in truth for _, pair in pairs[: len(truth)])
    tops = []
    for target in {target for _, target in truth}:
        column = [line[target] for line in scores]
        tops.append((column.index(max(column)), target) in truth)
    return Figures(statistics.mean(ranks), found / len(truth), statistics.mean(tops))


def lume_scores(case: Case) -> Scores:
    """Ours."""
    return [list(line) for line in case.match().odds]


def rapidfuzz_scores(case: Case) -> Scores:
    """The ratio of the names in lower case."""
    targets = [name.lower() for name in case.target_schema["properties"]]
    return [[ratio(column.name.lower(), name) for name in targets] for column in case.source.columns]


def coma_scores(case: Case) -> Scores:
    """COMA as valentine has it, with its defaults; a pair that it leaves out has 0."""
    import pandas as pd
    from valentine import valentine_match
    from valentine.algorithms import Coma

    sources = [column.name for column in case.source.columns]
    targets = list(case.target_schema["properties"])
    frames = [pd.DataFrame([[""] * len(names)], columns=names) for names in (sources, targets)]
    found = {
        (pair.source_column, pair.target_column): value
        for pair, value in valentine_match(frames, Coma()).items()
    }
    return [[found.get((source, target), 0.0) for target in targets] for source in sources]


def measure(chosen: Sequence[Case], matcher: Callable[[Case], Scores]) -> dict[str, Figures]:
    """The mean figures of each set, in its regime."""
    found: dict[str, list[Figures]] = {}
    for case in chosen:
        if case.regime == MEASURED.get(case.set_name, "rows"):
            found.setdefault(case.set_name, []).append(figures(case, matcher(case)))
    return {
        name: Figures(
            *(statistics.mean(getattr(one, figure) for one in each) for figure in ("mrr", "recall", "top1"))
        )
        for name, each in found.items()
    }


@dataclass(frozen=True)
class Judged:
    """A proposed field, how sure it was, and whether it is right."""

    set_name: str
    regime: str
    confidence: float
    accepted: bool
    right: bool


def judge(case: Case, matching: Matching) -> tuple[list[Judged], int]:
    """The proposals of a case, and how many of its fields have a true column.

    A column and a field of the same name of which the truth has neither are not judged: it is not whole there.
    """
    found = []
    known = {source for source, _ in case.truth}, {target for _, target in case.truth}
    for target, source in matching.assign().items():
        one, other = matching.sources[source].name, matching.targets[target].name
        if one.joined == other.joined and one.text not in known[0] and other.text not in known[1]:
            continue
        right = (one.text, other.text) in case.truth
        found.append(
            Judged(
                case.set_name,
                case.regime,
                matching.confidence(source, target),
                matching.accepts(source, target),
                right,
            )
        )
    return found, len({target for _, target in case.truth})


def accepted(judged: Sequence[Judged], fields: int) -> tuple[float, float]:
    """Precision and recall of what needs no review."""
    sure = [one.right for one in judged if one.accepted]
    return (sum(sure) / len(sure) if sure else 1.0), sum(sure) / fields


def seconds() -> float:
    """How long a sample of 1,000 rows, 50 source and 40 target columns takes, its profile included."""
    rng = random.Random(3)
    words = "customer order date amount price city name code status total net tax email phone country zip unit cost".split()  # noqa: SIM905
    sources = [f"{rng.choice(words)}_{rng.choice(words)}_{place}" for place in range(50)]
    fields = {
        f"{rng.choice(words)}_{rng.choice(words)}_{place}": {
            "type": "string",
            "description": " ".join(rng.choices(words, k=8)),
            **({"enum": words} if place % 4 == 0 else {}),
        }
        for place in range(40)
    }
    values = [
        [
            f"{rng.choice(words)} {rng.randint(1, 999)}" if place % 2 else f"{rng.uniform(0, 999):.2f}"
            for _ in range(1000)
        ]
        for place in range(50)
    ]
    started = time.perf_counter()
    columns = tuple(
        profile_column(name, place, column)
        for place, (name, column) in enumerate(zip(sources, values, strict=True))
    )
    propose(Profile(columns, 1000, 1000), {"properties": fields})
    return time.perf_counter() - started


def left_out(chosen: Sequence[Case]) -> tuple[dict[str, Figures], list[Judged], dict[tuple[str, str], int]]:
    """Figures and proposals of each set with coefficients that were fitted without it."""
    fitting = importlib.import_module("benchmarks.matching_fit")
    compared = [fitting.compare(case) for case in chosen]
    before = scoring.WEIGHTS, scoring.CALIBRATIONS
    found: dict[str, Figures] = {}
    judged: list[Judged] = []
    fields: dict[tuple[str, str], int] = {}
    try:
        for set_name in SETS:
            weights, calibrations = fitting.fit([one for one in compared if one.case.set_name != set_name])
            scoring.WEIGHTS, scoring.CALIBRATIONS = weights, calibrations
            own = [case for case in chosen if case.set_name == set_name]
            found.update(measure(own, lume_scores))
            for case in own:
                proposals, count = judge(case, case.match())
                judged += proposals
                fields[set_name, case.regime] = fields.get((set_name, case.regime), 0) + count
    finally:
        scoring.WEIGHTS, scoring.CALIBRATIONS = before
    return found, judged, fields


def _row(*cells: object, widths: Sequence[int] = (14, 20, 20, 10, 10)) -> str:
    return "  ".join(f"{cell!s:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()


def _three(one: Figures) -> str:
    return f"{one.mrr:.3f}/{one.recall:.3f}/{one.top1:.3f}"


def reliability(judged: Sequence[Judged]) -> None:
    """Print how often proposals of a confidence are right."""
    print(_row("\nconfidence", "said", "right", "fields"))
    edges = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01)
    for low, high in pairwise(edges):
        inside = [one for one in judged if low <= one.confidence < high]
        if inside:
            said = statistics.mean(one.confidence for one in inside)
            right = statistics.mean(one.right for one in inside)
            print(_row(f"{low:.2f}-{min(high, 1):.2f}", f"{said:.2f}", f"{right:.2f}", len(inside)))


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, help="the folder of the benchmark sets")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="without the fits that leave a set out; one round of removed options",
    )
    parser.add_argument("--check", action="store_true", help="end with 1 if a bound is missed")
    options = parser.parse_args()
    folder = sets_folder(options.sets)
    chosen = list(cases(folder))
    bounds: list[Bound] = []

    ours = measure(chosen, lume_scores)
    peers = {"rapidfuzz": measure(chosen, rapidfuzz_scores)}
    try:
        peers["COMA"] = measure(chosen, coma_scores)
    except ImportError:
        print("valentine is missing (pip install valentine): COMA is not measured", file=sys.stderr)
    out, judged, fields = ({}, [], {}) if options.quick else left_out(chosen)
    print(_row("MRR/R@GT/top-1", "lume", "left out", *peers, widths=(14, 20, 20, 20, 20)))
    for name, one in ours.items():
        others = [_three(peer[name]) if name in peer else "-" for peer in peers.values()]
        print(
            _row(
                name,
                _three(one),
                _three(out[name]) if name in out else "-",
                *others,
                widths=(14, 20, 20, 20, 20),
            )
        )
    bounds += [
        Bound("GDC MRR", ours["gdc"].mrr, 0.70),
        Bound("GDC Recall@GT", ours["gdc"].recall, 0.43),
        Bound("GDC top-1", ours["gdc"].top1, 0.90),
        Bound("Wikidata Recall@GT", ours["wikidata"].recall, 0.97),
        Bound("Magellan Recall@GT", ours["magellan"].recall, 1.0),
        Bound("SMUTF MRR", ours["smutf"].mrr, 0.95),
        Bound("fabricated MRR", ours["fabricated"].mrr, 0.99),
    ]
    for peer, reached in peers.items():
        for name in reached:
            one, theirs = ours[name], reached[name].mrr
            # Behind nowhere; ahead of both wherever they are below .99.
            bounds.append(
                Bound(
                    f"{name} MRR against {peer} ({theirs:.3f})",
                    one.mrr,
                    theirs + (1e-6 if theirs < 0.99 else 0),
                )
            )
    bounds.append(Bound("peers that were measured", len(peers), 2))
    judged_here: list[Judged] = []
    print(
        _row(
            "\naccepted", "precision", "recall", "left out: precision", "recall", widths=(28, 10, 10, 20, 10)
        )
    )
    for regime in REGIMES:
        for name in SETS:
            own = [case for case in chosen if (case.set_name, case.regime) == (name, regime)]
            if not own:
                continue
            pairs = [judge(case, case.match()) for case in own]
            proposals = [one for found, _ in pairs for one in found]
            judged_here += proposals
            precision, recall = accepted(proposals, sum(count for _, count in pairs))
            cells = [f"{precision:.3f}", f"{recall:.2f}"]
            if judged:
                part = [one for one in judged if (one.set_name, one.regime) == (name, regime)]
                cells += [f"{value:.3f}" for value in accepted(part, fields[name, regime])]
            if regime == MEASURED.get(name, "rows"):
                bounds += [
                    Bound(f"accepted, {name}: precision", precision, 0.99),
                    Bound(f"accepted, {name}: recall", recall, ACCEPTED_RECALL.get(name, AIM), aim=AIM),
                ]
            print(_row(f"{name}, {regime}", *cells, widths=(28, 10, 10, 20, 10)))
    print(_row("\nhalf of the columns gone", "precision", "recall", widths=(28, 10, 10)))
    for name in SETS:
        thinned = [
            thin(case)
            for case in chosen
            if (case.set_name, case.regime) == (name, MEASURED.get(name, "rows")) and case.partners > 1
        ]
        pairs = [judge(case, case.match()) for case in thinned]
        precision, recall = accepted(
            [one for found, _ in pairs for one in found], sum(count for _, count in pairs)
        )
        print(_row(name, f"{precision:.3f}", f"{recall:.2f}", widths=(28, 10, 10)))
    sure = [one.right for one in (judged or judged_here) if one.confidence >= 0.9]
    bounds.append(Bound("right of what is said with 0.9 or more", sum(sure) / len(sure), 0.9))
    reliability(judged or judged_here)

    verdicts = all_verdicts()
    asked = [one for one in verdicts if not one.trap]
    bounds += [
        Bound("combined and split fields, proposed right", sum(one.right for one in asked) / len(asked), 0.8),
        Bound(
            "combined and split fields, silently wrong",
            sum(one.silently_wrong for one in verdicts),
            0,
            at_most=True,
        ),
        Bound("seconds for 1,000 rows, 50 x 40 columns", min(seconds() for _ in range(3)), 2.0, at_most=True),
    ]
    of_values, wrong = value_bounds(folder, rounds=1 if options.quick else ROUNDS)
    of_units, of_units_wrong = unit_bounds()
    bounds += [*of_values, *of_units]
    print("\n" + "\n".join([*wrong, *of_units_wrong]))
    print(_row("\nfigure", "value", "bound", "", widths=(56, 8, 10, 6)))
    for bound in bounds:
        sign = "<=" if bound.at_most else ">="
        print(
            _row(
                bound.name,
                f"{bound.value:.3f}",
                f"{sign} {bound.least:.3f}",
                bound.verdict,
                widths=(56, 8, 10, 6),
            )
        )
    if options.check and not all(bound.kept for bound in bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
