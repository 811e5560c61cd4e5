"""How well source values are sorted into options, and how well a column's dates and numbers are read.

    python benchmarks/matching_values.py --sets ../shared/benchmarks --check
    python benchmarks/matching_values.py --quick

Classes: of the values of a field, `precision` is the share of right ones among the classes that are taken over, and
`coverage` the share of the values with a right option that are taken over rightly; once with all options and once with
a quarter of them removed, so that their values have none. Formats: a column is `right` if each of its texts gets its
value, or if it cannot be settled and is left open; `silently wrong` if it is settled and a value is another one.
`--sets` names a folder with `enum-values/cases.json`; the sets in `benchmarks/values/` are always measured.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from lume_dagster.engine.values import ValueType  # noqa: E402
from lume_dagster.generator.classification import Option, classify  # noqa: E402
from lume_dagster.generator.formats import find_format  # noqa: E402

OWN = Path(__file__).parent / "values"
PRECISION, COVERAGE = 0.997, 0.90
RIGHT, SILENTLY_WRONG = 0.85, 0
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


def main() -> int:
    """Print the table; with --check, fail where a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, help="folder with enum-values/cases.json")
    parser.add_argument("--quick", action="store_true", help="one round of removed options instead of 20")
    parser.add_argument("--check", action="store_true", help="end with 1 where a bound does not hold")
    arguments = parser.parse_args()
    sets = {"own": OWN / "classes.json"}
    if arguments.sets:
        sets["enum-values"] = arguments.sets / "enum-values" / "cases.json"
    rows: list[tuple[str, str, float, str, bool]] = []
    notes: list[str] = []
    start = time.perf_counter()
    for name, path in sets.items():
        fields = _load(path)
        whole = measure_classes(fields, wrong=notes)
        rounds = range(1 if arguments.quick else ROUNDS)
        fewer = sum((measure_classes(fields, removed=0.25, seed=seed) for seed in rounds), ClassFigures())
        for what, figures in (("all options", whole), ("a quarter removed", fewer)):
            for figure, bound in (("precision", PRECISION), ("coverage", COVERAGE)):
                value = getattr(figures, figure)
                rows.append((f"classes, {name}, {what}", figure, value, f">= {bound}", value >= bound))
    columns = _load(OWN / "columns.json")
    formats = measure_formats(columns, notes)
    share = formats.right / formats.columns
    what = f"formats, own, {formats.columns} columns"
    rows.append((what, "right", share, f">= {RIGHT}", share >= RIGHT))
    rows.append((what, "silently wrong", formats.silently_wrong, "= 0", not formats.silently_wrong))
    for what, figure, value, bound, holds in rows:
        print(f"{what:<42} {figure:<15} {value:>6.3f}  {bound:<8} {'ok' if holds else 'MISSED'}")
    print(f"in {time.perf_counter() - start:.1f} s")
    print(*notes, sep="\n")
    return int(arguments.check and not all(holds for *_, holds in rows))


if __name__ == "__main__":
    raise SystemExit(main())
