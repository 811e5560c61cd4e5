"""How well source values are sorted into options, and how well a column's dates and numbers are read.

Classes: of the values of a field, `precision` is the share of right ones among the classes that are taken over, and
`coverage` the share of the values with a right option that are taken over rightly; once with all options and once with
a quarter of them removed, so that their values have none. Formats: a column is `right` if each of its texts gets its
value, or if it cannot be settled and is left open; `silently wrong` if it is settled and a value is another one.
`python -m benchmarks.matching` prints the figures, of the sets in `benchmarks/values/` and of `enum-values`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any

from benchmarks.bounds import Bound
from lume_dagster.engine.values import ValueType
from lume_dagster.generator.classification import Option, classify
from lume_dagster.generator.formats import find_format

OWN = Path(__file__).parent / "values"
PRECISION, COVERAGE = 0.997, 0.90
RIGHT, SILENTLY_WRONG = 0.85, 0
CLASS_SECONDS = 0.5
ROUNDS = 20


@dataclass
class ClassFigures:
    """Counts of values: those with a right option, those taken over, those of them that are right."""

    with_option: int = 0
    accepted: int = 0
    right: int = 0

    def __add__(self, other: ClassFigures) -> ClassFigures:
        return ClassFigures(
            self.with_option + other.with_option, self.accepted + other.accepted, self.right + other.right
        )

    @property
    def precision(self) -> float:
        """The share of right ones among the classes that are taken over."""
        return self.right / self.accepted if self.accepted else 1.0

    @property
    def coverage(self) -> float:
        """The share of the values with a right option that are taken over rightly."""
        return self.right / self.with_option if self.with_option else 1.0


@dataclass
class FormatFigures:
    """Counts of columns."""

    columns: int = 0
    right: int = 0
    silently_wrong: int = 0


def measure_classes(
    fields: Iterable[dict[str, Any]], *, removed: float = 0.0, seed: int = 0, wrong: list[str] | None = None
) -> ClassFigures:
    """Sort the values of each field into its options.

    Args:
        fields: Each with `name`, `field`, `description`, `options`, `titles` and `cases` of value and option.
        removed: The share of the options that is taken away; their values then have none.
        seed: Decides which.
        wrong: Is told each wrong class.
    """
    total = ClassFigures()
    for one in fields:
        chance = random.Random(f"{seed} {one['name']}")
        gone = set(chance.sample(one["options"], int(len(one["options"]) * removed)))
        titles = one["titles"] or {}
        options = [Option(option, titles.get(option)) for option in one["options"] if option not in gone]
        cases = [(value, None if option in gone else option) for value, option in one["cases"]]
        classes = classify(
            [value for value, _ in cases], options, field=one["field"], description=one["description"]
        )
        for (value, option), found in zip(cases, classes, strict=True):
            total.with_option += option is not None
            total.accepted += found.accepted
            total.right += found.accepted and found.option == option
            if wrong is not None and found.accepted and found.option != option:
                wrong.append(f"{one['name']}: {value!r} as {found.option!r}, not {option!r} ({found.reason})")
    return total


def class_seconds() -> float:
    """How long it takes to find that a column of free text is none of countries; the best of three."""
    chance = random.Random(0)
    some = ("alpha", "gross", "ship", "invoice", "name", "city", "order", "mail", "cost", "weight")
    texts = {f"{chance.choice(some)} {chance.choice(some)} {number}" for number in range(1_000)}
    options = [Option(code) for code in ("DE", "FR", "US")]
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        classify(texts, options, field="country")
        taken.append(time.perf_counter() - start)
    return min(taken)


def measure_formats(columns: Iterable[dict[str, Any]], wrong: list[str] | None = None) -> FormatFigures:
    """Read each column as its type.

    Args:
        columns: Each with `name`, `type`, `texts`, `open` (it cannot be settled) or `values`, one a text.
        wrong: Is told each column that is not right.
    """
    total = FormatFigures()
    for one in columns:
        found = find_format(
            one["texts"], ValueType(one["type"]), name=one["field"], description=one["description"]
        )
        settled = found.settled
        total.columns += 1
        if settled is None:
            total.right += one["open"]
            if wrong is not None and not one["open"]:
                wrong.append(f"left open: {one['name']} ({found.problem})")
            continue
        expected = one["values"] or [None] * len(one["texts"])
        got = [_plain(settled.values.get(text)) for text in one["texts"]]
        if not one["open"] and got == expected:
            total.right += 1
            continue
        differs = one["open"] or any(
            value is not None and value != right for value, right in zip(got, expected, strict=True)
        )
        total.silently_wrong += differs
        if wrong is not None:
            wrong.append(f"{'silently wrong' if differs else 'not whole'}: {one['name']} ({got})")
    return total


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, (date, datetime, clock)) else value


def _load(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def value_bounds(sets: Path, *, rounds: int = ROUNDS) -> tuple[list[Bound], list[str]]:
    """The figures with their bounds, and what was wrong.

    Args:
        sets: The folder of the benchmark sets.
        rounds: How often a quarter of the options is removed.
    """
    bounds: list[Bound] = []
    wrong: list[str] = []
    for name, path in {
        "own": OWN / "classes.json",
        "enum-values": sets / "enum-values" / "cases.json",
    }.items():
        fields = _load(path)
        whole = measure_classes(fields, wrong=wrong)
        fewer = sum(
            (measure_classes(fields, removed=0.25, seed=seed) for seed in range(rounds)), ClassFigures()
        )
        for what, figures in (("all options", whole), ("a quarter removed", fewer)):
            bounds += [
                Bound(f"classes, {name}, {what}: precision", figures.precision, PRECISION),
                Bound(f"classes, {name}, {what}: coverage", figures.coverage, COVERAGE),
            ]
    columns = _load(OWN / "columns.json")
    formats = measure_formats(columns, wrong)
    return [
        *bounds,
        Bound(f"formats of {formats.columns} columns: right", formats.right / formats.columns, RIGHT),
        Bound("formats: silently wrong", formats.silently_wrong, SILENTLY_WRONG, at_most=True),
        Bound(
            "seconds for 1,000 free texts against all countries", class_seconds(), CLASS_SECONDS, at_most=True
        ),
    ], wrong
