"""How well a column's numbers are turned into a field's unit, scale, currency and period, and left open where that is not told.

Each pair of `benchmarks/values/units.json` has the number that 1000 is to become, or `open`, if nobody can know it.
A pair is `right` if it gives that number, or is open and was to be; `silently wrong` if it gives another number, or one
although it was to be open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bounds import Bound
from lume_dagster.generator.conversions import Conversion, propose_conversion

OWN = Path(__file__).parent / "values" / "units.json"
RIGHT, SILENTLY_WRONG = 0.95, 0
_NUMBER = 1000.0


@dataclass
class UnitFigures:
    """Counts of pairs."""

    pairs: int = 0
    right: int = 0
    silently_wrong: int = 0


def measure_units(pairs: Iterable[dict[str, Any]], wrong: list[str] | None = None) -> UnitFigures:
    """Turn the column of each pair into its field.

    Args:
        pairs: Each with `column`, `field`, `description`, `beside` and `becomes`, what 1000 is in the field or `open`.
        wrong: Is told each pair that is not right.
    """
    total = UnitFigures()
    for one in pairs:
        found = propose_conversion(
            one["column"], one["field"], field_description=one["description"], beside=one["beside"]
        )
        got = "open" if found.problem else _applied(found)
        expected = one["becomes"]
        right = got == expected or (
            "open" not in (got, expected) and abs(got - expected) <= 1e-6 * abs(expected)
        )
        total.pairs += 1
        total.right += right
        total.silently_wrong += not right and got != "open"
        if not right and wrong is not None:
            wrong.append(f"{one['column']} to {one['field']} ({one['description']}): {got}, not {expected}")
    return total


def _applied(found: Conversion) -> Any:
    if not found.expression:
        return _NUMBER
    arithmetic = re.sub(r'"[^"]*"|[A-Za-z_]\w*', str(_NUMBER), found.expression)
    return eval(arithmetic, {"__builtins__": {}})


def unit_bounds() -> tuple[list[Bound], list[str]]:
    """The figures with their bounds, and what was wrong."""
    wrong: list[str] = []
    figures = measure_units(json.loads(OWN.read_text(encoding="utf-8")), wrong)
    return [
        Bound(f"units of {figures.pairs} pairs: right", figures.right / figures.pairs, RIGHT),
        Bound("units: silently wrong", figures.silently_wrong, SILENTLY_WRONG, at_most=True),
    ], wrong
