"""What a column's numbers need to be a field's numbers: nothing, exact arithmetic, or somebody who knows more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lume_dagster.generator.measures import Aspect, Measure, is_thing, measure_of
from lume_dagster.generator.units import Unit, conversion, is_convertible, product, units_of


@dataclass(frozen=True)
class Conversion:
    """What a column's numbers need to be a field's numbers: nothing, arithmetic, or somebody who knows more.

    Attributes:
        expression: The mapper's expression; empty if the numbers are to be taken as they are.
        said: How both are measured, where there is an expression.
        problem: What is open; there is no expression then.
    """

    expression: str = ""
    said: str = ""
    problem: str = ""


def propose_conversion(
    column: str,
    field: str,
    *,
    column_description: str = "",
    field_description: str = "",
    beside: Iterable[str] = (),
    values: Sequence[float] = (),
    is_hundredth: bool = False,
) -> Conversion:
    """Turn a column's numbers into those of a field, where it is plainly said how both are measured.

    Args:
        column: The source column's name, such as `distance_mi`.
        field: The field's name.
        column_description: What is known about the column.
        field_description: What the schema says, such as `Distance in kilometres`.
        beside: The signs that stand beside the column's numbers.
        values: Numbers of the column: those from 0 to 1 are no percents.
        is_hundredth: `%` stood beside the numbers, and they are a hundredth of what was written.

    Returns:
        A problem where the two sides do not plainly say the same and no exact arithmetic leads from one to the other.

    Example:
        >>> propose_conversion("distance_mi", "distance", field_description="Distance in km").expression
        'distance_mi * 1.609344'
    """
    source = measure_of(column, column_description, beside, about=f"{field} {field_description}")
    target = measure_of(field, field_description, about=f"{column} {column_description}")
    wanted = target.of(Aspect.UNIT)
    if is_hundredth:
        source = _in_unit(source, frozenset({_OF_ONE}) if wanted else frozenset())
    elif not source.of(Aspect.UNIT) and (_is_named(column, wanted) or _is_shown(column, wanted, values)):
        source = _in_unit(source, wanted)
    things = _defining(column, field) | _defining(field, column)
    passing = source.in_passing | target.in_passing
    ours, theirs = [], []
    problems: list[str] = []
    for aspect in Aspect:
        units = source.of(aspect), target.of(aspect)
        if units[0] == units[1] or _says_little(aspect, *units, things):
            continue
        one, other = (next(iter(side)) if len(side) == 1 else None for side in units)
        if one is None or other is None or aspect in passing or not _is_exact(aspect, one, other):
            problems.append(_problem(aspect, column, *units))
        elif _is_doubtful(one, other, values):
            problems.append(f"{column} is in {one.name} by its name, and its numbers do not look like it")
        else:
            ours.append((one, 1))
            theirs.append((other, 1))
    if problems or not ours:
        return Conversion(problem="; ".join(problems))
    expression = conversion(column, product(ours), product(theirs))
    if expression is None:
        return Conversion()
    return Conversion(expression, f"{column} is in {product(ours).name}, the field in {product(theirs).name}")


_PERCENT, _OF_ONE = units_of("percent")[0], units_of("fraction")[0]
_ANY_THING = frozenset({"unit", "item", "piece", "each", "one"})
_RATES = frozenset({"rate", "share", "ratio", "proportion", "humidity", "satz", "quote", "anteil", "taux"})


def _in_unit(measure: Measure, units: frozenset[Unit]) -> Measure:
    return Measure({**measure.units, Aspect.UNIT: units}, measure.in_passing)


def _is_exact(aspect: Aspect, source: Unit, target: Unit) -> bool:
    """Whether arithmetic leads from one to the other: not so for what is paid a month and a year, or for currencies."""
    return aspect in (Aspect.UNIT, Aspect.SCALE) and is_convertible(source, target)


def _is_named(column: str, wanted: frozenset[Unit]) -> bool:
    """Whether a column's name has the very word that the field is said to be in, although it is no unit we know."""
    names = {unit.name.lower() for unit in wanted if is_thing(unit)}
    return bool(names) and names <= _words(column)


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _is_shown(column: str, wanted: frozenset[Unit], values: Sequence[float]) -> bool:
    """Whether the numbers of a column whose name says no unit show that they are percents, or shares of 1."""
    sizes = [abs(value) for value in values if value]
    if not sizes:
        return False
    if wanted == {_OF_ONE}:
        return max(sizes) <= 1 and min(sizes) < 1
    is_rate = bool(_RATES & _words(column))
    return wanted == {_PERCENT} and is_rate and 2 * sum(1 < size <= 100 for size in sizes) > len(sizes)


def _is_doubtful(source: Unit, target: Unit, values: Sequence[float]) -> bool:
    """Whether percents are none: all of them from 0 to 1; or shares of 1 are far above it."""
    sizes = [abs(value) for value in values]
    if not sizes or not {source, target} & {_OF_ONE}:
        return False
    return max(sizes) > 1 if source == _OF_ONE else max(sizes) <= 1


def _says_little(
    aspect: Aspect, ours: frozenset[Unit], theirs: frozenset[Unit], defining: frozenset[Unit]
) -> bool:
    """Whether only one side speaks, and nothing is open by that.

    A field of which no currency is told takes any; `per person` in a sentence is what the number is about.
    """
    if aspect is Aspect.CURRENCY:
        return not theirs
    return aspect is Aspect.THING and not (ours and theirs) and not defining & (ours | theirs)


def _defining(name: str, other: str) -> frozenset[Unit]:
    """The things that a name divides by, as `gdp_per_capita` does, where the other name does not speak of them."""
    things = measure_of(name).of(Aspect.THING)
    return frozenset(thing for thing in things if thing.name not in _words(other) | _ANY_THING)


def _problem(aspect: Aspect, column: str, ours: frozenset[Unit], theirs: frozenset[Unit]) -> str:
    word = "per" if aspect in (Aspect.PERIOD, Aspect.THING) else "in"
    if not ours:
        return f"the field is {word} {_either(theirs)}; nothing says that {column} is"
    if not theirs:
        return f"{column} is {word} {_either(ours)}; nothing says that the field is"
    return f"{column} is {word} {_either(ours)}, the field {word} {_either(theirs)}"


def _either(units: frozenset[Unit]) -> str:
    return " or ".join(sorted(unit.name for unit in units))
